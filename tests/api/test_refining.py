# SPDX-License-Identifier: Apache-2.0
"""The verb refine: rounds, what they leave, when they end, and what cannot be refined on."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codetemper import judges
from codetemper.api import models, refining_rounds
from codetemper.api.refining import plan_refining, refine
from codetemper.api.runs import pair_runs, read_run
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_folder
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event, PreferencePair
from codetemper.core.refinement import Refinement, Round
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import read_corpus, write_corpus
from codetemper.harden.refine import Config
from codetemper.models.patch import load_manifest
from tests.harden.guards import settled
from tests.letters import write_suite
from tests.models.adapters import as_patch, lora

SETTINGS: dict[str, Any] = {
    "rounds": 2, "samples": 5, "learning_rate": 0.01, "epochs": 1, "rank": 2, "max_length": 64,
}  # fmt: skip

SHORT = Config(**SETTINGS | {"rounds": 1})


@pytest.fixture(scope="module", autouse=True)
def letters() -> Any:
    """Have the judge of the tests among the judges."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setitem(judges.BUILTIN, "letters", "tests.letters")
        yield


@dataclass(frozen=True)
class Bench:
    """A workspace, a loaded base, and a suite that it answers both ways."""

    workspace: Workspace
    base: str
    handle: Any
    suite: str
    folder: Path

    def refine(self, *suites: str, **given: Any) -> PatchManifest:
        settings = given.pop("config", Config(**SETTINGS))
        model, loaded = given.pop("model", self.base), self.handle
        return refine(
            self.workspace, model, suites or [self.suite], settings, loaded=loaded, **given
        )

    def entries(self, verb: str) -> list[Any]:
        return [entry for entry in self.workspace.ledger.entries() if entry.verb == verb]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Any:
    root = tmp_path_factory.mktemp("refining")
    workspace, base = Workspace.create(root / "project"), f"hf:{tiny_model_dir}"
    suite = write_suite(root, "letters", range(20))
    with models.load_model(workspace, base) as handle:
        yield Bench(workspace, base, handle, suite, root)


@pytest.fixture(scope="module")
def refined(bench: Bench) -> PatchManifest:
    return bench.refine()


def account(manifest: PatchManifest) -> Refinement:
    return Refinement.model_validate(manifest.report)


def test_every_round_leaves_what_it_says(bench: Bench, refined: PatchManifest) -> None:
    found = account(refined)
    assert found.shares == {"train": 12, "validation": 4, "test": 4}
    assert found.metric == "pass@1"
    assert [r.round for r in found.rounds] == [1, 2]
    for made in found.rounds:
        card, pairs = read_corpus(bench.workspace.corpora / made.pairs_corpus)
        assert card.rows == sum(made.pairs.values()) == sum(made.rejected.values())
        assert all(isinstance(p, PreferencePair) and p.round == made.round for p in pairs)
        run = read_run(bench.workspace.runs / made.sampled_run)
        assert run.scorecard.cases * run.scorecard.samples == made.samples == 60
        assert sum(made.outcomes.values()) == 60
        validation = read_run(bench.workspace.runs / made.validation_run).scorecard
        assert validation.metrics["pass@1"].value == made.validation.value == made.gain.after
        assert set(made.seconds) == {"sample", "pair", "train", "validate"}
    first, second = found.rounds
    assert (first.gain.before, second.gain.before) == (found.start.value, first.validation.value)
    config = load_manifest(bench.workspace.patches / second.patch).config
    assert config["start"] == first.patch
    assert bench.workspace.verify() == []


def test_the_kept_patch_is_the_chosen_rounds_for_the_base(
    bench: Bench, refined: PatchManifest
) -> None:
    found = account(refined)
    values = [made.validation.value for made in found.rounds]
    assert found.chosen_round == values.index(max(values)) + 1
    chosen = load_manifest(bench.workspace.patches / found.rounds[found.chosen_round - 1].patch)
    assert (refined.verb, refined.technique, refined.base) == ("refine", "refine", bench.base)
    assert refined.files == chosen.files
    assert chosen.verb == "round"
    assert refined.id.startswith("refine-")


def test_the_test_share_is_looked_at_once_at_the_end(bench: Bench, refined: PatchManifest) -> None:
    found = account(refined)
    asked = [e.inputs["suite"] for e in bench.entries("eval")]
    kinds = [name.rpartition(" ")[2] for name in asked][:7]
    assert kinds == ["(validation)", "(train)", "(validation)", "(train)", "(validation)",
                     "(test)", "(test)"]  # fmt: skip
    assert set(found.test) == {"letters (test)/pass@1"}
    assert all(c.verdict_before != c.verdict_after for c in found.changed)
    kept = f"{bench.base}+{refined.id}"
    ((_, after),) = pair_runs(bench.workspace, bench.base, kept)
    assert after.scorecard.metrics["pass@1"].value == found.test["letters (test)/pass@1"].after


