# SPDX-License-Identifier: Apache-2.0
r"""The linear model of gaps: how far multipliers of some move each, and the change they stand for.

    system = System(engine, task, seen, owner, rival)      # gaps to rivals [T] of points [T]
    A = system.gram(rows)                                   # A @ multipliers, of some of the gaps
    system.deltas(multipliers)                              # what ``joint`` puts on

.. math:: A_{ts} = (c_t^T G^{-1} c_s) \sum_l (k_{l,t}^T Q_l k_{l,s}) / \sigma_t\sigma_s

(``joint``). Of few gaps A is a matrix. Of very many it is multiplied by without being made, so a
product takes neither time nor memory with the square of their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.solve import DIRECT
from codetemper.harden.repair.task import Task

#: Rows of a matrix that are made together.
_BLOCK: Final = 1024
#: Entries of a matrix that are read in the time of one multiplication of what it is made of.
_READ: Final = 0.25


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
        """Return A of some of the gaps, a boolean for each: [t, t].

        As a matrix, or where that is more to read for each product than what it is made of, as
        the latter.
        """
        owner, contrasts, steers = self.owner[rows], self.contrasts[rows], self.steers[rows]
        keys, solved = torch.cat([*self.keys.values()], 1), torch.cat([*self.solved.values()], 1)
        dense = max(DIRECT**2, int(_READ * keys.numel() * contrasts.shape[1]))
        if len(owner) ** 2 > dense:
            return Product(owner, contrasts, steers, keys, solved)
        inner = keys.to(contrasts) @ solved.to(contrasts).T
        made = contrasts @ steers.T
        for some, points in zip(made.split(_BLOCK), owner.split(_BLOCK), strict=True):
            some *= inner[points][:, owner]
        return made

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


def _over(steers: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Return steers [T, d] divided by a gain [d]; where that is nearly none, they are left out."""
    square = gain * gain
    return steers * gain / (square + 1e-4 * square.mean())
