# SPDX-License-Identifier: Apache-2.0
"""The two sides of section ``sql``, each in a process of its own, and GeoQuery for both.

``run_side`` starts this module with the name of a side, hands it its jobs, and measures from the
moment that imports are over: ``ours``, and with the peer's code ``peer_queries``,
``peer_verdicts``, ``peer_drop``, ``peer_cross_join``; ``plain`` is SQLite alone.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.judging.sides import ROOT, Meter
from codetemper.core.records import Case, Completion
from codetemper.core.sql_text import first_statement
from codetemper.judges import JudgeOptions, sql

#: Completions of each case on our side; the gold query runs once beside them.
COMPLETIONS = 10
CROSS_JOIN = "SELECT count(*) FROM {t} a, {t} b, {t} c, {t} d"


class Geography(NamedTuple):
    """GeoQuery: its database, and gold queries that SQLite can run."""

    path: Path
    queries: list[str]
    variants: list[tuple[str, str]]
    """Pairs of queries that the authors of the data call equivalent."""


def geography() -> Geography | None:
    """Read GeoQuery where the environment says it is."""
    named = os.environ.get("CODETEMPER_TEXT2SQL", "")
    for folder in (Path(named), Path(named) / "data"):
        source = folder / "geography.json"
        if named and source.is_file():
            database = next(folder.glob("geography-db*.sqlite"))
            return _read(source, database)
    sys.stderr.write("sql: CODETEMPER_TEXT2SQL names no folder with geography.json\n")
    return None


def _read(source: Path, database: Path) -> Geography:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)

    def runs(query: str) -> bool:
        try:
            connection.execute(query).fetchall()
        except sqlite3.Error:
            return False
        return True

    queries, variants = [], []
    for entry in json.loads(source.read_text("utf-8")):
        for number, sentence in enumerate(entry["sentences"]):
            filled = [_filled(text, sentence["variables"]) for text in entry["sql"]]
            if runs(filled[0]):
                queries.append(filled[0])
                if number == 0:
                    variants += [(filled[0], other) for other in filled[1:] if runs(other)]
    connection.close()
    return Geography(database, queries, variants)


def _filled(query: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        query = query.replace(name, value)
    return first_statement(query)


def test_suite() -> Path | None:
    """Return the folder of the peer, if it can be imported from there."""
    named = os.environ.get("CODETEMPER_TESTSUITE", "")
    if named and (Path(named) / "exec_eval.py").is_file():
        return Path(named)
    sys.stderr.write("sql: CODETEMPER_TESTSUITE names no folder with exec_eval.py\n")
    return None


def run_side(side: str, jobs: dict[str, Any]) -> dict[str, Any]:
    """Run one side in a process of its own; ``cpu`` is what it and all it started used."""
    meter = Meter()
    folders = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": ":".join(filter(None, folders))}
    line = [sys.executable, "-m", "benchmarks.judging.sql_sides", side]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=environment, cwd=ROOT)  # fmt: skip
    try:
        meter.join(process.pid)
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        process.stdin.write(json.dumps(jobs) + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise OSError(f"side '{side}' did not start; its message stands above")
        before = meter.read()
        process.stdin.write("go\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        answer["cpu"] = meter.read() - before
        if meter.kind != "cgroup":
            answer["cpu"] = answer["own_cpu"]
    finally:
        process.kill()
        process.wait()
        meter.close()
    return answer


def cases_of(geo: Geography, queries: Sequence[str], **spec: Any) -> list[Case]:
    """Make a case of each query, which is its gold query."""
    # The peer takes a gold query that says ORDER BY anywhere for one whose order counts.
    return [
        Case(id=str(number), prompt="", language="sql", judge="sql",
             spec={"files": [str(geo.path)], "gold": query,
                   "ordered": "order by" in query.lower(), **spec})
        for number, query in enumerate(queries)
    ]  # fmt: skip


def _serve(side: str) -> None:
    """Be one side: read the jobs, say ready, wait for go, work, and tell how it went."""
    jobs = json.loads(sys.stdin.readline())
    geo = Geography(Path(jobs["path"]), jobs["queries"], [])
    with tempfile.TemporaryDirectory() as folder:
        work = _ours(geo) if side == "ours" else _peer(side, geo, jobs, Path(folder))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        start, used = time.perf_counter(), time.process_time()
        told = work()
        told["seconds"] = time.perf_counter() - start
        told["own_cpu"] = time.process_time() - used
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()


def _ours(geo: Geography) -> Callable[[], dict[str, Any]]:
    # A comment makes the texts differ: no statement that was prepared before is used again.
    items = [
        (case, Completion(case=case.id, index=index, text=f"{case.spec['gold']} -- {index}"))
        for case in cases_of(geo, geo.queries)
        for index in range(COMPLETIONS)
    ]

    def work() -> dict[str, Any]:
        verdicts = sql.judge(items, options=JudgeOptions(workers=1))
        if any(verdict.function != "pass" for verdict in verdicts):
            raise RuntimeError("a gold query does not match itself")
        return {"count": len(verdicts)}

    return work


def _peer(
    side: str, geo: Geography, jobs: dict[str, Any], folder: Path
) -> Callable[[], dict[str, Any]]:
    sys.path.insert(0, str(test_suite()))
    module = importlib.import_module("exec_eval")
    path = str(shutil.copy(geo.path, folder / "geography.sqlite"))

    def queries() -> dict[str, Any]:
        for query in geo.queries:
            asyncio.run(module.exec_on_db(path, query))
        return {"count": len(geo.queries)}

    def verdicts() -> dict[str, Any]:
        pairs = jobs.get("pairs") or [(query, query) for query in geo.queries]
        told = [module.eval_exec_match(path, text, gold, False, True, False)
                for gold, text in pairs]  # fmt: skip
        return {"count": len(told), "verdicts": told}

    def plain() -> dict[str, Any]:
        connection = sqlite3.connect(path)
        for query in geo.queries:
            connection.execute(query).fetchall()
        return {"count": len(geo.queries)}

    def drop() -> dict[str, Any]:
        asyncio.run(module.exec_on_db(path, "DROP TABLE city"))
        return {"count": 1, "lost": tables(geo.path) - tables(path)}

    def cross_join() -> dict[str, Any]:
        query = CROSS_JOIN.format(t="city")
        asyncio.run(module.exec_on_db(path, query, timeout=1))
        return {"count": 1}

    return {"peer_queries": queries, "peer_verdicts": verdicts, "peer_drop": drop,
            "peer_cross_join": cross_join, "plain": plain}[side]  # fmt: skip


def tables(path: Path | str) -> int:
    """Count the tables of a database file."""
    connection = sqlite3.connect(path)
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    connection.close()
    return int(count)


if __name__ == "__main__":
    _serve(sys.argv[1])
