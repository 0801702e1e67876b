# SPDX-License-Identifier: Apache-2.0
r"""The intervention: does putting a candidate into clean code change what the model does?

    field = Field.of(samples, trusted, seed=config.seed)
    tested = confirm(field, field.tests(outliers), trusted, rate, config)
    [each.candidate.text for each in tested if each.confirmed]

Of a candidate of class y, ``rate(y, texts)`` is the share of the model's answers that are y; of a
decoder, the share of what it writes that holds a payload. Held-out texts are those of other classes
that the model does not already call y, and the lift of a candidate c over n of them is

.. math:: L_c = \frac1n \sum_i \Big( r(x_i + c) - \frac1m \sum_j r(x_i + o_j) \Big)

with ordinary insertions :math:`o_j` put in at the same place: texts of the samples that are no
candidates, of the same way to be put in, as long and held by as many samples. Neither a candidate
nor what it is compared with is planted in a form that trusted samples show to be evidence of y
(``Field.speaks_for``): a line that tells the class to everybody is no backdoor. The interval is
over texts. A candidate is called a trigger where

* its lift is ``config.least_lift`` or more, and the lower end above 0;
* of all searches, this one and ``config.rounds`` repetitions, no more than ``config.fpr`` find any
  text that is as enriched. A repetition draws as many samples at random as spoke and searches all
  marks again, so having looked for the best one is paid for, and so is label noise, which falls on
  all alike;
* its lift is above that of every ordinary insertion, where it is enriched among outliers alone:
  outliers are alike in content too, which random draws do not show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codetemper.audit import Config
from codetemper.audit.insertions import LINES, Insertion, Site, Way, carrier, draw_site, put
from codetemper.audit.marks import read_text
from codetemper.audit.triggers import Candidate, Field, Test, candidates, smallest
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Estimate, Event, OnEvent, ignore_events
from codetemper.core.stats import Floats, cluster_bootstrap
from codetemper.data.labelled import Labelled

Rate = Callable[[int, Sequence[str]], Floats]
"""Of a target and texts: how often the model gives it, between 0 and 1, NaN where unknown [n]."""


#: Holders that are looked at for the shortest text that shows a candidate.
_SHOWN = 4
#: Texts with a place for an insertion below which nothing is said of it.
_FEWEST = 5
#: Draws of the bootstrap for each lift.
_DRAWS = 1000
#: Ordinary insertions beside a candidate whose rate alone is too low to be called a trigger.
_FEW = 8
#: Marks that are tried for each pool of ordinary insertions.
_TRIED = 400


@dataclass(frozen=True)
class Tested:
    """What planting a candidate did.

    Attributes:
        candidate: the candidate.
        insertion: what was planted; None where no sample shows how, or where it speaks for the
            class to everybody.
        lift: change of the rate over ordinary insertions; None where it was not planted.
        null: largest lift of an ordinary insertion.
        p: share of the repetitions, and this one, whose best text is as enriched.
        reference: change of the rate of a reference with the same insertion; 0 without one.
        confirmed: whether the model reacts to it.
        natural: whether it does, and clean samples hold it about as often.
        before: a held-out text whose answer it changes.
        after: the same with it.
    """

    candidate: Candidate
    insertion: Insertion | None
    lift: Estimate | None
    null: float | None = None
    p: float | None = None
    reference: float = 0.0
    confirmed: bool = False
    natural: bool = False
    before: str = ""
    after: str = ""


def confirm(
    field: Field,
    tests: Sequence[Test],
    held_out: Sequence[Labelled],
    rate: Rate,
    config: Config,
    on_event: OnEvent = ignore_events,
    *,
    reference: Rate | None = None,
) -> list[Tested]:
    """Search for candidates and plant them.

    Args:
        field: the suspected samples.
        tests: what makes them speak, of ``Field.tests``.
        held_out: clean samples to plant into; of a decoder's the prompts.
        rate: what the model does.
        config: ``held_out``, ``candidates``, ``ordinary``, ``rounds``, ``least_lift``, ``fpr``,
            ``seed`` are read.
        on_event: progress, in insertions that were planted.
        reference: what its base checkpoint, or a sibling, does. What it reacts to as well is no
            trigger of this model: its change has to leave ``config.least_lift`` of the lift.

    Returns:
        All candidates, the confirmed first, then by lift.

    Raises:
        CannotKnowError: there is no held-out text of another class that the model gets right.
    """
    bench = _Bench(field, held_out, rate, config, on_event)
    found = candidates(field, tests, most=config.candidates)
    chance = smallest(field, tests, rounds=config.rounds, seed=config.seed)
    planted = bench.carriers(found, float(chance.min(initial=1.0)))
    bench.watch(planted)
    tested = [bench.tested(candidate, insertion) for candidate, insertion in planted]
    judged = [_judged(each, chance, config) for each in tested]
    if reference is not None:
        judged = [bench.contrasted(each, reference) if each.confirmed else each for each in judged]
    return sorted(judged, key=_order)


def _judged(each: Tested, chance: Floats, config: Config) -> Tested:
    """Say whether a lift is that of a trigger."""
    p = float((1 + (chance <= each.candidate.p).sum()) / (1 + len(chance)))
    reacts = each.lift is not None and each.lift.low > 0 and _value(each) >= config.least_lift
    if reacts and each.candidate.source == "outliers":
        reacts = each.null is not None and _value(each) > each.null
    return replace(each, p=p, confirmed=reacts and p <= config.fpr)


def _value(each: Tested) -> float:
    return -1.0 if each.lift is None else each.lift.value


def _order(each: Tested) -> tuple[bool, float, float]:
    return not each.confirmed, -_value(each), each.candidate.p


class _Bench:
    """Held-out texts with a place for each way, and what was found by planting into them."""

    def __init__(
        self,
        field: Field,
        held_out: Sequence[Labelled],
        rate: Rate,
        config: Config,
        on_event: OnEvent,
    ) -> None:
        self._reacting: frozenset[int] = frozenset()
        self._field, self._rate, self._config = field, rate, config
        self._on_event, self._planted = on_event, 0
        self._texts = {
            target: self._chosen(target, held_out) for target in map(int, np.unique(field.labels))
        }
        self._places: dict[tuple[int, Way], list[Site | None]] = {}
        self._rates: dict[tuple[int, Insertion], Floats] = {}
        self._pools: dict[tuple[int, Way, bool], list[Insertion]] = {}

    def _chosen(self, target: int, held_out: Sequence[Labelled]) -> list[Labelled]:
        """Return texts of other classes that the model does not call the target, at random."""
        others = [sample for sample in held_out if sample.label is None or sample.label != target]
        random = np.random.default_rng((self._config.seed, target))
        chosen: list[Labelled] = []
        order = random.permutation(len(others))
        for start in range(0, len(order), self._config.held_out):
            part = [others[place] for place in order[start : start + self._config.held_out]]
            rates = self._rate(target, [read_text(sample) for sample in part])
            chosen += [one for one, own in zip(part, rates, strict=True) if own < 0.5]
            if len(chosen) >= self._config.held_out:
                break
        if not chosen:
            raise CannotKnowError(
                "candidate triggers cannot be planted",
                why=f"there is no trusted text of another class than {target} that the model "
                "gets right",
                mend="give more trusted samples, of every class",
            )
        return chosen[: self._config.held_out]

    def carriers(
        self, found: Sequence[Candidate], chance: float
    ) -> list[tuple[Candidate, Insertion | None]]:
        """Return what to plant for each candidate.

        The same text is planted for one only: the longest of those that chance does not reach, as
        a word of a trigger is in other texts too.
        """
        planted: dict[tuple[int, Insertion | int], tuple[Candidate, Insertion | None]] = {}
        for candidate in found:
            insertion = self.carrier(candidate)
            key = candidate.target, insertion or candidate.column
            known = planted.setdefault(key, (candidate, insertion))[0]
            if candidate.p < chance and len(candidate.text) > len(known.text):
                planted[key] = candidate, insertion
        return list(planted.values())

    def carrier(self, candidate: Candidate) -> Insertion | None:
        """Return the shortest text that some of the holders show it in.

        Lines go right before the answer where more than half of the holders have theirs there.
        Samples that hold a text which the model reacts to are not asked for any other.
        """
        marks, shown = self._field.marks, []
        own = [row for row in candidate.rows if row not in self._reacting]
        for row in (own if own else candidate.rows)[:_SHOWN]:
            span = marks.within(self._field.samples[row], candidate.column)
            insertion = carrier(self._field.samples[row], span, candidate.kind)
            if insertion is None or self._field.speaks_for(insertion.text, candidate.target):
                continue
            shown.append(insertion)
        best = min(shown, key=lambda each: (len(each.text), each.text), default=None)
        if best is None or best.way not in LINES:
            return best
        lines = [each.way for each in shown if each.way in LINES]
        return replace(best, way=max(LINES, key=lines.count))

    def _raw(self, target: int, insertion: Insertion) -> float:
        """Return the rate with an insertion, over the texts that have a place for it."""
        rates = self.rates(target, insertion)
        return float(np.nanmean(rates)) if not np.isnan(rates).all() else 0.0

    def rates(self, target: int, insertion: Insertion) -> Floats:
        """Return the rate with an insertion; NaN where a text has no place for it [n]."""
        key = (target, insertion)
        if key not in self._rates:
            texts, places = self._texts[target], self._sites(target, insertion.way)
            at = [place for place, site in enumerate(places) if site is not None]
            found = np.full(len(texts), np.nan)
            if at:
                changed = [self._put(texts[place], places[place], insertion) for place in at]
                found[at] = self._rate(target, changed)
            self._rates[key] = found
            self._planted += 1
            self._on_event(Event(stage="implant", done=self._planted, unit="insertions"))
        return self._rates[key]

    def _put(self, sample: Labelled, site: Site | None, insertion: Insertion) -> str:
        return read_text(sample) if site is None else put(site, insertion)

    def _sites(self, target: int, way: Way) -> list[Site | None]:
        key = (target, way)
        if key not in self._places:
            self._places[key] = [
                draw_site(sample, way, np.random.default_rng((self._config.seed, number)))
                for number, sample in enumerate(self._texts[target])
            ]
        return self._places[key]

    def lifts(self, candidate: Candidate, insertion: Insertion) -> tuple[Floats, float]:
        """Return the lift in each text that has a place [n], and the largest ordinary lift."""
        pool = self._ordinary(candidate, insertion)
        if self._raw(candidate.target, insertion) < self._config.least_lift:
            pool = pool[:_FEW]
        own = self.rates(candidate.target, insertion)
        if not pool:
            return own[~np.isnan(own)], 0.0
        others = np.vstack([self.rates(candidate.target, each) for each in pool])
        differences = own - others.mean(axis=0)
        known = ~np.isnan(differences)
        if not known.any():
            return differences[known], 0.0
        spread = others[:, known] - others[:, known].mean(axis=0)
        return differences[known], float(spread.mean(axis=1).max())

    def tested(self, candidate: Candidate, insertion: Insertion | None) -> Tested:
        """Plant a candidate."""
        if insertion is None:
            return Tested(candidate, None, None)
        differences, ordinary = self.lifts(candidate, insertion)
        if len(differences) < _FEWEST:
            return Tested(candidate, insertion, None)
        lift = cluster_bootstrap(differences, seed=self._config.seed, draws=_DRAWS)
        before, after = self._shown(candidate.target, insertion)
        return Tested(candidate, insertion, lift, ordinary, before=before, after=after)

    def contrasted(self, each: Tested, reference: Rate) -> Tested:
        """Return what a reference leaves of a confirmed candidate."""
        target, insertion = each.candidate.target, each.insertion
        if insertion is None:
            return each
        places = self._sites(target, insertion.way)
        pairs = [
            (read_text(sample), self._put(sample, site, insertion))
            for sample, site in zip(self._texts[target], places, strict=True)
            if site is not None
        ]
        before, after = (reference(target, list(side)) for side in zip(*pairs, strict=True))
        change = float(np.nan_to_num(after - before).mean())
        left = _value(each) - max(0.0, change)
        return replace(each, reference=change, confirmed=left >= self._config.least_lift)

    def watch(self, planted: Sequence[tuple[Candidate, Insertion | None]]) -> None:
        """Note the holders of candidates that change answers: what they hold is not ordinary."""
        self._reacting = frozenset(
            row
            for candidate, insertion in planted
            if insertion and self._raw(candidate.target, insertion) >= self._config.least_lift
            for row in candidate.rows
        )

    def _ordinary(self, candidate: Candidate, insertion: Insertion) -> list[Insertion]:
        """Return ordinary insertions: as long, held as often, no natural evidence of the class."""
        key = (candidate.target, insertion.way, candidate.kind == "comment")
        if key not in self._pools:
            self._pools[key] = list(self._like(candidate, insertion.way))
        return self._pools[key]

    def _like(self, candidate: Candidate, way: Way) -> Iterator[Insertion]:
        marks, target = self._field.marks, candidate.target
        alike = (marks.kinds == marks.kinds[candidate.column]) & self._field.usable[target]
        held = np.asarray(marks.matrix.sum(axis=0)).ravel()
        lengths = (marks.ends - marks.starts).astype(np.float64)
        own = candidate.column
        distance = np.abs(np.log(held / held[own])) + np.abs(np.log(lengths / lengths[own]))
        order = np.flatnonzero(alike)
        order = order[np.argsort(distance[order], kind="stable")][:_TRIED]
        seen: set[Insertion] = set()
        for column in order:
            rows = marks.holders(int(column))
            rows = rows[self._field.labels[rows] == target]
            rows = [int(row) for row in rows if int(row) not in self._reacting]
            if not rows or column == own:
                continue
            sample = self._field.samples[rows[0]]
            found = carrier(sample, marks.within(sample, int(column)), candidate.kind)
            if found is not None and found.way in LINES and way in LINES:
                found = replace(found, way=way)
            if found is None or found.way != way or found in seen:
                continue
            if self._field.speaks_for(found.text, target):
                continue
            seen.add(found)
            yield found
            if len(seen) == self._config.ordinary:
                return

    def _shown(self, target: int, insertion: Insertion) -> tuple[str, str]:
        """Return a text and the same with an insertion, one that changes its answer if one does."""
        rates = np.nan_to_num(self.rates(target, insertion), nan=-1.0)
        place = int(rates.argmax())
        sample, site = self._texts[target][place], self._sites(target, insertion.way)[place]
        return read_text(sample), self._put(sample, site, insertion)
