# SPDX-License-Identifier: Apache-2.0
"""``tune``: teach a model the fixed side of real vulnerability fixes, as a patch.

    result = tune(model, pairs, Config(epochs=3), folder)     # folder becomes a patch's tensors

The model reads ``after[:body_start]`` (comment, signature) and is trained on the body; settings
add terms that weight what the fix changed or set it against the vulnerable side, none of which is
on by default (``_losses``). Batches are packed and the head is computed where there is loss
(``_batches``); the loop is transformers' ``Trainer`` (``_trainer``); what is trained, and the exact
return of the base, are ``_methods``'s. This file writes no manifest and knows no workspace, and it
does not judge: whether the patch helps is for the evaluation to say; a validation score is handed
in.
"""

from __future__ import annotations

import logging
import math
import os
import random
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainingArguments, set_seed
from transformers.utils import logging as transformers_logging

from codetemper.core.disk import mendable
from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair, OnEvent, ignore_events
from codetemper.data.examples import Example, Examples, Layout, encode
from codetemper.data.mixing import General, encode_general, sample
from codetemper.harden import TechniqueCard
from codetemper.harden._batches import packs
from codetemper.harden._losses import LossWeights
from codetemper.harden._methods import METHODS, trainable
from codetemper.harden._settings import LIKE_THE_STUDY, STUDY_LAYERS, Config
from codetemper.harden._trainer import PairTrainer, Run, Score, newest_checkpoint, seconds_until
from codetemper.models.loaded import LoadedModel

__all__ = ["CARD", "LIKE_THE_STUDY", "Config", "TuneResult", "tune"]

CARD = TechniqueCard(
    name="tune",
    summary="Trains a patch on the fixed side of mined vulnerability fixes, and where settings say "
    "so against the vulnerable one.",
    paper="2408.09078",
    paper_title="Li et al. 2024, fine-tuning on vulnerability-fixing commits",
    differs="The loss is on the body and the end token (the study's is on all text, its wrapper "
    "included); terms of SafeCoder (2402.09497) and SVEN (2302.05319) can be added. Windows lie "
    "around the changes (the study keeps the first 1,024 tokens). All linear layers get adapters "
    "(the study's: attention only). LIKE_THE_STUDY holds its settings.",
    needs=("weights", "gradients"),
    data="FixPair",
    patch="adapter",
    cost="One pass of forward and backward over the pairs per epoch; gradients and "
    "optimiser state for what is trained only (LoRA of rank 16: about 1 % of a 7B model's "
    "parameters; full: all of them).",
)


@dataclass(frozen=True)
class TuneResult:
    """What a tuning run did.

    Attributes:
        seconds: wall seconds, without loading the model. Of a run in several goes, the sum; what
            a break destroyed, since it came after the last checkpoint, does not count.
        parameters_changed: numbers that were trained.
        steps: optimiser steps in all, those before a resumption included.
        losses: (step, mean loss since the entry before).
        validations: (step, validation loss or score).
        best_step: the step whose weights were kept, where a validation chose it; else None.
        examples: pairs trained on, or windows of them.
        mixed: general examples trained on beside them.
        skipped: pairs without a body to learn.
        truncated: pairs longer than the window.
        learnt_tokens: tokens of fixed sides that carry loss, per epoch.
        fix_tokens: tokens that the fixes changed, on the fixed sides.
        fix_tokens_kept: share of them that the windows show; None where nothing changed.
        fix_tokens_head: share that a cut at the window's length would have shown.
        packed: whether several sequences shared a row.
    """

    seconds: float
    parameters_changed: int
    steps: int
    losses: tuple[tuple[int, float], ...]
    validations: tuple[tuple[int, float], ...]
    best_step: int | None
    examples: int
    mixed: int
    skipped: int
    truncated: int
    learnt_tokens: int
    fix_tokens: int
    fix_tokens_kept: float | None
    fix_tokens_head: float | None
    packed: bool

    def report(self) -> dict[str, Any]:
        """Return it as plain JSON data, for the manifest."""
        plain = asdict(self)
        for curve in ("losses", "validations"):
            plain[curve] = [list(entry) for entry in plain[curve]]
        return plain


