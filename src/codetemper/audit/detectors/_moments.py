# SPDX-License-Identifier: Apache-2.0
"""Means and covariances that few samples, or bad ones among them, do not spoil.

Covariances are shrunk towards a multiple of the identity (Ledoit and Wolf, 2004), so they can be
inverted with fewer samples than numbers. Without trusted samples the estimate rests on the part of
the samples that lies closest together: from medians and absolute deviations, concentration steps
(Rousseeuw and Van Driessen, 1999) keep the nearest share until it stays the same. There is one
start and it is not random, so the same samples always give the same estimate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.covariance import ledoit_wolf

from codetemper.core.stats import Floats

#: Concentration steps; most data need fewer.
_STEPS = 8
#: Part of the largest variance that every direction has at least.
_FLOOR = 1e-9
#: Median absolute deviation of a normal distribution, in standard deviations.
_MAD = 0.6745


def shrunk(features: Floats) -> tuple[Floats, Floats]:
    """Return the mean [k] and the shrunk covariance [k, k] of features [n, k].

    One sample has no spread; distances to it are plain ones.
    """
    mean = features.mean(0)
    if len(features) < 2:
        return mean, np.eye(features.shape[1])
    covariance, _ = ledoit_wolf(features - mean, assume_centered=True)
    return mean, np.asarray(covariance)


def concentrated(features: Floats, share: float) -> tuple[Floats, Floats]:
    """Return mean and covariance of the samples that lie closest together.

    Args:
        features: [n, k].
        share: of the samples that the estimate rests on.

    Returns:
        As ``shrunk``. The scale is that of the kept samples, so distances are too large by one
        factor for all: good for ranks.
    """
    centre, spread = centre_and_spread(features)
    distances = np.square((features - centre) / spread).sum(1)
    count = max(2, round(share * len(features)))
    kept: npt.NDArray[np.int64] | None = None
    for _ in range(_STEPS):
        nearest = np.sort(np.argsort(distances, kind="stable")[:count])
        if kept is not None and np.array_equal(nearest, kept):
            break
        kept = nearest
        mean, covariance = shrunk(features[kept])
        distances = squared_distances(features, mean, covariance)
    return mean, covariance


def centre_and_spread(features: Floats) -> tuple[Floats, Floats]:
    """Return the median [k] and the spread [k] of each number, in standard deviations; never 0."""
    centre = np.median(features, axis=0)
    spread = np.median(np.abs(features - centre), axis=0) / _MAD
    # A number that is the same for most samples has no spread of its own.
    largest = float(spread.max(initial=0.0)) or float(np.abs(features - centre).max(initial=0.0))
    return centre, np.maximum(spread, _FLOOR**0.5 * largest or 1.0)


def whitening(covariance: Floats) -> Floats:
    """Return W [k, k] with W C W' the identity, for a covariance C [k, k]."""
    variances, directions = np.linalg.eigh(covariance)
    largest = float(variances.max(initial=0.0))
    if largest <= 0:
        return np.zeros_like(covariance)
    found: Floats = (directions / np.sqrt(np.maximum(variances, _FLOOR * largest))) @ directions.T
    return found


def squared_distances(features: Floats, mean: Floats, covariance: Floats) -> Floats:
    """Return the squared Mahalanobis distances [n] of features [n, k]."""
    squares: Floats = np.square((features - mean) @ whitening(covariance)).sum(1)
    return squares
