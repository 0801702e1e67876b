# SPDX-License-Identifier: Apache-2.0
"""A repair as the report page shows it: what was put right, by which neurons, what else it moved.

Prompts, answers and tokens are hostile text. What is made here is plain values that the templates
escape; characters that cannot be seen come apart from the text (``unseen``). Numbers are the
repair's own, as its patch tells them; a gap is below zero where the wanted token wins.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from codetemper.core.repairs import (
    Failure,
    Repair,
    RepairedNeuron,
    RepairExplained,
    RepairReading,
    RepairRound,
    RepairTurn,
)
from codetemper.publish import charts, unseen
from codetemper.publish.answers import lines
from codetemper.publish.inputs import RepairResult
from codetemper.publish.repair_forms import (
    Case,
    Flip,
    Layer,
    Limit,
    Name,
    Point,
    RepairView,
    Shared,
    Step,
    Words,
    Writer,
    Wrong,
)

#: Failures, flipped predictions and shared neurons that are on the page.
SHOWN, FLIPS, SHARED = 40, 20, 8
#: Points of the drawing of foretold and achieved gaps, and its height in pixels.
POINTS, HEIGHT = 400, 220
#: Where a budget lies on its axis, in percent; what passes it may reach the end.
FULL = 80


def repair_view(result: RepairResult) -> RepairView:
    """Prepare one repair."""
    repair = result.repair
    tried = {*repair.repaired, *repair.left}
    before, after = repair.measured or (None, None)
    passed, passes = (set(each.passed) if each else set() for each in (before, after))
    foretold = [gap for each in repair.rounds for pair in _foretold(each) for gap in pair]
    ends, gaps = _ends(foretold), _ends(list(_open(repair)))
    return RepairView(
        result=result,
        cases=tuple(_cases(repair, result.failures[:SHOWN], gaps)),
        more=max(0, len(result.failures) - SHOWN),
        untried=tuple(
            (name(route.failure), route) for route in repair.routes if route.failure not in tried
        ),
        steps=tuple(_step(number, each) for number, each in enumerate(repair.rounds, 1)),
        points=tuple(_points(repair.rounds, ends)),
        ends=ends,
        gaps=gaps,
        zero=charts.place(0.0, *gaps),
        layers=tuple(_layers(repair)),
        shared=tuple(_shared(repair.explained)),
        limits=tuple(_limits(repair)),
        flips=tuple(map(_flip, repair.turned[:FLIPS])),
        lost=tuple(sorted(passed - passes)),
        gained=tuple(sorted(passes - passed)),
    )


def name(text: str) -> Name:
    """Return a text in runs."""
    return tuple(unseen.runs(text))


def _cases(
    repair: Repair, failures: Sequence[Failure], ends: tuple[float, float]
) -> Iterator[Case]:
    explained = {each.failure: each for each in repair.explained}
    routes = {each.failure: each for each in repair.routes}
    for failure in failures:
        why = explained.get(failure.id)
        top = max((abs(each.adds) for each in why.neurons), default=0.0) if why else 0.0
        yield Case(
            name=name(failure.id),
            right=failure.id in repair.repaired,
            written=None if repair.written is None else failure.id in repair.written,
            route=routes.get(failure.id),
            prompt=lines(failure.prompt),
            reference=lines(failure.reference),
            views=len(failure.views),
            wrong=tuple(_wrong(repair, why, ends)) if why else (),
            before=why.before if why else None,
            after=why.after if why else None,
            writers=tuple(_writer(each, top) for each in why.neurons) if why else (),
        )


def _wrong(repair: Repair, why: RepairExplained, ends: tuple[float, float]) -> Iterator[Wrong]:
    """Yield wrong tokens with their gaps: those of the prompt's own wording come first."""
    sides = repair.gaps_before.get(why.failure, ()), repair.gaps_after.get(why.failure, ())
    found = [pair for pair in zip(*sides, strict=True) if pair[0] > 0]
    for number, (wanted, predicted) in enumerate(why.wrong):
        words = unseen.word(wanted), unseen.word(predicted)
        if len(found) < len(why.wrong):
            yield Wrong(*words)
            continue
        before, after = found[number]
        yield Wrong(*words, before, after, charts.place(before, *ends), charts.place(after, *ends))


def _open(repair: Repair) -> Iterator[float]:
    """Yield gaps before and after of all tokens that were wrong."""
    for failure, gaps in repair.gaps_before.items():
        for before, after in zip(gaps, repair.gaps_after.get(failure, ()), strict=True):
            if before > 0:
                yield from (before, after)