def tune(
    model: LoadedModel,
    pairs: Sequence[FixPair],
    config: Config,
    folder: Path,
    *,
    frozen: Sequence[Path] = (),
    general: Sequence[General] = (),
    score: Score | None = None,
    checkpoints: Path | None = None,
    checkpoint_seconds: float = 300.0,
    on_event: OnEvent = ignore_events,
) -> TuneResult:
    """Train a patch on fix pairs and write its tensors.

    Args:
        model: the base; its weights and structure are the same afterwards, bit for bit.
        pairs: what to learn from; those of ``config.granularity`` whose split is ``train``, and
            for the validation loss those whose split is ``validation``.
        config: settings.
        folder: an existing, empty folder; gets the tensors of the patch.
        frozen: patch folders that are active while training and get no gradient: guards, and
            what the new patch goes on top of.
        general: general instructions or texts to mix in, ``config.mix_share`` of all examples.
        score: for ``early_stop="score"``: from the model being trained to a number, higher is
            better. It is called with the module in evaluation mode.
        checkpoints: a folder for checkpoints. Where it holds some, training goes on from the last;
            the caller sees to it that they are of the same model, pairs and configuration.
        checkpoint_seconds: time between them.
        on_event: called with ``Event(stage="train", unit="steps")`` after each step.

    Returns:
        What was done and measured. Same model, pairs, configuration and machine: same patch, also
        where it was made in several goes.

    Raises:
        UsageError: no pairs, none with a body, layers that the model does not have, nothing to
            validate on, or a loss that is no longer a number.
    """
    begun = time.monotonic()
    learnt, held_out, mixed = _examples(model, pairs, config, general)
    _refuse_settings(config, score)
    config = _with_layers(config, model)
    with _quiet(), _seeded(config):
        pack = METHODS[config.method].packs and packs(model.module)
        with (
            trainable(model, config, *frozen) as training,
            _scratch(folder, checkpoints) as scratch,
        ):
            last = newest_checkpoint(scratch)
            if last is not None:
                begun -= seconds_until(last)
            run = Run(
                examples=[*learnt.items, *mixed],
                held_out=held_out.items,
                weights=weights_of(config),
                as_base=training.as_base,
                pack=pack,
                score=score if config.early_stop == "score" else None,
                patience=config.patience,
                checkpoint_seconds=None if checkpoints is None else checkpoint_seconds,
                begun=begun,
                on_event=on_event,
            )
            arguments = _arguments(config, model.device, len(run.examples), scratch)
            trainer = PairTrainer(training.module, arguments, run)
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
            losses = _curve(trainer, "loss")
            _refuse_divergence(losses, config)
            with mendable(folder):
                training.save(folder)
            changed = training.parameters
    measure = "eval_score" if config.early_stop == "score" else "eval_loss"
    best = trainer.state.best_global_step
    fix = learnt.fix
    return TuneResult(
        seconds=time.monotonic() - begun,
        parameters_changed=changed,
        steps=trainer.state.global_step,
        losses=losses,
        validations=_curve(trainer, measure),
        best_step=best if config.early_stop != "never" else None,
        examples=len(learnt.items),
        mixed=len(mixed),
        skipped=learnt.skipped,
        truncated=learnt.truncated,
        learnt_tokens=learnt.learnt_tokens,
        fix_tokens=fix.changed,
        fix_tokens_kept=fix.share,
        fix_tokens_head=fix.head / fix.changed if fix.changed else None,
        packed=pack,
    )


def _refuse_settings(config: Config, score: Score | None) -> None:
    if config.early_stop == "score" and score is None:
        raise UsageError(
            "there is no score to stop by",
            why="early_stop=score needs a suite to evaluate on",
            mend="name one with --validate-on SUITE, or use -o early_stop=loss",
        )
    if config.gradient_checkpointing and not METHODS[config.method].checkpoints:
        raise UsageError(
            f"{config.method} tuning cannot compute activations twice",
            why="what it trains is lost on the way to the second time",
            mend="-o gradient_checkpointing=false, or another method",
        )


