# SPDX-License-Identifier: Apache-2.0
"""``tune``: teach a model the fixed side of real vulnerability fixes, as a LoRA adapter.

    result = tune(model, pairs, Config(epochs=3), folder)     # folder becomes a plain PEFT folder

The model reads ``after[:body_start]`` (comment, signature) and is trained on the tokens of
``after[body_start:]`` and the end token, never on the prompt. The training loop is trl's
``SFTTrainer``, the layers are peft's, activation and exact return of the base are
``models.attach``'s. This file writes no manifest and knows no workspace, and it does not judge:
whether the patch helps is for the evaluation to say.
"""

from __future__ import annotations

import logging
import math
import random
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig
from pydantic import BaseModel, ConfigDict, Field
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging as transformers_logging
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.records import Event, FixPair, OnEvent, ignore_events
from codetemper.data.examples import Examples, encode
from codetemper.harden import TechniqueCard
from codetemper.models.attach import OwnedPeftModel, save_trained, training_adapter
from codetemper.models.loaded import LoadedModel

CARD = TechniqueCard(
    name="tune",
    summary="Trains a LoRA adapter on the fixed functions of mined vulnerability fixes.",
    paper="2408.09078",
    paper_title="Li et al. 2024, fine-tuning on vulnerability-fixing commits",
    differs="The loss is on the function's body and the end token alone (the study's is on all "
    "text, its instruction wrapper included); a function too long for the window loses the "
    "beginning of its prompt first (the study cuts the end); all linear layers get adapters "
    "(the study's: attention only).",
    needs=("weights", "gradients"),
    data="FixPair",
    patch="adapter",
    cost="One pass of forward and backward over the fixed functions per epoch; gradients and "
    "optimiser state for the adapter only (with rank 16 about 1 % of a 7B model's parameters).",
)


class Config(BaseModel):
    """Settings of one tuning run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rank: int = Field(default=16, ge=1)
    """Rank of the adapter."""
    alpha: int = Field(default=32, gt=0)
    """Scale of the adapter: its output is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input while training."""
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Layers that get an adapter, by name; ``all-linear``: every linear layer but the head."""
    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate of AdamW. Higher moves more and forgets more."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the pairs."""
    batch_size: int = Field(default=8, ge=1)
    """Functions per step and device."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Steps whose gradients are summed before the weights move."""
    max_length: int = Field(default=1024, ge=16)
    """Window in tokens, prompt and completion together."""
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of the adapter's weights."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """How the learning rate falls after the warm-up."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    gradient_checkpointing: bool = False
    """Compute activations twice to hold fewer: slower, for models that do not fit otherwise."""
    group_by_length: bool = True
    """Batch functions of like length: less padding, so faster, at slightly less random batches."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of torch while training on a CPU; None leaves the setting alone."""
    seed: int = 0
    """Seed of initialisation, order and dropout."""


@dataclass(frozen=True)
class TuneResult:
    """What a tuning run did.

    Attributes:
        seconds: wall seconds, without loading the model.
        parameters_changed: numbers in the adapter.
        steps: optimiser steps.
        losses: (step, mean loss per completion token in nats since the entry before).
        examples: functions trained on.
        skipped: pairs without a body to learn.
        truncated: functions longer than the window.
        completion_tokens: tokens that carry loss, per epoch.
        tokens_lost: share of all completion tokens that the window cut off.
    """

    seconds: float
    parameters_changed: int
    steps: int
    losses: tuple[tuple[int, float], ...]
    examples: int
    skipped: int
    truncated: int
    completion_tokens: int
    tokens_lost: float

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        plain = asdict(self)
        plain["losses"] = [list(entry) for entry in self.losses]
        return plain


