# SPDX-License-Identifier: Apache-2.0
"""Near-duplicates: at the threshold, the best one stays, and a second fix is no copy."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.core.records import FixPair
from codetemper.data.duplicates import (
    DuplicateFinder,
    Duplicates,
    _shingles,
    groups,
    jaccard,
    timestamp,
)
from codetemper.data.ngrams import words
from tests.data.fixes import edited, fix, function


def find(pairs: Iterable[FixPair], threshold: float = 0.8) -> Duplicates:
    with DuplicateFinder(threshold) as finder:
        for pair in pairs:
            finder.add(pair)
        return finder.find()


def likeness(one: str, other: str) -> float:
    return jaccard(_shingles(words(one, "c")), _shingles(words(other, "c")))


def test_the_same_fix_in_other_layout_is_an_exact_copy() -> None:
    first = fix(1)
    again = fix(1, id="z", after="/* note */\n" + first.after.replace("  ", "\t"))
    found = find([first, fix(2), again])
    assert {at: (copy.of, copy.exact) for at, copy in found.copies.items()} == {2: (0, True)}
    assert found.kin == ()


def test_the_best_then_the_oldest_stays() -> None:
    poor, young = fix(1, quality=0.5), fix(1, quality=0.9, date="2021-01-01T00:00:00Z")
    # Later by the clock of its zone, earlier in fact.
    old = fix(1, quality=0.9, date="2020-12-31T23:30:00-00:00")
    unscored, undated = fix(1), fix(1, quality=0.9, date="?")
    found = find([poor, young, old, unscored, undated])
    assert {copy.of for copy in found.copies.values()} == {2}
    assert sorted(found.copies) == [0, 1, 3, 4]


def test_near_copies_are_found_at_the_threshold_and_not_below() -> None:
    near, far = [], []
    for seed in range(40):
        whole = fix(seed)
        share = random.Random(seed).choice([0.05, 0.1, 0.15, 0.3, 0.5])
        other = fix(
            seed, id="z", before=edited(whole.before, share), after=edited(whole.after, share)
        )
        found = find([whole, other])
        (near if likeness(whole.after, other.after) >= 0.8 else far).append(bool(found.copies))
    assert len(near) >= 10
    assert all(near)
    assert len(far) >= 10
    assert not any(far)


def test_two_fixes_of_one_function_are_kin_not_copies() -> None:
    first = fix(1)
    second = fix(1, id="z", before=first.after,
                 after=first.after.replace("}\n", "  if (q9) return;\n}\n"))  # fmt: skip
    found = find([first, second, fix(2)])
    assert found.copies == {}
    assert found.kin == ((0, 1),)


def test_pieces_of_other_granularity_and_opposite_changes_are_no_copies() -> None:
    whole = fix(1)
    assert find([whole, fix(1, id="z", granularity="file")]).copies == {}
    undone = fix(1, id="z", before=whole.after, after=whole.before)
    assert find([whole, undone]).copies == {}


def test_every_pair_dropped_is_alike_to_one_that_stays() -> None:
    # A chain in which each is alike to the next, and the ends are not.
    texts = [function(1, 60)]
    for step in range(12):
        texts.append(edited(texts[-1], 0.1, seed=step))
    pairs = [
        fix(1, id=f"{i:02d}", after=text, before=text.replace("if (n1", "if (m"))
        for i, text in enumerate(texts)
    ]
    found = find(pairs)
    assert 0 < len(found.copies) < len(pairs) - 1
    for at, copy in found.copies.items():
        assert copy.of not in found.copies
        assert likeness(texts[at], texts[copy.of]) >= 0.8
    kept = [i for i in range(len(pairs)) if i not in found.copies]
    for i in kept:
        assert all(i == j or likeness(texts[i], texts[j]) < 0.8 for j in kept)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    pairs = [
        fix(
            n // 3,
            id=f"{n:02d}",
            quality=n % 5 / 5,
            before=edited(function(n // 3, fixed=False), 0.04, n),
            after=edited(function(n // 3), 0.04, n),
        )
        for n in range(30)
    ]
    kept = []
    for order in (pairs, pairs[::-1]):
        copies = find(order).copies
        kept.append({pair.id for i, pair in enumerate(order) if i not in copies})
    assert kept[0] == kept[1]
    assert len(kept[0]) == 10


def test_texts_too_short_for_a_shingle() -> None:
    lines = [fix(i, granularity="line", before="", after=text)
             for i, text in enumerate(["", "x", "x", "y", "x;"])]  # fmt: skip
    assert {at: copy.of for at, copy in find(lines).copies.items()} == {2: 1}
    assert find([]).copies == {}


@settings(max_examples=60)
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_jaccard(left: set[int], right: set[int]) -> None:
    arrays = [np.array(sorted(one), np.uint32) for one in (left, right)]
    whole = left | right
    assert jaccard(*arrays) == pytest.approx(len(left & right) / len(whole) if whole else 1)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_groups_are_what_links_connect(links: list[tuple[int, int]]) -> None:
    found = groups(links)
    members = [one for group in found for one in group]
    assert len(members) == len(set(members))
    place = {one: group for group in found for one in group}
    assert all(place.get(a) == place.get(b) for a, b in links)
    assert all(len(group) > 1 for group in found)


def test_dates_in_any_zone() -> None:
    assert timestamp("2020-01-01T01:00:00+01:00") == timestamp("2020-01-01")
    assert timestamp("yesterday") == float("inf")
