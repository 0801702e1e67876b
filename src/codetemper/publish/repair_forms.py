# SPDX-License-Identifier: Apache-2.0
"""The values that the report's section on repairs walks; ``repairs`` makes them.

Words are tokens with signs for what cannot be seen, names are runs of hostile text. Gaps are in
logits, and below zero where the wanted token wins.
"""

from __future__ import annotations

from dataclasses import dataclass

from codetemper.core.repairs import RepairedNeuron, RepairRoute, RepairTurn
from codetemper.publish.answers import Line
from codetemper.publish.inputs import RepairResult

Name = tuple[tuple[str, bool], ...]
"""Runs of a text, each with whether it is the name of a character that cannot be seen."""


@dataclass(frozen=True)
class Words:
    """Tokens as words, each as a name.

    Attributes:
        raised: that a change raises most.
        lowered: that it lowers most.
    """

    raised: tuple[str, ...]
    lowered: tuple[str, ...]


@dataclass(frozen=True)
class Writer:
    """A changed neuron of one failure.

    Attributes:
        neuron: the record behind it.
        width: what it adds against the one that adds most, in percent.
        words: what its change says.
    """

    neuron: RepairedNeuron
    width: float
    words: Words


@dataclass(frozen=True)
class Wrong:
    """A token that was wrong; places are percent of the width.

    Attributes:
        wanted: as a word.
        predicted: likewise.
        before: its gap; None where the patch does not tell.
        after: its gap under the change.
        start: where ``before`` lies on the axis.
        end: where ``after`` lies.
    """

    wanted: str
    predicted: str
    before: float | None = None
    after: float | None = None
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Case:
    """One failure.

    Attributes:
        name: its id.
        right: whether it is right under the change, token by token.
        written: whether it is written freely; None where nothing was written.
        route: the verdict on it.
        prompt: what the model continues.
        reference: what should follow.
        views: other wordings repaired with it.
        wrong: tokens of the prompt's own wording that were wrong.
        before: largest gap before.
        after: largest gap under the change.
        writers: the neurons that add most.
    """

    name: Name
    right: bool
    written: bool | None
    route: RepairRoute | None
    prompt: tuple[Line, ...]
    reference: tuple[Line, ...]
    views: int
    wrong: tuple[Wrong, ...]
    before: float | None
    after: float | None
    writers: tuple[Writer, ...]


@dataclass(frozen=True)
class Step:
    """One round; gaps are the middle ones.

    Attributes:
        number: counted from 1.
        active: tokens worked on.
        wrong: those that were wrong when it began.
        before: gap.
        foretold: likewise; None where nothing was foretold.
        achieved: likewise; None where nobody looked.
        off: middle distance of foretold and achieved.
        still: tokens that were wrong afterwards; None where nobody looked.
        note: the method's.
    """

    number: int
    active: int
    wrong: int
    before: float
    foretold: float | None
    achieved: float | None
    off: float | None
    still: int | None
    note: str


@dataclass(frozen=True)
class Point:
    """A token in the drawing of foretold and achieved gaps.

    Attributes:
        x: foretold, in percent of the width.
        y: achieved, in percent of the height, from above.
        last: whether it is of the last round.
    """

    x: float
    y: float
    last: bool


@dataclass(frozen=True)
class Limit:
    """What was watched and what it might be.

    Attributes:
        label: what was read.
        value: the reading.
        kind: how it is written: ``percent``, ``nats`` or ``count``.
        budget: its limit; None where there was none.
        width: of its bar, in percent; the budget lies at ``repairs.FULL``. None without a budget.
        kept: whether the budget was kept.
    """

    label: str
    value: float
    kind: str
    budget: float | None
    width: float | None
    kept: bool


@dataclass(frozen=True)
class Flip:
    """A prediction that changed.

    Attributes:
        turn: the record behind it.
        lead: what stands before the place.
        wanted: what stands there.
        before: what was predicted.
        after: what is.
        tone: ``worse`` where the prediction was right before, ``better`` where it is now.
    """

    turn: RepairTurn
    lead: Name
    wanted: str
    before: str
    after: str
    tone: str


@dataclass(frozen=True)
class Layer:
    """One layer that changes.

    Attributes:
        layer: its number.
        neurons: how many write something else.
        change: size of the change against the matrix.
        width: of its bar, in percent.
    """

    layer: int
    neurons: int
    change: float
    width: float


@dataclass(frozen=True)
class Shared:
    """A neuron that is among the first of several failures.

    Attributes:
        layer: its layer.
        neuron: its number there.
        failures: how many.
        words: what its change says.
    """

    layer: int
    neuron: int
    failures: int
    words: Words


@dataclass(frozen=True)
class RepairView:
    """One repair as the page shows it.

    Attributes:
        result: the records behind it.
        cases: failures that were tried.
        more: how many are not shown.
        untried: verdicts on the failures that were not tried.
        steps: rounds.
        points: foretold and achieved gaps.
        ends: ends of both axes of that drawing.
        gaps: ends of the axis of gaps before and after.
        zero: where zero lies on it, in percent.
        layers: what changes.
        shared: neurons that serve several failures.
        limits: what was watched, against its budgets; empty without a reading.
        flips: predictions in sealed texts that changed.
        lost: cases of free runs that were right before and are not now.
        gained: those that are right now.
    """

    result: RepairResult
    cases: tuple[Case, ...]
    more: int
    untried: tuple[tuple[Name, RepairRoute], ...]
    steps: tuple[Step, ...]
    points: tuple[Point, ...]
    ends: tuple[float, float]
    gaps: tuple[float, float]
    zero: float
    layers: tuple[Layer, ...]
    shared: tuple[Shared, ...]
    limits: tuple[Limit, ...]
    flips: tuple[Flip, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
