# SPDX-License-Identifier: Apache-2.0
"""Generated databases: what they tell apart, what they leave alone, and that they repeat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges import _sql_generate as generate
from codetemper.judges._sandbox.worker import Worker
from codetemper.judges._sql_generate import Likeness, generate_databases, kills, near_misses
from codetemper.judges._sql_mutants import mutants
from codetemper.judges._sql_sandbox import Bench, Ground, Question
from codetemper.judges._sql_values import script, with_facts

SCHEMA = """
CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, town TEXT);
CREATE TABLE sale (id INTEGER PRIMARY KEY, shop_id INTEGER NOT NULL REFERENCES shop(id),
                   item TEXT, price REAL, day DATE, CHECK (price >= 0));
"""
POOR = "INSERT INTO shop VALUES (1, 'A', 'Bern'); INSERT INTO sale VALUES (1, 1, 'pen', 2, NULL);"
GOLD = ("SELECT shop.name, count(DISTINCT sale.item) FROM shop JOIN sale ON sale.shop_id = shop.id "
        "WHERE shop.town = 'Bern' AND sale.price > 2.5 GROUP BY shop.id")  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Worker("bwrap", "sql") as worker:
        yield Bench(worker, JudgeOptions(timeout_s=5.0), {})


def verdict(query: str, gold: str = GOLD, **spec: Any) -> Verdict:
    whole = {"schema": SCHEMA, "databases": [POOR], "gold": gold, **spec}
    case = Case(id="q", prompt="", language="sql", judge="sql", spec=whole)
    return judge_all([(case, Completion(case="q", text=query))])[0]


NEAR_MISSES = (
    GOLD.replace("DISTINCT ", ""),
    GOLD.replace("> 2.5", "< 2.5"),
    GOLD.replace("> 2.5", ">= 2.5"),
    GOLD.replace("'Bern'", "'bern'"),
    GOLD.replace(" AND sale.price > 2.5", ""),
    GOLD.replace("sale.shop_id = shop.id", "sale.id = shop.id"),
    GOLD.replace("count(DISTINCT sale.item)", "max(sale.price)"),
)


def test_generated_databases_tell_every_near_miss() -> None:
    spec = {"schema": SCHEMA, "databases": [POOR], "gold": GOLD, "generated": 4, "keep": "schema"}
    case = Case(id="q", prompt="", language="sql", judge="sql", spec=spec)
    items = [(case, Completion(case="q", text=text)) for text in (GOLD, *NEAR_MISSES)]
    assert [v.function for v in judge_all(items)] == ["pass", *["fail"] * len(NEAR_MISSES)]


def test_a_poor_database_lets_near_misses_pass() -> None:
    wrong = GOLD.replace("'Bern'", "'bern'")
    assert verdict(wrong).function == "pass"
    judged = verdict(wrong, generated=3)
    assert judged.function == "fail"
    assert "generated database" in judged.findings[0].message


def test_another_way_to_say_the_same_is_right() -> None:
    other = ("SELECT (SELECT name FROM shop WHERE id = x.shop_id), count(DISTINCT item) "
             "FROM sale x WHERE price > 2.5 AND shop_id IN "
             "(SELECT id FROM shop WHERE town = 'Bern') GROUP BY shop_id")  # fmt: skip
    assert verdict(other, generated=6).function == "pass"


def made(bench: Bench, gold: str = GOLD, count: int = 3, seed: int = 0) -> tuple[Ground, ...]:
    generate._made.clear()
    return generate_databases(
        bench.ask, gold, schema=SCHEMA, given=(), count=count, seed=seed, likeness=Likeness()
    )


def test_the_seed_decides(bench: Bench) -> None:
    first = made(bench)
    assert first == made(bench)
    assert len(set(first)) == 3
    assert set(first).isdisjoint(made(bench, seed=1))


def test_rows_keep_to_types_keys_and_foreign_keys(bench: Bench) -> None:
    nulls = repeated = 0
    for ground in made(bench, count=6):
        connection = sqlite3.connect(":memory:")
        connection.executescript("PRAGMA foreign_keys = ON;" + ground.schema + ground.script)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        kinds = "SELECT DISTINCT typeof(shop_id), typeof(item), typeof(day) FROM sale"
        for shop, item, day in connection.execute(kinds):
            assert (shop, item in {"text", "null"}, day in {"text", "null"}) == ("integer", 1, 1)
        (missing,) = connection.execute("SELECT count(*) - count(item) FROM sale").fetchone()
        (all_items, items) = connection.execute(
            "SELECT count(item), count(DISTINCT item) FROM sale"
        ).fetchone()
        nulls, repeated = nulls + missing, repeated + all_items - items
        towns = {town for (town,) in connection.execute("SELECT town FROM shop")}
        assert towns & {"Bern", "bERN", "Ber", "Berns", "new Bern"}
        connection.close()
    assert nulls > 0
    assert repeated > 0


def test_children_of_rows_that_a_constraint_refuses_are_left_out_with_them(bench: Bench) -> None:
    schema = ("CREATE TABLE pair (id INTEGER PRIMARY KEY, n INTEGER CHECK (n % 2 = 0)); "
              "CREATE TABLE part (pair_id INTEGER REFERENCES pair(id));")  # fmt: skip
    (told,) = bench.ask([Question(Ground(schema), None)])
    tables, kept = with_facts([told.tables], keep=False), 0
    for seed in range(4):
        connection = sqlite3.connect(":memory:")
        connection.executescript(schema + script(tables, "SELECT n FROM pair", f"{seed}"))
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        kept += connection.execute("SELECT count(*) FROM part").fetchone()[0]
        connection.close()
    assert kept > 0


def test_a_database_whose_answer_hangs_on_the_order_of_rows_is_not_used(bench: Bench) -> None:
    # Any shop will do: there is no database on which this query has one answer.
    assert made(bench, "SELECT name FROM shop LIMIT 1") == ()
    # Here there is one wherever no two sales have the greatest price.
    gold = "SELECT id FROM sale ORDER BY price DESC LIMIT 1"
    grounds = made(bench, gold)
    assert grounds
    tie = "SELECT count(*) FROM sale WHERE price = (SELECT max(price) FROM sale)"
    answers = bench.ask([Question(ground, tie) for ground in grounds])
    assert [answer.rows for answer in answers] == [[(1,)]] * len(grounds)


def test_what_holds_in_the_given_databases_holds_in_the_generated(bench: Bench) -> None:
    rows = ", ".join(f"({i}, 'n{i}', 't{i % 3}', {i * 10})" for i in range(1, 20))
    schema = "CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT, town TEXT, area INTEGER);"
    given = Ground(schema, f"INSERT INTO place VALUES {rows}")
    (told,) = bench.ask([Question(given, None)])
    kept, free = with_facts([told.tables], keep=True), with_facts([told.tables], keep=False)
    assert [c[2] for c in kept[0]["columns"]] == [True] * 4
    assert [c[4] for c in kept[0]["columns"]] == [True, True, False, True]
    assert [c[4] for c in free[0]["columns"]] == [False] * 4
    same = repeated = 0
    for seed in range(8):
        for tables, facts in ((kept, True), (free, False)):
            ground = Ground(schema, script(tables, "SELECT max(area) FROM place", f"{seed}"))
            (answer,) = bench.ask(
                [Question(ground, "SELECT count(*), count(DISTINCT area), count(name) FROM place")]
            )
            assert answer.rows
            count, areas, names = answer.rows[0]
            if facts:
                assert count == areas == names
                same += 1
            else:
                repeated += count > areas
    assert same == 8
    assert repeated > 0


def test_mutants_are_many_and_different() -> None:
    columns = {"shop": ["id", "name", "town"], "sale": ["id", "shop_id", "item", "price", "day"]}
    found = mutants(GOLD, columns)
    assert len(found) == len(set(found)) > 20
    flat = [" ".join(query.split()) for query in found]
    for part in ("count ( sale", "town <> 'Bern'", "'bERN'", "price >= 2.5", "3.5", "LEFT JOIN"):
        assert any(part in query for query in flat), part
    assert any("2.5" not in query and "price >" not in query for query in flat)
    assert mutants("SELECT name FROM shop ORDER BY name LIMIT 2", columns) == mutants(
        "SELECT name FROM shop ORDER BY name LIMIT 2", columns
    )


def test_generated_databases_tell_more_mutants_apart(bench: Bench) -> None:
    given = Ground(SCHEMA, POOR)
    (told,) = bench.ask([Question(given, None)])
    queries = near_misses(bench.ask, GOLD, given, told.tables)
    grounds = generate_databases(
        bench.ask, GOLD, schema=SCHEMA, given=[given], count=3, seed=0, likeness=Likeness(),
        keep=False,
    )  # fmt: skip
    before, *after = kills(bench.ask, GOLD, queries, [given, *grounds], Likeness())
    assert len(before) < len(queries) / 2
    # The rest mean the same as the gold query, e.g. a DISTINCT over groups with unique names.
    assert len(before.union(*after)) > 0.8 * len(queries)
