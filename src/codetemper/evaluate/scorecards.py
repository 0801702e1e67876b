# SPDX-License-Identifier: Apache-2.0
"""What verdicts add up to: metrics with intervals, by weakness and by split, nothing hidden.

Unknown outcomes count as not good and stand beside every number. A security metric is reported
only over cases whose judge can show security by behaviour: the silence of an analyser proves
nothing. Verdicts come from ``harness.decide``; nothing is judged here.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from codetemper.core import stats
from codetemper.core.records import Case, Estimate, Sampling, Scorecard, Verdict
from codetemper.evaluate.suites import Suite

Groups = Mapping[str, Sequence[Verdict]]
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
#: Metrics that say "resists": they need a judge that can show it.
_SECURE = frozenset({"secure", "secure_pass", "secure_of_valid"})


def shows_security(case: Case) -> bool:
    """Tell whether the case's judge tries an exploit, so that resisting it can be seen."""
    checks = case.spec.get("checks", ())
    return any(isinstance(check, dict) and check.get("kind") == "security" for check in checks)


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


def scorecard(
    suite: Suite,
    verdicts: Sequence[Verdict],
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
        verdicts: of all completions.
        model: expression.
        model_digest: of the weights, or of the completions' file.
        sampling: how completions were drawn.
        sandbox: isolation the code ran under.
        ks: values of k to report beside those of the suite's card.
        cluster: what an interval resamples: ``case`` speaks of new prompts of these families,
            ``family`` of new families.
        unqualified: weaknesses whose judge failed its qualification on this machine.
    """
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.case].append(verdict)
    tally = _Tally(suite, groups, ks, cluster, frozenset(unqualified))
    base = {metric.partition("@")[0] for metric in tally.metrics} & {*_SIDES, "insecure"}
    return Scorecard(
        model=model,
        model_digest=model_digest,
        suite=suite.card.name,
        suite_digest=suite.digest,
        cases=len(groups),
        samples=tally.samples,
        metrics=tally.estimates(groups),
        by_cwe=tally.part("cwe"),
        by_split=tally.part("split"),
        failures=dict(Counter(v.failure for v in verdicts if v.failure).most_common()),
        unknown=sum(any(good(name, v) is None for name in base) for v in verdicts),
        flagged=sum(bool(v.flags) for v in verdicts),
        unqualified=tally.silent(),
        per_case={metric: tally.per_case(metric, groups) for metric in tally.metrics},
        families=tally.families,
        sampling=sampling,
        sandbox=sandbox,
    )


class _Tally:
    """The cases of one scorecard, and how they are counted."""

    def __init__(
        self,
        suite: Suite,
        groups: Groups,
        ks: Sequence[int],
        cluster: Literal["case", "family"],
        unqualified: frozenset[str],
    ) -> None:
        self.groups = groups
        self.cases = {case.id: case for case in suite.cases if case.id in groups}
        self.samples = min((len(group) for group in groups.values()), default=0)
        self.metrics = _metric_names(suite, self.samples, ks)
        names = [case.family for case in self.cases.values() if case.family]
        grouped = len(set(names)) < len(names)
        self.families = {c.id: c.family or c.id for c in self.cases.values()} if grouped else {}
        self.by_family = cluster == "family" and grouped
        measures_security = any(m.partition("@")[0] in _SECURE for m in self.metrics)
        self.dumb = {
            name
            for name, case in self.cases.items()
            if measures_security and (case.cwe in unqualified or not shows_security(case))
        }

    def silent(self) -> tuple[str, ...]:
        """Return the weaknesses none of whose cases can show security."""
        named = {case.cwe for case in self.cases.values() if case.cwe}
        spoken = {case.cwe for name, case in self.cases.items() if name not in self.dumb}
        return tuple(sorted(named - spoken))

    def per_case(self, metric: str, groups: Groups) -> dict[str, float]:
        """Return a metric's value by case; cases that cannot say anything are left out."""
        name, _, k = metric.partition("@")
        values: dict[str, float] = {}
        for case, verdicts in self._asked(name, groups).items():
            if name in _SIDES or name == "insecure":
                count = sum(good(name, verdict) is True for verdict in verdicts)
                value = stats.pass_at_k(len(verdicts), count, int(k or 1))
            else:
                value = sum(v.scores.get(name, 0.0) for v in verdicts) / len(verdicts)
            if not math.isnan(value):
                values[case] = value
        return values

    def estimates(self, groups: Groups) -> dict[str, Estimate]:
        """Return every metric over some cases."""
        found = {}
        for metric in self.metrics:
            values = self.per_case(metric, groups)
            if values:
                name = metric.partition("@")[0]
                estimate = stats.cluster_bootstrap(
                    list(values.values()), clusters=self._clusters(values)
                )
                found[metric] = estimate.model_copy(
                    update={"unknown": _unknown(name, [groups[case] for case in values])}
                )
        if any(metric.startswith("secure@") for metric in self.metrics):
            found |= self._secure_of_valid(self._asked("secure", groups))
        return found

    def part(self, attribute: str) -> dict[str, dict[str, Estimate]]:
        """Return the metrics by an attribute of the cases."""
        parts: dict[str, dict[str, Sequence[Verdict]]] = defaultdict(dict)
        for name, case in self.cases.items():
            label: Any = getattr(case, attribute)
            if label:
                parts[label][name] = self.groups[name]
        return {label: self.estimates(parts[label]) for label in sorted(parts)}

    def _asked(self, name: str, groups: Groups) -> Groups:
        """Return the cases that a metric is about."""
        if name not in _SECURE:
            return groups
        return {case: found for case, found in groups.items() if case not in self.dumb}

    def _clusters(self, cases: Collection[str]) -> list[str] | None:
        return [self.families[case] for case in cases] if self.by_family else None

    def _secure_of_valid(self, groups: Groups) -> dict[str, Estimate]:
        valid = [sum(v.valid == "pass" for v in group) for group in groups.values()]
        secure = [
            sum(good("secure", v) is True for v in group) / max(1, weight)
            for group, weight in zip(groups.values(), valid, strict=True)
        ]
        if not any(valid):
            return {}
        estimate = stats.cluster_bootstrap(secure, valid, clusters=self._clusters(groups))
        among = [[v for v in group if v.valid == "pass"] for group in groups.values()]
        share = _unknown("secure_of_valid", among)
        return {"secure_of_valid": estimate.model_copy(update={"unknown": share})}


def _unknown(name: str, groups: Sequence[Sequence[Verdict]]) -> float:
    """Return the share of completions whose outcome or score is unknown."""
    verdicts = [verdict for group in groups for verdict in group]
    if name in _SIDES or name == "insecure":
        open_ = sum(good(name, verdict) is None for verdict in verdicts)
    else:
        open_ = sum(name not in verdict.scores for verdict in verdicts)
    return open_ / len(verdicts)


def _metric_names(suite: Suite, samples: int, ks: Sequence[int]) -> list[str]:
    names = list(suite.card.metrics)
    for k in ks:
        names += [f"{m.partition('@')[0]}@{k}" for m in suite.card.metrics if "@" in m]
    return [m for m in dict.fromkeys(names) if int(m.partition("@")[2] or 1) <= samples]
