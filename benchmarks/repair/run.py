# SPDX-License-Identifier: Apache-2.0
"""How well single failures are repaired, against STAR, MINT, SGD, MEMIT and AlphaEdit.

    python benchmarks/repair/run.py [--quick] [--json] [--keep FOLDER] [--section NAME]...

Sections: ``single`` (free-run exact answers and side effects), ``spread`` (other wordings and near
prompts), ``views`` (the same where repairs are given wordings), ``speed``, ``many`` and ``large``
(40 and 400 repairs on one model), ``router``, ``cost`` and ``executed`` (the embedded model). All
but the last work on a small model of shell commands that is trained here, in a few minutes, from
tldr-pages; it is kept with ``--keep`` and never shipped. So are all measured cells: a run that was
stopped goes on where it was. Values are medians over seeds with the least and the greatest; no
figure is a claim about real LLMs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.figures import Figure
from benchmarks.repair import cost, executed, many, router, single, speed
from benchmarks.repair.bench import QUICK, Bench, Size
from benchmarks.runner import Report, home, options

SECTIONS = ("single", "spread", "views", "speed", "many", "large", "router", "cost", "executed")


def measured(section: str, home: Path, size: Size) -> dict[str, Figure]:
    """Measure one section."""
    if section == "executed":
        return executed.figures(home, size)
    bench = Bench(home, size)
    sections: dict[str, Callable[[], dict[str, Figure]]] = {
        "single": lambda: single.figures(bench),
        "spread": lambda: single.spread(bench, views=False),
        "views": lambda: single.spread(bench, views=True),
        "speed": lambda: speed.figures(bench),
        "many": lambda: (
            many.figures(bench, size.many, tuple(many.POLICIES)) | many.with_fewer(bench, size.many)
        ),
        "large": lambda: many.figures(bench, size.large, many.LARGE),
        "router": lambda: router.figures(bench),
        "cost": lambda: cost.figures(bench),
    }
    return sections[section]()


def main() -> None:
    """Measure and print."""
    given = options(
        __doc__, quick="one seed, little of all; not kept", sections=SECTIONS,
        kept="the model and what was measured",
    ).parse_args()  # fmt: skip
    torch.set_num_threads(1)
    size = QUICK if given.quick else Size()
    report = Report(__file__, quick=given.quick, as_json=given.json)
    with home(given.keep) as folder:
        for section in report.begun(given.section or SECTIONS):
            report.add(section, measured(section, folder, size))
    report.show()


if __name__ == "__main__":
    main()
