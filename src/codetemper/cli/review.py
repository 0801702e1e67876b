# SPDX-License-Identifier: Apache-2.0
"""The verb that has people look at pairs: review."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from codetemper.cli import screen
from codetemper.cli.options import DryRun, Json, Place, workspace
from codetemper.core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb to the app."""
    app.command("review")(review)


def review(
    corpus: Annotated[str, typer.Argument(help="Corpus of pairs: id, its beginning, or a folder.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write the pairs to, to be filled in.")
    ] = None,
    form: Annotated[
        Literal["jsonl", "label-studio"],
        typer.Option("--as", help="JSON lines, or tasks with an interface for Label Studio."),
    ] = "jsonl",
    choices: Annotated[
        Path | None, typer.Option("--choices", help="The same file filled in, or an export.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Write this many pairs, drawn with the seed.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Of the draw, and of which answer is left.")
    ] = 0,
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Have people choose between the answers of pairs; what they chose goes before judges.

    --out writes pairs without telling which answer is the better one. Fill in each "choice": left,
    right or neither. --choices reads them back into a corpus, for refine.

    \b
    codetemper review pair-3fa9 --out look.jsonl --limit 50
    codetemper review pair-3fa9 --choices look.jsonl
    codetemper review pair-3fa9 --out tasks.json --as label-studio
    codetemper review pair-3fa9 --choices exported.json --dry-run --json
    """
    from codetemper.api import review as api

    if (out is None) == (choices is None):
        raise UsageError(
            "review either writes pairs or reads choices",
            why="both were asked for" if out else "neither was asked for",
            mend=f"codetemper review {corpus} --out FILE, then --choices FILE",
        )
    home = workspace(place)
    document: dict[str, Any]
    if dry_run:
        document = api.plan_review(home, corpus, choices=choices, limit=limit)
    elif choices is not None:
        card = api.import_choices(home, corpus, choices)
        document = {"corpus": card.id, "pairs": card.rows, "choices": card.counts["choices"]}
    elif out is not None:
        made = api.export_pairs(home, corpus, out, form=form, limit=limit, seed=seed)
        files = [str(path) for path in made.files]
        document = {"corpus": made.corpus, "pairs": made.pairs, "files": files}
    screen.emit(document, as_json, lambda: _show(document))


def _show(document: dict[str, Any]) -> None:
    for what, count in document.get("choices", {}).items():
        screen.out.print(f"{count} {what}")
    screen.out.print(f"corpus {document['corpus']}: {document['pairs']} pairs")
    for path in document.get("files", ()):
        screen.out.print(f"wrote {path}")
    if "files" in document:
        screen.suggest(f"codetemper review {document['corpus']} --choices FILE")
    elif not document.get("dry_run"):
        screen.suggest(f"codetemper refine MODEL --suite SUITE --choices {document['corpus']}")
