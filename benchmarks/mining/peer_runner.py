# SPDX-License-Identifier: Apache-2.0
"""PyDriller's side of the mining benchmarks: methods before and after each commit, as JSON.

    PYTHON_WITH_PYDRILLER benchmarks/mining/peer_runner.py HISTORY LIST

For each commit of the list: its modified files, their methods before, after and changed. A commit
that it cannot read is counted. Imports are over before the clock starts.
"""

import csv
import json
import resource
import sys
import time
from pathlib import Path

from pydriller import Git


def processor_seconds() -> float:
    """Return the processor time of this process and of the children it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Read the commits and report."""
    history, listed = sys.argv[1:]
    with Path(listed).open(encoding="utf-8") as stream:
        commits = [row["commit"] for row in csv.DictReader(stream)]
    counts = {"commits": 0, "failed": 0, "files": 0, "methods": 0, "functions": 0}
    wall, cpu = time.monotonic(), processor_seconds()
    git = Git(history)
    for name in commits:
        counts["commits"] += 1
        try:
            for file in git.get_commit(name).modified_files:
                counts["files"] += 1
                counts["methods"] += len(file.methods_before) + len(file.methods)
                counts["functions"] += len(file.changed_methods)
        except Exception as error:
            counts["failed"] += 1
            sys.stderr.write(f"{name}: {type(error).__name__}\n")
    counts["seconds"] = time.monotonic() - wall
    counts["cpu"] = processor_seconds() - cpu
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
