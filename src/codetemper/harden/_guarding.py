# SPDX-License-Identifier: Apache-2.0
"""What ``tune`` does about guards: where they are on, that they stay as they are, meters, an end.

    with guarding(training, guards, benign, config, ...) as watch:
        trainer = PairTrainer(training.module, arguments, Run(..., gate=watch.gate), watch)
        trainer.train()
        watch.settle(trainer)                 # the weights to keep; guards proved unchanged
        training.save(folder)
        watch.account(folder)                 # what was measured, for the manifest

A reading beyond a limit is an alarm. Where the limit is one that a setting names as a budget,
training ends, and the weights are those of the last reading that kept to all budgets. Readings are
in the trainer's history, and those weights beside its checkpoints: a run that was killed goes on
with both.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from codetemper.core.digests import digest_json
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Event, FixPair, OnEvent
from codetemper.data.examples import Example, Layout
from codetemper.harden._methods import Training
from codetemper.harden._settings import Config
from codetemper.harden._trainer import read_trained, write_trained
from codetemper.harden.meters import Meters, Reading
from codetemper.models.attach import OwnedPeftModel
from codetemper.models.gates import Gates, gates
from codetemper.models.guards import Guard
from codetemper.models.patch import tensor_digest
from codetemper.models.projection import projection

#: Where a meter raises an alarm, in nats a token, unless a budget says otherwise.
LIMITS = {"leak": 0.1, "transfer_gap": 0.1, "kl_drift": 0.5}
#: A guard that takes less than this share off its canaries' loss covers nothing on this model.
COVER = 0.5
#: Most samples that are held out to meter by.
_MOST = 64


@dataclass(frozen=True)
class Alarm:
    """A reading beyond its limit.

    Attributes:
        step: when.
        meter: which: ``leak``, ``transfer_gap``, ``kl_drift``; or ``cover``, where a guard hardly
            writes its own canaries on this model.
        value: what was read, in nats a token; of ``cover`` the share that the guard takes off.
        limit: what it should not be beyond.
    """

    step: int
    meter: str
    value: float
    limit: float


@dataclass(frozen=True)
class UsedGuard:
    """A guard in one training.

    Attributes:
        id: of its patch.
        digest: of its tensors as they were on the model, the same before and after.
        bad_off: mean loss of a token of its bad canaries before training, without guards, in nats;
            None where it has no canaries.
        bad_on: the same with this guard on.
        projection: how much of it is in the patch that was made; see ``models.projection``.
    """

    id: str
    digest: str
    bad_off: float | None
    bad_on: float | None
    projection: float


@dataclass(frozen=True)
class Guarded:
    """What tuning under guards was and did.

    Attributes:
        mode: ``always``, ``selective`` or ``audit``.
        guards: those that were used.
        flagged: pairs that are flagged, of those that could be learnt; None where nobody looked.
        held_out: samples that the transfer gap is told from.
        readings: the meters, from before the first step on; the last is of the weights kept.
        alarms: of each meter the first reading beyond its limit.
        stopped: the alarm that ended training; None where it ran to its end.
        kept_step: the step whose weights were kept.
    """

    mode: str
    guards: tuple[UsedGuard, ...]
    flagged: int | None
    held_out: int
    readings: tuple[Reading, ...]
    alarms: tuple[Alarm, ...]
    stopped: Alarm | None
    kept_step: int


def set_aside(
    pairs: Sequence[FixPair], flagged: Collection[str], share: float, seed: int
) -> list[FixPair]:
    """Choose what to meter by, and not to learn, among the pairs that are not flagged.

    Args:
        pairs: what could be learnt.
        flagged: ids of those that are flagged.
        share: of the others.
        seed: of the draw.

    Returns:
        One at least, where there are two, and at most 64.
    """
    benign = [pair for pair in pairs if pair.id not in flagged]
    count = min(_MOST, max(1, round(share * len(benign)))) if len(benign) > 1 else 0
    return random.Random(seed).sample(benign, count)  # noqa: S311


class Unwatched(TrainerCallback):  # type: ignore[misc]
    """What a training without guards has in the place of a ``Watch``: nothing happens.

    Attributes:
        gate: switches guards by token; None where they are on or off for all.
    """

    gate: Gates | None = None

    def settle(self, trainer: Trainer) -> None:
        """Put the weights to keep in place, and make sure that guards are what they were.

        Args:
            trainer: the one that this was handed to; its training is over.

        Raises:
            UsageError: the first reading was beyond a budget already.
            IntegrityError: something wrote into a frozen adapter.
        """

    def account(self, folder: Path, flagged: int | None, held_out: int) -> Guarded | None:
        """Return what was measured.

        Args:
            folder: with the tensors of the patch that was made.
            flagged: pairs that are flagged; None where nobody looked.
            held_out: samples that the transfer gap was told from.
        """
        return None


class Watch(Unwatched):
    """Reads the meters while a trainer works, and ends it where a budget is passed."""

    def __init__(
        self,
        training: Training,
        guards: Sequence[Guard],
        meters: Meters,
        config: Config,
        scratch: Path,
        gate: Gates | None,
        on_event: OnEvent,
    ) -> None:
        self._training, self._guards, self._meters = training, list(guards), meters
        self._config, self._scratch, self._on_event = config, scratch, on_event
        self.gate = gate
        budgets = {
            "leak": config.leak_budget,
            "transfer_gap": config.gap_budget,
            "kl_drift": config.drift_budget,
        }
        self._budgets = {name: value for name, value in budgets.items() if value is not None}
        self._digests = frozen_digests(training.module)
        self._first = meters.read(0)
        self._on = {g.id: meters.losses_of_bad((*training.shipped, g.id)) for g in self._guards}
        self._readings: list[Reading] = []
        self._stopped: Alarm | None = None
        self._kept_step = 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read the meters where it is time to."""
        epoch = math.ceil(state.max_steps / args.num_train_epochs)
        every = self._config.meter_every or max(1, epoch)
        if state.global_step % every and state.global_step < state.max_steps:
            return
        reading = self._read(state.global_step)
        # Part of every checkpoint.
        state.log_history.append({"step": reading.step, "reading": asdict(reading)})
        over = [alarm for alarm in self._beyond(reading) if alarm.meter in self._budgets]
        if over:
            control.should_training_stop = True
        elif self._budgets and state.is_world_process_zero:
            write_trained(self._training.module, self._weights(state.global_step))
            for path, step in self._stashed():
                if step < state.global_step:
                    path.unlink()

    def settle(self, trainer: Trainer) -> None:
        """Put the weights to keep in place, and make sure that guards are what they were."""
        state = trainer.state
        history = [e["reading"] for e in state.log_history if "reading" in e]
        self._readings = [self._first, *(Reading(**found) for found in history)]
        self._kept_step = state.best_global_step or state.global_step
        over = [a for a in self._beyond(self._readings[-1]) if a.meter in self._budgets]
        trainer.accelerator.wait_for_everyone()
        if over:
            self._stopped = over[0]
            self._go_back(over[0])
        if self._readings[-1].step != self._kept_step:
            self._readings.append(self._read(self._kept_step))
        refuse_written(self._training.module, self._digests)

    def _go_back(self, alarm: Alarm) -> None:
        path, step = max(self._stashed(), key=lambda found: found[1], default=(None, 0))
        if path is None:
            raise UsageError(
                f"tuning was ended at step {alarm.step} with nothing to keep",
                why=f"the first reading of {alarm.meter} was {alarm.value:.3f} already, beyond the "
                f"budget of {alarm.limit:g} nats a token",
                mend="-o meter_every=N for earlier readings, -o learning_rate=R for smaller steps, "
                "or another --guard-mode",
            )
        # A validation may have chosen weights from before.
        if self._kept_step > step:
            read_trained(self._training.module, path)
            self._kept_step = step

    def account(self, folder: Path, flagged: int | None, held_out: int) -> Guarded:
        """Return what was measured."""
        module, used = self._training.module, []
        for guard in self._guards:
            with self._training.as_base():
                share = projection(folder, guard.folder, module)
            off, on = self._first.bad.get(guard.id), self._on[guard.id].get(guard.id)
            used.append(UsedGuard(guard.id, self._digests[guard.id], off, on, share))
        alarms: dict[str, Alarm] = {}
        for alarm in (alarm for reading in self._readings for alarm in self._beyond(reading)):
            alarms.setdefault(alarm.meter, alarm)
        return Guarded(
            mode=self._config.guard_mode,
            guards=tuple(used),
            flagged=flagged,
            held_out=held_out,
            readings=tuple(self._readings),
            alarms=(*self._uncovered(used), *alarms.values()),
            stopped=self._stopped,
            kept_step=self._kept_step,
        )

    def _read(self, step: int) -> Reading:
        if self.gate is not None:
            self.gate.set(None)
        found = [self._meters.read(step)]
        # All processes have the same weights, and must decide alike to the last bit.
        reading: Reading = broadcast_object_list(found)[0]
        told = (getattr(reading, name) for name in LIMITS)
        values = zip(LIMITS, told, strict=True)
        note = ", ".join(f"{n} {value:.3f}" for n, value in values if value is not None)
        self._on_event(Event(stage="meter", done=step, unit="steps", note=note))
        return reading

    def _beyond(self, reading: Reading) -> list[Alarm]:
        found = []
        for name, usual in LIMITS.items():
            value, limit = getattr(reading, name), self._budgets.get(name, usual)
            if value is not None and value > limit:
                found.append(Alarm(reading.step, name, value, limit))
        return found

    def _uncovered(self, used: Sequence[UsedGuard]) -> list[Alarm]:
        found = []
        for guard in used:
            if guard.bad_on is not None and guard.bad_off:
                share = 1 - guard.bad_on / guard.bad_off
                if share < COVER:
                    found.append(Alarm(0, "cover", share, COVER))
        return found

    def _weights(self, step: int) -> Path:
        return self._scratch / f"within-{step}.safetensors"

    def _stashed(self) -> list[tuple[Path, int]]:
        found = self._scratch.glob("within-*.safetensors")
        return [(path, int(path.stem.removeprefix("within-"))) for path in found]


