# SPDX-License-Identifier: Apache-2.0
"""Section ``sql``: speed, deadline, and what generated databases see, beside test-suite-sql-eval.

Needs two checkouts, named by environment variables: ``CODETEMPER_TEXT2SQL``, jkkummerfeld's
text2sql-data (the folder with ``geography.json`` and its SQLite file, or its parent), and
``CODETEMPER_TESTSUITE``, taoyds' test-suite-sql-eval, whose own needs (sqlparse, tqdm) are found
there or on ``PYTHONPATH``. Without them the figures that need them are left out, and said to be.

Both sides run in processes of their own, one after the other in each repeat; processor time counts
all descendants (``sides.Meter``), our sandbox with its start included.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.judging.sides import ROOT
from benchmarks.judging.sql_sides import (
    COMPLETIONS,
    CROSS_JOIN,
    Geography,
    cases_of,
    geography,
    run_side,
    tables,
    test_suite,
)
from codetemper.core.records import Completion
from codetemper.core.sql_text import first_statement
from codetemper.evaluate.suites import load
from codetemper.judges import JudgeOptions, sql
from codetemper.judges._sandbox.worker import Worker
from codetemper.judges._sql_generate import Likeness, generate_databases, kills, near_misses
from codetemper.judges._sql_sandbox import Bench, Ground, Question

_LONG_STEPS = (
    "SELECT instr(printf('%.*c', 1000000, 'a'), printf('%.*c', 500000, 'a') || 'b')",
    "SELECT printf('%.*c', 1000000000, 'a')",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n ORDER BY -i",
)


def figures(quick: bool) -> dict[str, Figure]:
    """Measure the section; figures that cannot be measured here are left out."""
    found: dict[str, Figure] = {}
    geo, peer = geography(), test_suite()
    if geo is not None:
        if peer is not None:
            found |= _speed(geo, 2 if quick else 5)
            found |= _destruction(geo)
            found |= _agreement(geo, 40 if quick else 200)
        found |= _deadline(geo, 3 if quick else 9, peer is not None, 5.0 if quick else 20.0)
        found |= _variants(geo)
        found |= _mutants("geography", _geographycases_of(geo, 10 if quick else 60))
    found |= _mutants("world", _world_cases(10 if quick else 60))
    return found


# --- speed ------------------------------------------------------------------------------------


def _speed(geo: Geography, repeats: int) -> dict[str, Figure]:
    jobs = {"path": str(geo.path), "queries": geo.queries}
    rates: dict[str, list[float]] = {}
    for _ in range(repeats):
        for side in ("ours", "peer_queries", "peer_verdicts", "plain"):
            told = run_side(side, jobs)
            rates.setdefault(side, []).append(told["count"] / told["cpu"])
            rates.setdefault(f"{side} wall", []).append(told["count"] / told["seconds"])
    # Our side judged each completion, and ran its query and a share of the gold query.
    queries = [rate * (COMPLETIONS + 1) / COMPLETIONS for rate in rates["ours"]]
    wall = [rate * (COMPLETIONS + 1) / COMPLETIONS for rate in rates["ours wall"]]
    return {
        "sql: queries per CPU second, sandboxed": _against(
            queries, rates["peer_queries"], "at least 8,000", lambda value, _: value >= 8000
        ),
        "sql: queries per CPU second, beside SQLite in this process unguarded": _against(
            queries, rates["plain"], "at least a third", lambda v, p: v >= p / 3
        ),
        "sql: queries per second of wall time, one worker": _against(
            wall, rates["peer_queries wall"], "faster than the peer", lambda v, p: v > p
        ),
        "sql: verdicts per CPU second": _against(
            rates["ours"], rates["peer_verdicts"], "faster than the peer", lambda v, p: v > p
        ),
    }


def _against(
    ours: Sequence[float],
    peer: Sequence[float],
    target: str,
    holds: Callable[[float, float], bool],
) -> Figure:
    value, other = statistics.median(ours), statistics.median(peer)
    return Figure(value, min(ours), max(ours), target, holds(value, other), other, value / other)


# --- safety -----------------------------------------------------------------------------------


def _destruction(geo: Geography) -> dict[str, Figure]:
    """Count the tables that are gone after DROP TABLE, on copies of the database."""
    told = run_side("peer_drop", {"path": str(geo.path), "queries": []})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(geo.path, folder))
        (case,) = cases_of(Geography(path, [], []), geo.queries[:1])
        item = (case, Completion(case=case.id, text="DROP TABLE city"))
        (verdict,) = sql.judge([item], options=JudgeOptions(workers=1))
        lost = tables(geo.path) - tables(path)
    refused = verdict.function == "fail" and "read" in verdict.findings[0].message
    return {"sql: tables lost to DROP TABLE": Figure(
        lost, lost, lost, "0, and refused", lost == 0 and refused, told["lost"]
    )}  # fmt: skip


def _deadline(geo: Geography, repeats: int, with_peer: bool, cap: float) -> dict[str, Figure]:
    """Measure by how much a query goes over its deadline, in milliseconds."""
    seconds = 1.0
    options = JudgeOptions(timeout_s=seconds)
    ground = Ground(path=str(geo.path.resolve()))
    over: dict[str, list[float]] = {"join": [], "steps": []}
    with Worker("bwrap", "sql", files=[(ground.path, "/data/0")]) as worker:
        bench = Bench(worker, options, {ground.path: "/data/0"})
        bench.ask([Question(ground, "SELECT 1")])
        for repeat in range(repeats):
            texts = {"join": CROSS_JOIN.format(t="city"),
                     "steps": _LONG_STEPS[repeat % len(_LONG_STEPS)]}  # fmt: skip
            for kind, text in texts.items():
                start = time.perf_counter()
                (answer,) = bench.ask([Question(ground, text)])
                if answer.failure != "timeout":
                    raise RuntimeError(f"no timeout: {text}: {answer.note}")
                over[kind].append((time.perf_counter() - start - seconds) * 1000)
    peer = _peer_overshoot(geo, cap) if with_peer else None
    return {
        name: Figure(statistics.median(values), min(values), max(values), "at most 100",
                     statistics.median(values) <= 100, beside)
        for name, values, beside in (
            ("sql: ms over the deadline, four-way cross join", over["join"], peer),
            ("sql: ms over the deadline, single long steps", over["steps"], None),
        )
    }  # fmt: skip


def _peer_overshoot(geo: Geography, cap: float) -> float:
    """Return the peer's time over its deadline of one second, ended at ``cap`` seconds over."""
    line = [sys.executable, "-m", "benchmarks.judging.sql_sides", "peer_cross_join"]
    given = json.dumps({"path": str(geo.path), "queries": []}) + "\ngo\n"
    start = time.perf_counter()
    try:
        subprocess.run(line, input=given, text=True, cwd=ROOT, timeout=cap + 1,
                       stdout=subprocess.DEVNULL, check=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        return cap * 1000
    return (time.perf_counter() - start - 1) * 1000


# --- what is told apart -----------------------------------------------------------------------


class Trial(NamedTuple):
    """A gold query with its databases."""

    gold: str
    schema: str
    given: list[Ground]
    ordered: bool


def _geographycases_of(geo: Geography, count: int) -> list[Trial]:
    once = sorted(set(geo.queries))
    chosen = random.Random(0).sample(once, min(count, len(once)))  # noqa: S311
    ground = Ground(path=str(geo.path.resolve()))
    return [Trial(text, "", [ground], "order by" in text.lower()) for text in chosen]


def _world_cases(count: int) -> list[Trial]:
    cases = [case.spec for case in load("world-sql").cases]
    chosen = random.Random(0).sample(cases, min(count, len(cases)))  # noqa: S311
    return [
        Trial(first_statement(spec["gold"]), spec["schema"],
                  [Ground(spec["schema"], script) for script in spec["databases"]],
                  spec["ordered"])
        for spec in chosen
    ]  # fmt: skip


def _bench(files: set[str]) -> tuple[Worker, dict[str, str]]:
    seen = {path: f"/data/{number}" for number, path in enumerate(sorted(files))}
    return Worker("bwrap", "sql", files=list(seen.items())), seen


def _mutants(name: str, cases: Sequence[Trial]) -> dict[str, Figure]:
    """Share of near misses told apart, with 3 generated databases and without."""
    counts = {"all": 0, "given": 0, "facts": 0, "schema": 0}
    worker, seen = _bench({g.path for case in cases for g in case.given if g.path})
    with worker:
        bench = Bench(worker, JudgeOptions(), seen)
        for case in cases:
            likeness = Likeness(case.ordered)
            (told,) = bench.ask([Question(case.given[0], None)])
            queries = near_misses(bench.ask, case.gold, case.given[0], told.tables)
            counts["all"] += len(queries)
            given = set[int]().union(*kills(bench.ask, case.gold, queries, case.given, likeness))
            counts["given"] += len(given)
            for keep in ("facts", "schema"):
                made = generate_databases(
                    bench.ask, case.gold, schema=case.schema, given=case.given, count=3, seed=0,
                    likeness=likeness, keep=keep == "facts",
                )  # fmt: skip
                more = kills(bench.ask, case.gold, queries, made, likeness)
                counts[keep] += len(given.union(*more))
    before = counts["given"] / counts["all"]
    found = {}
    for keep in ("facts", "schema"):
        share = counts[keep] / counts["all"]
        found[f"sql: near misses told apart, {name}, generated keep {keep}"] = Figure(
            share, share, share, "more than the given databases", share > before, before,
            share / before,
        )  # fmt: skip
    return found


def _variants(geo: Geography) -> dict[str, Figure]:
    """Share of queries called equivalent by the data's authors that still pass."""
    shares = {}
    for keep in ("given", "facts", "schema"):
        spec = {"generated": 0 if keep == "given" else 3,
                "keep": "schema" if keep == "schema" else "facts"}  # fmt: skip
        cases = cases_of(geo, [gold for gold, _ in geo.variants], **spec)
        items = [
            (case, Completion(case=case.id, text=other))
            for case, (_, other) in zip(cases, geo.variants, strict=True)
        ]
        passed = [v.function == "pass" for v in sql.judge(items, options=JudgeOptions(workers=1))]
        shares[keep] = sum(passed) / len(passed)
    return {
        f"sql: equivalent queries accepted, generated keep {keep}": Figure(
            shares[keep], shares[keep], shares[keep], target, holds, shares["given"]
        )
        for keep, target, holds in (
            ("facts", "more than where they keep the schema", shares["facts"] > shares["schema"]),
            ("schema", "known", True),
        )
    }


def _agreement(geo: Geography, count: int) -> dict[str, Figure]:
    """Share of equal verdicts with the peer, on gold queries and one near miss of each."""
    cases = _geographycases_of(geo, count)
    worker, seen = _bench({str(geo.path.resolve())})
    pairs: list[tuple[str, str]] = []
    with worker:
        bench = Bench(worker, JudgeOptions(), seen)
        (told,) = bench.ask([Question(cases[0].given[0], None)])
        for number, case in enumerate(cases):
            near = near_misses(bench.ask, case.gold, case.given[0], told.tables)
            pairs += [(case.gold, case.gold), (case.gold, near[number % len(near)])]
    judged = sql.judge(
        [
            (case, Completion(case=case.id, text=text))
            for case, (_, text) in zip(cases_of(geo, [g for g, _ in pairs]), pairs, strict=True)
        ],
        options=JudgeOptions(workers=1),
    )
    ours = [int(verdict.function == "pass") for verdict in judged]
    peer = run_side("peer_verdicts", {"path": str(geo.path), "queries": [], "pairs": pairs})[
        "verdicts"
    ]
    for (gold, text), one, other in zip(pairs, ours, peer, strict=True):
        if one != other:
            sys.stderr.write(f"sql: ours {one}, peer {other}: {gold} | {text}\n")
    share = statistics.mean(one == other for one, other in zip(ours, peer, strict=True))
    return {"sql: verdicts equal to the peer's, same rules": Figure(
        share, share, share, "each difference explained", share >= 0.99, 1.0
    )}  # fmt: skip
