# SPDX-License-Identifier: Apache-2.0
"""The append-only, hash-chained account of everything made, measured, accepted, reverted.

    >>> ledger = Ledger(Path(".codetemper/ledger.jsonl"))
    >>> entry = ledger.append("tune", outputs={"patch:tune-7f3a9c1b02d4": digest})
    >>> ledger.verify()
    []

One line an entry, canonical JSON; ``prev`` is the SHA-256 of the line before (without its line
feed). ``ledger.head`` beside it names the last entry, so that a changed or missing last line, which
no chain can notice, is noticed too. A line that a killed process left unfinished is no entry: the
next append sets it aside into ``ledger.torn``. The chain detects change; it does not prove who
wrote it: an author who rewrites chain and head together is met by signatures, not here.
"""

from __future__ import annotations

import getpass
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from pydantic import ValidationError

from codetemper.core.accounts import LedgerEntry
from codetemper.core.digests import canonical_json, digest_bytes
from codetemper.core.disk import mendable, sync_folder
from codetemper.core.errors import IntegrityError
from codetemper.core.records import Record

#: ``prev`` of the first entry.
GENESIS = "0" * 64
_TAIL_BLOCK = 1 << 13
_LOG = logging.getLogger(__name__)


class Problem(Record):
    """One thing that ``verify`` found to be not as it was recorded."""

    path: str
    """What it concerns, relative to the workspace folder."""
    what: str
    """What is wrong, one line."""