def refuse_written(module: object, before: Mapping[str, str]) -> None:
    """Refuse a training that wrote into adapters that were frozen.

    Args:
        module: that was trained.
        before: ``frozen_digests`` of it, taken before.

    Raises:
        IntegrityError: names the adapters.
    """
    changed = [name for name, found in frozen_digests(module).items() if found != before[name]]
    if changed:
        raise IntegrityError(
            f"the tensors of {', '.join(changed)} are not what they were",
            why="something wrote into a frozen adapter while a task was trained",
            mend="train again without other callbacks; the patch folders are untouched",
        )


def frozen_digests(module: object) -> dict[str, str]:
    """Return one digest for the tensors of each frozen adapter, by its name."""
    if not isinstance(module, OwnedPeftModel):
        return {}
    found: dict[str, list[list[str]]] = {}
    for name, parameter in module.named_parameters():
        for adapter in module.peft_config:
            if f".{adapter}." in f".{name}." and adapter != module.trainable_adapter:
                found.setdefault(adapter, []).append([name, tensor_digest(parameter)])
    return {adapter: digest_json(sorted(tensors)) for adapter, tensors in found.items()}


@contextmanager
def guarding(
    training: Training,
    guards: Sequence[Guard],
    benign: Sequence[Example],
    config: Config,
    tokenizer: object,
    layout: Layout,
    scratch: Path,
    on_event: OnEvent,
) -> Iterator[Unwatched]:
    """Have guards on as ``config.guard_mode`` says, for the length of a scope, and watch them.

    Args:
        training: with the guards on it.
        guards: those.
        benign: held-out samples that are not flagged.
        config: mode, budgets, and how often meters are read.
        tokenizer: of the model.
        layout: of what is learnt.
        scratch: folder of the checkpoints.
        on_event: called with ``Event(stage="meter")`` at each reading.

    Yields:
        A callback for the trainer, which does nothing where there are no guards.
    """
    if not guards or not isinstance(training.module, OwnedPeftModel):
        yield Unwatched()
        return
    gate = None
    with ExitStack() as scope:
        if config.guard_mode == "audit":
            scope.enter_context(training.unguarded())
        elif config.guard_mode == "selective":
            gate = scope.enter_context(gates(training.module, training.guards))
        meters = Meters(training, guards, benign, tokenizer, layout)
        yield Watch(training, guards, meters, config, scratch, gate, on_event)
