# SPDX-License-Identifier: Apache-2.0
"""Encoder-decoders: the encoder reads a prompt, and the decoder begins an answer of its own.

    if is_encoder_decoder(module):
        first_token(module)               # what the decoder reads before the answer's first token

Nothing here runs a model.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from codetemper.core.errors import UsageError


def is_encoder_decoder(module: nn.Module) -> bool:
    """Say whether a model has an encoder for the prompt beside its decoder."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


def first_token(module: nn.Module) -> int:
    """Return the token that the decoder of an encoder-decoder begins with.

    Raises:
        UsageError: its configuration names none.
    """
    for holder in (module.config, getattr(module, "generation_config", None)):
        found: Any = getattr(holder, "decoder_start_token_id", None)
        if found is not None:
            return int(found)
    raise UsageError(
        "the model does not say what its decoder begins with",
        why="config.json has no decoder_start_token_id",
        mend="write down there the token that the model was trained with; most use pad_token_id",
    )
