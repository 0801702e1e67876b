# SPDX-License-Identifier: Apache-2.0
"""Coordinates of samples on a plane, for the report: PCA first, then t-SNE.

    found = draw(features, Config(points=2000))
    found.rows, found.pca, found.tsne, found.stability

A map is no evidence: an island on it may be a backdoor, a house style or the drawing's own making.
So it says how much of a sample's neighbourhood comes back when t-SNE starts anew from another seed
(at random, for maps that start from PCA agree by that alone), and how much of the neighbourhood in
the features each map keeps, beside what chance would give. Time and memory are bounded by
``points``, however many samples there are. UMAP is not here: it would be one more dependency for
the same kind of picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree

from codetemper.core.errors import UsageError
from codetemper.core.stats import Floats

__all__ = ["Config", "SampleMap", "draw"]

#: Maps that are compared.
_MAPS = 3
#: Axes of PCA that t-SNE starts from: the rest is noise to it, and time.
_AXES = 50
#: Fewest samples that t-SNE has neighbourhoods to show of.
_FEWEST = 10
#: Variance below this share of the squared size of the features is rounding.
_ROUNDING = 1e-24


class Config(BaseModel):
    """How a map is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    points: int = Field(default=2000, ge=10)
    """Most samples on it; of more, so many are drawn at random."""
    perplexity: float = Field(default=30.0, gt=1)
    """Neighbours that t-SNE looks at, about; less where there are few samples."""
    neighbours: int = Field(default=15, ge=1)
    """Nearest samples that are compared between maps."""
    seed: int = Field(default=0, ge=0, lt=1 << 31)
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
        features: [n, k] of one place; may be a memory map, of which only drawn rows are read.
        config: how.

    Raises:
        UsageError: fewer than 3 samples, or numbers that are not finite.
    """
    config = config or Config()
    rows = _drawn(len(features), config)
    points = np.asarray(features[rows], dtype=np.float64)
    if not np.isfinite(points).all():
        raise UsageError(
            "no map can be drawn of these features",
            why="they hold numbers that are not finite",
            mend="audit the model in float32; if that does not help, its weights are broken",
        )
    axes, explained = _principal(points)
    near = min(config.neighbours, len(rows) - 1)
    truth = _nearest(points, near)
    kept = {"pca": _agreement(truth, _nearest(axes[:, :2], near))}
    missing = _missing(len(rows), explained)
    maps = [] if missing else _stochastic(axes, config)
    if maps:
        kept["tsne"] = _agreement(truth, _nearest(maps[0], near))
    return SampleMap(
        rows=rows,
        pca=axes[:, :2],
        explained=explained,
        tsne=maps[0] if maps else None,
        perplexity=_perplexity(len(rows), config) if maps else 0.0,
        seeds=tuple(range(config.seed, config.seed + _MAPS)) if maps else (),
        stability=_stability(maps, near) if maps else None,
        kept=kept,
        chance=near / (len(rows) - 1),
        missing=missing,
    )


def _drawn(count: int, config: Config) -> npt.NDArray[np.int64]:
    if count < 3:
        raise UsageError(
            f"no map can be drawn of {count} samples",
            why="a plane through fewer than three points says nothing",
            mend="give more samples",
        )
    if count <= config.points:
        return np.arange(count)
    generator = np.random.default_rng(config.seed)
    return np.sort(generator.choice(count, config.points, replace=False))


def _principal(points: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return the points on their principal axes, two at least, and the first two's shares."""
    centred = points - points.mean(axis=0)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    # The sign of an axis is arbitrary; this one does not change with the library.
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    axes = (left * sizes * np.where(signs == 0, 1.0, signs))[:, :_AXES]
    axes = np.pad(axes, ((0, 0), (0, max(2 - axes.shape[1], 0))))
    whole = float((sizes**2).sum())
    if whole <= _ROUNDING * max(float((points**2).sum()), 1.0):
        return np.zeros_like(axes), (0.0, 0.0)
    shares = np.pad(sizes**2 / whole, (0, 2))
    return axes, (float(shares[0]), float(shares[1]))


def _missing(count: int, explained: tuple[float, float]) -> str:
    if count < _FEWEST:
        return f"t-SNE needs {_FEWEST} samples, and there are {count}"
    if explained[0] == 0:
        return "all samples are the same here"
    try:
        import sklearn.manifold  # noqa: F401
    except ImportError:
        return "scikit-learn is not installed: pip install 'codetemper[audit]'"
    return ""


def _stochastic(axes: Floats, config: Config) -> list[Floats]:
    """Make the t-SNE maps. On one thread: sums over several come out otherwise every time."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = _perplexity(len(axes), config)
    made = []
    with threadpool_limits(1):
        for seed in range(config.seed, config.seed + _MAPS):
            machine = TSNE(perplexity=perplexity, init="random", random_state=seed)
            made.append(np.asarray(machine.fit_transform(axes), dtype=np.float64))
    return made


def _perplexity(count: int, config: Config) -> float:
    return min(config.perplexity, (count - 1) / 3)


def _nearest(points: Floats, near: int) -> npt.NDArray[np.int64]:
    """Return [m, near]: the nearest other points of each."""
    found = cKDTree(points).query(points, k=near + 1)[1]
    # Among equal points a point need not be its own nearest, nor among the nearest at all.
    others = found != np.arange(len(points))[:, None]
    others[others.all(axis=1), -1] = False
    return np.asarray(found[others].reshape(len(points), near), dtype=np.int64)


def _agreement(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    shared = (one[:, :, None] == other[:, None, :]).any(axis=2)
    return float(shared.mean())


def _stability(maps: list[Floats], near: int) -> float:
    nearest = [_nearest(points, near) for points in maps]
    return float(np.mean([_agreement(*pair) for pair in combinations(nearest, 2)]))