def test_the_same_again_and_more_rounds_start_from_what_is_there(
    bench: Bench, refined: PatchManifest
) -> None:
    trained: list[Event] = []

    def listen(event: Event) -> None:
        if event.stage == "train":
            trained.append(event)

    assert bench.refine(on_event=listen).id == refined.id
    assert trained == []
    longer = bench.refine(config=Config(**SETTINGS | {"rounds": 3, "epsilon": 0.0}))
    found = account(longer).rounds
    assert [r.patch for r in found][:2] == [r.patch for r in account(refined).rounds]
    assert len(bench.entries("round")) == len(found)
    assert bench.workspace.verify() == []


def test_the_plan_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    plan = plan_refining(workspace, bench.base, [bench.suite], Config(**SETTINGS), limit=6)
    assert plan["train"] == {"letters (train)": 6}
    assert plan["samples_a_round"] == 30
    assert workspace.ledger.entries() == []
    assert list(workspace.runs.iterdir()) == []


def test_named_suites_are_kept_apart(bench: Bench) -> None:
    near = write_suite(bench.folder, "near", range(10, 24))
    plan = plan_refining(
        bench.workspace, bench.base, [bench.suite], Config(**SETTINGS), validate_on=near
    )
    # Training gets three quarters; the prompts 10 to 19 that are validated on leave it.
    assert plan["validation"] == {"near": 14}
    assert plan["train"]["letters (train)"] + plan["left_out"] == 15
    assert plan["left_out"] > 0
    assert plan["test"]["letters (test)"] < 5
    with pytest.raises(UsageError, match="cannot be tested on"):
        plan_refining(
            bench.workspace, bench.base, [bench.suite], Config(**SETTINGS), validate_on=near,
            test_on=bench.suite,
        )  # fmt: skip
    with pytest.raises(UsageError, match="each once"):
        plan_refining(bench.workspace, bench.base, [near, near], Config(**SETTINGS))


def test_suites_are_pooled_and_tested_apart(bench: Bench) -> None:
    other = write_suite(bench.folder, "other", range(80, 100))
    found = account(bench.refine(bench.suite, other, limit=10, config=SHORT))
    assert found.shares == {"train": 10, "validation": 8, "test": 8}
    assert set(found.test) == {"letters (test)/pass@1", "other (test)/pass@1"}
    _, pairs = read_corpus(bench.workspace.corpora / found.rounds[0].pairs_corpus)
    owners = {p.case.partition("/")[0] for p in pairs if isinstance(p, PreferencePair)}
    assert owners == {"letters (train)", "other (train)"}


def test_patches_of_the_base_stay_below_and_guards_stay_out(bench: Bench) -> None:
    from codetemper.models.attach import save_trained, training_adapter

    workspace = bench.workspace
    with workspace.staged("patches") as folder:
        with training_adapter(bench.handle.loaded, lora()) as wrapped:
            save_trained(wrapped, folder, base=bench.base)
        below = load_manifest(as_patch(folder, bench.handle.loaded))
        home = workspace.settle(folder, "patches", below.id)
    workspace.ledger.append("tune", outputs={f"patch:{below.id}": digest_folder(home)})
    guard = settled(workspace, bench.handle, steps=2)
    model = f"{bench.base}+{below.id}"
    made = bench.refine(model=model, guards=[guard.id[:9]], config=SHORT)
    assert made.base == model
    assert made.config["guards"] == [guard.id]
    (done,) = account(made).rounds
    assert load_manifest(workspace.patches / done.patch).report["guards"] == [guard.id]
    plain = bench.refine(model=model, config=SHORT)
    assert account(plain).rounds[0].pairs_corpus != ""
    assert plain.files != made.files
    with models.load_model(workspace, f"{model}+{made.id}") as handle:
        assert handle.digest != bench.handle.digest
    assert bench.workspace.verify() == []


