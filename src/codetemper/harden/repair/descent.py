# SPDX-License-Identifier: Apache-2.0
"""Repair by steps against the loss: the loop of ``star`` and ``sgd``, which differ in the step.

    edit = descend(engine, task, lambda seen: lambda layer, slope, keys: -0.01 * slope)

Each step looks at the answers once (forward and backward), and asks a rule for the change of each
layer from the gradient of its FFN output matrix and its keys there. Changes are summed in float32
beside the weights; the weights hold that sum, rounded once (``engine.Draft``), so that steps below
half a unit in the last place of bfloat16 are not lost. The number of steps is fixed, as in the
papers: nothing ends early.

Together: all answer tokens of all passages make one loss. Iterative: one failing token after the
other, each with its own steps; what is predicted is read anew before each, since the repair of one
token moves the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import torch

from codetemper.core.errors import UsageError
from codetemper.core.records import Event
from codetemper.core.repairs import RepairRound
from codetemper.harden.repair._forward import Recorder, Seen
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.outcome import outcome
from codetemper.harden.repair.task import Task

#: From layer number, gradient [d, n] and keys [T, n] of its free neurons to a change [d, n].
Rule = Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]


def descend(engine: Engine, task: Task, rule_for: Callable[[Observation], Rule]) -> Edit:
    """Take ``task.config.most_rounds`` steps, for all failing tokens together or for each.

    Args:
        engine: the model; as before afterwards, bit for bit.
        task: what is to be repaired.
        rule_for: makes the rule for what is to be put right, seen before the first step.

    Raises:
        UsageError: the steps made the model compute something that is not a number.
    """
    begun = time.monotonic()
    with learning(engine, task.layers), engine.drafting() as draft:
        before = engine.observe(task.passages)
        walk = _Walk(engine, task, draft)
        try:
            if task.config.iterative:
                walk.each_token(rule_for)
            else:
                walk.together(before, rule_for)
            return outcome(engine, task, draft, before, walk.rounds, begun)
        except UsageError as error:
            # Numbers were numbers before the first step, so it is the steps that made them none.
            raise UsageError(
                "the repair ran away",
                why="its steps made the model compute values that are not numbers",
                mend="take smaller steps (-o step=...), or use the method joint, which has none",
            ) from error


@contextmanager
def learning(engine: Engine, layers: Sequence[int]) -> Iterator[None]:
    """Have gradients flow to the FFN output matrices of some layers, and to nothing else."""
    flags = [(part, part.requires_grad) for part in engine.module.parameters()]
    engine.module.requires_grad_(False)
    try:
        for layer in layers:
            engine.matrix(layer).requires_grad_(True)
        with torch.enable_grad():
            yield
    finally:
        for part, flag in flags:
            part.requires_grad_(flag)


def look(
    engine: Engine, passages: Sequence[Passage], layers: Sequence[int]
) -> tuple[dict[int, torch.Tensor], Seen]:
    """Look at passages once, forward and backward.

    Args:
        engine: the model, inside ``learning``.
        passages: what is looked at; the loss is the mean cross-entropy of all wanted tokens.
        layers: layers whose gradients and keys are wanted.

    Returns:
        Gradients of the matrices, [d, f] in float32, and what was seen at all wanted tokens.

    Raises:
        UsageError: the model computes something that is not a number.
    """
    matrices = [engine.matrix(layer) for layer in layers]
    slopes = {n: torch.zeros_like(engine.written(n), dtype=torch.float32) for n in layers}
    tokens = sum(len(passage.wanted) for passage in passages)
    found = []
    for begin in range(0, len(passages), engine.batch_size):
        batch = passages[begin : begin + engine.batch_size]
        with Recorder(engine, layers) as recorder:
            engine.module(input_ids=engine.padded(batch), use_cache=False)
            logits, wanted = recorder.logits(batch)
            losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum")
            for layer, slope in zip(
                layers, torch.autograd.grad(losses / tokens, matrices), strict=True
            ):
                slopes[layer] += slope.T if engine.sites[layer].transposed else slope
            with torch.no_grad():
                found.append(recorder.read(batch, begin))
    return slopes, Seen.join(found)


class _Walk:
    """Steps of a descent, and their account.

    Attributes:
        rounds: one for each step, or for each token where these are repaired one by one.
    """

    def __init__(self, engine: Engine, task: Task, draft: Draft) -> None:
        self._engine, self._task, self._draft = engine, task, draft
        self.rounds: list[RepairRound] = []

    def together(self, before: Observation, rule_for: Callable[[Observation], Rule]) -> None:
        """Take all steps on the loss of all passages."""
        rule = rule_for(before)
        steps = self._task.config.most_rounds
        gaps: list[torch.Tensor] = []
        for step in range(steps):
            gaps.append(self._step(self._task.passages, rule))
            self._task.on_event(
                Event(stage="repair", done=step + 1, total=steps, unit="steps",
                      note=f"{int((gaps[-1] > 0).sum())} tokens left")
            )  # fmt: skip
        gaps.append(self._engine.observe(self._task.passages).gap)
        for earlier, later in pairwise(gaps):
            self.rounds.append(_round(earlier, later))

    def each_token(self, rule_for: Callable[[Observation], Rule]) -> None:
        """Take all steps for each failing token, from left to right."""
        for number, passage in enumerate(self._task.passages):
            for place in failing_places(self._engine, passage):
                alone = token_of(passage, place)
                seen = self._engine.observe([alone])
                rule = rule_for(seen)
                for _ in range(self._task.config.most_rounds):
                    self._step([alone], rule)
                self.rounds.append(_round(seen.gap, self._engine.observe([alone]).gap))
            self._task.on_event(
                Event(stage="repair", done=number + 1, total=len(self._task.passages),
                      unit="passages")
            )  # fmt: skip

    def _step(self, passages: Sequence[Passage], rule: Rule) -> torch.Tensor:
        """Take one step on all layers at once; return the gaps before it."""
        slopes, seen = look(self._engine, passages, self._task.layers)
        for layer, slope in slopes.items():
            columns = self._task.columns[layer]
            keys = seen.keys[layer]
            if columns is not None:
                columns = columns.to(slope.device)
                slope, keys = slope[:, columns], keys[:, columns]
            change = rule(layer, slope, keys)
            if layer in self._draft.deltas:
                change += self._draft.deltas[layer].left
            self._draft.put(layer, Delta(left=change, columns=columns))
        return seen.gap


def failing_places(engine: Engine, passage: Passage) -> Iterator[int]:
    """Yield the failing tokens of an answer from left to right, as they are found when asked for.

    What is predicted is read anew for each, so that a caller may repair one before the next.
    """
    done = -1
    while True:
        wrong = engine.observe([passage]).wrong.nonzero()[:, 0].tolist()
        left = [place for place in wrong if place > done]
        if not left:
            return
        done = left[0]
        yield done


def token_of(passage: Passage, place: int) -> Passage:
    """Return one token of an answer as a passage: all before it is the prompt."""
    prompt = passage.prompt + passage.answer[:place]
    return replace(passage, prompt=prompt, answer=(passage.wanted[place],), instead=())


def _round(before: torch.Tensor, after: torch.Tensor) -> RepairRound:
    wrong = before > 0
    return RepairRound(
        active=int(wrong.sum()),
        gaps=tuple(before[wrong].tolist()),
        achieved=tuple(after[wrong].tolist()),
    )
