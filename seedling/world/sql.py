# SPDX-License-Identifier: Apache-2.0
"""The SQL families: questions over small schemas, with right and wrong queries.

Every family is one kind of question (``sql_single.py``, ``sql_join.py``) over all schemas
(``sql_schemas.py``). A task carries two databases on which every wrong query shows
(``sql_data.py``). This file judges nothing.
"""

from __future__ import annotations

import random

from codetemper.core.digests import digest_json
from seedling.world import sql_join, sql_single
from seedling.world.sql_data import POOL, separating
from seedling.world.sql_question import Build
from seedling.world.sql_schemas import SCHEMAS
from seedling.world.task import Family, Task, Variant

# The share of wrong queries in the training text, by kind: what people get wrong more often has
# the larger share.
_KINDS: dict[str, tuple[Build, float]] = {
    "filter_number": (sql_single.filter_number, 0.40),
    "filter_category": (sql_single.filter_category, 0.32),
    "filter_both": (sql_single.filter_both, 0.38),
    "filter_either": (sql_single.filter_either, 0.40),
    "between": (sql_single.between, 0.50),
    "like": (sql_single.like, 0.44),
    "count": (sql_single.count, 0.35),
    "aggregate": (sql_single.aggregate, 0.38),
    "group_count": (sql_single.group_count, 0.38),
    "group_aggregate": (sql_single.group_aggregate, 0.40),
    "group_having": (sql_single.group_having, 0.45),
    "top": (sql_single.top, 0.42),
    "sort": (sql_single.sort, 0.36),
    "distinct": (sql_single.distinct, 0.44),
    "count_distinct": (sql_single.count_distinct, 0.46),
    "above_average": (sql_single.above_average, 0.42),
    "extreme_row": (sql_single.extreme_row, 0.42),
    "join_filter": (sql_join.join_filter, 0.46),
    "join_count": (sql_join.join_count, 0.42),
    "join_aggregate": (sql_join.join_aggregate, 0.46),
    "absent": (sql_join.absent, 0.46),
    "present": (sql_join.present, 0.48),
    "count_each": (sql_join.count_each, 0.52),
    "join_having": (sql_join.join_having, 0.46),
}

TRIES = 400


def _variants(
    good: tuple[tuple[str, str], ...], bad: tuple[tuple[str, str], ...], share: float
) -> tuple[Variant, ...]:
    # The first way of a side is the usual one: it has two thirds of the side's weight.
    def side(queries: tuple[tuple[str, str], ...], weight: float, right: bool) -> list[Variant]:
        parts = (1.0,) if len(queries) == 1 else (2 / 3, 1 / 3)
        return [
            Variant(f"{query};\n", right, idiom, round(weight * part, 4))
            for (idiom, query), part in zip(queries, parts, strict=True)
        ]

    return (*side(good, 1 - share, True), *side(bad, share, False))


def _family(kind: str, build: Build, share: float) -> Family:
    name = f"sql.{kind}"

    def draw(rng: random.Random) -> Task:
        for _ in range(TRIES):
            schema = rng.choice(SCHEMAS)
            draft = build(rng, schema)
            key = (schema.name, draft.question)
            start = int(digest_json([name, *key])[:8], 16) % POOL
            good, bad = [q for _, q in draft.good], [q for _, q in draft.bad]
            databases = separating(schema, good, bad, draft.ordered, start)
            if databases is None:
                continue
            return Task(
                family=name,
                key=key,
                prompt=f"-- tables: {schema.summary}\n-- question: {draft.question}\n",
                variants=_variants(draft.good, draft.bad, share),
                language="sql",
                judge="sql",
                spec={
                    "schema": schema.definition,
                    "databases": list(databases),
                    "gold": f"{good[0]};",
                    "ordered": draft.ordered,
                },
                stop=("\n--",),
            )
        raise RuntimeError(f"no databases tell right from wrong for {name}")

    return draw


FAMILIES: dict[str, Family] = {
    f"sql.{kind}": _family(kind, build, share) for kind, (build, share) in _KINDS.items()
}
"""Every family by name."""

TRANSFER = "sql.join_having"
"""Kept out of the training text: its parts are known from joins, groups and HAVING."""