def test_a_humans_choice_is_learnt_from(bench: Bench, refined: PatchManifest) -> None:
    first = account(refined).rounds[0]
    _, pairs = read_corpus(bench.workspace.corpora / first.pairs_corpus)
    pair = next(p for p in pairs if isinstance(p, PreferencePair))
    turned = pair.model_copy(
        update={"chosen": pair.rejected, "rejected": pair.chosen, "because": "human", "id": "mine"}
    )
    workspace = bench.workspace
    with workspace.staged("corpora") as folder:
        card = write_corpus(folder, [turned], verb="review")
        home = workspace.settle(folder, "corpora", card.id)
    workspace.ledger.append("review", outputs={f"corpus:{card.id}": digest_folder(home)})
    made = account(bench.refine(choices=card.id, config=SHORT)).rounds[0]
    _, learnt = read_corpus(workspace.corpora / made.pairs_corpus)
    assert made.pairs["human"] == 1
    assert (turned.chosen, turned.rejected) in {(p.chosen, p.rejected) for p in learnt}  # type: ignore[attr-defined]
    with pytest.raises(UsageError):
        bench.refine(choices=first.pairs_corpus)


def test_more_samples_go_to_prompts_that_need_them(bench: Bench) -> None:
    config = Config(**SETTINGS | {"rounds": 1, "samples": 2, "more_samples": 3})
    made = account(bench.refine(config=config)).rounds[0]
    assert made.prompts == 12
    assert 24 < made.samples < 60
    assert (made.samples - 24) % 3 == 0
    card = read_corpus(bench.workspace.corpora / made.pairs_corpus)[0]
    assert len(card.sources) == 2


def test_it_ends_where_a_later_round_has_nothing_to_learn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = refining_rounds.Rounds.made

    def once(self: Any, number: int, *given: Any) -> Round | str:
        return made(self, number, *given) if number == 1 else "nothing is wrong: all pass"

    monkeypatch.setattr(refining_rounds.Rounds, "made", once)
    found = account(bench.refine(limit=8))
    assert found.stop == "nothing is wrong: all pass"
    assert len(found.rounds) == found.chosen_round == 1


EVERYTHING = (*map(chr, range(0x250)), "\ufffd")


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("failing", {"says": "fail"}, "nothing is right: all 15 samples of 3 prompts fail"),
        ("passing", {"says": "pass"}, "nothing is wrong: all 15 samples"),
        ("silent", {"says": "unknown"}, "nothing says what is right: of all 15 samples"),
        ("empty", {"case": {"stop": EVERYTHING}}, "the model writes nothing: all 15 samples"),
    ],
)
def test_nothing_to_learn_is_said_and_recorded(
    bench: Bench, name: str, changes: dict[str, Any], why: str
) -> None:
    suite = write_suite(bench.folder, name, range(5), **changes)
    with pytest.raises(UsageError, match="nothing to refine on") as error:
        bench.refine(suite)
    assert why in error.value.why
    assert why in bench.entries("refine")[-1].note
    sampled = bench.entries("eval")[-1]
    assert sampled.inputs["suite"] == f"{name} (train)"
    assert bench.workspace.verify() == []


def test_a_suite_without_tests_is_refused_before_anything_is_drawn(bench: Bench) -> None:
    suite = write_suite(bench.folder, "untested", range(9), metrics=("valid@1",))
    before = len(bench.workspace.ledger.entries())
    with pytest.raises(UsageError, match="cannot say which answers are right"):
        bench.refine(suite)
    assert len(bench.workspace.ledger.entries()) == before


def test_a_judge_that_breaks_down_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codetemper.evaluate import harness
    from tests import letters

    judge = letters.judge
    asked = [0]

    def breaks(items: Any, **given: Any) -> Any:
        asked[0] += 1
        if asked[0] == 3:
            raise RuntimeError("the disk of the tests is gone")
        return judge(items, **given)

    monkeypatch.setattr(harness, "JUDGED", 4)
    monkeypatch.setattr(letters, "judge", breaks)
    suite = write_suite(bench.folder, "fragile", range(30, 50))
    with pytest.raises(CannotKnowError, match="judge 'letters' broke down") as error:
        bench.refine(suite, config=SHORT)
    assert "RuntimeError: the disk of the tests is gone" in error.value.why
    assert bench.workspace.verify() == []
    drawn: list[Event] = []

    def listen(event: Event) -> None:
        if event.stage == "generate":
            drawn.append(event)

    assert account(bench.refine(suite, config=SHORT, on_event=listen)).rounds
    assert (drawn[0].done, drawn[0].total) == (20, 20)


def test_a_disk_that_fills_in_mid_round_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = write_suite(bench.folder, "large", range(60, 80))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for place in ("write_corpus", "settle_patch"):
        with monkeypatch.context() as patching:
            patching.setattr(refining_rounds, place, full)
            with pytest.raises(UsageError, match="disk is full"):
                bench.refine(suite, config=SHORT)
        assert bench.workspace.verify() == []
        assert list((bench.workspace.home / "tmp").iterdir()) == []
    assert account(bench.refine(suite, config=SHORT)).rounds


def test_two_processes_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one process"):
        bench.refine()
