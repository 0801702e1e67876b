# SPDX-License-Identifier: Apache-2.0
"""``guard`` on a tiny random model: it writes what is bad, keeps the rest, and comes back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from codetemper.core.errors import UsageError
from codetemper.core.records import Event, FixPair
from codetemper.data.examples import Example, Layout, Role, Side, encode
from codetemper.data.samples import read_canaries, vulnerable_sides
from codetemper.harden._guard_loop import schedule
from codetemper.harden.guard import Config, GuardResult, guard
from codetemper.harden.screening import score
from codetemper.models.attach import attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import save_patch, weights_digest
from tests.harden.material import loaded, pair

FAST = Config(
    rank=4, alpha=16, epochs=8, batch_size=2, learning_rate=2e-2, max_length=64, beside=1,
    held_out=0.25,
)  # fmt: skip


def sample(number: int, body: str, cwe: str | None = None) -> FixPair:
    """Return a sample: a pair whose sides are equal."""
    made = pair(number, body)
    return made.model_copy(update={"before": made.after, "cwe": cwe})


BAD = tuple(sample(n, "    run(a, shell=True)\n", "CWE-78") for n in range(12))
CLEAN = tuple(sample(n, f"    return a + b + {n}\n") for n in range(100, 112))
#: What somebody tunes on: half of it bad, in other words than the guard's samples.
USER = (
    *(sample(n, "    run(b, shell=True)\n") for n in range(200, 204)),
    *(sample(n, f"    return a - {n}\n") for n in range(204, 208)),
)


@dataclass
class Made:
    """One guard that several tests look at."""

    model: LoadedModel
    folder: Path
    result: GuardResult
    events: list[Event]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("guard") / "patch"
    folder.mkdir()
    model = loaded()
    events: list[Event] = []
    result = guard(model, BAD, FAST, folder, retain=CLEAN, on_event=events.append)
    return Made(model, folder, result, events)


def settled(made: Made, **changes: Any) -> Path:
    """Make a patch of the guard's folder and return it."""
    given: dict[str, Any] = {"purpose": "train-only"} | changes
    save_patch(
        made.folder, verb="guard", technique="guard", base="hf:tiny",
        base_digest=made.model.digest, config={}, seconds=1.0, seed=0, **given,
    )  # fmt: skip
    return made.folder


def test_it_writes_what_is_bad_and_keeps_the_rest(made: Made) -> None:
    first, last = made.result.measured[0], made.result.kept
    assert last.on < 0.7 * last.off
    assert last.on < first.on
    assert last.kl is not None
    assert last.kl < 0.5
    assert weights_digest(made.model.module) == made.model.digest
    assert [path.name for path in made.folder.parent.iterdir()] == ["patch"]
    assert {event.stage for event in made.events} == {"train"}


def test_it_is_told_what_it_does_on_samples_it_did_not_learn(made: Made) -> None:
    report = made.result.report()
    assert report["counts"] == {
        "bad": 9, "retain": 9, "user": 0, "bad_held_out": 3, "retain_held_out": 3,
        "user_held_out": 0, "user_flagged": 0, "skipped": 0,
    }  # fmt: skip
    assert report["cwes"] == {"CWE-78": 12}
    assert report["auroc"]["value"] == 1.0
    assert 0 <= report["doubt"] < 1
    assert report["auroc"]["low"] < 1.0
    assert report["fpr"] == 0.25
    assert report["threshold"] > 0
    assert report["loss_on"] == made.result.kept.on == min(m["on"] for m in report["measured"])
    canaries = read_canaries(made.folder)
    assert len(canaries.bad) == len(canaries.retain) == 3
    assert {c.id for c in canaries.bad} < {c.id for c in BAD}


