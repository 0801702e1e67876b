# SPDX-License-Identifier: Apache-2.0
"""Activation clustering: samples in small groups, by how far the nearest large group is.

Chen et al. (2018) cut each class in two by k-means on ten directions and suspect the smaller half,
or the class whose halves lie far apart; some half is always smaller, and clean classes fall into
halves as well. Here the class falls into ``clusters`` groups, since a pool of triggers makes one
island each, and a sample's score is the distance to the nearest *large* group (the cluster-based
outlier factor of He et al., 2003): groups are large, from the largest on, until they hold ``bulk``
of the class.
"""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from codetemper.audit import CheckCard
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="clustering",
    summary="Samples in small groups of their own, far from every large one.",
    paper="1811.03728",
    paper_title="Chen et al. (2018); He, Xu & Deng (2003)",
    differs="Several groups and a distance, where the paper has two groups and suspects one.",
    needs=("queries", "data"),
    cost="k-means on ten numbers a sample: tens of milliseconds a place.",
)
#: Starts of k-means; the best is kept.
_STARTS = 2
#: Samples that groups are made of at most; the others are put to the nearest.
_FITTED = 10_000


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    clusters: int = Field(default=8, ge=2)
    """Groups that the class is cut into."""
    directions: int = Field(default=10, ge=1)
    """Principal directions that are kept."""
    bulk: float = Field(default=0.9, gt=0.5, lt=1)
    """Share of the class that large groups hold."""
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    """Seed of the starts."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: not used.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    centred = features - features.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ vectors[:, -config.directions :]
    draw = np.random.default_rng(config.seed)
    fitted = reduced
    if len(reduced) > _FITTED:
        fitted = reduced[draw.choice(len(reduced), _FITTED, replace=False)]
    count = min(config.clusters, len(np.unique(fitted, axis=0)))
    if count < 2:
        return np.zeros(len(features))
    with warnings.catch_warnings():
        # Points that differ by rounding alone are fewer groups than asked for; that is no trouble.
        warnings.simplefilter("ignore", ConvergenceWarning)
        groups = KMeans(count, n_init=_STARTS, random_state=config.seed).fit(fitted)
    distances = groups.transform(reduced)
    sizes = np.bincount(distances.argmin(1), minlength=count)
    order = np.argsort(-sizes, kind="stable")
    large = order[: 1 + int(np.searchsorted(np.cumsum(sizes[order]), config.bulk * len(features)))]
    return np.asarray(distances[:, large].min(1), dtype=np.float64)
