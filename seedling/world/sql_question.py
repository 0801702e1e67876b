# SPDX-License-Identifier: Apache-2.0
"""What the SQL question kinds share: drafts, conditions and the words for them.

A kind of question is a function ``(rng, schema) -> Draft``; ``sql.py`` turns drafts into tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from seedling.world.sql_schemas import Schema, Table

Queries = tuple[tuple[str, str], ...]

# For each comparison: words, the same with the boundary wrong, the opposite.
_COMPARE = {
    ">=": (("at least", "no less than"), ">", "<="),
    ">": (("above", "more than"), ">=", "<"),
    "<=": (("at most", "no more than"), "<", ">="),
    "<": (("below", "less than"), "<=", ">"),
}
AGGREGATES = {
    "SUM": (("total", "sum of"), "AVG"),
    "AVG": (("average", "mean"), "SUM"),
    "MIN": (("smallest", "lowest"), "MAX"),
    "MAX": (("largest", "highest"), "MIN"),
}


@dataclass(frozen=True)
class Draft:
    """One question with its right and wrong queries.

    Attributes:
        question: the question in words; holds every part of the combination.
        good: (idiom, query) pairs; the first is the gold one, queries have no semicolon.
        bad: (idiom, query) pairs.
        ordered: whether the order of rows is part of the answer.
    """

    question: str
    good: Queries
    bad: Queries
    ordered: bool = False


Build = Callable[[random.Random, Schema], Draft]


@dataclass(frozen=True)
class Condition:
    """A condition in words and in SQL, with near misses.

    Attributes:
        words: e.g. ``with age at least 30``.
        right: the condition.
        near: off by the boundary or by the spelling of a value.
        opposite: the condition turned round.
    """

    words: str
    right: str
    near: str
    opposite: str


def literal(value: str | int) -> str:
    """Write a value as SQL does."""
    return f"'{value}'" if isinstance(value, str) else str(value)


def on_number(rng: random.Random, table: Table, prefix: str = "") -> Condition:
    """Draw a comparison of a number column with a value from the middle of its range."""
    column = rng.choice(table.of("number"))
    operator = rng.choice(list(_COMPARE))
    words, near, opposite = _COMPARE[operator]
    value, name = rng.choice(column.values[6:18]), prefix + column.name
    return Condition(
        f"with {column.name} {rng.choice(words)} {value}",
        f"{name} {operator} {value}",
        f"{name} {near} {value}",
        f"{name} {opposite} {value}",
    )


def on_category(rng: random.Random, table: Table, prefix: str = "") -> Condition:
    """Draw an equality of a category column with one of its values."""
    column = rng.choice(table.of("category"))
    value, name = rng.choice(column.values), prefix + column.name
    near = f"{name} = '{value.swapcase()}'" if isinstance(value, str) else f"{name} >= {value}"
    return Condition(
        f"with {column.name} {value}",
        f"{name} = {literal(value)}",
        near,
        f"{name} <> {literal(value)}",
    )


def on_any(rng: random.Random, table: Table, prefix: str = "") -> Condition:
    """Draw a condition of either kind."""
    return rng.choice((on_number, on_category))(rng, table, prefix)
