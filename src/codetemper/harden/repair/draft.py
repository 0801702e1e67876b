# SPDX-License-Identifier: Apache-2.0
"""FFN output matrices changed for the length of a scope.

The whole change goes on each time, onto the old values: nothing is added to what is there, so
nothing rounds away step by step, and the old values come back as a copy.
"""

from __future__ import annotations

from typing import Literal

import torch

from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.sites import Opened, Site
from codetemper.models.rows import Change


class Draft:
    """Changed FFN output matrices of a model, and what they were.

    Attributes:
        deltas: what is on the model, by layer number; always all of it, never one step.
    """

    def __init__(self, engine: Opened) -> None:
        self._engine = engine
        self._old: dict[int, torch.Tensor] = {}
        self.deltas: dict[int, Delta] = {}

    def put(self, layer: int, delta: Delta) -> None:
        """Have a layer's matrix be the old one plus a change, whatever was on it before.

        Summed in float32 and rounded once to the weight's type.
        """
        weight = self._engine.matrix(layer)
        old = self._old.setdefault(layer, weight.detach().clone())
        self.deltas[layer] = delta
        with torch.no_grad():
            weight.copy_(changed(old, delta, transposed=self._engine.sites[layer].transposed))

    def drop(self, layer: int) -> None:
        """Have a layer's matrix be the old one again."""
        self.deltas.pop(layer, None)
        old = self._old.pop(layer, None)
        if old is not None:
            with torch.no_grad():
                self._engine.matrix(layer).copy_(old)

    def original(self, layer: int) -> torch.Tensor:
        """Return a layer's old matrix as [d, f], of the type it is stored in."""
        old = self._old.get(layer, self._engine.matrix(layer).detach())
        return old.T if self._engine.sites[layer].transposed else old

    def restore(self) -> None:
        """Copy all old values back."""
        with torch.no_grad():
            for layer, old in self._old.items():
                self._engine.matrix(layer).copy_(old)
        self._old, self.deltas = {}, {}


def changed(old: torch.Tensor, delta: Delta, *, transposed: bool) -> torch.Tensor:
    """Return a stored weight plus a change, in the weight's type.

    Args:
        old: [d, f], or [f, d] if transposed.
        delta: the change.
        transposed: which of the two.
    """
    total = (old.T if transposed else old).float()
    if delta.columns is not None:
        total = total.index_add(1, delta.columns.to(total.device), delta.dense().to(total))
    elif delta.right is not None:
        total = torch.addmm(total, delta.left.to(total), delta.right.to(total))
    else:
        total = total + delta.left.to(total)
    return (total.T if transposed else total).to(old.dtype)


def as_change(old: torch.Tensor, delta: Delta, site: Site) -> Change:
    """Return what a delta makes of a weight, as a ``rows`` patch holds it."""
    new = changed(old, delta, transposed=site.transposed)
    if delta.columns is None:
        return Change(site.weight, new)
    axis: Literal[0, 1] = 0 if site.transposed else 1
    places = sorted(delta.columns.tolist())
    index = torch.tensor(places, device=new.device)
    return Change(site.weight, new.index_select(axis, index), axis, places)
