# SPDX-License-Identifier: Apache-2.0
"""What runners of benchmarks have in common: their options, their folder, their sections.

    parser = options(__doc__, quick="one seed; not kept", sections=SECTIONS, kept="models")
    given = parser.parse_args()
    report = Report(__file__, quick=given.quick, as_json=given.json)
    with home(given.keep) as folder:
        for section in report.begun(given.section or SECTIONS):
            report.add(section, measured(section, folder))
    report.show()

A runner adds options of its own to the parser. One without sections measures all of its figures and
hands them to ``figures.finish``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, keep, show


def options(
    doc: str | None, *, quick: str, sections: Sequence[str] = (), kept: str = ""
) -> argparse.ArgumentParser:
    """Return a parser with ``--quick`` and ``--json``, and ``--section`` and ``--keep`` if asked.

    Args:
        doc: docstring of the runner; its first line is the description.
        quick: what a quick run does, for ``--help``.
        sections: names to choose from; without any there is no ``--section``.
        kept: what is kept in a folder; without it there is no ``--keep``.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    if sections:
        parser.add_argument("--section", action="append", choices=sections, help="default: all")
    if kept:
        parser.add_argument("--keep", type=Path, help=f"keep {kept} in this folder")
    return parser


@contextmanager
def home(folder: Path | None) -> Iterator[Path]:
    """Yield the folder to work in, made where it is not; without one, a folder that goes again."""
    with tempfile.TemporaryDirectory() as scratch:
        found = folder or Path(scratch)
        found.mkdir(parents=True, exist_ok=True)
        yield found


class Report:
    """Writes each section's figures down as soon as they are known, and shows all in the end.

    Args:
        runner: ``__file__`` of the runner.
        quick: whether nothing is written down.
        as_json: show JSON instead of a table.
        results: name of the file beside the runner.
    """

    def __init__(
        self, runner: str, *, quick: bool, as_json: bool, results: str = "results.json"
    ) -> None:
        self._runner, self._results = runner, results
        self._quick, self._as_json = quick, as_json
        self._found: dict[str, Figure] = {}

    def begun(self, sections: Iterable[str]) -> Iterator[str]:
        """Yield sections, each told on stderr when its turn comes."""
        for section in sections:
            sys.stderr.write(f"-- {section}\n")
            yield section

    def add(self, section: str, figures: dict[str, Figure], **said: str) -> None:
        """Take a section's figures; one without any leaves in the file what is there.

        Args:
            section: its name.
            figures: by name.
            said: what else the section says, as ``figures.keep``.
        """
        if figures and not self._quick:
            keep(self._runner, section, figures, results=self._results, **said)
        self._found |= figures

    def show(self) -> None:
        """Print all figures."""
        show(self._found, quick=self._quick, as_json=self._as_json)
