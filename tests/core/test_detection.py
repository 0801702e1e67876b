# SPDX-License-Identifier: Apache-2.0
"""Thresholds keep their rate, intervals cover, drift is found where it is and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from codetemper.core.detection import (
    auroc,
    average_precision,
    calibrate,
    drift,
    fewest,
    recall_at,
)
from codetemper.core.errors import CannotKnowError, UsageError


@pytest.mark.parametrize(("n", "fpr"), [(19, 0.05), (99, 0.01), (150, 0.01), (40, 0.2)])
def test_a_threshold_keeps_its_rate_over_draws(n: int, fpr: float) -> None:
    random = np.random.default_rng(3)
    rates = [1 - norm.cdf(calibrate(random.normal(size=n).tolist(), fpr)) for _ in range(3000)]
    spread = float(np.std(rates)) / np.sqrt(len(rates))
    assert np.mean(rates) <= fpr + 3 * spread
    # Not far below it either: it is a quantile, and no bound.
    assert np.mean(rates) >= 0.5 * fpr


def test_what_lies_at_the_threshold_is_not_above_it() -> None:
    assert calibrate([1.0] * 99, 0.01) == 1.0
    assert calibrate([float(n) for n in range(199)], 0.01) == 197.0


def test_too_few_clean_samples_say_how_many_are_needed() -> None:
    assert (fewest(0.01), fewest(0.05), fewest(0.3)) == (99, 19, 3)
    calibrate([0.0] * fewest(0.3), 0.3)
    with pytest.raises(CannotKnowError) as caught:
        calibrate([0.0] * 98, 0.01)
    assert "98 clean samples" in caught.value.why
    assert "needs 99" in caught.value.why
    for rate in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError):
            calibrate([0.0] * 200, rate)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    bad, clean = [3.0, 1.0, 2.0], [0.0, 2.0]
    pairs = [(b > c) + 0.5 * (b == c) for b in bad for c in clean]
    assert auroc(bad, clean).value == pytest.approx(sum(pairs) / len(pairs))
    assert auroc(clean, bad).value == pytest.approx(1 - sum(pairs) / len(pairs))


def test_perfect_separation_does_not_claim_certainty() -> None:
    few, many = auroc([1.0] * 5, [0.0] * 5), auroc([1.0] * 500, [0.0] * 500)
    assert few.value == few.high == 1.0
    assert 0.4 < few.low < 0.8
    assert 0.98 < many.low < 1.0
    worst = auroc([0.0] * 5, [1.0] * 5)
    assert (worst.value, worst.low) == (0.0, 0.0)
    assert worst.high == pytest.approx(1 - few.low)
    with pytest.raises(CannotKnowError):
        auroc([], [1.0])


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_the_interval_covers_the_true_area(shift: float) -> None:
    random, true = np.random.default_rng(5), norm.cdf(shift / np.sqrt(2))
    covered = 0
    for _ in range(400):
        found = auroc(random.normal(shift, size=25).tolist(), random.normal(size=60).tolist())
        covered += found.low <= true <= found.high
    assert covered >= 0.92 * 400


def test_average_precision_is_the_mean_precision_at_bad_samples() -> None:
    bad, clean = [9.0, 7.0, 4.0], [8.0, 5.0, 4.0, 1.0]
    # Precision at 9: 1/1, at 7: 2/3, at 4, tied with a clean one: 3/6.
    assert average_precision(bad, clean).value == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    random = np.random.default_rng(1)
    chance = average_precision(random.normal(size=4000), random.normal(size=36_000))
    assert chance.value == pytest.approx(0.1, abs=0.01)
    perfect = average_precision([1.0] * 8, [0.0] * 50)
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert 0.6 < perfect.low < 0.7
    with pytest.raises(CannotKnowError):
        average_precision([1.0], [])


def test_recall_is_the_share_above_a_threshold_that_few_clean_samples_exceed() -> None:
    clean = np.arange(200.0)
    # Two of 200 may lie above: what counts is above 197.
    found = recall_at([197.0, 197.5, 300.0, 0.0], clean, 0.01)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert recall_at([197.0, 197.5, 300.0, 0.0], clean, 0.01) == found
    sure = recall_at([900.0] * 10, clean, 0.01)
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert 0.6 < sure.low < 0.9
    with pytest.raises(CannotKnowError) as caught:
        recall_at([1.0], clean[:99], 0.01)
    assert "needs 100" in caught.value.why
    with pytest.raises(UsageError):
        recall_at([1.0], clean, 0.0)


@pytest.mark.parametrize("shift", [0.5, 1.5, 3.0])
def test_the_intervals_cover_precision_and_recall(shift: float) -> None:
    random = np.random.default_rng(6)
    share = 1 - norm.cdf(norm.ppf(0.95) - shift)
    many = average_precision(random.normal(shift, size=20_000), random.normal(size=100_000)).value
    recalled = precise = 0
    for draw in range(150):
        bad, clean = random.normal(shift, size=40), random.normal(size=200)
        found = recall_at(bad, clean, 0.05, seed=draw)
        recalled += found.low <= share <= found.high
        whole = average_precision(bad, clean)
        precise += whole.low <= many <= whole.high
    assert recalled >= 0.92 * 150
    assert precise >= 0.92 * 150


def test_an_even_file_does_not_drift() -> None:
    random, places = np.random.default_rng(7), np.repeat(np.arange(10), 40)
    found = 0
    for _ in range(60):
        values = random.normal(size=400)
        found += any(block.drifts for block in drift(values, places, values > 2))
    assert found <= 8


def test_a_block_of_bad_samples_and_a_shifted_block_are_found() -> None:
    random, places = np.random.default_rng(8), np.repeat(np.arange(10), 60)
    values = random.normal(size=600)
    values[190:200] += 8
    blocks = drift(values, places, values > 4)
    assert [block.number for block in blocks if block.drifts] == [3]
    assert (blocks[3].flagged, blocks[3].n) == (10, 60)
    assert blocks[3].p_share < 0.05 < blocks[3].p_shift
    assert blocks[3].low < 10 / 60 < blocks[3].high
    shifted = random.normal(size=600) + 1.0 * (places == 7)
    blocks = drift(shifted, places, shifted > 9)
    assert [block.number for block in blocks if block.drifts] == [7]
    assert blocks[7].p_shift < 0.05 < blocks[7].p_share


def test_one_block_and_equal_scores_have_nothing_to_differ_from() -> None:
    assert not drift([1.0, 5.0], [0, 0], [False, True])[0].drifts
    assert not any(block.drifts for block in drift([1.0] * 9, [0, 1, 2] * 3, [False] * 9))
