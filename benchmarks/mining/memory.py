# SPDX-License-Identifier: Apache-2.0
"""Memory while a long history is mined: every message read, every fix cut at every granularity.

Peak is the most that the mining process ever held; what git holds beside it is a figure of its own.
Flat means that the last third of the run needs no more than the second third did.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.mining.speed import ours

MOST_MB = 500.0
LONG = 30_000
GROWTH = 1.1


def figures(history: Path) -> dict[str, Figure]:
    """Measure one history, of 30,000 commits or more for the target to be met.

    Args:
        history: a git folder.
    """
    run = ours(history, "all", 1)
    third = len(run["held_mb"]) // 3
    middle = statistics.mean(mb for _, mb in run["held_mb"][third : 2 * third])
    last = statistics.mean(mb for _, mb in run["held_mb"][2 * third :])
    peak, git = run["peak_mb"], run["children_peak_mb"]
    size = f"{run['commits']} commits, {run['kept']} kept, {run['pairs']} pairs"
    return {
        "memory, peak MB": Figure(
            peak, peak, peak, f"under {MOST_MB:g} on {LONG:,} commits ({size})",
            peak < MOST_MB and run["commits"] >= LONG,
        ),
        "memory of git, peak MB": Figure(git, git, git, "shown", True),
        "memory, last third against second": Figure(
            last / middle, last / middle, last / middle, f"flat: at most {GROWTH:g}",
            last / middle <= GROWTH,
        ),
        "commits a second over the whole": Figure(
            run["commits"] / run["cpu"], run["commits"] / run["seconds"],
            run["commits"] / run["cpu"], "shown: processor time; low end: wall", True,
        ),
    }  # fmt: skip
