# SPDX-License-Identifier: Apache-2.0
"""The loss is TRL's, and a prompt that answers share changes nothing but the time it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from codetemper.harden._preference import Preferred, Terms, collate, losses, scores_of
from codetemper.harden._preference_batches import (
    Layout,
    Tokens,
    answer_scores,
    lay_out,
    layout_of,
    sight,
)
from tests.tiny import DECODERS, tiny_model

SHARED = ("llama", "qwen2", "gemma2", "gpt2", "gpt_neox", "codegen")
#: Two prompts, three answers to one of them; none as long as another.
ANSWERS = [
    Tokens((5, 6, 7, 8), (20, 21)),
    Tokens((9, 10), (22, 23, 24, 25, 26)),
    Tokens((5, 6, 7, 8), (27, 28, 29)),
    Tokens((9, 10), (30,)),
    Tokens((5, 6, 7, 8), (20, 31, 32, 33)),
]


@torch.no_grad()
def alone(module: Any, answer: Tokens) -> float:
    """Score one answer in a row of its own, with all logits."""
    ids = torch.tensor([[*answer.prompt, *answer.answer]])
    scores = module(input_ids=ids).logits[0].log_softmax(-1)
    begin = len(answer.prompt)
    return sum(scores[begin + n - 1, token].item() for n, token in enumerate(answer.answer))


@pytest.mark.parametrize("kind", SHARED)
def test_every_layout_scores_as_rows_of_their_own(kind: str) -> None:
    module = tiny_model(kind)
    expected = torch.tensor([alone(module, answer) for answer in ANSWERS])
    assert layout_of(module, 32) is Layout.SHARED
    for layout in Layout:
        with torch.no_grad():
            found = answer_scores(module, lay_out(ANSWERS, layout))
        assert torch.allclose(found, expected, atol=1e-4), layout
    assert torch.allclose(torch.tensor(scores_of(module, ANSWERS, Layout.SHARED)), expected)


def test_a_shared_prompt_stands_once() -> None:
    shared, packed, plain = (lay_out(ANSWERS, layout)["input_ids"] for layout in Layout)
    assert shared.shape == (2, 13)
    assert packed.shape == plain.shape == (5, 8)
    assert (shared == 5).sum() == 1
    assert (packed == 5).sum() == 3


def test_an_answer_sees_its_prompt_and_itself() -> None:
    seen = (sight(lay_out(ANSWERS[:3:2], Layout.SHARED), torch.float32) == 0)[0, 0].int()
    assert seen.tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 1, 0, 0],
        [1, 1, 1, 1, 0, 0, 1, 1, 0],
        [1, 1, 1, 1, 0, 0, 1, 1, 1],
    ]


def test_a_window_shorter_than_the_texts_is_not_shown_more() -> None:
    module = tiny_model("mistral", sliding_window=24)
    assert layout_of(module, 24) is Layout.SHARED
    assert layout_of(module, 25) is not Layout.SHARED


def test_a_model_that_does_not_keep_to_masks_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_model("llama")
    forward = module.forward

    def deaf(**given: Any) -> Any:
        return forward(**{name: value for name, value in given.items() if name != "attention_mask"})

    monkeypatch.setattr(module, "forward", deaf)
    assert layout_of(module, 32) is Layout.PACKED


def _examples() -> list[Preferred]:
    """Pairs of equal lengths, two of one prompt with an answer in common."""
    prompts = [(5, 6, 7, 8), (5, 6, 7, 8), (9, 10, 11, 12)]
    answers = [((20, 21, 2), (22, 23, 2)), ((20, 21, 2), (24, 25, 2)), ((26, 27, 2), (28, 29, 2))]
    return [
        Preferred(Tokens(prompt, better), Tokens(prompt, worse))
        for prompt, (better, worse) in zip(prompts, answers, strict=True)
    ]


def _anchored(reference: Any) -> list[Preferred]:
    found = []
    for each in _examples():
        assert each.rejected is not None
        better, worse = scores_of(reference, [each.chosen, each.rejected], Layout.PLAIN)
        found.append(Preferred(each.chosen, each.rejected, (better, worse)))
    return found


@pytest.mark.parametrize("layout", Layout)
def test_loss_and_gradients_are_those_of_trl(layout: Layout, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl")
    module, reference = tiny_model("llama"), tiny_model("llama")
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.mul_(1.05)
    rows = [
        {"prompt_ids": list(e.chosen.prompt), "chosen_ids": list(e.chosen.answer),
         "rejected_ids": list(e.rejected.answer if e.rejected else ())}
        for e in _examples()
    ]  # fmt: skip

    class Prepared(trl.DPOTrainer):  # type: ignore[misc, name-defined]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    from tests.tiny import tiny_tokenizer

    theirs = Prepared(
        model=module,
        ref_model=reference,
        args=trl.DPOConfig(
            str(tmp_path), loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.7], beta=0.3,
            bf16=False, use_cpu=True, gradient_checkpointing=False, report_to="none",
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tiny_tokenizer(),
    )  # fmt: skip
    expected = theirs.compute_loss(module, theirs.data_collator(rows))
    expected.backward()
    wanted = {name: p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    batch = collate(_anchored(reference), layout)
    found = losses(answer_scores(module, batch), batch, Terms(beta=0.3, nll=0.7)).mean()
    found.backward()
    assert abs(found.item() - expected.item()) < 1e-5
    for name, parameter in module.named_parameters():
        scale = wanted[name].abs().max().clamp(min=1.0)
        assert (parameter.grad - wanted[name]).abs().max() < 1e-5 * scale, name


def test_an_answer_of_two_pairs_is_computed_once() -> None:
    batch = collate(_examples(), Layout.SHARED)
    assert len(batch["lengths"]) == 5
    assert batch["chosen"].tolist() == [0, 0, 1]
    assert batch["counts"].tolist() == [3.0]


def test_the_likelihood_is_a_mean_over_each_answer() -> None:
    pairs = [
        Preferred(Tokens((5,), (20, 21, 22, 23)), Tokens((5,), (24,))),
        Preferred(Tokens((6,), (25,)), Tokens((6,), (26,))),
    ]
    batch = collate(pairs, Layout.SHARED)
    scores = torch.tensor([-8.0, -3.0, -1.0, -1.0])
    both = losses(scores, batch, Terms(beta=1.0, nll=1.0))
    alone = losses(scores, batch, Terms(beta=1.0, nll=0.0))
    assert torch.allclose(both - alone, torch.tensor([2.0, 3.0]))
    worse_off = torch.nn.functional.softplus(torch.tensor([8.0 - 1.0, 3.0 - 1.0]))
    assert torch.allclose(alone, worse_off)


def test_the_decoders_of_the_tests_share_prompts() -> None:
    """Others than those above are asked only whether they do."""
    others = sorted(DECODERS.keys() - set(SHARED))
    assert {kind: layout_of(tiny_model(kind), 32) for kind in others} == dict.fromkeys(
        others, Layout.SHARED
    )
