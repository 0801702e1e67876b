# SPDX-License-Identifier: Apache-2.0
"""Judge ``sql``: run a query and the gold query on small databases and compare the rows.

Databases are SQLite in memory, in this process. A query can only read: everything else is refused
by an authorizer before it runs, and a deadline inside SQLite ends it. Rows are compared as bags
(duplicates count), in order only where the case says so. Columns are not permuted. Security is
``unknown``: rows say nothing about it.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, OrderedDict
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from codetemper.core.errors import UsageError
from codetemper.core.records import (
    Case,
    Event,
    FailureClass,
    Finding,
    OnEvent,
    Outcome,
    Record,
    Verdict,
    ignore_events,
)
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

CARD = JudgeCard(
    name="sql",
    version="1",
    summary="Equality of rows with the gold query on every database of the case, read-only.",
    languages=("sql",),
)

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION,
                      sqlite3.SQLITE_RECURSIVE})  # fmt: skip
_REFUSED_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit"})
_MOST_ROWS = 10_000
_LARGEST_VALUE = 1 << 20
_STEPS_BETWEEN_LOOKS = 1_000
_KEPT_CASES = 128

Rows = list[tuple[Any, ...]]


class Spec(Record):
    """What a case of this judge brings."""

    schema_: str = Field(default="", alias="schema")
    """CREATE statements of the databases given as scripts."""
    databases: tuple[str, ...] = ()
    """INSERT scripts, one a database; several make accidental matches rare."""
    files: tuple[str, ...] = ()
    """Paths of SQLite files, which are databases with a schema of their own."""
    generated: int = Field(default=0, ge=0, le=32)
    """How many more databases to generate from the schema and the gold query."""
    seed: int = 0
    """Seed of the generated databases."""
    gold: str
    """The right query."""
    ordered: bool = False
    """Whether the order of rows counts."""
    semantics: Literal["bag", "set"] = "bag"
    """``bag``: duplicates count; ``set``: they do not, as in BIRD's execution accuracy."""
    columns: Literal["any", "fixed"] | None = None
    """Whether columns may come in ``any`` order; None: any for bags, fixed for sets, as the
    projects that these come from have it."""
    distinct: Literal["keep", "strip"] = "keep"
    """``strip``: DISTINCT is taken out of both queries first, as test-suite-sql-eval does."""
    prefix: str = ""
    """Text before the completion, where the prompt already begins the query (``SELECT``)."""

    @model_validator(mode="after")
    def _has_a_database(self) -> Self:
        if not (self.databases or self.files or self.generated):
            raise ValueError("one of databases, files and generated must be there")
        return self


class _Answer(NamedTuple):
    rows: Rows | None
    failure: FailureClass | None
    note: str