def tune(
    model: LoadedModel,
    pairs: Sequence[FixPair],
    config: Config,
    folder: Path,
    *,
    on_event: OnEvent = ignore_events,
) -> TuneResult:
    """Train an adapter on the fixed side of fix pairs and write it as a plain PEFT folder.

    Args:
        model: the base; its weights and structure are the same afterwards, bit for bit.
        pairs: what to learn from.
        config: settings.
        folder: an existing, empty folder; gets ``adapter_config.json`` and
            ``adapter_model.safetensors``.
        on_event: called with ``Event(stage="train", unit="steps")`` after each step.

    Returns:
        What was done and measured. Same model, pairs, configuration and machine: same adapter.

    Raises:
        UsageError: no pairs, none with a body, layers that the model does not have, or a loss
            that is no longer a number.
    """
    begun = time.monotonic()
    examples = encode(pairs, model.tokenizer, config.max_length)
    if not examples.input_ids:
        raise UsageError(
            "there is nothing to tune on",
            why=f"of {len(pairs)} fix pairs none has a body to learn",
            mend="mine a history with fixes in it: codetemper mine REPOSITORY",
        )
    with _quiet(), _seeded(config), _adapter(model, config) as wrapped:
        watch = _Watch(on_event)
        with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as scratch:
            trainer = SFTTrainer(
                model=wrapped,
                args=_arguments(config, model.device, examples, Path(scratch)),
                train_dataset=Dataset.from_dict(
                    {"input_ids": examples.input_ids, "labels": examples.labels}
                ),
                processing_class=model.tokenizer,
                data_collator=DataCollatorForLanguageModeling(pad_token_id=_pad(model.tokenizer)),
                callbacks=[watch],
            )
            # It would print to standard output, where a script expects one document.
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        _refuse_divergence(watch.losses, config)
        changed = sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
        with mendable(folder):
            save_trained(wrapped, folder, base=model.expression)
    kept = examples.completion_tokens
    return TuneResult(
        seconds=time.monotonic() - begun,
        parameters_changed=changed,
        steps=watch.steps,
        losses=tuple(watch.losses),
        examples=len(examples.input_ids),
        skipped=examples.skipped,
        truncated=examples.truncated,
        completion_tokens=kept,
        tokens_lost=examples.lost / (kept + examples.lost),
    )


@contextmanager
def _adapter(model: LoadedModel, config: Config) -> Iterator[OwnedPeftModel]:
    targets = config.target_modules
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    if not isinstance(targets, str):
        present = {name for name, _ in model.module.named_modules()}
        missing = [t for t in targets if not any(f".{n}".endswith(f".{t}") for n in present)]
        if missing:
            raise UsageError(
                f"the model has no layer named '{missing[0]}'",
                why="target_modules must name layers of this architecture",
                mend="leave target_modules at 'all-linear', or name layers such as 'q_proj'",
            )
    with training_adapter(model, lora) as wrapped:
        yield wrapped


def _arguments(
    config: Config, device: torch.device, examples: Examples, scratch: Path
) -> SFTConfig:
    batches = math.ceil(len(examples.input_ids) / config.batch_size)
    steps = math.ceil(math.ceil(batches / config.gradient_accumulation) * config.epochs)
    on_gpu = device.type == "cuda"
    return SFTConfig(
        output_dir=str(scratch),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.scheduler,
        warmup_steps=math.ceil(steps * config.warmup_ratio),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        gradient_checkpointing=config.gradient_checkpointing,
        train_sampling_strategy="group_by_length" if config.group_by_length else "random",
        seed=config.seed,
        data_seed=config.seed,
        max_length=config.max_length,
        # The examples are tokenised, cut and labelled already.
        dataset_kwargs={"skip_prepare_dataset": True},
        use_cpu=device.type == "cpu",
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        fp16=False,
        dataloader_pin_memory=on_gpu,
        logging_strategy="steps",
        logging_steps=max(1, steps // 100),
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
    )


def _pad(tokenizer: Any) -> int:
    """Return an id to fill up with; it is masked, so any valid one will do."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


@contextmanager
def _seeded(config: Config) -> Iterator[None]:
    """Seed the run; give random generators and thread count back afterwards."""
    threads, python, legacy = torch.get_num_threads(), random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        set_seed(config.seed)
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(python)
            np.random.set_state(legacy)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence notes that the trainer's libraries write for their own users."""
    level = transformers_logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|trl")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        transformers_logging.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            transformers_logging.set_verbosity(level)


def _refuse_divergence(losses: Sequence[tuple[int, float]], config: Config) -> None:
    broken = next((step for step, loss in losses if not math.isfinite(loss)), None)
    if broken is not None:
        raise UsageError(
            f"the loss is no longer a number at step {broken}",
            why=f"training diverged at learning_rate={config.learning_rate:g}",
            mend=f"-o learning_rate={config.learning_rate / 10:g}",
        )


class _Watch(TrainerCallback):
    """Passes progress on and keeps the loss curve."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self.losses: list[tuple[int, float]] = []
        self.steps = 0

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and "loss" in logs:
            self.losses.append((state.global_step, float(logs["loss"])))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.steps = state.global_step
        note = f"loss {self.losses[-1][1]:.3f}" if self.losses else ""
        self._on_event(
            Event(
                stage="train",
                done=state.global_step,
                total=state.max_steps,
                unit="steps",
                note=note,
            )
        )
