# SPDX-License-Identifier: Apache-2.0
"""The values that the report's section on audits walks; ``audits`` makes them.

Names are runs of hostile text; places are percent of the width or pixels of the height, on maps
thousandths of the width.
"""

from __future__ import annotations

from dataclasses import dataclass

from codetemper.core.audits import AuditMap, AuditPower, AuditSample, AuditTrigger, AuditView
from codetemper.publish.answers import Line
from codetemper.publish.charts import Mark
from codetemper.publish.inputs import AuditResult

Name = tuple[tuple[str, bool], ...]
"""Runs of a text, each with whether it is the name of a character that cannot be seen."""


@dataclass(frozen=True)
class Answered:
    """One of the three answers.

    Attributes:
        question: what is asked.
        answer: in words.
        tone: ``pass``, ``fail``, ``unknown`` or empty.
        evidence: what it rests on.
        error: how often it is wrong, or why nobody knows.
    """

    question: str
    answer: str
    tone: str
    evidence: str
    error: str


@dataclass(frozen=True)
class Powered:
    """What would have been found at one rate.

    Attributes:
        power: the record behind it.
        mark: where the share found lies on an axis from 0 to 1.
    """

    power: AuditPower
    mark: Mark | None


@dataclass(frozen=True)
class TriggerCard:
    """A candidate trigger.

    Attributes:
        trigger: the record behind it.
        text: what it is.
        mark: where the lift lies on its axis.
        null: where what ordinary insertions reach lies there.
        before: held-out code as it was.
        after: the same with the trigger in it.
    """

    trigger: AuditTrigger
    text: Name
    mark: Mark | None
    null: float | None
    before: tuple[Line, ...]
    after: tuple[Line, ...]


@dataclass(frozen=True)
class Row:
    """A listed sample.

    Attributes:
        sample: the record behind it.
        id: its id.
        source: where it comes from.
        trigger: the confirmed trigger it holds.
        excerpt: the beginning of it, where the audit kept one.
    """

    sample: AuditSample
    id: Name
    source: Name
    trigger: Name
    excerpt: tuple[Line, ...]


@dataclass(frozen=True)
class Dot:
    """A sample on a map.

    Attributes:
        x: from the left, in thousandths of the width.
        y: from above, likewise.
        number: which sample.
        kind: why it is listed, as one word; ``none`` where it is not.
        label: place of its label among all labels; None without one.
    """

    x: float
    y: float
    number: int
    kind: str
    label: int | None


@dataclass(frozen=True)
class Plane:
    """One map.

    Attributes:
        name: ``PCA`` or ``t-SNE``.
        note: what has to be known of it.
        height: in thousandths of the width.
        dots: samples, those that are not listed first.
    """

    name: str
    note: str
    height: float
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class MapView:
    """The maps of an audit.

    Attributes:
        map: the record behind them.
        planes: PCA first.
        kinds: kinds of samples on them, with how many, in drawing order.
        labels: labels, with how many.
    """

    map: AuditMap
    planes: tuple[Plane, ...]
    kinds: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cell:
    """One view at one layer in the heat map.

    Attributes:
        view: the record behind it.
        level: ``h1`` to ``h5``, or empty.
        clear: whether its p-value is below 0.05.
    """

    view: AuditView
    level: str
    clear: bool


@dataclass(frozen=True)
class HeatRow:
    """One detector and pool over the layers of a stack.

    Attributes:
        name: the detector.
        pool: the pool.
        cells: by layer, None where it has nothing to say.
    """

    name: str
    pool: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class HeatMap:
    """All views of one stack.

    Attributes:
        stack: ``encoder`` or ``decoder``.
        layers: its columns.
        rows: its rows, the strongest first.
    """

    stack: str
    layers: tuple[int, ...]
    rows: tuple[HeatRow, ...]


@dataclass(frozen=True)
class Profile:
    """How far suspected samples are from the rest, layer by layer.

    Attributes:
        label: stack and pool.
        points: (x in percent, y in pixels, layer, gap) of each layer.
    """

    label: str
    points: tuple[tuple[float, float, int, float], ...]


@dataclass(frozen=True)
class AuditSection:
    """One audit as the page shows it.

    Attributes:
        result: the records behind it.
        tone: ``pass``, ``fail`` or ``unknown``, of its answer.
        answers: the three answers.
        powers: what would have been found.
        cards: candidate triggers with code.
        candidates: the others.
        more_candidates: how many are not shown.
        ends: ends of the axis of lifts.
        zero: where zero lies on it.
        rows: listed samples.
        more: how many are not shown.
        map: of the samples; None without any.
        heats: views by layer.
        placeless: views that have no place in the model.
        profiles: the depth profile.
        deepest: largest gap of it.
        absent: tiers that were not given.
    """

    result: AuditResult
    tone: str
    answers: tuple[Answered, ...]
    powers: tuple[Powered, ...]
    cards: tuple[TriggerCard, ...]
    candidates: tuple[TriggerCard, ...]
    more_candidates: int
    ends: tuple[float, float]
    zero: float
    rows: tuple[Row, ...]
    more: int
    map: MapView | None
    heats: tuple[HeatMap, ...]
    placeless: tuple[Cell, ...]
    profiles: tuple[Profile, ...]
    deepest: float
    absent: tuple[str, ...]
