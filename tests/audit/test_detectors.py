# SPDX-License-Identifier: Apache-2.0
"""Detectors find what is strange, say nothing where nothing is, and do as their papers say.

Public versions of two of them have known defects; each is written down here as found, beside a
case on which it fails and ours does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codetemper.audit import CheckCard
from codetemper.audit.detectors import BUILTIN, clustering, detector, mahalanobis, que, spectral
from codetemper.audit.detectors._moments import concentrated, shrunk, whitening
from codetemper.core.detection import auroc
from codetemper.core.stats import Floats

NAMES = sorted(BUILTIN)


def score(name: str, features: Floats, trusted: Floats | None = None, **settings: Any) -> Floats:
    module = detector(name)
    found: Floats = module.score(features, trusted, module.Config(**settings))
    return found


def separated(scores: Floats, bad: int) -> float:
    return auroc(scores[:bad], scores[bad:]).value


def mixture(seed: int, bad: int = 30, good: int = 570, width: int = 24) -> tuple[Floats, Floats]:
    """Samples of which the first are on three islands, and trusted ones."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(bad + good, width))
    islands = np.linalg.qr(random.normal(size=(width, 3)))[0].T * 7
    features[:bad] += islands[np.arange(bad) % 3]
    return features + 3, random.normal(size=(300, width)) + 3


@pytest.mark.parametrize("name", NAMES)
def test_cards_and_settings_are_complete(name: str) -> None:
    module = detector(name)
    assert isinstance(module.CARD, CheckCard)
    assert module.CARD.name == name
    assert module.Config.model_config["extra"] == "forbid"
    assert all(field.description for key, field in module.Config.model_fields.items() if key)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", [True, False], ids=["trusted", "alone"])
def test_islands_are_found(name: str, known: bool) -> None:
    features, trusted = mixture(1)
    before = features.copy()
    scores = score(name, features, trusted if known else None)
    assert separated(scores, 30) > 0.95
    assert np.array_equal(features, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_samples_get_the_same_scores(name: str) -> None:
    features, trusted = mixture(2)
    assert np.array_equal(score(name, features), score(name, features))
    assert np.array_equal(score(name, features, trusted), score(name, features, trusted))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(40, 16), (10, 16), (3, 8), (1, 4)])
