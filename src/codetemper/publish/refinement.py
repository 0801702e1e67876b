# SPDX-License-Identifier: Apache-2.0
"""A refinement as the report page shows it: what each round sampled, learned and changed.

Answers are hostile text. What is made here is plain values that the templates escape; characters
that cannot be seen come apart from the text (``unseen``). Numbers are the refinement's own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codetemper.core.records import Difference, Estimate
from codetemper.core.refinement import Changed, Refinement, Round
from codetemper.publish import charts, unseen, wording
from codetemper.publish.answers import Line, compared, lines
from codetemper.publish.inputs import RefinementResult

#: What made a pair, in words.
BECAUSE = {
    "execution": "by running both",
    "static": "by static findings",
    "human": "by a person",
    "reference": "with the known answer",
}
#: Phases of a round, in words.
PHASES = {"sample": "sampling and judging", "pair": "pairing", "train": "training",
          "validate": "validation"}  # fmt: skip
#: Height of a curve, in pixels: of the plot, and of the space above and below it.
HEIGHT, EDGE = 36, 5
#: Rounds up to which each point of a curve has its number; of more, the first and the last.
NUMBERED = 8


@dataclass(frozen=True)
class Stage:
    """The model as it was at one point: the base, or after a round.

    Attributes:
        label: the point.
        estimate: the metric on the validation cases.
        mark: where that lies on an axis from 0 to 1.
        round: what led there; None for the base.
        tone: what the gain over the round before settles.
        kept: whether the patch holds this state.
    """

    label: str
    estimate: Estimate
    mark: charts.Mark | None
    round: Round | None = None
    tone: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Sampled:
    """What became of the samples of one round.

    Attributes:
        round: the records behind it.
        writer: who wrote them.
        segments: right ones and failure classes.
    """

    round: Round
    writer: str
    segments: tuple[charts.Segment, ...]


@dataclass(frozen=True)
class Curve:
    """One class of outcomes over the rounds.

    Attributes:
        label: the class.
        shares: of the samples, one a round.
        points: (x in percent, y in pixels) of each.
    """

    label: str
    shares: tuple[float, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Shift:
    """How the log-probability of one side moved in a round's training.

    Attributes:
        label: which answers.
        kind: ``chosen`` or ``rejected``.
        before: nats a token.
        after: likewise.
        start: where ``before`` lies on the axis, in percent; None where there is no number.
        end: where ``after`` lies.
    """

    label: str
    kind: str
    before: float
    after: float
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Likelihood:
    """Better and worse answers of one round, before and after its training.

    Attributes:
        label: the round.
        shifts: of the better answers, and of the worse ones.
    """

    label: str
    shifts: tuple[Shift, Shift]


@dataclass(frozen=True)
class Answer:
    """One side of a case that turned.

    Attributes:
        side: ``before`` or ``after``.
        outcome: ``clean``, or the failure class.
        lines: what was written.
    """

    side: str
    outcome: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Turn:
    """A case whose outcome turned.

    Attributes:
        case: its name.
        gained: whether it turned for the better.
        prompt: what the answers go on from.
        answers: before and after.
    """

    case: tuple[tuple[str, bool], ...]
    gained: bool
    prompt: tuple[Line, ...]
    answers: tuple[Answer, Answer]


@dataclass(frozen=True)
class Tested:
    """One metric of the test suite.

    Attributes:
        suite: its name.
        metric: its name.
        meaning: what it counts.
        change: base against the chosen round.
        change_mark: where the difference lies on its axis.
        tone: what it settles.
    """

    suite: str
    metric: str
    meaning: str
    change: Difference
    change_mark: charts.Mark | None
    tone: str


@dataclass(frozen=True)
class RefinementView:
    """One refinement as the page shows it.

    Attributes:
        result: the records behind it.
        stages: base and rounds on the validation cases.
        sampled: samples of each round.
        curves: shares of the classes over the rounds.
        classes: outcomes that occur, best first.
        likelihoods: of each round.
        ends: ends of the axis of log-probabilities.
        tests: metrics of the test suite.
        limit: end of the axis of their differences.
        turns: cases that turned, gains first.
        seconds: wall seconds by phase, over all rounds.
    """

    result: RefinementResult
    stages: tuple[Stage, ...]
    sampled: tuple[Sampled, ...]
    curves: tuple[Curve, ...]
    classes: tuple[str, ...]
    likelihoods: tuple[Likelihood, ...]
    ends: tuple[float, float]
    tests: tuple[Tested, ...]
    limit: float
    turns: tuple[Turn, ...]
    seconds: tuple[tuple[str, float], ...]


def refinement_view(result: RefinementResult) -> RefinementView:
    """Prepare one refinement."""
    refinement = result.refinement
    rounds = refinement.rounds
    found = {segment.label for each in rounds for segment in _segments(each) if segment.count}
    order = ("clean", *charts.FAILURES)
    classes = (*(name for name in order if name in found), *sorted(found.difference(order)))
    ends = _ends(rounds)
    limit = charts.change_limit(refinement.test.values())
    turns = sorted(map(_turn, refinement.changed), key=lambda turn: not turn.gained)
    spent: dict[str, float] = defaultdict(float)
    for phase, seconds in (pair for each in rounds for pair in each.seconds.items()):
        spent[PHASES.get(phase, phase)] += seconds
    return RefinementView(
        result=result,
        stages=tuple(_stages(refinement)),
        sampled=tuple(Sampled(each, _writer(each), _segments(each)) for each in rounds),
        curves=tuple(_curve(name, rounds) for name in classes),
        classes=classes,
        likelihoods=tuple(_likelihood(each, ends) for each in rounds),
        ends=ends,
        tests=tuple(_test(name, change, limit) for name, change in refinement.test.items()),
        limit=limit,
        turns=tuple(turns),
        seconds=tuple(spent.items()),
    )


def rejected(each: Round) -> tuple[tuple[str, int], ...]:
    """Return a round's pairs by what is wrong with the worse answer, most first."""
    return tuple(sorted(each.rejected.items(), key=lambda item: (-item[1], item[0])))


