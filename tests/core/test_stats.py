# SPDX-License-Identifier: Apache-2.0
"""Statistics: against definitions, against scipy, and by coverage on data of known truth."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.stats import (
    LOOKS,
    cluster_bootstrap,
    detectable,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    pass_at_k,
    spend,
    wilson,
)


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_pass(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_at_its_edges() -> None:
    assert math.isnan(pass_at_k(3, 1, 4))
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01)
    for n, c, k in ((3, 4, 1), (3, -1, 1), (3, 1, 0)):
        with pytest.raises(UsageError):
            pass_at_k(n, c, k)


def test_wilson_is_the_textbook_interval() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson(0, 20)[1] == pytest.approx(0.1611, abs=1e-4)


def test_bootstrap_covers_the_truth_and_counts_cases() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        skill = random.beta(1, 1, size=60)
        per_case = random.binomial(10, skill) / 10
        estimate = cluster_bootstrap(per_case, seed=seed, draws=500)
        covered += estimate.low <= 0.5 <= estimate.high
        assert estimate.n == 60
    assert 0.89 <= covered / 200 <= 0.99


def test_clusters_widen_the_interval() -> None:
    # Ten cases, all-or-nothing within a case: as 1000 independent samples it would look 10x surer.
    estimate = cluster_bootstrap([1, 0] * 50)
    low, high = wilson(5000, 10_000)
    assert estimate.high - estimate.low > 5 * (high - low)


def test_weighted_bootstrap_is_a_ratio_of_sums() -> None:
    estimate = cluster_bootstrap([1.0, 0.5, math.nan, 0.0], weights=[1, 2, 0, 1])
    assert estimate.value == pytest.approx(0.5)
    assert estimate.n == 3
    whole = cluster_bootstrap([0.2, 0.9, 0.4], weights=[3, 3, 3], seed=5)
    plain = cluster_bootstrap([0.2, 0.9, 0.4], seed=5)
    assert (whole.value, whole.low, whole.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_same_seed_same_interval() -> None:
    values = np.linspace(0, 1, 30)
    assert cluster_bootstrap(values, seed=3) == cluster_bootstrap(values, seed=3)
    assert cluster_bootstrap(values, seed=3) != cluster_bootstrap(values, seed=4)


def test_unanimous_cases_do_not_claim_certainty() -> None:
    ones, zeros = cluster_bootstrap([1.0] * 20), cluster_bootstrap([0.0] * 20)
    assert (ones.low, ones.high) == pytest.approx(wilson(20, 20))
    assert (zeros.low, zeros.high) == pytest.approx(wilson(0, 20))


def test_nothing_to_estimate_from_is_said() -> None:
    for values, weights in (([], None), ([math.nan], None), ([1.0], [0.0])):
        with pytest.raises(CannotKnowError):
            cluster_bootstrap(values, weights)
        with pytest.raises(CannotKnowError):
            paired_bootstrap(values, values, weights, weights)
    with pytest.raises(UsageError):
        cluster_bootstrap([1.0, 2.0], weights=[1.0])
    with pytest.raises(UsageError):
        cluster_bootstrap([1.0], weights=[-1.0])


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_a_binomial_test_of_the_discordant(b: int, c: int) -> None:
    p = mcnemar_exact(b, c)
    assert 0 < p <= 1
    assert p == mcnemar_exact(c, b)
    if b + c:
        assert p == pytest.approx(binomtest(b, b + c).pvalue)


def test_sign_flip_is_scipys_paired_permutation_test() -> None:
    random = np.random.default_rng(0)
    for n, tolerance in ((9, 1e-12), (40, 0.03)):
        before = random.random(n)
        after = before + random.normal(0.1, 0.4, n)
        reference = permutation_test(
            (after, before), lambda a, b, axis: np.mean(a - b, axis=axis), n_resamples=4000,
            permutation_type="samples", vectorized=True, rng=np.random.default_rng(1),
        )  # fmt: skip
        assert paired_bootstrap(before, after).p == pytest.approx(reference.pvalue, abs=tolerance)


def test_pairing_removes_what_the_cases_share() -> None:
    random = np.random.default_rng(2)
    before = random.random(80)
    difference = paired_bootstrap(before, before + 0.05 + random.normal(0, 0.02, 80))
    assert difference.low > 0.03
    assert difference.high < 0.07
    assert difference.p < 0.001
    apart = cluster_bootstrap(before)
    assert apart.high - apart.low > 3 * (difference.high - difference.low)


def test_no_difference_no_evidence() -> None:
    same = paired_bootstrap([0.1, 0.9, 0.5], [0.1, 0.9, 0.5])
    assert (same.difference, same.p) == (0, 1)
    assert same.low < -0.5
    assert same.high > 0.5
    p = [
        paired_bootstrap(*np.random.default_rng(s).random((2, 25)), seed=s, draws=300).p
        for s in range(120)
    ]
    assert 0.0 <= np.mean(np.array(p) < 0.05) <= 0.12


def test_weighted_pairs_may_lack_a_value_on_one_side() -> None:
    # A case without valid samples before has no value there, but counts after.
    difference = paired_bootstrap(
        [math.nan, 0.0, 0.0, 0.5], [1.0, 1.0, 1.0, 0.5], [0, 4, 4, 4], [4, 4, 4, 4]
    )
    assert difference.before == pytest.approx(2 / 12)
    assert difference.after == pytest.approx(14 / 16)
    assert difference.low > 0
    assert difference.n == 4


def test_sides_that_do_not_match_are_refused() -> None:
    with pytest.raises(UsageError):
        paired_bootstrap([1.0], [1.0, 2.0])
    with pytest.raises(UsageError):
        paired_bootstrap([1.0], [1.0], before_weights=[1.0])


def test_holm_on_the_textbook_example() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_only_raises_and_keeps_order(pvalues: dict[str, float]) -> None:
    adjusted = holm(pvalues)
    assert all(pvalues[name] <= adjusted[name] <= 1 for name in pvalues)
    ranked = sorted(pvalues, key=lambda name: pvalues[name])
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(ranked))


def test_greedy_answers_are_compared_by_mcnemar() -> None:
    before = np.array([1.0] * 5 + [0.0] * 20 + [1.0] * 75)
    after = np.array([0.0] * 5 + [1.0] * 20 + [1.0] * 75)
    found = paired_bootstrap(before, after)
    assert found.p == pytest.approx(binomtest(5, 25).pvalue)
    assert found.p == mcnemar_exact(5, 20)


def test_families_are_resampled_whole() -> None:
    random = np.random.default_rng(3)
    families = [f"f{i // 10}" for i in range(200)]
    skill = np.repeat(random.beta(0.5, 0.5, 20), 10)
    values = random.binomial(4, skill) / 4
    by_case, by_family = cluster_bootstrap(values), cluster_bootstrap(values, clusters=families)
    assert by_family.value == pytest.approx(by_case.value)
    assert by_family.n == 20
    assert by_family.high - by_family.low > 1.5 * (by_case.high - by_case.low)
    shift = np.repeat(random.normal(0, 0.2, 20), 10)
    narrow = paired_bootstrap(values, values + shift)
    wide = paired_bootstrap(values, values + shift, clusters=families)
    assert wide.difference == pytest.approx(narrow.difference)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.n == 20
    assert wide.p > narrow.p


def test_a_ratio_of_families_is_the_ratio_of_cases() -> None:
    values, weights = [0.5, 1.0, 0.0, 0.25], [2, 1, 0, 4]
    families = ["a", "a", "b", "b"]
    plain = cluster_bootstrap(values, weights)
    grouped = cluster_bootstrap(values, weights, clusters=families)
    assert grouped.value == pytest.approx(plain.value)


@pytest.mark.parametrize("levels", [2, 5])
def test_the_detectable_difference_is_seen_four_times_in_five(levels: int) -> None:
    """Simulated: models that differ by just that much, on 150 cases of one or four samples."""
    random = np.random.default_rng(11)
    samples = levels - 1
    quiet = [_two_models(random, 150, samples, 0.0) for _ in range(20)]
    told = float(np.mean([paired_bootstrap(*pair, draws=10).detectable for pair in quiet]))
    seen = [
        paired_bootstrap(*_two_models(random, 150, samples, told), draws=400).p <= 0.05
        for _ in range(200)
    ]
    assert 0.65 <= np.mean(seen) <= 0.9


def _two_models(
    random: np.random.Generator, n: int, samples: int, gain: float
) -> tuple[np.ndarray, np.ndarray]:
    skill = random.uniform(0.2, 0.5, size=n)
    return (
        random.binomial(samples, skill) / samples,
        random.binomial(samples, skill + gain) / samples,
    )


def test_no_discordant_case_is_no_proof_of_equality() -> None:
    ones = np.ones(100)
    assert paired_bootstrap(ones, ones).detectable == pytest.approx(0.0791)
    assert cluster_bootstrap(ones).detectable == pytest.approx(0.0791)
    assert detectable(0.5, 100) == pytest.approx(2.8016 * 0.05, rel=1e-3)
    assert detectable(9.0, 1) == 1.0


def test_later_looks_ask_for_more() -> None:
    levels = [spend(look) for look in range(1, LOOKS + 1)]
    assert levels[:3] == pytest.approx([0.95, 0.975, 0.9875])
    assert sum((1 - level) / 2 for level in levels) < 0.05
    with pytest.raises(CannotKnowError, match="looked at 8 times"):
        spend(LOOKS + 1)
    values = np.random.default_rng(0).normal(0.1, 1, 200)
    widths = [
        (d := paired_bootstrap(np.zeros(200), values, level=level)).high - d.low for level in levels
    ]
    assert widths == sorted(widths)
    assert widths[3] > 1.2 * widths[0]


def test_no_change_among_few_cases_is_no_certainty() -> None:
    few, many = (
        paired_bootstrap(np.ones(16), np.ones(16)),
        paired_bootstrap(np.ones(400), np.ones(400)),
    )
    assert few.low == pytest.approx(-(1 - 0.025 ** (1 / 16)))
    assert few.high == -few.low
    assert -0.01 < many.low < 0
    assert (few.difference, few.p) == (0.0, 1.0)
    certain = paired_bootstrap(np.zeros(20), np.ones(20))
    assert certain.high == 1.0
    assert 0.8 < certain.low < 1.0
