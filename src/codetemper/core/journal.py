# SPDX-License-Identifier: Apache-2.0
"""Keyed results on disk: what lets a killed run go on where it was, at any size.

    journal = Journal(folder / "verdicts.sqlite")
    journal.put([("key", {"value": 1})])        # all of them or none, also under ``kill -9``
    journal.get("key")

One SQLite file, its index on the disk: a million results take no more memory than ten. Processes
may share a file; a journal stays in the thread and the process that opened it. Journals are
caches: deleting one costs time, never results.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codetemper.core.digests import canonical_json
from codetemper.core.errors import UsageError

#: Seconds that one process waits for another that is writing.
_PATIENCE_S = 120.0


class Journal:
    """Keyed results on disk.

    Args:
        path: the file; its folder must exist.

    Raises:
        UsageError: the file is no journal, or cannot be opened or made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._base = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS results"
                " (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, value BLOB NOT NULL)"
            )
        except sqlite3.Error as error:
            raise self._mendable(error) from error

    def __contains__(self, key: str) -> bool:
        return self._one("SELECT 1 FROM results WHERE key = ?", key) is not None

    def get(self, key: str) -> Any | None:
        """Return the value stored under ``key``, or None."""
        row = self._one("SELECT value FROM results WHERE key = ?", key)
        return None if row is None else json.loads(row[0])

    def put(self, items: Iterable[tuple[str, Any]]) -> None:
        """Store results, all or none; each key's newest value counts.

        Raises:
            UsageError: the disk is full or closed; what was stored before stays readable.
        """
        new = [(key, canonical_json(value)) for key, value in items]
        if not new:
            return
        try:
            with self._base:
                self._base.execute("BEGIN IMMEDIATE")
                self._base.executemany(
                    "INSERT INTO results (key, value) VALUES (?, ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    new,
                )
        except sqlite3.Error as error:
            raise self._mendable(error) from error

    def count(self) -> int:
        """Return how many results there are."""
        return int(self._base.execute("SELECT count(*) FROM results").fetchone()[0])

    def _one(self, query: str, key: str) -> tuple[Any, ...] | None:
        try:
            row: tuple[Any, ...] | None = self._base.execute(query, (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._mendable(error) from error
        return row

    def _mendable(self, error: sqlite3.Error) -> UsageError:
        name = getattr(error, "sqlite_errorname", "")
        if name == "SQLITE_FULL":
            return UsageError(
                f"the disk is full: {self.path} was not written",
                why="no space is left where it lies",
                mend="free some space (.codetemper/cache may be deleted), then run it again",
            )
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return UsageError(
                f"{self.path} is damaged",
                why=str(error),
                mend="delete it: it holds what can be made again",
            )
        return UsageError(
            f"{self.path} cannot be used",
            why=str(error),
            mend="see that its folder can be written to and that nobody else holds it",
        )
