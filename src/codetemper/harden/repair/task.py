# SPDX-License-Identifier: Apache-2.0
"""What every method of repair is handed, and what all of them need around a solve.

A method is a module with ``solve(engine, task) -> Edit``. It may change only the layers and
neurons that ``task.columns`` names, inside ``engine.drafting()``, so that the model is as before
afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from codetemper.core.records import OnEvent, ignore_events
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.statistics import Statistics


@dataclass(frozen=True)
class Task:
    """A repair to be solved.

    Attributes:
        passages: what is to be put right, all wordings of all failures.
        reference: texts whose predictions are to stay, with the base's own predictions as wanted
            tokens (``reference_passages``); may be empty.
        columns: by number of each layer that may change, the neurons that may; None: all of it.
        statistics: of keys in reference texts.
        semantic: of the head.
        config: settings.
        on_event: progress.
    """

    passages: tuple[Passage, ...]
    reference: tuple[Passage, ...]
    columns: dict[int, torch.Tensor | None]
    statistics: Statistics
    semantic: Semantic
    config: Config
    on_event: OnEvent = ignore_events

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that may change, first to last."""
        return tuple(sorted(self.columns))


def gaps_by_failure(
    passages: Sequence[Passage], gaps: Sequence[tuple[float, ...]]
) -> dict[str, tuple[float, ...]]:
    """Return the gaps of all answer tokens by failure id, views one after the other.

    Args:
        passages: as observed.
        gaps: ``Observation.gaps`` of them.
    """
    found: dict[str, tuple[float, ...]] = {}
    for passage, each in zip(passages, gaps, strict=True):
        found[passage.failure] = found.get(passage.failure, ()) + each
    return found


def reference_passages(engine: Engine, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    """Return passages with what the model predicts in them now as the wanted tokens."""
    if not passages:
        return ()
    seen = engine.observe(passages)
    wanted: list[list[int]] = [[] for _ in passages]
    for number, token in zip(seen.passage.tolist(), seen.predicted.tolist(), strict=True):
        wanted[number].append(token)
    return tuple(
        Passage(p.failure, p.view, p.prompt, p.answer, tuple(tokens))
        for p, tokens in zip(passages, wanted, strict=True)
    )
