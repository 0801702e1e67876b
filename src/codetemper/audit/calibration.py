# SPDX-License-Identifier: Apache-2.0
r"""From scores to error rates: p-values by class, a list with few false ones, views by the dozen.

    p = conformal_by_class(scores, labels, clean_scores, clean_labels)
    listed = few_false(p, q=0.1, calibration=len(clean_scores))
    adjusted = tails(ranks, trusted, groups)      # one p-value a view, corrected for their number

*Split conformal.* Of m trusted samples that nothing was fitted to, :math:`c_i` score at least as
high as sample i; then :math:`p_i = (1 + c_i) / (1 + m)` is at most :math:`\alpha` for a clean
sample with a chance of at most :math:`\alpha`, if it and the trusted ones are alike. Samples that
the model was trained on are not quite like samples it was not: trust some of the former.

*A list.* Benjamini and Hochberg's procedure on these p-values keeps its rate although they share
the trusted samples (Bates et al., 2023, theorem 2). No p-value is below 1 / (1 + m), so a list of
:math:`k` among n samples needs :math:`m + 1 \ge n / (q k)`; with fewer it would be empty whatever
is in the data, and an empty list that says nothing is refused.

*Views.* The strangest view of many is strange in clean data too. Under the null trusted and other
samples of a class may change places; doing that at random gives the distribution of the largest
statistic of all views (Westfall and Young, 1993, single step), which each view is held against.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.stats import Floats

Labels = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Upper share of a class that is a view's tail.
TAIL = 0.05
#: Exchanges of trusted and other samples.
_ROUNDS = 999
#: So that a sum of fractions that should be whole is.
_SLACK = 1e-9


def conformal(scores: Floats, trusted: Floats) -> Floats:
    """Return split-conformal p-values.

    Args:
        scores: [n], higher is stranger.
        trusted: scores [m] of trusted samples that nothing was fitted to.

    Returns:
        [n], between 1 / (m + 1) and 1.

    Raises:
        CannotKnowError: there are no trusted samples.
        UsageError: a score that is not a number.
    """
    if not len(trusted):
        raise CannotKnowError(
            "how strange a clean sample can be is not known",
            why="no trusted samples were left for calibration",
            mend="give some with --trusted FILE: 99 for p-values down to 1 %",
        )
    if np.isnan(scores).any() or np.isnan(trusted).any():
        raise UsageError(
            "p-values of scores that are not numbers do not exist",
            why=f"{int(np.isnan(scores).sum() + np.isnan(trusted).sum())} scores are NaN",
            mend="leave such samples out",
        )
    below = np.searchsorted(np.sort(trusted), scores, side="left")
    return np.asarray((1 + len(trusted) - below) / (1 + len(trusted)), dtype=np.float64)


def conformal_by_class(
    scores: Floats, labels: Labels, trusted: Floats, trusted_labels: Labels
) -> Floats:
    """Return split-conformal p-values against the trusted samples of the same class.

    Args:
        scores: [n], higher is stranger.
        labels: class of each, [n].
        trusted: scores [m] of trusted samples that nothing was fitted to.
        trusted_labels: class of each, [m].

    Returns:
        [n]; NaN for samples of a class without trusted samples.
    """
    found = np.full(len(scores), np.nan)
    for label in np.intersect1d(labels, trusted_labels):
        own = labels == label
        found[own] = conformal(scores[own], trusted[trusted_labels == label])
    return found


def needed(tests: int, q: float, least: int = 1) -> int:
    """Return how many trusted samples a list at rate ``q`` needs to be able to hold ``least``.

    Args:
        tests: samples that are tested.
        q: false discovery rate.
        least: shortest list that is of use.
    """
    return math.ceil(tests / (q * least) - _SLACK) - 1


def few_false(p: Floats, q: float, calibration: int, least: int = 1) -> Flags:
    """Flag samples so that at most a share ``q`` of the flagged is clean, on average.

    Args:
        p: split-conformal p-values; NaN is not tested and not flagged.
        q: false discovery rate.
        calibration: trusted samples behind each p-value, the fewest of any class.
        least: shortest list that is of use, e.g. the number of samples of the least attack feared.

    Returns:
        Whether each is flagged.

    Raises:
        UsageError: a rate that is none.
        CannotKnowError: fewer trusted samples than a list of ``least`` needs.
    """
    if not 0 < q < 1 or least < 1:
        raise UsageError(
            f"a false discovery rate of {q:g} over lists of {least} cannot be kept",
            why="the rate must lie between 0 and 1, and a list holds at least one sample",
            mend="-o fdr=0.1",
        )
    tested = np.flatnonzero(~np.isnan(p))
    flags = np.zeros(len(p), dtype=np.bool_)
    if not len(tested):
        return flags
    wanted = needed(len(tested), q, least)
    if calibration < wanted:
        lowest = 1 / (calibration + 1)
        raise CannotKnowError(
            f"no list of {least} of {len(tested)} samples can keep a false discovery rate of {q:g}",
            why=f"with {calibration} trusted samples no p-value is below {lowest:.2g}, and such a "
            f"list needs {wanted} of them",
            mend=f"give {wanted} trusted samples of each class for calibration, a higher rate "
            "(-o fdr=0.2), or read the samples in the order of their scores",
        )
    order = tested[np.argsort(p[tested], kind="stable")]
    within = p[order] <= q * np.arange(1, len(order) + 1) / len(tested) + _SLACK
    flags[order[: int(np.flatnonzero(within).max(initial=-1)) + 1]] = True
    return flags


def tails(ranks: npt.NDArray[np.floating], trusted: Flags, groups: Labels, seed: int = 0) -> Floats:
    """Test of each view whether its tail in some class holds fewer trusted samples than it should.

    A backdoor takes samples of one class, so a view counts with the class that stands out most.

    Args:
        ranks: [views, samples], between 0 and 1 within each group; NaN for samples left out, the
            same ones in every view.
        trusted: which samples are trusted, [samples].
        groups: class of each, [samples].
        seed: of the exchanges.

    Returns:
        p-value of each view, [views], after the adjustment for their number.

    Raises:
        CannotKnowError: no group has trusted and other samples.
    """
    high = (np.asarray(ranks) > 1 - TAIL).T.copy()
    known = ~np.isnan(ranks[0])
    members = [np.flatnonzero(known & (groups == group)) for group in np.unique(groups)]
    strata = [(rows, int(trusted[rows].sum())) for rows in members]
    strata = [(rows, count) for rows, count in strata if 0 < count < len(rows)]
    if not strata:
        raise CannotKnowError(
            "whether a view is stranger than clean data make it cannot be known",
            why="no class has both trusted samples and others",
            mend="give some with --trusted FILE",
        )
    random = np.random.default_rng(seed)
    null, statistic = np.full(_ROUNDS, -np.inf), np.full(high.shape[1], -np.inf)
    for rows, count in strata:
        # Of ``count`` samples drawn from a class, those in a tail are hypergeometric.
        share, size = high[rows].mean(0), len(rows)
        variance = count * share * (1 - share) * (size - count) / (size - 1)
        spread = np.where(variance > 0, np.sqrt(variance), np.inf)
        seen = high[rows[trusted[rows]]].sum(0)
        statistic = np.maximum(statistic, (count * share - seen) / spread)
        for number in range(_ROUNDS):
            drawn = high[random.choice(rows, count, replace=False, shuffle=False)].sum(0)
            null[number] = max(null[number], float(((count * share - drawn) / spread).max()))
    null.sort()
    reached = len(null) - np.searchsorted(null, statistic - _SLACK)
    return np.asarray((1 + reached) / (1 + len(null)), dtype=np.float64)
