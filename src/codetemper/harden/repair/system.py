# SPDX-License-Identifier: Apache-2.0
r"""The linear model of gaps: how far multipliers of some move each, and the change they stand for.

    system = System(engine, task, seen, owner, rival)      # gaps to rivals [T] of points [T]
    A = system.gram(rows)                                   # A @ multipliers, of some of the gaps
    system.deltas(multipliers)                              # what ``joint`` puts on

.. math:: A_{ts} = (c_t^T G^{-1} c_s) \sum_l (k_{l,t}^T Q_l k_{l,s}) / \sigma_t\sigma_s

(``joint``). Of few gaps A is a matrix. Of more it is multiplied by without being made, so a product
takes neither time nor memory with the square of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.task import Task

#: Gaps up to which A is made, in float64; of more it is multiplied by alone.
DIRECT: Final = 1024
#: Groups of like keys that points are ordered by.
_GROUPS: Final = 128
#: Times that points are assigned to them.
_LOOKS: Final = 5


class System:
    """The linear model of T gaps at P points, in float64 where it is solved by elimination.

    Attributes:
        owner: the point of each gap, [T].
        contrasts: c_t, [T, d].
        steers: G^-1 c_t, [T, d].
        keys: by layer, keys over divisors, [P, n].
        solved: by layer, Q of them, [P, n].
    """

    def __init__(
        self,
        engine: Engine,
        task: Task,
        seen: Observation,
        owner: torch.Tensor,
        rival: torch.Tensor,
    ) -> None:
        """Set it up from what was seen, for gaps to rivals [T] of points [T]."""
        kind = torch.float64 if len(owner) <= DIRECT else torch.float32
        contrasts = task.semantic.contrast(engine.contrast(seen.wanted[owner], rival))
        self.owner, self.contrasts = owner, contrasts.to(kind)
        self.steers = task.semantic.steer(contrasts).to(kind)
        self.keys: dict[int, torch.Tensor] = {}
        self.solved: dict[int, torch.Tensor] = {}
        for layer in task.layers:
            columns = task.columns[layer]
            some = seen.keys[layer] / seen.divisors[layer][:, None]
            self.keys[layer] = some if columns is None else some[:, columns]
            self.solved[layer] = task.statistics.metric(layer, columns).apply(self.keys[layer])
        self._gains, self._columns = engine.gains, task.columns

    def gram(self, rows: torch.Tensor) -> torch.Tensor | Product:
        """Return A of some of the gaps, a boolean for each: [t, t]. Of few as a matrix."""
        keys, solved = (torch.cat([*each.values()], 1) for each in (self.keys, self.solved))
        whole = Product(self.owner, self.contrasts, self.steers, keys, solved)
        some = rows.nonzero()[:, 0]
        return whole.part(rows) if len(some) > DIRECT else whole.entries(some)

    def effect(self, deltas: dict[int, Delta]) -> torch.Tensor:
        """Return how far a change closes each gap, [T]."""
        total = torch.zeros(len(self.owner)).to(self.contrasts)
        for layer, delta in deltas.items():
            moved = delta.of(self.keys[layer].to(self.contrasts)) * self._gains[layer]
            total += (self.contrasts * moved[self.owner]).sum(-1)
        return total

    def deltas(self, multipliers: torch.Tensor) -> dict[int, Delta]:
        """Return the change that multipliers [T] stand for: of one direction for each point."""
        count = len(next(iter(self.keys.values())))
        weighted = torch.zeros(count, self.steers.shape[1]).to(self.steers)
        weighted.index_add_(0, self.owner, self.steers * multipliers[:, None])
        used = torch.zeros(count).to(multipliers).index_add_(0, self.owner, multipliers) > 0
        return {
            layer: Delta(
                left=_over(weighted[used], self._gains[layer]).T.float().contiguous(),
                right=right[used].float().contiguous(),
                columns=self._columns[layer],
            )
            for layer, right in self.solved.items()
        }


@dataclass(frozen=True)
class Product:
    """A as what it is made of, without being made: T gaps at P points.

    Attributes:
        owner: the point of each gap, [T].
        contrasts, steers: [T, d].
        keys, solved: those of all layers side by side, [P, n].
    """

    owner: torch.Tensor
    contrasts: torch.Tensor
    steers: torch.Tensor
    keys: torch.Tensor
    solved: torch.Tensor

    def __len__(self) -> int:
        return len(self.owner)

    def __matmul__(self, multipliers: torch.Tensor) -> torch.Tensor:
        """Return what multipliers [T] move each gap by, [T]."""
        written = torch.zeros(len(self.keys), self.steers.shape[1]).to(self.steers)
        written.index_add_(0, self.owner, self.steers * multipliers[:, None])
        moved = self.keys @ (self.solved.T @ written)
        return (self.contrasts * moved[self.owner]).sum(-1)

    def diagonal(self) -> torch.Tensor:
        """Return what each gap's own multiplier moves it by, [T]."""
        points = (self.keys * self.solved).sum(-1)
        return (self.contrasts * self.steers).sum(-1) * points[self.owner]

    def part(self, rows: torch.Tensor) -> Product:
        """Return A of some of the gaps, a boolean for each, and of their points alone."""
        points, owner = torch.unique(self.owner[rows], return_inverse=True)
        return Product(
            owner, self.contrasts[rows], self.steers[rows], self.keys[points], self.solved[points]
        )

    def entries(self, rows: torch.Tensor) -> torch.Tensor:
        """Return A of a few gaps, by number, as a matrix."""
        points = self.owner[rows]
        inner = self.keys[points].to(self.contrasts) @ self.solved[points].to(self.contrasts).T
        return (self.contrasts[rows] @ self.steers[rows].T) * inner

    def order(self) -> torch.Tensor:
        """Return numbers of all gaps, those of points whose keys are alike side by side."""
        group, centres = _groups(nn.functional.normalize(self.solved))
        rank = torch.empty_like(group)
        rank[_halved(centres)] = torch.arange(len(centres), device=group.device)
        return torch.argsort(rank[group][self.owner], stable=True)


def _groups(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the group of each point [P, n] and centres [g, n]: spherical k-means."""
    begin = torch.linspace(0, len(points) - 1, min(_GROUPS, len(points)), device=points.device)
    centres = points[begin.long()]
    for _ in range(_LOOKS):
        group = (points @ centres.T).argmax(1)
        centres = nn.functional.normalize(torch.zeros_like(centres).index_add_(0, group, points))
    return group, centres


def _halved(centres: torch.Tensor) -> torch.Tensor:
    """Return an order of centres [g, n]: by halves along their widest direction, and so on."""

    def order(some: torch.Tensor) -> torch.Tensor:
        if len(some) < 3:
            return some
        left = centres[some] - centres[some].mean(0)
        along = torch.linalg.svd(left, full_matrices=False)[0][:, 0]
        first, second = some[along.argsort()].tensor_split(2)
        return torch.cat([order(first), order(second)])

    return order(torch.arange(len(centres), device=centres.device))


def _over(steers: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Return steers [T, d] divided by a gain [d]; where that is nearly none, they are left out."""
    square = gain * gain
    return steers * gain / (square + 1e-4 * square.mean())
