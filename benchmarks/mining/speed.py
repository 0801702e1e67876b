# SPDX-License-Identifier: Apache-2.0
"""Commits a second with functions before and after, beside PyDriller; and two processes beside one.

Sides take turns on the youngest commits of a history given by path. Ours reads all of them, because
it remembers files from one commit to the next; PyDriller, which remembers nothing, reads every
tenth, in each repeat another tenth. Ours does more: it aligns, cuts, scores, looks for licences and
back-ports, and writes. Processor time decides, because wall time on a busy machine measures the
others; wall stands beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

ROOT = Path(__file__).parents[2]
AT_LEAST = 15.0
#: One of so many commits is read by PyDriller.
SAMPLED = 10
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


def ours(history: Path, listed: Path | str, processes: int) -> dict[str, Any]:
    """Mine the commits of a list (or ``all``) in a process of its own."""
    return _run([sys.executable, "-m", "benchmarks.mining.our_runner", str(history), str(listed),
                 str(processes)])  # fmt: skip


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
        found |= _together(clone, scratch, *((1, 200) if quick else (1, 1500)))
    return found


def _against(
    history: Path, peers: str, scratch: Path, repeats: int, count: int
) -> dict[str, Figure]:
    rows: list[tuple[dict[str, Any], dict[str, Any]]] = []
    chosen = commits(history, count)
    every = write_list(scratch / "every.csv", history, chosen)
    for repeat in range(repeats):
        part = chosen[(2 * repeat + 3) % SAMPLED :: SAMPLED]
        tenth = write_list(scratch / f"tenth-{repeat}.csv", history, part)
        sides = [lambda: ours(history, every, 1), lambda: peer(peers, history, tenth)]  # noqa: B023
        order = (0, 1) if repeat % 2 == 0 else (1, 0)
        results = {side: sides[side]() for side in order}
        rows.append((results[0], results[1]))
        sys.stderr.write(
            f"ours {_rate(results[0], 'cpu'):.1f}/s CPU, PyDriller {_rate(results[1], 'cpu'):.2f}/s"
            f" CPU, {results[1]['failed']} of its commits failed\n"
        )
    return {
        f"commits a second, {clock}": _figure(
            [_rate(mine, key) for mine, _ in rows], [_rate(other, key) for _, other in rows]
        )
        for clock, key in (("processor time", "cpu"), ("wall", "seconds"))
    }


def _rate(run: dict[str, Any], clock: str) -> float:
    rate: float = run["commits"] / run[clock]
    return rate


def _figure(mine: list[float], other: list[float]) -> Figure:
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    ratio = statistics.median(ratios)
    return Figure(
        statistics.median(mine), min(mine), max(mine),
        f"at least {AT_LEAST:g}x PyDriller with methods (ratios {min(ratios):.1f} to "
        f"{max(ratios):.1f})",
        ratio >= AT_LEAST, statistics.median(other), ratio,
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
