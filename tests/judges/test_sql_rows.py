# SPDX-License-Identifier: Apache-2.0
"""Comparison of results, and where a statement ends."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.core.sql_text import first_statement, literals, tokens, without_distinct
from codetemper.judges._sql_rows import same_rows

INF = float("inf")


@pytest.mark.parametrize(
    ("given", "gold", "same"),
    [
        ([(1,), (1,), (2,)], [(2,), (1,), (1,)], True),
        ([(1,), (2,), (2,)], [(2,), (1,), (1,)], False),
        ([(1,)], [(1.0,)], True),
        ([(1,)], [("1",)], False),
        ([(b"a",)], [("a",)], False),
        ([(None,)], [(0,)], False),
        ([(None,), (1,)], [(1,), (None,)], True),
        ([(0.1 + 0.2,)], [(0.3,)], True),
        ([(3.0000000000000004,)], [(3,)], True),
        ([(3.00001,)], [(3,)], False),
        ([(10**15,)], [(10**15 + 1,)], False),
        ([(2.5e15 + 0.5,)], [(2.5e15,)], True),
        ([(INF,)], [(5.0,)], False),
        ([(-INF,)], [(INF,)], False),
        ([(INF,), (-INF,)], [(-INF,), (INF,)], True),
        ([], [], True),
        ([], [(1,)], False),
    ],
)
def test_bags_of_values(given: Any, gold: Any, same: bool) -> None:
    assert same_rows(given, gold, ordered=False) is same
    assert same_rows(gold, given, ordered=False) is same


@pytest.mark.parametrize("digit", range(1, 10))
def test_floats_on_both_sides_of_a_rounding_border_are_one(digit: int) -> None:
    border = float(f"0.{digit}12345678905")
    assert same_rows([(border * (1 + 1e-15),)], [(border * (1 - 1e-15),)], ordered=False)


def test_sets_do_not_count() -> None:
    twice, once = [(1, 2), (1, 2), (3, 4)], [(3, 4), (1, 2)]
    assert same_rows(twice, once, ordered=False, semantics="set")
    assert not same_rows(twice, once, ordered=False)
    assert not same_rows(twice, once, ordered=True, semantics="set")
    assert not same_rows([(2, 1)], [(1, 2)], ordered=False, semantics="set")


def test_columns_move_together_or_not_at_all() -> None:
    gold = [(1, "a"), (2, "b")]
    assert same_rows([("a", 1), ("b", 2)], gold, ordered=True, columns="any")
    assert not same_rows([("a", 1), ("b", 2)], gold, ordered=False)
    # Each column by itself holds the right values, the rows do not.
    assert not same_rows([("b", 1), ("a", 2)], gold, ordered=False, columns="any")
    assert not same_rows([("b", 2), ("a", 1)], gold, ordered=True, columns="any")
    assert same_rows([("b", 2), ("a", 1)], gold, ordered=False, columns="any")
    assert not same_rows([(1, 1), (2, 2)], [(1, 2), (2, 1)], ordered=False, columns="any")


VALUES = st.sampled_from([None, 0, 1, "a"])


@settings(max_examples=150)
@given(st.data(), st.integers(1, 4), st.integers(0, 5))
def test_permuted_columns_are_found_exactly_where_they_are(
    data: st.DataObject, width: int, height: int
) -> None:
    table = st.lists(st.tuples(*[VALUES] * width), min_size=height, max_size=height)
    given, gold = data.draw(table), data.draw(table)
    if data.draw(st.booleans()):
        order = data.draw(st.permutations(range(width)))
        rows = data.draw(st.permutations(gold))
        given = [tuple(row[column] for column in order) for row in rows]
    by_hand = any(
        sorted(map(repr, (tuple(row[c] for c in order) for row in given)))
        == sorted(map(repr, gold))
        for order in itertools.permutations(range(width))
    )
    assert same_rows(given, gold, ordered=False, columns="any") == by_hand


def test_many_columns_of_few_values_take_no_time() -> None:
    chance = random.Random(0)
    gold = [tuple(chance.choice("ab") for _ in range(24)) for _ in range(60)]
    order = chance.sample(range(24), 24)
    given = [tuple(row[column] for column in order) for row in gold]
    start = time.monotonic()
    assert same_rows(given, gold, ordered=False, columns="any")
    # A graph against another one, row by row an edge: where comparing can explode.
    size = 14
    cycle = [tuple(int(c in {r, (r + 1) % size}) for c in range(size)) for r in range(size)]
    halves = [
        tuple(int(c in {r, r // 7 * 7 + (r + 1) % 7}) for c in range(size)) for r in range(size)
    ]
    assert not same_rows(cycle, halves, ordered=False, columns="any")
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("SELECT 'a;b' FROM t; SELECT 2", "SELECT 'a;b' FROM t"),
        ("SELECT 1 -- ; no\n + 1; x", "SELECT 1 -- ; no\n + 1"),
        ("SELECT 1", "SELECT 1"),
        ("SELECT 1 /* ; * */ ; x", "SELECT 1 /* ; * */"),
        ('SELECT [a;b], `c;`, "d;" ; x', 'SELECT [a;b], `c;`, "d;"'),
        ("SELECT 'it''s;' ; x", "SELECT 'it''s;'"),
        ("SELECT 'open; x", "SELECT 'open; x"),
        ("SELECT ''' ; x", "SELECT ''' ; x"),
        ("; SELECT 1", ""),
        ("", ""),
    ],
)
def test_statements_end_at_their_own_semicolon(text: str, statement: str) -> None:
    assert first_statement(text) == statement
    assert "".join(token.text for token in tokens(text)) == text


def test_distinct_is_taken_out_as_a_word_only() -> None:
    query = "SELECT DISTINCT a, 'distinct' FROM distinct_t WHERE count(distinct b) > 1"
    assert without_distinct(query).split() == (
        ["SELECT", "a,", "'distinct'", "FROM", "distinct_t", "WHERE", "count(", "b)", ">", "1"]
    )


def test_literals() -> None:
    assert literals("a = 'it''s' AND b > 2.5 LIMIT 3 -- 4") == (["it's"], [2.5, 3])


@pytest.mark.parametrize("piece", ["'", "/*", "''a", ";'", "--;\n", "[", "/", "-"])
def test_no_text_takes_long_to_split(piece: str) -> None:
    start = time.monotonic()
    first_statement(piece * 100_000)
    without_distinct(piece * 100_000 + " distinct")
    assert time.monotonic() - start < 30