def _writer(neuron: RepairedNeuron, top: float) -> Writer:
    return Writer(neuron, round(100 * abs(neuron.adds) / top, 1) if top else 0.0, _words(neuron))


def _words(neuron: RepairedNeuron) -> Words:
    raised, lowered = (tuple(map(unseen.word, side)) for side in (neuron.says, neuron.unsays))
    return Words(raised, lowered)


def _step(number: int, each: RepairRound) -> Step:
    pairs = _foretold(each)
    return Step(
        number=number,
        active=each.active,
        wrong=sum(gap > 0 for gap in each.gaps),
        before=_middle(each.gaps) or 0.0,
        foretold=_middle(each.predicted),
        achieved=_middle(each.achieved),
        off=_middle([abs(foretold - achieved) for foretold, achieved in pairs]),
        still=sum(gap > 0 for gap in each.achieved) if each.achieved else None,
        note=each.note,
    )


def _middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _foretold(each: RepairRound) -> list[tuple[float, float]]:
    """Return foretold and achieved gap of each token, where both are known."""
    if len(each.predicted) != len(each.achieved):
        return []
    pairs = zip(each.predicted, each.achieved, strict=True)
    return [pair for pair in pairs if all(map(math.isfinite, pair))]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Return whole numbers that values and zero lie between, with some room on both sides."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min((0.0, *finite)), max((0.0, *finite))
    return float(math.floor(low - 0.2)), float(math.ceil(high + 0.2))


def _points(rounds: Sequence[RepairRound], ends: tuple[float, float]) -> Iterator[Point]:
    """Yield the points of all rounds, the last one's on top; evenly thinned where there are many.

    An ``x`` of 0 is the lower end; a ``y`` of 0 the upper one.
    """
    places = [
        (pair, number == len(rounds))
        for number, each in enumerate(rounds, 1)
        for pair in _foretold(each)
    ]
    for (foretold, achieved), last in places[:: math.ceil(len(places) / POINTS) or 1]:
        yield Point(
            charts.place(foretold, *ends), round(100 - charts.place(achieved, *ends), 2), last
        )


def _layers(repair: Repair) -> Iterator[Layer]:
    top = max(repair.weight_change.values(), default=0.0)
    for layer in repair.layers:
        change = repair.weight_change.get(layer, 0.0)
        width = round(100 * change / top, 1) if top else 0.0
        yield Layer(layer, repair.neurons.get(layer, 0), change, width)


def _shared(explained: Iterable[RepairExplained]) -> Iterator[Shared]:
    """Yield neurons that are told of more than one failure, those of most failures first."""
    counts: Counter[tuple[int, int]] = Counter()
    adds: dict[tuple[int, int], float] = defaultdict(float)
    words: dict[tuple[int, int], Words] = {}
    for each in explained:
        for neuron in each.neurons:
            place = neuron.layer, neuron.neuron
            counts[place] += 1
            adds[place] += neuron.adds
            words[place] = _words(neuron)
    several = [place for place, count in counts.items() if count > 1]
    for place in sorted(several, key=lambda each: (-counts[each], -adds[each], each))[:SHARED]:
        yield Shared(*place, failures=counts[place], words=words[place])


def _limits(repair: Repair) -> Iterator[Limit]:
    reading, budgets = repair.monitor, repair.budgets
    if reading is None:
        return
    if reading.texts:
        lost = reading.accuracy[0] - reading.accuracy[1]
        yield _limit("accuracy lost", lost, "points", budgets.accuracy)
        yield _limit("predictions that flipped", reading.flips, "percent", budgets.flips)
        yield _limit("mean KL", reading.kl, "nats", budgets.kl)
    if reading.earlier:
        yield _limit("earlier repairs undone", len(reading.broken), "count", budgets.broken)


def _limit(label: str, value: float, kind: str, budget: float | None) -> Limit:
    width = None
    if budget is not None:
        used = max(0.0, value) / budget if budget else float(value > 0) * 2
        width = round(min(100.0, FULL * used), 1)
    return Limit(label, value, kind, budget, width, budget is None or value <= budget)


def _flip(turn: RepairTurn) -> Flip:
    tone = {turn.before: "worse", turn.after: "better"}.get(turn.wanted, "same")
    wanted, before, after = map(unseen.word, (turn.wanted, turn.before, turn.after))
    return Flip(turn, name(turn.lead.replace("\n", "↵")), wanted, before, after, tone)


def untold(reading: RepairReading | None) -> int:
    """Return how many flipped predictions a reading counts and does not name."""
    if reading is None:
        return 0
    return max(0, round(reading.flips * reading.tokens) - len(reading.flipped))
