# SPDX-License-Identifier: Apache-2.0
"""Distance to the nearest trusted samples, or to the nearest others of the class.

The score is the mean Euclidean distance to the ``neighbours`` nearest (Ramaswamy et al., 2000).
Without trusted samples a small tight group of poisoned ones are each other's neighbours and score
low: that is what ``clustering`` is for.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit import CheckCard
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="knn",
    summary="Samples with nothing like them nearby.",
    paper="2204.06507",
    paper_title="Ramaswamy, Rastogi & Shim (2000); Sun et al. (2022)",
    differs="Features are not scaled to length one: how long a state is says something.",
    needs=("queries", "data"),
    cost="n m k multiplications a place.",
)
#: Distances that are in memory at a time.
_BLOCK = 1 << 21


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    neighbours: int = Field(default=10, ge=1)
    """Neighbours that are averaged over."""
    reference: int = Field(default=2000, ge=10)
    """Most samples that neighbours are looked for among, drawn where there are more."""
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    """Seed of that draw."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: [m, k], or None: neighbours are then the other samples.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    known = features if trusted is None else trusted
    chosen = np.arange(len(known))
    if len(chosen) > config.reference:
        draw = np.random.default_rng(config.seed)
        chosen = np.sort(draw.choice(chosen, config.reference, replace=False))
    # About the centre, so that squares of far-off numbers do not swallow their differences.
    centre = known[chosen].mean(0)
    near, own = known[chosen] - centre, trusted is None
    count = min(config.neighbours, len(near) - own)
    lengths = np.square(near).sum(1)
    scores = np.zeros(len(features))
    if count < 1:
        return scores
    step = max(1, _BLOCK // len(near))
    for begin in range(0, len(features), step):
        rows = features[begin : begin + step] - centre
        squares = np.square(rows).sum(1)[:, None] + lengths - 2 * rows @ near.T
        if own:
            squares[np.arange(begin, begin + len(rows))[:, None] == chosen] = np.inf
        nearest = np.partition(squares, count - 1, axis=1)[:, :count]
        scores[begin : begin + step] = np.sqrt(np.maximum(nearest, 0)).mean(1)
    return scores
