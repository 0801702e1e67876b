# SPDX-License-Identifier: Apache-2.0
"""The key-value cache of the sampling loop: rows come and go, columns are appended in place.

transformers' own dynamic cache copies everything at each step to append one column; here a column
is written into spare room, and the copy happens once in ``_SPARE`` steps. All rows end at the same
column (left padding), so a row may leave and a new prompt may join at any time: ``rebuild`` lines
up the parts at their right edge. Sliding-window layers keep all columns; the mask hides the old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

#: Columns of room that are made at a time.
_SPARE = 64


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of one layer, [rows, heads, columns, width], with room to the right."""

    def __init__(self) -> None:
        super().__init__()
        self.length = 0
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None

    def fill(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Start from these keys and values."""
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._room = (_with_room(keys), _with_room(values))
        self._show(keys.shape[-2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append columns; return all keys and values so far (views)."""
        if self._room is None:
            # The prefill's own tensors serve as they are; room is made by ``rebuild``.
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized, self.length = True, key_states.shape[-2]
            self.keys, self.values = key_states, value_states
            self._room = (key_states, value_states)
            return key_states, value_states
        end = self.length + key_states.shape[-2]
        if end > self._room[0].shape[-2]:
            self._room = (_with_room(self.keys), _with_room(self.values))
        self._room[0][:, :, self.length : end] = key_states
        self._room[1][:, :, self.length : end] = value_states
        self._show(end)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Columns so far."""
        return self.length

    def _show(self, length: int) -> None:
        assert self._room is not None  # noqa: S101 - fill or update came first
        self.length = length
        self.keys, self.values = (room[:, :, :length] for room in self._room)


@dataclass(frozen=True)
class Part:
    """Rows of a cache that go into a new one.

    Attributes:
        cache: where they are now.
        rows: their indices, [k], in the new order; an index may occur often.
        trim: columns to leave out at the left (padding of every row of the part).
    """

    cache: DynamicCache
    rows: torch.Tensor
    trim: int


def empty_cache(layers: int) -> DynamicCache:
    """Return a cache without columns."""
    cache = DynamicCache()
    cache.layers = [RoomyLayer() for _ in range(layers)]
    return cache


def rebuild(parts: Sequence[Part]) -> DynamicCache:
    """Put rows of several caches under each other, lined up at the right edge."""
    length = max(part.cache.get_seq_length() - part.trim for part in parts)
    layers = []
    for number in range(len(parts[0].cache.layers)):
        held = [(part, part.cache.layers[number]) for part in parts]
        layer = RoomyLayer()
        layer.fill(
            _stacked([(layer.keys, part) for part, layer in held], length),
            _stacked([(layer.values, part) for part, layer in held], length),
        )
        layers.append(layer)
    cache = DynamicCache()
    cache.layers = layers
    return cache


def _stacked(blocks: Sequence[tuple[torch.Tensor, Part]], length: int) -> torch.Tensor:
    picked = [block[:, :, part.trim :].index_select(0, part.rows) for block, part in blocks]
    if len(picked) == 1:
        return picked[0]
    rows = sum(block.shape[0] for block in picked)
    _, heads, _, width = picked[0].shape
    # Zeros, not leftovers: a masked NaN would still poison the weighted sum.
    whole = picked[0].new_zeros((rows, heads, length, width))
    top = 0
    for block in picked:
        whole[top : top + block.shape[0], :, length - block.shape[2] :] = block
        top += block.shape[0]
    return whole


def _with_room(block: torch.Tensor) -> torch.Tensor:
    rows, heads, length, width = block.shape
    roomy = block.new_zeros((rows, heads, length + _SPARE, width))
    roomy[:, :, :length] = block
    return roomy
