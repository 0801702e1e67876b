# SPDX-License-Identifier: Apache-2.0
"""Our side of the mining benchmarks: mines a history, prints what it took as JSON.

    python -m benchmarks.mining.our_runner HISTORY LIST|all PROCESSES

With a list, filters are set wide open, so that each of its commits is read, parsed, aligned, scored
and written; ``all`` is the ordinary job, every granularity at once, over the whole history. Imports
are over before the clock starts; processes that do the work are started within it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from codetemper.core.records import Event
from codetemper.data.mine import MineConfig, Sources, mine

OPEN = MineConfig(
    max_functions_per_commit=1_000_000, max_files_per_commit=1_000_000, keep_tests=True
)
ORDINARY = MineConfig(granularities=("file", "function", "block", "line"))


def processor_seconds() -> float:
    """Return the processor time of this process and of the children it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def resident_mb() -> float:
    """Return the memory that this process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Mine and report."""
    history, listed, processes = sys.argv[1:]
    whole = listed == "all"
    sources = Sources((Path(history),), () if whole else (Path(listed),))
    held: list[tuple[int, float]] = []

    def note(event: Event) -> None:
        held.append((event.done, resident_mb()))

    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.monotonic(), processor_seconds()
        result = mine(
            sources, ORDINARY if whole else OPEN, Path(folder),
            processes=int(processes), on_event=note,
        )  # fmt: skip
        document = {
            "seconds": time.monotonic() - wall,
            "cpu": processor_seconds() - cpu,
            "commits": result.commits_seen,
            "kept": result.commits_kept,
            "functions": result.granularities.get("function", 0),
            "pairs": len(result.pairs),
            "files": result.notes.get("files read", 0),
            "dropped": result.dropped,
            "held_mb": held,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            "children_peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
        }
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
