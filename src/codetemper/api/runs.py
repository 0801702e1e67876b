# SPDX-License-Identifier: Apache-2.0
"""Finished runs: their rows as Parquet, and how a name finds them again.

A name is a run id, or the beginning of one, or a model expression; that means the model's newest
run of each suite. Runs are written by ``codetemper.api.evaluation``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from codetemper.api.models import full_name
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Record, Scorecard
from codetemper.core.workspace import Workspace


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


def write_rows(path: Path, rows: Sequence[Record]) -> None:
    """Write records as Parquet: flat columns as they are, nested ones as JSON text."""
    plain = [
        {
            key: json.dumps(value) if isinstance(value, dict | list) else value
            for key, value in row.model_dump(mode="json").items()
        }
        for row in rows
    ]
    # A field that only some records have is null in the others.
    names = dict.fromkeys(name for row in plain for name in row)
    pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in plain]), path)


def read_rows(path: Path, kind: type[Record]) -> list[Any]:
    """Read back what ``evaluate`` wrote: ``Case``, ``Completion`` or ``Verdict`` records.

    Raises:
        IntegrityError: the file is missing or is not what was written.
    """
    nested = {
        name
        for name, field in kind.model_fields.items()
        if any(word in str(field.annotation) for word in ("tuple", "dict"))
    }
    try:
        rows = pq.read_table(path).to_pylist()
        return [
            kind.model_validate(
                {k: json.loads(v) if k in nested else v for k, v in row.items() if v is not None}
            )
            for row in rows
        ]
    except (OSError, ValueError, ValidationError, pa.ArrowException) as error:
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
