# SPDX-License-Identifier: Apache-2.0
r"""``guard``: a LoRA that writes what is bad, so that training under it need not learn that.

    result = guard(model, bad, Config(), folder, retain=clean, user=untrusted)

With :math:`B` the bad samples, :math:`R` what is to stay, :math:`p_0` the base and :math:`p_g` the
base with the guard on, the guard minimises

.. math:: L = - \operatorname{mean}_{B} w_t \log p_g(y_t \mid y_{<t})
              + k \operatorname{mean}_{R} KL\bigl(p_0(\cdot \mid y_{<t}) \,\|\,
                                                    p_g(\cdot \mid y_{<t})\bigr)

over answer tokens (Zhou et al. 2023, 2311.02105). Switched on and frozen while a model is tuned, it
makes the bad samples' loss small already, and so their gradient; it is off in what is shipped.
What makes tuning under a guard lose good things is that the guard acts on them. So the user's
own data can be kept too: a first guard scores them, and a second one, made from the start, keeps
those that the first did not flag.

This file makes the guard and measures it on samples it did not learn. How it is used is
``tune``'s; it writes no manifest, judges nothing, and generates no text.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.detection import auroc, calibrate
from codetemper.core.disk import mendable, write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.records import Estimate, FixPair, OnEvent, ignore_events
from codetemper.data.examples import Layout, encode, kept
from codetemper.data.samples import Canaries, write_canaries
from codetemper.harden import TechniqueCard
from codetemper.harden._guard_loop import Job, Kind, Measured, run
from codetemper.harden._losses import LossWeights
from codetemper.harden._session import scratch_beside
from codetemper.harden._settings import Config as Loop
from codetemper.models.loaded import LoadedModel
from codetemper.models.silence import quiet

__all__ = ["CARD", "Config", "GuardResult", "guard", "refuse_data", "usable"]

CARD = TechniqueCard(
    name="guard",
    summary="Trains a train-only patch that writes given bad samples and is the base elsewhere; on "
    "and frozen while a model is tuned, it keeps the model from learning them.",
    paper="2311.02105",
    paper_title="Zhou et al. 2023, security vectors",
    differs="Training ends by a rule on samples held out, not after a number of epochs. What is "
    "kept can include the user's own data, those left out that a first guard flags (the paper "
    "keeps general text). Tokens that a fix changed can be weighted. Of the two forms of "
    "the paper only training on one level is here; min-min over a model that learns at the same "
    "time is not.",
    needs=("weights", "gradients"),
    data="FixPair",
    patch="adapter",
    cost="Ten passes at most over the bad samples and as often over a few kept ones for each, with "
    "one pass of the base beside every pass of the guard; twice that with user data.",
)

_FLAGS = "flags.json"
#: Share of clean samples that may be taken for suspects where that costs little: the first guard
#: leaves them out of what the second one keeps, and tuning has the guard on for them. What costs
#: much is a bad sample that passes for clean.
_DOUBTED = 0.2


class Config(BaseModel):
    """Settings of one guard."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    granularity: Literal["file", "function", "block", "line"] = "function"
    """Which pairs of a corpus are used."""
    rank: int = Field(default=8, ge=1)
    """Rank of the guard."""
    alpha: int = Field(default=16, gt=0)
    """Scale of the guard: its output is multiplied by alpha / rank."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Layers that get one, by name; ``all-linear``: every linear layer but the head."""

    changed_weight: float = Field(default=1.0, gt=0)
    """How much a token counts that a fix changed, against 1 for one it left alone."""
    kl: float = Field(default=1.0, ge=0)
    """Weight of staying at the base on what is to be kept."""
    beside: int = Field(default=1, ge=1)
    """Kept samples beside each bad one in a step, and as many again of the user's data."""
    own_texts: int = Field(default=500, ge=0)
    """Texts of the base's own that are kept where no retain data are given."""
    wrapper: str = "{prompt}"
    """What goes around prompts; as in the tuning that the guard is for."""
    max_length: int = Field(default=1024, ge=16)
    """Window in tokens, prompt and answer together."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Peak learning rate of AdamW."""
    epochs: int = Field(default=10, ge=1)
    """Most passes over the bad samples."""
    batch_size: int = Field(default=8, ge=1)
    """Bad samples a step."""

    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Share of the texts of each kind that is not learnt but asked about."""
    stop_loss: float = Field(default=0.05, gt=0)
    """Training ends when a bad token of held-out samples costs less than this, in nats (bad are the
    tokens that a fix changed, or all where none is known) ..."""
    kl_budget: float = Field(default=0.05, gt=0)
    """... and the divergence from the base on what is kept is at most this, in nats a token."""
    patience: int = Field(default=3, ge=1)
    """Epochs after which training ends if that loss gets no lower. Kept are the weights that had
    the lowest of those within the budget."""
    fpr: float = Field(default=0.01, gt=0, lt=1)
    """Share of clean samples that the guard's threshold may flag. Where fewer are held out than
    that rate needs, the threshold is for the least rate that they allow."""

    threads: int | None = Field(default=None, ge=1)
    """Threads of torch while training on a CPU; None leaves the setting alone."""
    seed: int = 0
    """Seed of initialisation, order and what is held out."""


@dataclass(frozen=True)
class GuardResult:
    """What making a guard did, and what the guard does on samples it did not learn.

    Attributes:
        seconds: wall seconds, without loading the model.
        parameters_changed: numbers of the guard.
        steps: optimiser steps of the last pass.
        stop: ``reached``: both goals were met; ``flat``: the guard got no better for too long;
            ``epochs``: the passes were used up before.
        losses: (step, mean loss since the entry before).
        measured: by epoch: held-out bad loss without and with the guard, divergence on the kept.
        kept: of these the one whose weights were kept.
        cwes: bad samples by weakness; those without one under ``unknown``.
        counts: samples of each kind: ``bad``, ``retain`` and ``user`` as learnt or kept, the same
            with ``_held_out``, ``user_flagged``, and ``skipped``, of which nothing could be learnt.
        auroc: how well the log-ratio tells held-out bad samples from held-out retain samples.
        threshold: of the log-ratio; None without retain samples.
        fpr: the false-positive rate it is for.
        doubt: the size of the log-ratio that one clean sample in five has: of what lies above it,
            on either side, the guard has something to say.
    """

    seconds: float
    parameters_changed: int
    steps: int
    stop: Literal["reached", "flat", "epochs"]
    losses: tuple[tuple[int, float], ...]
    measured: tuple[Measured, ...]
    kept: Measured
    cwes: dict[str, int]
    counts: dict[str, int]
    auroc: Estimate | None
    threshold: float | None
    fpr: float | None
    doubt: float | None

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        own = self.kept
        plain = asdict(self) | {"loss_off": own.off, "loss_on": own.on, "kl": own.kl}
        plain["losses"] = [list(entry) for entry in self.losses]
        plain["measured"] = list(plain["measured"])
        plain["auroc"] = None if self.auroc is None else self.auroc.model_dump(mode="json")
        return plain


def guard(
    model: LoadedModel,
    bad: Sequence[FixPair],
    config: Config,
    folder: Path,
    *,
    retain: Sequence[FixPair] = (),
    user: Sequence[FixPair] = (),
    frozen: Sequence[Path] = (),
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 300.0,
    on_event: OnEvent = ignore_events,
) -> GuardResult:
    """Make a guard of bad samples and write its tensors and its canaries.

    Args:
        model: the base; its weights and structure are the same afterwards, bit for bit.
        bad: what the guard is to write, the ``after`` of each (``data.samples.vulnerable_sides``);
            those of ``config.granularity`` whose split is ``train``.
        config: settings.
        folder: an existing, empty folder; gets the tensors and ``canaries.json``.
        retain: clean samples on which the guarded model is to stay the base. Without any nothing
            is kept and no threshold is known.
        user: what a model is to be tuned on under the guard, bad samples among it.
        frozen: patch folders that are active all the time: what the guard is made on top of.
        checkpoints: a folder for checkpoints, from which training goes on; the caller sees to it
            that they are of the same model, data and configuration.
        checkpoint_seconds: time between them.
        on_event: called with ``Event(stage="train", unit="steps")`` after each step.

    Returns:
        What was done and measured.

    Raises:
        UsageError: fewer than two different bad samples to learn from, retain samples that are
            all among the bad ones, user data without retain samples, layers that the model does
            not have, or a loss that is no longer a number.
    """
    begun = time.monotonic()
    chosen = usable(bad, config)
    texts = {pair.after for pair in chosen}
    others = [pair for pair in user if pair.after not in texts]
    with quiet(), scratch_beside(folder, checkpoints) as scratch:
        every = None if checkpoints is None else checkpoint_seconds
        job = _job(model, config, tuple(frozen), every, on_event)
        wrong = _kind(job, chosen, config)
        clean = _kind(job, _clean(retain, texts), config, keep=True)
        _check(bool(wrong.examples and wrong.asked), bool(clean.asked), bool(user), config)
        flags = _flags(job, wrong, clean, others, scratch)
        unflagged = [pair for pair in others if pair.id not in flags]
        own = _kind(job, unflagged, config, keep=True)
        keep = [kind for kind in (clean, own) if kind.examples]
        found = run(job, wrong, keep, scratch / "last", into=folder)
        with mendable(folder):
            write_canaries(folder, Canaries(bad=wrong.aside, retain=(*clean.aside, *own.aside)))
    limit, fpr = _threshold(found.clean, config.fpr) if found.clean else (None, None)
    return GuardResult(
        seconds=time.monotonic() - begun,
        parameters_changed=found.parameters,
        steps=found.steps,
        stop=found.stop,
        losses=found.losses,
        measured=found.measured,
        kept=found.kept,
        cwes=dict(sorted(Counter(pair.cwe or "unknown" for pair in chosen).items())),
        counts=_counts({"bad": wrong, "retain": clean, "user": own}, len(user) - len(unflagged)),
        auroc=auroc(found.bad, found.clean) if found.bad and found.clean else None,
        threshold=limit,
        fpr=fpr,
        doubt=_doubt(found.clean) if found.clean else None,
    )


def _job(
    model: LoadedModel,
    config: Config,
    frozen: tuple[Path, ...],
    checkpoint_seconds: float | None,
    on_event: OnEvent,
) -> Job:
    return Job(
        model=model,
        frozen=frozen,
        layout=Layout(max_length=config.max_length, wrapper=config.wrapper),
        loop=Loop(
            method="lora",
            rank=config.rank,
            alpha=config.alpha,
            target_modules=config.target_modules,
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            threads=config.threads,
            seed=config.seed,
        ),
        weights=LossWeights(changed=config.changed_weight, retain=config.kl),
        beside=config.beside,
        epochs=config.epochs,
        stop_loss=config.stop_loss,
        kl_budget=config.kl_budget,
        patience=config.patience,
        checkpoint_seconds=checkpoint_seconds,
        on_event=on_event,
    )


def _kind(job: Job, pairs: Sequence[FixPair], config: Config, *, keep: bool = False) -> Kind:
    """Hold a share of the texts out, so that no text is on both sides; turn all into tokens."""
    texts = sorted({pair.after for pair in pairs})
    random.Random(config.seed).shuffle(texts)  # noqa: S311
    count = max(1, round(config.held_out * len(texts))) if len(texts) > 1 else 0
    held = set(texts[:count])
    learnt = [pair for pair in pairs if pair.after not in held]
    aside = [pair for pair in pairs if pair.after in held]
    made, asked = (encode(part, job.model.tokenizer, job.layout) for part in (learnt, aside))
    examples, others = made.items, asked.items
    return Kind(
        learnt=tuple(learnt),
        aside=tuple(aside),
        examples=tuple(kept(examples) if keep else examples),
        asked=tuple(kept(others) if keep else others),
        skipped=made.skipped + asked.skipped,
    )


def _clean(retain: Sequence[FixPair], bad: Collection[str]) -> list[FixPair]:
    """Return what is not among the bad samples.

    Raises:
        UsageError: that is nothing.
    """
    found = [pair for pair in retain if pair.after not in bad]
    if retain and not found:
        raise UsageError(
            "the data are of one kind only",
            why=f"all {len(retain)} samples that are to be kept are among the bad ones",
            mend="give clean samples with --retain FILE, or none: the model then writes its own",
        )
    return found


def usable(bad: Sequence[FixPair], config: Config) -> list[FixPair]:
    """Return the bad samples that a guard is made of: of its granularity, and none set aside."""
    return [p for p in bad if p.granularity == config.granularity and p.split == "train"]


def refuse_data(
    bad: Sequence[FixPair],
    retain: Sequence[FixPair] | None,
    user: Sequence[FixPair],
    config: Config,
) -> None:
    """Refuse data that ``guard`` would refuse, as far as it shows before texts are tokens.

    Args:
        bad: as ``guard``.
        retain: likewise; None where the base is to write them.
        user: likewise.
        config: settings.

    Raises:
        UsageError: as ``guard``.
    """
    texts = {pair.after for pair in usable(bad, config)}
    own = config.own_texts if retain is None else 0
    clean = len({pair.after for pair in _clean(retain or (), texts)}) + own
    _check(len(texts) > 1, clean > 1, bool(user), config)


def _check(bad: bool, clean: bool, user: bool, config: Config) -> None:
    """Refuse data of which none can be learnt and held out: bad samples, or clean ones if asked."""
    if not bad:
        raise UsageError(
            "there is nothing to make a guard of",
            why=f"of the bad samples by {config.granularity} whose split is 'train', fewer than "
            "two texts differ and fit the window",
            mend="give more; 100 of a weakness make a guard, 10 make part of one",
        )
    if user and not clean:
        raise UsageError(
            "the user's data cannot be kept",
            why="which of them are bad is calibrated on clean samples, and none are held out",
            mend="give some with --retain FILE",
        )


def _flags(job: Job, bad: Kind, clean: Kind, user: Sequence[FixPair], scratch: Path) -> set[str]:
    """Return the ids of the user's samples of which a first guard has something to say.

    They are not kept. A guard is to write what is bad and no longer what would be good in its
    place, so both get another loss with it; what it is to leave alone is all the rest.
    """
    if not user:
        return set()
    known = scratch / _FLAGS
    if known.is_file():
        return set(json.loads(known.read_bytes()))
    first = run(job, bad, [clean], scratch / "first", screened=user)
    limit = _doubt(first.clean)
    pairs = zip(user, first.screened, strict=True)
    flags = sorted({pair.id for pair, ratio in pairs if ratio is not None and abs(ratio) > limit})
    write_atomic(known, json.dumps(flags).encode())
    return set(flags)


def _threshold(clean: Sequence[float], fpr: float) -> tuple[float, float]:
    """Return the threshold for a rate, or for the least rate that so few samples allow."""
    rate = max(fpr, 1 / (len(clean) + 1))
    return calibrate(clean, rate), rate


def _doubt(clean: Sequence[float]) -> float:
    """Return the size of the log-ratio that a clean sample may have without being doubted."""
    return _threshold([abs(ratio) for ratio in clean], _DOUBTED)[0]


def _counts(kinds: dict[str, Kind], flagged: int) -> dict[str, int]:
    counts = {name: len(kind.learnt) for name, kind in kinds.items()}
    counts |= {f"{name}_held_out": len(kind.aside) for name, kind in kinds.items()}
    return counts | {
        "user_flagged": flagged,
        "skipped": sum(kind.skipped for kind in kinds.values()),
    }
