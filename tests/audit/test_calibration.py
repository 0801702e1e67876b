# SPDX-License-Identifier: Apache-2.0
"""Error rates are kept on clean draws, and refused with a number where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from codetemper.audit.calibration import conformal, conformal_by_class, few_false, needed, tails
from codetemper.core.errors import CannotKnowError, UsageError


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_clean_samples_keep_the_stated_rate(rate: float) -> None:
    random = np.random.default_rng(1)
    shares = [
        float((conformal(random.normal(size=50), random.normal(size=99)) <= rate).mean())
        for _ in range(600)
    ]
    error = 3 * float(np.std(shares)) / np.sqrt(len(shares))
    # Ranks of 100 like draws: exactly the rate, not only at most that.
    assert abs(np.mean(shares) - rate) <= error


def test_ties_count_against_a_finding() -> None:
    found = conformal(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0]))
    assert np.allclose(found, [1.0, 0.75, 0.25])


def test_p_values_are_of_the_own_class() -> None:
    scores, labels = np.array([5.0, 5.0, 5.0]), np.array([0, 1, 2])
    trusted, theirs = np.array([9.0, 9.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1, 1])
    found = conformal_by_class(scores, labels, trusted, theirs)
    assert found[0] == 1.0
    assert found[1] == 0.25
    assert np.isnan(found[2])


def test_no_trusted_samples_and_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(CannotKnowError, match="how strange a clean sample can be"):
        conformal(np.zeros(3), np.zeros(0))
    with pytest.raises(UsageError, match="not numbers"):
        conformal(np.array([np.nan]), np.zeros(3))


def test_a_list_keeps_its_rate() -> None:
    random = np.random.default_rng(2)
    wrong = []
    for _ in range(150):
        trusted = random.normal(size=1999)
        scores = np.concatenate([random.normal(4, size=20), random.normal(size=180)])
        flags = few_false(conformal(scores, trusted), 0.1, 1999)
        wrong.append(flags[20:].sum() / max(flags.sum(), 1))
        assert flags[:20].sum() > 5
    assert np.mean(wrong) <= 0.1 + 3 * np.std(wrong) / np.sqrt(len(wrong))


def test_a_clean_file_is_not_flagged_by_share() -> None:
    # A fixed share, as public tools flag, would be wrong in every one of these.
    random = np.random.default_rng(3)
    any_flag = 0
    for _ in range(100):
        p = conformal(random.normal(size=100), random.normal(size=999))
        any_flag += few_false(p, 0.1, 999).any()
    assert any_flag <= 20


def test_a_list_too_coarse_says_how_many_samples_it_needs() -> None:
    p = np.full(1500, 1 / 151)
    with pytest.raises(CannotKnowError) as caught:
        few_false(p, 0.1, 150)
    assert "needs 14999" in caught.value.why
    assert "give 14999 trusted samples" in caught.value.mend
    assert needed(1500, 0.1, 100) == 149
    assert few_false(p, 0.1, 150, least=100).all()


@pytest.mark.parametrize(("tests", "q", "least"), [(30, 0.1, 1), (50, 0.2, 3), (400, 0.05, 7)])
def test_the_number_that_is_asked_for_is_enough_and_one_less_is_not(
    tests: int, q: float, least: int
) -> None:
    count = needed(tests, q, least)
    p = np.ones(tests)
    p[:least] = 1 / (count + 1)
    assert few_false(p, q, count, least).sum() == least
    p[:least] = 1 / count
    assert not few_false(p, q, count, least).any()
    with pytest.raises(CannotKnowError):
        few_false(p, q, count - 1, least)


def test_what_was_not_tested_is_not_flagged_and_rates_are_rates() -> None:
    p = np.array([np.nan, 1e-4, np.nan])
    assert few_false(p, 0.1, 9999).tolist() == [False, True, False]
    assert not few_false(np.array([np.nan]), 0.1, 1).any()
    for rate in (0.0, 1.0, float("nan")):
        with pytest.raises(UsageError):
            few_false(p, rate, 9999)


def views(random: np.random.Generator, count: int, samples: int) -> np.ndarray:
    """Ranks of views that agree in part, as views of one model do."""
    shared = random.normal(size=samples)
    scores = shared + random.normal(size=(count, samples))
    return (scores.argsort(1).argsort(1) + 0.5) / samples


def test_the_strangest_of_many_views_is_strange_by_chance_as_often_as_stated() -> None:
    random = np.random.default_rng(4)
    trusted, groups = np.arange(300) < 100, np.zeros(300, dtype=np.int64)
    least, alone = [], []
    for draw in range(50):
        ranks = views(random, 30, 300)
        adjusted = tails(ranks, trusted, groups, seed=draw)
        assert ((adjusted > 0) & (adjusted <= 1)).all()
        least.append(adjusted.min())
        # Each view by itself, without the adjustment.
        seen = (ranks[:, trusted] > 0.95).sum(1)
        alone.append(hypergeom.cdf(seen, 300, 15, 100).min())
    assert np.mean(np.array(least) <= 0.1) <= 0.1 + 3 * np.sqrt(0.09 / 50)
    assert np.mean(np.array(alone) <= 0.1) > 0.5


def test_a_view_whose_tail_has_no_trusted_samples_is_found_within_its_class() -> None:
    random = np.random.default_rng(5)
    trusted, groups = np.arange(800) % 2 == 0, (np.arange(800) >= 400).astype(np.int64)
    ranks = views(random, 20, 800)
    for group in (0, 1):
        own = groups == group
        scores = random.normal(size=400) + 5 * (~trusted[own] & (random.random(400) < 0.1))
        ranks[7, own] = (scores.argsort().argsort() + 0.5) / 400
    adjusted = tails(ranks, trusted, groups)
    assert adjusted.argmin() == 7
    assert adjusted[7] < 0.01
    assert np.array_equal(adjusted, tails(ranks, trusted, groups))
    left_out = ranks.copy()
    left_out[:, :10] = np.nan
    assert tails(left_out, trusted, groups).argmin() == 7


def test_views_that_are_all_alike_and_classes_of_one_kind_say_nothing() -> None:
    trusted, groups = np.arange(40) < 20, np.zeros(40, dtype=np.int64)
    assert tails(np.full((3, 40), 0.5), trusted, groups).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(CannotKnowError):
        tails(np.full((3, 40), 0.5), np.ones(40, dtype=np.bool_), groups)