def test_few_samples_and_samples_all_alike_get_numbers(name: str, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(size=shape)
    assert np.isfinite(score(name, drawn)).all()
    assert np.isfinite(score(name, drawn, random.normal(size=(4, shape[1])))).all()
    alike = np.full(shape, 2.5)
    assert np.ptp(score(name, alike)) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(score(name, drawn, alike)).all()
    drawn[:, 0] = 1.0
    assert np.isfinite(score(name, drawn)).all()


# Products of features depend on where zero is: that is what Beatrix looks at.
@pytest.mark.parametrize("name", sorted({*NAMES} - {"beatrix"}))
def test_where_the_class_lies_says_nothing(name: str) -> None:
    features, trusted = mixture(3)
    here = score(name, features, trusted)
    there = score(name, features + 40, trusted + 40)
    assert np.allclose(there, here, rtol=1e-5, atol=1e-5)


def test_spectral_signatures_are_those_of_the_paper() -> None:
    features, _ = mixture(4)
    centred = features - features.mean(0)
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    for directions in (1, 3):
        expected = np.square(centred @ right[:directions].T).sum(1)
        assert np.allclose(score("spectral", features, directions=directions), expected)


def uncentred(features: Floats) -> Floats:
    """As published: directions of the centred features, and the features as they are on them."""
    _, _, right = np.linalg.svd(features - features.mean(0), full_matrices=False)
    return np.square(features @ right[0])


def row_of_eigenvectors(features: Floats) -> Floats:
    """As published: the row of NumPy's matrix whose number the largest eigenvalue has."""
    centred = features - features.mean(0)
    values, vectors = np.linalg.eig(centred.T @ centred)
    return np.square(centred @ vectors[np.argmax(values)].real)


def opposite(seed: int, width: int = 24) -> Floats:
    """A class far from the origin, whose bad samples lie towards it."""
    random = np.random.default_rng(seed)
    away = np.linalg.qr(random.normal(size=(width, 1)))[0].T
    features = random.normal(size=(600, width)) + 20 * away
    features[:30] -= 10 * away
    return features


def test_what_is_projected_is_centred() -> None:
    features = opposite(5)
    assert separated(score("spectral", features, directions=1), 30) > 0.99
    # Squares of uncentred projections are smallest where the class mean is left.
    assert separated(uncentred(features), 30) < 0.05


def test_eigenvectors_are_columns() -> None:
    ours, theirs = [], []
    for seed in range(10):
        features = opposite(seed)
        ours.append(separated(score("spectral", features, directions=1), 30))
        theirs.append(separated(row_of_eigenvectors(features), 30))
    assert min(ours) > 0.99
    assert np.mean(theirs) < 0.85


def test_no_detector_flags_by_itself() -> None:
    # The public forms drop half of every class, or the smaller of two clusters. Ours give scores,
    # and a clean class gives one that falls off evenly, not two groups.
    clean = np.random.default_rng(6).normal(size=(500, 16))
    for name in NAMES:
        scores = score(name, clean)
        assert scores.shape == (500,)
        assert scores.dtype == np.float64
        assert len(np.unique(scores)) > 450


def test_several_directions_see_several_triggers() -> None:
    # Five islands, each along a direction of its own: one direction sees the widest alone.
    random = np.random.default_rng(7)
    features = random.normal(size=(1000, 32))
    islands = np.linalg.qr(random.normal(size=(32, 5)))[0].T * np.array([[30, 25, 20, 16, 13]]).T
    features[:50] += islands[np.arange(50) % 5]
    one = separated(score("spectral", features, directions=1), 50)
    five = separated(score("spectral", features, directions=5), 50)
    assert five > 0.99 > one + 0.05


def test_a_robust_estimate_is_not_drawn_to_the_outliers() -> None:
    # A fifth of the class, far off in one place: plain distances are masked by it.
    random = np.random.default_rng(8)
    features = random.normal(size=(500, 12))
    features[:100] = 6 + 0.3 * random.normal(size=(100, 12))
    mean, covariance = shrunk(features)
    plain = np.square((features - mean) @ whitening(covariance)).sum(1)
    assert separated(plain, 100) < 0.7
    assert separated(score("mahalanobis", features), 100) > 0.99
    middle, spread = concentrated(features, 0.75)
    assert np.abs(middle).max() < 0.4
    assert np.allclose(whitening(spread) @ spread @ whitening(spread).T, np.eye(12), atol=1e-6)


def test_distances_to_trusted_samples_are_theirs() -> None:
    features, trusted = mixture(9)
    mean, covariance = shrunk(trusted)
    expected = [(x - mean) @ np.linalg.inv(covariance) @ (x - mean) for x in features]
    assert np.allclose(mahalanobis.score(features, trusted, mahalanobis.Config()), expected)


def test_an_estimate_does_not_stop_at_where_it_starts() -> None:
    # Off the line that the class lies on, and by no number alone: only the steps tell them.
    random = np.random.default_rng(13)
    along = random.normal(size=(500, 1))
    features = np.hstack([along, along]) + 0.05 * random.normal(size=(500, 2))
    features[:50] = random.normal(size=(50, 2)) * 0.1 + np.array([0.6, -0.6])
    assert separated(score("mahalanobis", features), 50) > 0.99
    _, covariance = concentrated(features, 0.75)
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.95


def test_neighbours_are_the_nearest_others() -> None:
    random = np.random.default_rng(10)
    features, trusted = random.normal(size=(60, 5)) + 100, random.normal(size=(30, 5)) + 100
    for known in (None, trusted):
        base = features if known is None else known
        distances = np.linalg.norm(features[:, None] - base[None], axis=-1)
        if known is None:
            np.fill_diagonal(distances, np.inf)
        expected = np.sort(distances, axis=1)[:, :4].mean(1)
        assert np.allclose(score("knn", features, known, neighbours=4), expected)
    drawn = score("knn", features, neighbours=4, reference=20)
    assert np.array_equal(drawn, score("knn", features, neighbours=4, reference=20))
    assert not np.array_equal(drawn, score("knn", features, neighbours=4, reference=20, seed=1))
    assert (drawn > 0).all()


def test_quantum_entropy_without_sharpness_is_the_whitened_norm() -> None:
    features, trusted = mixture(11)
    width = features.shape[1]
    flat = que.score(features, trusted, que.Config(alpha=0.0, directions=width))
    mean, covariance = concentrated(features, 0.75)
    norm = np.square((features - mean) @ whitening(covariance)).sum(1) / width
    # The concentration starts from other axes there.
    assert np.allclose(flat, norm, rtol=0.03)
    sharp = que.score(features, trusted, que.Config(alpha=8.0, directions=width))
    assert not np.allclose(sharp, flat, rtol=0.1)


def test_large_groups_are_not_suspected() -> None:
    # Two groups of a third and two thirds are both ordinary; a small one is not.
    random = np.random.default_rng(12)
    features = random.normal(size=(600, 10))
    features[:200] += 12
    features[200:212] -= 12
    scores = clustering.score(features, None, clustering.Config())
    order = np.argsort(-scores)
    assert set(order[:12]) == set(range(200, 212))
    assert abs(np.median(scores[:200]) - np.median(scores[212:])) < 1


def test_settings_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal"):
        spectral.Config(directions=0)
