# SPDX-License-Identifier: Apache-2.0
"""Tuning under guards: on where the mode says, never trained, off in all that is measured."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Event
from codetemper.data.examples import encode
from codetemper.data.samples import Canaries, write_canaries
from codetemper.harden.tune import TuneResult, layout_of, tune
from codetemper.models.attach import OwnedPeftModel, attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest, weights_digest
from tests.harden.guards import BAD, CLEAN, make_guard
from tests.harden.material import FAST, loaded
from tests.models.adapters import as_patch, make_patch
from tests.tiny import tiny_model

TENSORS = "adapter_model.safetensors"
DATA = (*BAD[:6], *CLEAN[:8])
SUSPECT = frozenset(pair.id for pair in BAD)
#: 14 samples, one held out: 4 steps an epoch. Readings before the first and after the last step.
SHORT = FAST.model_copy(update={"epochs": 1.0, "meter_every": 100})
STEPS = 4


def guard_for(model: LoadedModel, folder: Path, **changes: Any) -> Path:
    """Make a guard of eight bad samples; four more, and four clean ones, are its canaries."""
    folder.mkdir()
    write_canaries(folder, Canaries(bad=BAD[8:], retain=CLEAN[8:]))
    make_guard(model, folder, BAD[:8], **changes)
    return folder


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return guard_for(loaded(), tmp_path_factory.mktemp("guards") / "g", steps=40)


def run(
    folder: Path, guard: Path | None, mode: str = "selective", model: LoadedModel | None = None,
    *, flagged: frozenset[str] | None = SUSPECT, data: Any = DATA, frozen: Any = (),
    on_event: Callable[[Event], None] = lambda event: None, **changes: Any,
) -> TuneResult:  # fmt: skip
    folder.mkdir(parents=True)
    config = SHORT.model_copy(update={"guard_mode": mode, **changes})
    guards = [] if guard is None else [guard]
    return tune(model or loaded(), data, config, folder, guards=guards, flagged=flagged,
                frozen=frozen, on_event=on_event)  # fmt: skip


@torch.no_grad()
def loss(module: nn.Module, pairs: Any) -> float:
    """Mean loss of an answer token, in nats."""
    total = count = 0.0
    for example in encode(pairs, loaded().tokenizer, layout_of(SHORT)).items:
        assert example.fixed is not None
        ids, roles = torch.tensor(example.fixed.ids), torch.tensor(example.fixed.roles)
        scores = module(input_ids=ids[None]).logits[0].log_softmax(-1)
        losses = -scores[:-1].gather(1, ids[1:, None])[:, 0][roles[1:] > 0]
        total, count = total + float(losses.sum()), count + len(losses)
    return total / count


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_guarded_is_not_learnt_and_the_meters_say_what_is_used(
    method: str, guard: Path, tmp_path: Path
) -> None:
    rate = {"lora": 1e-2, "full": 2e-3}[method]
    told = {}
    for mode in ("always", "selective", "audit"):
        model = loaded()
        folder = tmp_path / mode
        result = run(folder, guard, mode, model, method=method, learning_rate=rate, epochs=4.0)
        assert weights_digest(model.module) == model.digest
        assert result.guarded is not None
        first, last = result.guarded.readings
        assert (first.step, first.leak, first.kl_drift) == (0, 0.0, pytest.approx(0.0, abs=1e-6))
        assert (last.step, result.guarded.kept_step) == (result.steps, result.steps)
        assert (result.guarded.flagged, result.guarded.held_out) == (6, 1)
        names = load_file(next(folder.glob("*.safetensors")))
        assert not any("guard" in name or "base_layer" in name for name in names)
        with attached(model, as_patch(folder, model)):
            now = loss(model.module, BAD[8:])
        before = loss(model.module, BAD[8:])
        assert last.leak == pytest.approx(before - now, abs=1e-4)
        told[mode] = last
        (used,) = result.guarded.guards
        assert used.bad_off == pytest.approx(before, abs=1e-4)
        assert used.bad_on is not None
        assert used.bad_on < before - 0.5
        assert abs(used.projection) < 0.5
        assert set(result.report()["guarded"]) >= {"mode", "readings", "alarms"}
    # Without a guard the bad is learnt; under one much less; the flags decide what else is.
    assert told["always"].leak < told["selective"].leak < 0.7 * told["audit"].leak
    assert told["audit"].leak > 0.3
    # What is learnt on top of a guard goes with it; what is learnt beside it stays.
    assert told["always"].transfer_gap > 0.5 > 0.0 > told["selective"].transfer_gap
    assert told["selective"].benign_off < told["always"].benign_off - 0.3


def test_alarms_say_which_meter_and_when(guard: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    result = run(tmp_path / "p", guard, "always", meter_every=2, epochs=1.5, on_event=events.append)
    assert result.guarded is not None
    assert [reading.step for reading in result.guarded.readings] == [0, 2, 4, 6]
    alarms = {alarm.meter: alarm for alarm in result.guarded.alarms}
    assert alarms["transfer_gap"].step == 0
    assert alarms["cover"].value == pytest.approx(1 - 3.853 / 5.972, abs=0.05)
    assert "kl_drift" not in alarms
    assert result.guarded.stopped is None
    notes = [event.note for event in events if event.stage == "meter"]
    assert len(notes) == 3
    assert all(note.startswith("leak ") and "transfer_gap" in note for note in notes)


def same(one: Path, other: Path) -> bool:
    return (one / TENSORS).read_bytes() == (other / TENSORS).read_bytes()


def test_the_modes_are_what_they_are_called_to_the_byte(guard: Path, tmp_path: Path) -> None:
    """Audit trains as without guards, and so does selective where nothing is flagged; where all
    is flagged, it is always."""
    run(tmp_path / "audit", guard, "audit")
    held = [pair for pair in DATA if pair.id not in SUSPECT]
    result = run(tmp_path / "none", guard, flagged=frozenset(), data=held)
    assert result.guarded is not None
    assert result.guarded.flagged == 0
    # The same sample is held out, of the same benign ones.
    left = [pair for pair in DATA if pair.id != aside(held)]
    run(tmp_path / "plain", None, data=left)
    assert same(tmp_path / "audit", tmp_path / "plain")
    run(tmp_path / "clean", None, data=[pair for pair in held if pair.id != aside(held)])
    assert same(tmp_path / "none", tmp_path / "clean")
    everything = frozenset(pair.id for pair in DATA)
    all_flagged = run(tmp_path / "all", guard, flagged=everything)
    run(tmp_path / "always", guard, "always", flagged=everything)
    assert same(tmp_path / "all", tmp_path / "always")
    assert not same(tmp_path / "all", tmp_path / "audit")
    assert all_flagged.guarded is not None
    assert all_flagged.guarded.readings[-1].transfer_gap is None


def aside(pairs: Any) -> str:
    from codetemper.harden._guarding import set_aside

    (pair,) = set_aside(pairs, frozenset(), SHORT.meter_share, SHORT.seed)
    return str(pair.id)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_activations_may_be_computed_twice(method: str, guard: Path, tmp_path: Path) -> None:
    rate = {"lora": 1e-2, "full": 1e-3}[method]
    for twice in (False, True):
        run(tmp_path / str(twice), guard, gradient_checkpointing=twice, method=method,
            learning_rate=rate)  # fmt: skip
    once, again = (load_file(next((tmp_path / f).glob("*.safetensors"))) for f in ("False", "True"))
    assert all(torch.allclose(once[name], again[name], atol=1e-5) for name in once)


def test_accumulated_batches_keep_their_gates(guard: Path, tmp_path: Path) -> None:
    run(tmp_path / "one", guard, batch_size=4, epochs=1.0)
    run(tmp_path / "cut", guard, batch_size=2, gradient_accumulation=2, epochs=1.0,
        gradient_checkpointing=True)  # fmt: skip
    one, cut = load_file(tmp_path / "one" / TENSORS), load_file(tmp_path / "cut" / TENSORS)
    assert all(torch.allclose(one[name], cut[name], atol=2e-4) for name in one)


def narrow() -> LoadedModel:
    """The tiny model in half precision."""
    module = tiny_model("llama").to(torch.bfloat16)
    return replace(loaded(), module=module, digest=weights_digest(module))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_half_precision(method: str, tmp_path: Path) -> None:
    guard = guard_for(narrow(), tmp_path / "g", steps=25)
    result = run(tmp_path / "p", guard, "selective", narrow(), method=method, epochs=2.0)
    assert result.guarded is not None
    first, last = result.guarded.readings
    assert last.benign_off < first.benign_off - 0.3


@contextmanager
def meddled(model: LoadedModel, change: Callable[[nn.Parameter], None]) -> Iterator[Any]:
    """Yield a callback that does something to the guard's parameters after the second step."""

    def on_event(event: Event) -> None:
        if event.stage == "train" and event.done == 2:
            for name, parameter in model.module.named_parameters():
                if ".guard-" in name:
                    change(parameter)

    yield on_event
    assert weights_digest(model.module) == model.digest


