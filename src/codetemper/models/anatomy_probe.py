# SPDX-License-Identifier: Apache-2.0
"""One probe through a model, with the graph cut so that gradients show who reads whom.

Used by ``anatomy`` alone. ``trace`` runs a few tokens, replacing the output of each linear layer
and the input of each block by a fresh leaf of the same value; what the model computes is not
changed, but a gradient now ends at the nearest cut. The answers are about structure (zero or not),
so the values of the weights do not matter as long as they are not all zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

#: Tokens of the probe; few, but more than one so that attention has something to mix.
_TOKENS = 6


def is_linear(module: nn.Module) -> bool:
    """Whether a module is an affine map with a stored matrix."""
    return isinstance(module, nn.Linear | Conv1D)


def linear_shape(module: nn.Module) -> tuple[int, int]:
    """Return (numbers in, numbers out) of a linear layer of either layout."""
    rows, columns = module.weight.shape  # type: ignore[misc]
    return (columns, rows) if isinstance(module, nn.Linear) else (rows, columns)


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm: own parameters are vectors only, and it has no parts."""
    own = list(module.parameters())
    return bool(own) and not list(module.children()) and all(p.dim() == 1 for p in own)


class Trace:
    """What the probe left: leaves, tensors that went in and out, and questions about them."""

    def __init__(self, module: nn.Module, blocks: Sequence[nn.Module]) -> None:
        self.names: dict[Any, str] = {part: name for name, part in module.named_modules()}
        self.blocks = list(blocks)
        self.linear_input: dict[nn.Module, torch.Tensor] = {}
        self.linear_leaf: dict[nn.Module, torch.Tensor] = {}
        self.block_leaf: dict[nn.Module, torch.Tensor] = {}
        self.block_output: dict[nn.Module, torch.Tensor] = {}
        self.norms: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []
        self.logits: torch.Tensor | None = None
        self.hidden = 0

    def linears_of(self, block: nn.Module) -> list[nn.Module]:
        """Linear layers of a block that ran, in order of execution."""
        inside = set(block.modules())
        return [linear for linear in self.linear_input if linear in inside]

    def reads(
        self, block: nn.Module, linear: nn.Module
    ) -> tuple[list[nn.Module], list[nn.Module], bool]:
        """Say what the input of a linear layer is made of.

        Returns:
            The linear layers of the block it reads, those of them that it reads at another
            position than its own, and whether it reads the block's input.
        """
        others = [other for other in self.linears_of(block) if other is not linear]
        leaves = [self.linear_leaf[other] for other in others]
        *slopes, from_input = self._slopes(
            self.linear_input[linear], [*leaves, self.block_leaf[block]], at=-1
        )
        read = [other for other, slope in zip(others, slopes, strict=True) if _any(slope)]
        length = self.linear_input[linear].shape[-2]
        across = [
            other
            for other, slope in zip(others, slopes, strict=True)
            if slope is not None
            and _any(slope)
            and (slope.shape[-2] != length or _any(slope[..., :-1, :]))
        ]
        return read, across, _any(from_input)

    def is_causal(self, block: nn.Module) -> bool:
        """Whether the block's first position is blind to the last."""
        leaves = [self.linear_leaf[linear] for linear in self.linears_of(block)]
        length = self.block_output[block].shape[-2]
        for linear in self.linears_of(block):
            for slope in self._slopes(self.linear_input[linear], leaves, at=0):
                if slope is not None and slope.shape[-2] == length and _any(slope[..., -1:, :]):
                    return False
        return True

    def norm_writing(self, value: torch.Tensor) -> str | None:
        """Name the norm whose output is this very value."""
        for norm, _, output in self.norms:
            if _equal(output, value):
                return self.names[norm]
        return None

    def norm_reading(self, value: torch.Tensor) -> str | None:
        """Name the norm outside all blocks whose input is this very value."""
        inside = {part for block in self.blocks for part in block.modules()}
        for norm, taken, _ in self.norms:
            if norm not in inside and _equal(taken, value):
                return self.names[norm]
        return None

    def norm_after(self, block: nn.Module, linear: nn.Module) -> str | None:
        """Name the norm of the block that reads the linear layer's output on its way out.

        A change of the layer's output that reaches the block's output unchanged meets no norm.
        """
        leaf, output = self.linear_leaf[linear], self.block_output[block]
        weight = torch.linspace(-1.0, 1.0, output.shape[-1]).to(output)
        (slope,) = torch.autograd.grad(
            (output[0, -1] * weight).sum(), [leaf], retain_graph=True, allow_unused=True
        )
        if slope is not None and torch.allclose(slope[0, -1], weight, atol=1e-2):
            return None
        inside = set(block.modules())
        for norm, taken, _ in self.norms:
            if norm in inside and _any(self._slopes(taken, [leaf], at=-1)[0]):
                return self.names[norm]
        return None

    def same_as_logits(self, head: nn.Module) -> bool:
        """Whether the logits are the head's output as it is."""
        return self.logits is not None and _equal(self.linear_leaf.get(head), self.logits)

    def _slopes(
        self, value: torch.Tensor, leaves: Sequence[torch.Tensor], *, at: int
    ) -> list[torch.Tensor | None]:
        if not value.requires_grad:
            return [None] * len(leaves)
        row = value[0, at]
        # An uneven weighting, so that no slope cancels by symmetry (norms are blind to sums).
        weight = torch.linspace(1.0, 2.0, row.shape[-1]).cos().to(row)
        return list(
            torch.autograd.grad((row * weight).sum(), leaves, retain_graph=True, allow_unused=True)
        )


