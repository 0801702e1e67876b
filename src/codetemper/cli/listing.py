# SPDX-License-Identifier: Apache-2.0
"""The verb ``ls``: what a workspace holds, and the suites that are shipped, a line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from codetemper.cli import screen
from codetemper.cli.options import Json, Place, workspace

Rows = list[dict[str, Any]]


def listing(
    what: Annotated[
        Literal["suites", "patches", "corpora", "runs", "studies", "screenings", "audits"],
        typer.Argument(help="What to list."),
    ] = "runs",
    place: Place = None,
    as_json: Json = False,
) -> None:
    """List suites, patches, corpora, runs, studies, screenings or audits.

    \b
    codetemper ls suites
    codetemper ls runs
    codetemper ls patches --json
    """
    listed = LISTED[what]
    rows = listed.rows(place)
    screen.emit({what: rows}, as_json, lambda: _show_rows(what, rows, listed))


def _suites(place: Path | None) -> Rows:
    from codetemper.evaluate import suites

    cards = [suites.load(name) for name in suites.shipped()]
    return [{"suite": s.card.name, "cases": len(s.cases), "summary": s.card.summary} for s in cards]


def _patches(place: Path | None) -> Rows:
    from codetemper.api import account

    return [
        {
            "patch": p.manifest.id,
            "state": p.state,
            "base": p.manifest.base,
            "corpus": p.manifest.corpus or "",
            "bytes": p.manifest.bytes,
        }
        for p in account.patches(workspace(place))
    ]


def _corpora(place: Path | None) -> Rows:
    from codetemper.api import account

    return [
        {"corpus": c.id, "rows": c.rows, "record": c.record, "from": ", ".join(c.sources)}
        for c in account.corpora(workspace(place))
    ]


def _runs(place: Path | None) -> Rows:
    from codetemper.api import account

    return account.runs(workspace(place))


def _studies(place: Path | None) -> Rows:
    from codetemper.api.study import read_studies

    return [
        {"study": s.card.id, "corpus": s.card.corpus, "numbers": len(s.rows), "model": s.card.model}
        for s in read_studies(workspace(place))
    ]


def _screenings(place: Path | None) -> Rows:
    from codetemper.api.screening import read_screenings

    cards = [found.card for found in read_screenings(workspace(place))]
    return [
        {"screening": c.id, "data": c.data, "flagged": f"{c.flagged} of {c.scored}",
         "model": c.model}
        for c in cards
    ]  # fmt: skip


def _audits(place: Path | None) -> Rows:
    from codetemper.api.auditing import read_audits

    cards = [found.card for found in read_audits(workspace(place))]
    return [
        {"audit": c.id, "answer": c.answer, "data": c.data or "", "model": c.model} for c in cards
    ]


@dataclass(frozen=True)
class Listed:
    """One kind of thing.

    Attributes:
        rows: reads them.
        folds: the column that folds on a narrow terminal.
        follow: the next command.
    """

    rows: Callable[[Path | None], Rows]
    folds: str
    follow: str


LISTED = {
    "suites": Listed(_suites, "summary", "codetemper eval seedling world-python"),
    "patches": Listed(_patches, "base", "codetemper patch show PATCH"),
    "corpora": Listed(_corpora, "from", "codetemper tune MODEL CORPUS"),
    "runs": Listed(_runs, "model", "codetemper report MODEL"),
    "studies": Listed(_studies, "model", "codetemper report MODEL"),
    "screenings": Listed(_screenings, "model", "codetemper report MODEL"),
    "audits": Listed(_audits, "model", "codetemper report MODEL"),
}


def _show_rows(what: str, rows: Rows, listed: Listed) -> None:
    if not rows:
        screen.out.print(f"no {what} yet")
    else:
        columns = tuple(rows[0])
        cells = [
            tuple(screen.moment(v) if c == "time" else str(v) for c, v in row.items())
            for row in rows
        ]
        screen.table(columns, cells, flexible=columns.index(listed.folds))
    screen.suggest(listed.follow)
