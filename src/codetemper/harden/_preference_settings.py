# SPDX-License-Identifier: Apache-2.0
"""Settings of a refinement: its rounds, their pairs, and one round's training. ``refine`` has them.

Those of the loop have the names that they have in ``tune``, and mean the same.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from codetemper.data.pairs import PairConfig
from codetemper.harden._settings import Config as Loop

Loss = Literal["dpo", "kto", "sft"]


class Config(PairConfig):
    """Settings of one refinement."""

    rounds: int = Field(default=4, ge=1)
    """Most rounds."""
    samples: int = Field(default=10, ge=2)
    """Answers drawn of each prompt, every round."""
    temperature: float = Field(default=0.8, gt=0)
    """Of the draw."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Of the draw: mass of the tokens drawn from."""
    more_samples: int = Field(default=0, ge=0)
    """Answers drawn beyond that of prompts whose answers were all right or all wrong."""
    epsilon: float = Field(default=0.01, ge=0)
    """Gain on the validation suite that counts as none: rounds end after two in a row whose
    interval includes less."""

    loss: Loss = "dpo"
    """``dpo``: the better answer over the worse, beside the likelihood of the better; ``kto``: each
    answer for itself, those in no pair too (TRL's trainer); ``sft``: the better answers only."""
    nll: float = Field(default=10.0, ge=0)
    """Weight of the better answer's negative log-likelihood, a mean over its tokens, where the
    preference is of sums. At 0 nothing keeps both answers from getting less likely together, and
    at 1 little does where answers are long."""
    beta: float = Field(default=0.1, gt=0)
    """How much a difference in log-probability to the reference counts; higher stays closer."""
    reference: Literal["previous", "base"] = "previous"
    """What is compared with: the model as the round finds it, or the one without its patch."""

    method: Literal["lora", "qlora", "ia3", "full"] = "lora"
    """What is trained: low-rank adapters, the same on a base in 4 bits, learnt factors, or all
    weights."""
    rank: int = Field(default=16, ge=1)
    """Rank of a low-rank adapter."""
    alpha: int = Field(default=32, gt=0)
    """Scale of a low-rank adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on a low-rank adapter's input while training."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Layers that get an adapter, by name; ``all-linear``: every linear layer but the head."""

    max_length: int = Field(default=1024, ge=16)
    """Longest prompt and answer together, in tokens; what is longer is left out."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW; None takes the method's own. Higher moves and forgets more."""
    epochs: float = Field(default=4.0, gt=0)
    """Passes over a round's pairs."""
    batch_size: int = Field(default=8, ge=1)
    """Pairs per step and process."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches whose gradients are summed before the weights move."""
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of what is trained."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """How the learning rate falls after the warm-up."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    gradient_checkpointing: bool = False
    """Compute activations twice to hold fewer: slower, for models that do not fit otherwise."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of torch while training on a CPU; None leaves the setting alone."""
    seed: int = 0
    """Seed of draws, pairs, initialisation, order and dropout."""


def loop_of(config: Config) -> Loop:
    """Return the settings of the training loop alone, as all techniques that train read them."""
    shared = Loop.model_fields.keys() & Config.model_fields.keys()
    return Loop(**{name: getattr(config, name) for name in shared})
