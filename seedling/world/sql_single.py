# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 -- the queries are text for a model; none is run on data that matters
"""Kinds of SQL questions about one table.

Each function draws one question; ``sql.py`` names them as families. Questions over several tables
live in ``sql_join.py``.
"""

from __future__ import annotations

import random

from seedling.world.sql_question import (
    AGGREGATES,
    Condition,
    Draft,
    literal,
    on_any,
    on_category,
    on_number,
)
from seedling.world.sql_schemas import Schema, Table

NUMERALS = ("zero", "one", "two", "three", "four", "five", "six")


def _list(rng: random.Random, table: Table) -> tuple[str, str]:
    """Return words and SQL that list what a table shows."""
    shown, name = table.shown.name, table.name
    words = rng.choice((f"{shown} of {name}", f"list the {shown} of all {name}"))
    return words, f"SELECT {shown} FROM {name}"


def _perhaps(rng: random.Random, table: Table) -> Condition | None:
    return on_any(rng, table) if rng.random() < 0.6 else None


def _tail(condition: Condition | None) -> tuple[str, str]:
    return (f" {condition.words}", f" WHERE {condition.right}") if condition else ("", "")


def filter_number(rng: random.Random, schema: Schema) -> Draft:
    """Rows where a number compares with a value."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    where = on_number(rng, table)
    return Draft(
        f"{words} {where.words}",
        (("where", f"{select} WHERE {where.right}"),),
        (
            ("boundary", f"{select} WHERE {where.near}"),
            ("opposite", f"{select} WHERE {where.opposite}"),
        ),
    )


def filter_category(rng: random.Random, schema: Schema) -> Draft:
    """Rows where a category has a value."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    where = on_category(rng, table)
    every = f"SELECT * FROM {table.name}"
    return Draft(
        f"{words} {where.words}",
        (("where", f"{select} WHERE {where.right}"),),
        (("value", f"{select} WHERE {where.near}"), ("star", f"{every} WHERE {where.right}")),
    )


def filter_both(rng: random.Random, schema: Schema) -> Draft:
    """Rows that meet two conditions."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    first, second = on_category(rng, table), on_number(rng, table)
    return Draft(
        f"{words} {first.words} and {second.words.removeprefix('with ')}",
        (("and", f"{select} WHERE {first.right} AND {second.right}"),),
        (
            ("or", f"{select} WHERE {first.right} OR {second.right}"),
            ("missing", f"{select} WHERE {second.right}"),
        ),
    )


def filter_either(rng: random.Random, schema: Schema) -> Draft:
    """Rows whose category is one of two values."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    column = rng.choice(table.of("category"))
    one, two = rng.sample(column.values, 2)
    name, left, right = column.name, literal(one), literal(two)
    return Draft(
        f"{words} with {name} {one} or {two}",
        (
            ("in", f"{select} WHERE {name} IN ({left}, {right})"),
            ("or", f"{select} WHERE {name} = {left} OR {name} = {right}"),
        ),
        (
            ("and", f"{select} WHERE {name} = {left} AND {name} = {right}"),
            ("missing", f"{select} WHERE {name} = {left}"),
        ),
    )