def trace(module: nn.Module, config: Any, blocks: Sequence[nn.Module]) -> Trace:
    """Run the probe.

    Args:
        module: a transformers model.
        config: its configuration.
        blocks: the blocks whose inputs are to be cut.
    """
    run = Trace(module, blocks)
    device = next(module.parameters()).device
    top = int(config.vocab_size) - 1
    # Small ids are often special (padding moves RoBERTa's positions), so the probe avoids them.
    tokens = torch.tensor([[max(top - 3 * k - 1, 1) for k in range(_TOKENS)]], device=device)
    inputs: dict[str, Any] = {"input_ids": tokens}
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = tokens[:, :-1]
    elif "use_cache" in config.to_dict():
        inputs["use_cache"] = False
    with _cut(run, module), torch.enable_grad():
        output = module(**inputs)
    logits = output.get("logits")
    run.logits = None if logits is None else logits.detach()
    run.hidden = run.block_output[run.blocks[-1]].shape[-1]
    return run


@contextmanager
def _cut(run: Trace, module: nn.Module) -> Iterator[None]:
    """Hook the model for one probe; mode and hooks are as before afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    handles = []
    blocks = set(run.blocks)
    try:
        for part in module.modules():
            if is_linear(part):
                handles.append(part.register_forward_hook(_cut_output(run)))
            elif is_norm(part):
                handles.append(part.register_forward_hook(_note_norm(run)))
            elif part in blocks:
                handles.append(part.register_forward_pre_hook(_cut_input(run), with_kwargs=True))
                handles.append(part.register_forward_hook(_note_block(run)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part, mode in modes.items():
            part.training = mode


def _leaf(value: torch.Tensor) -> torch.Tensor:
    return value.detach().clone().requires_grad_(True)


def _cut_output(run: Trace) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        run.linear_input[part] = args[0]
        run.linear_leaf[part] = _leaf(output)
        return run.linear_leaf[part]

    return hook


def _note_norm(run: Trace) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
        run.norms.append((part, args[0], output))

    return hook


def _cut_input(run: Trace) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = args[0] if args else kwargs["hidden_states"]
        run.block_leaf[part] = _leaf(value)
        if args:
            return (run.block_leaf[part], *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": run.block_leaf[part]}

    return hook


def _note_block(run: Trace) -> Any:
    def hook(part: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        run.block_output[part] = output[0] if isinstance(output, tuple) else output

    return hook


def _any(slope: torch.Tensor | None) -> bool:
    return slope is not None and bool(slope.abs().max() > 0)


def _equal(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    return (
        first is not None
        and second is not None
        and first.shape == second.shape
        and bool(torch.equal(first, second))
    )
