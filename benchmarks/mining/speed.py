# SPDX-License-Identifier: Apache-2.0
"""Commits a second with functions before and after, beside PyDriller; and two processes beside one.

Sides take turns on the youngest commits of a history given by path, the same ones. Two figures
stand beside PyDriller's: the same work (functions before and after, and which were modified), and
the whole job of ``mine``, which also cuts, scores, looks for licences and back-ports, and writes.
Processor time decides, because wall time on a busy machine measures the others; wall stands beside
it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

ROOT = Path(__file__).parents[2]
AT_LEAST = 15.0
NEAR_TWO = 1.7


def commits(history: Path, count: int, skip: int = 0) -> list[str]:
    """Return hashes of commits that are no merges, the youngest first."""
    done = subprocess.run(
        ["git", "-C", str(history), "log", "--no-merges", f"--max-count={count}",
         f"--skip={skip}", "--format=%H"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def write_list(path: Path, history: Path, chosen: list[str]) -> Path:
    """Write a list of commits of one history, as both sides read it."""
    lines = ["repository,commit", *(f"{history.resolve().name},{name}" for name in chosen)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def ours(
    history: Path, listed: Path | str, processes: int, *, functions: bool = False
) -> dict[str, Any]:
    """Mine the commits of a list (or ``all``) in a process of its own."""
    return _run([sys.executable, "-m", "benchmarks.mining.our_runner", str(history), str(listed),
                 str(processes), *(["--functions"] if functions else [])])  # fmt: skip


def peer(python: str, history: Path, listed: Path) -> dict[str, Any]:
    """Let PyDriller read the same commits."""
    runner = str(Path(__file__).with_name("peer_runner.py"))
    return _run([python, runner, str(history), str(listed)])


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def figures(history: Path, peers: str | None, quick: bool) -> dict[str, Figure]:
    """Measure one history.

    Args:
        history: a git folder.
        peers: interpreter that has PyDriller; without it only our side is measured.
        quick: fewer commits.
    """
    found: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        # GitPython wants a whole repository; some stores of objects lack a configuration.
        clone = scratch / "clone"
        subprocess.run(
            ["git", "clone", "-q", "--bare", "--shared", str(history.resolve()), str(clone)],
            check=True,
        )
        if peers:
            found |= _against(clone, peers, scratch, *((1, 200) if quick else (2, 1500)))
        found |= _together(clone, scratch, *((1, 200) if quick else (2, 5000)))
    return found


def _against(
    history: Path, peers: str, scratch: Path, repeats: int, count: int
) -> dict[str, Figure]:
    listed = write_list(scratch / "chosen.csv", history, commits(history, count))
    sides: list[Callable[[], dict[str, Any]]] = [
        lambda: ours(history, listed, 1, functions=True),
        lambda: ours(history, listed, 1),
        lambda: peer(peers, history, listed),
    ]
    rows: list[list[dict[str, Any]]] = []
    for repeat in range(repeats):
        order = range(3) if repeat % 2 == 0 else range(2, -1, -1)
        results = {side: sides[side]() for side in order}
        rows.append([results[side] for side in range(3)])
        sys.stderr.write(
            "functions {:.0f}/s, all of mining {:.0f}/s, PyDriller {:.1f}/s, of processor time; "
            "{} of its commits failed\n".format(
                *(_rate(run, "cpu") for run in rows[-1]), results[2]["failed"]
            )
        )
    found = {}
    for side, name in enumerate(("functions before and after", "the whole job")):
        for clock, key in (("processor time", "cpu"), ("wall", "seconds")):
            found[f"commits a second, {name}, {clock}"] = _figure(
                [_rate(row[side], key) for row in rows],
                [_rate(row[2], key) for row in rows],
                asked=side == 0,
            )
    return found


def _rate(run: dict[str, Any], clock: str) -> float:
    rate: float = run["commits"] / run[clock]
    return rate


def _figure(mine: list[float], other: list[float], *, asked: bool) -> Figure:
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    ratio = statistics.median(ratios)
    return Figure(
        statistics.median(mine), min(mine), max(mine),
        (f"at least {AT_LEAST:g}x PyDriller with methods" if asked else "shown")
        + f" (ratios {min(ratios):.1f} to {max(ratios):.1f})",
        not asked or ratio >= AT_LEAST, statistics.median(other), ratio,
    )  # fmt: skip


def _together(history: Path, scratch: Path, repeats: int, count: int) -> dict[str, Figure]:
    listed = write_list(scratch / "all.csv", history, commits(history, count))
    gains, costs, rates = [], [], []
    for repeat in range(repeats):
        order = (1, 2) if repeat % 2 == 0 else (2, 1)
        runs = {processes: ours(history, listed, processes) for processes in order}
        gains.append(runs[1]["seconds"] / runs[2]["seconds"])
        costs.append(runs[2]["cpu"] / runs[1]["cpu"])
        rates.append(_rate(runs[2], "seconds"))
        sys.stderr.write(f"two processes: {gains[-1]:.2f} times as fast, {costs[-1]:.2f} CPU\n")
    return {
        "two processes: times as fast, wall": Figure(
            statistics.median(gains), min(gains), max(gains), "near 2, on two idle cores",
            statistics.median(gains) >= NEAR_TWO,
        ),
        "two processes: processor time against one": Figure(
            statistics.median(costs), min(costs), max(costs), "at most 1.15",
            statistics.median(costs) <= 1.15,
        ),
        "two processes: commits a second, wall": Figure(
            statistics.median(rates), min(rates), max(rates), "shown", True
        ),
    }  # fmt: skip
