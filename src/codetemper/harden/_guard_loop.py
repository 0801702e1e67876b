# SPDX-License-Identifier: Apache-2.0
"""One pass of making a guard: what is in each step, what is measured, and when it is enough.

    job = Job(model, frozen, layout, loop, weights=LossWeights(retain=1.0), epochs=10, ...)
    found = run(job, bad, [retain, user], scratch, into=folder)

Bad samples are few and what is to be kept is much, so an epoch is one of the bad ones, and every
step holds the same number of both. What is measured is measured on samples that are not learnt.
Which samples are used, and what follows from the measures, is ``guard``'s to say.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from codetemper.core.disk import mendable
from codetemper.core.records import FixPair, OnEvent
from codetemper.data.examples import Example, Layout
from codetemper.harden._batches import Packer, logits_at, packs, targets
from codetemper.harden._losses import LossWeights, retention
from codetemper.harden._methods import TASK, Training, trainable
from codetemper.harden._session import arguments, peak_rate
from codetemper.harden._settings import Config as Loop
from codetemper.harden._trainer import (
    PairTrainer,
    Run,
    newest_checkpoint,
    read_trained,
    seconds_until,
    write_trained,
)
from codetemper.harden.screening import score, token_losses
from codetemper.models.loaded import LoadedModel
from codetemper.models.training import curve, refuse_divergence, seeded

#: Samples whose logits are in memory at a time while a divergence is measured.
_MEASURED = 8


@dataclass(frozen=True)
class Kind:
    """Samples of one kind, those that are trained on apart from those that are asked about.

    Attributes:
        learnt: what is trained on.
        aside: what is not.
        examples: the first in tokens.
        asked: the second in tokens.
        skipped: samples of both without an answer, or too long to choose a part of.
    """

    learnt: tuple[FixPair, ...] = ()
    aside: tuple[FixPair, ...] = ()
    examples: tuple[Example, ...] = ()
    asked: tuple[Example, ...] = ()
    skipped: int = 0


@dataclass(frozen=True)
class Job:
    """What is the same in every pass.

    Attributes:
        model: the base.
        frozen: patch folders that the guard is made on top of.
        layout: window and wrapper.
        loop: the training loop; its ``epochs`` are not read.
        weights: of the terms of the loss.
        beside: kept samples of each kind beside each bad one.
        epochs: most passes over the bad samples.
        stop_loss: held-out bad loss below which training ends, in nats a token,
        kl_budget: where the divergence on held-out kept samples is at most this.
        patience: epochs without a lower one after which training ends too.
        checkpoint_seconds: time between checkpoints; None for none.
        on_event: progress.
    """

    model: LoadedModel
    frozen: tuple[Path, ...]
    layout: Layout
    loop: Loop
    weights: LossWeights
    beside: int
    epochs: int
    stop_loss: float
    kl_budget: float
    patience: int
    checkpoint_seconds: float | None
    on_event: OnEvent


@dataclass(frozen=True)
class Measured:
    """What is known of a guard at some step, on samples it did not learn.

    Attributes:
        step: optimiser steps so far.
        off: mean loss of a bad token without the guard, in nats; of samples that tell what a fix
            changed, those tokens are bad, of others all.
        on: the same with the guard.
        kl: divergence of the guarded model from the base, in nats a token of what is kept; None
            where nothing is.
    """

    step: int
    off: float
    on: float
    kl: float | None


@dataclass(frozen=True)
class Pass:
    """What a pass gave.

    Attributes:
        seconds: wall seconds, those before a break included.
        parameters: numbers of the guard.
        steps: optimiser steps.
        stop: ``reached``, ``flat`` or ``epochs``.
        losses: (step, mean loss since the entry before).
        measured: at the end of each epoch.
        kept: of these the one whose weights were kept.
        bad: log-ratios of the held-out bad samples.
        clean: of the held-out samples of the first kind that is kept.
        screened: of those that were to be screened; None where there is nothing to score.
    """

    seconds: float
    parameters: int
    steps: int
    stop: Literal["reached", "flat", "epochs"]
    losses: tuple[tuple[int, float], ...]
    measured: tuple[Measured, ...]
    kept: Measured
    bad: tuple[float, ...]
    clean: tuple[float, ...]
    screened: tuple[float | None, ...]


def run(
    job: Job,
    bad: Kind,
    keep: Sequence[Kind],
    scratch: Path,
    *,
    into: Path | None = None,
    screened: Sequence[FixPair] = (),
) -> Pass:
    """Train a guard from its start.

    Args:
        job: how.
        bad: what it is to write.
        keep: what it is to leave as it is; the first kind is what thresholds are calibrated on.
        scratch: folder for checkpoints; training goes on from the last one in it.
        into: folder that gets its tensors, where they are wanted.
        screened: samples to score with it.
    """
    rows = schedule(
        bad.examples,
        [kind.examples for kind in keep],
        beside=job.beside,
        epochs=job.epochs,
        seed=job.loop.seed,
    )
    group = len(rows) // (job.epochs * len(bad.examples))
    loop = job.loop.model_copy(update={"epochs": 1.0, "batch_size": job.loop.batch_size * group})
    pack = packs(job.model.module)
    begun = time.monotonic()
    scratch.mkdir(parents=True, exist_ok=True)
    last = newest_checkpoint(scratch)
    if last is not None:
        begun -= seconds_until(last)
    with (
        seeded(job.loop.seed, job.loop.threads),
        trainable(job.model, job.loop, *job.frozen) as made,
    ):
        plan = _plan(job, made, rows, pack, begun)
        trainer = _GuardTrainer(
            made.module, arguments(loop, job.model.device, len(rows), scratch), plan
        )
        calm = [example for kind in keep for example in kind.asked]
        measures = Measures(made, bad.asked, calm, pack=pack)
        every = math.ceil(len(bad.examples) / (job.loop.batch_size * trainer.args.world_size))
        rule = _StopRule(made, measures, job, every, scratch)
        trainer.add_callback(rule)
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        losses = curve(trainer, "loss")
        refuse_divergence(losses, rate=peak_rate(loop))
        found = _measured(trainer.state)
        best = rule.best(found)
        trainer.accelerator.wait_for_everyone()
        read_trained(made.module, rule.weights(best))
        if into is not None:
            with mendable(into):
                made.save(into)
        clean = keep[0].aside if keep else ()
        asked = (_ratios(job, made, pairs) for pairs in (bad.aside, clean, screened))
        wrong, right, other = (tuple(ratios) for ratios in asked)
        return Pass(
            seconds=time.monotonic() - begun,
            parameters=made.parameters,
            steps=trainer.state.global_step,
            stop=rule.reason(found),
            losses=losses,
            measured=tuple(found),
            kept=best,
            bad=tuple(ratio for ratio in wrong if ratio is not None),
            clean=tuple(ratio for ratio in right if ratio is not None),
            screened=other,
        )


def _plan(job: Job, made: Training, rows: Sequence[Example], pack: bool, begun: float) -> Run:
    return Run(
        examples=rows,
        held_out=(),
        weights=job.weights,
        as_base=made.as_base,
        pack=pack,
        score=None,
        patience=1,
        checkpoint_seconds=job.checkpoint_seconds,
        begun=begun,
        on_event=job.on_event,
    )


def _ratios(job: Job, made: Training, pairs: Sequence[FixPair]) -> list[float | None]:
    found = score(made.module, [TASK], pairs, job.model.tokenizer, job.layout, under=made.under)
    return [None if scored is None else scored.largest for scored in found]


def schedule(
    bad: Sequence[Example],
    pools: Sequence[Sequence[Example]],
    *,
    beside: int,
    epochs: int,
    seed: int,
) -> list[Example]:
    """Lay out all steps of a training: each bad sample, and what is kept beside it.

    Args:
        bad: what is learnt; each comes once an epoch, in another order every time.
        pools: what is kept. Each gives ``beside`` samples to every bad one, and begins anew, in
            another order, when all of it was there.
        beside: how many.
        epochs: passes over ``bad``.
        seed: of all orders.

    Returns:
        The examples in order: each bad one, then ``beside`` of each pool that holds any.
    """
    rng = random.Random(seed)  # noqa: S311
    drawn = [_endless(pool, rng.randrange(2**32)) for pool in pools if pool]
    rows: list[Example] = []
    for _ in range(epochs):
        for example in rng.sample(list(bad), len(bad)):
            rows += [example, *chain.from_iterable(islice(pool, beside) for pool in drawn)]
    return rows


def _endless(pool: Sequence[Example], seed: int) -> Iterator[Example]:
    rng = random.Random(seed)  # noqa: S311
    while True:
        yield from rng.sample(list(pool), len(pool))


class _GuardTrainer(PairTrainer):
    """Takes examples in the order they are given in, which is that of ``schedule``."""

    def _get_train_sampler(self, train_dataset: Dataset[Example] | None = None) -> Sampler[int]:
        return SequentialSampler(self._run.examples)


class Measures:
    """Asks a guard that is being made what it does with held-out samples."""

    def __init__(
        self, made: Training, bad: Sequence[Example], keep: Sequence[Example], *, pack: bool
    ) -> None:
        self._made, self._bad, self._keep = made, list(bad), list(keep)
        self._places = [_counted(example) for example in self._bad]
        self._packer = Packer(LossWeights(retain=1.0), pack=pack)

    def __call__(self, step: int) -> Measured:
        """Measure; the step is told again in the answer."""
        found = token_losses(self._made.module, [TASK], self._bad, under=self._made.under)
        counted = [each[:, at] for each, at in zip(found, self._places, strict=True)]
        off, on = np.concatenate(counted, axis=1).mean(axis=1)
        return Measured(step, float(off), float(on), self._divergence() if self._keep else None)

    @torch.no_grad()
    def _divergence(self) -> float:
        module, total, tokens = self._made.module, 0.0, 0
        device = next(module.parameters()).device
        modes = [(part, part.training) for part in module.modules()]
        module.eval()
        for begin in range(0, len(self._keep), _MEASURED):
            batch = self._packer(self._keep[begin : begin + _MEASURED])
            given = {name: value.to(device) for name, value in batch.items()}
            with self._made.as_base():
                base = logits_at(module, given)
            total += float(retention(logits_at(module, given), base))
            tokens += len(given["labels"])
        for part, mode in modes:
            part.training = mode
        return total / max(tokens, 1)


def _counted(example: Example) -> list[int]:
    """Return which of an example's answer tokens are bad: those that a fix changed, or all."""
    if example.fixed is None:
        return []
    changed = [token for _, _, token, *_ in targets(example.fixed, True, 0)]
    return [n for n, token in enumerate(changed) if token] or list(range(len(changed)))


