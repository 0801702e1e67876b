# SPDX-License-Identifier: Apache-2.0
"""A corpus on disk: ``data.parquet`` with one column a field, and the card that describes it.

    card = write_corpus(folder, pairs, verb="mine", sources=("libexpat",))
    card, rows = read_corpus(folder)          # digests are checked before rows are handed out

The digest of the data is over the rows' canonical JSON, in order, so it does not depend on the
Parquet library. The folder is an ordinary one; where it lies and what it is called is decided by
the workspace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from codetemper.core import records
from codetemper.core.accounts import CorpusCard
from codetemper.core.digests import canonical_json, digest_file
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Record
from codetemper.core.tables import TableWriter, read_table, rows_digest
from codetemper.core.workspace import content_id_of

DATA = "data.parquet"
CARD = "card.json"

#: Rows that are in memory at a time while a corpus is written.
_BLOCK = 1000


def write_corpus(
    folder: Path,
    rows: Iterable[Record],
    *,
    verb: str = "mine",
    sources: Sequence[str] = (),
    counts: Mapping[str, Mapping[str, int]] | None = None,
    config: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
    beside: Mapping[str, bytes] | None = None,
) -> CorpusCard:
    """Write rows of one record class and their card into a folder.

    Args:
        folder: an existing folder, usually staged by the workspace.
        rows: at least one record, all of the same class from ``core.records``; read once, and a
            thousand at a time are in memory.
        verb: the treatment that gathered them; the first part of the corpus's id.
        sources: where the rows come from, without credentials.
        counts: counts by aspect, e.g. ``{"cwe": {"CWE-787": 3}, "dropped": {...}}``.
        config: resolved configuration, plain JSON data.
        seconds: wall seconds the gathering took.
        beside: other files of the corpus by name, e.g. the account of its curation.

    Returns:
        The card, as written. The same rows from the same sources with the same configuration get
        the same id.

    Raises:
        UsageError: no rows, rows of several classes, or a class that ``core.records`` lacks.
    """
    kind, count, digest = _write_rows(folder / DATA, rows)
    for name, data in (beside or {}).items():
        write_atomic(folder / name, data)
    card = CorpusCard(
        id=verb,
        rows=count,
        record=kind.__name__,
        data_digest=digest,
        files={name: digest_file(folder / name) for name in sorted({DATA, *(beside or {})})},
        sources=tuple(sources),
        counts={aspect: dict(by) for aspect, by in (counts or {}).items()},
        # As it will be read back: JSON knows no tuples.
        config=json.loads(canonical_json(dict(config or {}))),
        seconds=seconds,
    )
    card = card.model_copy(update={"id": content_id_of(card.model_dump(mode="json"), verb)})
    write_atomic(folder / CARD, card.model_dump_json(indent=2).encode() + b"\n")
    return card


def _write_rows(path: Path, rows: Iterable[Record]) -> tuple[type[Record], int, str]:
    """Write the data file; return the rows' class, their number and their digest."""
    left = iter(rows)
    batch = list(islice(left, _BLOCK))
    if not batch:
        raise UsageError(
            "the corpus is empty",
            why="there is nothing to learn from in no rows",
            mend="mine a longer history, lower min_score, or look at the reasons things dropped",
        )
    kind = type(batch[0])
    _check_class(kind, batch)
    with TableWriter(path, kind) as table:
        while batch:
            table.add(batch)
            batch = list(islice(left, _BLOCK))
            _check_class(kind, batch)
    return kind, table.rows, table.digest


def _check_class(kind: type[Record], rows: Sequence[Record]) -> None:
    if any(type(row) is not kind for row in rows) or _record_class(kind.__name__) is not kind:
        raise UsageError(
            "these rows do not make a corpus",
            why="a corpus holds records of one class of codetemper.core.records",
            mend="write one corpus for each class",
        )


def read_card(folder: Path) -> CorpusCard:
    """Read the card of a corpus.

    Raises:
        UsageError: the folder holds no corpus.
        IntegrityError: the card is not one.
    """
    path = folder / CARD
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a corpus",
            why=f"there is no {CARD} in it" if folder.is_dir() else "there is no such folder",
            mend="codetemper mine REPOSITORY makes one; codetemper ls shows those there are",
        )
    try:
        return CorpusCard.from_json(path.read_bytes())
    except ValidationError as error:
        raise _broken(path, f"{error.error_count()} fields are wrong or missing") from error


def verify_corpus(folder: Path) -> CorpusCard:
    """Compare a corpus with its card: file digests, row count, digest of the rows.

    Returns:
        The card, where everything is what it says.

    Raises:
        UsageError: no corpus, or an empty one.
        IntegrityError: something is not what the card says.
    """
    return read_corpus(folder)[0]


def read_corpus(folder: Path) -> tuple[CorpusCard, list[Record]]:
    """Read a corpus, checking every digest on the way.

    Returns:
        The card, and the rows as records of the class the card names.

    Raises:
        UsageError: no corpus, an empty one, or a record class this version does not know.
        IntegrityError: a file or a row is not what the card says.
    """
    card = read_card(folder)
    if content_id_of(card.model_dump(mode="json")) != card.id:
        raise _broken(folder / CARD, "its id is not that of its content")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    for name in sorted((present | card.files.keys()) - {CARD}):
        if name not in present:
            raise _broken(folder / name, "the card names it, but it is gone")
        if digest_file(folder / name) != card.files.get(name):
            raise _broken(folder / name, "its SHA-256 is not the one in the card")
    kind = _record_class(card.record)
    if kind is None:
        raise UsageError(
            f"{folder} holds records of an unknown kind, '{card.record}'",
            why="it was written by another version",
            mend="upgrade codetemper",
        )
    try:
        rows = [row for block in read_table(folder / DATA, kind) for row in block]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _broken(folder / DATA, f"it cannot be read: {str(error)[:200]}") from error
    if len(rows) != card.rows or rows_digest(rows) != card.data_digest:
        raise _broken(folder / DATA, "the digest of its rows is not the one in the card")
    if not rows:
        raise UsageError(
            f"the corpus {card.id} is empty",
            why="there is nothing to learn from in no rows",
            mend="mine a longer history or lower min_score",
        )
    return card, rows


def _broken(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is damaged",
        why=why,
        mend="restore it from a copy, or gather the corpus again as the ledger records",
    )


def _record_class(name: str) -> type[Record] | None:
    found = vars(records).get(name)
    if isinstance(found, type) and issubclass(found, Record) and found is not Record:
        return found
    return None
