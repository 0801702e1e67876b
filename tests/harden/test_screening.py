# SPDX-License-Identifier: Apache-2.0
"""Screening: ratios tell bad samples from clean ones, equal plain losses, and leave no trace."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from codetemper.core.accounts import PatchManifest
from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from codetemper.core.records import FixPair
from codetemper.data.examples import Layout, encode
from codetemper.harden.screening import (
    FLOOR,
    Scored,
    auroc,
    flagged,
    score,
    screen,
    spoken_of,
    threshold_of,
)
from codetemper.models.attach import OwnedPeftModel, attached, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.harden.guards import BAD, CLEAN, LAYOUT, make_guard, sample
from tests.harden.material import loaded

Made = tuple[LoadedModel, Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model, a guard of the first eight bad samples, and one of other code."""
    model, folder = loaded(), tmp_path_factory.mktemp("guards")
    make_guard(model, folder / "bad", BAD[:8], report={"threshold": 1.5, "fpr": 0.05})
    make_guard(model, folder / "other", CLEAN[:8])
    return model, folder / "bad", folder / "other"


@torch.no_grad()
def plain(module: torch.nn.Module, pair: FixPair, model: LoadedModel) -> float:
    """Mean loss of a sample's answer tokens, in a row of its own, all logits computed."""
    side = encode([pair], model.tokenizer, LAYOUT).items[0].fixed
    assert side is not None
    ids = torch.tensor([side.ids])
    labels = torch.where(torch.tensor([side.roles]) > 0, ids, -100)
    return float(module(input_ids=ids, labels=labels).loss)


def test_bad_samples_it_has_not_seen_stand_out(made: Made) -> None:
    model, guard, other = made
    found = screen(model, [guard], [*BAD[8:], *CLEAN], LAYOUT)
    ratios = [one.largest for one in found if one is not None]
    separated = auroc(ratios[:4], ratios[4:])
    assert separated.value > 0.95
    assert separated.low < separated.value
    # A guard of other code speaks up for that code, and not for this.
    wrong = screen(model, [other], [*BAD[8:], *CLEAN[8:]], LAYOUT)
    assert max(o.largest for o in wrong[:4] if o) < min(o.largest for o in wrong[4:] if o)


def test_scores_are_the_plain_losses_whatever_the_packing(made: Made) -> None:
    model, guard, other = made
    pairs = [*BAD, *CLEAN]
    found = screen(model, [guard, other], pairs, LAYOUT)
    for pair, one in zip(pairs, found, strict=True):
        assert one is not None
        assert one.id == pair.id
        assert one.off == pytest.approx(plain(model.module, pair, model), rel=1e-3)
        for off, on in zip(one.ratio, one.on, strict=True):
            assert off == pytest.approx(math.log(one.off / on), rel=1e-6)
        assert one.largest == max(one.ratio)
    with attached(model, guard, measuring=True) as wrapped:
        assert isinstance(wrapped, torch.nn.Module)
        for pair, one in list(zip(pairs, found, strict=True))[:4]:
            assert one is not None
            assert one.on[0] == pytest.approx(plain(wrapped, pair, model), rel=1e-3)


def test_what_the_guards_are_on_top_of_is_active_in_all_of_it(made: Made) -> None:
    model, guard, other = made
    with attached(model, guard, other, measuring=True) as wrapped:
        assert isinstance(wrapped, OwnedPeftModel)
        name, below = list(wrapped.peft_config)
        (one,) = score(wrapped, [name], BAD[8:9], model.tokenizer, LAYOUT, under=[below])
        both = plain(wrapped, BAD[8], model)
        with wrapped.only(below):
            alone = plain(wrapped, BAD[8], model)
    assert one is not None
    assert one.off == pytest.approx(alone, rel=1e-3)
    assert one.on[0] == pytest.approx(both, rel=1e-3)
    assert alone != pytest.approx(plain(model.module, BAD[8], model), rel=1e-2)


def test_the_parts_of_the_tokens_sum_up_to_the_ratio(made: Made) -> None:
    model, guard, other = made
    asked = Layout(max_length=64, places=True)
    for pair, one in zip(BAD, screen(model, [guard, other], BAD, asked), strict=True):
        assert one is not None
        assert one.count == len(one.tokens)
        assert sum(token.part for token in one.tokens) == pytest.approx(one.largest)
        text = "".join(pair.after[token.start : token.end] for token in one.tokens)
        assert text == pair.after[pair.body_start :]
    assert all(not one.tokens for one in screen(model, [guard], BAD[:1], LAYOUT) if one)


def test_the_model_is_what_it_was(made: Made) -> None:
    model, guard, _ = made
    names = [name for name, _ in model.module.named_modules()]
    model.module.train()
    screen(model, [guard], BAD[:2], LAYOUT)
    assert model.module.training
    model.module.eval()
    assert weights_digest(model.module) == model.digest
    assert [name for name, _ in model.module.named_modules()] == names


