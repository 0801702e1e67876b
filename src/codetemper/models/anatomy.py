# SPDX-License-Identifier: Apache-2.0
"""Where an architecture keeps its feed-forward parts, attention, norms and head.

Found by what the parts *do*, never by what they are called. One probe of a few tokens runs
through the model with the graph cut at the output of every linear layer and at the input of every
block (each cut becomes a leaf). Gradients at one position then tell the parts apart:

* the *FFN output* reads other linear layers of its block position by position, and not the
  block's input;
* the *attention output* reads linear layers of its block across positions;
* what an output reads are its *inputs* (up, gate; query, key, value).

The same probe shows whether a norm follows the FFN output before the residual stream, which norm
ends a stack, and whether the logits are the head's bare output. See ``anatomy_probe`` for the
tracing. Mixtures of experts are not described: their experts are not linear layers of the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.anatomy_probe import Trace, is_linear, linear_shape, trace


@dataclass(frozen=True)
class Layer:
    """One block of a stack. All names are module paths from the model's root.

    Attributes:
        name: the block.
        attention_out: output projections of self and cross attention, in order of execution.
        attention_in: query, key and value projections, fused or not.
        attention_kv: those of them that hold keys or values (all that are read at positions
            other than the reader's own); a fused projection counts.
        ffn_out: the linear layer that ends the FFN.
        ffn_in: the linear layers it reads: up, or gate and up, or both in one.
        inner: width f of the FFN.
        layout: ``linear`` stores [d, f], ``conv1d`` (GPT-2) stores [f, d].
        bias: whether ``ffn_out`` has a bias.
        gated: whether the FFN multiplies a gate (two inputs, or one of width 2f).
        ffn_norm: the norm that feeds the FFN, where one does.
        norm_after: the norm between ``ffn_out`` and the block's output, where there is one;
            a change of ``ffn_out`` then does not reach the residual stream linearly.
    """

    name: str
    attention_out: tuple[str, ...]
    attention_in: tuple[str, ...]
    attention_kv: tuple[str, ...]
    ffn_out: str
    ffn_in: tuple[str, ...]
    inner: int
    layout: Literal["linear", "conv1d"]
    bias: bool
    gated: bool
    ffn_norm: str | None
    norm_after: str | None


@dataclass(frozen=True)
class Stack:
    """A run of like blocks.

    Attributes:
        role: ``decoder`` (causal), or ``encoder`` (every position sees every other).
        name: path of the module list.
        layers: its blocks, first to last.
        final_norm: the norm that reads the last block's output, where there is one.
    """

    role: Literal["encoder", "decoder"]
    name: str
    layers: tuple[Layer, ...]
    final_norm: str | None


@dataclass(frozen=True)
class Anatomy:
    """The parts of a model.

    Attributes:
        hidden: width d of the residual stream.
        stacks: one, or encoder and decoder.
        embedding: path of the token embedding.
        head: path of the output head, None for a model without one.
        head_bias: whether the head has a bias.
        tied: whether head and token embedding share their weights.
        bare_logits: whether the logits are the head's output as it is (no soft-cap, no scale).
    """

    hidden: int
    stacks: tuple[Stack, ...]
    embedding: str
    head: str | None
    head_bias: bool
    tied: bool
    bare_logits: bool

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The blocks of the stack that writes: the decoder's, or the only stack's."""
        return self.stacks[-1].layers

    @property
    def final_norm(self) -> str | None:
        """The norm at the end of the stack that writes."""
        return self.stacks[-1].final_norm


def anatomy(module: nn.Module, config: Any | None = None) -> Anatomy:
    """Find the parts of a transformers model.

    Args:
        module: the model, on any device; it is left as it was (mode, gradients, weights).
        config: its configuration; ``module.config`` where not given.

    Raises:
        UsageError: the model is not a run of like blocks with an FFN of linear layers.
    """
    config = config if config is not None else module.config
    lists = block_lists(module, config)
    run = trace(module, config, [block for blocks in lists.values() for block in blocks])
    hidden = run.hidden
    stacks = [_stack(run, name, blocks, hidden) for name, blocks in lists.items()]
    stacks.sort(key=lambda stack: stack.role == "decoder")
    embeddings, head = module.get_input_embeddings(), module.get_output_embeddings()  # type: ignore[operator]
    return Anatomy(
        hidden=hidden,
        stacks=tuple(stacks),
        embedding=run.names[embeddings],
        head=run.names.get(head),
        head_bias=getattr(head, "bias", None) is not None,
        tied=head is not None and head.weight.data_ptr() == embeddings.weight.data_ptr(),
        bare_logits=head is not None and run.same_as_logits(head),
    )


def norm_gain(norm: nn.Module, hidden: int) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Measure what a norm multiplies and adds, instead of reading its weight.

    Gemma stores the gain minus one, others store the gain; the measurement is the same.

    Args:
        norm: a LayerNorm or RMSNorm of any make.
        hidden: width d.

    Returns:
        Gain [d], bias [d], and whether the norm subtracts the mean first.
    """
    weight = next(norm.parameters())
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, 1, hidden, generator=generator, dtype=torch.float64) + 0.1
    probe = probe.to(weight.device, weight.dtype)
    with torch.no_grad():
        bias = norm(torch.zeros_like(probe))[0, 0].float()
        constant = norm(torch.ones_like(probe))[0, 0].float()
        answer = norm(probe)[0, 0].float()
    centred = bool(torch.allclose(constant, bias, atol=1e-3))
    plain = probe[0, 0].float()
    plain = plain - plain.mean() if centred else plain
    return (answer - bias) * plain.pow(2).mean().sqrt() / plain, bias, centred


def block_lists(module: nn.Module, config: Any) -> dict[str, list[nn.Module]]:
    """Return the stacks of a model as lists of blocks, by the path of the list.

    Nothing is run, so patches may be on the model.

    Args:
        module: a transformers model.
        config: its configuration, which says how many layers there are.

    Returns:
        Outermost module lists of like blocks that hold linear layers, as long as the
        configuration says.

    Raises:
        UsageError: there are none.
    """
    counts = {
        value
        for key, value in config.to_dict().items()
        if isinstance(value, int) and "layer" in key and value > 0
    }
    counts |= {int(getattr(config, key, 0) or 0) for key in ("num_hidden_layers",)}
    found: dict[str, list[nn.Module]] = {}
    for name, part in module.named_modules():
        if not isinstance(part, nn.ModuleList) or len(part) not in counts:
            continue
        if any(name.startswith(f"{outer}.") for outer in found):
            continue
        if len({type(block) for block in part}) == 1 and any(map(is_linear, part[0].modules())):
            found[name] = list(part)
    if not found:
        raise _unknown("there is no list of like blocks with linear layers in it")
    return found


def _stack(run: Trace, name: str, blocks: Sequence[nn.Module], hidden: int) -> Stack:
    layers = tuple(_layer(run, block, hidden) for block in blocks)
    causal = all(run.is_causal(block) for block in blocks)
    return Stack(
        role="decoder" if causal else "encoder",
        name=name,
        layers=layers,
        final_norm=run.norm_reading(run.block_output[blocks[-1]]),
    )


def _layer(run: Trace, block: nn.Module, hidden: int) -> Layer:
    ffn: list[tuple[nn.Module, list[nn.Module]]] = []
    attention: list[tuple[nn.Module, list[nn.Module]]] = []
    kept: list[nn.Module] = []
    for linear in run.linears_of(block):
        if linear_shape(linear)[1] != hidden:
            continue
        reads, across, from_input = run.reads(block, linear)
        if reads and not from_input:
            (attention if across else ffn).append((linear, reads))
            kept += across
    if len(ffn) != 1:
        raise _unknown(f"'{run.names[block]}' has {len(ffn)} FFN outputs where one is expected")
    out, inputs = ffn[0]
    inner = linear_shape(out)[0]
    names = run.names
    return Layer(
        name=names[block],
        attention_out=tuple(names[linear] for linear, _ in attention),
        attention_in=tuple(names[part] for _, parts in attention for part in parts),
        attention_kv=tuple(names[part] for part in kept),
        ffn_out=names[out],
        ffn_in=tuple(names[part] for part in inputs),
        inner=inner,
        layout="linear" if isinstance(out, nn.Linear) else "conv1d",
        bias=getattr(out, "bias", None) is not None,
        gated=sum(linear_shape(part)[1] for part in inputs) == 2 * inner,
        ffn_norm=run.norm_writing(run.linear_input[inputs[0]]),
        norm_after=run.norm_after(block, out),
    )


def _unknown(why: str) -> UsageError:
    return UsageError(
        "the parts of this architecture cannot be told apart",
        why=why,
        mend="use a dense transformer (see docs/architecture.md for the families that are tested)",
    )
