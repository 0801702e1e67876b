# SPDX-License-Identifier: Apache-2.0
"""Files of a history as text with functions, and the licences they stand under; both remembered.

    readings = Readings(history)
    readings.read(blob_id, "c", notes)      # Reading(text, extracted, is_utf8), or None

The version before one commit is often the version after an older one, so parsed files are kept, up
to a number of characters. What is cached never shows in the counts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from codetemper.data import licences
from codetemper.data.functions import Extracted, functions
from codetemper.data.history import History
from codetemper.data.languages import SourceLanguage, read_source

#: Characters of source kept parsed. Functions repeat the text, so the memory is some four times
#: this.
_CACHED_CHARS = 12_000_000
_CACHED_READINGS = 4096
_CACHED_LICENCES = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """A file on one side of a commit.

    Attributes:
        text: its text, with line feeds only.
        extracted: its functions.
        is_utf8: False where bytes had to be replaced.
    """

    text: str
    extracted: Extracted
    is_utf8: bool


#: An added or deleted file, on the side where it is not there.
ABSENT = Reading("", Extracted((), True), True)


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
            if not reading.extracted.clean:
                notes["files with parse errors"] += 1
        return reading

    def _parsed(self, blob_id: str, language: SourceLanguage) -> Reading | None:
        data = self._history.blob(blob_id)
        source = read_source(data) if data is not None else None
        if source is None:
            return None
        return Reading(source.text, functions(source.text, language), source.is_utf8)

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