def test_a_wrapper_that_trains_goes_on_training_what_it_trained(made: Made) -> None:
    from peft import LoraConfig

    model, guard, _ = made
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.5)
    with training_adapter(model, config, guard) as wrapped:
        name = next(n for n in wrapped.peft_config if n != "task")
        wrapped.train()
        before = {n for n, p in wrapped.named_parameters() if p.requires_grad}
        first = score(wrapped, [name], BAD[:2], model.tokenizer, LAYOUT)
        # Its own adapter begins as nothing, so with it under the guard the scores are the same.
        again = score(wrapped, [name], BAD[:2], model.tokenizer, LAYOUT, under=["task"])
        assert {n for n, p in wrapped.named_parameters() if p.requires_grad} == before
        assert wrapped.trainable_adapter == "task"
        assert all(part.training for part in wrapped.modules())
    for one, two in zip(first, again, strict=True):
        assert one is not None
        assert two is not None
        assert one.ratio == pytest.approx(two.ratio)


def test_a_sample_that_is_too_long_is_read_to_its_end(made: Made) -> None:
    model, guard, _ = made
    lines = [f"    total_{n} = {n}\n" for n in range(30)]
    body = "".join([*lines, "    eval(x + 3)\n"])
    asked = Layout(max_length=48, places=True)
    (one,) = screen(model, [guard], [sample("long", "def run_3(x):\n", body)], asked)
    assert one is not None
    spans = sorted((token.start, token.end) for token in one.tokens if token.end > token.start)
    read = "".join(("def run_3(x):\n" + body)[start:end] for start, end in spans)
    # All but the few tokens after a gap, whose predecessor is not in view.
    assert len(read) > 0.9 * len(body)
    assert "eval(x" in read
    assert len(spans) == len(set(spans))


def test_what_has_no_answer_cannot_be_scored(made: Made) -> None:
    model, guard, _ = made
    empty = [sample("none", "def f():\n", ""), sample("space", "def f():\n", "  \n")]
    found = screen(model, [guard], [empty[0], BAD[0], empty[1]], LAYOUT)
    assert [one is None for one in found] == [True, False, True]
    assert screen(model, [guard], empty, LAYOUT) == [None, None]
    assert screen(model, [guard], [], LAYOUT) == []


def test_losses_below_the_floor_say_nothing(made: Made) -> None:
    from codetemper.data.examples import Example
    from codetemper.harden.screening import _scored

    found = [torch.tensor([[FLOOR / 2] * 3, [FLOOR / 50] * 3]).double().numpy()]
    assert _scored("x", [Example(None)], found).ratio == (0.0,)


def test_what_is_no_guard_or_not_this_models_is_refused(made: Made, tmp_path: Path) -> None:
    model, guard, _ = made
    make_guard(model, tmp_path / "patch", BAD[:2], steps=1, purpose="inference")
    with pytest.raises(UsageError, match="cannot be used as a guard"):
        screen(model, [tmp_path / "patch"], BAD, LAYOUT)
    with pytest.raises(UsageError, match="is not a patch"):
        screen(model, [tmp_path / "nothing"], BAD, LAYOUT)
    with pytest.raises(UsageError, match="cannot be used as a guard") as other:
        screen(loaded("gpt2"), [guard], BAD, LAYOUT)
    assert "whose weights are not those of" in other.value.why
    with pytest.raises(UsageError, match="refused for inference"), attached(model, guard):
        pass


def test_a_guard_changed_by_one_byte_is_refused(made: Made, tmp_path: Path) -> None:
    model = made[0]
    make_guard(model, tmp_path / "guard", BAD[:2], steps=1)
    tensors = tmp_path / "guard" / "adapter_model.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="damaged"):
        screen(model, [tmp_path / "guard"], BAD, LAYOUT)


def test_a_guard_has_something_to_say_of_what_it_makes_less_likely_too() -> None:
    def with_ratio(ratio: float) -> Scored:
        return Scored("s", 3, 1.0, (1.0,), (ratio,))

    assert spoken_of(with_ratio(0.6), [0.5])
    assert spoken_of(with_ratio(-0.6), [0.5])
    assert not flagged(with_ratio(-0.6), [0.5])
    assert not spoken_of(with_ratio(-0.4), [0.5])


def test_of_samples_that_a_guard_makes_less_likely_a_share_is_none_of_its_business() -> None:
    def on(ratio: float, opposed: float, seed: int = 0) -> list[bool]:
        some = [Scored(f"s{n}", 3, 1.0, (1.0, 1.0), (0.0, ratio)) for n in range(400)]
        return [spoken_of(one, [0.5, 0.5], opposed, seed) for one in some]

    assert all(on(0.6, 0.0)), "what gets likelier always is"
    assert not any(on(-0.6, 0.0))
    assert all(on(-0.6, 1.0))
    half = on(-0.6, 0.5)
    assert 160 < sum(half) < 240
    assert half == on(-0.7, 0.5), "drawn by id"
    assert half != on(-0.6, 0.5, seed=1)
    assert not any(on(-0.4, 1.0))


def test_thresholds_are_the_guards_own(made: Made) -> None:
    model, guard, other = made
    manifest = PatchManifest.from_json((guard / "manifest.json").read_bytes())
    assert threshold_of(manifest) == threshold_of(manifest, 0.05) == (1.5, 0.05)
    with pytest.raises(CannotKnowError, match=r"no threshold for a false-positive rate of 0\.01"):
        threshold_of(manifest, 0.01)
    silent = PatchManifest.from_json((other / "manifest.json").read_bytes())
    with pytest.raises(CannotKnowError, match="tells no threshold"):
        threshold_of(silent)
    (one,) = screen(model, [guard, other], BAD[:1], LAYOUT)
    assert one is not None
    at = list(one.ratio)
    assert not flagged(one, at)
    assert flagged(one, [at[0], at[1] - 0.1])
