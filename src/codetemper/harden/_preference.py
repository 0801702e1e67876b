# SPDX-License-Identifier: Apache-2.0
r"""DPO with the likelihood of the better answer: the loss, its reference, and its trainer.

    anchors = asked.anchor(answers)                 # of the reference; computed once, and kept
    trainer = PreferenceTrainer(module, arguments, course, examples, terms, layout)

With :math:`p` the model being trained, :math:`r` the reference, :math:`y_w` the better and
:math:`y_l` the worse of two answers to :math:`x`,

.. math::
    d_y &= \log p(y \mid x) - \log r(y \mid x) \\
    L &= -\log\sigma\bigl(\beta (d_w - d_l)\bigr) - \frac{\lambda}{|y_w|} \log p(y_w \mid x)

which is DPO (Rafailov et al. 2023, 2305.18290, equation 7) with the term of Iterative RPO (Pang et
al. 2024, 2404.19733, equation 1), a mean over the tokens of each answer. A step's loss is the mean
over its pairs, whatever batches and processes they came in. What the reference says of the answers
is computed once and kept: at every step it would be the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import TrainerCallback, TrainingArguments

from codetemper.core.digests import digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.harden._methods import Training
from codetemper.harden._preference_batches import Layout, Tokens, answer_scores, lay_out
from codetemper.harden._trainer import Course, PatchTrainer

#: Tokens of one forward pass without gradient.
_TOGETHER = 1024


@dataclass(frozen=True)
class Preferred:
    """A pair in tokens, with what the reference says of it.

    Attributes:
        chosen: the better answer.
        rejected: the worse one, to the same prompt; None where nothing is learnt of it.
        anchors: log-probabilities of both under the reference, in nats; not read without
            ``rejected``.
    """

    chosen: Tokens
    rejected: Tokens | None
    anchors: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Terms:
    """How much the terms of the loss count.

    Attributes:
        beta: of the reference.
        nll: of the better answer's likelihood.
    """

    beta: float
    nll: float


def collate(examples: Sequence[Preferred], layout: Layout) -> dict[str, torch.Tensor]:
    """Make a batch of pairs; an answer that is in several of them is computed once.

    Returns:
        As ``lay_out``, and ``chosen`` and ``rejected`` [pairs], which of its answers a pair's are
        (``rejected`` is empty where nothing is learnt of worse answers); ``anchors`` [pairs, 2];
        ``counts`` [1], pairs.
    """
    places: dict[Tokens, int] = {}
    chosen = [places.setdefault(example.chosen, len(places)) for example in examples]
    worse = [example.rejected for example in examples if example.rejected is not None]
    rejected = [places.setdefault(answer, len(places)) for answer in worse]
    return lay_out(list(places), layout) | {
        "chosen": torch.tensor(chosen),
        "rejected": torch.tensor(rejected, dtype=torch.long),
        "anchors": torch.tensor([example.anchors for example in examples]),
        "counts": torch.tensor([float(len(examples))]),
    }


def losses(scores: torch.Tensor, batch: dict[str, torch.Tensor], terms: Terms) -> torch.Tensor:
    """Return the loss of each pair, [pairs].

    Args:
        scores: log-probabilities of the batch's answers, [answers].
        batch: of ``collate``.
        terms: weights.
    """
    better = scores[batch["chosen"]]
    likelihood = -better / batch["lengths"][batch["chosen"]]
    if not len(batch["rejected"]):
        return terms.nll * likelihood
    anchors = batch["anchors"]
    margin = (better - anchors[:, 0]) - (scores[batch["rejected"]] - anchors[:, 1])
    return terms.nll * likelihood - functional.logsigmoid(terms.beta * margin)


class PreferenceTrainer(PatchTrainer):
    """Trains on pairs of answers."""

    def __init__(
        self,
        module: nn.Module,
        arguments: TrainingArguments,
        course: Course,
        examples: Sequence[Preferred],
        terms: Terms,
        layout: Layout,
        *watching: TrainerCallback,
    ) -> None:
        self._weights = terms
        super().__init__(
            module,
            arguments,
            course,
            *watching,
            train_dataset=list(examples),
            data_collator=partial(collate, layout=layout),
        )

    def _terms(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return losses(answer_scores(model, inputs), inputs, self._weights).sum()[None]


@dataclass(frozen=True)
class Asked:
    """What the model that is trained says of answers before the first step, and as it is.

    Attributes:
        training: what was put on the base.
        layout: how answers share rows.
        settings: the trainer's, whose number type is computed in.
        base: whether the reference is the base; else it is the model before the first step.
        state: digest of all that decides what the model computes before the first step.
        cache: folder in which answers are kept; None: nowhere.
        on_event: progress.
    """

    training: Training
    layout: Layout
    settings: TrainingArguments
    base: bool
    state: str
    cache: Path | None
    on_event: OnEvent
    _known: dict[str, dict[Tokens, float]] = field(default_factory=dict)

    def in_use(self, answers: Sequence[Tokens]) -> list[float]:
        """Return log-probabilities with the model as it is used, guards off, before training."""
        return self._kept("use", self.training.unguarded(), answers)

    def anchor(self, answers: Sequence[Tokens]) -> list[float]:
        """Return log-probabilities under the reference; guards are on, as they are in training."""
        if self.base:
            return self._kept("base", self.training.as_base(guarded=True), answers)
        name = "guarded" if self.training.guards else "use"
        return self._kept(name, self.training.guarded(), answers)

    def now(self, answers: Sequence[Tokens]) -> list[float]:
        """Return log-probabilities with the model as it is used, guards off, and as it is now."""
        with self.training.unguarded():
            return self._scores(answers)

    def _kept(
        self, name: str, scope: AbstractContextManager[None], answers: Sequence[Tokens]
    ) -> list[float]:
        known = self._known.setdefault(name, {})
        new = sorted(set(answers) - known.keys(), key=_order)
        path = None
        if new and self.cache is not None:
            texts = [[tokens.prompt, tokens.answer] for tokens in new]
            facts = [self.state, name, self.settings.bf16, texts]
            path = self.cache / f"{digest_json(facts)}.json"
        if path is not None and path.is_file():
            known |= zip(new, json.loads(path.read_bytes()), strict=True)
        elif new:
            with scope:
                found = self._scores(new)
            known |= zip(new, found, strict=True)
            if path is not None:
                write_atomic(path, json.dumps(found).encode())
        return [known[tokens] for tokens in answers]

    def _scores(self, answers: Sequence[Tokens]) -> list[float]:
        kind = torch.bfloat16 if self.settings.bf16 else None
        return scores_of(
            self.training.module, answers, self.layout, autocast=kind, on_event=self.on_event
        )


@torch.no_grad()
def scores_of(
    module: nn.Module,
    answers: Sequence[Tokens],
    layout: Layout,
    *,
    autocast: torch.dtype | None = None,
    on_event: OnEvent = ignore_events,
) -> list[float]:
    """Return the log-probability of each answer after its prompt, in nats.

    Answers to one prompt are computed together, whatever order they are asked in.

    Args:
        module: the model as it is to be asked; it is in evaluation mode meanwhile.
        answers: what is scored.
        layout: how answers share rows.
        autocast: number type to compute in; None: that of the weights.
        on_event: called with ``Event(stage="reference", unit="answers")``.
    """
    device = next(module.parameters()).device
    modes = [(part, part.training) for part in module.modules()]
    found: dict[Tokens, float] = {}
    wanted = sorted(set(answers), key=_order)
    module.eval()
    try:
        for group in _groups(wanted):
            batch = {n: t.to(device) for n, t in lay_out(group, layout).items()}
            with torch.autocast(device.type, autocast, enabled=autocast is not None):
                scores = answer_scores(module, batch)
            found |= zip(group, scores.tolist(), strict=True)
            done = len(found)
            on_event(Event(stage="reference", done=done, total=len(wanted), unit="answers"))
    finally:
        for part, mode in modes:
            part.training = mode
    return [found[answer] for answer in answers]


def _order(tokens: Tokens) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tokens.prompt, tokens.answer


def _groups(answers: Sequence[Tokens]) -> Iterator[list[Tokens]]:
    """Cut a sorted list into batches; a prompt counts once for all its answers."""
    group: list[Tokens] = []
    room = _TOGETHER
    for tokens in answers:
        goes_on = bool(group) and group[-1].prompt == tokens.prompt
        size = len(tokens.answer) if goes_on else len(tokens)
        if group and size > room:
            yield group
            group, room, size = [], _TOGETHER, len(tokens)
        group.append(tokens)
        room -= size
    if group:
        yield group
