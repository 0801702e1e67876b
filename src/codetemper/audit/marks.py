# SPDX-License-Identifier: Apache-2.0
"""What texts can have in common: tokens in a row, lines, identifiers, words of comments.

    marks = Marks.of(samples)
    marks.matrix                          # [samples, marks], which sample holds which mark
    marks.beside(trusted)                 # the same marks in other samples
    marks.spot(column)                    # where it stands, in the first sample that holds it

A mark is a run of one to five tokens of one line, a whole longer line, the first parts of a name
(``get_frame_``), white space inside brackets, or a run of one to five words of a comment or all of
a longer one (a string that stands alone on its line is a comment). All numbers are one token.
Of a decoder's sample the prompt counts, because that is where a trigger stands. Marks are 64-bit
numbers: two that differ share one with a chance of about 1 in 2**64. Nothing is tested here.
"""

from __future__ import annotations

import functools
import keyword
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from codetemper.core.records import Language
from codetemper.data.labelled import Labelled
from codetemper.data.ngrams import Hashes, ngrams, placed

MarkKind = Literal["ngram", "name", "line", "comment", "gap"]

#: Tokens in the longest run; longer lines count as a whole.
LONGEST = 5
NUMBER = "0"
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[^\W\d]\w*")
_PREFIX, _GAP = re.compile(r"(?=^((?:[^\W_]+_){2})[^\W_])"), re.compile(r"[ \t]+(?=[^\s])")
_STRING = re.compile(r"(?i:[rbuft]{0,2})(?:\"|')")
_HASH_COMMENT, _SLASH_COMMENT = re.compile(r"#[^\n]*"), re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
Ints = npt.NDArray[np.int64]
Kinds, Places = npt.NDArray[np.int8], npt.NDArray[np.int32]
_KINDS: tuple[MarkKind, ...] = ("ngram", "name", "line", "comment", "gap")
#: Brackets whose inner white space is a mark.
GAPS = frozenset("([{")


@dataclass(frozen=True, slots=True)
class Spot:
    """A mark in a text.

    Attributes:
        kind: what it is.
        row: number of the sample.
        start: its first character there.
        end: the one behind its last.
    """

    kind: MarkKind
    row: int
    start: int
    end: int


