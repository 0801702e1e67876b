# SPDX-License-Identifier: Apache-2.0
"""Hooks of one forward for ``engine``: keys before FFN outputs, divisors of norms, head inputs.

The head is computed at the positions that predict an answer only: a hook cuts what it is handed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.sites import Opened

#: Numbers of logits that are held at a time.
LOGITS = 1 << 24
#: Rivals of each point that are known with the wanted token's lead over them.
NEAREST = 2


@dataclass
class Seen:
    """Tensors of an ``Observation``, of one batch or of several."""

    passage: torch.Tensor
    position: torch.Tensor
    wanted: torch.Tensor
    predicted: torch.Tensor
    rival: torch.Tensor
    gap: torch.Tensor
    nearest: torch.Tensor
    leads: torch.Tensor
    sigma: torch.Tensor
    hidden: torch.Tensor
    keys: dict[int, torch.Tensor]
    divisors: dict[int, torch.Tensor]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Passage and position of each point."""
        return list(zip(self.passage.tolist(), self.position.tolist(), strict=True))

    def keep(self, mask: torch.Tensor) -> Seen:
        """Return the points at which a mask [T] is true."""
        places = mask.nonzero()[:, 0]
        return self._map(lambda values: values[0].index_select(0, places), [self])

    @classmethod
    def join(cls, parts: Sequence[Seen]) -> Seen:
        """Put batches one after the other."""
        return parts[0] if len(parts) == 1 else cls._map(torch.cat, parts)

    @classmethod
    def _map(cls, function: Any, parts: Sequence[Seen]) -> Seen:
        made: dict[str, Any] = {}
        for field in fields(cls):
            values = [getattr(part, field.name) for part in parts]
            if isinstance(values[0], dict):
                made[field.name] = {k: function([v[k] for v in values]) for k in values[0]}
            else:
                made[field.name] = function(values)
        return cls(**made)