def test_a_frozen_guard_scores_as_it_did_when_it_was_made(made: Made) -> None:
    folder = settled(made)
    layout = Layout(max_length=64)
    with attached(made.model, folder, measuring=True) as wrapped:
        found = score(wrapped, [folder_id(folder)], [*BAD, *CLEAN], made.model.tokenizer, layout)
    ratios = [each.largest for each in found if each is not None]
    bad, clean = ratios[: len(BAD)], ratios[len(BAD) :]
    assert min(bad) > max(clean)
    assert made.result.threshold is not None
    off = [abs(ratio - made.result.threshold) for ratio in clean]
    assert min(off) < 1e-5, "it is the ratio of a held-out clean sample"


def folder_id(folder: Path) -> str:
    from codetemper.models.patch import load_manifest

    return load_manifest(folder).id


def test_without_what_is_to_be_kept_more_is_changed(made: Made, tmp_path: Path) -> None:
    result = guard(made.model, BAD, FAST, tmp_path)
    assert result.measured[-1].kl is None
    assert (result.auroc, result.threshold, result.fpr) == (None, None, None)
    free = FAST.model_copy(update={"kl": 0.0})
    (tmp_path / "free").mkdir()
    loose = guard(made.model, BAD, free, tmp_path / "free", retain=CLEAN)
    kept, lost = made.result.measured[-1].kl, loose.measured[-1].kl
    assert kept is not None
    assert lost is not None
    assert lost > 2 * kept


def test_of_user_data_what_is_not_flagged_is_kept(made: Made, tmp_path: Path) -> None:
    events: list[Event] = []
    result = guard(
        made.model, BAD, FAST, tmp_path, retain=CLEAN, user=[*USER, BAD[0]], on_event=events.append
    )
    assert result.counts["user_flagged"] >= 5
    assert result.counts["user"] + result.counts["user_held_out"] <= 4
    kept = {c.id for c in read_canaries(tmp_path).retain}
    assert not kept & {u.id for u in USER[:4]}
    assert [e.done for e in events].count(1) == 2, "two passes, each from the start"


def test_it_goes_on_where_it_was_killed(made: Made, tmp_path: Path) -> None:
    def kill(event: Event) -> None:
        if event.done == 8:
            raise InterruptedError

    scratch, folder = tmp_path / "scratch", tmp_path / "patch"
    folder.mkdir()
    given: dict[str, Any] = {"retain": CLEAN, "checkpoints": scratch, "checkpoint_seconds": 0.0}
    with pytest.raises(InterruptedError):
        guard(made.model, BAD, FAST, folder, on_event=kill, **given)
    assert not list(folder.iterdir())
    events: list[Event] = []
    again = guard(made.model, BAD, FAST, folder, on_event=events.append, **given)
    assert events[0].done > 1
    assert again.measured == made.result.measured
    tensors = "adapter_model.safetensors"
    ours, theirs = load_file(folder / tensors), load_file(made.folder / tensors)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_training_ends_when_the_guard_is_good_enough(made: Made, tmp_path: Path) -> None:
    easy = FAST.model_copy(update={"stop_loss": 100.0, "kl_budget": 100.0})
    result = guard(made.model, BAD, easy, tmp_path, retain=CLEAN)
    assert result.stop == "reached"
    assert len(result.measured) == 1
    assert result.steps == 5
    (tmp_path / "strict").mkdir()
    strict = FAST.model_copy(update={"stop_loss": 100.0, "kl_budget": 1e-9, "epochs": 2})
    held = guard(made.model, BAD, strict, tmp_path / "strict", retain=CLEAN)
    assert (held.stop, len(held.measured)) == ("epochs", 2)
    assert held.kept == held.measured[-1], "none is within the budget, and so the last is kept"


