# SPDX-License-Identifier: Apache-2.0
"""The verbs of studies: many settings against one base, with the arithmetic that this needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codetemper.cli import screen
from codetemper.cli.options import (
    ConfigFile,
    Device,
    DryRun,
    Json,
    Limit,
    Pairs,
    Place,
    Sandbox,
    judge_options,
    workspace,
)

if TYPE_CHECKING:
    from codetemper.core.accounts import StudyRow
    from codetemper.evaluate.published import PublishedRow

study_app = typer.Typer(help="Compare many settings with one base, and count honestly.")
#: The three shares of the study's tables, in their order.
_SHARES = ("valid@1", "secure_of_valid", "secure@1")
#: Columns of a study's table, where a suite has them.
_METRICS = (*_SHARES, "secure_pass@1", "pass@1", "exec_match", "exact_match")
#: Questions beside that of the settings, in the order they are shown.
_QUESTIONS = {
    "granularities": "granularities against each other",
    "sizes": "less data against all of it",
    "transfer": "weaknesses that were not in the data",
    "lasting": "after later ordinary tuning",
}


def register(app: typer.Typer) -> None:
    """Add the verbs to the app."""
    study_app.command("tune")(tune)
    study_app.command("verdicts")(verdicts)
    app.add_typer(study_app, name="study")


def tune(
    model: Annotated[str, typer.Argument(help="Base model expression, without patches.")],
    data: Annotated[str, typer.Option(help="Corpus id (or its beginning), or a folder.")],
    methods: Annotated[str | None, typer.Option(help="Methods, as a list with commas.")] = None,
    granularities: Annotated[str | None, typer.Option(help="What pairs are, likewise.")] = None,
    sizes: Annotated[str | None, typer.Option(help="Shares of the fixes, e.g. 0.25,1.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, e.g. 0,1,2.")] = None,
    suites: Annotated[str | None, typer.Option(help="Suites, shipped or FORMAT:PATH.")] = None,
    samples: Annotated[int | None, typer.Option("-n", help="Samples per case and seed.")] = None,
    leave_one_out: Annotated[
        bool, typer.Option(help="Also tune without each family of weaknesses, and ask about it.")
    ] = False,
    then: Annotated[
        str | None, typer.Option(help="Corpus of later ordinary tuning: does the gain outlive it?")
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Largest loss of function that counts as none.")
    ] = None,
    limit: Limit = None,
    config: ConfigFile = None,
    option: Pairs = None,
    sandbox: Sandbox = "bwrap",
    device: Device = "cpu",
    place: Place = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Tune and evaluate all settings of a study, and table what they are worth.

    A killed study goes on where it was when the same command is given again; patches and runs that
    are there already are used. -o sets what all settings of tune share, e.g. -o epochs=2.

    \b
    codetemper study tune seedling --data mine-3fa9 --methods lora,ia3,full --seeds 0,1,2
    codetemper study tune seedling --data mine-3fa9 --granularities function,line --sizes 0.25,1
    codetemper study tune hf:./my-model --data mine-3fa9 --suites secure-c --dry-run
    """
    from codetemper.api import study
    from codetemper.core.settings import resolve_config
    from codetemper.harden.tune import Config

    shared = resolve_config(Config, "tune", pairs=option or ()).model_dump(exclude_unset=True)
    lists = {"methods": methods, "granularities": granularities, "sizes": sizes, "seeds": seeds,
             "suites": suites}  # fmt: skip
    flags: dict[str, Any] = {
        name: [part.strip() for part in text.split(",")] for name, text in lists.items() if text
    }
    flags |= {"samples": samples, "limit": limit, "margin": margin, "then": then}
    flags |= {"leave_one_out": leave_one_out or None, "tune": shared or None}
    settings = resolve_config(study.StudyConfig, "study", file=config, flags=flags)
    home = workspace(place)
    if dry_run:
        plan = study.plan_study(home, model, data, settings)
        screen.emit(plan, as_json, lambda: _show_plan(plan))
        return
    judging = judge_options(sandbox)
    with screen.progress() as on_event:
        made = study.study_tuning(
            home, model, data, settings, options=judging, device=device, on_event=on_event
        )
    document: dict[str, Any] = {"study": made.card.id, "folder": str(made.folder)}
    document |= _plain(made.card.model_dump(mode="json", include={"model", "corpus", "enough"}))
    document["rows"] = [_plain(row.model_dump(mode="json")) for row in made.rows]
    screen.emit(document, as_json, lambda: show_study(made.rows, document))


def _show_plan(plan: dict[str, Any]) -> None:
    rows = [(c["setting"], str(c["seed"]), str(c["pairs"]), c["patch"]) for c in plan["plan"]]
    screen.table(("setting", "seed", "pairs", "patch"), rows)
    screen.out.print(
        f"{plan['cells']} cells of {plan['model']} on {plan['corpus']}, {plan['tuned']} of them "
        f"tuned; {plan['evaluations']} evaluations, the base's included"
    )


