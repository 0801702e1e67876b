# SPDX-License-Identifier: Apache-2.0
r"""Locate-then-edit on code: MEMIT, PMET, AlphaEdit and ROME through the one solver.

All four first search what a part of the model should write at the failing tokens (``values``), then
solve for a change of FFN output matrices by which their keys write it (``solve``):

========== ============================= ========================= ================================
method     what is searched              wanted of layer i         metric, ridge
========== ============================= ========================= ================================
memit      output of the last block      r / (e - i + 1)           :math:`C^{-1}`, moment_weight
pmet       output of the last FFN, and   r / sqrt(e - i + 1)       :math:`C^{-1}`, moment_weight
           attention's, not written
alphaedit  as memit                      r / (e - i + 1); 0 for    :math:`P`, moment_weight
                                         keys of earlier batches
rome       output of one FFN, one token  :math:`v^* - W k`         :math:`C^{-1}`, 0
           after the other
========== ============================= ========================= ================================

(2210.07229, 2308.08742, 2410.02355, 2202.05262), with r what is still missing at the last layer e
of the window, measured again before each layer, C the second moments of reference texts' keys and P
the projector on directions that they do not use.

Adapted to code: keys are those of the predicting positions of failing tokens, since there is no
subject; every failing token of every wording is a key of its own; tokens are ids. Where a change is
spread, the answers' right tokens are keys too, under what was written there before. Defaults that
depend on a model's scale are taken relative to it (``moment_weight`` None: a share of the number of
neurons, or for alphaedit ``ridge`` of the system's mean diagonal). One pass, as in the papers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from codetemper.core.records import Event
from codetemper.core.repairs import RepairRound
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.descent import failing_places
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.metrics import Metric
from codetemper.harden.repair.outcome import outcome
from codetemper.harden.repair.solve import solve as solve_keys
from codetemper.harden.repair.task import Task
from codetemper.harden.repair.values import outputs, search

#: Share of the model's depth at which a window of layers ends.
DEPTH = 2 / 3
#: ``moment_weight`` of memit and pmet, as a share of the number of neurons (the length of an
#: average reference key in the metric); MEMIT's 15,000 for GPT-J's 16,384 neurons is about one.
MOMENT_SHARE = 1.0
#: Failures that alphaedit solves together; keys of those before keep what they write.
TOGETHER = 100


@dataclass(frozen=True)
class Plan:
    """How a method spreads what is missing over a window of layers.

    Attributes:
        paths: modules whose output is searched, of the window's last layer; the first is wanted.
        share: from the number of layers left, this one included, to what is divided by.
        remembers: whether keys of earlier batches are to keep what they write.
    """

    paths: Callable[[Engine, int], list[str]]
    share: Callable[[int], float]
    remembers: bool = False


def solve(engine: Engine, task: Task) -> Edit:
    """Repair by the method that ``task.config.method`` names.

    Args:
        engine: the model; as before afterwards, bit for bit.
        task: what is to be repaired, and ``edit_layers``, ``value_*``, ``moment_weight`` of its
            settings.
    """
    begun = time.monotonic()
    with engine.drafting() as draft:
        before = engine.observe(task.passages)
        work = _Work(engine, task, draft)
        if task.config.method == "rome":
            work.one_by_one()
        else:
            plan = PLANS[task.config.method]
            for batch in batches(task.passages, TOGETHER if plan.remembers else None):
                work.spread(batch, plan)
        return outcome(engine, task, draft, before, work.rounds, begun, window=list(work.window))


def window(task: Task, depth: int) -> tuple[int, ...]:
    """Return the layers that a change is spread over: the last ones above ``DEPTH``.

    Args:
        task: layers that may change, and ``edit_layers`` of its settings.
        depth: layers of the model.
    """
    free = [layer for layer in task.layers if layer < math.ceil(DEPTH * depth)]
    return tuple((free or task.layers[:1])[-task.config.edit_layers :])


def batches(passages: Sequence[Passage], size: int | None) -> Iterator[list[Passage]]:
    """Yield passages so that a batch holds all wordings of at most ``size`` failures."""
    names = list(dict.fromkeys(passage.failure for passage in passages))
    for begin in range(0, len(names), size or len(names)):
        chosen = set(names[begin : begin + (size or len(names))])
        yield [passage for passage in passages if passage.failure in chosen]


class _Work:
    """An edit under way.

    Attributes:
        window: layers that change.
        rounds: one for each batch, or for each token of rome.
    """

    def __init__(self, engine: Engine, task: Task, draft: Draft) -> None:
        self._engine, self._task, self._draft = engine, task, draft
        self.window = window(task, len(engine.sites))
        self._earlier: dict[int, list[torch.Tensor]] = {layer: [] for layer in self.window}
        self.rounds: list[RepairRound] = []

    def spread(self, batch: Sequence[Passage], plan: Plan) -> None:
        """Solve one batch, a layer after the other."""
        engine, config = self._engine, self._task.config
        first = engine.observe(batch)
        failing = [p for p, right in zip(batch, first.right, strict=True) if not right]
        if not failing:
            return
        paths = plan.paths(engine, self.window[-1])
        seen, target = self._read(failing, paths[0], [])
        wrong = seen.wrong
        target[wrong] += search(engine, failing, wrong, ~wrong, paths, config)
        for number, layer in enumerate(self.window):
            now, written = self._read(failing, paths[0], [layer])
            missing = (target - written) / plan.share(len(self.window) - number)
            keys = self._cut(layer, now.keys[layer])
            self._put(layer, *self._solved(layer, keys, self._as_write(layer, missing, now)))
            if plan.remembers:
                self._earlier[layer].append(keys)
            self._task.on_event(
                Event(stage="repair", done=number + 1, total=len(self.window), unit="layers")
            )
        self._account(seen, engine.observe(failing), wrong)

    def one_by_one(self) -> None:
        """Solve one failing token after the other in one layer, by changes of rank one."""
        engine, layer = self._engine, self.window[-1]
        path = engine.sites[layer].path
        metric = self._task.statistics.metric(layer, self._task.columns[layer])
        for number, passage in enumerate(self._task.passages):
            for place in failing_places(engine, passage):
                seen = engine.observe([passage], layers=[layer])
                one = torch.zeros_like(seen.wrong)
                one[place] = True
                missing = search(engine, [passage], one, ~seen.wrong, [path], self._task.config)
                keys = self._cut(layer, seen.keys[layer][one])
                self._put(layer, *solve_keys(keys, missing, metric))
                self._account(seen, engine.observe([passage]), one)
            self._task.on_event(
                Event(stage="repair", done=number + 1, total=len(self._task.passages),
                      unit="passages")
            )  # fmt: skip

    def _solved(
        self, layer: int, keys: torch.Tensor, wanted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return factors by which keys write what is wanted, and earlier keys what they did."""
        metric = self._task.statistics.metric(layer, self._task.columns[layer])
        count = len(keys)
        keys = torch.cat([keys, *self._earlier[layer]])
        rest = wanted.new_zeros(len(keys) - count, wanted.shape[1])
        return solve_keys(keys, torch.cat([wanted, rest]), metric, self._ridge(keys, metric))

    def _ridge(self, keys: torch.Tensor, metric: Metric) -> float:
        config = self._task.config
        if config.moment_weight is not None:
            return config.moment_weight
        if config.method == "alphaedit":
            return config.ridge * float((keys * metric.apply(keys)).sum(-1).mean())
        return MOMENT_SHARE * keys.shape[1]

    def _read(
        self, passages: Sequence[Passage], path: str, layers: Sequence[int]
    ) -> tuple[Observation, torch.Tensor]:
        """Look at passages; return also what a module writes at all their tokens, [T, d]."""
        engine = self._engine
        with outputs(engine, [path]) as noted:
            seen = engine.observe(passages, layers=layers)
        rows = []
        for number, written in enumerate(noted[path]):
            row = seen.passage - number * engine.batch_size
            mine = (row >= 0) & (row < len(written))
            rows.append(written[row[mine], seen.position[mine]].float())
        return seen, torch.cat(rows)

    def _as_write(self, layer: int, missing: torch.Tensor, seen: Observation) -> torch.Tensor:
        """Return what an FFN has to write for a move of the residual stream, through its norm."""
        if self._engine.sites[layer].norm is None:
            return missing
        gain = self._engine.gains[layer]
        safe = torch.where(gain.abs() < 1e-6, torch.ones_like(gain), gain)
        divisor = (seen.divisors[layer] / seen.sigma)[:, None]
        return torch.where(gain.abs() < 1e-6, torch.zeros_like(missing), missing * divisor / safe)

    def _cut(self, layer: int, keys: torch.Tensor) -> torch.Tensor:
        columns = self._task.columns[layer]
        return keys if columns is None else keys[:, columns.to(keys.device)]

    def _put(self, layer: int, left: torch.Tensor, right: torch.Tensor) -> None:
        """Add factors to what is on a layer already."""
        known = self._draft.deltas.get(layer)
        if known is not None and known.right is not None:
            left = torch.cat([known.left, left], dim=1)
            right = torch.cat([known.right, right])
        self._draft.put(layer, Delta(left, right, self._task.columns[layer]))

    def _account(self, before: Observation, after: Observation, chosen: torch.Tensor) -> None:
        self.rounds.append(
            RepairRound(
                active=int(chosen.sum()),
                gaps=tuple(before.gap[chosen].tolist()),
                achieved=tuple(after.gap[chosen].tolist()),
            )
        )


def _block(engine: Engine, layer: int) -> list[str]:
    return [engine.parts.layers[layer].name]


def _ffn_and_attention(engine: Engine, layer: int) -> list[str]:
    return [engine.sites[layer].path, *engine.parts.layers[layer].attention_out[-1:]]


PLANS = {
    "memit": Plan(_block, float),
    "pmet": Plan(_ffn_and_attention, math.sqrt),
    "alphaedit": Plan(_block, float, remembers=True),
}
