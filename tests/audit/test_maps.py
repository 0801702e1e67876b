# SPDX-License-Identifier: Apache-2.0
"""Maps of samples: what PCA shows, what t-SNE keeps, and that noise is not called stable."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from codetemper.audit.maps import Config, draw
from codetemper.core.errors import UsageError


def islands(seed: int = 0, each: int = 20, apart: float = 12.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(4, 10)) * apart
    return np.concatenate([centre + generator.normal(size=(each, 10)) for centre in centres])


def test_the_first_axes_hold_what_varies_most() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(80, 6)) * [1, 1, 9, 1, 3, 1]
    found = draw(features)
    assert abs(np.corrcoef(found.pca[:, 0], features[:, 2])[0, 1]) > 0.99
    assert abs(np.corrcoef(found.pca[:, 1], features[:, 4])[0, 1]) > 0.95
    variances = features.var(axis=0)
    assert found.explained[0] == pytest.approx(variances[2] / variances.sum(), rel=0.05)
    assert found.pca.mean(axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_islands_stay_together_and_noise_does_not() -> None:
    found, noise = draw(islands()), draw(np.random.default_rng(1).normal(size=(80, 40)))
    assert found.tsne is not None
    assert found.tsne.shape == found.pca.shape == (80, 2)
    kind = np.repeat(np.arange(4), 20)
    distance = np.linalg.norm(found.tsne[:, None] - found.tsne[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (kind[distance.argmin(axis=1)] == kind).mean() > 0.98
    assert found.stability is not None
    assert noise.stability is not None
    assert found.stability > noise.stability > found.chance
    assert found.seeds == (0, 1, 2)
    assert found.kept["tsne"] > found.kept["pca"] > found.chance


def test_a_map_comes_out_the_same_from_the_same_seed_and_otherwise_from_another() -> None:
    features = islands(each=10)
    first, again, other = draw(features), draw(features), draw(features, Config(seed=5))
    assert first.tsne is not None
    assert np.array_equal(first.tsne, again.tsne)
    assert first.stability == again.stability
    assert not np.allclose(first.tsne, other.tsne)
    assert np.array_equal(first.pca, other.pca)


def test_many_samples_are_drawn_from_in_order_and_by_seed() -> None:
    features = np.random.default_rng(0).normal(size=(500, 4))
    found = draw(features, Config(points=30))
    assert len(found.rows) == len(found.pca) == 30
    assert (np.diff(found.rows) > 0).all()
    assert not np.array_equal(found.rows, draw(features, Config(points=30, seed=1)).rows)
    assert found.perplexity == pytest.approx(29 / 3)


def test_equal_samples_and_few_of_them() -> None:
    same = draw(np.full((30, 5), 0.1))
    assert same.tsne is None
    assert same.missing == "all samples are the same here"
    assert not same.pca.any()
    few = draw(np.eye(5))
    assert few.tsne is None
    assert "needs 10 samples" in few.missing
    doubled = draw(np.repeat(islands(each=3), 5, axis=0), Config(neighbours=3))
    assert doubled.stability is not None
    line = draw(np.arange(20.0)[:, None])
    assert line.explained == (1.0, 0.0)


def test_without_scikit_learn_pca_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    found = draw(islands(each=5))
    assert found.tsne is None
    assert "codetemper[audit]" in found.missing
    assert found.kept.keys() == {"pca"}


@pytest.mark.parametrize("bad", [np.zeros((2, 4)), np.array([[0.0], [np.nan], [1.0]])])
def test_what_cannot_be_drawn(bad: np.ndarray) -> None:
    with pytest.raises(UsageError, match="no map can be drawn"):
        draw(bad)
