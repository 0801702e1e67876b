# SPDX-License-Identifier: Apache-2.0
"""``refine``: teach a model which of its own answers to prefer, one round of it, as a patch.

    result = refine(model, pairs, Config(), folder)                   # round 1
    result = refine(model, pairs, Config(), folder, start=last)       # round 2 goes on from round 1

Pairs are answers to one prompt of which one is better: it works, or works and is not weak. The loss
is DPO's with the likelihood of the better answer beside it (``_preference``); both answers of a
pair are computed after one prompt (``_preference_batches``). The patch of a round starts from that
of the round before and takes its place: patches of rounds are never stacked. This file knows one
round. Drawing answers, judging and pairing them, and when rounds end, are the caller's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import Trainer

from codetemper.core.digests import digest_json
from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.records import Answer, OnEvent, PreferencePair, ignore_events
from codetemper.data.examples import answered
from codetemper.harden import TechniqueCard
from codetemper.harden._guarding import frozen_digests, refuse_written
from codetemper.harden._methods import trainable
from codetemper.harden._preference import Asked, PreferenceTrainer, Preferred, Terms
from codetemper.harden._preference_batches import Layout, Tokens, layout_of
from codetemper.harden._preference_settings import Config, loop_of
from codetemper.harden._session import arguments, peak_rate, scratch_beside
from codetemper.harden._trainer import Course, newest_checkpoint, seconds_until
from codetemper.models.guards import read_guard
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest
from codetemper.models.silence import quiet
from codetemper.models.training import curve, refuse_divergence, seeded

__all__ = ["CARD", "Config", "RefineResult", "refine"]

CARD = TechniqueCard(
    name="refine",
    summary="Trains a patch to prefer answers of the model's own that were executed and worked to "
    "those that did not, by DPO beside the likelihood of the better one.",
    paper="2411.05199",
    paper_title="Tao et al. 2025, CodeLutra",
    differs="The likelihood is a mean over each answer's tokens (Iterative RPO, 2404.19733). The "
    "reference is the model as the round finds it, or its base. Weights of terms, rates and sizes "
    "are this project's: the paper's were not at hand. Answers in no pair can be learnt from with "
    "KTO (2402.01306).",
    needs=("generate", "weights", "gradients"),
    data="PreferencePair",
    patch="adapter",
    cost="One pass of forward and backward over both answers of each pair per epoch, and two of "
    "forward: what the reference says of them, and what the patch does afterwards. Drawing and "
    "judging the answers takes most of a round.",
)


@dataclass(frozen=True)
class RefineResult:
    """What one round of training did.

    Attributes:
        seconds: wall seconds, without loading the model; what a break destroyed does not count.
        parameters_changed: numbers that were trained.
        steps: optimiser steps in all, those before a resumption included.
        losses: (step, mean loss since the entry before).
        pairs: pairs learnt from.
        unpaired: answers in no pair that were learnt from.
        skipped: pairs and answers left out, longer than the window.
        tokens: tokens of all pairs' answers, end tokens included.
        chosen_logprob: mean log-probability of a token of the better answers, in nats, with the
            model as it is in use, before and after.
        rejected_logprob: the same of the worse ones.
        shared: whether a prompt was computed once for both answers.
        guards: ids of the guards that were on while training, unchanged.
    """

    seconds: float
    parameters_changed: int
    steps: int
    losses: tuple[tuple[int, float], ...]
    pairs: int
    unpaired: int
    skipped: int
    tokens: int
    chosen_logprob: tuple[float, float]
    rejected_logprob: tuple[float, float]
    shared: bool
    guards: tuple[str, ...] = ()

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def refine(
    model: LoadedModel,
    pairs: Sequence[PreferencePair],
    config: Config,
    folder: Path,
    *,
    start: Path | None = None,
    frozen: Sequence[Path] = (),
    guards: Sequence[Path] = (),
    unpaired: Sequence[Answer] = (),
    reference_cache: Path | None = None,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 300.0,
    on_event: OnEvent = ignore_events,
) -> RefineResult:
    """Train a patch on pairs of answers and write its tensors.

    Args:
        model: the base; its weights and structure are the same afterwards, bit for bit.
        pairs: what to learn from.
        config: settings; of those of the rounds nothing is read here.
        folder: an existing, empty folder; gets the tensors of the patch.
        start: patch folder of the round before: training starts at its tensors. The new patch goes
            where that one went, on the same base, and takes its place.
        frozen: patch folders that are active while training and get no gradient: what both go on
            top of.
        guards: patch folders of guards: on and frozen while training, off afterwards.
        unpaired: answers in no pair, for ``loss="kto"``; else they are not read.
        reference_cache: a folder in which the reference's log-probabilities are kept, by the digest
            of reference and answers; None: with the checkpoints, where there are any.
        checkpoints: a folder for checkpoints. Where it holds some, training goes on from the last;
            the caller sees to it that they are of the same model, pairs and configuration.
        checkpoint_seconds: time between them.
        on_event: called with ``Event(stage="train", unit="steps")`` after each step, and with
            ``Event(stage="reference", unit="answers")`` before the first.

    Returns:
        What was done and measured. Same model, pairs, configuration and machine: same patch, also
        where it was made in several goes.

    Raises:
        UsageError: nothing to learn from, layers that the model does not have, a ``start`` of
            another form or base, guards that cannot be used, a loss that is no longer a number.
        CannotKnowError: ``kto`` without TRL, ``qlora`` where bitsandbytes does not work.
        IntegrityError: a patch is damaged, or something was trained that is not the task.
    """
    begun = time.monotonic()
    loop = loop_of(config)
    known = [read_guard(guard, model, [load_manifest(p).id for p in frozen]) for guard in guards]
    _refuse_start(model, start)
    given = _material(model, pairs, unpaired, config)
    with (
        quiet(),
        seeded(loop.seed, loop.threads),
        trainable(model, loop, *frozen, *guards) as training,
        scratch_beside(folder, checkpoints) as scratch,
    ):
        if start is not None:
            training.start_at(start)
        digests = frozen_digests(training.module)
        asked = Asked(
            training=training,
            layout=layout_of(model.module, given.longest),
            settings=arguments(loop, model.device, given.examples(config), scratch),
            base=config.reference == "base",
            state=_state(model, start, frozen, guards),
            cache=reference_cache or (None if checkpoints is None else scratch / "reference"),
            on_event=on_event,
        )
        before = given.means(asked.in_use(given.answers))
        last = newest_checkpoint(scratch)
        if last is not None:
            begun -= seconds_until(last)
        every = None if checkpoints is None else checkpoint_seconds
        course = Course(checkpoint_seconds=every, begun=begun, on_event=on_event)
        trainer = _trainer(model, given, asked, course, config)
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
        refuse_divergence(curve(trainer, "loss"), rate=peak_rate(loop))
        refuse_written(training.module, digests)
        after = given.means(asked.now(given.answers))
        with mendable(folder):
            training.save(folder)
        changed = training.parameters
    return RefineResult(
        seconds=time.monotonic() - begun,
        parameters_changed=changed,
        steps=trainer.state.global_step,
        losses=curve(trainer, "loss"),
        pairs=len(given.pairs),
        unpaired=len(given.unpaired),
        skipped=given.skipped,
        tokens=sum(len(answer.answer) for answer in given.answers),
        chosen_logprob=(before[0], after[0]),
        rejected_logprob=(before[1], after[1]),
        shared=asked.layout is Layout.SHARED,
        guards=tuple(guard.id for guard in known),
    )


def _refuse_start(model: LoadedModel, start: Path | None) -> None:
    if start is not None and load_manifest(start).base_digest != model.digest:
        raise UsageError(
            f"training cannot start at patch {start.name}",
            why=f"it is for another base than {model.expression}",
            mend="start at the patch that the round before made",
        )


@dataclass(frozen=True)
class _Material:
    """What a round works with, in tokens.

    Attributes:
        pairs: better and worse answer of each.
        unpaired: answers in no pair, and whether they are good; none where none are learnt from.
        skipped: pairs and answers that are longer than the window.
    """

    pairs: tuple[tuple[Tokens, Tokens], ...]
    unpaired: tuple[tuple[Tokens, bool], ...]
    skipped: int

    @property
    def answers(self) -> list[Tokens]:
        """All answers of the pairs, the better ones first."""
        return [better for better, _ in self.pairs] + [worse for _, worse in self.pairs]

    @property
    def longest(self) -> int:
        """Most tokens of a prompt with its answer."""
        return max(len(answer) for answer in [*self.answers, *(a for a, _ in self.unpaired)])

    def examples(self, config: Config) -> int:
        """Return how many examples an epoch has."""
        labelled = config.loss == "kto"
        return 2 * len(self.pairs) + len(self.unpaired) if labelled else len(self.pairs)

    def means(self, scores: Sequence[float]) -> tuple[float, float]:
        """Return the mean score of a token of the better answers, and of the worse."""
        count, answers = len(self.pairs), self.answers
        halves = (slice(0, count), slice(count, None))
        better, worse = (
            sum(scores[half]) / max(1, sum(len(answer.answer) for answer in answers[half]))
            for half in halves
        )
        return better, worse


def _material(
    model: LoadedModel, pairs: Sequence[PreferencePair], unpaired: Sequence[Answer], config: Config
) -> _Material:
    def tokens(prompt: str, text: str) -> Tokens | None:
        found = Tokens(*answered(model.tokenizer, prompt, text))
        return found if found.answer and len(found) <= config.max_length else None

    both = [(tokens(p.prompt, p.chosen), tokens(p.prompt, p.rejected)) for p in pairs]
    alone = [(tokens(a.prompt, a.text), a.good) for a in unpaired if config.loss == "kto"]
    fitting = tuple((better, worse) for better, worse in both if better and worse)
    single = tuple((answer, good) for answer, good in alone if answer)
    if not fitting and not single:
        raise UsageError(
            "there is nothing to refine on",
            why=f"of {len(pairs)} pairs none fits a window of {config.max_length} tokens",
            mend="-o max_length=N for longer texts, or more samples a prompt: -o samples=N",
        )
    left_out = len(pairs) + len(alone) - len(fitting) - len(single)
    return _Material(fitting, single, left_out)


def _state(
    model: LoadedModel, start: Path | None, frozen: Sequence[Path], guards: Sequence[Path]
) -> str:
    """Return a digest of all that decides what the model computes before the first step."""
    patches = [
        [load_manifest(patch).digest() for patch in group]
        for group in ([] if start is None else [start], frozen, guards)
    ]
    return digest_json([model.digest, *patches])


def _trainer(
    model: LoadedModel, given: _Material, asked: Asked, course: Course, config: Config
) -> Trainer:
    module = asked.training.module
    if config.loss == "kto":
        from codetemper.harden._preference_kto import kto_trainer

        labelled = [*((better, True) for better, _ in given.pairs), *given.unpaired]
        labelled += [(worse, False) for _, worse in given.pairs]
        return kto_trainer(model, labelled, asked, course, config)
    if config.loss == "sft":
        examples = [Preferred(better, None) for better, _ in given.pairs]
        terms = Terms(beta=config.beta, nll=1.0)
    else:
        anchors = asked.anchor(given.answers)
        count = len(given.pairs)
        examples = [
            Preferred(better, worse, (anchors[n], anchors[count + n]))
            for n, (better, worse) in enumerate(given.pairs)
        ]
        terms = Terms(beta=config.beta, nll=config.nll)
    return PreferenceTrainer(module, asked.settings, course, examples, terms, asked.layout)
