# SPDX-License-Identifier: Apache-2.0
"""Draws what ``cost`` measured: seconds and memory against number of failures, and against width.

    python -m benchmarks.repair.plot            # results.json -> docs/repair-cost.svg

Both axes are logarithmic; the dashed line through the first point of a panel that has something to
compare is what growth in proportion would be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

RESULTS: Final = Path(__file__).with_name("results.json")
DRAWN: Final = Path(__file__).parents[2] / "docs" / "repair-cost.svg"
#: Size of a panel and what is left around it for text, in pixels.
WIDE, HIGH, AROUND = 300, 190, 58
INK, LINE, FAINT = "#1f2933", "#0b6e99", "#9aa5b1"


@dataclass(frozen=True)
class Panel:
    """One curve.

    Attributes:
        title: what it shows.
        below: what the horizontal axis counts.
        points: at least two, all numbers above 0.
        line: number of the point from which growth in proportion is drawn; None draws none.
    """

    title: str
    below: str
    points: Sequence[tuple[float, float]]
    line: int | None = None


def read(figures: dict[str, Any], at: str, what: str) -> list[tuple[float, float]]:
    """Return number and value of figures such as ``40 failures: CPU seconds``, in order."""
    found = []
    for name, figure in figures.items():
        match = re.fullmatch(at, name.partition(": ")[0])
        if match and name.partition(": ")[2] == what and figure["value"] > 0:
            found.append((float(match[1]), float(figure["value"])))
    return sorted(found)


def panels(figures: dict[str, Any]) -> list[Panel]:
    """Return the curves of which there are at least two points."""
    made = []
    for at, below in ((r"(\d+) failures", "failures"), (r"width (\d+)", "width of the model")):
        for what in ("CPU seconds", "memory grown, MB"):
            points = read(figures, at, what)
            # Below eight failures nothing is guarded, which is another task.
            guarded = next((n for n, (x, _) in enumerate(points) if x >= 10), None)
            made.append(Panel(what, below, points, guarded if below == "failures" else None))
    return [panel for panel in made if len(panel.points) > 1]


def drawn(shown: Sequence[Panel]) -> str:
    """Return the picture."""
    step_x, step_y = WIDE + 2 * AROUND, HIGH + 2 * AROUND
    rows = math.ceil(len(shown) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * step_x} {rows * step_y}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{2 * step_x}" height="{rows * step_y}" fill="white"/>',
    ]
    for number, panel in enumerate(shown):
        left, top = (number % 2) * step_x + AROUND, (number // 2) * step_y + AROUND
        parts += [f'<g transform="translate({left} {top})">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel) -> list[str]:
    xs, ys = zip(*panel.points, strict=True)
    across, up = _Axis.of(xs, WIDE), _Axis.of(ys, HIGH)
    parts = [
        f'<text x="0" y="-14" font-weight="bold">{escape(panel.title)}</text>',
        f'<text x="{WIDE}" y="{HIGH + 40}" text-anchor="end">{escape(panel.below)}</text>',
    ]
    for tick in across.ticks:
        x = across.of_value(tick)
        parts.append(f'<path d="M{x:.1f} 0V{HIGH}" stroke="{FAINT}" stroke-width=".5"/>')
        parts.append(f'<text x="{x:.1f}" y="{HIGH + 18}" text-anchor="middle">{tick:,.15g}</text>')
    for tick in up.ticks:
        y = HIGH - up.of_value(tick)
        parts.append(f'<path d="M0 {y:.1f}H{WIDE}" stroke="{FAINT}" stroke-width=".5"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{tick:,.15g}</text>')
    if panel.line is not None:
        x, y = panel.points[panel.line]
        ends = [(x, y), (xs[-1], y * xs[-1] / x)]
        parts.append(
            f'<path d="{_path(ends, across, up)}" stroke="{FAINT}" stroke-width="1.5" '
            'stroke-dasharray="5 4" fill="none"/>'
        )
    parts.append(
        f'<path d="{_path(panel.points, across, up)}" stroke="{LINE}" stroke-width="2" '
        'fill="none"/>'
    )
    for x, y in panel.points:
        at = f'cx="{across.of_value(x):.1f}" cy="{HIGH - up.of_value(y):.1f}"'
        parts.append(f'<circle {at} r="3.5" fill="{LINE}"><title>{x:g}: {y:g}</title></circle>')
    return parts


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from one power of ten to another."""

    low: int
    high: int
    length: int

    @classmethod
    def of(cls, values: Sequence[float], length: int) -> _Axis:
        low = math.floor(math.log10(min(values)))
        return cls(low, max(low + 1, math.ceil(math.log10(max(values)))), length)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]

    def of_value(self, value: float) -> float:
        return self.length * (math.log10(value) - self.low) / (self.high - self.low)


def _path(points: Sequence[tuple[float, float]], across: _Axis, up: _Axis) -> str:
    return "M" + "L".join(
        f"{across.of_value(x):.1f} {HIGH - up.of_value(y):.1f}" for x, y in points
    )


def main() -> None:
    """Draw it."""
    figures = json.loads(RESULTS.read_text("utf-8"))["sections"]["cost"]["figures"]
    DRAWN.write_text(drawn(panels(figures)), "utf-8")


if __name__ == "__main__":
    main()