class Ledger:
    """A ledger file. The file is made by the first ``append``.

    Args:
        path: ``ledger.jsonl``; ``.head``, ``.torn`` and ``.lock`` lie beside it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._head = self.path.with_suffix(".head")
        self._torn = self.path.with_suffix(".torn")

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def append(
        self,
        verb: str,
        *,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        note: str = "",
    ) -> LedgerEntry:
        """Add one entry and wait until it is on the disk.

        Only the end of the file is read, so that the cost does not grow with the ledger.
        Processes and threads that append at once wait for each other.

        Args:
            verb: what was done.
            inputs: names and digests of what went in.
            outputs: names and digests of what came out, e.g. ``{"patch:<id>": digest}``.
            note: free text.

        Returns:
            The entry as written.

        Raises:
            IntegrityError: the end of the ledger is not what its head says; nothing is written.
            UsageError: the disk is full or closed; the ledger is as before.
        """
        with mendable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock")), _open(self.path) as stream:
                end = self._set_torn_aside(stream)
                last = _last_line(stream, end)
                seq, prev = self._next(last)
                entry = LedgerEntry(
                    seq=seq, prev=prev, verb=verb, note=note, actor=_actor(),
                    time=datetime.now(UTC).isoformat(timespec="seconds"),
                    inputs=dict(inputs or {}), outputs=dict(outputs or {}),
                )  # fmt: skip
                line = canonical_json(entry.model_dump(mode="json"))
                self._write(stream, end, line, seq)
        return entry

    def entries(self) -> list[LedgerEntry]:
        """Return all finished entries, oldest first.

        Raises:
            IntegrityError: a line is not an entry.
        """
        entries = []
        for number, line in enumerate(self._lines(), 1):
            try:
                entries.append(LedgerEntry.from_json(line))
            except ValidationError as error:
                raise self._broken(f"line {number} is not a ledger entry") from error
        return entries

    def outputs(self) -> dict[str, str]:
        """Return the newest digest of everything that came out of a verb, by its name.

        Raises:
            IntegrityError: as ``entries``.
        """
        known: dict[str, str] = {}
        for entry in self.entries():
            known.update(entry.outputs)
        return known

    def verify(self) -> list[Problem]:
        """Check every line, the chain and the head; an unfinished last line is no problem.

        Returns:
            What is wrong, in the order of the file; empty where all is as written.
        """
        # The head is read before the lines: a writer at work then makes it lag, never lead.
        head = self._read_head()
        problems: list[str] = []
        prev, digests = GENESIS, []
        for seq, line in enumerate(self._lines()):
            problems += _check_line(line, seq, prev)
            prev = digest_bytes(line)
            digests.append(prev)
        problems += _check_head(head, digests)
        return [Problem(path=self.path.name, what=what) for what in problems]

    def torn(self) -> int:
        """Return the bytes of unfinished lines, set aside or still at the end of the ledger."""
        if not self.path.exists():
            return 0
        aside = self._torn.stat().st_size if self._torn.exists() else 0
        with self.path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            return aside + size - _line_start(stream, size)

    def _lines(self) -> Iterator[bytes]:
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield line[:-1]

    def _set_torn_aside(self, stream: BinaryIO) -> int:
        """Move an unfinished last line into ``ledger.torn``; return where the next line begins."""
        size = stream.seek(0, os.SEEK_END)
        begin = _line_start(stream, size)
        if begin == size:
            return size
        # A head that names more than the whole lines is a sign of change: leave it all in place.
        self._next(_last_line(stream, begin))
        stream.seek(begin)
        with self._torn.open("ab") as aside:
            aside.write(stream.read(size - begin) + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        stream.truncate(begin)
        _LOG.warning("%s ended in an unfinished line; it was moved to %s", self.path, self._torn)
        return begin

    def _next(self, last: bytes) -> tuple[int, str]:
        """Return ``seq`` and ``prev`` of the entry after ``last``, once the head agrees."""
        head = self._read_head()
        if not last:
            if head is not None:
                raise self._broken("it is empty, but its head names an entry")
            return 0, GENESIS
        try:
            seq = LedgerEntry.from_json(last).seq
        except ValidationError as error:
            raise self._broken("its last line is not a ledger entry") from error
        digest = digest_bytes(last)
        named = _parse_head(head) if head is not None else None
        if head is not None and named is None:
            raise self._broken("its head cannot be read")
        if named is not None and (named[0] > seq or (named[0] == seq and named[1] != digest)):
            raise self._broken("its last line is not the one its head names")
        return seq + 1, digest

    def _read_head(self) -> bytes | None:
        return self._head.read_bytes() if self._head.exists() else None

    def _write(self, stream: BinaryIO, end: int, line: bytes, seq: int) -> None:
        """Write and sync a line at ``end`` and name it in the head, or leave all as it was."""
        stream.seek(end)
        view = memoryview(line + b"\n")
        try:
            while view:
                view = view[stream.write(view) :]
            os.fsync(stream.fileno())
            self._point_head(seq, digest_bytes(line))
            if seq == 0:
                sync_folder(self.path.parent)
        except OSError:
            stream.truncate(end)
            if seq == 0:
                self._head.unlink(missing_ok=True)
            raise

    def _point_head(self, seq: int, digest: str) -> None:
        """Name the last entry, in place: one write of constant length, less than a disk sector."""
        number = os.open(self._head, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(number, b"%020d %s\n" % (seq, digest.encode()), 0)
        finally:
            os.close(number)

    def _broken(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"the ledger {self.path} is broken",
            why=why,
            mend="restore it from a copy, or move ledger.* aside to begin a new one",
        )


def _open(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)


def _line_start(stream: BinaryIO, end: int) -> int:
    """Return the offset just after the last line feed before ``end``; 0 where there is none."""
    while end > 0:
        begin = max(0, end - _TAIL_BLOCK)
        stream.seek(begin)
        at = stream.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def _last_line(stream: BinaryIO, end: int) -> bytes:
    """Return the line that ends with the line feed just before ``end``; empty at 0."""
    if end == 0:
        return b""
    begin = _line_start(stream, end - 1)
    stream.seek(begin)
    return stream.read(end - 1 - begin)


def _check_line(line: bytes, seq: int, prev: str) -> list[str]:
    try:
        entry = LedgerEntry.from_json(line)
    except ValidationError:
        return [f"line {seq + 1} is not a ledger entry"]
    problems = []
    if entry.seq != seq:
        problems.append(f"line {seq + 1} says it is entry {entry.seq}")
    if entry.prev != prev:
        problems.append(f"line {seq + 1} does not follow from the line before it: one was changed")
    return problems


def _parse_head(head: bytes) -> tuple[int, str] | None:
    parts = head.split()
    if len(parts) != 2 or len(parts[1]) != len(GENESIS) or not parts[0].isdigit():
        return None
    seq, digest = int(parts[0]), parts[1].decode("ascii", "replace")
    return (seq, digest) if head == b"%020d %s\n" % (seq, parts[1]) else None


def _check_head(head: bytes | None, digests: list[str]) -> list[str]:
    if head is None:
        # The first append may have been killed before it named itself; later ones find a head.
        return ["the file ledger.head is missing"] if len(digests) > 1 else []
    named = _parse_head(head)
    if named is None:
        return ["the file ledger.head cannot be read"]
    seq, digest = named
    if seq >= len(digests):
        return [f"it ends after entry {len(digests) - 1}, but entry {seq} was written"]
    return [] if digests[seq] == digest else [f"entry {seq} is not the one that was written"]


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"
