# SPDX-License-Identifier: Apache-2.0
"""The verbs of studies: many settings against one base, with the arithmetic that this needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import Json

if TYPE_CHECKING:
    from codetemper.evaluate.published import PublishedRow

study_app = typer.Typer(help="Compare many settings with one base, and count honestly.")
#: The three shares of the study's tables, in their order.
_SHARES = ("valid@1", "secure_of_valid", "secure@1")


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    study_app.command("verdicts")(verdicts)
    app.add_typer(study_app, name="study")


def verdicts(
    folder: Annotated[Path, typer.Argument(help="The study's verdict files, as published.")],
    samples: Annotated[int, typer.Option(min=1, help="Samples drawn of each prompt.")] = 30,
    as_json: Json = False,
) -> None:
    """Count the published verdicts of Li et al. (arXiv 2408.09078) anew.

    Beside the paper's secure ratio (of the samples that compile) stands what is secure and valid
    over all samples, with paired intervals over scenarios and Holm's correction.

    \b
    codetemper study verdicts Secure_LLM/verdicts
    codetemper study verdicts Secure_LLM/verdicts --json
    """
    from codetemper.evaluate import published

    rows = published.count_anew(published.read_published(folder, samples), samples)
    document = {
        "rows": [_plain(row.model_dump(mode="json")) for row in rows],
        "summary": published.summary(rows),
        "headlines": {
            language: {"base": base.name, "best": best.name}
            for language, (base, best) in published.headlines(rows).items()
        },
    }
    screen.emit(document, as_json, lambda: _show_verdicts(rows, document))


def _plain(value: Any) -> Any:
    """Leave the versions of nested records out of a document."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k != "schema_version"}
    return value


def _show_verdicts(rows: list[PublishedRow], document: dict[str, Any]) -> None:
    heads = ("setting", "valid %", "secure of valid %", "change", "secure and valid %", "change")
    for language in sorted({row.language for row in rows}):
        shown = [row for row in rows if row.language == language]
        cells = []
        for row in shown:
            valid, ratio, secure = (f"{100 * row.metrics[name].value:.1f}" for name in _SHARES)
            changes = [row.differences.get(name) for name in _SHARES[1:]]
            of_valid, of_all = ("" if d is None else points(d.model_dump()) for d in changes)
            cells.append((row.name, valid, ratio, of_valid, secure, of_all))
        screen.table(heads, cells, f"{shown[0].generations} samples each, {language}")
    for language, (base, best) in _headlines(rows).items():
        screen.out.print(
            f"{language}: the paper's best setting {best.name} takes {_shift(base, best, 1)} of "
            f"valid samples secure; counted over all, {_shift(base, best, 2)}"
        )
    found = document["summary"]
    screen.out.print(f"of {found['settings']} settings with few parameters, p < 0.05:")
    tests = {
        "plain": "plain two-proportion test",
        "scenario": "paired over scenarios",
        "holm": "the same, Holm-corrected",
    }
    tally = [
        (label, *(f"{found[m].get(f'{key}_better', 0)} up, {found[m].get(f'{key}_worse', 0)} down"
                  for m in _SHARES))
        for key, label in tests.items()
    ]  # fmt: skip
    screen.table(("test", "valid", "secure of valid", "secure and valid"), tally)
    flagged = [row for row in rows if row.flag]
    screen.table(
        ("security gained by breaking code", "language", "why"),
        [(row.name, row.language, f"[yellow]{row.flag}[/yellow]") for row in flagged],
        flexible=2,
    )


def _headlines(rows: list[PublishedRow]) -> dict[str, tuple[PublishedRow, PublishedRow]]:
    from codetemper.evaluate import published

    return published.headlines(rows)


def _shift(base: PublishedRow, best: PublishedRow, number: int) -> str:
    before, after = (100 * row.metrics[_SHARES[number]].value for row in (base, best))
    return f"{before:.1f} % to {after:.1f} %"


def points(difference: dict[str, Any]) -> str:
    """Return a difference in points with its interval, coloured by what the interval excludes."""
    ends = (100 * difference[name] for name in ("difference", "low", "high"))
    colour = "green" if difference["low"] > 0 else "red" if difference["high"] < 0 else "yellow"
    return "[{0}]{1:+.1f} \\[{2:+.1f}, {3:+.1f}][/{0}]".format(colour, *ends)
