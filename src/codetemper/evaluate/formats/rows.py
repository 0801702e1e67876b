# SPDX-License-Identifier: Apache-2.0
"""Rows of benchmark files: JSON Lines, JSON arrays and folders of them, plain or gzipped.

Rows are streamed, so that a file never has to fit in memory twice; a file that grows without end
when it is unpacked is refused. What a row lacks is told with the file and the number of the row.
Nothing here knows a benchmark.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError

#: Most bytes of one line and of one file, unpacked.
LONGEST_LINE, LARGEST_FILE = 256 << 20, 8 << 30
_ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".ndjson", ".ndjson.gz")


class Row:
    """One row of a file, read by field; every complaint names the file and the row.

    Args:
        where: the file, as it was named.
        number: of the row, counted from 1.
        fields: the row.
    """

    def __init__(self, where: str, number: int, fields: Mapping[str, Any]) -> None:
        self.where, self.number, self.fields = where, number, fields

    def __contains__(self, name: object) -> bool:
        return self.fields.get(name) is not None if isinstance(name, str) else False

    def error(self, why: str, mend: str = "check that the file is of this format") -> UsageError:
        """Return the error that says what is wrong with this row."""
        return UsageError(f"row {self.number} of {self.where} cannot be read", why=why, mend=mend)

    def value(self, name: str, kind: type | tuple[type, ...], called: str) -> Any:
        """Return a field that must be there and be of a kind.

        Args:
            name: of the field.
            kind: its type or types.
            called: the kind in words.

        Raises:
            UsageError: the field is missing or is something else.
        """
        if name not in self.fields:
            raise self.error(f"the field '{name}' is missing")
        found = self.fields[name]
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is int):
            raise self.error(f"the field '{name}' is no {called}, but {type(found).__name__}")
        return found

    def text(self, *names: str) -> str:
        """Return the first of the named fields that is there; it must be a text."""
        name = next((name for name in names if name in self), names[0])
        text: str = self.value(name, str, "text")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise self.error(f"the field '{name}' is not valid Unicode: {error.reason}") from error
        return text

    def text_or(self, name: str, default: str = "") -> str:
        """Return a text field, or the default where it is missing or null."""
        return self.text(name) if name in self else default

    def texts(self, name: str, *, optional: bool = False) -> list[str]:
        """Return a field that is a list of texts."""
        if optional and name not in self:
            return []
        found = self.value(name, list, "list")
        if not all(isinstance(item, str) for item in found):
            raise self.error(f"the field '{name}' holds something that is no text")
        return list(found)

    def items(self, name: str) -> list[Any]:
        """Return a field that is a list of anything."""
        return list(self.value(name, list, "list"))

    def number_or(self, name: str, default: float) -> float:
        """Return a number field, or the default where it is missing."""
        return float(self.value(name, (int, float), "number")) if name in self else default

    def id(self, name: str) -> str:
        """Return a field that names the row: a text, or a number as text."""
        return str(self.value(name, (str, int), "text or number"))


def read_lines(path: Path) -> Iterator[str]:
    """Yield the non-empty lines of a text file that may be gzipped.

    Raises:
        UsageError: the file is missing, is not UTF-8, is a broken gzip file, or is far too large.
    """
    total = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            while line := stream.readline(LONGEST_LINE + 1):
                total += len(line)
                if len(line) > LONGEST_LINE or total > LARGEST_FILE:
                    raise UsageError(
                        f"cannot read {path}",
                        why=f"a line is longer than {LONGEST_LINE >> 20} MiB, or all lines "
                        f"together than {LARGEST_FILE >> 30} GiB",
                        mend="split the file",
                    )
                if line.strip():
                    yield line.decode("utf-8").rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UsageError(
            f"cannot read {path}", why=str(error), mend="check path and file"
        ) from error


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file, or of all files of a folder in the order of their names.

    A file is JSON Lines or one JSON array of objects; the first character tells.

    Raises:
        UsageError: nothing to read, not JSON, or a row that is no object.
    """
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(_ENDINGS))
        if not files:
            raise UsageError(
                f"there is nothing to read in {path}",
                why=f"no file below it ends in one of {', '.join(_ENDINGS)}",
                mend="name the file, or the folder that holds it",
            )
        for file in files:
            yield from read_rows(file)
        return
    lines = read_lines(path)
    first = next(lines, None)
    if first is None:
        return
    if first.lstrip().startswith("["):
        text = first + "\n" + "\n".join(lines)
        yield from _objects(path, enumerate(_parsed(path, text, "the file"), 1))
        return
    yield from _objects(path, _parsed_lines(path, first, lines))


def _parsed_lines(path: Path, first: str, rest: Iterator[str]) -> Iterator[tuple[int, Any]]:
    yield 1, _parsed(path, first, "row 1")
    for number, line in enumerate(rest, 2):
        yield number, _parsed(path, line, f"row {number}")


def _parsed(path: Path, text: str, part: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} is not JSON or JSON Lines", why=f"{part}: {error}", mend="check path and file"
        ) from error


def _objects(path: Path, rows: Iterator[tuple[int, Any]]) -> Iterator[Row]:
    for number, fields in rows:
        if not isinstance(fields, dict):
            raise UsageError(
                f"row {number} of {path} cannot be read",
                why=f"it is no object, but {type(fields).__name__}",
                mend="check that the file belongs to this format",
            )
        yield Row(str(path), number, fields)
