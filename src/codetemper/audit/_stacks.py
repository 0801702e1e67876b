# SPDX-License-Identifier: Apache-2.0
"""Where the hidden states of a model come by, and which way its layers look.

    form_of(model.module)                  # classifier, decoder, seq2seq or masked
    for stack in stacks_of(model.module):
        stack.role, len(stack.blocks), stack.norm

Found with patches on, so by one forward pass of a few tokens and no gradients: a single stack is
causal where its first position is blind to the last, and the final norm of a stack is what reads
its last block's output. Parts of a layer are ``models.anatomy``'s business.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from codetemper.audit import Form
from codetemper.models.anatomy import block_lists
from codetemper.models.anatomy_probe import is_norm

#: Tokens of the probe.
_TOKENS = 6
#: Share of a state that two rows of one batch may differ by without having read anything else.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class BlockStack:
    """A run of like blocks.

    Attributes:
        role: ``decoder`` where a position is blind to what follows it, else ``encoder``.
        blocks: first to last.
        norm: what normalises the last block's output on its way out, where something does.
    """

    role: Literal["encoder", "decoder"]
    blocks: tuple[nn.Module, ...]
    norm: nn.Module | None


def form_of(module: nn.Module) -> Form:
    """Say what a model does with a text."""
    name, config = type(module).__name__, module.config
    if name.endswith("ForSequenceClassification"):
        return "classifier"
    if getattr(config, "is_encoder_decoder", False):
        return "seq2seq"
    return "decoder" if name.endswith(("ForCausalLM", "LMHeadModel")) else "masked"


def stacks_of(module: nn.Module) -> list[BlockStack]:
    """Return the stacks of a model, the one that writes last.

    Args:
        module: a transformers model, in evaluation mode; patches may be on.

    Raises:
        UsageError: the model is no run of like blocks.
    """
    config: Any = module.config
    lists = list(block_lists(module, config).values())
    outputs, norms = _probe(module, config, lists)
    reading = set(module.get_encoder().modules()) if config.is_encoder_decoder else None  # type: ignore[operator]
    found = []
    for blocks in lists:
        output = outputs[blocks[-1]]
        causal = _blind(output) if reading is None else blocks[-1] not in reading
        norm = next((n for n, taken in norms.items() if torch.equal(taken, output)), None)
        role: Literal["encoder", "decoder"] = "decoder" if causal else "encoder"
        found.append(BlockStack(role, tuple(blocks), norm))
    return sorted(found, key=lambda stack: stack.role == "decoder")


def state_of(output: Any) -> torch.Tensor:
    """Return the hidden states [rows, tokens, d] in what a block hands on."""
    state: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return state


def _probe(
    module: nn.Module, config: Any, lists: list[list[nn.Module]]
) -> tuple[dict[nn.Module, torch.Tensor], dict[nn.Module, torch.Tensor]]:
    """Run two rows that differ in their last token; return what blocks gave and norms took."""
    inside = {part for blocks in lists for block in blocks for part in block.modules()}
    outputs: dict[nn.Module, torch.Tensor] = {}
    norms: dict[nn.Module, torch.Tensor] = {}

    def note(part: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        outputs[part] = state_of(output)

    def take(part: nn.Module, args: tuple[Any, ...]) -> None:
        if args:
            norms[part] = args[0]

    device = next(module.parameters()).device
    top = int(config.vocab_size) - 1
    # Small ids are often special (padding moves RoBERTa's positions).
    row = [max(top - 3 * number - 1, 1) for number in range(_TOKENS)]
    # A T5 classifier reads the state of the end token, and there must be one.
    ends = config.is_encoder_decoder and form_of(module) == "classifier"
    tail = [int(config.eos_token_id)] if ends else []
    tokens = torch.tensor([[*row, *tail], [*row[:-1], row[0], *tail]], device=device)
    inputs: dict[str, Any] = {"input_ids": tokens}
    if config.is_encoder_decoder and not ends:
        inputs["decoder_input_ids"] = tokens
    with ExitStack() as scope, torch.no_grad():
        for blocks in lists:
            scope.callback(blocks[-1].register_forward_hook(note).remove)
        for part in module.modules():
            if part not in inside and is_norm(part):
                scope.callback(part.register_forward_pre_hook(take).remove)
        module(**inputs)
    return outputs, norms


def _blind(output: torch.Tensor) -> bool:
    """Whether the first position of both rows is the same, up to rounding."""
    first, second = output[:, 0].float()
    return bool((first - second).norm() <= _ROUNDING * first.norm())
