# SPDX-License-Identifier: Apache-2.0
"""What ``refine`` is worth, what its step costs, and how long a whole round takes.

    python benchmarks/refine/run.py [--quick] [--json] [--section NAME]... [--track NAME]...
                                    [--seed N]... [--keep FOLDER]

Sections: ``quality`` (tracks python, sql, security-python, security-c; each is a part of the
results of its own), ``step`` and ``round``. With ``--keep`` a run that was stopped goes on where it
was: answers, verdicts, rounds and patches are in the workspace there. ``--seed`` makes some seeds
only, for runs side by side or one after the other; nothing is written then, since figures are of
all seeds. A whole section writes its part of ``results.json``. No figure is a claim about real
LLMs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import Figure, keep, show
from benchmarks.refine import material, quality, step
from benchmarks.refine import round as whole_round
from codetemper.core.workspace import Workspace

SECTIONS = ("quality", "step", "round")


def measured(section: str, given: argparse.Namespace, home: Path) -> dict[str, dict[str, Figure]]:
    """Measure one section; return its figures by part."""
    if section == "step":
        return {section: step.figures(quick=given.quick)}
    if section == "round":
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            workspace = Workspace.create(Path(scratch))
            return {section: whole_round.figures(workspace, quick=given.quick)}
    size = quality.QUICK if given.quick else quality.Size()
    if given.seed:
        size = replace(size, seeds=tuple(given.seed))
    tracks = given.track or (["python"] if given.quick else list(material.TRACKS))
    found = {}
    for track in tracks:
        sys.stderr.write(f"-- {track}\n")
        workspace = Workspace.create(home)
        found[f"quality {track}"] = quality.figures(workspace, track, size)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, little of all; not kept")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="default: all")
    parser.add_argument("--track", action="append", choices=tuple(material.TRACKS))
    parser.add_argument("--seed", action="append", type=int, help="of quality; figures not kept")
    parser.add_argument("--keep", type=Path, help="keep the workspace in this folder")
    given = parser.parse_args()
    found: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory() as scratch:
        home = given.keep or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        for section in given.section or SECTIONS:
            for part, figures in measured(section, given, home).items():
                if not given.quick and not given.seed:
                    keep(__file__, part, figures)
                found |= figures
    show(found, quick=given.quick or bool(given.seed), as_json=given.json)


if __name__ == "__main__":
    main()
