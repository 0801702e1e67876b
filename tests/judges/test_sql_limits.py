# SPDX-License-Identifier: Apache-2.0
"""Hostile queries: the deadline, memory, doors that are shut, and what they cannot see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges._sandbox.worker import Worker
from codetemper.judges._sql_sandbox import Answer, Bench, Ground, Question, _read

GROUND = Ground(
    "CREATE TABLE t (a INTEGER, b TEXT);",
    "INSERT INTO t VALUES " + ", ".join(f"({i}, 'x{i}')" for i in range(1000)),
)
SECONDS = 0.5


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Worker("bwrap", "sql") as worker:
        yield Bench(worker, JudgeOptions(timeout_s=SECONDS, memory_mb=128), {})


def asked(bench: Bench, query: str, **rest: int) -> Answer:
    return bench.ask([Question(GROUND, query, **rest)])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM t a, t b, t c, t d",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "SELECT instr(printf('%.*c', 1000000, 'a'), printf('%.*c', 500000, 'a') || 'b')",
        "SELECT printf('%.*c', 1000000000, 'a')",
        "SELECT sum(x) OVER (ORDER BY y) FROM (SELECT a.a AS x, b.a AS y FROM t a, t b, t c)",
    ],
    ids=["cross join", "recursion", "one function", "one format", "window"],
)
def test_the_deadline_ends_what_no_handler_can(bench: Bench, query: str) -> None:
    start = time.monotonic()
    answer = asked(bench, query)
    assert answer.failure == "timeout"
    assert time.monotonic() - start < SECONDS + 5  # the benchmark measures how far it goes over
    assert bench.worker.starts == 1  # the sandbox itself lives on
    assert asked(bench, "SELECT 1").rows == [(1,)]


@pytest.mark.parametrize(
    ("query", "failures"),
    [
        ("SELECT zeroblob(1000000000)", {"runtime"}),
        ("SELECT randomblob(1000000000)", {"runtime"}),
        ("SELECT hex(hex(hex(zeroblob(400000))))", {"runtime"}),
        ("SELECT replace(printf('%.*c', 1000000, 'a'), 'a', 'bb')", {"runtime"}),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, {"syntax"}),
        ("SELECT " + "1 + " * 200_000 + "1", {"syntax"}),
        ("SELECT zeroblob(1000000) FROM t", {"memory", "timeout"}),
        ("SELECT group_concat(a.b || b.b) FROM t a, t b", {"runtime", "timeout"}),
        ("SELECT a.a FROM t a, t b", {"many"}),
    ],
)
def test_what_is_too_large_is_refused(bench: Bench, query: str, failures: set[str]) -> None:
    assert asked(bench, query, most=1000).failure in failures
    assert bench.worker.starts == 1


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE t",
        "UPDATE t SET a = 1",
        "INSERT INTO t VALUES (1, 'a')",
        "CREATE TEMP TABLE u (a)",
        "PRAGMA query_only = OFF",
        "SELECT * FROM pragma_table_info('t')",
        "ATTACH DATABASE '/tmp/x' AS x",
        "VACUUM",
        "VACUUM INTO '/tmp/x'",
        "BEGIN",
        "ANALYZE",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT sql FROM sqlite_stmt",
        "SELECT name FROM dbstat",
        "WITH x AS (SELECT 1) DELETE FROM t",
    ],
)
def test_a_query_can_only_read(bench: Bench, query: str) -> None:
    assert asked(bench, query).failure == "refused"
    assert asked(bench, "SELECT count(*) FROM t").rows == [(1000,)]


@pytest.mark.parametrize("text", ["REINDEX", "-- nothing", "/* nothing */"])
def test_what_has_no_columns_is_no_query(bench: Bench, text: str) -> None:
    assert asked(bench, text).failure == "syntax"


def test_chance_is_the_same_in_every_run(bench: Bench) -> None:
    query = "SELECT a FROM t ORDER BY random() LIMIT 5"
    first, second = asked(bench, query), asked(bench, query)
    assert first.rows == second.rows != [(0,), (1,), (2,), (3,), (4,)]


def test_many_questions_are_answered_in_their_order(bench: Bench) -> None:
    other = Ground("CREATE TABLE t (a)", "INSERT INTO t VALUES (7)")
    endless = "SELECT count(*) FROM t a, t b, t c, t d, t e"
    questions = [Question((GROUND, other)[i % 2], f"SELECT {i}, min(a) FROM t") for i in range(900)]
    questions[100] = Question(GROUND, endless)
    questions[200] = Question(GROUND, "SELECT printf('%.*c', 1000000000, 'a')")
    answers = bench.ask(questions)
    for number, answer in enumerate(answers):
        if number in (100, 200):
            assert answer.failure == "timeout"
        else:
            assert answer.rows == [(number, 7 if number % 2 else 0)]


def test_every_kind_of_value_comes_back(bench: Bench) -> None:
    query = ("SELECT NULL, -9223372036854775808, 1.5, 9e999, 'a\"é\n{', x'00ff', "
             "CAST(x'ff41' AS TEXT), '{\"x\": 1}'")  # fmt: skip
    answer = asked(bench, query)
    assert answer.rows == [
        (None, -(2**63), 1.5, float("inf"), 'a"é\n{', b"\x00\xff", "\\xffA", '{"x": 1}')
    ]
    assert answer.columns == 8


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", "[1]", '["rows"]', '["rows",1,[[[1]]],0]', '["rows",1,7,0]', "[" * 9999,
     '["rows",1,[[{"x":"zz"}]],0]', '["rows",1,[[true]],0]', '["pass","",0]'],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_failure(line: str) -> None:
    assert _read(line).failure == "runtime"
    assert _read(line).rows is None


def test_without_a_sandbox_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    spec = {"schema": "CREATE TABLE t (a)", "databases": [""], "gold": "SELECT 1"}
    case = Case(id="q", prompt="", language="sql", judge="sql", spec=spec)
    with pytest.raises(CannotKnowError, match="sandbox"):
        judge_all([(case, Completion(case="q", text="SELECT 1"))])


def test_many_cases_share_the_sandboxes_and_keep_their_places() -> None:
    items = []
    for number in range(120):
        schema = f"CREATE TABLE t{number % 7} (a)"
        database = f"INSERT INTO t{number % 7} VALUES ({number})"
        spec = {"schema": schema, "databases": [database], "gold": f"SELECT a FROM t{number % 7}"}
        case = Case(id=str(number), prompt="", language="sql", judge="sql", spec=spec)
        text = f"SELECT {number}" if number % 3 else "SELECT 'no'"
        items.append((case, Completion(case=case.id, index=number, text=text)))
    events: list[int] = []
    judged: list[Verdict] = judge_all(
        items, options=JudgeOptions(workers=2), on_event=lambda e: events.append(e.done)
    )
    assert [v.case for v in judged] == [str(number) for number in range(120)]
    assert [v.function == "pass" for v in judged] == [number % 3 > 0 for number in range(120)]
    assert events[-1] == 120
