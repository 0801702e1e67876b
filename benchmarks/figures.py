# SPDX-License-Identifier: Apache-2.0
"""What every benchmark prints and commits: figures with their targets, date, commit and load.

A runner fills ``{name: Figure}`` and calls ``finish``. ``--json`` prints one document; a full run
writes ``results.json`` beside the runner, a quick one never does.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        value: the number.
        low: lower end of its interval (or least of the repeats).
        high: upper end of its interval (or greatest of the repeats).
        target: what was asked for, in words.
        holds: whether the target is met.
        peer: the number it is compared with, where there is one.
        ratio: value against peer, where there is one.
    """

    value: float
    low: float
    high: float
    target: str
    holds: bool
    peer: float | None = None
    ratio: float | None = None


def finish(
    runner: str,
    figures: dict[str, Figure],
    *,
    quick: bool,
    as_json: bool,
    results: str = "results.json",
) -> None:
    """Print the figures and, after a full run, write them beside the runner.

    Args:
        runner: ``__file__`` of the runner.
        figures: by name.
        quick: whether this was a quick run.
        as_json: print JSON instead of a table.
        results: name of the file, where a folder has several runners.
    """
    shown = {name: asdict(figure) for name, figure in figures.items()}
    document = {"figures": shown, "quick": quick, **describe()}
    if not quick:
        path = Path(runner).with_name(results)
        path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    if as_json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        write_table(figures)


def describe() -> dict[str, Any]:
    """Return when, on what commit and under what load figures were measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def write_table(figures: dict[str, Figure]) -> None:
    """Print one line a figure."""
    for name, figure in figures.items():
        ratio = f"  ratio {figure.ratio:.2f}" if figure.ratio is not None else ""
        holds = "holds" if figure.holds else "MISSED"
        interval = f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
        sys.stdout.write(f"{name}: {interval}{ratio}  target: {figure.target}  {holds}\n")


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
