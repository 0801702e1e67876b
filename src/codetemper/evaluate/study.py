# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a study of settings: paired differences over seeds, Holm, and honest flags.

A study compares many tuned models with one base on the same cases. The unit is the case: what a
setting's seeds answered is averaged by case first, then whole cases are resampled, base and tuned
together, so the interval speaks of other prompts; how far single seeds lie apart is kept beside it.
Percentages of *valid* completions rise when a model writes less that is valid, so ``broke`` says
where a gain is of that kind. Nothing here tunes, judges or reads files; ``api.study`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from codetemper.core import stats
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Difference

#: Shares of good completions by case, by metric name: ``Scorecard.per_case``, or its mean.
Shares = Mapping[str, Mapping[str, float]]
#: The two metrics whose ratio is the study's own: secure among the valid.
VALID, SECURE, RATIO = "valid@1", "secure@1", "secure_of_valid"
#: Metrics of function, in order of preference.
FUNCTION = ("pass@1", "exec_match", "exact_match")
#: What non-inferiority may say.
Kept = Literal["kept", "lost", "open"]


@dataclass(frozen=True)
class Change:
    """One metric of one setting against what it is compared with.

    Attributes:
        whole: the paired difference of the means over seeds.
        by_seed: the plain difference of each seed, in the order of the seeds.
    """

    whole: Difference
    by_seed: tuple[float, ...]


def over_seeds(cards: Sequence[Shares]) -> dict[str, dict[str, float]]:
    """Return the mean share by metric and case over the seeds that have the case.

    Args:
        cards: one mapping a seed.
    """
    gathered: dict[str, dict[str, list[float]]] = {}
    for card in cards:
        for metric, cases in card.items():
            for case, share in cases.items():
                gathered.setdefault(metric, {}).setdefault(case, []).append(share)
    return {
        metric: {case: sum(shares) / len(shares) for case, shares in cases.items()}
        for metric, cases in gathered.items()
    }


def part(shares: Shares, cases: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the shares of some cases only; metrics that none of them has are left out."""
    wanted = frozenset(cases)
    kept = {
        metric: {case: share for case, share in found.items() if case in wanted}
        for metric, found in shares.items()
    }
    return {metric: found for metric, found in kept.items() if found}


def differences(before: Shares, after: Shares, *, seed: int = 0) -> dict[str, Difference]:
    """Return the paired difference of every metric both sides have, on the cases both have.

    ``secure_of_valid`` is added where ``valid@1`` and ``secure@1`` are there: the ratio of their
    sums, resampled by case like the others.

    Args:
        before: shares by metric and case of what is compared with.
        after: shares of the setting.
        seed: seed of the resampling.
    """
    found = {}
    for metric, old in before.items():
        shared = [case for case in old if case in after.get(metric, {})]
        if shared:
            new = after[metric]
            found[metric] = stats.paired_bootstrap(
                [old[case] for case in shared], [new[case] for case in shared], seed=seed
            )
    ratio = _ratio(before, after, seed)
    return found if ratio is None else found | {RATIO: ratio}


def changes(before: Sequence[Shares], after: Sequence[Shares]) -> dict[str, Change]:
    """Compare the seeds of a setting with those of its base, metric by metric.

    Args:
        before: shares of the base, one a seed, in the order of the seeds.
        after: shares of the setting, likewise.
    """
    whole = differences(over_seeds(before), over_seeds(after))
    single = [_values(old, new) for old, new in zip(before, after, strict=True)]
    return {
        metric: Change(difference, tuple(each[metric] for each in single if metric in each))
        for metric, difference in whole.items()
    }


def broke(found: Mapping[str, Difference]) -> str:
    """Say in one sentence why a gain of ``secure_of_valid`` is no gain; empty where it is one.

    A higher share of secure ones among the valid is bought by breaking code where secure ones are
    fewer over all that was written, where the gain is settled among the valid but not over all, or
    where the functional metric fell with its whole interval.

    Args:
        found: differences of one setting on one suite, or of several suites under their metrics.
    """
    ratio, secure = found.get(RATIO), found.get(SECURE)
    if ratio is None or secure is None or ratio.difference <= 0:
        return ""
    gain = f"{100 * ratio.difference:+.1f} points among the valid"
    if secure.difference < 0:
        return f"{gain}, but {100 * secure.difference:+.1f} counted over all"
    if ratio.low > 0 >= secure.low:
        return f"{gain} is settled, but over all completions nothing is"
    able = function_metric(found)
    if able is not None and found[able].high < 0:
        return f"{gain}, but {able} fell by {-100 * found[able].difference:.1f}"
    return ""


def function_metric(found: Mapping[str, object]) -> str | None:
    """Return the metric that says whether the model is still able, where there is one."""
    return next((name for name in FUNCTION if name in found), None)


def kept(difference: Difference, margin: float) -> Kept:
    """Say whether a metric fell by no more than a margin (non-inferiority).

    Args:
        difference: paired, of a metric that is better when larger.
        margin: the largest loss that is tolerated, as a share (0.02 is two points).

    Returns:
        ``kept`` where the interval lies above ``-margin``, ``lost`` where it lies below, else
        ``open``.
    """
    if difference.low > -margin:
        return "kept"
    return "lost" if difference.high < -margin else "open"


def corrected(
    tests: Mapping[tuple[str, ...], float], family: slice
) -> dict[tuple[str, ...], float]:
    """Return Holm's adjusted p-values within families of hypotheses.

    Args:
        tests: p-values by key.
        family: the part of the keys that names the family, e.g. (suite, metric).
    """
    adjusted: dict[tuple[str, ...], float] = {}
    for group in {key[family] for key in tests}:
        names = {str(number): key for number, key in enumerate(tests) if key[family] == group}
        found = stats.holm({number: tests[key] for number, key in names.items()})
        adjusted |= {names[number]: p for number, p in found.items()}
    return {key: adjusted[key] for key in tests}


def enough(sizes: Mapping[float, Sequence[Shares]], metric: str, margin: float) -> float | None:
    """Return the least share of the data whose result is not worse than that of the most data.

    Args:
        sizes: shares of each seed by share of the data.
        metric: the metric that decides, better when larger.
        margin: how much worse still counts as not worse.

    Returns:
        The least size from which on every size is non-inferior to the largest; None where there is
        one size only.
    """
    order = sorted(sizes)
    if len(order) < 2:
        return None
    full = over_seeds(sizes[order[-1]])
    least = order[-1]
    for size in reversed(order[:-1]):
        found = differences(full, over_seeds(sizes[size])).get(metric)
        if found is None or kept(found, margin) != "kept":
            break
        least = size
    return least


def _ratio(before: Shares, after: Shares, seed: int) -> Difference | None:
    """Return the paired difference of secure among the valid; None where it is not defined."""
    sides = (before, after)
    if not all(VALID in side and SECURE in side for side in sides):
        return None
    measured = [side[metric] for side in sides for metric in (VALID, SECURE)]
    cases = [case for case in before[SECURE] if all(case in shares for shares in measured)]
    valid = [[side[VALID][case] for case in cases] for side in sides]
    shares = [
        [side[SECURE][case] / side[VALID][case] if side[VALID][case] else 0.0 for case in cases]
        for side in sides
    ]
    try:
        return stats.paired_bootstrap(
            shares[0], shares[1], before_weights=valid[0], after_weights=valid[1], seed=seed
        )
    except CannotKnowError:  # one side wrote nothing valid
        return None


def _values(before: Shares, after: Shares) -> dict[str, float]:
    """Return the plain difference of every metric, without intervals."""
    found = {}
    for metric, old in before.items():
        shared = [case for case in old if case in after.get(metric, {})]
        if shared:
            found[metric] = sum(after[metric][c] - old[c] for c in shared) / len(shared)
    sums = [
        (sum(side[SECURE].values()), sum(side[VALID][case] for case in side[SECURE]))
        for side in (before, after)
        if VALID in side and SECURE in side
    ]
    if len(sums) == 2 and all(valid for _, valid in sums):
        found[RATIO] = sums[1][0] / sums[1][1] - sums[0][0] / sums[0][1]
    return found