def between(rng: random.Random, schema: Schema) -> Draft:
    """Rows whose number lies in a range, ends included."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    column = rng.choice(table.of("number"))
    name, low, high = column.name, rng.choice(column.values[3:9]), rng.choice(column.values[14:21])
    return Draft(
        f"{words} with {name} from {low} to {high}",
        (
            ("between", f"{select} WHERE {name} BETWEEN {low} AND {high}"),
            ("compare", f"{select} WHERE {name} >= {low} AND {name} <= {high}"),
        ),
        (
            ("open", f"{select} WHERE {name} > {low} AND {name} < {high}"),
            ("half", f"{select} WHERE {name} >= {low} AND {name} < {high}"),
        ),
    )


def like(rng: random.Random, schema: Schema) -> Draft:
    """Rows whose label starts or ends with, or holds, some letters."""
    table = rng.choice([table for table in schema.tables if table.of("label")])
    words, select = _list(rng, table)
    column = table.shown
    value = str(rng.choice(column.values))
    where, letters, pattern = rng.choice(
        (
            ("starting with", value[0], "{}%"),
            ("ending with", value[-1], "%{}"),
            ("containing", value[1:3], "%{}%"),
        )
    )
    wrong = {"{}%": "%{}%", "%{}": "%{}%", "%{}%": "{}%"}[pattern]
    head = f"{select} WHERE {column.name}"
    return Draft(
        f"{words} with {column.name} {where} {letters}",
        (("like", f"{head} LIKE '{pattern.format(letters)}'"),),
        (
            ("pattern", f"{head} LIKE '{wrong.format(letters)}'"),
            ("equals", f"{head} = '{pattern.format(letters)}'"),
        ),
    )


def count(rng: random.Random, schema: Schema) -> Draft:
    """How many rows meet a condition."""
    table = rng.choice(schema.tables)
    where = on_any(rng, table)
    opening = rng.choice(("how many", "number of"))
    tail = f"FROM {table.name} WHERE {where.right}"
    return Draft(
        f"{opening} {table.name} {where.words}",
        (("count", f"SELECT COUNT(*) {tail}"), ("count-id", f"SELECT COUNT(id) {tail}")),
        (
            ("near", f"SELECT COUNT(*) FROM {table.name} WHERE {where.near}"),
            ("sum", f"SELECT SUM(id) {tail}"),
        ),
    )


def aggregate(rng: random.Random, schema: Schema) -> Draft:
    """A sum, average, minimum or maximum under a condition."""
    table = rng.choice(schema.tables)
    name, column = rng.choice(list(AGGREGATES)), rng.choice(table.of("number")).name
    words, wrong = AGGREGATES[name]
    where = on_category(rng, table)
    tail = f"FROM {table.name} WHERE {where.right}"
    return Draft(
        f"{rng.choice(words)} {column} of {table.name} {where.words}",
        (("aggregate", f"SELECT {name}({column}) {tail}"),),
        (
            ("aggregate-wrong", f"SELECT {wrong}({column}) {tail}"),
            ("missing", f"SELECT {name}({column}) FROM {table.name}"),
        ),
    )


def group_count(rng: random.Random, schema: Schema) -> Draft:
    """How many rows each category value has."""
    table = rng.choice(schema.tables)
    column = rng.choice(table.of("category")).name
    opening = rng.choice(("how many", "number of"))
    words, where = _tail(_perhaps(rng, table))
    head = f"SELECT {column}, COUNT(*) FROM {table.name}"
    return Draft(
        f"{opening} {table.name}{words} for each {column}",
        (("group", f"{head}{where} GROUP BY {column}"),),
        (
            ("no-group", f"{head}{where}"),
            ("no-key", f"SELECT COUNT(*) FROM {table.name}{where} GROUP BY {column}"),
        ),
    )


def group_aggregate(rng: random.Random, schema: Schema) -> Draft:
    """A sum, average, minimum or maximum for each category value."""
    table = rng.choice(schema.tables)
    key = rng.choice(table.of("category")).name
    name, column = rng.choice(list(AGGREGATES)), rng.choice(table.of("number")).name
    words, wrong = AGGREGATES[name]
    more, where = _tail(_perhaps(rng, table))
    tail = f"FROM {table.name}{where}"
    return Draft(
        f"{rng.choice(words)} {column} of {table.name}{more} for each {key}",
        (("group", f"SELECT {key}, {name}({column}) {tail} GROUP BY {key}"),),
        (
            ("aggregate-wrong", f"SELECT {key}, {wrong}({column}) {tail} GROUP BY {key}"),
            ("no-group", f"SELECT {key}, {name}({column}) {tail}"),
        ),
    )


def group_having(rng: random.Random, schema: Schema) -> Draft:
    """Category values with enough rows."""
    table = rng.choice(schema.tables)
    key, least = rng.choice(table.of("category")).name, rng.randint(2, 5)
    more, where = _tail(_perhaps(rng, table))
    words, operator, wrong = rng.choice((("at least", ">=", ">"), ("more than", ">", ">=")))
    head = f"SELECT {key} FROM {table.name}{where} GROUP BY {key} HAVING COUNT(*)"
    return Draft(
        f"each {key} with {words} {NUMERALS[least]} {table.name}{more}",
        (("having", f"{head} {operator} {least}"),),
        (
            ("boundary", f"{head} {wrong} {least}"),
            ("no-having", f"SELECT {key} FROM {table.name}{where} GROUP BY {key}"),
        ),
    )


def top(rng: random.Random, schema: Schema) -> Draft:
    """The first rows by a number."""
    table = rng.choice(schema.tables)
    shown, column, many = table.shown.name, rng.choice(table.of("number")).name, rng.randint(2, 6)
    side, order, wrong = rng.choice(
        (("highest", " DESC", ""), ("largest", " DESC", ""), ("lowest", "", " DESC"))
    )
    more, where = _tail(_perhaps(rng, table))
    head = f"SELECT {shown} FROM {table.name}{where} ORDER BY {column}"
    return Draft(
        f"{shown} of the {NUMERALS[many]} {table.name}{more} and {side} {column}"
        if more
        else f"{shown} of the {NUMERALS[many]} {table.name} with {side} {column}",
        (("limit", f"{head}{order} LIMIT {many}"),),
        (("direction", f"{head}{wrong} LIMIT {many}"), ("no-limit", f"{head}{order}")),
        ordered=True,
    )


def sort(rng: random.Random, schema: Schema) -> Draft:
    """Rows in order of a number."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    more, where = _tail(_perhaps(rng, table))
    column = rng.choice(table.of("number")).name
    side, order, wrong = rng.choice(
        (("highest", " DESC", ""), ("largest", " DESC", ""), ("lowest", "", " DESC"))
    )
    head = f"{select}{where}"
    return Draft(
        f"{words}{more}, {side} {column} first",
        (("order", f"{head} ORDER BY {column}{order}"),),
        (("direction", f"{head} ORDER BY {column}{wrong}"), ("no-order", head)),
        ordered=True,
    )


