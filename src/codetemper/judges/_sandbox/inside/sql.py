# SPDX-License-Identifier: Apache-2.0
"""Run SQL queries on databases in memory, in a forked process of the sandbox, rows out as JSON.

Used by ``server`` for the operation ``sql``. A query can only read: an authorizer with a list of
what is allowed refuses the rest before anything runs. Two deadlines end a query: SQLite's progress
handler, which leaves the process usable, and, shortly after it, the kernel's alarm, which ends the
process in the middle of whatever single step it is in (a sort, a pattern match). Answers stand in
memory shared with the parent, so that an ended process loses none. Nothing is compared here.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import sqlite3
import time
from typing import Any

from . import process

#: A process stops taking queries after this many seconds or bytes; the rest is asked again.
_SECONDS_EACH, _BYTES_EACH = 4.0, 8 << 20
#: What the shared memory holds, and the longest answer to one query.
_SPACE, _LONGEST = 48 << 20, 32 << 20
#: The kernel's alarm comes this long after the progress handler's deadline.
ALARM_AFTER_S = 0.02
_STEPS_BETWEEN_LOOKS = 1_000
_LARGEST_VALUE = 1 << 20
_LONGEST_QUERY = 1 << 20
_LONGEST_PATTERN = 256
_COUNT = 8
_ROWS_LOOKED_AT = 20_000

_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})
_NAMES = (
    "-> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling changes char coalesce "
    "concat concat_ws cos cosh count cume_dist current_date current_time current_timestamp "
    "date datetime degrees dense_rank exp first_value floor format glob group_concat hex if "
    "ifnull iif instr json json_array json_array_length json_each json_error_position "
    "json_extract json_group_array json_group_object json_insert json_object json_patch "
    "json_pretty json_quote json_remove json_replace json_set json_tree json_type json_valid "
    "julianday lag last_insert_rowid last_value lead length like likelihood likely ln log "
    "log10 log2 lower ltrim max median min mod nth_value ntile nullif octet_length "
    "percent_rank percentile percentile_cont percentile_disc pi pow power printf quote "
    "radians random randomblob rank replace round row_number rtrim sign sin sinh soundex sqrt "
    "strftime string_agg substr substring subtype sum tan tanh time timediff total "
    "total_changes trim trunc typeof unhex unicode unixepoch unlikely upper zeroblob"
)
_FUNCTIONS = frozenset(_NAMES.split())
_REFUSALS = ("not authorized", "is prohibited", "authorization denied", "vtable constructor")
_VIRTUAL = frozenset({"json_each", "json_tree"})


class Ground:
    """One database with the means to end a query on it."""

    def __init__(self, form: dict[str, Any], image: bytes | None) -> None:
        """Open it from a script, from the bytes of a file, or the file itself, read-only."""
        self.deadline = float("inf")
        self.random: random.Random | None = None
        if form.get("path") is not None and image is None:
            place = "".join(c if c.isalnum() or c in "/._-" else _escaped(c) for c in form["path"])
            self.connection = sqlite3.connect(
                f"file:{place}?immutable=1&mode=ro", uri=True, isolation_level=None
            )
        else:
            self.connection = sqlite3.connect(":memory:", isolation_level=None)
            if image is not None:
                self.connection.deserialize(image)
        # Reads the schema, hence tells at once what is no database.
        self.connection.execute("SELECT count(*) FROM sqlite_master").close()
        for script in (form.get("schema", ""), form.get("script", "")):
            self.connection.executescript(script)
        self._close_doors()

    def _close_doors(self) -> None:
        connection = self.connection
        for pragma in ("query_only = ON", "temp_store = MEMORY", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        for limit, value in (
            (sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE),
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LONGEST_QUERY),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
        ):
            connection.setlimit(limit, value)
        found = connection.execute("SELECT lower(name) FROM sqlite_master").fetchall()
        self.readable = {name for (name,) in found} | _VIRTUAL
        self.readable |= {"sqlite_master", "sqlite_schema"}
        connection.create_function("random", 0, lambda: self._chance().getrandbits(63))
        connection.create_function("randomblob", 1, self._randomblob)
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._late, _STEPS_BETWEEN_LOOKS)

    def _chance(self) -> random.Random:
        # The same query gives the same rows in every run.
        if self.random is None:
            self.random = random.Random(0)  # noqa: S311
        return self.random

    def _randomblob(self, size: int) -> bytes:
        if size > _LARGEST_VALUE:
            raise ValueError("string or blob too big")
        return self._chance().randbytes(max(1, size))

    def _authorize(self, action: int, first: str | None, second: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ:
            # Without a column it is a mention of a table, which a query may name as it likes.
            allowed = not second or (first or "").lower() in self.readable
        elif action == sqlite3.SQLITE_FUNCTION:
            allowed = (second or "").lower() in _FUNCTIONS
        else:
            allowed = action in _ACTIONS
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def _late(self) -> int:
        return time.monotonic() > self.deadline

    def ask(self, query: str, most: int, distinct: bool, seconds: float) -> list[Any]:
        """Run one query: ``["rows", columns, rows]``, or ``[kind of failure, message]``."""
        self.deadline = time.monotonic() + seconds
        self.random = None
        try:
            return self._rows(query, most, distinct)
        except sqlite3.OperationalError as error:
            if "Could not decode" not in str(error):
                return self._failure(query, error)
        except MemoryError:
            return ["memory", "the query needs too much memory"]
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError) as error:
            return self._failure(query, error)
        # Text that is not UTF-8 stands in some databases; what cannot be read is marked.
        self.connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
        try:
            return self._rows(query, most, distinct)
        except (sqlite3.Error, MemoryError) as error:
            return self._failure(query, error)
        finally:
            self.connection.text_factory = str

    def _rows(self, query: str, most: int, distinct: bool) -> list[Any]:
        cursor = self.connection.execute(query)
        try:
            if not distinct:
                rows = cursor.fetchmany(most + 1)
            else:
                found: dict[tuple[Any, ...], None] = {}
                for row in cursor:
                    found[row] = None
                    if len(found) > most:
                        break
                rows = list(found)
            description = cursor.description
        finally:
            cursor.close()
        if description is None:
            return ["syntax", "this is no query: it has no columns"]
        if len(rows) > most:
            return ["many", f"more than {most} rows"]
        return ["rows", len(description), rows]

    def _failure(self, query: str, error: Exception) -> list[Any]:
        note = str(error)[:300]
        if isinstance(error, MemoryError):
            return ["memory", "the query needs too much memory"]
        if note == "interrupted":
            return ["timeout", "the query takes too long"]
        if any(text in note for text in _REFUSALS):
            return ["refused", note]
        # What cannot even be explained is no query of this database.
        self.deadline = time.monotonic() + 1.0
        try:
            self.connection.execute(f"EXPLAIN {query}").close()
        except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError) as complaint:
            note = str(complaint)[:300]
            unknown = note.startswith(("no such", "ambiguous column"))
            return ["build" if unknown else "syntax", note]
        return ["runtime", note]

    def describe(self) -> list[Any]:
        """Tell the tables: columns with what the schema and the data say of them, foreign keys.

        A column is ``[name, type, not null, place in the primary key, values, different values]``,
        the two counts over the first rows.
        """
        self.connection.set_authorizer(None)
        self.deadline = float("inf")
        tables = []
        found = self.connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
        ).fetchall()
        for name, text in found:
            quoted = _quoted(name)
            columns = self.connection.execute(f"PRAGMA table_info({quoted})").fetchall()
            keys = self.connection.execute(f"PRAGMA foreign_key_list({quoted})").fetchall()
            first = f"FROM (SELECT * FROM {quoted} LIMIT {_ROWS_LOOKED_AT})"  # noqa: S608
            counts = ", ".join(
                f"count({c}), count(DISTINCT {c})" for c in (_quoted(c[1]) for c in columns)
            )
            seen = self.connection.execute(f"SELECT {counts}, count(*) {first}").fetchone()
            (alike,) = self.connection.execute(
                f"SELECT count(*) FROM (SELECT DISTINCT * {first})"  # noqa: S608
            ).fetchone()
            tables.append({
                "name": name, "sql": text, "rows": seen[-1], "different": alike,
                "columns": [[c[1], c[2] or "", bool(c[3]), c[5], *seen[2 * n : 2 * n + 2]]
                            for n, c in enumerate(columns)],
                "foreign": [[k[3], k[2], k[4]] for k in keys],
                "unique": self._unique_columns(quoted),
            })  # fmt: skip
        self.connection.set_authorizer(self._authorize)
        return ["tables", tables]

    def _unique_columns(self, quoted: str) -> list[str]:
        """Return the columns that are unique by themselves."""
        found = []
        for row in self.connection.execute(f"PRAGMA index_list({quoted})").fetchall():
            columns = self.connection.execute(f"PRAGMA index_info({_quoted(row[1])})").fetchall()
            if row[2] and len(columns) == 1 and columns[0][2] is not None:
                found.append(columns[0][2])
        return found


def _serve(shared: mmap.mmap, request: dict[str, Any], images: dict[str, bytes]) -> None:
    ground: Ground | None = None
    opened = None
    start, place = time.monotonic(), _COUNT
    for key, query, most, distinct in request["queries"]:
        begun = time.monotonic()
        if begun - start > _SECONDS_EACH or place > _BYTES_EACH:
            break
        if ground is None or key != opened:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            if ground is not None:
                ground.connection.close()
            try:
                ground, opened = Ground(request["grounds"][key], images.get(key)), key
            except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
                ground = None
                place = _put(shared, place, ["ground", str(error)[:300] or "too large", 0.0])
                continue
            begun = time.monotonic()
        if query is None:
            answer = ground.describe()
        else:
            signal.setitimer(signal.ITIMER_REAL, request["each_s"] + ALARM_AFTER_S)
            answer = ground.ask(query, most, distinct, request["each_s"])
        place = _put(shared, place, [*answer, round(time.monotonic() - begun, 6)])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


def _put(shared: mmap.mmap, place: int, answer: list[Any]) -> int:
    try:
        line = _ENCODER.encode(answer).encode("ascii") + b"\n"
    except MemoryError:
        line = b'["memory","the rows need too much memory",0]\n'
    if len(line) > _LONGEST:
        line = b'["many","the rows are too much to hand over",0]\n'
    shared[place : place + len(line)] = line
    place += len(line)
    shared[:_COUNT] = (place - _COUNT).to_bytes(_COUNT, "big")
    return place


def _bytes(value: Any) -> dict[str, str]:
    return {"x": value.hex()}


_ENCODER = json.JSONEncoder(default=_bytes, separators=(",", ":"), check_circular=False)


def run(request: dict[str, Any], kept: dict[str, bytes], uid: int | None) -> dict[str, Any]:
    """Answer as many of the queries as one process can, in their order.

    Args:
        request: ``grounds`` by key (``schema`` and ``script``, or ``path``), ``queries`` as
            ``[key, query or None, most rows, distinct]``, those on one ground together,
            ``each_s``, ``seconds``, ``memory_mb`` and ``copy_mb``, the largest file that is
            copied into memory.
        kept: bytes of database files that earlier requests have read.
        uid: uid of the process that runs queries.
    """
    images = {}
    for key, form in request["grounds"].items():
        image = _image(form.get("path"), request["copy_mb"] << 20, kept)
        if image is not None:
            images[key] = image
    held = max(map(len, images.values()), default=0) >> 20
    # Beside what a query may use: the interpreter, the shared answers, and the files' bytes.
    address = request["memory_mb"] + held + 192 + (_SPACE >> 20)
    address += sum(map(len, kept.values())) >> 20
    limits = process.Limits(request["seconds"], address_mb=address, file_mb=0)
    with mmap.mmap(-1, _SPACE) as shared:

        def body() -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            heap = (request["memory_mb"] + held) << 20
            sqlite3.connect(":memory:").execute(f"PRAGMA hard_heap_limit = {heap}").close()
            _serve(shared, request, images)
            os._exit(0)

        outcome = process.run(body, limits, uid)
        size = min(int.from_bytes(shared[:_COUNT], "big"), _SPACE - _COUNT)
        lines = shared[_COUNT : _COUNT + size].decode("ascii", "replace")
    return {"ended": outcome.ended, "status": outcome.status, "seconds": outcome.seconds,
            "lines": lines}  # fmt: skip


def _image(path: str | None, most: int, kept: dict[str, bytes]) -> bytes | None:
    """Return the bytes of a database file, or None where it is none or too large to copy."""
    if path is None or path in kept:
        return None if path is None else kept[path]
    try:
        if os.path.getsize(path) > most:
            return None
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    if data[18:20] == b"\x02\x02":
        # A file in write-ahead mode; memory has no such mode, and its log is not looked at.
        data = data[:18] + b"\x01\x01" + data[20:]
    while kept and sum(map(len, kept.values())) + len(data) > 2 * most:
        kept.pop(next(iter(kept)))
    kept[path] = data
    return data
