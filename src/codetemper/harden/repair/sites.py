# SPDX-License-Identifier: Apache-2.0
"""Where the FFN output matrices of a model are, and what hooks and drafts read of an opened model.

``engine.Engine`` is the opened model; what stands below it (``_forward``, ``draft``) knows it by
``Opened`` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from codetemper.models.anatomy import Anatomy


@dataclass(frozen=True)
class Site:
    """The FFN output matrix of one layer.

    Attributes:
        layer: its number, counted from 0.
        path: the module.
        weight: name of the parameter in the bare model.
        inner: neurons f.
        transposed: whether the matrix is stored as [f, d] (GPT-2).
        inputs: the first linear layer of the FFN; its input is the FFN's.
        norm: the norm that follows the matrix before the residual stream, where one does.
    """

    layer: int
    path: str
    weight: str
    inner: int
    transposed: bool
    inputs: str
    norm: str | None


class Opened(Protocol):
    """A model opened for repair; see ``engine.Engine`` for what each is."""

    module: nn.Module
    parts: Anatomy
    head: nn.Module
    sites: tuple[Site, ...]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    @property
    def head_weight(self) -> torch.Tensor:
        """Weight of the head, [V, d]."""

    @property
    def head_bias(self) -> torch.Tensor:
        """Bias of the head, [V] in float32."""

    def matrix(self, layer: int) -> nn.Parameter:
        """Return the stored weight of a layer's FFN output."""

    def norm_facts(self, norm: str | None) -> tuple[torch.Tensor, torch.Tensor, bool]:
        """Return gain and bias of a norm, and whether it subtracts the mean."""