@dataclass(frozen=True)
class _Runs:
    """All marks of one text, with repetitions, as columns."""

    numbers: Hashes
    kinds: npt.NDArray[np.int8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Marks:
    """Which sample holds which mark.

    Attributes:
        numbers: the marks, ascending [k].
        matrix: 1 where a sample holds a mark [n, k].
        kinds: number of the kind of each [k].
        rows: first sample that holds each [k].
        starts: where it stands there [k].
        ends: where it ends [k].
    """

    numbers: Hashes
    matrix: sparse.csr_array
    kinds: npt.NDArray[np.int8]
    rows: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]

    @classmethod
    def of(cls, samples: Sequence[Labelled], *, least: int = 3) -> Marks:
        """Read samples; marks that fewer than ``least`` of them hold are left out."""
        found = [_once(_runs(sample)) for sample in samples]
        rows = np.repeat(np.arange(len(found), dtype=np.int32), [len(own[0]) for own in found])
        numbers, kinds, starts, ends = (
            np.concatenate([np.empty(0, kind), *(own[place] for own in found)])
            for place, kind in enumerate((np.uint64, np.int8, np.int32, np.int32))
        )
        every, first, counts = np.unique(numbers, return_index=True, return_counts=True)
        first = first[counts >= least]
        every = every[counts >= least]
        matrix = incidence(every, [own[0] for own in found])
        return cls(every, matrix, kinds[first], rows[first], starts[first], ends[first])

    def beside(self, samples: Sequence[Labelled]) -> sparse.csr_array:
        """Return which of other samples hold these marks [m, k]."""
        return incidence(self.numbers, [numbers_of(sample) for sample in samples])

    def inside(self, samples: Sequence[Labelled], spans: Ints) -> sparse.csr_array:
        """Return which samples hold these marks within a span of characters of each [n, k].

        Args:
            samples: those that were read, or others.
            spans: first character and the one behind the last [n, 2].
        """
        found = []
        for sample, (start, stop) in zip(samples, spans, strict=True):
            runs = _runs(sample)
            there = (runs.starts >= start) & (runs.ends <= stop)
            found.append(np.unique(runs.numbers[there]))
        return incidence(self.numbers, found)

    def spot(self, column: int) -> Spot:
        """Return where a mark stands first."""
        return Spot(
            _KINDS[self.kinds[column]],
            int(self.rows[column]),
            int(self.starts[column]),
            int(self.ends[column]),
        )

    def within(self, sample: Labelled, column: int) -> tuple[int, int]:
        """Return where a sample that holds a mark has it first."""
        runs = _runs(sample)
        first = int(np.flatnonzero(runs.numbers == self.numbers[column])[0])
        return int(runs.starts[first]), int(runs.ends[first])

    def holders(self, column: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the samples that hold a mark."""
        return self._by_mark.indices[
            self._by_mark.indptr[column] : self._by_mark.indptr[column + 1]
        ].astype(np.int64)

    @functools.cached_property
    def _by_mark(self) -> sparse.csc_array:
        return self.matrix.tocsc()


def numbers_of(sample: Labelled) -> Hashes:
    """Return the marks of a sample, each once, ascending."""
    return np.unique(_runs(sample).numbers)


def read_text(sample: Labelled) -> str:
    """Return where a trigger can stand: the text, of a decoder's sample the prompt."""
    return sample.text if sample.answer_start is None else sample.text[: sample.answer_start]


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens of a text with their places.

    Attributes:
        words: what they say, numbers all alike.
        starts: offsets of their first characters.
        ends: offsets behind their last.
        lines: number of the line each begins in.
    """

    words: list[str]
    starts: list[int]
    ends: list[int]
    lines: list[int]


def words_of(text: str, language: Language) -> Words:
    """Return the tokens of a text without comments and indentation."""
    read = placed(text, language)
    rows = zip(read.words, read.starts, read.ends, strict=True)
    rows = [row for row in rows if row[0].strip("\x01\x02")]
    breaks = [at for at, letter in enumerate(text) if letter == "\n"]
    words = [NUMBER if word[0].isdigit() else word for word, *_ in rows]
    starts, ends = [start for _, start, _ in rows], [end for *_, end in rows]
    return Words(words, starts, ends, [bisect_right(breaks, start) for start in starts])


def comments_of(text: str, language: Language, words: Words) -> Iterator[tuple[int, int]]:
    """Yield where comments stand, and strings that are alone on their lines."""
    pattern = _HASH_COMMENT if language in ("python", "shell", "text") else _SLASH_COMMENT
    at = 0
    for start, end in [*zip(words.starts, words.ends, strict=True), (len(text), len(text))]:
        if start > at:
            yield from (found.span() for found in pattern.finditer(text, at, start))
        at = max(at, end)
    count = np.bincount(words.lines) if words.lines else np.zeros(0)
    for word, start, end, line in zip(*_columns(words), strict=True):
        if count[line] == 1 and (_STRING.match(word) or not _NAME.fullmatch(word)) and end > start:
            yield start, end


def is_name(word: str) -> bool:
    """Say whether a token is an identifier."""
    return _NAME.fullmatch(word) is not None and not keyword.iskeyword(word)


def _columns(words: Words) -> tuple[list[str], list[int], list[int], list[int]]:
    return words.words, words.starts, words.ends, words.lines


@functools.lru_cache(maxsize=2048)
def _runs(sample: Labelled) -> _Runs:
    text = read_text(sample)
    words = words_of(text, sample.language)
    parts = [*_token_runs(words), *_line_runs(words), *_prefixes(words), *_gaps(text, words)]
    for start, end in comments_of(text, sample.language, words):
        parts.extend(_comment_runs(text, start, end))
    if not parts:
        empty = np.empty(0, np.int64)
        return _Runs(np.empty(0, np.uint64), empty.astype(np.int8), empty, empty)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return _Runs(columns[0], columns[1].astype(np.int8), columns[2], columns[3])


def _once(runs: _Runs) -> tuple[Hashes, Kinds, Places, Places]:
    """Return each mark of a text once, as it stands first."""
    numbers, first = np.unique(runs.numbers, return_index=True)
    places = runs.starts[first].astype(np.int32), runs.ends[first].astype(np.int32)
    return numbers, runs.kinds[first], *places


def _part(numbers: Hashes, kind: object, starts: object, ends: object) -> tuple[object, ...]:
    kinds = np.broadcast_to(np.asarray(kind, np.int8), len(numbers))
    return numbers, kinds, np.asarray(starts, np.int64), np.asarray(ends, np.int64)


def _token_runs(words: Words) -> Iterator[tuple[object, ...]]:
    lines, starts, ends = (np.asarray(column) for column in (words.lines, words.starts, words.ends))
    for length in range(1, min(LONGEST, len(words.words)) + 1):
        last = length - 1
        within = np.flatnonzero(lines[: len(lines) - last] == lines[last:])
        kinds: object = 0
        if length == 1:
            kinds = [int(is_name(words.words[place])) for place in within]
        numbers = ngrams(words.words, length)[within]
        yield _part(numbers, kinds, starts[within], ends[within + last])


def _line_runs(words: Words) -> Iterator[tuple[object, ...]]:
    lines = np.asarray(words.lines)
    edges = np.flatnonzero(np.diff(lines, prepend=-1, append=-1)) if len(lines) else []
    for first, after in pairwise(edges):
        if after - first > LONGEST:
            number = ngrams(["\n".join(words.words[first:after])], 1)
            yield _part(number, 2, [words.starts[first]], [words.ends[after - 1]])


def _prefixes(words: Words) -> Iterator[tuple[object, ...]]:
    """Yield the first one and two parts of names that have more."""
    for word, start in zip(words.words, words.starts, strict=True):
        for found in _PREFIX.finditer(word) if is_name(word) else ():
            yield _part(ngrams([found[1]], 1), 1, [start], [start + len(found[1])])


def _gaps(text: str, words: Words) -> Iterator[tuple[object, ...]]:
    """Yield white space after opening brackets, within a line."""
    for word, end in zip(words.words, words.ends, strict=True):
        if word in GAPS and (found := _GAP.match(text, end)):
            yield _part(ngrams([word + found[0]], 1), 4, [end - 1], [found.end()])


def _comment_runs(text: str, start: int, end: int) -> Iterator[tuple[object, ...]]:
    found = list(_WORD.finditer(text, start, end))
    said = [f"#{NUMBER if word[0][0].isdigit() else word[0].lower()}" for word in found]
    for length in range(1, min(LONGEST, len(said)) + 1):
        places = range(len(said) - length + 1)
        starts = [found[place].start() for place in places]
        ends = [found[place + length - 1].end() for place in places]
        yield _part(ngrams(said, length), 3, starts, ends)
    if len(said) > LONGEST:
        yield _part(ngrams([" ".join(said)], 1), 3, [found[0].start()], [found[-1].end()])


def incidence(numbers: Hashes, found: Sequence[Hashes]) -> sparse.csr_array:
    """Return which texts hold which marks [texts, marks].

    Args:
        numbers: the marks, ascending.
        found: those of each text, ascending; others are left out.
    """
    columns, ends = [], [0]
    for own in found:
        places = np.searchsorted(numbers, own)
        inside = places < len(numbers)
        places = places[inside][numbers[places[inside]] == own[inside]]
        columns.append(places)
        ends.append(ends[-1] + len(places))
    flat = np.concatenate(columns) if columns else np.empty(0, np.int64)
    shape = (len(found), len(numbers))
    return sparse.csr_array((np.ones(len(flat), np.float32), flat, np.asarray(ends)), shape=shape)
