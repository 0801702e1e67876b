# SPDX-License-Identifier: Apache-2.0
"""Seconds per single repair, all methods by turns on the same failures in one run.

Key statistics and the head's Gram factor are made once for a model and are in nobody's time. Each
failure is repaired by every method, in an order that turns by one each time, after a first failure
that does not count. On a machine with other load CPU seconds say more than those of the clock.
What is asked for is asked of the ratio of both medians, at the upper end of its interval, which
resamples failures; the median of the ratios of pairs stands beside it.
"""

from __future__ import annotations

import numpy as np

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench
from benchmarks.repair.single import METHODS, tuned

#: Largest share of a rival's seconds that is asked for.
ASKED = {"star": 0.5, "mint": 0.05}
_RESAMPLES = 4000


def figures(bench: Bench) -> dict[str, Figure]:
    """Measure all methods by turns."""
    seed = bench.size.seeds[0]
    subject = bench.subject(seed)
    problems = bench.problems(seed, "failing", bench.size.timed + 1)
    settings = {method: tuned(bench, method) for method in METHODS}
    taken: dict[str, dict[str, list[float]]] = {m: {"wall": [], "cpu": []} for m in METHODS}
    for number, problem in enumerate(problems):
        turn = number % len(METHODS)
        for method in (*METHODS[turn:], *METHODS[:turn]):
            _, wall, cpu = subject.solve(method, subject.passages([problem]), **settings[method])
            if number:
                taken[method]["wall"].append(wall)
                taken[method]["cpu"].append(cpu)
    found: dict[str, Figure] = {}
    for clock in ("cpu", "wall"):
        mine = np.array(taken["joint"][clock])
        for method in METHODS:
            each = np.array(taken[method][clock])
            low, high = np.quantile(each, (0.25, 0.75))
            found[f"{method}: {clock} seconds a repair"] = Figure(
                float(np.median(each)), float(low), float(high), "shown (quartiles)", True
            )
            if method != "joint":
                ratio, least, greatest = _ratio(mine, each)
                most = ASKED.get(method) if clock == "cpu" else None
                found[f"joint against {method}: {clock} seconds a repair"] = Figure(
                    float(np.median(mine)), float(mine.min()), float(mine.max()),
                    ("shown" if most is None else f"ratio at most {most}")
                    + f" (95 %: {least:.3f} to {greatest:.3f}; median of pairs "
                    f"{np.median(mine / each):.3f})",
                    most is None or greatest <= most, float(np.median(each)), ratio,
                )  # fmt: skip
    return found


def _ratio(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Return the ratio of medians over the same failures, and its 95 % interval."""
    drawn = np.random.default_rng(0).integers(0, len(mine), (_RESAMPLES, len(mine)))
    ratios = np.median(mine[drawn], axis=1) / np.median(theirs[drawn], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return float(np.median(mine) / np.median(theirs)), float(low), float(high)
