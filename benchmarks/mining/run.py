# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of mining: speed, memory, SVEN's pairs, what real histories give, a check by hand.

    python benchmarks/mining/run.py [--quick] [--json] [--section NAME]... [--peers PYTHON]
        [--history FOLDER] [--long-history FOLDER] [--repository OWNER/NAME=FOLDER]...

Histories are git folders on this machine, named by path: nothing is fetched. ``--peers`` names the
interpreter that has PyDriller. A full run writes each section's part of ``results.json`` as soon as
it is known, with its own date, commit and load; other sections keep theirs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.mining import histories, memory, speed, sven
from benchmarks.runner import Report, options

SECTIONS = ("speed", "memory", "sven", "histories", "handcheck")


def measure(section: str, given: argparse.Namespace) -> tuple[dict[str, Figure], str]:
    """Return one section's figures and what they were measured on; none where that is not given."""
    if section == "speed" and given.history:
        return speed.figures(given.history, given.peers, given.quick), _name(given.history)
    if section == "memory" and given.long_history:
        return memory.figures(given.long_history), _name(given.long_history)
    if section == "handcheck":
        return histories.checked(), histories.CHECKED.name
    named = dict(one.split("=", 1) for one in given.repository or ())
    folders = {name: Path(folder) for name, folder in named.items()}
    if section == "sven" and folders and sven.DATA.is_dir():
        return sven.figures(folders), ", ".join(sorted(folders))
    if section == "histories" and folders:
        return histories.figures(folders), ", ".join(sorted(folders))
    return {}, ""


def _name(folder: Path) -> str:
    resolved = folder.resolve()
    return f"{resolved.parent.name}/{resolved.name}"


def main() -> None:
    """Run the sections and report."""
    parser = options(__doc__, quick="small sizes; results are not kept", sections=SECTIONS)
    parser.add_argument("--history", type=Path, help="git folder for the section speed")
    parser.add_argument("--long-history", type=Path, help="git folder for the section memory")
    parser.add_argument(
        "--repository", action="append", help="OWNER/NAME=FOLDER, for sven and histories"
    )
    parser.add_argument("--peers", help="interpreter with PyDriller")
    given = parser.parse_args()
    report = Report(__file__, quick=given.quick, as_json=given.json)
    for section in report.begun(given.section or SECTIONS):
        figures, what = measure(section, given)
        if not figures:
            sys.stderr.write(f"{section}: what it needs was not given\n")
        report.add(section, figures, histories=what)
    report.show()


if __name__ == "__main__":
    main()
