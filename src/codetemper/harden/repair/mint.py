# SPDX-License-Identifier: Apache-2.0
r"""MINT (2312.05356): a few neurons, one failing token after the other, chosen by trying.

For each failing token, from left to right:

1. *Estimate.* The semantic steer s from the predicted to the wanted token (``semantic``), divided
   by the range of its entries, is where neurons are moved: :math:`\tau = s / (max s - min s)`. In
   each layer it is made orthogonal to the directions of earlier repairs there, at its old length.
2. *Locate.* In the upper half of the layers, the ``Config.candidates`` neurons with the largest
   gradient times activation of p(wanted), L2 over positions.
3. *Patch.* :math:`w_j \leftarrow (w_j + \eta \tau) / (1 + \eta)` for the one candidate after which
   the largest probability exceeds that of the wanted token least; again, until the wanted token
   is predicted. After ``Config.edits`` of them it is given up, and all its edits are undone.

All candidates are tried in one forward, a row for each: changing column j of W by :math:`\delta`
adds :math:`k_j \delta` to what the layer writes, so the weights need not be touched to see it.
Edits accumulate from token to token and from answer to answer; the model's own predictions are read
anew before each token. The full variant of the paper, which interpolates to the token embedding, is
not here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from codetemper.core.records import Event
from codetemper.core.repairs import RepairRound
from codetemper.harden.repair._forward import Recorder
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.descent import failing_places, token_of
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.locate import neuron_scores
from codetemper.harden.repair.outcome import outcome
from codetemper.harden.repair.task import Task
from codetemper.models.hooks import hooked

#: Step size of the paper's code.
STEP = 1e-2
#: A direction shorter than this share of what it was has nothing new in it.
_NOTHING_LEFT = 1e-6

#: A neuron: number of the layer, number in the layer.
Neuron = tuple[int, int]


def solve(engine: Engine, task: Task) -> Edit:
    """Repair by MINT.

    Args:
        engine: the model; as before afterwards, bit for bit.
        task: what is to be repaired, and ``step``, ``candidates`` and ``edits`` of its settings.
    """
    begun = time.monotonic()
    with engine.drafting() as draft:
        before = engine.observe(task.passages)
        work = _Work(engine, task, draft)
        for number, passage in enumerate(task.passages):
            for place in failing_places(engine, passage):
                alone = token_of(passage, place)
                work.repair(alone, engine.observe([alone]))
            task.on_event(
                Event(stage="repair", done=number + 1, total=len(task.passages), unit="passages",
                      note=f"{len(work.columns)} neurons")
            )  # fmt: skip
        return outcome(
            engine, task, draft, before, work.rounds, begun,
            edits=work.edits, given_up=work.given_up,
        )  # fmt: skip


class _Work:
    """A repair under way.

    Attributes:
        columns: change of each changed neuron's write, [d] in float32.
        rounds: one for each failing token.
        edits: how many were kept.
        given_up: how many tokens were.
    """

    def __init__(self, engine: Engine, task: Task, draft: Draft) -> None:
        self._engine, self._task, self._draft = engine, task, draft
        self._size = task.config.step or STEP
        half = len(engine.sites) // 2
        self._layers = tuple(n for n in task.layers if n >= half) or task.layers[-1:]
        self._earlier: dict[int, list[torch.Tensor]] = {}
        self.columns: dict[Neuron, torch.Tensor] = {}
        self.rounds: list[RepairRound] = []
        self.edits = 0
        self.given_up = 0

    def repair(self, token: Passage, seen: Observation) -> None:
        """Repair one failing token, or leave everything as it was."""
        steer = self._task.semantic.steer(self._engine.contrast(seen.wanted, seen.predicted))[0]
        aims = {n: orthogonal(ranged(steer), self._earlier.get(n, ())) for n in self._layers}
        candidates = self._candidates(token)
        kept = dict(self.columns)
        now, count = seen, 0
        while bool(now.wrong.any()) and count < self._task.config.edits:
            best = self._best(token, candidates, aims)
            self.columns[best] = self._moved(best, aims[best[0]])
            self._put({best[0]})
            now, count = self._engine.observe([token]), count + 1
        if bool(now.wrong.any()):
            changed = {layer for layer, _ in self.columns}
            self.columns = kept
            self._put(changed)
            self.given_up += 1
            now = self._engine.observe([token])
        else:
            self.edits += count
            self._remember(aims, {n[0] for n in self.columns if self.columns[n] is not kept.get(n)})
        self.rounds.append(
            RepairRound(
                active=1,
                gaps=tuple(seen.gap.tolist()),
                achieved=tuple(now.gap.tolist()),
                note=f"{count} edits" + (", given up" if bool(now.wrong.any()) else ""),
            )
        )

    def _candidates(self, token: Passage) -> list[Neuron]:
        config = self._task.config.model_copy(update={"scores": "gradient"})
        scores = neuron_scores(self._engine, [token], self._layers, config)
        for layer, score in scores.items():
            free = self._task.columns[layer]
            if free is not None:
                mask = torch.ones_like(score, dtype=torch.bool)
                mask[free.to(score.device)] = False
                score[mask] = float("-inf")
        flat = torch.cat([scores[layer] for layer in self._layers])
        owners = [(n, j) for n in self._layers for j in range(len(scores[n]))]
        top = flat.topk(min(self._task.config.candidates, len(flat)))
        return [
            owners[place]
            for place, score in zip(top.indices.tolist(), top.values.tolist(), strict=True)
            if score > float("-inf")
        ]

    def _best(
        self, token: Passage, candidates: Sequence[Neuron], aims: dict[int, torch.Tensor]
    ) -> Neuron:
        """Return the candidate whose edit leaves the smallest gap of probabilities."""
        none = torch.zeros(self._engine.hidden, device=self._engine.device)
        changes = [
            (neuron, self._moved(neuron, aims[neuron[0]]) - self.columns.get(neuron, none))
            for neuron in candidates
        ]
        gaps = []
        for begin in range(0, len(changes), self._engine.batch_size):
            some = changes[begin : begin + self._engine.batch_size]
            with pretended(self._engine, some), Recorder(self._engine, ()) as recorder:
                rows = [token] * len(some)
                with torch.no_grad():
                    self._engine.module(input_ids=self._engine.padded(rows), use_cache=False)
                    logits, wanted = recorder.logits(rows)
            likely = logits.float().softmax(-1)
            gaps.append(likely.amax(-1) - likely.gather(1, wanted[:, None])[:, 0])
        return candidates[int(torch.cat(gaps).argmin())]

    def _moved(self, neuron: Neuron, aim: torch.Tensor) -> torch.Tensor:
        """Return a neuron's change after one more edit."""
        layer, place = neuron
        old = self._draft.original(layer)[:, place].float()
        now = old + self.columns.get(neuron, torch.zeros_like(old))
        return (now + self._size * aim) / (1 + self._size) - old

    def _put(self, layers: set[int]) -> None:
        """Have the weights of some layers hold what ``columns`` says."""
        for layer in layers:
            places = sorted(j for n, j in self.columns if n == layer)
            if places:
                left = torch.stack([self.columns[layer, j] for j in places], dim=1)
                index = torch.tensor(places, device=left.device)
                self._draft.put(layer, Delta(left=left, columns=index))
            elif layer in self._draft.deltas:
                self._draft.drop(layer)

    def _remember(self, aims: dict[int, torch.Tensor], layers: set[int]) -> None:
        for layer in layers:
            earlier = self._earlier.setdefault(layer, [])
            unit = aims[layer] / aims[layer].norm()
            left = without(unit, earlier)
            if float(left.norm()) > _NOTHING_LEFT:
                earlier.append(left / left.norm())


