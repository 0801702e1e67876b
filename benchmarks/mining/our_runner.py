# SPDX-License-Identifier: Apache-2.0
"""Our side of the mining benchmarks: mines a history, prints what it took as JSON.

    python -m benchmarks.mining.our_runner HISTORY LIST|all PROCESSES [--functions]

With a list, filters are set wide open, so that each of its commits is read, parsed, aligned, scored
and written; ``all`` is the ordinary job, every granularity at once, over the whole history. With
``--functions`` no more is done than PyDriller does: the functions before and after each commit, and
which of them it modified. Imports are over before the clock starts; processes that do the work are
started within it.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from codetemper.core.records import Event
from codetemper.data.alignment import align
from codetemper.data.history import History
from codetemper.data.languages import language_of
from codetemper.data.mine import MineConfig, Sources, mine
from codetemper.data.readings import Readings, unshared

#: Commits that one git process compares, as when mining.
BATCH = 64

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


def functions_only(folder: Path, listed: Path) -> dict[str, float]:
    """Read the functions before and after each commit of a list, and align them."""
    with listed.open(encoding="utf-8") as stream:
        names = [row["commit"] for row in csv.DictReader(stream)]
    counts = {"commits": 0, "files": 0, "functions": 0}
    wall, cpu = time.monotonic(), processor_seconds()
    history = History(folder)
    readings, notes = Readings(history), Counter[str]()
    commits = list(history.named(names))
    for begin in range(0, len(commits), BATCH):
        batch = commits[begin : begin + BATCH]
        changes = history.changes(batch)
        for commit in batch:
            sides = []
            for change in changes[commit.hash] or ():
                language = language_of(change.path) if change.kind != "other" else None
                if language is None:
                    continue
                before = readings.read(change.before, language, notes)
                after = readings.read(change.after, language, notes)
                if before is not None and after is not None:
                    sides.append(unshared(before, after, language, notes))
            counts["commits"] += 1
            counts["files"] += len(sides)
            counts["functions"] += len(align(sides).pairs)
    history.close()
    return counts | {"seconds": time.monotonic() - wall, "cpu": processor_seconds() - cpu}


def main() -> None:
    """Mine and report."""
    history, listed, processes, *rest = sys.argv[1:]
    if rest:
        sys.stdout.write(json.dumps(functions_only(Path(history), Path(listed))) + "\n")
        return
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
