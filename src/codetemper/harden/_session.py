# SPDX-License-Identifier: Apache-2.0
"""What a technique's training is given: the trainer's arguments, its rate, a folder to work in.

    with quiet(), seeded(settings.seed, settings.threads), scratch_beside(folder, kept) as scratch:
        trainer = PairTrainer(module, arguments(settings, device, examples, scratch), run)
        ...
        refuse_divergence(curve(trainer, "loss"), rate=peak_rate(settings))

Every technique that trains reads its loop from the settings of ``tune``, whatever its own
configuration offers of them. Seeds, silence and divergence are ``models.training``'s.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from codetemper.harden._methods import METHODS
from codetemper.harden._settings import Config
from codetemper.harden._turns import Turns


@contextmanager
def scratch_beside(folder: Path, checkpoints: Path | None) -> Iterator[Path]:
    """Give the folder of checkpoints, or where there is none, one that is deleted afterwards."""
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
        yield checkpoints
        return
    with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as scratch:
        yield Path(scratch)


def arguments(
    config: Config,
    device: torch.device,
    examples: int,
    scratch: Path,
    kind: Callable[..., TrainingArguments] = TrainingArguments,
    turns: Turns | None = None,
    **more: Any,
) -> TrainingArguments:
    """Return the trainer's arguments.

    Args:
        config: the loop.
        device: where the model is.
        examples: how many there are, in all processes together, without those that have turns.
        scratch: folder for checkpoints.
        kind: class of the arguments, for a trainer with more of them.
        turns: of steps beside those over the examples; None where there are no others.
        more: those.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batches = math.ceil(examples / (config.batch_size * processes))
    epoch = math.ceil(batches / config.gradient_accumulation)
    steps = math.ceil(epoch * config.epochs)
    if turns is not None:
        steps += turns.beside(steps)
        epoch = math.ceil(steps / config.epochs)
    on_gpu = device.type == "cuda"
    validates = config.early_stop != "never"
    return kind(
        output_dir=str(scratch),
        num_train_epochs=config.epochs,
        max_steps=-1 if turns is None else steps,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=peak_rate(config),
        lr_scheduler_type=config.scheduler,
        warmup_steps=math.ceil(steps * config.warmup_ratio),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        gradient_checkpointing=config.gradient_checkpointing,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=device.type == "cpu",
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        ddp_backend="gloo" if device.type == "cpu" and processes > 1 else None,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        logging_strategy="steps",
        logging_steps=max(1, steps // 100),
        logging_nan_inf_filter=False,
        eval_strategy="steps" if validates else "no",
        eval_steps=min(config.evaluate_every or epoch, steps) if validates else None,
        save_strategy="best" if validates else "no",
        save_total_limit=2,
        load_best_model_at_end=validates,
        metric_for_best_model=config.early_stop if validates else None,
        greater_is_better=config.early_stop == "score" if validates else None,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
        **more,
    )


def peak_rate(config: Config) -> float:
    """Return the peak learning rate, the method's own where none is set."""
    own = METHODS[config.method].learning_rate
    return own if config.learning_rate is None else config.learning_rate