def show_study(rows: tuple[StudyRow, ...], document: dict[str, Any]) -> None:
    """Print the table of settings of each suite, and then the other questions."""
    settings = [row for row in rows if row.question == "settings"]
    for suite in dict.fromkeys(row.suite for row in settings if row.suite):
        shown = [row for row in settings if row.suite == suite]
        metrics = [name for name in _METRICS if any(row.metric == name for row in shown)]
        cells = []
        for label in dict.fromkeys(row.setting for row in shown):
            by_metric = {row.metric: row for row in shown if row.setting == label}
            values = [_value(by_metric.get(name)) for name in metrics]
            cells.append((label, *values, _cost(shown, label)))
        base = {row.metric: row.before for row in shown}
        first = ("base", *(f"{100 * (base[name] or 0):.1f}" for name in metrics), "")
        screen.table(
            ("setting", *metrics, "cost"),
            [first, *cells],
            f"{suite}: values in %, change in points with its 95 % interval",
        )
    for row in settings:
        if row.reason:
            screen.out.print(f"{row.setting}: {row.reason}", style="yellow", markup=False)
    for setting, suite, flag in dict.fromkeys((r.setting, r.suite, r.flag) for r in rows if r.flag):
        said = f"{setting} on {suite} gains by breaking code: {flag}"
        screen.out.print(said, style="yellow", markup=False)
    for question, title in _QUESTIONS.items():
        asked = [row for row in rows if row.question == question and row.difference is not None]
        heads = ("setting", "against", "suite", "cases", "metric", "change, points", "p, corrected")
        if asked:
            screen.table(heads, [_compared(row) for row in asked], title)
    for what, least in document["enough"].items():
        screen.out.print(f"{what}: {100 * least:g} % of the fixes do as well, within the margin")
    screen.out.print(f"study {document['study']}")
    screen.suggest(f"codetemper report {document['model']}")


def _value(row: StudyRow | None) -> str:
    if row is None or row.difference is None:
        return "-"
    kept = {"lost": " lost", "open": " ?"}.get(row.kept, "")
    return f"{100 * (row.after or 0):.1f} {points(row.model_dump())}{kept}"


def _cost(rows: list[StudyRow], label: str) -> str:
    row = next(row for row in rows if row.setting == label)
    memory = f", {row.peak_bytes / 1e9:.1f} GB" if row.peak_bytes else ""
    return f"{row.seconds or 0:.0f} s{memory}, {row.parameters or 0:,}"


def _compared(row: StudyRow) -> tuple[str, ...]:
    p = "" if row.holm is None else f"{row.holm:.3f}" if row.holm >= 0.001 else "<.001"
    change = points(row.model_dump())
    return row.setting, row.against, row.suite, row.cases, row.metric, change, p


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
    headlines = published.headlines(rows)
    document = {
        "rows": [_plain(row.model_dump(mode="json")) for row in rows],
        "summary": published.summary(rows),
        "headlines": {
            language: {"base": base.name, "best": best.name}
            for language, (base, best) in headlines.items()
        },
    }
    screen.emit(document, as_json, lambda: _show_verdicts(rows, headlines, document["summary"]))


def _plain(value: Any) -> Any:
    """Leave the versions of nested records out of a document."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k != "schema_version"}
    return value


def _show_verdicts(
    rows: list[PublishedRow],
    headlines: dict[str, tuple[PublishedRow, PublishedRow]],
    summary: dict[str, Any],
) -> None:
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
    for language, (base, best) in headlines.items():
        screen.out.print(
            f"{language}: the paper's best setting {best.name} takes {_shift(base, best, 1)} of "
            f"valid samples secure; counted over all, {_shift(base, best, 2)}"
        )
    screen.out.print(f"of {summary['settings']} settings with few parameters, p < 0.05:")
    tests = {
        "plain": "plain two-proportion test",
        "scenario": "paired over scenarios",
        "holm": "the same, Holm-corrected",
    }
    tally = [
        (label, *(f"{summary[m].get(f'{key}_better', 0)} up, "
                  f"{summary[m].get(f'{key}_worse', 0)} down" for m in _SHARES))
        for key, label in tests.items()
    ]  # fmt: skip
    screen.table(("test", "valid", "secure of valid", "secure and valid"), tally)
    flagged = [row for row in rows if row.flag]
    screen.table(
        ("security gained by breaking code", "language", "why"),
        [(row.name, row.language, f"[yellow]{row.flag}[/yellow]") for row in flagged],
        flexible=2,
    )


def _shift(base: PublishedRow, best: PublishedRow, number: int) -> str:
    before, after = (100 * row.metrics[_SHARES[number]].value for row in (base, best))
    return f"{before:.1f} % to {after:.1f} %"


def points(difference: dict[str, Any]) -> str:
    """Return a difference in points with its interval, coloured by what the interval excludes."""
    ends = (100 * difference[name] for name in ("difference", "low", "high"))
    colour = "green" if difference["low"] > 0 else "red" if difference["high"] < 0 else "yellow"
    return "[{0}]{1:+.1f} \\[{2:+.1f}, {3:+.1f}][/{0}]".format(colour, *ends)