class _StopRule(TrainerCallback):  # type: ignore[misc]
    """Measures at the end of every epoch, and keeps the weights that were best.

    Training ends when the guard is good enough, or gets no better.
    """

    def __init__(
        self, made: Training, measures: Measures, job: Job, every: int, scratch: Path
    ) -> None:
        self._made, self._measures, self._job = made, measures, job
        self._every, self._scratch = every, scratch

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        if state.global_step % self._every and state.global_step < state.max_steps:
            return
        found = self._measures(state.global_step)
        # In the trainer's own history, which a checkpoint holds.
        state.log_history.append({"step": found.step, "measured": vars(found)})
        known = _measured(state)
        best = self.best(known)
        if best == found and state.is_world_process_zero:
            write_trained(self._made.module, self.weights(best))
        if self.reason(known) != "epochs":
            control.should_training_stop = True

    def reason(self, known: Sequence[Measured]) -> Literal["reached", "flat", "epochs"]:
        """Return why training ends here; where it does not, the end of all epochs will end it."""
        last = known[-1]
        if last.on < self._job.stop_loss and _calm(last, self._job):
            return "reached"
        waited = len(known) - 1 - known.index(self.best(known))
        return "flat" if waited >= self._job.patience else "epochs"

    def best(self, known: Sequence[Measured]) -> Measured:
        """Return the one with the least bad loss of those within the budget; else the last."""
        within = [found for found in known if _calm(found, self._job)]
        return min(within, key=lambda found: found.on) if within else known[-1]

    def weights(self, found: Measured) -> Path:
        """Return where the weights of a step are."""
        return self._scratch / f"best-{found.step}.safetensors"


def _measured(state: TrainerState) -> list[Measured]:
    return [Measured(**entry["measured"]) for entry in state.log_history if "measured" in entry]


def _calm(found: Measured, job: Job) -> bool:
    return found.kl is None or found.kl <= job.kl_budget
