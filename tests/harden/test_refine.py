# SPDX-License-Identifier: Apache-2.0
"""One round of ``refine`` on a tiny model: what it starts from, learns, leaves and goes on with."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Answer, Event
from codetemper.harden._trainer import newest_checkpoint
from codetemper.harden.refine import RefineResult, refine
from codetemper.models.attach import attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.harden.guards import make_guard
from tests.harden.material import loaded
from tests.harden.preferences import FAST, PAIRS, pair, run

LOG_2 = math.log(2)
PURE = FAST.model_copy(update={"nll": 0.0})
ADAPTER = "adapter_model.safetensors"


@dataclass
class Rounds:
    """Two rounds that several tests look at."""

    model: LoadedModel
    first: Path
    second: Path
    results: tuple[RefineResult, RefineResult]
    events: list[Event]


@pytest.fixture(scope="module", params=["lora", "full"])
def rounds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    model, folder = loaded(), tmp_path_factory.mktemp("rounds")
    rate = 1e-2 if request.param == "lora" else 1e-3
    config = PURE.model_copy(update={"method": request.param, "learning_rate": rate})
    events: list[Event] = []
    first = run(model, folder / "1", config, on_event=events.append)
    second = run(model, folder / "2", config, start=folder / "1")
    return Rounds(model, folder / "1", folder / "2", (first, second), events)


def test_each_round_starts_at_log_2_and_prefers_better(rounds: Rounds) -> None:
    for result in rounds.results:
        assert abs(result.losses[0][1] - LOG_2) < 1e-5
        assert result.losses[-1][1] < LOG_2 - 0.1
        before, after = (
            better - worse
            for better, worse in zip(result.chosen_logprob, result.rejected_logprob, strict=True)
        )
        assert after > before
    first, second = rounds.results
    assert (first.pairs, first.steps, first.shared) == (8, 8, True)
    assert second.chosen_logprob[0] == pytest.approx(first.chosen_logprob[1], abs=1e-5)
    assert {event.stage for event in rounds.events} == {"reference", "train"}
    assert first.report()["losses"] == [list(entry) for entry in first.losses]


def test_the_base_is_what_it_was_and_the_second_round_replaces_the_first(rounds: Rounds) -> None:
    module = rounds.model.module
    assert weights_digest(module) == rounds.model.digest
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        base = module(input_ids=ids).logits
        found = []
        for folder in (rounds.first, rounds.second):
            with attached(rounds.model, folder):
                found.append(module(input_ids=ids).logits)
        assert torch.equal(module(input_ids=ids).logits, base)
    assert not torch.equal(found[0], found[1])


def test_the_base_as_reference_is_the_base(rounds: Rounds, tmp_path: Path) -> None:
    """A round that goes on from another one is no longer where the base was."""
    method = "lora" if (rounds.first / ADAPTER).is_file() else "full"
    changes = {"method": method, "learning_rate": 1e-4, "reference": "base", "epochs": 1}
    result = run(rounds.model, tmp_path / "p", PURE.model_copy(update=changes), start=rounds.first)
    assert result.losses[0][1] < LOG_2 - 0.1


def test_a_start_of_another_form_is_refused(rounds: Rounds, tmp_path: Path) -> None:
    other = PURE.model_copy(update={"rank": 2})
    with pytest.raises(UsageError, match="cannot start"):
        run(rounds.model, tmp_path / "p", other, start=rounds.first)
    assert weights_digest(rounds.model.module) == rounds.model.digest


def test_likelihood_is_kept_by_its_term_and_winners_only_learn_no_losers(tmp_path: Path) -> None:
    found = {}
    for name, changes in {
        "dpo": {"nll": 1.0}, "bare": {"nll": 0.0}, "sft": {"loss": "sft"}
    }.items():  # fmt: skip
        found[name] = run(loaded(), tmp_path / name, FAST.model_copy(update=changes))
    better = {name: result.chosen_logprob[1] for name, result in found.items()}
    assert better["dpo"] > better["bare"]
    assert better["sft"] > better["bare"]
    assert found["sft"].losses[0][1] > 2.0
    assert found["sft"].rejected_logprob[1] > found["dpo"].rejected_logprob[1]


def test_a_broken_run_goes_on_to_the_same_patch(tmp_path: Path) -> None:
    whole = run(loaded(), tmp_path / "whole")

    class BrokenError(Exception):
        pass

    def stop(event: Event) -> None:
        if event.stage == "train" and event.done == 5:
            raise BrokenError

    (tmp_path / "parts").mkdir()
    kept = tmp_path / "kept"
    given = {"checkpoints": kept, "checkpoint_seconds": 0.0}
    with pytest.raises(BrokenError):
        refine(loaded(), PAIRS, FAST, tmp_path / "parts", **given, on_event=stop)  # type: ignore[arg-type]
    assert newest_checkpoint(kept) is not None
    (tmp_path / "parts").rmdir()
    stages: list[str] = []
    result = run(
        loaded(), tmp_path / "parts", **given, on_event=lambda event: stages.append(event.stage)
    )
    # Asked again is only what the finished patch does; the reference is kept.
    assert stages.index("train") == 0
    assert (result.steps, result.losses) == (whole.steps, whole.losses)
    assert (tmp_path / "parts" / ADAPTER).read_bytes() == (
        tmp_path / "whole" / ADAPTER
    ).read_bytes()


def test_what_the_reference_said_is_kept_by_content(tmp_path: Path) -> None:
    given = {"reference_cache": tmp_path / "references"}
    run(loaded(), tmp_path / "1", PURE, **given)
    (file,) = given["reference_cache"].iterdir()
    before = file.read_bytes()
    run(loaded(), tmp_path / "2", PURE, **given)
    assert [path.read_bytes() for path in given["reference_cache"].iterdir()] == [before]
    run(loaded(), tmp_path / "3", PURE, PAIRS[:4], **given)
    run(loaded(), tmp_path / "4", PURE, start=tmp_path / "1", **given)
    assert len(list(given["reference_cache"].iterdir())) == 3


def test_guards_are_on_while_training_and_stay_as_they_are(tmp_path: Path) -> None:
    model = loaded()
    guard = tmp_path / "guard"
    make_guard(model, guard)
    before = (guard / ADAPTER).read_bytes()
    result = run(model, tmp_path / "p", PURE, guards=[guard])
    free = run(loaded(), tmp_path / "free", PURE)
    assert abs(result.losses[0][1] - LOG_2) < 1e-5
    assert result.losses[-1][1] != free.losses[-1][1]
    assert len(result.guards) == 1
    # Before the first step the model in use is the base, guards or not.
    assert result.chosen_logprob[0] == pytest.approx(free.chosen_logprob[0], abs=1e-5)
    assert (guard / ADAPTER).read_bytes() == before
    assert weights_digest(model.module) == model.digest
    assert not any("guard" in name for name in load_file(tmp_path / "p" / ADAPTER))


def test_nothing_to_learn_is_refused_and_long_pairs_are_counted(tmp_path: Path) -> None:
    long = pair(90, chosen="x = 1\n" * 40)
    for pairs in ([], [long]):
        with pytest.raises(UsageError, match="nothing to refine on"):
            refine(loaded(), pairs, FAST, tmp_path)
    result = run(loaded(), tmp_path / "p", FAST.model_copy(update={"epochs": 1}), [*PAIRS, long])
    assert (result.pairs, result.skipped) == (8, 1)


def test_a_diverged_round_is_refused(tmp_path: Path) -> None:
    model = loaded()
    wild = FAST.model_copy(update={"learning_rate": 1e30, "scheduler": "constant_with_warmup"})
    with pytest.raises(UsageError, match="no longer a number"):
        run(model, tmp_path / "p", wild)
    assert weights_digest(model.module) == model.digest


ALONE = tuple(
    Answer(
        id=f"a{number}", case=f"x{number}", prompt=f"def f_{number}(a):\n",
        text=f"    return a * {number}\n", language="python", good=number % 2 == 0,
    )
    for number in range(5)
)  # fmt: skip


@pytest.mark.parametrize("method", ["lora", "full"])
def test_kto_learns_from_answers_in_no_pair(method: str, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    model = loaded()
    rate = 1e-2 if method == "lora" else 1e-3
    changes = {"loss": "kto", "method": method, "learning_rate": rate, "epochs": 8}
    config = FAST.model_copy(update=changes)
    result = run(model, tmp_path / "p", config, PAIRS[:4], unpaired=ALONE)
    # 1 - sigmoid(0): model and reference are the same.
    assert abs(result.losses[0][1] - 0.5) < 1e-5
    assert sum(loss for _, loss in result.losses[-3:]) / 3 < 0.48
    assert (result.pairs, result.unpaired) == (4, 5)
    assert result.chosen_logprob[1] - result.rejected_logprob[1] > (
        result.chosen_logprob[0] - result.rejected_logprob[0]
    )
    assert weights_digest(model.module) == model.digest
    assert model.module.config.to_dict() == loaded().module.config.to_dict()


def test_kto_without_trl_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FAST.model_copy(update={"loss": "kto"})
    with pytest.raises(UsageError, match="one answer at a time"):
        run(loaded(), tmp_path / "one", config.model_copy(update={"batch_size": 1}))
    monkeypatch.setitem(sys.modules, "trl.trainer.kto_trainer", None)
    with pytest.raises(CannotKnowError) as error:
        run(loaded(), tmp_path / "none", config)
    assert "codetemper[kto]" in error.value.mend
