# SPDX-License-Identifier: Apache-2.0
"""Settings of a tuning run, and those of the study as a preset. ``tune`` hands both out."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Method = Literal["lora", "ia3", "prompt", "prefix", "full", "qlora"]


class Config(BaseModel):
    """Settings of one tuning run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: Method = "lora"
    """What is trained: low-rank adapters, learnt factors, virtual tokens before the text or before
    every layer, all weights, or low-rank adapters on a base in 4 bits."""
    granularity: Literal["file", "function", "block", "line"] = "function"
    """Which pairs of a corpus are learnt from."""
    rank: int = Field(default=16, ge=1)
    """Rank of a low-rank adapter."""
    alpha: int = Field(default=32, gt=0)
    """Scale of a low-rank adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on a low-rank adapter's input while training."""
    target_modules: tuple[str, ...] | Literal["all-linear", "study"] = "all-linear"
    """Layers that get an adapter, by name; ``all-linear``: every linear layer but the head;
    ``study``: those that the study trained, which differ by architecture."""
    virtual_tokens: int = Field(default=16, ge=1)
    """Virtual tokens of prompt and prefix tuning."""

    changed_weight: float = Field(default=1.0, gt=0)
    """How much a token that the fix changed counts, against 1 for one it left alone."""
    unlikelihood: float = Field(default=0.0, ge=0)
    """Weight of pushing down all that the vulnerable side has in place of the fix (SafeCoder's)."""
    contrast: float = Field(default=0.0, ge=0)
    """Weight of preferring the fixed side's token to the vulnerable one's where they part."""
    kl: float = Field(default=0.0, ge=0)
    """Weight of staying at the base's distribution where the fix changed nothing."""

    wrapper: str = "{prompt}"
    """What the model is asked; ``{prompt}`` stands for comment and signature. The default is plain
    completion; an instruction goes around it and is masked, as prompts are."""
    learn_prompts: bool = False
    """Whether prompts and wrappers carry loss too, as in the study."""
    max_length: int = Field(default=1024, ge=16)
    """Window in tokens, prompt and completion together."""
    window: Literal["hunks", "head"] = "hunks"
    """What is kept of a pair longer than that: windows around its changes, or its beginning."""
    mix: str | None = None
    """File of general instructions or texts to mix in, so that others are not forgotten: JSON lines
    with ``text``, or with ``instruction`` (or ``prompt``) and ``output`` (or ``completion``)."""
    mix_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the examples that are of that file."""

    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW; None takes the method's own. Higher moves and forgets more."""
    epochs: float = Field(default=6.0, gt=0)
    """Passes over the pairs."""
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

    early_stop: Literal["never", "loss", "score"] = "never"
    """Keep the weights that were best on the pairs whose split is ``validation``, by loss, or on a
    suite, by score, and stop when they get no better."""
    patience: int = Field(default=2, ge=1)
    """Evaluations without a better one before training stops."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; None: one an epoch."""

    guard_mode: Literal["always", "selective", "audit"] = "selective"
    """Where guards are on while training: for all samples, for those that they have something to
    say of, or for none, so that they only tell what is in the data. Without guards this says
    nothing."""
    opposed_share: float = Field(default=0.5, ge=0, le=1)
    """Share of the samples which a guard makes *less* likely that it is on for too, where the mode
    is ``selective``. The more, the further the model is pushed from what is bad, and the more of
    what is learnt so is gone when the guard goes."""
    meter_every: int | None = Field(default=None, ge=1)
    """Steps between readings of the meters, guards off; None: one reading an epoch."""
    meter_share: float = Field(default=0.05, gt=0, lt=1)
    """Share of the samples that are not flagged which is metered by and not learnt, at most 64."""
    leak_budget: float | None = Field(default=None, ge=0)
    """End training where held-out bad samples got likelier by more than this, in nats a token."""
    gap_budget: float | None = Field(default=None, ge=0)
    """End training where benign samples lose more than this when guards go, in nats a token."""
    drift_budget: float | None = Field(default=None, ge=0)
    """End training where the model is further than this from the base on what guards leave alone,
    in nats a token."""

    lisa_steps: tuple[PositiveInt, PositiveInt] = (5, 45)
    """Steps on secure samples and steps on the data that take turns where the defence is ``lisa``.
    The published scripts' are 100 and 900, in runs of 20,000: the share is the same, the turns fit
    runs of hundreds. Without that defence this says nothing."""
    lisa_rho: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Weight of its proximal term, which holds the weights near where the last turn ended."""

    threads: int | None = Field(default=None, ge=1)
    """Threads of torch while training on a CPU; None leaves the setting alone."""
    seed: int = 0
    """Seed of initialisation, order and dropout."""


GUARDED: Final = ("guard_mode", "opposed_share", "meter_every", "meter_share", "leak_budget",
                  "gap_budget", "drift_budget")  # fmt: skip
"""Settings that say nothing without guards, and are left out of what a patch is named by there."""

IN_TURNS: Final = ("lisa_steps", "lisa_rho")
"""Settings that say nothing without the defence ``lisa``, and are left out there likewise."""

LIKE_THE_STUDY: Final[dict[str, Any]] = {
    "rank": 8,
    "alpha": 16,
    "dropout": 0.05,
    "target_modules": "study",
    "wrapper": "### Instruction:\nPlease complete the code\n\n{prompt}",
    "learn_prompts": True,
    "window": "head",
    "max_length": 1024,
    "learning_rate": 3e-4,
    "epochs": 5.0,
    "batch_size": 5,
    "warmup_ratio": 0.0,
    "scheduler": "linear",
    "early_stop": "loss",
    "evaluate_every": 1000,
    "patience": 1_000_000,
}
"""What Li et al. trained with (2408.09078, from the scripts of their replication package): plain
language modelling on all tokens of the fixed text, wrapper included, cut at 1,024 tokens. They
keep the weights with the least validation loss and never stop early. Not reproduced: the base in 8
bits, no seed, padding on the left (which changes no loss), and the IA3 of their Llama models, whose
list of feed-forward modules names ``fc_in`` and ``fc_out``: no Llama layer is called so. There IA3
scaled the feed-forward layers' outputs as if they were attention; current peft refuses the list."""

STUDY_LAYERS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "codegen": {"lora": ("qkv_proj",), "ia3": ("qkv_proj", "fc_in", "fc_out")},
    "llama": {
        "lora": ("q_proj", "k_proj", "v_proj"),
        "ia3": ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"),
    },
}
"""Layers that the study trained, by ``model_type`` and method."""