def weights_of(config: Config) -> LossWeights:
    """Return the weights of the loss's terms."""
    return LossWeights(config.changed_weight, config.unlikelihood, config.contrast, config.kl)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence notes that the trainer's libraries write for their own users."""
    level = transformers_logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        transformers_logging.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            transformers_logging.set_verbosity(level)


@_quiet()
def _examples(
    model: LoadedModel, pairs: Sequence[FixPair], config: Config, general: Sequence[General]
) -> tuple[Examples, Examples, list[Example]]:
    """Return what is learnt, what is held out, and what is mixed in."""
    layout = Layout(config.max_length, config.wrapper, config.window, config.learn_prompts)
    pairs = [pair for pair in pairs if pair.granularity == config.granularity]
    train = [pair for pair in pairs if pair.split == "train"]
    learnt = encode(train, model.tokenizer, layout)
    if not learnt.items:
        raise UsageError(
            "there is nothing to tune on",
            why=f"of {len(train)} fix pairs by {config.granularity} none has a body to learn",
            mend="mine a history with fixes in it: codetemper mine REPOSITORY",
        )
    held = [p for p in pairs if p.split == "validation"] if config.early_stop == "loss" else []
    held_out = encode(held, model.tokenizer, layout)
    if config.early_stop == "loss" and not held_out.items:
        raise UsageError(
            "there is nothing to validate on",
            why="early_stop=loss needs pairs whose split is 'validation', and there are none",
            mend="mine with a split, or use -o early_stop=never",
        )
    drawn = sample(general, len(learnt.items), share=config.mix_share, seed=config.seed)
    return learnt, held_out, encode_general(drawn, model.tokenizer, config.max_length)


def _with_layers(config: Config, model: LoadedModel) -> Config:
    """Put layers in the place of the word ``study``."""
    if config.target_modules != "study":
        return config
    kind = str(getattr(model.module.config, "model_type", "?"))
    layers = STUDY_LAYERS.get(kind, {}).get("ia3" if config.method == "ia3" else "lora")
    if layers is None:
        raise UsageError(
            f"the study says nothing of {kind}",
            why=f"it trained layers of {' and '.join(STUDY_LAYERS)} models",
            mend="name layers: -o target_modules=[q_proj,v_proj], or all-linear",
        )
    return config.model_copy(update={"target_modules": layers})


@contextmanager
def _scratch(folder: Path, checkpoints: Path | None) -> Iterator[Path]:
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
        yield checkpoints
        return
    with tempfile.TemporaryDirectory(prefix=".train-", dir=folder.parent) as scratch:
        yield Path(scratch)


def _arguments(
    config: Config, device: torch.device, examples: int, scratch: Path
) -> TrainingArguments:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    batches = math.ceil(examples / (config.batch_size * processes))
    epoch = math.ceil(batches / config.gradient_accumulation)
    steps = math.ceil(epoch * config.epochs)
    on_gpu = device.type == "cuda"
    validates = config.early_stop != "never"
    return TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        learning_rate=_peak_rate(config),
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
    )


def _curve(trainer: PairTrainer, key: str) -> tuple[tuple[int, float], ...]:
    history = trainer.state.log_history
    return tuple((int(entry["step"]), float(entry[key])) for entry in history if key in entry)


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


def _peak_rate(config: Config) -> float:
    own = METHODS[config.method].learning_rate
    return own if config.learning_rate is None else config.learning_rate


def _refuse_divergence(losses: Sequence[tuple[int, float]], config: Config) -> None:
    broken = next((step for step, loss in losses if not math.isfinite(loss)), None)
    if broken is not None:
        raise UsageError(
            f"the loss is no longer a number at step {broken}",
            why=f"training diverged at learning_rate={_peak_rate(config):g}",
            mend=f"-o learning_rate={_peak_rate(config) / 10:g}",
        )
