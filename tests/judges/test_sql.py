# SPDX-License-Identifier: Apache-2.0
"""The SQL judge: rows, order, and queries that want more than to read."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import JudgeOptions, judge_all

SCHEMA = "CREATE TABLE city (name TEXT, people INTEGER, area REAL);"
ONE = "INSERT INTO city VALUES ('a', 1, 0.1), ('b', 2, 0.2), ('b', 2, 0.3), ('c;d', 5, NULL);"
TWO = "INSERT INTO city VALUES ('z', 9, 1.0), ('a', 3, 2.0);"


def verdict(
    query: str, gold: str = "SELECT name FROM city", seconds: float = 2.0, **spec: Any
) -> Verdict:
    whole = {"schema": SCHEMA, "databases": [ONE, TWO], "gold": gold, **spec}
    case = Case(id="q", prompt="-- names\n", language="sql", judge="sql", spec=whole)
    options = JudgeOptions(timeout_s=seconds)
    return judge_all([(case, Completion(case="q", text=query))], options=options)[0]


OUTCOMES: tuple[tuple[str, str, str, str | None], ...] = (
    ("SELECT name FROM city;", "pass", "pass", None),
    (" SELECT name FROM city ORDER BY people; and so on", "pass", "pass", None),
    ("SELECT DISTINCT name FROM city", "pass", "fail", "wrong"),
    ("SELECT people FROM city", "pass", "fail", "wrong"),
    ("SELECT name FROM city WHERE people < 9", "pass", "fail", "wrong"),
    ("SELEC name FROM city", "fail", "fail", "syntax"),
    ("SELECT height FROM city", "fail", "fail", "build"),
    ("SELECT name FROM nowhere", "fail", "fail", "build"),
    ("", "fail", "fail", "syntax"),
    ("DROP TABLE city", "pass", "fail", "wrong"),
    ("DELETE FROM city", "pass", "fail", "wrong"),
    ("PRAGMA query_only = OFF", "pass", "fail", "wrong"),
    ("ATTACH DATABASE '/tmp/x' AS x", "pass", "fail", "wrong"),
    ("SELECT load_extension('x')", "pass", "fail", "wrong"),
    ("SELECT name FROM city\x00", "fail", "fail", "syntax"),
    ("SELECT '\ud800'", "fail", "fail", "syntax"),
)


def test_outcomes() -> None:
    spec = {"schema": SCHEMA, "databases": [ONE, TWO], "gold": "SELECT name FROM city"}
    case = Case(id="q", prompt="-- names\n", language="sql", judge="sql", spec=spec)
    judged = judge_all([(case, Completion(case="q", text=query)) for query, *_ in OUTCOMES])
    for done, (query, valid, function, failure) in zip(judged, OUTCOMES, strict=True):
        right = float(function == "pass")
        assert (done.valid, done.function, done.failure) == (valid, function, failure), query
        assert done.scores == {"exec_match": right, "exec_match_bag": right}
        assert done.security == "unknown"
        assert bool(done.findings) == (failure is not None)


def test_order_counts_where_the_case_says_so() -> None:
    gold = "SELECT name FROM city ORDER BY people"
    down = "SELECT name FROM city ORDER BY people DESC"
    assert verdict(down, gold).function == "pass"
    assert verdict(down, gold, ordered=True).function == "fail"
    assert verdict(gold, gold, ordered=True).function == "pass"


def test_a_prompt_may_begin_the_query() -> None:
    assert verdict("name FROM city;", prefix="SELECT").function == "pass"


def test_databases_survive_and_the_deadline_holds() -> None:
    spec = {"schema": SCHEMA, "databases": [ONE], "gold": "SELECT name FROM city"}
    case = Case(id="q", prompt="", language="sql", judge="sql", spec=spec)
    endless = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
               "SELECT count(*) FROM n, n AS m")  # fmt: skip
    texts = ("DROP TABLE city", endless, "SELECT randomblob(1 << 28)", "SELECT name FROM city")
    items = [(case, Completion(case="q", index=i, text=t)) for i, t in enumerate(texts)]
    start = time.monotonic()
    judged = judge_all(items, options=JudgeOptions(timeout_s=0.3))
    assert time.monotonic() - start < 5.0
    assert [v.failure for v in judged] == ["wrong", "timeout", "runtime", None]


def test_too_many_rows_are_wrong() -> None:
    many = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 20000) SELECT i FROM n"
    )
    assert verdict(many).failure == "wrong"


def test_broken_cases_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="gold query"):
        verdict("SELECT 1", gold="SELECT height FROM city")
    with pytest.raises(UsageError, match="database"):
        verdict("SELECT 1", databases=["INSERT INTO nowhere VALUES (1)"])
