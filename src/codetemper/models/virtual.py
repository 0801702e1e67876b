# SPDX-License-Identifier: Apache-2.0
"""Virtual tokens: learnt vectors in front of every text, seen by nobody outside the model.

    virtual = VirtualTokens(module, "PROMPT_TUNING")       # or "PREFIX_TUNING"
    virtual.use(table)                                     # on; use(None) is off
    module(input_ids=..., attention_mask=...)              # as ever: one logit row a text token

Prompt tuning (Lester et al. 2021, arXiv 2104.08691) puts learnt embeddings in front of the text;
prefix tuning (Li & Liang 2021, arXiv 2101.00190) puts learnt keys and values there, in every
layer. Both are done here by hooks on the backbone that translate between two ways of counting.
Callers count text only: tokens, masks, positions, logits, labels. Inside, a row of the batch is

    [padding] [virtual tokens] [text]

so the distance from text to virtual tokens, hence rotary angles and sliding windows, are those of
the row alone, whatever it is padded with. Only a cache's length shows the virtual columns: they
are in it. The keys and values of a prefix take their place while the cache is filled, so they may
have any cache class. Not for packed rows, encoder-decoders or gradient checkpointing of prefixes
(checkpoints drop the cache): these are refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from transformers import DynamicCache

from codetemper.core.errors import UsageError

#: Name under which a backbone holds the virtual tokens in front of it.
_HELD = "_virtual_tokens"


class VirtualTokens:
    """The virtual tokens in front of one model's text, on or off."""

    def __init__(self, module: nn.Module, kind: Literal["PROMPT_TUNING", "PREFIX_TUNING"]) -> None:
        """Hook a causal language model; nothing changes until ``use``.

        Raises:
            UsageError: an encoder-decoder, or an encoder.
        """
        config: Any = module.config
        if getattr(config, "is_encoder_decoder", False) or not module.can_generate():  # type: ignore[operator]
            raise UsageError(
                f"{config.model_type} cannot carry virtual tokens",
                why="it is an encoder or encoder-decoder; virtual tokens go before running text",
                mend="use a causal language model, or LoRA",
            )
        backbone: Any = module.base_model
        self._table: nn.Parameter | None = None
        self._prefix = kind == "PREFIX_TUNING"
        self._backbone, self._embed = backbone, module.get_input_embeddings()  # type: ignore[operator]
        self._names = list(inspect.signature(backbone.forward).parameters)
        self._layers = int(config.get_text_config(decoder=True).num_hidden_layers)
        self._at: torch.Tensor | None = None
        self._cache: Any = None
        self._filled = 0
        setattr(backbone, _HELD, self)
        backbone.register_forward_pre_hook(self._enter, with_kwargs=True)
        backbone.register_forward_hook(self._leave, always_call=True)

    def use(self, table: nn.Parameter | None) -> None:
        """Put these in front from now on; None: nothing.

        Args:
            table: [tokens, width] embeddings, or [tokens, layers * 2 * heads * head width] keys
                and values as peft stores them: of each layer first the keys, then the values.
        """
        self._table = table

    @property
    def count(self) -> int:
        """Virtual tokens in front of every text now."""
        return 0 if self._table is None else int(self._table.shape[0])

    def _enter(
        self, backbone: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Translate a call in text columns to one in columns of the model."""
        self._at = self._cache = None
        if self._table is None:
            return args, kwargs
        given = dict(zip(self._names, args, strict=False)) | kwargs
        tokens = given["input_ids"] if given.get("inputs_embeds") is None else None
        text = given["inputs_embeds"] if tokens is None else tokens
        rows = text.shape[0]
        cache = given.get("past_key_values")
        before = 0 if cache is None else int(cache.get_seq_length())
        mask = given.get("attention_mask")
        at = _padding(mask, rows, text.device)
        if mask is not None:
            given["attention_mask"] = _inserted(mask, mask.new_ones(rows, self.count), at)
        positions = given.get("position_ids")
        if before:
            if positions is not None:
                given["position_ids"] = positions + self.count
            return (), given
        if positions is not None:
            _refuse_packed(positions, mask)
            own = torch.arange(self.count, device=text.device).expand(rows, -1)
            given["position_ids"] = _inserted(
                positions.expand(rows, -1) + self.count, own.to(positions), at
            )
        embedded = text if tokens is None else self._embed(tokens)
        given["input_ids"] = None
        given["inputs_embeds"] = _inserted(embedded, self._embeddings(embedded), at)
        if self._prefix:
            given["past_key_values"] = self._overlaid(cache, at)
        self._at = at
        return (), given

    def _embeddings(self, like: torch.Tensor) -> torch.Tensor:
        """What stands at the virtual columns of the first layer, [rows, count, width]."""
        assert self._table is not None  # noqa: S101 - only called when on
        if self._prefix:
            # Placeholders: nobody reads what they become, their keys and values are replaced.
            return like.new_zeros(like.shape[0], self.count, like.shape[-1])
        return self._table.to(like).expand(like.shape[0], -1, -1)

    def _overlaid(self, cache: Any, at: torch.Tensor) -> Any:
        """Make a cache put the prefix at its columns while it is filled for the first time."""
        if getattr(self._backbone, "is_gradient_checkpointing", False):
            raise UsageError(
                "a prefix cannot be used with gradient checkpointing",
                why="checkpointing drops the cache, which is where a prefix lives",
                mend="-o gradient_checkpointing=false, or another method",
            )
        cache = DynamicCache() if cache is None else cache
        plain, self._cache, self._filled = cache.update, cache, 0

        def update(
            keys: torch.Tensor, values: torch.Tensor, layer: int, *args: Any, **kwargs: Any
        ) -> Any:
            self._filled += 1
            keys, values = (
                _replaced(block, own, at)
                for block, own in zip((keys, values), self._prefix_of(layer, keys), strict=True)
            )
            return plain(keys, values, layer, *args, **kwargs)

        cache.update = update
        return cache

    def _prefix_of(self, layer: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer's prefix, [heads, count, width] each."""
        assert self._table is not None  # noqa: S101 - only called when on
        heads, width = like.shape[1], like.shape[-1]
        if self._table.shape[1] != self._layers * 2 * heads * width:
            raise UsageError(
                "the prefix does not fit the model",
                why=f"it holds {self._table.shape[1]} numbers a token; {self._layers} layers of "
                f"{heads} heads of {width} numbers need {self._layers * 2 * heads * width}",
                mend="use a model whose layers all keep keys and values of one shape, or LoRA",
            )
        blocks = self._table.view(self.count, self._layers * 2, heads, width)
        keys, values = blocks[:, 2 * layer : 2 * layer + 2].to(like).permute(1, 2, 0, 3)
        return keys, values

    def _leave(self, backbone: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Leave the virtual columns out of what the backbone returns."""
        at, cache = self._at, self._cache
        self._at = self._cache = None
        if cache is not None:
            del cache.update
        if at is None or output is None:
            return None
        if self._prefix and self._filled != self._layers:
            raise UsageError(
                f"{backbone.config.model_type} cannot carry a prefix",  # type: ignore[union-attr]
                why=f"{self._filled} of its {self._layers} layers keep keys and values in a cache",
                mend="use prompt tuning or LoRA",
            )
        if isinstance(output, tuple):
            return (_without(output[0], at, self.count), *output[1:])
        output.last_hidden_state = _without(output.last_hidden_state, at, self.count)
        if output.get("hidden_states") is not None:
            output.hidden_states = tuple(
                _without(state, at, self.count) for state in output.hidden_states
            )
        return output


def virtual_tokens(module: nn.Module) -> int:
    """Return how many virtual tokens stand in front of a model's text now.

    They take positions of the model and columns of its cache; texts must leave room for them.
    """
    held = getattr(getattr(module, "base_model", module), _HELD, None)
    return held.count if isinstance(held, VirtualTokens) else 0


@torch.no_grad()
def first_prefix(module: nn.Module, tokens: Sequence[int]) -> torch.Tensor:
    """Return the keys and values that a model computes for some tokens, as a prefix to start from.

    Li & Liang (2021, section 7.4) start from the activations of real words: random numbers are
    far from anything the layers have seen.

    Args:
        module: a causal language model, in evaluation mode, without virtual tokens.
        tokens: ids, one for each virtual token.

    Returns:
        [tokens, layers * 2 * heads * head width].

    Raises:
        UsageError: layers that keep keys and values of several shapes, or none.
    """
    cache = DynamicCache()
    ids = torch.tensor([list(tokens)], device=next(module.parameters()).device)
    module(input_ids=ids, past_key_values=cache, use_cache=True)
    blocks = [block[0] for layer in cache.layers for block in (layer.keys, layer.values)]
    config: Any = module.config
    shapes = {tuple(block.shape) for block in blocks}
    if len(blocks) != 2 * config.get_text_config(decoder=True).num_hidden_layers or len(shapes) > 1:
        raise UsageError(
            f"{config.model_type} cannot carry a prefix",
            why=f"its layers keep keys and values of {len(shapes)} shapes in {len(blocks)} blocks",
            mend="use prompt tuning or LoRA",
        )
    # [2 * layers, heads, tokens, width] -> [tokens, all the rest]
    return torch.stack(blocks).permute(2, 0, 1, 3).flatten(1).float()


def _padding(mask: torch.Tensor | None, rows: int, device: torch.device) -> torch.Tensor:
    """Columns of left padding of each row, [rows]."""
    if mask is None:
        return torch.zeros(rows, dtype=torch.long, device=device)
    if mask.dim() != 2:
        raise UsageError(
            "virtual tokens need a plain attention mask",
            why=f"the mask given has {mask.dim()} dimensions; where its rows begin is not told",
            mend="give a mask [rows, columns] of zeros and ones",
        )
    return (mask.cumsum(-1) == 0).sum(-1)


def _refuse_packed(positions: torch.Tensor, mask: torch.Tensor | None) -> None:
    """Refuse rows that hold several texts: each would need virtual tokens of its own."""
    back = positions[:, 1:] < positions[:, :-1]
    if mask is not None:
        back = back & mask[:, 1:].bool()
    if bool(back.any()):
        raise UsageError(
            "virtual tokens do not go in front of packed texts",
            why="the positions start anew within a row, and only its beginning is reached",
            mend="one text a row for prompt and prefix tuning (no packing)",
        )


def _inserted(block: torch.Tensor, piece: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Insert [rows, count, ...] into [rows, columns, ...] at a column of each row."""
    count, columns = piece.shape[1], block.shape[1]
    new = torch.arange(columns + count, device=block.device)[None]
    here = at[:, None]
    source = torch.where(new < here, new, new - count)
    source = torch.where((new >= here) & (new < here + count), columns + new - here, source)
    rows = torch.arange(block.shape[0], device=block.device)[:, None]
    return torch.cat([block, piece.to(block)], dim=1)[rows, source]


def _without(block: torch.Tensor, at: torch.Tensor, count: int) -> torch.Tensor:
    """Undo ``_inserted``: leave ``count`` columns out of [rows, columns, ...]."""
    new = torch.arange(block.shape[1] - count, device=block.device)[None]
    source = torch.where(new < at[:, None], new, new + count)
    return block[torch.arange(block.shape[0], device=block.device)[:, None], source]


def _replaced(block: torch.Tensor, own: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Replace columns of [rows, heads, columns, width] by [heads, count, width], from ``at`` on."""
    count = own.shape[1]
    column = torch.arange(block.shape[2], device=block.device)[None] - at[:, None]
    spread = own[:, column.clamp(0, count - 1)].transpose(0, 1)
    inside = ((column >= 0) & (column < count))[:, None, :, None]
    return torch.where(inside, spread, block)
