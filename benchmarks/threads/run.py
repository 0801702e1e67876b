# SPDX-License-Identifier: Apache-2.0
"""What an evaluation takes where OpenMP's threads sleep while they wait, against where they spin.

    python benchmarks/threads/run.py [--quick] [--json]

Both sides evaluate the seedling on ``world-shell``, each time in a workspace of its own, by turns;
one as the command ``codetemper`` does, one without its setting of ``OMP_WAIT_POLICY``, as a program
that only imports torch. First alone, then beside as many processes that never rest as there are
cores. Seconds are of the whole command; CPU time is that of the command and of what it waited for.
Not measured: training, and machines with many cores.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

from benchmarks.figures import Figure, finish
from benchmarks.runner import options

#: How each side starts the command line.
SIDES: Final = {
    "sleeping": ("-m", "codetemper"),
    "spinning": ("-c", "from codetemper.cli.app import main; main()"),
}
#: Settings that would decide it for both.
FREE: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")


def evaluated(side: str, limit: int) -> tuple[float, float]:
    """Evaluate once; return seconds of wall and of CPU time."""
    environment = {name: value for name, value in os.environ.items() if name not in FREE}
    with tempfile.TemporaryDirectory() as folder:

        def run(*words: str) -> None:
            subprocess.run(
                [sys.executable, *SIDES[side], *words], cwd=folder, env=environment,
                capture_output=True, check=True,
            )  # fmt: skip

        run("init")
        begun, used = time.perf_counter(), _used()
        run("eval", "seedling", "world-shell", "--limit", str(limit))
        return time.perf_counter() - begun, _used() - used


def _used() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@contextmanager
def beside(count: int) -> Iterator[None]:
    """Keep so many processes busy for the length of a scope."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def figures(pairs: int, limit: int) -> dict[str, Figure]:
    """Measure pairs of both sides, alone and beside busy processes."""
    found: dict[str, Figure] = {}
    cores = os.cpu_count() or 1
    for words, count, most in (("alone", 0, 1.1), ("beside busy processes", cores, 1.0)):
        times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        with beside(count):
            for number in range(pairs):
                for side in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
                    times[side].append(evaluated(side, limit))
                    sys.stderr.write(f"{words}: {side}: {times[side][-1][0]:.1f} s\n")
        for kind, name in enumerate(("wall", "CPU")):
            own, other = ([one[kind] for one in times[side]] for side in SIDES)
            ratio = median(a / b for a, b in zip(own, other, strict=True))
            found[f"{words}: {name} seconds, sleeping"] = Figure(
                median(own), min(own), max(own), f"at most {most} times spinning", ratio <= most,
                median(other), ratio,
            )  # fmt: skip
            found[f"{words}: {name} seconds, spinning"] = Figure(
                median(other), min(other), max(other), "shown", True
            )
    return found


def main() -> None:
    """Measure and print."""
    given = options(__doc__, quick="one pair, few cases; not kept").parse_args()
    measured = figures(1, 20) if given.quick else figures(3, 120)
    finish(__file__, measured, quick=given.quick, as_json=given.json)


if __name__ == "__main__":
    main()
