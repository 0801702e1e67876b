# SPDX-License-Identifier: Apache-2.0
"""What a change did to a text: line hunks, and within them the tokens that differ.

    comparison = compare(before, after, "c")
    comparison.hunks             # line ranges and changed tokens, hunk by hunk
    comparison.spans_after       # character spans of the tokens added or changed

Lines are compared first (lines that are unique on both sides anchor the rest, as in Bram Cohen's
patience diff), tokens only inside the hunks. White space and comments are never changed tokens,
so a comparison without spans is a change of layout or comments alone. Nothing here reads syntax
trees or knows about git.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from rapidfuzz.distance import LCSseq

from codetemper.data.languages import SourceLanguage
from codetemper.data.tokens import Tokens, tokens_of_lines

Span = tuple[int, int]
#: A run that differs: begin and end before, begin and end after.
Run = tuple[int, int, int, int]

#: Texts whose lengths multiply to more are not aligned any finer: the bits of the longest common
#: subsequence would take more than 32 MB.
_CELLS = 1 << 28


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring lines that differ.

    Attributes:
        lines_before: first line and line after the last, counted from 0; may be empty.
        lines_after: likewise.
        tokens_before: the tokens of those lines.
        tokens_after: likewise.
        runs: which of these differ.
        spans_before: characters of the tokens removed or changed, in order.
        spans_after: characters of the tokens added or changed, in order.
    """

    lines_before: Span
    lines_after: Span
    tokens_before: Tokens
    tokens_after: Tokens
    runs: tuple[Run, ...]
    spans_before: tuple[Span, ...]
    spans_after: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two texts, compared.

    Attributes:
        hunks: in order.
    """

    hunks: tuple[Hunk, ...]

    @property
    def lines_before(self) -> tuple[int, ...]:
        """Lines removed or changed, counted from 0."""
        return tuple(line for hunk in self.hunks for line in range(*hunk.lines_before))

    @property
    def lines_after(self) -> tuple[int, ...]:
        """Lines added or changed, counted from 0."""
        return tuple(line for hunk in self.hunks for line in range(*hunk.lines_after))

    @property
    def spans_before(self) -> tuple[Span, ...]:
        """Characters of the tokens removed or changed, in order."""
        return tuple(span for hunk in self.hunks for span in hunk.spans_before)

    @property
    def spans_after(self) -> tuple[Span, ...]:
        """Characters of the tokens added or changed, in order."""
        return tuple(span for hunk in self.hunks for span in hunk.spans_after)


def changed_lines(before: str, after: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the lines removed or changed in ``before`` and added or changed in ``after``.

    Lines are counted from 0 and end at line feeds only.
    """
    runs = line_runs(before, after)
    removed = tuple(line for run in runs for line in range(run[0], run[1]))
    return removed, tuple(line for run in runs for line in range(run[2], run[3]))


