# SPDX-License-Identifier: Apache-2.0
"""The statistics of a detector: a threshold for a stated rate, how well it separates, drift.

    limit = calibrate(clean_scores, fpr=0.01)
    auroc(bad_scores, clean_scores)               # an Estimate with its 95 % interval
    average_precision(bad_scores, clean_scores), recall_at(bad_scores, clean_scores, fpr=0.01)
    drift(scores, blocks, limit)                  # a line a block, corrected for their number

A score is a number that is higher where a sample looks worse; nothing here knows what it is made
of. What is flagged lies above the threshold, never at it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import fisher_exact, mannwhitneyu, norm, rankdata

from codetemper.core.accounts import DriftBlock
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Estimate
from codetemper.core.stats import Floats, holm, wilson

#: Corrected p-value below which a block differs from the rest.
LEVEL = 0.05
#: So that a rate such as 0.01 of 100 samples is one sample, whatever the binary fraction says.
_SLACK = 1e-9
#: Draws behind the interval of a rate at a threshold.
_DRAWS = 10_000


def fewest(fpr: float) -> int:
    """Return how many clean scores a threshold with a stated false-positive rate needs."""
    return math.ceil(1 / fpr - _SLACK) - 1


def calibrate(clean: Sequence[float], fpr: float) -> float:
    """Return a threshold that a new clean sample exceeds with a chance of at most ``fpr``.

    The k-th largest of n clean scores with k = floor((n + 1) * fpr): a new sample that is like
    them is as likely to take any of the n + 1 ranks, so it lies above with a chance of at most
    k / (n + 1), whatever the distribution (split conformal prediction). The chance is that over
    draws of the n samples and the new one, not the rate of one threshold on all samples to come.

    Args:
        clean: scores of samples that are known to be clean, and that nothing was fitted to.
        fpr: false-positive rate, between 0 and 1.

    Raises:
        UsageError: a rate that is none.
        CannotKnowError: fewer scores than the rate needs, ``fewest(fpr)``.
    """
    if not 0 < fpr < 1:
        raise UsageError(
            f"a false-positive rate of {fpr:g} cannot be kept",
            why="it must lie between 0 and 1, ends excluded",
            mend="--fpr 0.01",
        )
    above = math.floor((len(clean) + 1) * fpr + _SLACK)
    if above < 1:
        raise CannotKnowError(
            f"no threshold is known to flag at most {100 * fpr:g} % of clean samples",
            why=f"{len(clean)} clean samples were scored, and that rate needs {fewest(fpr)}",
            mend=f"give more clean samples, or a rate of {1 / (len(clean) + 1):.3g} or more",
        )
    return float(np.sort(np.asarray(clean, dtype=np.float64))[-above])


def auroc(bad: Sequence[float] | Floats, clean: Sequence[float] | Floats) -> Estimate:
    r"""Return the chance that a bad sample scores higher than a clean one; ties count half.

    The interval is Newcombe's (2006, Statistics in Medicine 25:559, method 5): all
    :math:`\theta` with :math:`|\hat\theta - \theta| \le z \sqrt{V(\theta)}`, where

    .. math:: V(\theta) = \frac{\theta (1-\theta)}{mn}
              \left[1 + N \frac{1-\theta}{2-\theta} + N \frac{\theta}{1+\theta}\right],
              \quad N = \frac{m + n}{2} - 1.

    As the variance is that at the end of the interval and not at the estimate, the interval does
    not shrink to a point where all bad samples lie above all clean ones, as bootstrap and DeLong
    do.

    Args:
        bad: scores of bad samples, m of them.
        clean: scores of clean ones, n of them.

    Returns:
        The estimate; ``n`` is the smaller of the two numbers.

    Raises:
        CannotKnowError: there is none of one kind.
    """
    own, others = _both(bad, clean)
    m, n = len(own), len(others)
    ranks = rankdata(np.concatenate([own, others]))
    value = float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))
    z, half = float(norm.ppf(0.975)), (m + n) / 2 - 1

    def beyond(theta: float) -> float:
        inner = 1 + half * (1 - theta) / (2 - theta) + half * theta / (1 + theta)
        return abs(value - theta) - z * math.sqrt(theta * (1 - theta) * inner / (m * n))

    # Just beside the estimate, since it is a root itself where it is 0 or 1.
    low = float(brentq(beyond, 0.0, value - _SLACK)) if value > 0 else 0.0
    high = float(brentq(beyond, value + _SLACK, 1.0)) if value < 1 else 1.0
    return Estimate(value=value, low=low, high=high, n=min(m, n))


def average_precision(bad: Sequence[float] | Floats, clean: Sequence[float] | Floats) -> Estimate:
    r"""Return the mean, over bad samples, of the precision among all that score at least as high.

    It depends on how many samples are bad: a ranking by chance has their share. Samples that score
    alike are taken together. The interval is binomial with as many trials as bad samples (Boyd,
    Eng and Page, 2013, section 4), by Wilson's formula, so it does not shrink to a point at 1.

    Args:
        bad: scores of bad samples.
        clean: scores of clean ones.

    Returns:
        The estimate; ``n`` is the number of bad samples.

    Raises:
        CannotKnowError: there is none of one kind.
    """
    own, others = _both(bad, clean)
    above = len(own) - np.searchsorted(np.sort(own), own)
    beside = len(others) - np.searchsorted(np.sort(others), own)
    value = float(np.mean(above / (above + beside)))
    n, square = len(own), float(norm.ppf(0.975)) ** 2
    middle = (value + square / (2 * n)) / (1 + square / n)
    half = math.sqrt(square * (value * (1 - value) / n + square / (4 * n * n))) / (1 + square / n)
    low, high = min(value, middle - half), max(value, middle + half)
    return Estimate(value=value, low=max(0.0, low), high=min(1.0, high), n=n)


def recall_at(
    bad: Sequence[float] | Floats, clean: Sequence[float] | Floats, fpr: float, seed: int = 0
) -> Estimate:
    """Return the share of bad samples above the threshold that a share of the clean ones exceed.

    The interval holds both kinds of doubt. Of n clean samples the number above the true threshold
    is binomial; where the threshold then lies, the share of bad ones above it has the posterior of
    Jeffreys' prior.

    Args:
        bad: scores of bad samples.
        clean: scores of clean ones.
        fpr: false-positive rate, between 0 and 1.
        seed: of the draws behind the interval.

    Returns:
        The estimate; ``n`` is the number of bad samples.

    Raises:
        UsageError: a rate that is none.
        CannotKnowError: there are no bad samples, or too few clean ones for one to be that share.
    """
    own, others = _both(bad, clean)
    if not 0 < fpr < 1:
        raise UsageError(
            f"there is no share of {fpr:g} of the clean samples",
            why="it must lie between 0 and 1, ends excluded",
            mend="take 0.01",
        )
    above = math.floor(len(others) * fpr + _SLACK)
    if above < 1:
        raise CannotKnowError(
            f"what is found at a false-positive rate of {100 * fpr:g} % cannot be known",
            why=f"there are {len(others)} clean samples, and that rate needs {fewest(fpr) + 1}",
            mend="give more clean samples",
        )
    falling, ordered = np.sort(others)[::-1], np.sort(own)
    random = np.random.default_rng(seed)
    places = np.minimum(random.binomial(len(others), fpr, _DRAWS), len(others) - 1)
    found = len(own) - np.searchsorted(ordered, falling[[above, *places]], side="right")
    value, drawn = found[0] / len(own), found[1:]
    shares = random.beta(drawn + 0.5, len(own) - drawn + 0.5)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Estimate(
        value=float(value), low=float(min(low, value)), high=float(max(high, value)), n=len(own)
    )


def _both(bad: Sequence[float] | Floats, clean: Sequence[float] | Floats) -> tuple[Floats, Floats]:
    own, others = np.asarray(bad, dtype=np.float64), np.asarray(clean, dtype=np.float64)
    if not len(own) or not len(others):
        raise CannotKnowError(
            "how well bad and clean samples are told apart cannot be known",
            why=f"there are {len(own)} bad samples and {len(others)} clean ones",
            mend="give some of both",
        )
    return own, others


def drift(
    scores: Sequence[float] | Floats,
    blocks: Sequence[int] | npt.NDArray[np.int64],
    flagged: Sequence[bool] | npt.NDArray[np.bool_],
) -> list[DriftBlock]:
    """Compare every block of samples with all others.

    Two things are asked of each: whether its flagged share is that of the others, which sees a few
    bad samples put in one place, and whether its scores are as high, which sees a change of the
    data that flags nothing yet. All p-values are corrected together (Holm), so that a block of an
    even file is said to differ with a chance of at most 5 %, over all blocks.

    Args:
        scores: one a sample.
        blocks: number of the block that each sample is in.
        flagged: whether each is.

    Returns:
        A line for each block, in the order of their numbers. One block alone has nothing to
        differ from.
    """
    values, places = np.asarray(scores, dtype=np.float64), np.asarray(blocks)
    flags = np.asarray(flagged, dtype=bool)
    raw: dict[str, float] = {}
    numbers = [int(number) for number in np.unique(places)]
    for number in numbers:
        own = places == number
        inside, outside = int(flags[own].sum()), int(flags[~own].sum())
        table = [[inside, int(own.sum()) - inside], [outside, int((~own).sum()) - outside]]
        raw[f"share {number}"] = float(fisher_exact(table).pvalue) if (~own).any() else 1.0
        raw[f"shift {number}"] = _shift(values[own], values[~own])
    corrected = holm(raw)
    found = []
    for number in numbers:
        own = places == number
        low, high = wilson(int(flags[own].sum()), int(own.sum()))
        found.append(
            DriftBlock(
                number=number,
                n=int(own.sum()),
                flagged=int(flags[own].sum()),
                low=low,
                high=high,
                median=float(np.median(values[own])),
                p_share=corrected[f"share {number}"],
                p_shift=corrected[f"shift {number}"],
                drifts=min(corrected[f"{test} {number}"] for test in ("share", "shift")) < LEVEL,
            )
        )
    return found


def _shift(own: Floats, others: Floats) -> float:
    if not len(others) or (np.ptp(own) == np.ptp(others) == 0 and own[0] == others[0]):
        return 1.0
    # The normal approximation: exact ranks have no use beside so many ties and samples.
    return float(mannwhitneyu(own, others, method="asymptotic").pvalue)
