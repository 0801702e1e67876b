# SPDX-License-Identifier: Apache-2.0
"""What a stepwise method hands back: its draft as an ``Edit``, with a last look at the answers.

Used by ``star``, ``sgd``, ``mint`` and ``edit`` inside ``engine.drafting()``; it decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from codetemper.core.repairs import RepairRound
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.draft import Draft
from codetemper.harden.repair.engine import Engine, Observation
from codetemper.harden.repair.task import Task, gaps_by_failure


def outcome(
    engine: Engine,
    task: Task,
    draft: Draft,
    before: Observation,
    rounds: Sequence[RepairRound],
    begun: float,
    **notes: Any,
) -> Edit:
    """Look at the answers under a draft and return it as an edit.

    Args:
        engine: the model, with the draft on it.
        task: what was to be repaired.
        draft: the changes.
        before: what was seen without them, at every token of the answers.
        rounds: what was done.
        begun: ``time.monotonic()`` when it began.
        notes: for the report, plain JSON data.
    """
    after = engine.observe(task.passages)
    return Edit(
        method=task.config.method,
        deltas=dict(draft.deltas),
        rounds=tuple(rounds),
        solved=all(after.right),
        gaps_before=gaps_by_failure(task.passages, before.gaps),
        gaps_after=gaps_by_failure(task.passages, after.gaps),
        seconds=time.monotonic() - begun,
        notes=notes,
    )
