# SPDX-License-Identifier: Apache-2.0
"""Splits: whole repositories, or by age; no cluster straddles."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.data.splits import SPLITS, Shares, by_date, by_repository, mend

SHARES = Shares(validation=0.1, test=0.1)


def test_many_repositories_come_near_the_shares() -> None:
    names = [f"r{i}" for i in range(100) for _ in range(1 + i % 7)]
    sizes = Counter(by_repository(names, SHARES))
    assert abs(sizes["test"] - 0.1 * len(names)) <= 7
    assert abs(sizes["validation"] - 0.1 * len(names)) <= 7


def test_few_repositories() -> None:
    assert set(by_repository(["a"] * 9, SHARES)) == {"train"}
    four = ["a"] * 40 + ["b"] * 30 + ["c"] * 20 + ["d"] * 10
    found = dict(zip(four, by_repository(four, SHARES), strict=True))
    assert found == {"a": "train", "b": "train", "c": "validation", "d": "test"}
    # Nothing was asked for: nothing is taken.
    assert set(by_repository(four, Shares(0, 0))) == {"train"}


def test_seeds_choose_other_repositories() -> None:
    names = [f"r{i}" for i in range(40)]
    assert by_repository(names, SHARES, seed=0) != by_repository(names, SHARES, seed=1)


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from([f"r{i}" for i in range(12)]), min_size=1, max_size=80),
    st.floats(0, 0.45), st.floats(0, 0.45), st.randoms(),
)  # fmt: skip
def test_a_repository_is_whole_and_order_does_not_matter(
    names: list[str], validation: float, test: float, draw: object
) -> None:
    shares = Shares(validation, test)
    place = defaultdict(set)
    for name, split in zip(names, by_repository(names, shares), strict=True):
        place[name].add(split)
    assert all(len(splits) == 1 for splits in place.values())
    turned = names[::-1]
    assert {name: by_repository(turned, shares)[turned.index(name)] for name in place} == {
        name: next(iter(splits)) for name, splits in place.items()
    }
    assert sum(names.count(n) for n, s in place.items() if s == {"train"}) * 10 >= len(names)


def test_by_date_the_youngest_are_the_test() -> None:
    dates = [f"{2000 + i}-01-01T00:00:00+00:00" for i in range(20)]
    found = by_date(dates, SHARES)
    assert found == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    assert by_date(dates[::-1], SHARES) == found[::-1]


def test_by_date_from_a_day_on() -> None:
    dates = ["2019-01-01", "2020-06-01", "2021-01-01T00:00:00+02:00", "2021-01-01", "2022-01-01"]
    found = by_date(dates, Shares(0.2, 0.0), test_since="2021-01-01")
    assert found == ["train", "train", "validation", "test", "test"]


def test_what_has_no_date_is_old_and_one_moment_is_not_cut() -> None:
    assert by_date(["?", "2020-01-01", "2021-01-01"], Shares(0, 0.4)) == ["train", "train", "test"]
    assert set(by_date(["2020-01-01"] * 10, SHARES)) == {"train"}


@settings(max_examples=100)
@given(st.lists(st.sampled_from(SPLITS), min_size=1, max_size=20), st.integers(1, 6))
def test_no_cluster_straddles_and_the_fewest_go(splits: list[str], size: int) -> None:
    clusters = [range(i, min(i + size, len(splits))) for i in range(0, len(splits), size)]
    found = mend(splits, clusters)  # type: ignore[arg-type]
    for cluster in clusters:
        left = {found[i] for i in cluster} - {None}
        assert len(left) == 1
        kept = sum(found[i] is not None for i in cluster)
        assert kept == max(Counter(splits[i] for i in cluster).values())
    assert all(new in (None, old) for new, old in zip(found, splits, strict=True))


def test_of_equal_parts_training_keeps_its_pairs() -> None:
    assert mend(
        ["test", "train", "validation"],
        [
            (0, 1),
        ],
    ) == [None, "train", "validation"]
