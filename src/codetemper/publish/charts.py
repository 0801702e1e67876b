# SPDX-License-Identifier: Apache-2.0
"""Geometry of the report's charts, in percent of the width; templates draw it as inline SVG.

Percentages let one drawing fit every screen without scaling its text. Nothing here makes markup.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from codetemper.core.records import Difference, Estimate

#: Failure classes in the order they are stacked, best news first.
FAILURES = (
    "insecure", "wrong", "runtime", "timeout", "memory", "import", "build", "syntax", "tamper",
    "unknown",
)  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """An interval with its point, in percent of the axis.

    Attributes:
        low: left end.
        value: the point.
        high: right end.
    """

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Segment:
    """One piece of a stacked bar.

    Attributes:
        label: what is counted.
        count: how many.
        share: of the whole, 0 to 1.
        start: left end, in percent.
        width: in percent.
    """

    label: str
    count: int
    share: float
    start: float
    width: float


def place(value: float, left: float, right: float) -> float:
    """Return where a value lies between two ends, in percent, kept inside them."""
    return round(100 * min(1.0, max(0.0, (value - left) / (right - left))), 2)


def share_mark(estimate: Estimate | None) -> Mark | None:
    """Place an estimate of a share on an axis from 0 to 1; None where there is no number."""
    if estimate is None or not all(
        math.isfinite(v) for v in (estimate.low, estimate.value, estimate.high)
    ):
        return None
    return Mark(*(place(v, 0.0, 1.0) for v in (estimate.low, estimate.value, estimate.high)))


def change_limit(differences: Iterable[Difference | None]) -> float:
    """Return a round number that all differences' intervals lie within, on both sides of 0."""
    ends = [abs(end) for d in differences if d is not None for end in (d.low, d.high)]
    widest = max((end for end in ends if math.isfinite(end)), default=0.0)
    return next((limit for limit in (0.05, 0.1, 0.25, 0.5) if widest <= limit), max(1.0, widest))


def change_mark(difference: Difference, limit: float) -> Mark | None:
    """Place a difference on an axis from ``-limit`` to ``limit``."""
    ends = (difference.low, difference.difference, difference.high)
    if not all(math.isfinite(end) for end in ends):
        return None
    return Mark(*(place(end, -limit, limit) for end in ends))


def stacked(failures: Mapping[str, int], total: int) -> tuple[Segment, ...]:
    """Divide all completions of a scorecard into clean ones and failure classes.

    Args:
        failures: completions by failure class.
        total: completions in all; what is in no class is clean.
    """
    clean = max(0, total - sum(failures.values()))
    known = {name: failures[name] for name in FAILURES if failures.get(name)}
    other = {name: count for name, count in failures.items() if count and name not in FAILURES}
    counts = {"clean": clean, **known, **other}
    whole = max(1, sum(counts.values()))
    segments, start = [], 0.0
    for label, count in counts.items():
        width = 100 * count / whole
        segments.append(Segment(label, count, count / whole, round(start, 2), round(width, 2)))
        start += width
    return tuple(segments)
