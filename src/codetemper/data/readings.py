# SPDX-License-Identifier: Apache-2.0
"""Files of a history as text, the functions that two versions do not share, and licences.

    readings = Readings(history)
    before, after = (readings.read(blob_id, "c", notes) for blob_id in blob_ids)
    old, new = unshared(before, after, "c", notes)      # functions on each side

The version before one commit is often the version after an older one, so files are kept, up to a
number of characters. What is cached never shows in the counts. Of C and C++ only the top-level
units that one side alone has are parsed: what both have, no commit modified.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from codetemper.data import licences
from codetemper.data.functions import Function, functions
from codetemper.data.history import History
from codetemper.data.languages import SourceLanguage, read_source
from codetemper.data.units import units

#: Characters of source kept. Units repeat the text, so the memory is some three times this.
_CACHED_CHARS = 16_000_000
_CACHED_READINGS = 4096
_CACHED_LICENCES = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """A file on one side of a commit.

    Attributes:
        text: its text, with line feeds only.
        units: the text cut into parts that can be parsed by themselves.
        is_utf8: False where bytes had to be replaced.
    """

    text: str
    units: tuple[str, ...]
    is_utf8: bool


#: An added or deleted file, on the side where it is not there.
ABSENT = Reading("", (), True)


def unshared(
    before: Reading, after: Reading, language: SourceLanguage, notes: Counter[str]
) -> tuple[tuple[Function, ...], tuple[Function, ...]]:
    """Return the functions of the units that one side alone has, in order.

    Args:
        before: the file before a commit.
        after: the file after it.
        language: what it is written in.
        notes: counts the sides on which such a unit does not parse cleanly.
    """
    shared = Counter(before.units) & Counter(after.units)
    sides = []
    for reading in (before, after):
        left, clean = shared.copy(), True
        found: list[Function] = []
        for unit in reading.units:
            if left[unit] > 0:
                left[unit] -= 1
                continue
            extracted = functions(unit, language)
            found += extracted.functions
            clean = clean and extracted.clean
        if not clean:
            notes["files with parse errors where they changed"] += 1
        sides.append(tuple(found))
    return sides[0], sides[1]


class Readings:
    """The files of one history, read as they are asked for."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._readings: OrderedDict[tuple[str, SourceLanguage], Reading | None] = OrderedDict()
        self._cached = 0
        self._licences: OrderedDict[str, str | None] = OrderedDict()

    def read(self, blob_id: str, language: SourceLanguage, notes: Counter[str]) -> Reading | None:
        """Return a file; None where its contents are missing, binary or too large.

        Args:
            blob_id: its blob; empty for a file that is not there.
            language: what it is written in.
            notes: counts what was survived.
        """
        if not blob_id:
            return ABSENT
        key = (blob_id, language)
        if key in self._readings:
            self._readings.move_to_end(key)
            reading = self._readings[key]
        else:
            reading = self._parsed(blob_id, language)
            self._keep(key, reading)
        if reading is not None:
            notes["files read"] += 1
            if not reading.is_utf8:
                notes["files that are not UTF-8"] += 1
        return reading

    def _parsed(self, blob_id: str, language: SourceLanguage) -> Reading | None:
        data = self._history.blob(blob_id)
        source = read_source(data) if data is not None else None
        if source is None:
            return None
        parts = units(source.text) if language in ("c", "cpp") else [source.text]
        return Reading(source.text, tuple(parts), source.is_utf8)

    def _keep(self, key: tuple[str, SourceLanguage], reading: Reading | None) -> None:
        self._readings[key] = reading
        self._cached += len(reading.text) if reading is not None else 0
        while len(self._readings) > (1 if self._cached > _CACHED_CHARS else _CACHED_READINGS):
            _, oldest = self._readings.popitem(last=False)
            self._cached -= len(oldest.text) if oldest is not None else 0

    def licence(self, commit: str, text: str) -> str | None:
        """Return the licence that a file's head names, else that of the repository at a commit."""
        named = licences.of_file(text)
        if named is not None:
            return named
        top = self._history.top(commit)
        found = (self._known(top[name]) for name in sorted(filter(licences.is_licence, top)))
        return next((licence for licence in found if licence is not None), None)

    def _known(self, blob_id: str) -> str | None:
        if blob_id not in self._licences:
            text = (self._history.blob(blob_id) or b"").decode("utf-8", "replace")
            self._licences[blob_id] = licences.of_text(text)
            if len(self._licences) > _CACHED_LICENCES:
                self._licences.popitem(last=False)
        return self._licences[blob_id]
