# SPDX-License-Identifier: Apache-2.0
"""What a method found: changes of FFN output matrices as factors, and how it went.

A change of layer l is ``left @ right`` on some columns of ``W`` [d, f]; column j of ``W`` is what
neuron j writes. Factors are in float32; they are summed with the weight once, in float32, and
rounded once to the weight's type (``engine.Draft``). What is stored in a patch are the rounded new
values, so that it goes on and comes off bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from codetemper.core.repairs import RepairRound


@dataclass(frozen=True)
class Delta:
    """A change of one FFN output matrix.

    Attributes:
        left: [d, r] in float32.
        right: [r, n]; None where ``left`` is the change itself, [d, n].
        columns: [n], the neurons that change, sorted; None: all f.
    """

    left: torch.Tensor
    right: torch.Tensor | None = None
    columns: torch.Tensor | None = None

    def dense(self) -> torch.Tensor:
        """Return the change of the columns, [d, n]."""
        return self.left if self.right is None else self.left @ self.right

    def of(self, keys: torch.Tensor) -> torch.Tensor:
        """Return what it writes for keys [N, n], as [N, d] of their type."""
        if self.right is None or self.right.shape[0] > self.left.shape[0]:
            return keys @ self.dense().T.to(keys)
        return (keys @ self.right.T.to(keys)) @ self.left.T.to(keys)

    @property
    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Left and right factor; of a change without factors the right one is the identity."""
        if self.right is not None:
            return self.left, self.right
        return self.left, torch.eye(self.left.shape[1]).to(self.left)

    @property
    def rank(self) -> int:
        """Most independent directions it can have."""
        sizes = (self.left.shape[0], self.left.shape[1])
        return min(sizes) if self.right is None else min(*sizes, self.right.shape[1])


@dataclass(frozen=True)
class Edit:
    """What a method hands back; the model is as before, bit for bit.

    Attributes:
        method: its name.
        deltas: change by layer number (``Engine.sites``); sums of all rounds.
        rounds: what happened in each.
        solved: whether every answer token has the largest logit under the change.
        gaps_before: by failure id, gap at each answer token of each view, one after the other.
        gaps_after: the same under the change.
        seconds: wall seconds, statistics not counted.
        notes: anything else that a report should hold, plain JSON data.
    """

    method: str
    deltas: dict[int, Delta]
    rounds: tuple[RepairRound, ...]
    solved: bool
    gaps_before: dict[str, tuple[float, ...]]
    gaps_after: dict[str, tuple[float, ...]]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that change."""
        return tuple(sorted(self.deltas))

    @property
    def neurons(self) -> dict[int, int]:
        """How many neurons change, by layer; all of a layer's where a change names none."""
        return {
            layer: (
                len(delta.columns)
                if delta.columns is not None
                else (delta.left if delta.right is None else delta.right).shape[1]
            )
            for layer, delta in self.deltas.items()
        }

    @property
    def parameters(self) -> int:
        """Numbers that change."""
        return sum(self.deltas[n].left.shape[0] * count for n, count in self.neurons.items())
