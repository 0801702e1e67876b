# SPDX-License-Identifier: Apache-2.0
"""Runs on disk: written while they are judged, and found again by name.

A name is a run id, or the beginning of one, or a model expression; that means the model's newest
run of each suite. What a run is made of is for ``codetemper.api.evaluation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pydantic import ValidationError

from codetemper.api.models import full_name
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Case, Completion, Record, Scorecard, Verdict
from codetemper.core.tables import TableWriter, read_table
from codetemper.core.workspace import Workspace
from codetemper.evaluate.suites import Suite
from codetemper.judges import sarif


@dataclass(frozen=True)
class Run:
    """A finished evaluation.

    Attributes:
        id: name of the run folder.
        folder: where it lies.
        scorecard: what it found.
    """

    id: str
    folder: Path
    scorecard: Scorecard


class RunWriter:
    """Writes what passes through into a run's folder: rows as Parquet, findings as SARIF.

    Args:
        folder: an existing folder, staged by the workspace.
        suite: the cases; they are written at once.
    """

    def __init__(self, folder: Path, suite: Suite) -> None:
        self._folder = folder
        self._cases = {case.id: case for case in suite.cases}
        self._log = sarif.Log(version("codetemper"))
        # The seconds a verdict took are no part of what was found.
        self._tables = {
            name: TableWriter(folder / f"{name}.parquet", kind, aside=frozenset({"seconds"}))
            for name, kind in (("cases", Case), ("completions", Completion), ("verdicts", Verdict))
        }
        self._tables["cases"].add(suite.cases)

    def through(self, blocks: Iterable[list[tuple[Completion, Verdict]]]) -> Iterator[Verdict]:
        """Yield the verdicts of blocks after they are written."""
        for block in blocks:
            self._tables["completions"].add([completion for completion, _ in block])
            self._tables["verdicts"].add([verdict for _, verdict in block])
            for completion, verdict in block:
                self._log.add_judged((self._cases[completion.case], completion), verdict)
                yield verdict

    def facts(self) -> dict[str, str]:
        """Return the digests of the rows."""
        return {name: table.digest for name, table in self._tables.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for table in self._tables.values():
            table.__exit__(kind)
        if kind is None:
            write_atomic(self._folder / "findings.sarif", self._log.text())


def read_rows(path: Path, kind: type[Record]) -> list[Any]:
    """Read back what ``evaluate`` wrote: ``Case``, ``Completion`` or ``Verdict`` records.

    Raises:
        IntegrityError: the file is missing or is not what was written.
    """
    try:
        return [row for block in read_table(path, kind) for row in block]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise IntegrityError(
            f"{path} cannot be read", why=str(error).splitlines()[0], mend="codetemper verify"
        ) from error


def find_scorecards(workspace: Workspace, name: str) -> dict[str, Run]:
    """Return the newest runs that a name means, by suite.

    Args:
        workspace: where to look.
        name: a run id (or the beginning of one), or a model expression: then the newest run of
            every suite that this model was evaluated on.

    Raises:
        UsageError: nothing was run under that name.
    """
    return {run.scorecard.suite: run for run in _runs_of(workspace, name)}


def pair_runs(workspace: Workspace, before: str, after: str) -> list[tuple[Run, Run]]:
    """Return the newest runs of two names on the same cases, a pair for each suite they share.

    Raises:
        UsageError: nothing was run under one of the names, or on no suite under both.
    """
    pairs: dict[str, tuple[Run, Run]] = {}
    first, second = _runs_of(workspace, before), _runs_of(workspace, after)
    for a in second:
        for b in first:
            if b.scorecard.suite_digest == a.scorecard.suite_digest:
                pairs[a.scorecard.suite] = (b, a)
    if pairs:
        return list(pairs.values())
    ours, theirs = ({run.scorecard.suite for run in runs} for runs in (first, second))
    why = f"suites: {', '.join(sorted(ours))} against {', '.join(sorted(theirs))}"
    if ours & theirs:
        why = f"both answered {', '.join(sorted(ours & theirs))}, but different cases of it"
    raise UsageError(
        f"'{before}' and '{after}' were not evaluated on the same cases",
        why=why,
        mend="evaluate both on the same suites with the same --limit and --seed",
    )


def look_at(workspace: Workspace, before: Run, after: Run) -> int:
    """Return how many candidates the cases of two runs will have decided on, this one included."""
    seen: list[str] = []
    for entry in workspace.ledger.entries():
        for name, value in entry.inputs.items():
            suite = name.removeprefix("suite:")
            if suite != name and value == before.scorecard.suite_digest:
                seen.append(entry.inputs.get(f"after:{suite}", ""))
    order = list(dict.fromkeys([*seen, after.id]))
    return order.index(after.id) + 1


def _runs_of(workspace: Workspace, name: str) -> list[Run]:
    """Return the runs that a name means, oldest first."""
    names = {name}
    with suppress(UsageError):
        names.add(full_name(workspace, name))
    found = [
        read_run(workspace.runs / output.removeprefix("run:"))
        for entry in workspace.ledger.entries()
        if entry.inputs.get("model") in names
        for output in entry.outputs
        if output.startswith("run:")
    ]
    if found:
        return found
    try:
        return [read_run(workspace.resolve("runs", name))]
    except UsageError as error:
        raise UsageError(
            f"nothing was evaluated under the name '{name}'",
            why="the ledger has no run of that model, and no run id begins so",
            mend="codetemper ls runs shows what there is",
        ) from error


def read_run(folder: Path) -> Run:
    """Read a finished run's scorecard.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    try:
        card = Scorecard.from_json((folder / "scorecard.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"the run {folder.name} cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error
    return Run(folder.name, folder, card)
