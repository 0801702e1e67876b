# SPDX-License-Identifier: Apache-2.0
"""What rounds of a refinement are compared by, when they end, and which one is kept.

    metric = metric_of(suite)
    gain = gained(before, after, metric)                # scorecards of the validation suite
    why = ended(gains, epsilon=0.01, rounds=4)          # None: another round

Arithmetic over scorecards only; what a round does is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from codetemper.core import stats
from codetemper.core.errors import UsageError
from codetemper.core.records import Difference, Estimate, Scorecard
from codetemper.evaluate.suites import Suite

#: Metrics that can say an answer is right, the strictest first. Where several suites are pooled, a
#: case is measured by the first that it has a value of.
RIGHT = ("secure_pass", "pass", "exec_match", "exact_match")
#: Rounds in a row that may have gained nothing before the next is not begun.
PATIENCE = 2


def metric_of(suite: Suite, *, security: bool = True) -> str:
    """Return what says how well a suite is answered: its strictest metric of right answers.

    Where only some cases can show security, several are joined by ``/``, the stricter first.

    Args:
        suite: the cases.
        security: whether right answers must resist exploits where the suite tries some.

    Raises:
        UsageError: no metric of the suite says whether an answer is right.
    """
    wanted = RIGHT if security else RIGHT[1:]
    named = {metric.partition("@")[0]: metric for metric in suite.card.metrics
             if metric.partition("@")[2] in ("", "1")}  # fmt: skip
    found = [named[name] for name in wanted if name in named]
    if not found:
        raise UsageError(
            f"the suite '{suite.card.name}' cannot say which answers are right",
            why=f"it measures {', '.join(suite.card.metrics) or 'nothing'}: no tests are run",
            mend="take a suite with tests, e.g. world-python, or humaneval:PATH",
        )
    partial = found[0].startswith("secure") and not all(c.shows_security for c in suite.cases)
    return "/".join(found) if partial else found[0]


def per_case(card: Scorecard, metric: str) -> dict[str, float]:
    """Return the value of every case by the first of the joined metrics that it has one of."""
    values: dict[str, float] = {}
    for name in reversed(metric.split("/")):
        values |= card.per_case.get(name, {})
    return values


def estimated(
    card: Scorecard, metric: str, cluster: Literal["case", "family"] = "case"
) -> Estimate:
    """Return a metric with its interval.

    Raises:
        CannotKnowError: no case has a value.
    """
    values = per_case(card, metric)
    families = [card.families.get(case, case) for case in values]
    estimate = stats.cluster_bootstrap(
        list(values.values()), clusters=families if cluster == "family" else None
    )
    known = card.metrics.get(metric)
    return estimate.model_copy(update={"unknown": known.unknown if known else 0.0})


def gained(
    before: Scorecard, after: Scorecard, metric: str, cluster: Literal["case", "family"] = "case"
) -> Difference:
    """Return the paired difference of two scorecards of the same cases.

    Raises:
        CannotKnowError: no case has a value in both.
    """
    first, second = per_case(before, metric), per_case(after, metric)
    shared = [case for case in first if case in second]
    families = [before.families.get(case, case) for case in shared]
    return stats.paired_bootstrap(
        [first[case] for case in shared],
        [second[case] for case in shared],
        clusters=families if cluster == "family" else None,
    )


def ended(gains: Sequence[Difference], *, epsilon: float, rounds: int) -> str | None:
    """Return why no further round is made, or None.

    Args:
        gains: of each round, against the one before it.
        epsilon: a gain that counts as none.
        rounds: most rounds.
    """
    last = gains[-PATIENCE:]
    if len(last) == PATIENCE and all(gain.low < epsilon for gain in last):
        numbers = " and ".join(str(len(gains) - PATIENCE + 1 + i) for i in range(PATIENCE))
        return (
            f"the gain is spent: the intervals of rounds {numbers} include less than "
            f"{100 * epsilon:g} point{'' if epsilon == 0.01 else 's'}"
        )
    if len(gains) >= rounds:
        return f"all {rounds} rounds were made" if rounds > 1 else "the one round was made"
    return None


def best(values: Sequence[Estimate]) -> int:
    """Return the number of the round, from 1, with the highest value; of equal ones the first."""
    return 1 + max(range(len(values)), key=lambda number: (values[number].value, -number))
