# SPDX-License-Identifier: Apache-2.0
"""Fix pairs of a few tokens, a tiny model to tune on them, and trainings that are killed."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch

from codetemper.core.records import FixPair
from codetemper.harden._trainer import newest_checkpoint
from codetemper.harden.tune import Config, TuneResult, tune
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import weights_digest
from tests.tiny import tiny_model, tiny_tokenizer

FAST = Config(rank=4, alpha=8, epochs=6, batch_size=4, learning_rate=1e-2, max_length=64)


def pair(
    number: int, body: str | None = None, split: Literal["train", "validation"] = "train"
) -> FixPair:
    """Return a pair whose fix adds a number to a sum."""
    prompt = f"def add_{number}(a, b):\n"
    return FixPair(
        id=str(number),
        language="python",
        before=prompt + "    return a + b\n",
        after=prompt + (f"    return a + b + {number}\n" if body is None else body),
        body_start=len(prompt),
        name=f"add_{number}",
        path="a.py",
        repository="project",
        commit="0" * 40,
        date="2024-01-01T00:00:00+00:00",
        split=split,
    )


PAIRS = tuple(pair(number) for number in range(8))


def loaded(kind: str = "llama") -> LoadedModel:
    """Return a tiny model as a backend would load it."""
    module = tiny_model(kind)
    digest = weights_digest(module)
    return LoadedModel("hf:tiny", module, tiny_tokenizer(), digest, torch.device("cpu"))


def run(model: LoadedModel, folder: Path, config: Config = FAST) -> TuneResult:
    """Tune on ``PAIRS`` into a new folder."""
    folder.mkdir()
    return tune(model, PAIRS, config, folder)


def killed(train: Callable[..., Any], checkpoints: Path, *given: Any) -> Path:
    """Call a training that kills its own process, in another one; return the checkpoint left."""
    child = multiprocessing.get_context("fork").Process(target=train, args=given)
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    newest = newest_checkpoint(checkpoints)
    assert newest is not None
    return newest
