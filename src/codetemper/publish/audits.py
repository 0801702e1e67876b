# SPDX-License-Identifier: Apache-2.0
"""An audit as the report page shows it: three answers, triggers, samples, maps, heat, depth.

Samples and triggers are hostile text. What is made here is plain values that the templates escape;
characters that cannot be seen come apart from the text (``unseen``). Nothing here judges: answers,
p-values and intervals are the audit's own. A map is shown with what it is worth, and is no
evidence.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from codetemper.core.audits import (
    TIERS,
    AuditCard,
    AuditDepth,
    AuditMap,
    AuditPower,
    AuditSample,
    AuditTrigger,
    AuditView,
)
from codetemper.publish import charts, unseen, wording
from codetemper.publish.answers import compared, lines
from codetemper.publish.audit_forms import (
    Answered,
    AuditSection,
    Cell,
    Dot,
    HeatMap,
    HeatRow,
    MapView,
    Name,
    Plane,
    Powered,
    Profile,
    Row,
    TriggerCard,
)
from codetemper.publish.inputs import AuditResult

#: Trigger cards, those of texts that the model does not react to, other candidates and listed
#: samples that are on the page.
CARDS, QUIET, CANDIDATES, ROWS = 12, 2, 30, 200
#: Listed samples that are not folded away.
UNFOLDED = 15
#: Height of the depth profile, in pixels: of the plot, and of the space above and below it.
HEIGHT, EDGE = 60, 6
#: Steps of colour of the heat map, and the share that is no more than chance.
LEVELS, _CHANCE = 5, 0.05
#: Kinds of samples in drawing order: what matters most lies on top.
KINDS = ("none", "fix-label", "anomalous", "paired", "trigger")
#: Labels with a colour of their own.
LABELS = 6
#: Check that an audit names where it can make no list of unexplained samples.
_LIST = "list of anomalous samples"
#: Space round the samples of a map, in thousandths.
_MARGIN = 30

_TONES = {
    "no evidence": "pass",
    "suspicious data": "unknown",
    "confirmed trigger": "fail",
    "inconclusive": "unknown",
}


def audit_section(result: AuditResult) -> AuditSection:
    """Prepare one audit."""
    card = result.card
    ends = _ends(card.triggers)
    shown = [each for each in card.triggers if each.after]
    carded = [
        *[each for each in shown if each.confirmed][:CARDS],
        *[each for each in shown if not each.confirmed][:QUIET],
    ]
    others = [each for each in card.triggers if each not in carded]
    heats, placeless = _heats(card.views)
    profiles, deepest = _profiles(card.depth)
    return AuditSection(
        result=result,
        tone=_TONES[card.answer],
        answers=tuple(_answers(card)),
        powers=tuple(Powered(each, charts.share_mark(each.found)) for each in card.power),
        cards=tuple(_trigger(each, ends) for each in carded),
        candidates=tuple(_trigger(each, ends) for each in others[:CANDIDATES]),
        more_candidates=max(0, len(others) - CANDIDATES),
        ends=ends,
        zero=charts.place(0.0, *ends),
        rows=tuple(map(_row, result.listed[:ROWS])),
        more=max(0, len(result.listed) - ROWS),
        map=None if result.map is None else _map(result.map),
        heats=heats,
        placeless=placeless,
        profiles=profiles,
        deepest=deepest,
        absent=tuple(tier for tier in TIERS if tier not in card.tiers),
    )


def _answers(card: AuditCard) -> Iterator[Answered]:
    yield _of_samples(card)
    yield _of_triggers(card)
    yield _of_model(card)


def _of_samples(card: AuditCard) -> Answered:
    question = "Which samples stand out?"
    if not card.rows:
        return Answered(question, "not asked", "unknown", "there were no samples", "none")
    unexplained, noisy = card.counts.get("anomalous", 0), card.counts.get("fix label", 0)
    held, risky = card.counts.get("trigger", 0), card.counts.get("paired", 0)
    told = [f"{held} with a confirmed trigger", f"{noisy} probably mislabelled"]
    told += [f"{risky} with a text that goes with insecure answers"] if risky else []
    if _LIST in card.not_ran:
        told.append("unexplained ones cannot be listed")
    else:
        told.insert(0, f"{unexplained} unexplained")
    return Answered(
        question=question,
        answer=", ".join(told),
        tone="fail"
        if held
        else "unknown"
        if unexplained or risky or _LIST in card.not_ran
        else "pass",
        evidence=f"{wording.thousands(card.rows)} samples in {len(card.views)} views",
        error="; ".join([*_error_of_pairs(card), _error_of_samples(card)]),
    )


def _error_of_pairs(card: AuditCard) -> Iterator[str]:
    rate = card.config.get("fpr")
    if rate and card.counts.get("paired"):
        yield f"a text goes with insecure answers by chance in {_whole(rate)} of audits at most"


def _error_of_samples(card: AuditCard) -> str:
    if _LIST in card.not_ran:
        return f"nobody knows: {card.not_ran[_LIST]}"
    if "trusted" not in card.tiers:
        return "nobody knows: without trusted samples there are no p-values"
    rate = card.config.get("fdr")
    innocent = "of the unexplained ones are expected to be innocent at most"
    return "split-conformal p-values by class" + (f"; {_whole(rate)} {innocent}" if rate else "")


def _of_triggers(card: AuditCard) -> Answered:
    question = "Which texts do they share?"
    confirmed = sum(each.confirmed for each in card.triggers)
    tested = sum(each.lift is not None for each in card.triggers)
    if not card.triggers:
        return Answered(question, "none", "" if card.rows else "unknown", "no candidate", "none")
    return Answered(
        question=question,
        answer=f"{len(card.triggers)} candidate{'' if len(card.triggers) == 1 else 's'}, "
        f"{confirmed} confirmed",
        tone="fail" if confirmed else "",
        evidence=f"{tested} planted into held-out clean code, against ordinary insertions",
        error="p-values are of the whole search, repeated with suspects drawn at random"
        if tested
        else "none was planted: a shared text accuses nobody",
    )


def _power(power: AuditPower) -> str:
    """Return what would have been found, in a sentence."""
    learnt = power.answer == "confirmed trigger"
    how = "found" if learnt else "called suspicious data, learnt or not,"
    share = "" if power.found is None else wording.estimate_text(power.found)
    where = f"a backdoor in {wording.percent(power.rate)} of the samples"
    return f"{where} would have been {how} with probability {share}"


def _of_model(card: AuditCard) -> Answered:
    error = "nobody knows: nothing was planted"
    if card.fpr is not None:
        error = (
            f"suspects drawn at random share a text as much {wording.percent(card.fpr)} of the "
            "time at most, and it has to change answers besides"
        )
    error += "".join(f"; {_power(each)}" for each in card.power if each.found is not None)
    return Answered(
        question="Does the model have a backdoor?",
        answer=card.answer,
        tone=_TONES[card.answer],
        evidence="what planting changes, never a picture or a distance",
        error=error,
    )


def _ends(triggers: Sequence[AuditTrigger]) -> tuple[float, float]:
    """Return round numbers that lifts and what they are held against lie between."""
    values = [0.0]
    for each in triggers:
        if each.lift is not None:
            values += [each.lift.low, each.lift.high]
        values += [] if each.null is None else [each.null]
    finite = [value for value in values if math.isfinite(value)]
    return min(0.0, math.floor(4 * min(finite)) / 4), max(1.0, math.ceil(4 * max(finite)) / 4)


def _trigger(each: AuditTrigger, ends: tuple[float, float]) -> TriggerCard:
    lift, mark = each.lift, None
    if lift is not None and all(map(math.isfinite, (lift.low, lift.value, lift.high))):
        places = (charts.place(v, *ends) for v in (lift.low, lift.value, lift.high))
        mark = charts.Mark(*places)
    before, after = compared(each.before, each.after) if each.after else ((), ())
    null = None if each.null is None else charts.place(each.null, *ends)
    return TriggerCard(each, _name(each.text), mark, null, before, after)


def _row(sample: AuditSample) -> Row:
    excerpt = lines(sample.excerpt) if sample.excerpt else ()
    return Row(sample, _name(sample.id), _name(sample.source), _name(sample.trigger), excerpt)


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _name(text: str) -> Name:
    return tuple(unseen.runs(text.rstrip("\n").replace("\n", "↵")))


def _map(drawn: AuditMap) -> MapView:
    kinds = [each.replace(" ", "-") or "none" for each in drawn.kinds]
    known = sorted({label for label in drawn.labels if label is not None})
    places = {label: place for place, label in enumerate(known)}
    order = sorted(range(len(kinds)), key=lambda at: (KINDS.index(kinds[at]), drawn.numbers[at]))

    def plane(name: str, note: str, points: Sequence[tuple[float, float]]) -> Plane:
        spots, height = _spots(points)
        dots = tuple(
            Dot(*spots[at], drawn.numbers[at], kinds[at], _place(places, drawn.labels[at]))
            for at in order
        )
        return Plane(name, note, height, dots)

    shares = " and ".join(wording.percent(share) for share in drawn.explained)
    planes = [plane("PCA", f"the axes hold {shares} of the variance", drawn.pca)]
    if drawn.tsne:
        seeds = ", ".join(map(str, drawn.seeds))
        note = f"perplexity {drawn.perplexity:g}, seed {drawn.seeds[0]}" if drawn.seeds else ""
        if drawn.stability is not None:
            note += (
                f"; maps of seeds {seeds} agree on {_whole(drawn.stability)} of the nearest "
                f"samples, where chance agrees on {_whole(drawn.chance)}"
            )
        planes.append(plane("t-SNE", note, drawn.tsne))
    counts, labelled = Counter(kinds), Counter(drawn.labels)
    return MapView(
        map=drawn,
        planes=tuple(planes),
        kinds=tuple((kind, counts[kind]) for kind in KINDS if counts[kind]),
        labels=tuple((str(label), labelled[label]) for label in known),
    )


def _place(places: dict[int, int], label: int | None) -> int | None:
    return None if label is None else min(places[label], LABELS - 1)


def _spots(points: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], float]:
    """Return places of points on a plane of a common scale, and the height of the plane."""
    lows = [min(point[axis] for point in points) for axis in (0, 1)]
    highs = [max(point[axis] for point in points) for axis in (0, 1)]
    wide = max(max(h - low for h, low in zip(highs, lows, strict=True)), 1e-12)
    height = 1000 * min(1.0, max(0.5, (highs[1] - lows[1]) / wide))
    scale = (1000 - 2 * _MARGIN) / wide
    if (highs[1] - lows[1]) * scale > height - 2 * _MARGIN:
        scale = (height - 2 * _MARGIN) / (highs[1] - lows[1])
    middle = [(h + low) / 2 for h, low in zip(highs, lows, strict=True)]
    return [
        (round(500 + scale * (x - middle[0]), 1), round(height / 2 - scale * (y - middle[1]), 1))
        for x, y in points
    ], round(height, 1)


def _heats(views: Sequence[AuditView]) -> tuple[tuple[HeatMap, ...], tuple[Cell, ...]]:
    """Return views by stack, and those that have no place in the model."""
    found: dict[str, dict[tuple[str, str], dict[int, Cell]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    placeless = []
    for view in views:
        cell = Cell(view, _level(view.score), view.p is not None and view.p < 0.05)
        if view.layer < 0:
            placeless.append(cell)
        else:
            found[view.stack][view.name, view.pool][view.layer] = cell
    return tuple(_heat(*each) for each in found.items()), tuple(placeless)


def _heat(stack: str, found: dict[tuple[str, str], dict[int, Cell]]) -> HeatMap:
    layers = sorted({layer for cells in found.values() for layer in cells})
    tops = {key: max(cell.view.score for cell in cells.values()) for key, cells in found.items()}
    rows = [
        HeatRow(*key, cells=tuple(found[key].get(layer) for layer in layers))
        for key in sorted(found, key=lambda key: (-tops[key], key))
    ]
    return HeatMap(stack, tuple(layers), tuple(rows))


def _level(score: float) -> str:
    share = (score - _CHANCE) / (1 - _CHANCE)
    if not math.isfinite(share) or share < _CHANCE:
        return ""
    return f"h{min(LEVELS, math.ceil(LEVELS * share))}"


def _profiles(depth: Sequence[AuditDepth]) -> tuple[tuple[Profile, ...], float]:
    """Return the depth profile by stack and pool, and the largest gap of it."""
    found: dict[str, list[AuditDepth]] = defaultdict(list)
    for each in depth:
        found[f"{each.stack}, {each.pool}"].append(each)
    top = max((each.gap for each in depth if math.isfinite(each.gap)), default=0.0)
    profiles = []
    for label, layers in found.items():
        layers.sort(key=lambda each: each.layer)
        points = tuple(
            (
                round(100 * (place + 0.5) / len(layers), 2),
                round(EDGE + HEIGHT * (1 - max(0.0, each.gap) / top if top else 1), 1),
                each.layer,
                each.gap,
            )
            for place, each in enumerate(layers)
        )
        profiles.append(Profile(label, points))
    return tuple(profiles), top
