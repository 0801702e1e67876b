# SPDX-License-Identifier: Apache-2.0
"""What surrounds any training by transformers' ``Trainer``: seeds, progress, divergence.

    with quiet(), seeded(0):
        trainer = Trainer(..., callbacks=[Progress(on_event)])
        trainer.train()
        refuse_divergence(curve(trainer, "loss"), rate=5e-5)

Shared by all stages that train. What is trained, and by which loss, is theirs; ``quiet`` is that of
``models.silence``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from codetemper.core.errors import UsageError
from codetemper.core.records import Event, OnEvent


@contextmanager
def seeded(seed: int, threads: int | None = None) -> Iterator[None]:
    """Seed all generators; give them and torch's thread count back as they were.

    Args:
        seed: of Python, NumPy and torch.
        threads: of torch meanwhile; None leaves the setting alone.
    """
    count, python, legacy = torch.get_num_threads(), random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        set_seed(seed)
        if threads is not None:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(count)
            random.setstate(python)
            np.random.set_state(legacy)


def curve(trainer: Trainer, key: str) -> tuple[tuple[int, float], ...]:
    """Return what was logged under a key, as (step, value)."""
    history = trainer.state.log_history
    return tuple((int(entry["step"]), float(entry[key])) for entry in history if key in entry)


def refuse_divergence(losses: Sequence[tuple[int, float]], *, rate: float) -> None:
    """Refuse a training whose loss was no number at some step.

    Args:
        losses: (step, loss).
        rate: peak learning rate of the training.

    Raises:
        UsageError: names the step.
    """
    broken = next((step for step, loss in losses if not math.isfinite(loss)), None)
    if broken is not None:
        raise UsageError(
            f"the loss is no longer a number at step {broken}",
            why=f"training diverged at learning_rate={rate:g}",
            mend=f"-o learning_rate={rate / 10:g}",
        )


class Progress(TrainerCallback):  # type: ignore[misc]
    """Passes progress on, with the last loss."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell of a step."""
        last = next((e["loss"] for e in reversed(state.log_history) if "loss" in e), None)
        self._on_event(
            Event(
                stage="train",
                done=state.global_step,
                total=state.max_steps,
                unit="steps",
                note="" if last is None else f"loss {last:.3f}",
            )
        )
