# SPDX-License-Identifier: Apache-2.0
"""An append-only JSONL file of keyed results: what lets a killed run go on where it was.

Each line is ``{"key": ..., "value": ...}``. A line is written with one ``write`` to a file opened
for appending, so two processes interleave whole lines; a line torn by ``kill -9`` is passed over
when the file is read. Journals are caches: deleting one costs time, never results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from codetemper.core.digests import canonical_json
from codetemper.core.disk import mendable


class Journal:
    """Keyed results on disk.

    Args:
        path: the file; its folder must exist. The file appears with the first ``put``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # As JSON: a million verdicts as objects would take two gigabytes.
        self._values: dict[str, bytes] = {}
        if path.exists():
            for line in path.read_bytes().split(b"\n"):
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            self._values[entry["key"]] = canonical_json(entry["value"])
        except (ValueError, KeyError, TypeError):
            return

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any | None:
        """Return the value stored under ``key``, or None."""
        text = self._values.get(key)
        return None if text is None else json.loads(text)

    def put(self, items: Iterable[tuple[str, Any]]) -> None:
        """Append results; each key's newest value counts.

        Raises:
            UsageError: the disk is full or closed; what was stored before stays readable.
        """
        new = list(items)
        if not new:
            return
        lines = b"".join(canonical_json({"key": k, "value": v}) + b"\n" for k, v in new)
        with mendable(self.path):
            if self.path.exists() and not self._ends_whole():
                lines = b"\n" + lines
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # A short write means that the disk is full; the next one says so.
                while lines:
                    lines = lines[os.write(descriptor, lines) :]
            finally:
                os.close(descriptor)
        self._values.update((key, canonical_json(value)) for key, value in new)

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell() == 0:
                return True
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"
