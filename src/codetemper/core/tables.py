# SPDX-License-Identifier: Apache-2.0
"""Records as Parquet: a column a field, written block by block, read block by block.

    with TableWriter(path, Verdict) as table:
        table.add(verdicts)
    table.digest                       # over the rows, not over the bytes of the file
    for block in read_table(path, Verdict): ...

Fields that no flat column can hold are JSON text. The digest is over the rows' canonical JSON, so
it does not depend on the Parquet library nor on how the rows were cut into blocks.
"""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

from codetemper.core.digests import canonical_json
from codetemper.core.disk import mendable
from codetemper.core.records import Record

_Row = TypeVar("_Row", bound=Record)

_PLAIN: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


class TableWriter:
    """A Parquet file in the making; where the block raises, no file is left.

    Args:
        path: the file.
        kind: record class of all rows.
        aside: fields that are no part of the digest.

    Raises:
        UsageError: the disk is full or closed.
    """

    def __init__(self, path: Path, kind: type[Record], *, aside: frozenset[str] = frozenset()):
        self._path, self._aside = path, aside
        self._json = _as_json(kind)
        self._sha = hashlib.sha256()
        self._schema = schema(kind)
        self.rows = 0
        with mendable(path):
            self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def add(self, rows: Sequence[Record]) -> None:
        """Write one block of rows."""
        if not rows:
            return
        plain = [row.model_dump(mode="json") for row in rows]
        for row in plain:
            counted = {name: row[name] for name in row.keys() - self._aside}
            self._sha.update(_line(counted))
            row.update((name, json.dumps(row[name])) for name in self._json & row.keys())
        with mendable(self._path):
            self._file.write_table(pa.Table.from_pylist(plain, self._schema))
        self.rows += len(rows)

    @property
    def digest(self) -> str:
        """SHA-256 over the rows so far, one line of canonical JSON a row."""
        return self._sha.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        with mendable(self._path):
            self._file.close()
            if kind is not None:
                self._path.unlink(missing_ok=True)


def rows_digest(rows: Iterable[Record]) -> str:
    """Return the digest that a table of these rows has, nothing aside."""
    sha = hashlib.sha256()
    for row in rows:
        sha.update(_line(row.model_dump(mode="json")))
    return sha.hexdigest()


def _line(plain: dict[str, Any]) -> bytes:
    return canonical_json(plain) + b"\n"


def read_table(path: Path, kind: type[_Row], *, block: int = 4096) -> Iterator[list[_Row]]:
    """Yield the rows of a table in blocks.

    Args:
        path: what ``TableWriter`` wrote.
        kind: record class of the rows.
        block: rows held at a time.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: the file is missing or holds other rows.
    """
    as_json = _as_json(kind)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(block):
            yield [
                kind.model_validate(
                    {name: json.loads(value) if name in as_json else value
                     for name, value in row.items() if value is not None}
                )
                for row in batch.to_pylist()
            ]  # fmt: skip


def schema(kind: type[Record]) -> pa.Schema:
    """Return the columns that hold a record class."""
    columns = []
    for name, info in kind.model_fields.items():
        column = _column(info.annotation)
        if column is None:
            columns.append(pa.field(name, pa.string(), metadata={"form": "json"}))
        else:
            columns.append(pa.field(name, column))
    return pa.schema(columns, metadata={"record": kind.__name__})


def _column(annotation: Any) -> pa.DataType | None:
    """Return the column type of a field, or None where only JSON text can hold it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return pa.string() if all(isinstance(value, str) for value in inner) else None
    if origin in (Union, types.UnionType):
        some = [one for one in inner if one is not types.NoneType]
        return _column(some[0]) if len(some) == 1 else None
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        item = _column(inner[0])
        return pa.list_(item) if item is not None else None
    return _PLAIN.get(annotation)


def _as_json(kind: type[Record]) -> frozenset[str]:
    """Return the fields that are kept as JSON text."""
    return frozenset(
        name for name, info in kind.model_fields.items() if _column(info.annotation) is None
    )