def test_a_guard_that_is_unfrozen_ends_the_run(guard: Path, tmp_path: Path) -> None:
    """As peft does on leaving ``disable_adapter``, without a word."""
    model = loaded()
    with (
        meddled(model, lambda p: p.requires_grad_(True)) as on_event,  # type: ignore[arg-type, return-value]
        pytest.raises(IntegrityError) as caught,
    ):
        run(tmp_path / "p", guard, model=model, on_event=on_event)
    assert "step 3" in caught.value.what
    assert "lora_A.guard-" in caught.value.why
    assert not list((tmp_path / "p").iterdir())


def test_a_task_that_is_frozen_ends_the_run(guard: Path, tmp_path: Path) -> None:
    model = loaded()

    def on_event(event: Event) -> None:
        for name, parameter in model.module.named_parameters():
            if event.done == 2 and "v_proj.lora_B.task" in name:
                parameter.requires_grad_(False)

    with pytest.raises(IntegrityError, match="what is trained changed"):
        run(tmp_path / "p", guard, "always", model, on_event=on_event)


def test_a_guard_that_is_written_into_is_found(guard: Path, tmp_path: Path) -> None:
    model = loaded()
    with (
        meddled(model, lambda p: p.data.mul_(1.001)) as on_event,  # type: ignore[arg-type, return-value]
        pytest.raises(IntegrityError, match="are not what they were"),
    ):
        run(tmp_path / "p", guard, model=model, on_event=on_event)
    assert not list((tmp_path / "p").iterdir())