def changed_spans(
    before: str, after: str, language: SourceLanguage
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return the character spans of the tokens that differ, before and after.

    Spans of neighbouring tokens are not joined. Empty on both sides where only white space or
    comments differ.
    """
    comparison = compare(before, after, language)
    return comparison.spans_before, comparison.spans_after


@lru_cache(maxsize=16)
def compare(before: str, after: str, language: SourceLanguage) -> Comparison:
    r"""Compare two texts with ``\n`` line ends, by lines and within hunks by tokens."""
    runs = line_runs(before, after)
    if not runs:
        return Comparison(())
    lines_old, lines_new = line_starts(before), line_starts(after)
    before_of = [(lines_old[run[0]], lines_old[run[1]]) for run in runs]
    after_of = [(lines_new[run[2]], lines_new[run[3]]) for run in runs]
    hunks = []
    for run, old, new in zip(
        runs,
        tokens_of_lines(before, before_of, language),
        tokens_of_lines(after, after_of, language),
        strict=True,
    ):
        differing = tuple(_runs(old.words, new.words))
        removed = tuple(span for d in differing for span in _spans(old, d[0], d[1]))
        added = tuple(span for d in differing for span in _spans(new, d[2], d[3]))
        hunks.append(Hunk(run[:2], run[2:], old, new, differing, removed, added))
    return Comparison(tuple(hunks))


@lru_cache(maxsize=8)
def line_starts(text: str) -> tuple[int, ...]:
    """Return the offset of each line's first character, and the end of the last line."""
    lengths = accumulate(map(len, text.split("\n")), initial=0)
    starts = [length + feeds for feeds, length in enumerate(lengths)]
    # Behind the last line there is no line feed.
    starts[-1] = len(text)
    return tuple(starts if text[-1:] != "\n" and text else starts[:-1])


def _spans(found: Tokens, begin: int, end: int) -> list[Span]:
    columns = zip(found.starts[begin:end], found.ends[begin:end], strict=True)
    return [(start, stop) for start, stop in columns if stop > start]


def lines_of(text: str) -> list[str]:
    """Return the lines without their line feeds; a last line need not end in one."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def line_runs(before: str, after: str) -> list[Run]:
    """Return the runs of lines that differ, in order."""
    old, new = lines_of(before), lines_of(after)
    runs: list[Run] = []
    for run in _runs(old, new, anchored=True):
        runs.append(_slid(run, old, new, runs[-1] if runs else (0, 0, 0, 0)))
    return runs


def _runs(old: Sequence[str], new: Sequence[str], *, anchored: bool = False) -> list[Run]:
    """Return the runs in which two sequences differ, in order and not touching."""
    shorter = min(len(old), len(new))
    head = 0
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    left, right = old[head : len(old) - tail], new[head : len(new) - tail]
    if not left and not right:
        return []
    if not left or not right:
        return [(head, head + len(left), head, head + len(right))]
    runs: list[Run] = []
    i = j = 0
    ends = (len(left), len(right))
    for k, m in [*(_anchors(left, right) if anchored else ()), ends]:
        for b1, b2, a1, a2 in _aligned(left[i:k], right[j:m]):
            runs.append((head + i + b1, head + i + b2, head + j + a1, head + j + a2))
        i, j = k + 1, m + 1
    return runs


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return places of lines unique on both sides whose order is the same: the longest such row."""
    only_old, only_new = _unique(old), _unique(new)
    places = [(i, only_new[line]) for line, i in only_old.items() if line in only_new]
    # Longest increasing subsequence of the second column by patience sorting.
    tops: list[int] = []
    piles: list[int] = []
    below: list[int] = []
    for index, (_, place) in enumerate(places):
        pile = bisect_left(tops, place)
        below.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [place]
        piles[pile : pile + 1] = [index]
    row: list[tuple[int, int]] = []
    at = piles[-1] if piles else -1
    while at >= 0:
        row.append(places[at])
        at = below[at]
    return row[::-1]


def _unique(lines: Sequence[str]) -> dict[str, int]:
    """Return the places of the lines that occur once, in order."""
    found: dict[str, int] = {}
    twice: set[str] = set()
    for place, line in enumerate(lines):
        if line in found:
            twice.add(line)
        found[line] = place
    for line in twice:
        del found[line]
    return found


def _aligned(old: Sequence[str], new: Sequence[str]) -> list[Run]:
    """Return the runs outside a longest common subsequence."""
    if not old and not new:
        return []
    if not old or not new or len(old) * len(new) > _CELLS:
        return [(0, len(old), 0, len(new))]
    runs: list[Run] = []
    for edit in LCSseq.opcodes(old, new):
        if edit.tag == "equal":
            continue
        run = (edit.src_start, edit.src_end, edit.dest_start, edit.dest_end)
        if runs and (runs[-1][1], runs[-1][3]) == (run[0], run[2]):
            begun = runs.pop()
            run = (begun[0], run[1], begun[2], run[3])
        runs.append(run)
    return runs


def _slid(run: Run, old: Sequence[str], new: Sequence[str], above: Run) -> Run:
    """Move lines only added or only removed to where they read as a unit.

    Lines added before a line equal to their first may as well be said to stand one line lower.
    Of all such places the one is taken where the braces within the hunk close, then where its
    first line is indented least, then the lowest.
    """
    b1, b2, a1, a2 = run
    if b1 != b2 and a1 != a2:
        return run
    lines, begin, end = (new, a1, a2) if b1 == b2 else (old, b1, b2)
    least = -min(b1 - above[1], a1 - above[3])
    up = 0
    while up > least and lines[begin + up - 1] == lines[end + up - 1]:
        up -= 1
    if up == 0:
        return run
    best = min(range(up, 1), key=lambda by: (*_awkward(lines[begin + by : end + by]), -by))
    return b1 + best, b2 + best, a1 + best, a2 + best


def _awkward(lines: Sequence[str]) -> tuple[int, int]:
    """Return how many braces close too early or never, and the indentation of the first line."""
    depth = lowest = 0
    for line in lines:
        for brace in line:
            depth += (brace == "{") - (brace == "}")
            lowest = min(lowest, depth)
    first = lines[0]
    indentation = len(first) - len(first.lstrip()) if first.strip() else 1000
    return depth - 2 * lowest, indentation
