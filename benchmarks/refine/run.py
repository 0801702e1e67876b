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

from benchmarks.figures import Figure
from benchmarks.refine import material, quality, step
from benchmarks.refine import round as whole_round
from benchmarks.runner import Report, home, options
from codetemper.core.workspace import Workspace

SECTIONS = ("quality", "step", "round")


def measured(section: str, given: argparse.Namespace, folder: Path) -> dict[str, dict[str, Figure]]:
    """Measure one section; return its figures by part."""
    if section == "step":
        return {section: step.figures(quick=given.quick)}
    if section == "round":
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            workspace = Workspace.create(Path(scratch))
            return {section: whole_round.figures(workspace, quick=given.quick)}
    size = quality.QUICK if given.quick else quality.Size()
    if given.seed:
        size = replace(size, seeds=tuple(given.seed))
    tracks = given.track or (["python"] if given.quick else list(material.TRACKS))
    found = {}
    for track in tracks:
        sys.stderr.write(f"-- {track}\n")
        workspace = Workspace.create(folder)
        found[f"quality {track}"] = quality.figures(workspace, track, size)
    return found


def main() -> None:
    """Measure and print."""
    parser = options(
        __doc__, quick="one seed, little of all; not kept", sections=SECTIONS, kept="the workspace"
    )
    parser.add_argument("--track", action="append", choices=tuple(material.TRACKS))
    parser.add_argument("--seed", action="append", type=int, help="of quality; figures not kept")
    given = parser.parse_args()
    report = Report(__file__, quick=given.quick or bool(given.seed), as_json=given.json)
    with home(given.keep) as folder:
        for section in report.begun(given.section or SECTIONS):
            for part, figures in measured(section, given, folder).items():
                report.add(part, figures)
    report.show()


if __name__ == "__main__":
    main()
