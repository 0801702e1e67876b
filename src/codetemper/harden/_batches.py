# SPDX-License-Identifier: Apache-2.0
"""From examples to tensors, packed; and logits where there is loss, nowhere else.

    batch = Packer(weights, pack=True)(examples)          # a collator: input_ids, position_ids, ...
    logits = logits_at(model, batch)                      # [targets, vocabulary]

Sequences of one batch are laid end to end in rows as wide as its longest sequence. Position ids
start anew with each, and from that transformers builds a mask in which no sequence sees another
(``masking_utils``; flash attention reads the same from them), so packing changes neither what a
step learns nor which examples are in it. Whether an architecture keeps to that is measured by
``packs``; where it does not, each sequence gets a row of its own.

The head is the largest layer of a small model, and its logits are the largest tensor of any; a hook
hands it the hidden states of the targets only. What a model does after its head (soft caps, scales)
thus happens as in the model's own forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from codetemper.data.examples import SAME, Example, Role, Side
from codetemper.harden._losses import LossWeights, Targets, counts

#: Longest difference of logits, relative to their size, that counts as rounding.
_ROUNDING = 1e-3
#: What of a batch a model reads.
_READ = ("input_ids", "position_ids", "attention_mask")


class Packer:
    """Collates examples into one batch of tensors.

    Args:
        weights: decide whether the vulnerable side is read, and what the terms are divided by.
        pack: several sequences in a row; else one a row.
        pad: token id to fill up with; it is never seen by a sequence nor carries loss.
    """

    def __init__(self, weights: LossWeights, *, pack: bool = True, pad: int = 0) -> None:
        self._weights, self._pack, self._pad = weights, pack, pad

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return the batch.

        Returns:
            ``input_ids`` and ``position_ids`` [rows, width]; ``gate`` [rows, width], whether the
            example of a token is flagged; ``index`` [n], where in the flattened rows each target is
            foretold; ``owner`` [n], which example it belongs to; ``labels``,
            ``changed``, ``fixed``, ``instead`` [n], see ``Targets``; ``counts`` [5], see
            ``_losses.counts``; ``tokens`` [], without padding. Targets of one side are in order.
        """
        sides = [(e.fixed, True, n) for n, e in enumerate(examples) if e.fixed is not None]
        if self._weights.both_sides:
            unfixed = [(e.vulnerable, n) for n, e in enumerate(examples)]
            sides += [(side, False, n) for side, n in unfixed if side is not None]
        width = max((len(side.ids) for side, *_ in sides), default=1)
        rows = fill([len(side.ids) for side, *_ in sides], width if self._pack else 0)
        tokens = torch.full((max(1, len(rows)), width), self._pad)
        positions = torch.zeros_like(tokens)
        gate = torch.zeros_like(tokens, dtype=torch.bool)
        found: list[tuple[int, int, bool, bool, int]] = []
        owner: list[int] = []
        for number, row in enumerate(rows):
            at = 0
            for which in row:
                side, fixed, example = sides[which]
                length = len(side.ids)
                tokens[number, at : at + length] = torch.tensor(side.ids)
                positions[number, at : at + length] = torch.arange(length)
                gate[number, at : at + length] = examples[example].flagged
                found += targets(side, fixed, number * width + at)
                owner += [example] * (len(found) - len(owner))
                at += length
            # A sequence of its own, where rows are packed; seen by none in any case.
            positions[number, at:] = torch.arange(width - at) + (0 if self._pack else at)
        index, labels, changed, fixed, instead = zip(*found, strict=True) if found else [()] * 5
        wanted = Targets(
            torch.tensor(labels, dtype=torch.long),
            torch.tensor(changed, dtype=torch.bool),
            torch.tensor(fixed, dtype=torch.bool),
            torch.tensor(instead, dtype=torch.long),
        )
        return {
            "input_ids": tokens,
            "position_ids": positions,
            "gate": gate,
            "index": torch.tensor(index, dtype=torch.long),
            "owner": torch.tensor(owner, dtype=torch.long),
            "labels": wanted.labels,
            "changed": wanted.changed,
            "fixed": wanted.fixed,
            "instead": wanted.instead,
            "counts": counts(wanted, self._weights),
            "tokens": torch.tensor(sum(len(side.ids) for side, *_ in sides)),
        }