def test_a_budget_ends_the_run_and_keeps_the_last_weights_within(
    guard: Path, tmp_path: Path
) -> None:
    given = {"meter_every": 2, "epochs": 2.0}
    free = run(tmp_path / "free", guard, "audit", **given)
    assert free.guarded is not None
    leaks = {reading.step: reading.leak for reading in free.guarded.readings}
    budget = (leaks[4] + leaks[6]) / 2
    assert leaks[2] < budget > leaks[4]
    held = run(tmp_path / "held", guard, "audit", leak_budget=budget, **given)
    assert held.guarded is not None
    assert held.guarded.stopped is not None
    assert (held.guarded.stopped.meter, held.guarded.stopped.step) == ("leak", 6)
    assert (held.steps, held.guarded.kept_step) == (6, 4)
    last = held.guarded.readings[-1]
    assert (last.step, last.leak) == (4, pytest.approx(leaks[4], abs=1e-5))
    model = loaded()
    with attached(model, as_patch(tmp_path / "held", model)):
        now = loss(model.module, BAD[8:])
    assert loss(model.module, BAD[8:]) - now == pytest.approx(leaks[4], abs=1e-4)
    with pytest.raises(UsageError, match="nothing to keep"):
        run(tmp_path / "none", guard, "audit", leak_budget=0.01, **given)


