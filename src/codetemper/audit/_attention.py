# SPDX-License-Identifier: Apache-2.0
r"""Where an attention keeps its queries, keys and values, head by head, found by what they do.

    for each in attentions(body):
        each.query.module, each.query.rows        # rows of that layer's weight, in order of heads

Names and layouts differ (fused, interleaved, fewer keys than queries); gradients do not. With z the
input of the attention's output layer at the last position, and every linear layer's output a leaf:

* z reads a *query* row at its own position only, and key and value rows at others too;
* a *value* row is added to one number of z a head, and a *key* row weighs all numbers of its head,
  so that the even and the odd numbers of a head tell the two apart;
* where the slopes of z along a key row sum to zero over positions, adding a constant to that row
  changes nothing: the softmax takes it out, and a *key bias is not identifiable*. Rotary positions
  turn keys before they meet queries, and the sum is not zero;
* where z does not change with the length of a key, a norm follows, and lengths are not
  identifiable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.anatomy import Layer, anatomy
from codetemper.models.anatomy_probe import Trace, trace

#: A sum of slopes below this share of their sizes is rounding.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Rows:
    """Some of a linear layer's outputs, head by head.

    Attributes:
        module: path of the layer.
        rows: numbers of its outputs [heads * width].
    """

    module: str
    rows: torch.Tensor


@dataclass(frozen=True)
class Attention:
    """One attention of one layer.

    Attributes:
        name: path of the layer, with the number of the attention where a layer has two.
        out: path of the output layer.
        query: rows that are queries.
        key: rows that are keys, repeated where several heads share them.
        value: rows that are values, likewise.
        free_bias: whether a constant added to keys changes nothing.
        normed: whether the length of keys changes nothing.
    """

    name: str
    out: str
    query: Rows
    key: Rows
    value: Rows
    free_bias: bool
    normed: bool


@torch.enable_grad()
def attentions(body: nn.Module) -> list[Attention]:
    """Find every attention of a transformers model without a head.

    Raises:
        UsageError: an architecture whose parts cannot be told apart.
    """
    config = body.config
    parts = anatomy(body, config)
    modules = dict(body.named_modules())
    layers = [layer for stack in parts.stacks for layer in stack.layers]
    run = trace(body, config, [modules[layer.name] for layer in layers])
    heads = int(config.num_attention_heads)
    return [
        _attention(run, modules, layer, number, heads)
        for layer in layers
        for number in range(len(layer.attention_out))
    ]


def _attention(
    run: Trace, modules: dict[str, nn.Module], layer: Layer, number: int, heads: int
) -> Attention:
    out = layer.attention_out[number]
    read = run.linear_input[modules[out]]
    leaves = {name: run.linear_leaf[modules[name]] for name in layer.attention_in}
    name = layer.name if len(layer.attention_out) == 1 else f"{layer.name}#{number}"
    width, left = divmod(read.shape[-1], heads)
    if left or width < 2:
        raise _unknown(f"'{out}' reads {read.shape[-1]} numbers of {heads} heads")
    places: dict[str, list[Rows]] = {"query": [], "key": [], "value": []}
    slopes_of_keys, lengths = [], []
    for head in range(heads):
        slopes = _slopes(read, leaves, range(head * width, (head + 1) * width))
        for role, rows in _roles(slopes, read.shape[-2]).items():
            if len(rows.rows) != width:
                raise _unknown(f"'{out}' has {len(rows.rows)} {role} rows in a head of {width}")
            places[role].append(rows)
        key = places["key"][-1]
        slope = slopes[key.module][0][0][:, key.rows]
        slopes_of_keys.append(slope)
        lengths.append(slope * leaves[key.module].detach()[0][:, key.rows])
    found = {role: _joined(rows, out) for role, rows in places.items()}
    return Attention(
        name, out, **found,
        free_bias=_cancels(slopes_of_keys, 0), normed=_cancels(lengths, 1),
    )  # fmt: skip


def _slopes(
    read: torch.Tensor, leaves: dict[str, torch.Tensor], numbers: range
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return the slopes of a head's even and odd numbers at the last position, by layer."""
    found = []
    for first in (0, 1):
        row = read[0, -1, numbers.start + first : numbers.stop : 2]
        # Uneven weights, so that slopes do not cancel by symmetry.
        weight = torch.linspace(1.0, 2.0, len(row)).cos().to(row)
        found.append(
            torch.autograd.grad(
                (row * weight).sum(), list(leaves.values()), retain_graph=True, allow_unused=True
            )
        )
    pairs = zip(leaves, *found, strict=True)
    return {name: (even, odd) for name, even, odd in pairs if even is not None and odd is not None}


def _roles(slopes: dict[str, tuple[torch.Tensor, torch.Tensor]], length: int) -> dict[str, Rows]:
    roles: dict[str, list[Rows]] = {"query": [], "key": [], "value": []}
    for name, (even, odd) in slopes.items():
        elsewhere = slice(None) if even.shape[-2] != length else slice(0, -1)
        in_even, in_odd = (slope[0].abs().amax(dim=0) > 0 for slope in (even, odd))
        across = (even[0, elsewhere].abs() + odd[0, elsewhere].abs()).amax(dim=0) > 0
        for role, chosen in (
            ("query", (in_even | in_odd) & ~across),
            ("key", in_even & in_odd & across),
            ("value", (in_even ^ in_odd) & across),
        ):
            rows = chosen.nonzero().flatten().cpu()
            if len(rows):
                roles[role].append(Rows(name, rows))
    for role, found in roles.items():
        if len(found) != 1:
            raise _unknown(f"the {role} rows of a head lie in {len(found)} layers")
    return {role: found[0] for role, found in roles.items()}


def _cancels(heads: list[torch.Tensor], dim: int) -> bool:
    """Whether slopes sum to zero, in all heads together: those of a saturated head are rounding."""
    total = max(float(head.sum(dim=dim).abs().max()) for head in heads)
    return total <= _ROUNDING * max(float(head.abs().max()) for head in heads)


def _joined(heads: list[Rows], out: str) -> Rows:
    modules = {rows.module for rows in heads}
    if len(modules) != 1:
        raise _unknown(f"the heads of '{out}' are read from {len(modules)} layers")
    return Rows(modules.pop(), torch.cat([rows.rows for rows in heads]))


def _unknown(why: str) -> UsageError:
    return UsageError(
        "the queries, keys and values of this architecture cannot be told apart",
        why=why,
        mend="leave out the weight views, or use one of the architectures of docs/architecture.md",
    )
