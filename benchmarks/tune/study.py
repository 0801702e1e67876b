# SPDX-License-Identifier: Apache-2.0
"""The study of tuning on the embedded model: one question after the other, each resumable.

    python benchmarks/tune/study.py [--quick] [--json] [--section NAME]... [--keep FOLDER]

Each section is a ``study tune`` on the example repository's fixes, around the default setting:
``granularities`` with LoRA; ``methods`` on functions; ``held-out``, each family of weaknesses left
out in turn; ``sizes``, shares of the fixes; ``later``, ordinary tuning on plain Python functions of
the same world after it. Three seeds, the suites ``world-security-c``, ``world-security-python`` and
``world-python``. Every figure is a row of a study's table: paired over cases, means over seeds.
With ``--keep`` a run that was stopped goes on where it was, and sections share their cells. A full
section writes its part of ``study.json``. No figure is a claim about real LLMs.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from typing import Any, Final

from benchmarks.figures import Figure
from benchmarks.runner import Report, home, options
from codetemper.api import treatments
from codetemper.api.demo import plant_example
from codetemper.api.study import StudyConfig, study_tuning
from codetemper.core.accounts import StudyRow
from codetemper.core.digests import digest_folder
from codetemper.core.records import Event, FixPair
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus
from codetemper.data.mine import MineConfig
from codetemper.evaluate.study_rows import POOLED
from seedling.world.corpus import WORLDS, tasks

SECTIONS = ("granularities", "methods", "held-out", "sizes", "later")
SECURITY = ("world-security-c", "world-security-python")
GRANULARITIES: Final = ("function", "block", "line", "file")
#: Completions per case and seed: six in all, as cases vary more than their completions.
SAMPLES = 2
METHODS = ("lora", "ia3", "prompt", "full")
#: (metric, gain asked for, lower end asked for) of the best setting on each security suite.
GAINS = (("secure@1", 0.30, 0.20), ("secure_pass@1", 0.20, 0.0))
#: Largest loss of function, as a share.
LOSS = 0.02


def corpus_of(workspace: Workspace) -> str:
    """Mine the example repository in all granularities."""
    example = plant_example(workspace.home / "example.git")
    return treatments.mine(workspace, [example], MineConfig(granularities=GRANULARITIES)).card.id


def ordinary_corpus(workspace: Workspace, count: int) -> str:
    """Settle a corpus of plain functions without any fix: what a user might tune on later."""
    rng = random.Random(7)  # noqa: S311
    pairs = []
    for number, task in enumerate(tasks(WORLDS["world-python"], "repository", count, rng)):
        text = task.prompt + task.draw(rng).text
        pairs.append(
            FixPair(
                id=f"{number:012x}", language="python", before=text, after=text,
                body_start=len(task.prompt), name=task.family, path=f"{task.family}.py",
                repository="world", commit=f"{number:040x}", date="2024-01-01",
            )
        )  # fmt: skip
    with workspace.staged("corpora") as folder:
        card = write_corpus(folder, pairs, verb="ordinary", sources=("world-python",))
        home = workspace.settle(folder, "corpora", card.id)
    workspace.ledger.append("mine", outputs={f"corpus:{card.id}": digest_folder(home)})
    return card.id


def best_of(rows: Iterable[StudyRow]) -> str:
    """Return the setting whose least gain of ``secure@1`` over the security suites is largest.

    One setting is chosen for all figures, so that none is the best of another setting.
    """
    gains: dict[str, list[float]] = {}
    for row in rows:
        if row.question == "settings" and row.metric == "secure@1" and row.suite in SECURITY:
            gains.setdefault(row.setting, []).append(row.difference or 0.0)
    return max(gains, key=lambda setting: min(gains[setting]))


def figure(row: StudyRow, target: str, holds: bool) -> Figure:
    """Return a row as a figure."""
    value, low, high = (v if v is not None else 0.0 for v in (row.difference, row.low, row.high))
    return Figure(value, low, high, target, holds, row.before)


def figures_of(rows: tuple[StudyRow, ...]) -> dict[str, Figure]:
    """Pick the figures of the study's table."""
    best = best_of(rows)
    found: dict[str, Figure] = {}
    settings = [row for row in rows if row.question == "settings" and row.difference is not None]
    for row in settings:
        value, low = row.difference or 0.0, row.low or 0.0
        name = f"{row.suite} {row.metric}: {row.setting}"
        gain = next((g for g in GAINS if g[0] == row.metric), None)
        if row.setting == best and row.suite in SECURITY and gain:
            words = f"best setting: gain >= {gain[1]:+.2f}, interval above {gain[2]:+.2f}"
            found[name] = figure(row, words, value >= gain[1] and low > gain[2])
        elif row.setting == best and row.suite == "world-python" and row.metric == "pass@1":
            found[name] = figure(row, f"interval above {-LOSS:+.2f}", low > -LOSS)
        elif row.metric in ("secure@1", "secure_pass@1", "pass@1"):
            found[name] = figure(row, row.flag or "shown", True)
    for row in rows:
        name = f"{row.suite} {row.metric}: {row.setting} against {row.against}"
        if row.question == "sizes" and row.metric == "secure@1":
            found[name] = figure(row, "reported", True)
        if row.question == "granularities" and row.metric == "secure@1":
            found[name] = figure(row, f"tested, p = {row.holm:.2g} corrected", True)
        if row.question == "lasting" and row.metric == "secure@1":
            found[name] = figure(row, "reported", True)
        if row.question == "transfer" and row.cases == POOLED and row.metric == "secure@1":
            found[f"{name}, {row.cases}"] = figure(row, "interval above 0", (row.low or 0.0) > 0)
    return found


def config_of(section: str, workspace: Workspace, *, quick: bool) -> StudyConfig:
    """Return the study that answers a section's question."""
    size: dict[str, Any] = {"samples": SAMPLES}
    if quick:
        size |= {"seeds": (0,), "limit": 60}
    if section == "granularities":
        return StudyConfig(granularities=GRANULARITIES, **size)
    if section == "methods":
        return StudyConfig(methods=METHODS, **size)
    if section == "held-out":
        return StudyConfig(leave_one_out=True, **size)
    if section == "sizes":
        return StudyConfig(sizes=(0.125, 0.25, 0.5, 1.0), **size)
    return StudyConfig(then=ordinary_corpus(workspace, 480), **size)


def progress(event: Event) -> None:
    """Tell on stderr which cell is made."""
    if event.stage == "study":
        sys.stderr.write(f"{event.done}/{event.total} {event.note}\n")


def main() -> None:
    """Measure and print."""
    given = options(
        __doc__, quick="one seed, fewer cases; not kept", sections=SECTIONS, kept="the workspace"
    ).parse_args()
    report = Report(__file__, quick=given.quick, as_json=given.json, results="study.json")
    with home(given.keep) as folder:
        workspace = Workspace.create(folder)
        corpus = corpus_of(workspace)
        for section in report.begun(given.section or (SECTIONS[:1] if given.quick else SECTIONS)):
            config = config_of(section, workspace, quick=given.quick)
            rows = study_tuning(workspace, "seedling", corpus, config, on_event=progress).rows
            report.add(section, figures_of(rows))
    report.show()


if __name__ == "__main__":
    main()
