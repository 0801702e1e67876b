# SPDX-License-Identifier: Apache-2.0
"""The statistics behind every number that is shown: estimates, intervals, paired tests.

Samples of one case are not independent, so cases are the unit everywhere: the bootstrap resamples
cases, and ``n`` counts cases. Tests and distributions are scipy's; this file only says which one
is used for what. It knows nothing of suites or scorecards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Difference, Estimate

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | npt.NDArray[Any]

#: Up to this many unequal cases the sign-flip test enumerates all sign patterns (2^12 = 4096).
EXACT_SIGN_FLIPS = 12
#: Power at which a difference counts as visible.
POWER = 0.8
#: Expected discordant pairs at which McNemar's exact test reaches that power when all of them point
#: one way: it needs six, and a Poisson count of mean 7.91 is six or more four times in five.
_DISCORDANT = 7.91
#: Looks at one suite after which no error is left to spend.
LOOKS = 8
#: Numbers drawn at once, which bounds the memory of a bootstrap to about 32 MiB.
_BLOCK = 1 << 21


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k for one case (Chen et al. 2021, equation 1).

    Args:
        n: samples drawn.
        c: samples that pass, 0 <= c <= n.
        k: samples a user would draw, at least 1.

    Returns:
        1 - C(n-c, k) / C(n, k); NaN where fewer than k samples were drawn.

    Raises:
        UsageError: counts that cannot be.
    """
    if not 0 <= c <= n or k < 1:
        raise UsageError(
            f"pass@k of n={n}, c={c}, k={k} is not defined",
            why="it needs 0 <= c <= n and k >= 1",
            mend="count the passing samples among the drawn ones",
        )
    if n < k:
        return math.nan
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion; (0, 1) where nothing was tried."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def cluster_bootstrap(
    per_case: Values,
    weights: Values | None = None,
    seed: int = 0,
    draws: int = 4000,
    clusters: Sequence[str] | None = None,
) -> Estimate:
    """Estimate a mean over cases, or a ratio metric, with its 95 % percentile interval.

    Cases whose value is NaN (too few samples) are left out, as are cases of weight 0.
    Where every case is 0, or every case is 1, resampling cannot vary and would claim certainty;
    the Wilson interval over cases stands in.

    Args:
        per_case: one value per case, e.g. its share of passing samples.
        weights: one weight per case for ratio metrics, sum(value * weight) / sum(weight),
            e.g. the number of valid samples under "secure among the valid".
        seed: seed of the resampling.
        draws: bootstrap draws.
        clusters: name of each case's cluster, to resample whole clusters of cases.

    Returns:
        The estimate; ``n`` is the number of cases (or clusters) that count.

    Raises:
        CannotKnowError: no case counts.
        UsageError: weights of another length, or negative.
    """
    values, weight = _values(per_case), _weights(weights, len(per_case))
    kept = ~np.isnan(values) & (weight > 0)
    if not kept.any():
        raise _no_cases()
    groups = None if clusters is None else np.asarray(clusters)[kept]
    values, weight = _gathered(values[kept], weight[kept], groups)
    point = _ratio(values, weight)
    if np.all(values == values[0]) and values[0] in (0.0, 1.0):
        low, high = wilson(int(values.sum()), len(values))
    else:
        drawn = np.concatenate(
            [_ratio_rows(values, weight, rows) for rows in _resamples(len(values), seed, draws)]
        )
        low, high = np.quantile(drawn, (0.025, 0.975))
    share = weight / weight.mean()
    spread = math.sqrt(2) * _spread((values - point) * share)
    seen = _detectable(spread, len(values), binary=_binary(values))
    return Estimate(value=point, low=float(low), high=float(high), n=len(values), detectable=seen)