def ranged(steer: torch.Tensor) -> torch.Tensor:
    """Divide a direction [d] by the range of its entries; in float32."""
    return (steer / (steer.max() - steer.min()).clamp_min(1e-30)).float()


def without(direction: torch.Tensor, units: Sequence[torch.Tensor]) -> torch.Tensor:
    """Take the parts along orthonormal units [d] out of a direction [d]."""
    for unit in units:
        direction = direction - (direction @ unit) * unit
    return direction


def orthogonal(direction: torch.Tensor, units: Sequence[torch.Tensor]) -> torch.Tensor:
    """Make a direction orthogonal to units, at its length; itself where nothing is left."""
    length, left = direction.norm(), without(direction, units)
    if float(left.norm()) <= _NOTHING_LEFT * float(length):
        return direction
    return left * (length / left.norm())


@contextmanager
def pretended(engine: Engine, changes: Sequence[tuple[Neuron, torch.Tensor]]) -> Iterator[None]:
    """Have row b of a batch computed as if one neuron's write were changed.

    Args:
        engine: the model; its weights are not touched.
        changes: for each row, the neuron and the change of its write, [d].
    """

    def adding(layer: int) -> Any:
        rows = [b for b, (neuron, _) in enumerate(changes) if neuron[0] == layer]
        places = [changes[b][0][1] for b in rows]
        writes = torch.stack([changes[b][1] for b in rows])

        def hook(part: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
            keys = torch.stack(
                [args[0][b, :, j] for b, j in zip(rows, places, strict=True)]
            ).float()
            made = output.clone()
            made[rows] = (output[rows].float() + keys[:, :, None] * writes[:, None]).to(output)
            return made

        return hook

    layers = {neuron[0] for neuron, _ in changes}
    with hooked(engine.module, after={engine.sites[n].path: adding(n) for n in layers}):
        yield
