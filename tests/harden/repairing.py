# SPDX-License-Identifier: Apache-2.0
"""Failures planted in tiny random models, and the task of repairing them.

    engine = tiny_engine("llama")
    task = task_of(engine, planted(engine, failures=2), method="star", step=0.05)

An answer is what the model itself writes, but for one token in its middle, which is one of the best
others: so a failure is one wrong token, at a known place, and everything else is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from codetemper.core.records import OnEvent, ignore_events
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.locate import chosen_columns
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.statistics import Statistics
from codetemper.harden.repair.task import Task
from codetemper.models.anatomy import anatomy
from tests.tiny import VOCABULARY, tiny_model

#: Place of the wrong token in an answer, and the tokens of one.
WRONG, ANSWER = 1, 3


def tiny_engine(kind: str = "llama", **changes: Any) -> Engine:
    """Open a tiny random model."""
    module = tiny_model(kind, **changes)
    return Engine(module, anatomy(module), batch_size=4)


def texts(count: int, seed: int = 3, length: int = 12) -> list[Passage]:
    """Return random texts."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, VOCABULARY, (count, length), generator=generator).tolist()
    return [Passage(f"text {n}", 0, tuple(row[:8]), tuple(row[8:])) for n, row in enumerate(rows)]


def planted(engine: Engine, failures: int = 1, *, rank: int = 1, seed: int = 5) -> list[Passage]:
    """Return passages with one failing token each: the one that the model ranks ``rank``."""
    found = []
    for number, text in enumerate(texts(failures, seed)):
        ids = list(text.prompt)
        for place in range(ANSWER):
            with torch.no_grad():
                logits = engine.module(input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.argsort(descending=True)[rank if place == WRONG else 0]))
        found.append(Passage(f"failure {number}", 0, text.prompt, tuple(ids[-ANSWER:])))
    return found


def task_of(
    engine: Engine,
    passages: Sequence[Passage],
    *,
    columns: dict[int, torch.Tensor | None] | None = None,
    on_event: OnEvent = ignore_events,
    **settings: Any,
) -> Task:
    """Return the task of repairing passages."""
    config = Config(**settings)
    return Task(
        passages=tuple(passages),
        reference=(),
        columns=chosen_columns(engine, passages, config) if columns is None else columns,
        statistics=Statistics.of(engine, texts(20), config),
        semantic=Semantic.of(engine),
        config=config,
        on_event=on_event,
    )


def state(engine: Engine) -> tuple[Any, ...]:
    """Return all that a repair has to leave as it was: weights, flags, hooks and modes."""
    module = engine.module
    return (
        {name: value.detach().clone() for name, value in module.state_dict().items()},
        [parameter.requires_grad for parameter in module.parameters()],
        [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()],
        [part.training for part in module.modules()],
    )


def same(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    """Whether two states are equal, weights bit for bit."""
    weights = all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    return weights and first[1:] == second[1:]