class _Ground:
    """The databases of one case, read-only, with the gold query's rows."""

    def __init__(self, case: Case, spec: Spec, seconds: float) -> None:
        self.deadline = 0.0
        self.connections = [self._open(case, spec.schema_, script) for script in spec.databases]
        self.gold: list[Rows] = []
        for connection in self.connections:
            answer = self.ask(connection, spec.gold, seconds)
            if answer.rows is None:
                raise UsageError(
                    f"case '{case.id}' cannot be judged: its gold query does not run",
                    why=answer.note, mend="correct 'spec.gold' of that case",
                )  # fmt: skip
            self.gold.append(answer.rows)

    def _open(self, case: Case, schema: str, script: str) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            connection.executescript(schema)
            connection.executescript(script)
        except sqlite3.Error as error:
            connection.close()
            raise UsageError(
                f"case '{case.id}' cannot be judged: a database of it cannot be made",
                why=str(error), mend="correct 'spec.schema' or 'spec.databases' of that case",
            ) from error  # fmt: skip
        connection.execute("PRAGMA query_only = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(self._late, _STEPS_BETWEEN_LOOKS)
        return connection

    def _late(self) -> int:
        return int(time.monotonic() > self.deadline)

    def ask(self, connection: sqlite3.Connection, query: str, seconds: float) -> _Answer:
        """Run one query; rows, or why there are none."""
        self.deadline = time.monotonic() + seconds
        rows: Rows | None = None
        failure: FailureClass | None = None
        note = ""
        try:
            cursor = connection.execute(query)
            rows = cursor.fetchmany(_MOST_ROWS + 1)
            cursor.close()
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError) as error:
            note = str(error)
            failure = "timeout" if note == "interrupted" else "runtime"
        except MemoryError:
            failure, note = "memory", "a value is too large"
        if rows is not None and len(rows) > _MOST_ROWS:
            rows, failure, note = None, "wrong", f"more than {_MOST_ROWS} rows"
        return _Answer(rows, failure, note)

    def compiles(self, query: str) -> str | None:
        """Return None where SQLite can compile the query, else its complaint."""
        self.deadline = time.monotonic() + 1.0
        try:
            self.connections[0].execute(f"EXPLAIN {query}").close()
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError) as error:
            return str(error)
        return None

    def close(self) -> None:
        """Let the databases go."""
        for connection in self.connections:
            connection.close()


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Judge queries; scores ``exec_match`` 0 or 1.

    Args:
        items: cases with completions; the query is the completion up to its first semicolon.
        options: ``timeout_s`` is the deadline of a query on one database.
        on_event: progress, in completions.

    Raises:
        UsageError: a spec that is not one, or whose own databases or gold query do not work.
    """
    options = options or JudgeOptions()
    grounds: OrderedDict[str, _Ground] = OrderedDict()
    verdicts = []
    try:
        for number, (case, completion) in enumerate(items, start=1):
            spec = read_spec(Spec, case)
            digest = spec.digest()
            if digest not in grounds:
                grounds[digest] = _Ground(case, spec, options.timeout_s)
                if len(grounds) > _KEPT_CASES:
                    grounds.popitem(last=False)[1].close()
            verdicts.append(_verdict((case, completion), spec, grounds[digest], options.timeout_s))
            if number % 64 == 0 or number == len(items):
                on_event(Event(stage="judge", done=number, total=len(items), unit="completions"))
    finally:
        for ground in grounds.values():
            ground.close()
    return verdicts


def first_statement(text: str) -> str:
    """Return the text before the semicolon that ends the first statement.

    A semicolon within a string or a comment does not end it.
    """
    position = text.find(";")
    while position >= 0:
        if sqlite3.complete_statement(text[: position + 1].replace("\x00", " ")):
            return text[:position].strip()
        position = text.find(";", position + 1)
    return text.strip()


def same_rows(given: Rows, gold: Rows, *, ordered: bool) -> bool:
    """Compare rows as bags, or as lists where the order counts; floats to 12 digits."""
    if len(given) != len(gold):
        return False
    left, right = [_normal(row) for row in given], [_normal(row) for row in gold]
    return left == right if ordered else Counter(left) == Counter(right)


def _normal(row: tuple[Any, ...]) -> tuple[Any, ...]:
    # Sums in another order differ in the last bits.
    return tuple(float(f"{v:.12g}") if isinstance(v, float) else v for v in row)


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _verdict(item: Item, spec: Spec, ground: _Ground, seconds: float) -> Verdict:
    start = time.monotonic()
    case, completion = item
    query = first_statement(f"{spec.prefix} {completion.text}" if spec.prefix else completion.text)
    valid: Outcome = "pass"
    failure: FailureClass | None = None
    note = ""
    complaint = "there is no query" if not query else ground.compiles(query)
    if complaint is not None and "not authorized" in complaint:
        failure, note = "wrong", "the query wants to do more than read"
    elif complaint is not None:
        valid, note = "fail", complaint
        failure = "build" if complaint.startswith("no such") else "syntax"
    else:
        for connection, gold in zip(ground.connections, ground.gold, strict=True):
            answer = ground.ask(connection, query, seconds)
            if answer.rows is None:
                failure, note = answer.failure, answer.note
            elif not same_rows(answer.rows, gold, ordered=spec.ordered):
                failure, note = "wrong", "the rows differ from the gold query's"
            if failure is not None:
                break
    findings = (Finding(rule="check:rows", message=note[:300], severity="note"),) if note else ()
    return Verdict(
        case=case.id, index=completion.index, valid=valid,
        function="pass" if failure is None else "fail", security="unknown", findings=findings,
        failure=failure, judge=CARD.signature, seconds=time.monotonic() - start,
        scores={"exec_match": float(failure is None)},
    )  # fmt: skip