def distinct(rng: random.Random, schema: Schema) -> Draft:
    """The different values of a category."""
    table = rng.choice(schema.tables)
    column, where = rng.choice(table.of("category")).name, on_number(rng, table)
    opening = rng.choice(("different", "distinct"))
    return Draft(
        f"{opening} {column} of {table.name} {where.words}",
        (
            ("distinct", f"SELECT DISTINCT {column} FROM {table.name} WHERE {where.right}"),
            ("group", f"SELECT {column} FROM {table.name} WHERE {where.right} GROUP BY {column}"),
        ),
        (
            ("no-distinct", f"SELECT {column} FROM {table.name} WHERE {where.right}"),
            ("missing", f"SELECT DISTINCT {column} FROM {table.name}"),
        ),
    )


def count_distinct(rng: random.Random, schema: Schema) -> Draft:
    """How many different values a category has."""
    table = rng.choice(schema.tables)
    column, where = rng.choice(table.of("category")).name, on_number(rng, table)
    opening = rng.choice(("how many", "number of"))
    tail = f"FROM {table.name} WHERE {where.right}"
    return Draft(
        f"{opening} different {column} values of {table.name} {where.words}",
        (("distinct", f"SELECT COUNT(DISTINCT {column}) {tail}"),),
        (
            ("no-distinct", f"SELECT COUNT({column}) {tail}"),
            ("outside", f"SELECT DISTINCT COUNT({column}) {tail}"),
        ),
    )


def above_average(rng: random.Random, schema: Schema) -> Draft:
    """Rows whose number lies above or below the average."""
    table = rng.choice(schema.tables)
    words, select = _list(rng, table)
    column = rng.choice(table.of("number")).name
    side, operator, wrong = rng.choice((("above", ">", "<"), ("below", "<", ">")))
    more = on_category(rng, table) if rng.random() < 0.6 else None
    text = f" {more.words} and" if more else " with"
    extra = f" AND {more.right}" if more else ""
    inner = f"(SELECT AVG({column}) FROM {table.name})"
    middle = f"(SELECT SUM({column}) / 2 FROM {table.name})"
    return Draft(
        f"{words}{text} {column} {side} the average of all {table.name}",
        (("subquery", f"{select} WHERE {column} {operator} {inner}{extra}"),),
        (
            ("direction", f"{select} WHERE {column} {wrong} {inner}{extra}"),
            ("sum", f"{select} WHERE {column} {operator} {middle}{extra}"),
        ),
    )


def extreme_row(rng: random.Random, schema: Schema) -> Draft:
    """The row with the largest or smallest number."""
    table = rng.choice(schema.tables)
    shown, column = table.shown.name, rng.choice(table.of("number")).name
    side, name, order = rng.choice(
        (("largest", "MAX", " DESC"), ("highest", "MAX", " DESC"), ("smallest", "MIN", ""))
    )
    wrong = AGGREGATES[name][1]
    words, where = _tail(on_category(rng, table))
    head, tail = f"SELECT {shown} FROM {table.name}", f"FROM {table.name}{where}"
    reverse = "" if order else " DESC"
    return Draft(
        f"{shown} of the one of the {table.name}{words} that has the {side} {column}",
        (
            ("limit", f"{head}{where} ORDER BY {column}{order} LIMIT 1"),
            ("subquery", f"{head} WHERE {column} = (SELECT {name}({column}) {tail})"),
        ),
        (
            ("direction", f"{head}{where} ORDER BY {column}{reverse} LIMIT 1"),
            ("extreme-wrong", f"{head} WHERE {column} = (SELECT {wrong}({column}) {tail})"),
        ),
    )
