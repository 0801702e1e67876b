# SPDX-License-Identifier: Apache-2.0
"""Put SQL questions to a sandbox, many in one request, and get rows back as plain values.

Used by the judge ``sql``. Every statement runs inside: the scripts that make the databases, the
gold queries, and what models wrote, each kind in a process of its own that ends afterwards. What
comes back is read as data nobody trusts. Rows are not compared here.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from codetemper.core.errors import UsageError
from codetemper.judges._sandbox.worker import Worker, WorkerLostError
from codetemper.judges.options import JudgeOptions

#: Files up to this size are copied into memory, larger ones are opened where they are.
COPY_MB = 64
#: Questions in one request.
_BATCH = 2048
#: Wall seconds for one request beside one query: other queries before it, making databases.
_SPARE_S = 30.0
_KINDS = frozenset({"ground", "timeout", "memory", "refused", "syntax", "build", "runtime", "many"})
_PLAIN = frozenset({int, float, str, bytes, type(None)})


class Ground(NamedTuple):
    """A database to ask: made from a schema and a script, or a file with a script run after."""

    schema: str = ""
    script: str = ""
    path: str = ""


class Question(NamedTuple):
    """A query on a database."""

    ground: Ground
    query: str | None
    """None asks for the tables instead."""
    most: int = 200_000
    """Most rows that are handed over."""
    distinct: bool = False
    """Whether equal rows are handed over, and counted, once."""


class Answer(NamedTuple):
    """What came of a question."""

    rows: list[tuple[Any, ...]] | None
    """None where the query has no result."""
    columns: int
    failure: str | None
    """``ground`` (the database cannot be made), ``timeout``, ``memory``, ``refused``, ``syntax``,
    ``build`` (an unknown name), ``runtime`` or ``many`` (rows)."""
    note: str
    seconds: float
    tables: tuple[dict[str, Any], ...] = ()


class Bench:
    """One sandbox with what all its questions have in common.

    Args:
        worker: the sandbox.
        options: deadline of a query, memory.
        seen: where the sandbox sees each file.
    """

    def __init__(self, worker: Worker, options: JudgeOptions, seen: dict[str, str]) -> None:
        self.worker, self.options, self.seen = worker, options, seen

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all questions, those on one database after each other."""
        order = sorted(range(len(questions)), key=lambda i: questions[i].ground)
        sequence = [questions[i] for i in order]
        answers: list[Answer] = []
        while len(answers) < len(sequence):
            answers += self._some(sequence[len(answers) : len(answers) + _BATCH])
        given: list[Answer | None] = [None] * len(questions)
        for place, answer in zip(order, answers, strict=True):
            given[place] = answer
        return [answer for answer in given if answer is not None]

    def _some(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer at least the first of the questions."""
        keys: dict[Ground, str] = {}
        queries = [
            [keys.setdefault(q.ground, str(len(keys))), q.query, q.most, q.distinct]
            for q in questions
        ]
        grounds = {
            key: {"schema": g.schema, "script": g.script, "path": self.seen.get(g.path)}
            for g, key in keys.items()
        }
        each = self.options.timeout_s
        request = {"op": "sql", "grounds": grounds, "queries": queries, "each_s": each,
                   "memory_mb": self.options.memory_mb, "copy_mb": COPY_MB}  # fmt: skip
        try:
            told = self.worker.ask(request, each + _SPARE_S)
        except WorkerLostError as error:
            return [Answer(None, 0, "timeout", f"the sandbox was lost: {error}"[:300], each)]
        lines = str(told["lines"]).splitlines()[: len(questions)]
        answers = [_read(line) for line in lines]
        status = told["status"]
        if len(answers) < len(questions) and (status != 0 or not answers):
            # The process ended within the next query: in a step that cannot be interrupted, or
            # because SQLite or the interpreter failed.
            if status == -signal.SIGALRM or told["ended"] == "timeout":
                answers.append(Answer(None, 0, "timeout", "the query takes too long", each))
            else:
                note = f"the query ended SQLite's process (status {status})"
                answers.append(Answer(None, 0, "runtime", note, 0.0))
        return answers


def _read(line: str) -> Answer:
    """Read one answer; whatever is not of the agreed form is a failure."""
    try:
        kind, *rest, seconds = json.loads(line, object_hook=_blob if "{" in line else None)
        if kind == "tables":
            return Answer(None, 0, None, "", 0.0, tuple(rest[0]))
        if kind == "rows":
            columns, rows = rest
            rows = [tuple(row) for row in rows]
            if _PLAIN.issuperset(map(type, itertools.chain.from_iterable(rows))):
                return Answer(rows, int(columns), None, "", float(seconds))
        elif kind in _KINDS:
            return Answer(None, 0, kind, str(rest[0])[:300], float(seconds))
    except (ValueError, TypeError, IndexError, RecursionError):
        pass
    return Answer(None, 0, "runtime", "the sandbox gave an answer that is none", 0.0)


def _blob(value: dict[str, Any]) -> Any:
    # Databases describe themselves in objects too; only bytes have this single key.
    return bytes.fromhex(value["x"]) if value.keys() == {"x"} else value


def check_file(path: str, case: str) -> str:
    """Return the real path of a database file.

    Raises:
        UsageError: it is not there, or has changes that stand in a log beside it.
    """
    real = os.path.realpath(path)
    if not os.path.isfile(real):
        raise UsageError(
            f"case '{case}' cannot be judged: there is no database file '{path}'",
            why="it is not there, or not a file", mend="correct 'spec.files' of that case",
        )  # fmt: skip
    log = Path(f"{real}-wal")
    if log.exists() and log.stat().st_size:
        raise UsageError(
            f"case '{case}' cannot be judged: '{path}' has changes that are not in it yet",
            why=f"they stand in '{log.name}' beside it, which is not read",
            mend=f"sqlite3 '{path}' 'PRAGMA wal_checkpoint(TRUNCATE)'",
        )
    return real


def seen_paths(paths: Iterable[str], sandbox: str) -> dict[str, str]:
    """Return where the sandbox sees each file: under one name a file, or in its own place."""
    once = sorted(set(paths))
    if sandbox == "none":
        return {path: path for path in once}
    return {path: f"/data/{number}" for number, path in enumerate(once)}
