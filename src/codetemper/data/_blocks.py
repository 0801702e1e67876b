# SPDX-License-Identifier: Apache-2.0
"""The smallest blocks of two versions of a function that hold its changes (tree-sitter).

A block before and a block after are the same one where their first and last tokens were left as
they were and correspond. ``pieces.py`` makes training pieces of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from codetemper.data.changes import Comparison, Hunk, Span, line_starts
from codetemper.data.languages import GRAMMARS, SourceLanguage, parse
from codetemper.data.tokens import Tokens

#: Methods are no code outside a class.
_AROUND: dict[SourceLanguage, str] = {"java": "class A {", "javascript": "class A {"}


def common_blocks(
    comparison: Comparison, before: str, after: str, language: SourceLanguage
) -> tuple[list[tuple[Span, Span]], int]:
    """Return the blocks that hold the hunks, as characters before and after.

    Args:
        comparison: of the two texts.
        before: a function.
        after: the same function after a change.
        language: what it is written in.

    Returns:
        Blocks in order, none within another; and how many hunks no common block holds.
    """
    old, new = _Side(before, language), _Side(after, language)
    found: set[tuple[Span, Span]] = set()
    without = 0
    for hunk in comparison.hunks:
        if not hunk.runs:
            continue
        pair = _smallest(comparison, hunk, old, new)
        if pair is None:
            without += 1
        else:
            found.add(pair)
    outer: list[tuple[Span, Span]] = []
    for left, right in sorted(found, key=lambda pair: (pair[1][0], -pair[1][1])):
        if not outer or right[1] > outer[-1][1][1]:
            outer.append((left, right))
    return outer, without


def _smallest(
    comparison: Comparison, hunk: Hunk, old: _Side, new: _Side
) -> tuple[Span, Span] | None:
    first, last = hunk.runs[0], hunk.runs[-1]
    reach = _reach(hunk.tokens_before, first[0], last[1], old.lines[hunk.lines_before[0]])
    lefts = list(old.around(*reach))
    reach = _reach(hunk.tokens_after, first[2], last[3], new.lines[hunk.lines_after[0]])
    for right in new.around(*reach):
        for left in lefts:
            if (
                _counterpart(comparison, old, new, left[0]) == right[0]
                and _counterpart(comparison, old, new, left[1] - 1) == right[1] - 1
            ):
                return old.extent(left), new.extent(right)
    return None


def _reach(found: Tokens, begin: int, end: int, line: int) -> Span:
    """Return the characters of some tokens of a hunk; of none, a place where they would be."""
    if begin < end:
        return found.starts[begin], found.ends[end - 1]
    place = found.ends[begin - 1] if begin else line
    return place, place


def _counterpart(comparison: Comparison, old: _Side, new: _Side, place: int) -> int | None:
    """Return where a character before the change is after it, if its token is the same."""
    line = bisect_right(old.lines, place) - 1
    moved = 0
    for hunk in comparison.hunks:
        if line < hunk.lines_before[0]:
            break
        if line < hunk.lines_before[1]:
            return _in_hunk(hunk, place)
        moved = hunk.lines_after[1] - hunk.lines_before[1]
    # An equal line: the place in the line is the same.
    return new.lines[line + moved] + place - old.lines[line]


def _in_hunk(hunk: Hunk, place: int) -> int | None:
    token = bisect_right(hunk.tokens_before.starts, place) - 1
    moved = 0
    for begin, end, _, stop in hunk.runs:
        if token < begin:
            break
        if token < end:
            return None
        moved = stop - end
    if token < 0:
        return None
    return hunk.tokens_after.starts[token + moved] + place - hunk.tokens_before.starts[token]


class _Side:
    """One version of a function: its lines and its tree."""

    def __init__(self, text: str, language: SourceLanguage) -> None:
        self.text = text
        self.lines = line_starts(text)
        self._shift = len(_AROUND.get(language, ""))
        self._ascii = text.isascii()
        self._data = (_AROUND.get(language, "") + text).encode("utf-8", "replace")
        self._root = parse(self._data + (b"}" if self._shift else b""), language).root_node
        self._blocks = GRAMMARS[language].blocks

    def around(self, begin: int, end: int) -> Iterator[Span]:
        """Yield the blocks that hold some characters between their braces, the smallest first."""
        node = self._root.descendant_for_byte_range(self._byte(begin), self._byte(end))
        while node is not None:
            if node.type in self._blocks:
                block = self._character(node.start_byte), self._character(node.end_byte)
                edge = int(self.text.startswith("{", block[0]))
                if 0 <= block[0] + edge <= begin and end <= block[1] - edge <= len(self.text):
                    yield block
            node = node.parent

    def extent(self, block: Span) -> Span:
        """Return the characters of a block; of one that begins a line, with its indentation."""
        line = self.lines[bisect_right(self.lines, block[0]) - 1]
        return (block[0] if self.text[line : block[0]].strip() else line), block[1]

    def _byte(self, character: int) -> int:
        inside = character if self._ascii else len(self.text[:character].encode("utf-8", "replace"))
        return inside + self._shift

    def _character(self, byte: int) -> int:
        if self._ascii:
            return byte - self._shift
        return len(self._data[:byte].decode("utf-8", "replace")) - self._shift
