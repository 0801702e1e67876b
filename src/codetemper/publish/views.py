# SPDX-License-Identifier: Apache-2.0
"""From records to the rows, charts and sentences of the report page.

Each view is a value that a template walks without arithmetic of its own. Nothing here makes
markup, and nothing judges: numbers come from scorecards and differences as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from codetemper.core.records import Difference, Estimate, Scorecard
from codetemper.publish import charts, wording
from codetemper.publish.inputs import ReportInput, SuiteResult


@dataclass(frozen=True)
class Row:
    """One metric before and after.

    Attributes:
        label: metric, weakness or split.
        meaning: what it counts, or what the weakness is called.
        before: estimate of the first model.
        after: estimate of the second.
        before_mark: where the first lies on the axis.
        after_mark: where the second lies.
        change: the paired difference, where there is one.
        change_mark: where the difference lies on its axis.
        tone: what the difference settles.
        link: address of the cases behind the row, without the side.
    """

    label: str
    meaning: str
    before: Estimate | None
    after: Estimate | None
    before_mark: charts.Mark | None
    after_mark: charts.Mark | None
    change: Difference | None
    change_mark: charts.Mark | None
    tone: str
    link: str


@dataclass(frozen=True)
class Bar:
    """What became of one model's completions on one suite, as a stacked bar.

    Attributes:
        side: ``before`` or ``after``.
        total: completions in all.
        segments: clean ones and failure classes.
    """

    side: str
    total: int
    segments: tuple[charts.Segment, ...]


@dataclass(frozen=True)
class SuiteView:
    """One suite as the page shows it.

    Attributes:
        name: of the suite.
        summary: one sentence.
        result: the records behind it.
        security: rows of the metrics that measure security.
        function: rows of all other metrics.
        forest: rows by weakness.
        forest_metric: the metric of the forest.
        splits: main metric, and rows by split.
        bars: failure classes before and after.
        classes: failure classes that occur, in order.
        unknown: (side, unknown completions, all completions).
        link: address of all cases of the suite.
    """

    name: str
    summary: str
    result: SuiteResult
    security: tuple[Row, ...]
    function: tuple[Row, ...]
    forest: tuple[Row, ...]
    forest_metric: str
    splits: tuple[tuple[str, tuple[Row, ...]], ...]
    bars: tuple[Bar, ...]
    classes: tuple[str, ...]
    unknown: tuple[tuple[str, int, int], ...]
    link: str


@dataclass(frozen=True)
class Headline:
    """A line of the summary: one suite's main number.

    Attributes:
        suite: its name.
        row: the number before and after.
    """

    suite: str
    row: Row


@dataclass(frozen=True)
class SplitGroup:
    """One metric of one suite by split.

    Attributes:
        suite: its name.
        metric: of the rows.
        meaning: what the metric counts.
        rows: one for each split.
    """

    suite: str
    metric: str
    meaning: str
    rows: tuple[Row, ...]


def suite_view(suite: SuiteResult, limit: float) -> SuiteView:
    """Prepare one suite.

    Args:
        suite: the records.
        limit: end of the axis that differences of all suites are drawn on.
    """
    before, after = suite.before, suite.after
    link = "#" + _query(cases=suite.card.name)
    rows = [
        _row(name, wording.metric_meaning(name), before.metrics.get(name),
             after.metrics.get(name) if after else None, suite.differences.get(name), limit,
             f"{link}&{_query(metric=name)}")
        for name in _metrics(suite)
    ]  # fmt: skip
    metric = forest_metric(suite)
    sides = [("before", before, len(suite.before_verdicts))]
    if after is not None:
        sides.append(("after", after, len(suite.after_verdicts)))
    bars = tuple(_bar(side, card, total) for side, card, total in sides)
    classes = {s.label for bar in bars for s in bar.segments}
    order = ("clean", *charts.FAILURES)
    return SuiteView(
        name=suite.card.name,
        summary=suite.card.summary,
        result=suite,
        security=tuple(row for row in rows if _of_security(row.label)),
        function=tuple(row for row in rows if not _of_security(row.label)),
        forest=_forest(suite, metric, link) if metric else (),
        forest_metric=metric,
        splits=_splits(suite, link),
        bars=bars,
        classes=(*(c for c in order if c in classes), *sorted(classes.difference(order))),
        unknown=tuple(
            (bar.side, card.unknown, bar.total)
            for bar, (_, card, _) in zip(bars, sides, strict=True)
        ),
        link=link,
    )  # fmt: skip


def change_limit(report: ReportInput) -> float:
    """Return the end of the one axis that the differences of all suites are drawn on."""
    return charts.change_limit(d for suite in report.suites for d in suite.differences.values())


def headlines(suites: Iterable[SuiteView], part: str) -> tuple[Headline, ...]:
    """Return the main number of each suite that says something of ``security`` or ``function``."""
    found = []
    for view in suites:
        rows = view.security if part == "security" else view.function
        main = [row for row in rows if row.label.partition("@")[0] != "valid"]
        if main:
            found.append(Headline(view.name, main[0]))
    return tuple(found)


def split_groups(suites: Iterable[SuiteView], part: str) -> tuple[SplitGroup, ...]:
    """Return the rows by split of all suites that say something of ``security`` or ``function``."""
    return tuple(
        SplitGroup(view.name, metric, wording.metric_meaning(metric), rows)
        for view in suites
        for metric, rows in view.splits
        if _of_security(metric) == (part == "security")
    )


def weakness_counts(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return counts by weakness in the order of their numbers; other names come as they are."""
    if not all(name.startswith("CWE-") for name in counts):
        return tuple(counts.items())
    return tuple(sorted(counts.items(), key=lambda item: wording.cwe_order(item[0])))


