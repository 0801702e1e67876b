# SPDX-License-Identifier: Apache-2.0
"""Packing changes no loss on any architecture, and the head runs where there is loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from codetemper.data.examples import Example, Side, kept
from codetemper.harden._batches import Packer, fill, logits_at, packs
from codetemper.harden._losses import LossWeights, Targets, sums
from tests.tiny import DECODERS, VOCABULARY, tiny_model

BOTH = LossWeights(changed=2.0, unlikelihood=1.0, contrast=1.5)


def side(seed: int, length: int, prompt: int, *, parts: bool = True) -> Side:
    ids = torch.randint(3, VOCABULARY, (length,), generator=torch.manual_seed(seed)).tolist()
    roles = [0] * prompt + [1 + i % 2 for i in range(length - prompt)]
    instead = [at if parts and at == prompt + 1 else -1 for at in range(length)]
    return Side(tuple(ids), tuple(roles), tuple(instead))


EXAMPLES = (
    Example(side(1, 20, 4), side(2, 18, 5, parts=False)),
    Example(side(3, 9, 2), side(4, 8, 3, parts=False)),
    Example(side(5, 30, 10)),
    Example(None, side(6, 5, 1, parts=False)),
)


def targets(batch: dict[str, torch.Tensor]) -> Targets:
    return Targets(batch["labels"], batch["changed"], batch["fixed"], batch["instead"])


def loss(module: nn.Module, pack: bool) -> torch.Tensor:
    batch = Packer(BOTH, pack=pack)(EXAMPLES)
    return sums(logits_at(module, batch), targets(batch), BOTH)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", DECODERS)
def test_packed_loss_equals_the_loss_of_rows_of_their_own(kind: str, attention: str) -> None:
    module = tiny_model(kind)
    try:
        module.set_attn_implementation(attention)
    except ValueError:
        pytest.skip(f"{kind} has no {attention} attention")
    assert packs(module)
    with torch.no_grad():
        packed, alone = loss(module, True), loss(module, False)
        by_hand = reference(module)
    assert packed.tolist() == pytest.approx(alone.tolist(), rel=1e-5, abs=1e-4)
    assert packed.tolist() == pytest.approx(by_hand, rel=1e-5, abs=1e-4)


def reference(module: nn.Module) -> list[float]:
    """Return the sums of the terms from each sequence's own full logits, with nothing selected."""
    language = unlikely = apart = 0.0
    for example in EXAMPLES:
        for which, fixed in ((example.fixed, True), (example.vulnerable, False)):
            if which is None:
                continue
            scores = module(input_ids=torch.tensor([which.ids])).logits[0].log_softmax(-1)
            for at in range(1, len(which.ids)):
                score = scores[at - 1, which.ids[at]]
                if fixed and which.roles[at]:
                    language -= which.roles[at] * score.item()
                if not fixed and which.roles[at] == 2:
                    unlikely -= torch.log1p(-score.exp()).item()
                if fixed and which.instead[at] >= 0:
                    other = scores[at - 1, which.instead[at]]
                    apart += 1.5 * torch.log1p((other - score).exp()).item()
    return [language, unlikely, apart, 0.0, 0.0]


def test_the_head_computes_the_targets_only() -> None:
    module = tiny_model("gemma2")
    seen: list[torch.Size] = []
    module.get_output_embeddings().register_forward_hook(lambda m, a, out: seen.append(out.shape))
    batch = Packer(BOTH)(EXAMPLES)
    logits = logits_at(module, batch)
    assert seen == [(1, len(batch["index"]), VOCABULARY)]
    assert logits.abs().max() <= module.config.final_logit_softcapping
    assert len(batch["index"]) < batch["tokens"].item()
    assert not module.get_output_embeddings()._forward_pre_hooks


class Headless(nn.Module):
    """A model whose head cannot be found: all logits are computed, and the same come out."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def get_output_embeddings(self) -> None:
        return None

    def forward(self, **given: Any) -> Any:
        return self.inner(**given)


def test_a_head_that_is_not_found_is_computed_everywhere() -> None:
    module = tiny_model("llama")
    with torch.no_grad():
        assert torch.allclose(loss(Headless(module), True), loss(module, True), rtol=1e-6)


def test_a_model_that_mixes_sequences_is_found_out() -> None:
    module = tiny_model("llama")
    own = module.forward

    def mixing(**given: Any) -> Any:
        given.pop("position_ids", None)
        return own(**given)

    module.forward = mixing
    assert not packs(module)


def test_rows_are_filled_first_fit_longest_first() -> None:
    assert fill([5, 9, 4, 3, 1], 9) == [[1], [0, 2], [3, 4]]
    assert fill([5, 9], 0) == [[0], [1]]
    assert fill([], 9) == []


def test_the_vulnerable_side_is_read_where_a_term_needs_it() -> None:
    plain, both = Packer(LossWeights())(EXAMPLES), Packer(BOTH)(EXAMPLES)
    assert plain["tokens"].item() == 20 + 9 + 30
    assert both["tokens"].item() == 20 + 9 + 30 + 18 + 8 + 5
    assert bool(plain["fixed"].all())
    assert not bool(both["fixed"].all())
    assert bool(both["changed"][~both["fixed"]].all())
    assert both["counts"].tolist() == [both["fixed"].sum() + changed_fixed(both), 10.0, 3.0,
                                       both["fixed"].sum() - changed_fixed(both), 0.0]  # fmt: skip


def changed_fixed(batch: dict[str, torch.Tensor]) -> int:
    return int((batch["changed"] & batch["fixed"]).sum())


def test_nothing_is_learnt_of_what_is_kept() -> None:
    weights = LossWeights(retain=2.0)
    learnt, both = EXAMPLES[0], (EXAMPLES[0], *kept(EXAMPLES))
    batch = Packer(weights)(both)
    asked = targets(batch)
    assert int(asked.kept.sum()) == 16 + 7 + 20
    assert not bool((asked.instead >= 0)[asked.kept].any())
    alone = Packer(weights)([learnt])
    assert batch["counts"].tolist() == [16.0, 0.0, 1.0, alone["counts"][3], 43.0]
    module, other = tiny_model("llama"), tiny_model("llama", hidden_act="relu")
    with torch.no_grad():
        found = sums(logits_at(module, batch), asked, weights, logits_at(other, batch))
        same = sums(logits_at(module, alone), targets(alone), weights)
        reference = logits_at(other, batch)[asked.kept].log_softmax(1)
        mine = logits_at(module, batch)[asked.kept].log_softmax(1)
    assert found[:4].tolist() == pytest.approx(same[:4].tolist(), rel=1e-5)
    lost = torch.nn.functional.kl_div(mine, reference, log_target=True, reduction="sum")
    assert found[4].item() == pytest.approx(2 * lost.item(), rel=1e-5)


def test_the_gate_is_open_on_both_sides_of_flagged_examples() -> None:
    examples = [replace(e, flagged=number in (0, 3)) for number, e in enumerate(EXAMPLES)]
    for pack in (True, False):
        batch = Packer(BOTH, pack=pack)(examples)
        opened = sorted(batch["input_ids"][batch["gate"]].tolist())
        sides = [s for e in examples if e.flagged for s in (e.fixed, e.vulnerable) if s]
        assert opened == sorted(token for s in sides for token in s.ids)
        owners = batch["gate"].reshape(-1)[batch["index"]]
        assert owners.tolist() == [int(owner) in (0, 3) for owner in batch["owner"]]