def targets(side: Side, fixed: bool, begin: int) -> Iterator[tuple[int, int, bool, bool, int]]:
    """Yield place, token, changed, fixed and instead of each token that carries loss.

    Args:
        side: the tokens.
        fixed: whether they are the fixed side's.
        begin: where they begin in the flattened rows; a token is foretold one place before it.
    """
    for at in range(1, len(side.ids)):
        role = side.roles[at]
        keeps = role == Role.KEPT
        if keeps or role == Role.CHANGED or (fixed and role == Role.UNCHANGED):
            instead = side.instead[at] if side.instead else SAME
            yield begin + at - 1, side.ids[at], role == Role.CHANGED, fixed and not keeps, instead


def fill(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Distribute sequences over rows: first fit, longest first.

    Args:
        lengths: tokens of each sequence.
        width: tokens of a row; 0 gives each sequence its own.

    Returns:
        For each row the numbers of its sequences.
    """
    if not width:
        return [[which] for which in range(len(lengths))]
    rows: list[list[int]] = []
    room: list[int] = []
    for which in sorted(range(len(lengths)), key=lambda k: -lengths[k]):
        fits = next((row for row, left in enumerate(room) if left >= lengths[which]), None)
        if fits is None:
            rows.append([])
            room.append(width)
            fits = len(rows) - 1
        rows[fits].append(which)
        room[fits] -= lengths[which]
    return rows


def logits_at(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Run the model and return the logits that foretell the targets, [targets, vocabulary].

    Args:
        model: what is called: the module, or what wraps it for several processes.
        batch: of a ``Packer``, or anything with ``input_ids``, ``position_ids``, ``index``, and
            ``attention_mask`` where there is one.
    """
    index = batch["index"]
    inner = model.module if isinstance(model, DistributedDataParallel) else model
    with _head_at(inner, index) as selected:
        given = {name: batch[name] for name in _READ if name in batch}
        logits = model(**given, use_cache=False).logits
    if selected:
        return logits[0]
    return logits.reshape(-1, logits.shape[-1])[index]


@contextmanager
def _head_at(module: nn.Module, index: torch.Tensor) -> Iterator[list[bool]]:
    """Hand the head the hidden states at some places only, as one row; tell whether it came so."""
    selected: list[bool] = []

    def select(head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not args or args[0].dim() != 3:
            return None
        selected.append(True)
        hidden = args[0].reshape(-1, args[0].shape[-1])
        return (hidden[index][None], *args[1:])

    head = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    if head is None:
        yield selected
        return
    handle = head.register_forward_pre_hook(select)
    try:
        yield selected
    finally:
        handle.remove()


@torch.no_grad()
def packs(module: nn.Module) -> bool:
    """Whether sequences packed in one row are to this model what they are in rows of their own."""
    size = int(module.get_input_embeddings().num_embeddings)
    device = next(module.parameters()).device
    tokens = torch.arange(16, device=device)[None] * 7 % size
    positions = torch.tensor([[*range(10), *range(6)]], device=device)
    mode = module.training
    module.eval()
    try:
        packed = module(input_ids=tokens, position_ids=positions, use_cache=False).logits[0, 10:]
        alone = module(input_ids=tokens[:, 10:], use_cache=False).logits[0]
    except (TypeError, ValueError, RuntimeError):
        return False
    finally:
        module.train(mode)
    return bool((packed - alone).abs().max() <= _ROUNDING * alone.abs().max().clamp(min=1.0))