def because(name: str) -> str:
    """Say what made a pair, in words."""
    return BECAUSE.get(name, name)


def _writer(each: Round) -> str:
    return "the base" if each.round == 1 else f"the model after round {each.round - 1}"


def _stages(refinement: Refinement) -> Iterable[Stage]:
    kept = refinement.chosen_round
    start = refinement.start
    yield Stage("Base", start, charts.share_mark(start), kept=kept == 0)
    for each in refinement.rounds:
        yield Stage(
            label=f"Round {each.round}",
            estimate=each.validation,
            mark=charts.share_mark(each.validation),
            round=each,
            tone=wording.tone(each.gain, refinement.metric),
            kept=each.round == kept,
        )


def _segments(each: Round) -> tuple[charts.Segment, ...]:
    failures = {name: count for name, count in each.outcomes.items() if name != "pass"}
    return charts.stacked(failures, sum(each.outcomes.values()))


def _curve(name: str, rounds: Sequence[Round]) -> Curve:
    found = ({segment.label: segment.share for segment in _segments(each)} for each in rounds)
    shares = tuple(each.get(name, 0.0) for each in found)
    top = max(shares)
    points = tuple(
        (
            round(100 * (place + 0.5) / len(shares), 2),
            round(EDGE + HEIGHT * (1 - share / top), 1),
        )
        for place, share in enumerate(shares)
    )
    return Curve(name, shares, points)


def _ends(rounds: Sequence[Round]) -> tuple[float, float]:
    """Return round numbers that all log-probabilities lie between; the upper one is at most 0."""
    sides = (side for each in rounds for side in _logprobs(each))
    found = [value for side in sides for value in side if math.isfinite(value)]
    lowest, highest = min(found, default=-1.0), max(found, default=0.0)
    step = next((step for step in (0.1, 0.25, 0.5, 1, 2, 5) if highest - lowest <= 6 * step), 10)
    low, high = step * math.floor(lowest / step), step * math.ceil(highest / step)
    return (low, high) if high > low else (low - step, high)


def _likelihood(each: Round, ends: tuple[float, float]) -> Likelihood:
    better, worse = _logprobs(each)
    chosen = _shift("better answers", "chosen", better, ends)
    rejected = _shift("worse answers", "rejected", worse, ends)
    return Likelihood(f"Round {each.round}", (chosen, rejected))


def _logprobs(each: Round) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return what was measured of the better and the worse answers; no pairs, no numbers."""
    if any(each.pairs.values()):
        return each.chosen_logprob, each.rejected_logprob
    return (math.nan, math.nan), (math.nan, math.nan)


def _shift(label: str, kind: str, side: tuple[float, float], ends: tuple[float, float]) -> Shift:
    start, end = (charts.place(value, *ends) if math.isfinite(value) else None for value in side)
    return Shift(label, kind, *side, start=start, end=end)


def _test(name: str, change: Difference, limit: float) -> Tested:
    suite, _, metric = name.rpartition("/")
    return Tested(
        suite=suite,
        metric=metric,
        meaning=wording.metric_meaning(metric),
        change=change,
        change_mark=charts.change_mark(change, limit),
        tone=wording.tone(change, metric),
    )


def _turn(changed: Changed) -> Turn:
    before, after = compared(changed.before, changed.after)
    return Turn(
        case=tuple(unseen.runs(changed.case)),
        gained=changed.verdict_after == "pass",
        prompt=lines(changed.prompt),
        answers=(
            Answer("before", _outcome(changed.verdict_before), before),
            Answer("after", _outcome(changed.verdict_after), after),
        ),
    )


def _outcome(verdict: str) -> str:
    return "clean" if verdict == "pass" else verdict