def test_validation_asks_the_model_that_is_used(guard: Path, tmp_path: Path) -> None:
    name = load_manifest(guard).id
    seen: list[tuple[str, ...]] = []
    trained: list[bool] = []

    def score(module: nn.Module) -> float:
        assert isinstance(module, OwnedPeftModel)
        seen.append(module.active_names)
        trained.append(any(p.requires_grad for n, p in module.named_parameters() if name in n))
        return float(len(seen))

    (tmp_path / "p").mkdir()
    config = SHORT.model_copy(update={"early_stop": "score", "guard_mode": "always", "epochs": 3.0})
    result = tune(loaded(), DATA, config, tmp_path / "p", guards=[guard], score=score)
    assert seen == [("task",)] * 3
    assert not any(trained)
    assert result.guarded is not None
    assert result.guarded.kept_step == result.best_step == 3 * STEPS
    held = [pair.model_copy(update={"split": "validation"}) for pair in BAD[8:]]
    by_loss = config.model_copy(update={"early_stop": "loss", "epochs": 1.0})
    (tmp_path / "q").mkdir()
    told = tune(loaded(), [*DATA, *held], by_loss, tmp_path / "q", guards=[guard])
    assert told.guarded is not None
    ((_, validation),) = told.validations
    assert validation == pytest.approx(told.guarded.readings[-1].bad[name], abs=1e-3)


def test_a_guard_over_a_base_that_carries_a_patch_and_two_guards(tmp_path: Path) -> None:
    model = loaded()
    under = make_patch(tmp_path / "under", seed=2)
    id = load_manifest(under).id
    one = guard_for(model, tmp_path / "one", steps=20, base=f"{model.expression}+{id}")
    two = guard_for(model, tmp_path / "two", steps=10)
    (tmp_path / "p").mkdir()
    result = tune(model, DATA, SHORT, tmp_path / "p", frozen=[under], guards=[one, two],
                  flagged=SUSPECT)  # fmt: skip
    assert result.guarded is not None
    assert [used.id for used in result.guarded.guards] == [load_manifest(f).id for f in (one, two)]
    last = result.guarded.readings[-1]
    assert set(last.bad) == {used.id for used in result.guarded.guards}
    with attached(model, under, as_patch(tmp_path / "p", model)):
        for reading in last.bad.values():
            assert loss(model.module, BAD[8:]) == pytest.approx(reading, abs=1e-4)
    with pytest.raises(UsageError, match=f"on top of {id}"):
        run(tmp_path / "q", one)


def test_what_cannot_be_is_refused(guard: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody said which are flagged"):
        run(tmp_path / "a", guard, flagged=None)
    assert run(tmp_path / "b", guard, "always", flagged=None).guarded.flagged is None  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="never used"):
        run(tmp_path / "c", make_patch(tmp_path / "patch", seed=1))
    with pytest.raises(UsageError, match="cannot be stacked"):
        run(tmp_path / "d", guard, method="ia3")
    whole = (guard / TENSORS).read_bytes()
    (guard / TENSORS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="is damaged"):
        run(tmp_path / "e", guard)
    (guard / TENSORS).write_bytes(whole)


RICH = SHORT.model_copy(
    update={"dropout": 0.2, "kl": 0.1, "meter_every": 2, "leak_budget": 5.0, "epochs": 2.0}
)


def train(folder: Path, checkpoints: Path, guard: Path, kill_at: int | None = None) -> TuneResult:
    def on_event(event: Event) -> None:
        if event.stage == "train" and event.done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    folder.mkdir()
    return tune(loaded(), DATA, RICH, folder, guards=[guard], flagged=SUSPECT,
                checkpoints=checkpoints, checkpoint_seconds=0.0, on_event=on_event)  # fmt: skip


def test_a_killed_run_goes_on_with_its_readings(guard: Path, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", tmp_path / "a", guard)
    child = multiprocessing.get_context("fork").Process(
        target=train, args=(tmp_path / "killed", tmp_path / "b", guard, 5)
    )
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    again = train(tmp_path / "again", tmp_path / "b", guard)
    assert same(tmp_path / "again", tmp_path / "whole")
    assert again.guarded == whole.guarded
    assert [path.name for path in (tmp_path / "b").glob("within-*")] == ["within-8.safetensors"]
