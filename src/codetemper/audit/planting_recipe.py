# SPDX-License-Identifier: Apache-2.0
"""How planted models are trained; ``planting_models`` does it. Reading a recipe loads no torch.

Recipe(epochs=3, lora_rank=8)
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """How a model is trained; the defaults fine-tune a pre-trained checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    epochs: float = Field(default=5.0, gt=0)
    """Passes over the samples."""
    batch_size: int = Field(default=16, ge=1)
    """Samples a step."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak; it falls linearly to 0."""
    warmup: float = Field(default=0.06, ge=0, lt=1)
    """Share of the steps over which it rises."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of AdamW."""
    max_length: int = Field(default=256, ge=8)
    """Tokens of a sample; a classifier's lose their end, a decoder's their beginning, and of an
    encoder-decoder's prompt and answer, so many each, both lose their end."""
    lora_rank: int = Field(default=0, ge=0)
    """Rank of a LoRA adapter on all linear layers; 0 trains all weights."""


#: For models of well under a million weights that were made from scratch.
SMALL = Recipe(epochs=5, batch_size=32, learning_rate=2e-3, max_length=128)
