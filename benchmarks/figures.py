# SPDX-License-Identifier: Apache-2.0
"""What every benchmark prints and commits: figures with their targets, date, commit and load.

A runner fills ``{name: Figure}`` and calls ``finish``; one of several sections calls ``keep`` after
each and ``show`` in the end. ``--json`` prints one document; a full run writes ``results.json``
beside the runner, a quick one never does.
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
    if not quick:
        path = Path(runner).with_name(results)
        path.write_text(_text(_plain(figures) | {"quick": quick} | describe()), "utf-8")
    show(figures, quick=quick, as_json=as_json)


def keep(
    runner: str,
    section: str,
    figures: dict[str, Figure],
    *,
    results: str = "results.json",
    **said: str,
) -> None:
    """Write one section's part of the results beside the runner; other sections keep theirs.

    Args:
        runner: ``__file__`` of the runner.
        section: its name.
        figures: by name.
        results: name of the file, where a folder has several runners.
        said: what else the section says, e.g. what it was measured on.
    """
    path = Path(runner).with_name(results)
    sections = json.loads(path.read_text("utf-8"))["sections"] if path.exists() else {}
    sections[section] = _plain(figures) | said | describe()
    path.write_text(_text({"sections": {s: sections[s] for s in sorted(sections)}}), "utf-8")


def show(figures: dict[str, Figure], *, quick: bool, as_json: bool) -> None:
    """Print figures: one line each, or one JSON document."""
    if as_json:
        sys.stdout.write(_text(_plain(figures) | {"quick": quick} | describe()))
    else:
        write_table(figures)


def _plain(figures: dict[str, Figure]) -> dict[str, Any]:
    return {"figures": {name: asdict(figure) for name, figure in figures.items()}}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"


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