class Recorder:
    """Hooks on a model for the length of one forward.

    Args:
        engine: the model.
        layers: layers whose keys are recorded.
    """

    def __init__(self, engine: Opened, layers: Sequence[int]) -> None:
        self._engine, self._layers = engine, tuple(layers)
        self._keys: dict[int, torch.Tensor] = {}
        self._norms: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self._head: torch.Tensor | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> Recorder:
        engine = self._engine
        module = engine.module
        for layer in self._layers:
            site = engine.sites[layer]
            part = module.get_submodule(site.path)
            self._handles.append(part.register_forward_pre_hook(self._note_key(layer)))
            if site.norm is not None:
                norm = module.get_submodule(site.norm)
                self._handles.append(norm.register_forward_hook(self._note_norm(site.norm)))
        final = engine.parts.final_norm
        if final is not None:
            norm = module.get_submodule(final)
            self._handles.append(norm.register_forward_hook(self._note_norm(final)))
        self._handles.append(engine.head.register_forward_pre_hook(self._cut_head))
        return self

    def __exit__(self, *unused: object) -> None:
        for handle in self._handles:
            handle.remove()

    def logits(self, passages: Sequence[Passage]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the head's output [T, V] at all predicting positions, and wanted tokens [T]."""
        rows, positions, wanted = self._places(passages)
        return self._engine.head(self._read_head()[rows, positions]), wanted

    def read(self, passages: Sequence[Passage], first: int) -> Seen:
        """Return what was seen at all predicting positions.

        Args:
            passages: of the batch.
            first: number of its first passage.
        """
        engine = self._engine
        rows, positions, wanted = self._places(passages)
        hidden = self._read_head()[rows, positions]
        predicted, rival, nearest, leads = self._best(hidden, wanted)
        head, bias = engine.head_weight, engine.head_bias
        hidden = hidden.float()
        gap = ((head[rival].float() - head[wanted].float()) * hidden).sum(-1)
        gap = gap + bias[rival] - bias[wanted]
        final = engine.parts.final_norm
        sigma = self._divisor(final, rows, positions) if final else torch.ones_like(gap)
        keys, divisors = {}, {}
        for layer in self._layers:
            keys[layer] = self._keys[layer][rows, positions].float()
            norm = engine.sites[layer].norm
            divisors[layer] = (
                sigma if norm is None else (sigma * self._divisor(norm, rows, positions))
            )
        for values in (gap, sigma, *keys.values()):
            if not bool(torch.isfinite(values).all()):
                raise UsageError(
                    "the model cannot be repaired as it is",
                    why="it computes values that are not numbers for these prompts",
                    mend="load it in float32, or check its weights",
                )
        return Seen(
            rows + first, positions, wanted, predicted, rival, gap, nearest, leads, sigma, hidden,
            keys, divisors,
        )  # fmt: skip

    def all_keys(self, passages: Sequence[Passage]) -> dict[int, torch.Tensor]:
        """Return the keys of each recorded layer at every position of the passages, [T, f]."""
        device = self._engine.device
        lengths = torch.tensor([len(passage) for passage in passages], device=device)
        longest = int(lengths.max())
        inside = torch.arange(longest, device=device)[None] < lengths[:, None]
        return {layer: keys[inside].float() for layer, keys in self._keys.items()}

    def _places(
        self, passages: Sequence[Passage]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return row, predicting position and wanted token of every token of the answers."""
        device = self._engine.device
        places = [
            (row, passage.first + n, token)
            for row, passage in enumerate(passages)
            for n, token in enumerate(passage.wanted)
        ]
        rows, positions, wanted = torch.tensor(places, device=device).unbind(1)
        return rows, positions, wanted

    def _best(
        self, hidden: torch.Tensor, wanted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the tokens of each position that matter, [T] or [T, ``NEAREST``].

        Returns:
            The predicted token; the best other than the wanted; the best of these others, best
            first; and by how much the wanted one leads each of them.
        """
        found = []
        size = max(1, LOGITS // len(self._engine.head_weight))
        for some, right in zip(hidden.split(size), wanted.split(size), strict=True):
            logits = self._engine.head(some)
            predicted, own = logits.argmax(-1), logits.gather(1, right[:, None])
            logits = logits.scatter(1, right[:, None], float("-inf"))
            values, tokens = logits.topk(min(NEAREST, logits.shape[1]), dim=1)
            found.append((predicted, tokens[:, 0], tokens, own.float() - values.float()))
        predicted, rival, nearest, leads = (torch.cat(each) for each in zip(*found, strict=True))
        return predicted, rival, nearest, leads

    def _divisor(self, norm: str, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return what a norm divided by, [T], told from what went in and what came out.

        With z = g * (x - mean x) and out = z / s + b it is s = z.z / z.(out - b).
        """
        taken, given = self._norms[norm]
        x, out = taken[rows, positions].float(), given[rows, positions].float()
        gain, bias, centred = self._engine.norm_facts(norm)
        z = gain * (x - x.mean(-1, keepdim=True) if centred else x)
        return (z * z).sum(-1) / (z * (out - bias)).sum(-1)

    def _read_head(self) -> torch.Tensor:
        if self._head is None:
            raise UsageError(
                "this model cannot be repaired",
                why="its head is not called in a forward",
                mend="use a causal language model of transformers",
            )
        return self._head

    def _note_key(self, layer: int) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...]) -> None:
            self._keys[layer] = args[0].detach()

        return hook

    def _note_norm(self, name: str) -> Any:
        def hook(part: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
            self._norms[name] = args[0].detach(), output.detach()

        return hook

    def _cut_head(self, part: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._head is not None:
            return None
        self._head = args[0]
        return (args[0][:, :1], *args[1:])


def padded(passages: Sequence[Passage]) -> torch.Tensor:
    """Return tokens of passages as [B, S], filled on the right with token 0."""
    longest = max(len(passage) for passage in passages)
    return torch.tensor([[*p.ids, *[0] * (longest - len(p))] for p in passages])
