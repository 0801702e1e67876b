# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S608 -- the queries are text for a model; none is run on data that matters
"""Kinds of SQL questions about two linked tables.

Each function draws one question; ``sql.py`` names them as families. Questions about one table live
in ``sql_single.py``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from seedling.world.sql_question import AGGREGATES, Draft, on_any, on_category
from seedling.world.sql_schemas import Schema, Table

NUMERALS = ("zero", "one", "two", "three", "four")


@dataclass(frozen=True)
class _Pair:
    """A parent and a child table, with the right join and a wrong one."""

    parent: Table
    child: Table

    @property
    def link(self) -> str:
        return f"{self.child.name}.{self.child.link}"

    @property
    def join(self) -> str:
        parent, child = self.parent.name, self.child.name
        return f"FROM {child} JOIN {parent} ON {self.link} = {parent}.id"

    @property
    def wrong_join(self) -> str:
        parent, child = self.parent.name, self.child.name
        return f"FROM {child} JOIN {parent} ON {child}.id = {parent}.id"


def _draw(rng: random.Random, schema: Schema) -> _Pair:
    return _Pair(*rng.choice(schema.pairs))


def join_filter(rng: random.Random, schema: Schema) -> Draft:
    """Rows of the child whose parent meets a condition."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    where = on_any(rng, pair.parent, f"{parent}.")
    shown, plain = pair.child.shown.name, where.right.removeprefix(f"{parent}.")
    select = f"SELECT {child}.{shown}"
    return Draft(
        f"{shown} of {child} of {parent} {where.words}",
        (
            ("join", f"{select} {pair.join} WHERE {where.right}"),
            (
                "in",
                f"SELECT {shown} FROM {child} WHERE {pair.child.link} IN "
                f"(SELECT id FROM {parent} WHERE {plain})",
            ),
        ),
        (
            ("key", f"{select} {pair.wrong_join} WHERE {where.right}"),
            ("near", f"{select} {pair.join} WHERE {where.near}"),
        ),
    )


def join_count(rng: random.Random, schema: Schema) -> Draft:
    """How many rows of the child belong to parents under a condition."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    where = on_any(rng, pair.parent, f"{parent}.")
    opening = rng.choice(("how many", "number of"))
    return Draft(
        f"{opening} {child} of {parent} {where.words}",
        (("join", f"SELECT COUNT(*) {pair.join} WHERE {where.right}"),),
        (
            ("key", f"SELECT COUNT(*) {pair.wrong_join} WHERE {where.right}"),
            ("missing", f"SELECT COUNT(*) {pair.join}"),
        ),
    )


def join_aggregate(rng: random.Random, schema: Schema) -> Draft:
    """A sum, average, minimum or maximum over the child for each value of the parent."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    key = f"{parent}.{rng.choice(pair.parent.of('category')).name}"
    name, column = rng.choice(list(AGGREGATES)), rng.choice(pair.child.of("number")).name
    words, wrong = AGGREGATES[name]
    more = on_category(rng, pair.child, f"{child}.") if rng.random() < 0.5 else None
    text, where = (f" {more.words}", f" WHERE {more.right}") if more else ("", "")
    value, tail = f"({child}.{column})", f"{where} GROUP BY {key}"
    return Draft(
        f"{rng.choice(words)} {column} of {child}{text} for each {key.split('.')[1]} of {parent}",
        (("join-group", f"SELECT {key}, {name}{value} {pair.join}{tail}"),),
        (
            ("aggregate-wrong", f"SELECT {key}, {wrong}{value} {pair.join}{tail}"),
            ("key", f"SELECT {key}, {name}{value} {pair.wrong_join}{tail}"),
        ),
    )


