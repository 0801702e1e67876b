# SPDX-License-Identifier: Apache-2.0
r"""Guards that are on for some tokens of a batch and off for the others.

    with gates(wrapped, ["guard-3fa9"]) as gate:
        gate.set(batch["gate"])                   # [rows, width], True where guards are on
        wrapped(**batch)                          # backward, and the next batch
        gate.set(None)                            # on everywhere

With a gate :math:`g_t \in \{0, 1\}` a layer computes
:math:`h_t = W x_t + s_t B_t A_t x_t + g_t s_g B_g A_g x_t`: the guard :math:`(A_g, B_g)` is there
for some tokens and is not for others. Sequences that share a row do not see each other, so each
computes exactly what it computes alone, with the guard or without it. The gate acts on the
rank-sized numbers between :math:`A_g` and :math:`B_g`; where it is shut, neither values nor
gradients pass.

A gate stays until another is set. So a layer that is computed a second time in the backward pass
(gradient checkpointing) finds the one it had, as long as a batch's backward pass comes before the
next batch's gate. Nothing here decides which tokens those are, nor freezes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.owned import OwnedPeftModel


class Gates:
    """What the hooks on guards read."""

    def __init__(self) -> None:
        self._open: torch.Tensor | None = None

    def set(self, places: torch.Tensor | None) -> None:
        """Say where guards are on from now on.

        Args:
            places: [rows, width] bool, on the device of the activations; None: everywhere.
        """
        self._open = places

    def _shut(self, part: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Let through what the gate is open for; a forward pre-hook of a guard's ``lora_B``."""
        if self._open is None:
            return None
        inner = given[0]
        if inner.shape[:-1] == self._open.shape:
            places = self._open
        elif inner.shape[:-1] == (self._open.numel(),):
            places = self._open.reshape(-1)
        else:
            raise UsageError(
                "guards cannot be on for some tokens only in this model",
                why=f"a layer is handed {tuple(inner.shape[:-1])} positions of a batch of "
                f"{tuple(self._open.shape)}",
                mend="have them on for all: --guard-mode always",
            )
        return (inner.masked_fill(~places[..., None], 0), *given[1:])


@contextmanager
def gates(wrapped: OwnedPeftModel, names: Sequence[str]) -> Iterator[Gates]:
    """Put gates on LoRA adapters for the length of a scope.

    Args:
        wrapped: the model they are on.
        names: of the adapters.

    Yields:
        The gate; open until it is set.

    Raises:
        UsageError: an adapter without LoRA layers.
    """
    gate = Gates()
    with ExitStack() as hooks:
        for name in names:
            layers = [
                part.lora_B[name]
                for part in wrapped.modules()
                if isinstance(part, LoraLayer) and name in part.lora_B
            ]
            if not layers:
                raise UsageError(
                    f"'{name}' cannot be switched by token",
                    why="it has no low-rank matrices beside linear layers",
                    mend="make a guard with: codetemper guard",
                )
            for layer in layers:
                hooks.callback(layer.register_forward_pre_hook(gate._shut).remove)
        yield gate
