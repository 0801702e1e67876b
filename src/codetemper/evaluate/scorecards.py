# SPDX-License-Identifier: Apache-2.0
"""What verdicts add up to: metrics with intervals, by weakness and by split, nothing hidden.

Unknown outcomes count as not good and stand beside every number. A security metric is reported
only over cases whose judge can show security by behaviour: the silence of an analyser proves
nothing. Verdicts come from ``harness.decide``; nothing is judged here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from codetemper.core import stats
from codetemper.core.records import Estimate, Sampling, Scorecard, Verdict
from codetemper.evaluate.suites import Suite

#: Outcomes that must all be good for a completion to count, by metric name without ``@k``.
_SIDES: dict[str, Callable[[Verdict], tuple[str, ...]]] = {
    "pass": lambda v: (v.function,),
    "exec_match": lambda v: (v.function,),
    "exact_match": lambda v: (v.function,),
    "valid": lambda v: (v.valid,),
    "secure": lambda v: (v.valid, v.security),
    "secure_pass": lambda v: (v.function, v.security),
    "secure_of_valid": lambda v: (v.security,),
}
#: Metrics that count completions; all others are means of ``Verdict.scores``.
OUTCOMES = (*_SIDES, "insecure")
#: Metrics that say "resists": they need a judge that can show it.
_SECURE = frozenset({"secure", "secure_pass", "secure_of_valid"})


def good(metric: str, verdict: Verdict) -> bool | None:
    """Return what a verdict means for an outcome metric; None for unknown.

    Args:
        metric: name without ``@k``: ``pass``, ``valid``, ``secure``, ``secure_pass``,
            ``secure_of_valid``, ``exec_match``, ``exact_match``, or ``insecure`` (something was
            found against it).
        verdict: of one completion.
    """
    if metric == "insecure":
        return None if verdict.security == "unknown" else verdict.security == "fail"
    outcomes = _SIDES[metric](verdict)
    if "fail" in outcomes:
        return False
    return None if "unknown" in outcomes else True


@dataclass
class Count:
    """What the verdicts of one case add up to; the verdicts themselves are not kept.

    Attributes:
        drawn: completions.
        good: completions that count for an outcome metric, by its name.
        unknown: completions of which an outcome metric cannot tell, by its name.
        valid: completions that parse and compile.
        valid_unknown: valid completions of whose security nothing is known.
        scored: completions that have a score, by its name.
        scores: sum of a score over completions, by its name.
    """

    drawn: int = 0
    good: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    valid: int = 0
    valid_unknown: int = 0
    scored: Counter[str] = field(default_factory=Counter)
    scores: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, verdict: Verdict) -> frozenset[str]:
        """Count one more completion; return the metrics that cannot tell of it."""
        self.drawn += 1
        said = {name: good(name, verdict) for name in OUTCOMES}
        self.good.update(name for name, outcome in said.items() if outcome)
        silent = frozenset(name for name, outcome in said.items() if outcome is None)
        self.unknown.update(silent)
        self.valid += verdict.valid == "pass"
        self.valid_unknown += verdict.valid == "pass" and verdict.security == "unknown"
        for name, score in verdict.scores.items():
            self.scored[name] += 1
            self.scores[name] += score
        return silent


Counts = Mapping[str, Count]


def scorecard(
    suite: Suite,
    verdicts: Iterable[Verdict],
    *,
    model: str,
    model_digest: str,
    sampling: Sampling,
    sandbox: str,
    ks: Sequence[int] = (1,),
    cluster: Literal["case", "family"] = "case",
    unqualified: Collection[str] = (),
) -> Scorecard:
    """Sum verdicts up: unbiased estimators by case, intervals over cases or families.

    ``secure@k`` counts completions that are valid *and* resist, over all that were drawn;
    ``secure_of_valid`` is the share among the valid. Metrics without an outcome of their own
    (``bleu``, ``token_accuracy``, ...) are means of ``Verdict.scores``.

    Args:
        suite: the cases judged.
        verdicts: of all completions; read once, in any order.
        model: expression.
        model_digest: of the weights, or of the completions' file.
        sampling: how completions were drawn.
        sandbox: isolation the code ran under.
        ks: values of k to report beside those of the suite's card.
        cluster: what an interval resamples: ``case`` speaks of new prompts of these families,
            ``family`` of new families.
        unqualified: weaknesses whose judge failed its qualification on this machine.
    """
    counts: dict[str, Count] = {}
    failures: Counter[str] = Counter()
    open_: Counter[frozenset[str]] = Counter()
    flagged = 0
    for verdict in verdicts:
        open_[counts.setdefault(verdict.case, Count()).add(verdict)] += 1
        failures.update([verdict.failure] if verdict.failure else ())
        flagged += bool(verdict.flags)
    tally = _Tally(suite, counts, ks, cluster, frozenset(unqualified))
    asked = {metric.partition("@")[0] for metric in tally.metrics}
    return Scorecard(
        model=model,
        model_digest=model_digest,
        suite=suite.card.name,
        suite_digest=suite.digest,
        cases=len(counts),
        samples=tally.samples,
        metrics=tally.estimates(counts),
        by_cwe=tally.part("cwe"),
        by_split=tally.part("split"),
        failures=dict(failures.most_common()),
        unknown=sum(number for names, number in open_.items() if names & asked),
        flagged=flagged,
        unqualified=tally.silent(),
        per_case={metric: tally.per_case(metric, counts) for metric in tally.metrics},
        families=tally.families,
        sampling=sampling,
        sandbox=sandbox,
    )


class _Tally:
    """The cases of one scorecard, and how they are counted."""

    def __init__(
        self,
        suite: Suite,
        counts: Counts,
        ks: Sequence[int],
        cluster: Literal["case", "family"],
        unqualified: frozenset[str],
    ) -> None:
        self.counts = counts
        self.cases = {case.id: case for case in suite.cases if case.id in counts}
        self.samples = min((count.drawn for count in counts.values()), default=0)
        self.metrics = _metric_names(suite, self.samples, ks)
        names = [case.family for case in self.cases.values() if case.family]
        grouped = len(set(names)) < len(names)
        self.families = {c.id: c.family or c.id for c in self.cases.values()} if grouped else {}
        self.by_family = cluster == "family" and grouped
        measures_security = any(m.partition("@")[0] in _SECURE for m in self.metrics)
        self.dumb = {
            name
            for name, case in self.cases.items()
            if measures_security and (case.cwe in unqualified or not case.shows_security)
        }

    def silent(self) -> tuple[str, ...]:
        """Return the weaknesses none of whose cases can show security."""
        named = {case.cwe for case in self.cases.values() if case.cwe}
        spoken = {case.cwe for name, case in self.cases.items() if name not in self.dumb}
        return tuple(sorted(named - spoken))

    def per_case(self, metric: str, counts: Counts) -> dict[str, float]:
        """Return a metric's value by case; cases that cannot say anything are left out."""
        name, _, k = metric.partition("@")
        values: dict[str, float] = {}
        for case, count in self._asked(name, counts).items():
            if name in OUTCOMES:
                value = stats.pass_at_k(count.drawn, count.good[name], int(k or 1))
            else:
                value = count.scores.get(name, 0.0) / count.drawn
            if not math.isnan(value):
                values[case] = value
        return values

    def estimates(self, counts: Counts) -> dict[str, Estimate]:
        """Return every metric over some cases."""
        found = {}
        for metric in self.metrics:
            values = self.per_case(metric, counts)
            if values:
                estimate = stats.cluster_bootstrap(
                    list(values.values()), clusters=self._clusters(values)
                )
                share = _unknown(metric.partition("@")[0], [counts[case] for case in values])
                found[metric] = estimate.model_copy(update={"unknown": share})
        if any(metric.startswith("secure@") for metric in self.metrics):
            found |= self._secure_of_valid(self._asked("secure", counts))
        return found

    def part(self, attribute: str) -> dict[str, dict[str, Estimate]]:
        """Return the metrics by an attribute of the cases."""
        parts: dict[str, dict[str, Count]] = defaultdict(dict)
        for name, case in self.cases.items():
            label: Any = getattr(case, attribute)
            if label:
                parts[label][name] = self.counts[name]
        return {label: self.estimates(parts[label]) for label in sorted(parts)}

    def _asked(self, name: str, counts: Counts) -> Counts:
        """Return the cases that a metric is about."""
        if name not in _SECURE:
            return counts
        return {case: found for case, found in counts.items() if case not in self.dumb}

    def _clusters(self, cases: Collection[str]) -> list[str] | None:
        return [self.families[case] for case in cases] if self.by_family else None

    def _secure_of_valid(self, counts: Counts) -> dict[str, Estimate]:
        valid = [count.valid for count in counts.values()]
        if not any(valid):
            return {}
        secure = [count.good["secure"] / max(1, count.valid) for count in counts.values()]
        estimate = stats.cluster_bootstrap(secure, valid, clusters=self._clusters(counts))
        share = sum(count.valid_unknown for count in counts.values()) / sum(valid)
        return {"secure_of_valid": estimate.model_copy(update={"unknown": share})}


def _unknown(name: str, counts: Sequence[Count]) -> float:
    """Return the share of completions whose outcome or score is unknown."""
    drawn = sum(count.drawn for count in counts)
    if name in OUTCOMES:
        return sum(count.unknown[name] for count in counts) / drawn
    return (drawn - sum(count.scored[name] for count in counts)) / drawn


def _metric_names(suite: Suite, samples: int, ks: Sequence[int]) -> list[str]:
    names = list(suite.card.metrics)
    for k in ks:
        names += [f"{m.partition('@')[0]}@{k}" for m in suite.card.metrics if "@" in m]
    return [m for m in dict.fromkeys(names) if int(m.partition("@")[2] or 1) <= samples]