def absent(rng: random.Random, schema: Schema) -> Draft:
    """Parents without children of a sort."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    more = on_any(rng, pair.child) if rng.random() < 0.8 else None
    text, where = (f" {more.words}", f" WHERE {more.right}") if more else ("", "")
    extra = f" AND {more.right}" if more else ""
    shown, link = pair.parent.shown.name, pair.child.link
    head = f"SELECT {shown} FROM {parent} WHERE"
    opening = rng.choice(("without any", "that have no"))
    # Inside EXISTS a bare column name belongs to the inner table first.
    return Draft(
        f"{shown} of {parent} {opening} {child}{text}",
        (
            ("not-in", f"{head} id NOT IN (SELECT {link} FROM {child}{where})"),
            (
                "not-exists",
                f"{head} NOT EXISTS (SELECT 1 FROM {child} WHERE {link} = {parent}.id{extra})",
            ),
        ),
        (
            ("in", f"{head} id IN (SELECT {link} FROM {child}{where})"),
            ("key", f"{head} id NOT IN (SELECT id FROM {child}{where})"),
        ),
    )


def present(rng: random.Random, schema: Schema) -> Draft:
    """Parents with at least one child of a sort, each once."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    where = on_any(rng, pair.child)
    shown, link = pair.parent.shown.name, pair.child.link
    head, opening = f"SELECT {shown} FROM {parent} WHERE", rng.choice(("that have", "having"))
    return Draft(
        f"{shown} of {parent} {opening} {child} {where.words}",
        (
            ("in", f"{head} id IN (SELECT {link} FROM {child} WHERE {where.right})"),
            (
                "exists",
                f"{head} EXISTS (SELECT 1 FROM {child} "
                f"WHERE {link} = {parent}.id AND {where.right})",
            ),
        ),
        (
            ("duplicate", f"SELECT {parent}.{shown} {pair.join} WHERE {child}.{where.right}"),
            ("key", f"{head} id IN (SELECT id FROM {child} WHERE {where.right})"),
        ),
    )


def count_each(rng: random.Random, schema: Schema) -> Draft:
    """How many children every parent has, parents without any included."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    more = on_any(rng, pair.parent, f"{parent}.") if rng.random() < 0.7 else None
    text, where = (f" {more.words}", f" WHERE {more.right}") if more else ("", "")
    key, tail = f"{parent}.{pair.parent.shown.name}", f"{where} GROUP BY {parent}.id"
    join = f"JOIN {child} ON {pair.link} = {parent}.id"
    opening = rng.choice(("how many", "number of"))
    return Draft(
        f"{opening} {child} for each {key.replace('.', ' ')}{text}, zero included",
        (("left-join", f"SELECT {key}, COUNT({child}.id) FROM {parent} LEFT {join}{tail}"),),
        (
            ("inner-join", f"SELECT {key}, COUNT({child}.id) FROM {parent} {join}{tail}"),
            ("star", f"SELECT {key}, COUNT(*) FROM {parent} LEFT {join}{tail}"),
        ),
    )


def join_having(rng: random.Random, schema: Schema) -> Draft:
    """Parents with enough children: a join, a group and a HAVING at once."""
    pair = _draw(rng, schema)
    parent, child = pair.parent.name, pair.child.name
    key, least = f"{parent}.{rng.choice(pair.parent.of('category')).name}", rng.randint(2, 4)
    more = on_category(rng, pair.child, f"{child}.") if rng.random() < 0.6 else None
    text, where = (f" {more.words}", f" WHERE {more.right}") if more else ("", "")
    words, operator, wrong = rng.choice((("at least", ">=", ">"), ("more than", ">", ">=")))
    tail = f"{where} GROUP BY {key} HAVING COUNT(*)"
    opening = f"each {key.split('.')[1]} of {parent} with {words} {NUMERALS[least]} {child}"
    return Draft(
        f"{opening}{text}",
        (("having", f"SELECT {key} {pair.join}{tail} {operator} {least}"),),
        (
            ("boundary", f"SELECT {key} {pair.join}{tail} {wrong} {least}"),
            ("key", f"SELECT {key} {pair.wrong_join}{tail} {operator} {least}"),
        ),
    )