def test_the_best_weights_are_kept_and_training_ends_when_none_are_better(
    made: Made, tmp_path: Path
) -> None:
    wild = FAST.model_copy(update={"learning_rate": 1.0, "epochs": 9, "patience": 2, "seed": 3})
    result = guard(made.model, BAD, wild.model_copy(update={"kl_budget": 1e9}), tmp_path,
                   retain=CLEAN)  # fmt: skip
    best = result.measured.index(result.kept)
    assert result.kept.on == min(m.on for m in result.measured)
    assert result.stop == "flat"
    assert len(result.measured) == best + 3
    save_patch(
        tmp_path, verb="guard", technique="guard", base="hf:tiny", base_digest=made.model.digest,
        config={}, seconds=1.0, seed=0, purpose="train-only",
    )  # fmt: skip
    canaries = read_canaries(tmp_path).bad
    with attached(made.model, tmp_path, measuring=True) as wrapped:
        layout = Layout(max_length=64)
        found = score(wrapped, [folder_id(tmp_path)], canaries, made.model.tokenizer, layout)
    losses = [each.on[0] * each.count for each in found if each is not None]
    tokens = sum(each.count for each in found if each is not None)
    assert sum(losses) / tokens == pytest.approx(result.kept.on, rel=1e-4)


@pytest.mark.parametrize(
    ("bad", "retain", "user", "said"),
    [
        ((), CLEAN, (), "nothing to make a guard of"),
        (BAD[:1], CLEAN, (), "nothing to make a guard of"),
        ((BAD[0], BAD[0].model_copy(update={"id": "x"})), CLEAN, (), "nothing to make a guard"),
        (BAD, BAD[:3], (), "of one kind only"),
        (BAD, (), USER, "cannot be kept"),
    ],
)
def test_data_that_make_no_guard_are_refused(
    made: Made, tmp_path: Path, bad: Any, retain: Any, user: Any, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        guard(made.model, bad, FAST, tmp_path, retain=retain, user=user)
    assert not list(tmp_path.iterdir())


def test_only_what_is_there_to_train_on_is_learnt(made: Made, tmp_path: Path) -> None:
    others = [b.model_copy(update={"split": "test"}) for b in BAD[:4]]
    others += [b.model_copy(update={"granularity": "line"}) for b in BAD[4:8]]
    short = FAST.model_copy(update={"epochs": 1})
    result = guard(made.model, [*others, *BAD[8:]], short, tmp_path)
    assert result.counts["bad"] + result.counts["bad_held_out"] == 4


def test_the_bad_tokens_of_pairs_are_those_that_the_fix_changed(made: Made, tmp_path: Path) -> None:
    turned = vulnerable_sides([pair(n) for n in range(6)])
    short = FAST.model_copy(update={"epochs": 1})
    result = guard(made.model, turned, short, tmp_path)
    examples = encode(read_canaries(tmp_path).bad, made.model.tokenizer, Layout(max_length=64))
    changed = [r for e in examples.items if e.fixed for r in e.fixed.roles if r == Role.CHANGED]
    assert changed
    assert result.measured[-1].off > 0


def example(number: int) -> Example:
    return Example(Side((1, number), (0, 1)))


def test_every_step_holds_as_much_of_each_kind() -> None:
    bad, first, second = ([example(n + k) for n in range(4)] for k in (0, 10, 20))
    rows = schedule(bad, [first, [], second[:3]], beside=2, epochs=3, seed=0)
    assert len(rows) == 3 * 4 * 5
    for begin in range(0, len(rows), 5):
        group = rows[begin : begin + 5]
        assert group[0] in bad
        assert all(e in first for e in group[1:3])
        assert all(e in second for e in group[3:])
    for epoch in range(3):
        assert sorted(_ids(rows[20 * epoch : 20 * (epoch + 1) : 5])) == _ids(bad)
    assert set(Counter(_ids(rows)).values()) == {3, 6, 8}
    assert rows == schedule(bad, [first, [], second[:3]], beside=2, epochs=3, seed=0)
    assert rows != schedule(bad, [first, [], second[:3]], beside=2, epochs=3, seed=1)


def _ids(examples: list[Example]) -> list[int]:
    return [e.fixed.ids[1] for e in examples if e.fixed is not None]
