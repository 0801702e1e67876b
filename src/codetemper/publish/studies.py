# SPDX-License-Identifier: Apache-2.0
"""A study's rows as the tables and intervals of the report page.

One table a suite, a line a setting, with the change of the metric that decides drawn beside it;
then a table for each further question. Numbers are the study's own; nothing is computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codetemper.core.accounts import StudyRow
from codetemper.core.records import Difference
from codetemper.publish import charts, wording
from codetemper.publish.inputs import StudyResult

#: Columns of a table, in order, and the words above them.
COLUMNS = {
    "secure@1": "Secure and valid",
    "secure_pass@1": "Secure and right",
    "pass@1": "Right",
    "exec_match": "Right",
    "exact_match": "Right",
    "secure_of_valid": "Secure of the valid",
    "valid@1": "Valid",
}
#: Questions beside that of the settings: what is asked.
QUESTIONS = {
    "granularities": "Does it matter what a pair is?",
    "sizes": "Is less data enough?",
    "transfer": "Does it reach weaknesses that were not in the data?",
    "lasting": "Does it outlive later ordinary tuning?",
}


@dataclass(frozen=True)
class Number:
    """One metric of a line.

    Attributes:
        heading: words of its column.
        value: the mean over seeds.
        change: against what the line is compared with; None for the base.
        tone: what the change settles.
    """

    heading: str
    value: float
    change: Difference | None = None
    tone: str = ""


@dataclass(frozen=True)
class Line:
    """One setting of a table.

    Attributes:
        label: the setting.
        note: what it is compared with, or what it cost.
        numbers: one for each column; None where it has none.
        mark: where the change that decides lies on the axis.
        tone: what that change settles.
        holm: its corrected p-value.
        flag: why the gain is none, or what else must be known of it.
    """

    label: str
    note: str
    numbers: tuple[Number | None, ...]
    mark: charts.Mark | None = None
    tone: str = ""
    holm: float | None = None
    flag: str = ""


@dataclass(frozen=True)
class Block:
    """One table.

    Attributes:
        title: the suite, or the question.
        columns: words above the numbers.
        decides: the metric that is drawn.
        limit: end of the axis it is drawn on.
        lines: its rows.
    """

    title: str
    columns: tuple[str, ...]
    decides: str
    limit: float
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class StudyView:
    """One study as the page shows it.

    Attributes:
        result: the records behind it.
        suites: a table for each suite.
        questions: a table for each further question.
        missing: (setting, reason) of those without a result, or with one of fewer seeds.
        seeds: seeds that were asked for.
    """

    result: StudyResult
    suites: tuple[Block, ...]
    questions: tuple[Block, ...]
    missing: tuple[tuple[str, str], ...]
    seeds: int


def study_view(study: StudyResult) -> StudyView:
    """Prepare one study."""
    settings = [row for row in study.rows if row.question == "settings"]
    limit = charts.change_limit(_difference(row) for row in settings if _decides(row))
    suites = dict.fromkeys(row.suite for row in settings if row.suite)
    others = (_question(name, study.rows) for name in QUESTIONS)
    return StudyView(
        result=study,
        suites=tuple(_suite(suite, settings, limit) for suite in suites),
        questions=tuple(block for block in others if block.lines),
        missing=tuple(dict.fromkeys((row.setting, row.reason) for row in study.rows if row.reason)),
        seeds=len(study.card.config.get("seeds", ())),
    )


def _suite(suite: str, settings: Sequence[StudyRow], limit: float) -> Block:
    rows = [row for row in settings if row.suite == suite]
    metrics = [name for name in COLUMNS if any(row.metric == name for row in rows)]
    base = {row.metric: row.before for row in rows}
    first = Line(
        "base", "", tuple(Number(COLUMNS[m], value) if (value := base.get(m)) is not None else None
                          for m in metrics),
    )  # fmt: skip
    lines = [first]
    for label in dict.fromkeys(row.setting for row in rows):
        found = {row.metric: row for row in rows if row.setting == label}
        main = next((found[m] for m in metrics if m in found), None)
        if main is not None:
            lines.append(_line(label, _cost(main), [found.get(m) for m in metrics], main, limit))
    decides = metrics[0] if metrics else ""
    return Block(suite, tuple(COLUMNS[m] for m in metrics), decides, limit, tuple(lines))


def _question(name: str, rows: Sequence[StudyRow]) -> Block:
    asked = [row for row in rows if row.question == name and _decides(row)]
    limit = charts.change_limit(_difference(row) for row in asked)
    lines = []
    for row in asked:
        about = ", ".join(filter(None, (row.suite, row.cases)))
        label, note = f"{row.setting} against {row.against}", f"{about}: {row.metric}"
        lines.append(_line(label, note, [row], row, limit))
    return Block(QUESTIONS[name], ("Value",), "", limit, tuple(lines))


def _line(
    label: str, note: str, rows: Sequence[StudyRow | None], main: StudyRow, limit: float
) -> Line:
    change = _difference(main)
    flag = f"security gained by breaking code: {main.flag}" if main.flag else ""
    lost = next((row.metric for row in rows if row is not None and row.kept == "lost"), "")
    return Line(
        label=label,
        note=note,
        numbers=tuple(None if row is None else _number(row) for row in rows),
        mark=charts.change_mark(change, limit) if change else None,
        tone=wording.tone(change, main.metric) if change else "",
        holm=main.holm,
        flag=flag or (f"{lost} fell by more than the margin" if lost else ""),
    )


def _number(row: StudyRow) -> Number | None:
    change = _difference(row)
    if change is None:
        return None
    heading = COLUMNS.get(row.metric, row.metric)
    return Number(heading, change.after, change, wording.tone(change, row.metric))


def _decides(row: StudyRow) -> bool:
    """Say whether a row is drawn: of each question the metrics that answer it."""
    return row.metric in ("secure@1", "secure_pass@1") or row.kept != ""


def _difference(row: StudyRow) -> Difference | None:
    names = ("before", "after", "difference", "low", "high", "p")
    values = {name: getattr(row, name) for name in names}
    if any(value is None for value in values.values()):
        return None
    return Difference(**values, n=row.n)


def _cost(row: StudyRow) -> str:
    parts = [f"{wording.thousands(row.pairs)} pairs"]
    if row.seconds is not None:
        parts.append(wording.duration(row.seconds))
    if row.peak_bytes:
        parts.append(f"{wording.size(row.peak_bytes)} of memory")
    if row.parameters:
        parts.append(f"{wording.thousands(row.parameters)} parameters")
    if row.bytes:
        parts.append(wording.size(row.bytes))
    return ", ".join(parts)
