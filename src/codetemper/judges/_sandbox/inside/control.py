# SPDX-License-Identifier: Apache-2.0
"""The control page of one run of a compiled program: what the server writes and the host reads.

The layout is that of ``interpose/host.h``. The page lies in a memory file that the host maps and
whose descriptor it closes before any code of a candidate runs. ``returned`` believes nothing but
the proof that the host writes after the program's ``main`` returned.
"""

from __future__ import annotations

import mmap
import os
import resource
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_MAGIC, _DONE, _NO_LIMIT = 0x636F646574656D70, 0x9E3779B97F4A7C15, 99
_HEADER = struct.Struct("<Q 2Q 2Q Q q q q Q q 16Q 3Q 3Q 512s")
_PAGE, _RECORDS = 4096, 1 << 19
_REFUSED, _RETURNED = 2, 3


class Run(NamedTuple):
    """What one run is given."""

    folder: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    files: Mapping[str, str]
    umask: int
    malloc_fails: int
    random: int | None
    uid: int | None
    limits: Mapping[int, int]


class Control:
    """The memory file of one run; ``close`` it."""

    def __init__(self, run: Run) -> None:
        text = _text(run)
        records = -(-(_PAGE + len(text)) // _PAGE) * _PAGE
        size = records + _RECORDS
        self._nonce = struct.unpack("<2Q", os.urandom(16))
        self._records = records
        header = _HEADER.pack(
            _MAGIC, *self._nonce, 0, 0, 0, 0, run.malloc_fails,
            -1 if run.random is None else run.random, run.umask,
            -1 if run.uid is None else run.uid, *flat(run.limits),
            len(run.argv), len(run.environment), len(run.files), _PAGE, records, size, b"",
        )  # fmt: skip
        self.descriptor = os.memfd_create("control", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, size)
        self._map = mmap.mmap(self.descriptor, size)
        self._map[: len(header)] = header
        self._map[_PAGE : _PAGE + len(text)] = text

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()
        os.close(self.descriptor)

    def returned(self) -> int | None:
        """Return what ``main`` returned, or None where it is not proved that it did."""
        fields = _HEADER.unpack(self._map[: _HEADER.size])
        if fields[5] != _RETURNED or fields[3:5] != tuple(n ^ _DONE for n in self._nonce):
            return None
        return int(fields[6])

    def refused(self) -> str | None:
        """Return why the program was not started, or None where it was."""
        fields = _HEADER.unpack(self._map[: _HEADER.size])
        if fields[5] != _REFUSED:
            return None
        message: bytes = fields[-1]
        return message.split(b"\0")[0].decode("utf-8", "replace")

    def records(self) -> tuple[list[str], int]:
        """Return ``function<tab>path`` for every recorded call, and how many got lost."""
        start = self._records
        used, lost = struct.unpack("<2Q", self._map[start : start + 16])
        used = min(used, _RECORDS - 16)
        found = self._map[start + 16 : start + 16 + used].split(b"\0")
        return [os.fsdecode(entry) for entry in found if entry], lost


def _text(run: Run) -> bytes:
    parts = [run.folder, *run.argv, *(f"{key}={value}" for key, value in run.environment.items())]
    text = b"".join(os.fsencode(part) + b"\0" for part in parts)
    for path, content in run.files.items():
        data = content.encode("utf-8", "surrogateescape")
        text += os.fsencode(path) + b"\0" + struct.pack("<Q", len(data)) + data
    return text


def flat(limits: Mapping[int, int]) -> list[int]:
    """Return limits as the warm helpers read them: eight pairs, the rest filled up."""
    numbers = [number for pair in limits.items() for number in pair]
    return numbers + [_NO_LIMIT, 0] * (8 - len(limits))


def limits(seconds: float, file_mb: int, processes: int | None) -> dict[int, int]:
    """Return the limits of a run, by ``RLIMIT`` number; ``processes`` None: no such limit."""
    found = {
        int(resource.RLIMIT_CORE): 0,
        int(resource.RLIMIT_CPU): int(seconds) + 2,
        int(resource.RLIMIT_FSIZE): file_mb << 20,
        int(resource.RLIMIT_NOFILE): 64,
    }
    if processes is not None:
        found[int(resource.RLIMIT_NPROC)] = processes
        found[int(resource.RLIMIT_MSGQUEUE)] = 0
    return found
