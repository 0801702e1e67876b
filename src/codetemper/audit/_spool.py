# SPDX-License-Identifier: Apache-2.0
"""The features of one stack on their way from hooks to disk, a batch at a time.

Four of the five pools are one product of a selection matrix with the states of a batch; ``max`` is
a second pass over them. What is written is one row of numbers a sample and place; see
``activations``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from codetemper.audit._reading import Line
from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled


class Spool:
    """Pools hidden states of a stack and writes them."""

    def __init__(
        self, path: Path, shape: tuple[int, int], pools: Sequence[str], width: int, seed: int
    ) -> None:
        """Prepare for some samples.

        Args:
            path: file to write.
            shape: layers, the first block's input counted, and samples.
            pools: how positions become one.
            width: most numbers kept of a state.
            seed: of the projection.
        """
        self.path, self._pools, self._width, self._seed = path, list(pools), width, seed
        self._layers, self._samples = shape
        self._linear = [pool for pool in pools if pool != "max"]
        self._seen: dict[int, torch.Tensor] = {}
        self._chosen = self._blank = torch.zeros(0)
        self._directions: torch.Tensor | None = None
        self._stored: npt.NDArray[np.float32] | None = None

    def aim(self, lines: Sequence[Line], device: torch.device) -> None:
        """Say what the next batch holds."""
        longest = max(len(line.ids) for line in lines)
        chosen = np.zeros((len(lines), len(self._linear), longest), dtype=np.float32)
        blank = np.ones((len(lines), longest), dtype=np.bool_)
        for row, line in enumerate(lines):
            length = len(line.ids)
            blank[row, :length] = False
            for pool, name in enumerate(self._linear):
                at: slice | npt.NDArray[np.int64] | int = slice(0, length)
                if name == "line":
                    at = line.ends
                elif name != "mean":
                    at = line.decision if name == "decision" else length - 1
                chosen[row, pool, at] = 1
        chosen /= chosen.sum(-1, keepdims=True)
        self._chosen = torch.from_numpy(chosen).to(device)
        self._blank = torch.from_numpy(blank).to(device)
        self._seen.clear()

    def take(self, layer: int, state: torch.Tensor) -> None:
        """Pool the states [rows, tokens, d] of a layer."""
        # Virtual tokens of a patch stand in front of the text.
        state = state[:, -self._blank.shape[1] :].float()
        linear = iter(torch.bmm(self._chosen, state).unbind(1))
        blank = self._blank[..., None]
        found = [
            state.masked_fill(blank, -torch.inf).amax(1) if pool == "max" else next(linear)
            for pool in self._pools
        ]
        self._seen[layer] = torch.stack(found)

    def write(self, rows: Sequence[int], samples: Sequence[Labelled]) -> None:
        """Write what was pooled of a batch.

        Args:
            rows: numbers of its samples.
            samples: all samples, for the message.

        Raises:
            UsageError: a state that is no number, or a full disk.
        """
        pooled = torch.stack([self._seen[layer] for layer in range(self._layers)])
        kept = self._projected(pooled).cpu().numpy()
        wrong = np.argwhere(~np.isfinite(kept))
        if len(wrong):
            layer, _, row, _ = wrong[0]
            sample = samples[rows[int(row)]]
            raise UsageError(
                "the model's activations are not numbers",
                why=f"layer {layer} gives NaN or infinity for sample {sample.id}",
                mend="load it in float32 (--dtype float32), or check its weights",
            )
        if self._stored is None:
            places = self._layers * len(self._pools)
            self._stored = mapped(self.path, (places, self._samples, kept.shape[-1]))
        self._stored[:, rows] = kept.reshape(-1, *kept.shape[2:])

    def _projected(self, pooled: torch.Tensor) -> torch.Tensor:
        size = pooled.shape[-1]
        if size <= self._width:
            return pooled
        if self._directions is None:
            generator = torch.Generator().manual_seed(self._seed)
            drawn = torch.randn(size, self._width, generator=generator, dtype=torch.float64)
            found, upper = torch.linalg.qr(drawn)
            # The signs that make the draw uniform over all directions, and the same everywhere.
            found = found * upper.diagonal().sign() * (size / self._width) ** 0.5
            self._directions = found.to(pooled.device, torch.float32)
        return pooled @ self._directions


def mapped(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a new array of zeros that lies in a file, with its space taken at once.

    Raises:
        UsageError: the disk is full or closed.
    """
    with mendable(path):
        stored = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        # A disk that fills up under a mapped file would end the process without a word.
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return stored