def forest_metric(suite: SuiteResult) -> str:
    """Return the metric to draw by weakness: ``secure@1``, else the first one of security."""
    names = {name for card in suite.before.by_cwe.values() for name in card}
    if "secure@1" in names:
        return "secure@1"
    return next((name for name in sorted(names) if _of_security(name)), "")


def is_seedling(expression: str | None) -> bool:
    """Say whether a model expression names the embedded model, patched or not."""
    base = (expression or "").partition("+")[0].partition("@")[0].rstrip("/")
    return base.removeprefix("hf:").rpartition("/")[2] == "seedling"


def unsafe_suites(report: ReportInput) -> tuple[str, ...]:
    """Return the suites whose code ran without isolation."""
    return tuple(
        suite.card.name
        for suite in report.suites
        if "none" in (suite.before.sandbox, suite.after.sandbox if suite.after else "")
    )


def _of_security(metric: str) -> bool:
    return metric.startswith(("secure", "insecure"))


def _query(**values: str) -> str:
    return "&".join(f"{key}={quote(value, safe='/', errors='replace')}"
                    for key, value in values.items())  # fmt: skip


def _metrics(suite: SuiteResult) -> list[str]:
    """Return metric names: the card's order first, then what else there is."""
    measured = {**suite.before.metrics, **(suite.after.metrics if suite.after else {})}
    names = [name for name in suite.card.metrics if name in measured]
    return list(dict.fromkeys([*names, *measured]))


def _row(
    label: str,
    meaning: str,
    before: Estimate | None,
    after: Estimate | None,
    change: Difference | None,
    limit: float,
    link: str,
) -> Row:
    return Row(
        label=label,
        meaning=meaning,
        before=before,
        after=after,
        before_mark=charts.share_mark(before),
        after_mark=charts.share_mark(after),
        change=change,
        change_mark=charts.change_mark(change, limit) if change else None,
        tone=wording.tone(change, label) if change else "",
        link=link,
    )


def _forest(suite: SuiteResult, metric: str, link: str) -> tuple[Row, ...]:
    before, after = suite.before, suite.after
    names = sorted({*before.by_cwe, *(after.by_cwe if after else {})}, key=wording.cwe_order)
    rows = [
        _row(cwe, wording.weakness(cwe), before.by_cwe.get(cwe, {}).get(metric),
             after.by_cwe.get(cwe, {}).get(metric) if after else None, None, 1.0,
             f"{link}&{_query(metric=metric, cwe=cwe)}")
        for cwe in names
    ]  # fmt: skip
    whole = _row(
        "All", "", before.metrics.get(metric), after.metrics.get(metric) if after else None,
        None, 1.0, f"{link}&{_query(metric=metric)}",
    )  # fmt: skip
    return (*rows, whole)


def _splits(suite: SuiteResult, link: str) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    before, after = suite.before, suite.after
    order = {"combination": 0, "transfer": 1}
    splits = sorted(before.by_split, key=lambda split: (order.get(split, 2), split))
    main = [name for name in _metrics(suite) if name.partition("@")[0] != "valid"]
    picked = [name for name in main if name in ("secure@1", "pass@1")] or main[:1]
    meaning = {
        "combination": "new combinations of known parts",
        "transfer": "kinds of function never trained on",
    }
    return tuple(
        (name, tuple(
            _row(split, meaning.get(split, ""), before.by_split[split].get(name),
                 after.by_split.get(split, {}).get(name) if after else None, None, 1.0,
                 f"{link}&{_query(metric=name, split=split)}")
            for split in splits
        ))
        for name in picked if splits
    )  # fmt: skip


def _bar(side: str, card: Scorecard, total: int) -> Bar:
    total = total or card.cases * card.samples
    return Bar(side, total, charts.stacked(card.failures, total))