def mcnemar_exact(b: int, c: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Args:
        b: cases that only the first model solves.
        c: cases that only the second model solves.
    """
    return 1.0 if b + c == 0 else float(binomtest(b, b + c, 0.5).pvalue)


def paired_bootstrap(
    before: Values,
    after: Values,
    before_weights: Values | None = None,
    after_weights: Values | None = None,
    seed: int = 0,
    draws: int = 4000,
    clusters: Sequence[str] | None = None,
    level: float = 0.95,
) -> Difference:
    """Compare two models on the same cases, in the same order.

    The interval is the percentile interval of after - before when whole cases are resampled, the
    two models together; where no case differs from the others it is widened by what so many cases
    can miss. Where every case is 0 or 1 the p-value is McNemar's exact one; otherwise, without
    weights, that of a sign-flip permutation test on the differences by case (exact up to twelve
    unequal cases, else ``draws`` random patterns); with weights, where one case has no difference
    of its own, it is the bootstrap's.

    Args:
        before: value of the first model by case.
        after: value of the second model by case.
        before_weights: weights of a ratio metric for the first model; both or none.
        after_weights: weights of a ratio metric for the second model.
        seed: seed of the resampling.
        draws: bootstrap draws, and random sign patterns.
        clusters: name of each case's cluster, to resample whole clusters of cases.
        level: confidence level of the interval.

    Returns:
        The difference; ``n`` is the number of cases (or clusters) compared.

    Raises:
        CannotKnowError: no case counts in both.
        UsageError: lengths differ, or weights for one side only.
    """
    first, second, weight_1, weight_2 = _pair(
        before, after, before_weights, after_weights, clusters
    )
    value_1, value_2 = _ratio(first, weight_1), _ratio(second, weight_2)
    drawn = np.concatenate([
        _ratio_rows(second, weight_2, rows) - _ratio_rows(first, weight_1, rows)
        for rows in _resamples(len(first), seed, draws)
    ])  # fmt: skip
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        raise _no_cases()
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    if low == high:
        # No case differs from the others, so resampling cannot vary; as many cases could still have
        # missed a share of changed ones (the exact bound for none seen).
        missed = 1 - ((1 - level) / 2) ** (1 / len(first))
        low, high = max(-1.0, low - missed), min(1.0, high + missed)
    binary = _binary(first) and _binary(second)
    changes = second * weight_2 - first * weight_1
    if before_weights is not None:
        tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
        p = min(1.0, 2 * (tail + 1) / (len(drawn) + 1))
    elif binary and clusters is None:
        p = mcnemar_exact(int((changes < 0).sum()), int((changes > 0).sum()))
    else:
        p = _sign_flip(changes, seed, draws)
    spread = _spread(
        (second - value_2) * weight_2 / weight_2.mean()
        - (first - value_1) * weight_1 / weight_1.mean()
    )
    return Difference(
        before=value_1, after=value_2, difference=value_2 - value_1,
        low=float(low), high=float(high), p=p, n=len(first), level=level,
        detectable=_detectable(spread, len(first), binary=binary and clusters is None),
    )  # fmt: skip


def detectable(spread: float, n: int) -> float:
    """Return the least mean difference that a paired test of ``n`` units sees with power 0.8.

    Two-sided at 5 %, by the normal approximation: (z(0.975) + z(0.8)) * spread / sqrt(n).

    Args:
        spread: standard deviation of the differences by unit.
        n: number of units, at least 1.

    Returns:
        The difference, at most 1.
    """
    return min(1.0, float(norm.ppf(0.975) + norm.ppf(POWER)) * spread / math.sqrt(n))


def spend(look: int) -> float:
    """Return the confidence level of the interval that decides at a look.

    Whoever tries changes against one suite until one is accepted will be lucky some day. Each look
    may spend half the error of the look before: 95 % at the first, 97.5 % at the second. A change
    that does nothing is then accepted with a chance of at most 2.5 % at the first look, and of at
    most 5 % over all of them.

    Args:
        look: number of this look, from 1.

    Raises:
        CannotKnowError: the suite was looked at too often; there is no error left to spend.
    """
    if look > LOOKS:
        raise CannotKnowError(
            f"this suite was looked at {look - 1} times already",
            why=f"after {LOOKS} looks a gain on the same cases may be luck at any level",
            mend="decide on cases that no decision has seen: another suite, or another --seed "
            "with --limit",
        )
    return 1.0 - 0.05 * 0.5 ** (look - 1)


def holm(pvalues: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values, in the order they were given.

    Args:
        pvalues: p-value by name of the hypothesis.
    """
    adjusted: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(pvalues, key=pvalues.__getitem__)):
        floor = max(floor, min(1.0, (len(pvalues) - rank) * pvalues[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in pvalues}


def _pair(
    before: Values,
    after: Values,
    before_weights: Values | None,
    after_weights: Values | None,
    clusters: Sequence[str] | None,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return values and weights of the units that count on either side, checked."""
    first, second = _values(before), _values(after)
    if len(first) != len(second) or (before_weights is None) != (after_weights is None):
        raise UsageError(
            "the two sides of a paired comparison do not match",
            why=f"{len(first)} cases before, {len(second)} after; weights must be on both or none",
            mend="compare scorecards of one suite, on the cases they share",
        )
    weight_1, weight_2 = _weights(before_weights, len(first)), _weights(after_weights, len(first))
    kept = ~(np.isnan(first) & (weight_1 > 0)) & ~(np.isnan(second) & (weight_2 > 0))
    kept &= (weight_1 > 0) | (weight_2 > 0)
    first, second, weight_1, weight_2 = (x[kept] for x in (first, second, weight_1, weight_2))
    if not weight_1.sum() > 0 or not weight_2.sum() > 0:
        raise _no_cases()
    groups = None if clusters is None else np.asarray(clusters)[kept]
    first, weight_1 = _gathered(np.nan_to_num(first), weight_1, groups)
    second, weight_2 = _gathered(np.nan_to_num(second), weight_2, groups)
    return first, second, weight_1, weight_2


def _gathered(
    values: Floats, weight: Floats, groups: npt.NDArray[Any] | None
) -> tuple[Floats, Floats]:
    """Return mean and weight by group, the units that are resampled; without groups, by case."""
    if groups is None:
        return values, weight
    places = np.unique(groups, return_inverse=True)[1]
    total = np.bincount(places, weight).astype(np.float64)
    summed = np.bincount(places, values * weight).astype(np.float64)
    return np.divide(summed, total, out=np.zeros(len(total)), where=total > 0), total


def _binary(values: Floats) -> bool:
    return bool(np.all((values == 0.0) | (values == 1.0)))


def _spread(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 1.0


def _detectable(spread: float, n: int, *, binary: bool) -> float:
    """Return ``detectable``, not below what the exact test needs where there is no spread yet."""
    floor = min(1.0, _DISCORDANT / n) if binary or spread == 0.0 else 0.0
    return max(detectable(spread, n), floor)


def _values(per_case: Values) -> Floats:
    return np.asarray(per_case, dtype=np.float64)


def _weights(weights: Values | None, n: int) -> Floats:
    if weights is None:
        return np.ones(n)
    array = np.asarray(weights, dtype=np.float64)
    if len(array) != n or not np.all(array >= 0):
        raise UsageError(
            "the weights do not fit the values",
            why=f"{len(array)} weights for {n} values, all of which must be 0 or more",
            mend="give one weight per case",
        )
    return array


def _ratio(values: Floats, weight: Floats) -> float:
    return float((values * weight).sum() / weight.sum())


def _ratio_rows(values: Floats, weight: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Return the ratio of every resample in ``rows`` (draws, n); NaN where its weight is 0."""
    total = weight[rows].sum(axis=1)
    summed = (values * weight)[rows].sum(axis=1)
    ratios: Floats = np.divide(summed, total, out=np.full(len(rows), np.nan), where=total > 0)
    return ratios


def _resamples(n: int, seed: int, draws: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield ``draws`` resamples of n case indices, in blocks of shape (block, n)."""
    random = np.random.default_rng(seed)
    block = max(1, _BLOCK // n)
    for start in range(0, draws, block):
        yield random.integers(0, n, size=(min(block, draws - start), n))


def _sign_flip(differences: Floats, seed: int, draws: int) -> float:
    """Return the two-sided p-value of the sign-flip test of mean difference 0."""
    unequal = differences[differences != 0]
    if not len(unequal):
        return 1.0
    # A relative slack, so that sums which are equal on paper count as equal in floating point.
    threshold = abs(float(unequal.sum())) * (1 - 1e-9)
    if len(unequal) <= EXACT_SIGN_FLIPS:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(unequal))))
        return float(np.mean(np.abs(signs @ unequal) >= threshold))
    random = np.random.default_rng(seed)
    block, hits = max(1, _BLOCK // len(unequal)), 0
    for start in range(0, draws, block):
        size = (min(block, draws - start), len(unequal))
        signs = random.integers(0, 2, size=size, dtype=np.int8) * 2.0 - 1.0
        hits += int((np.abs(signs @ unequal) >= threshold).sum())
    return (hits + 1) / (draws + 1)


def _no_cases() -> CannotKnowError:
    return CannotKnowError(
        "there is nothing to estimate from",
        why="no case has a value (too few samples, no valid completion, or no cases at all)",
        mend="judge more cases, or draw more samples per case",
    )
