# SPDX-License-Identifier: Apache-2.0
"""Rows for the schemas, and the choice of databases that tell right queries from wrong ones.

Each schema has a fixed pool of databases, each drawn from a seed of its own and built on first
use. ``separating`` picks two of them for a question. It is the generator's check that a case is
fair; judging completions is the work of the SQL judge, not of this file.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from seedling.world.sql_schemas import SCHEMAS, Schema, Table

POOL = 64
_BY_NAME = {schema.name: schema for schema in SCHEMAS}

Rows = list[tuple[Any, ...]]


def _insert(rng: random.Random, table: Table, count: int, parents: int) -> str:
    # Some parents stay without children, so that questions about absence have an answer.
    linked = rng.sample(range(1, parents + 1), max(1, parents - 3)) if parents else []
    columns = []
    for column in table.columns:
        if column.kind == "link":
            columns.append([rng.choice(linked) for _ in range(count)])
        elif column.kind == "category":
            columns.append([rng.choice(column.values) for _ in range(count)])
        else:
            columns.append(rng.sample(column.values, count))
    rows = zip(range(1, count + 1), *columns, strict=True)
    return f"INSERT INTO {table.name} VALUES\n" + ",\n".join(
        "(" + ", ".join(f"'{v}'" if isinstance(v, str) else str(v) for v in row) + ")"
        for row in rows
    )


@cache
def database(schema: str, index: int) -> str:
    """Return the INSERT script of one database of a schema's pool."""
    rng = random.Random(f"{schema}/{index}")
    parents, scripts = 0, []
    for position, table in enumerate(_BY_NAME[schema].tables):
        count = rng.randint(8, 10) if position == 0 else rng.randint(13, 17)
        scripts.append(_insert(rng, table, count, parents) + ";\n")
        parents = count
    return "".join(scripts)


@cache
def _connection(schema: str, index: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_BY_NAME[schema].definition + database(schema, index))
    return connection


def _answer(schema: Schema, index: int, query: str, ordered: bool) -> Rows:
    rows = _connection(schema.name, index).execute(query).fetchall()
    return rows if ordered else sorted(rows, key=repr)


def separating(
    schema: Schema, good: Sequence[str], bad: Sequence[str], ordered: bool, start: int
) -> tuple[str, str] | None:
    """Find two databases that tell every bad query from the good ones.

    Args:
        schema: the schema the queries are about.
        good: equivalent queries; the first is the gold one.
        bad: queries that must differ from it somewhere.
        ordered: whether the order of rows matters.
        start: where in the pool to begin looking.

    Returns:
        Two INSERT scripts, or None where the pool has no such pair.

    Raises:
        ValueError: two good queries differ: the family itself is wrong.
    """
    chosen: list[int] = []
    remaining = set(bad)
    for step in range(POOL):
        index = (start + step) % POOL
        gold = _answer(schema, index, good[0], ordered)
        for other in good[1:]:
            if _answer(schema, index, other, ordered) != gold:
                raise ValueError(f"not equivalent: {good[0]} / {other}")
        if not gold or gold[0][-1] in (None, 0):
            continue
        told = {query for query in bad if _answer(schema, index, query, ordered) != gold}
        # The first database takes care of most wrong queries, the second of what is left.
        if len(told) * 2 < len(bad) or (chosen and not remaining <= told):
            continue
        chosen.append(index)
        remaining -= told
        if len(chosen) == 2:
            return database(schema.name, chosen[0]), database(schema.name, chosen[1])
    return None
