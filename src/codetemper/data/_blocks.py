# SPDX-License-Identifier: Apache-2.0
"""The smallest blocks of two versions of a function that hold its changes (tree-sitter).

A block before and a block after are the same one where their first and last tokens were left as
they were and correspond. ``pieces.py`` makes training pieces of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from tree_sitter import Node

from codetemper.data.changes import Comparison, Hunk, Span, line_starts
from codetemper.data.languages import GRAMMARS, SourceLanguage, parse
from codetemper.data.tokens import Tokens, tokens

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
    lefts = list(old.around(first[0], last[1]))
    for right in new.around(first[2], last[3]):
        for left in lefts:
            if all(
                _counterpart(comparison, old, new, left[side]) == right[side] for side in (0, 1)
            ):
                return old.extent(left), new.extent(right)
    return None


def _counterpart(comparison: Comparison, old: _Side, new: _Side, token: int) -> int | None:
    """Return the token after the change that an unchanged token before it is."""
    line = bisect_right(old.lines, old.tokens.starts[token]) - 1
    moved = 0
    for hunk in comparison.hunks:
        if line < hunk.lines_before[0]:
            break
        if line < hunk.lines_before[1]:
            return _in_runs(hunk, token)
        moved = hunk.lines_after[1] - hunk.lines_before[1]
    # An equal line: the place in the line is the same.
    place = new.lines[line + moved] + old.tokens.starts[token] - old.lines[line]
    at = bisect_right(new.tokens.starts, place) - 1
    return at if new.tokens.starts[at] == place else None


def _in_runs(hunk: Hunk, token: int) -> int | None:
    moved = hunk.tokens_after[0] - hunk.tokens_before[0]
    for begin, end, _, stop in hunk.runs:
        if token < begin:
            break
        if token < end:
            return None
        moved = stop - end
    return token + moved


class _Side:
    """One version of a function: its tokens, lines and tree."""

    def __init__(self, text: str, language: SourceLanguage) -> None:
        self.text = text
        self.tokens: Tokens = tokens(text, language)
        self.lines = line_starts(text)
        self._shift = len(_AROUND.get(language, ""))
        self._ascii = text.isascii()
        self._data = (_AROUND.get(language, "") + text).encode("utf-8", "replace")
        self._root = parse(self._data + (b"}" if self._shift else b""), language).root_node
        self._blocks = GRAMMARS[language].blocks

    def around(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the blocks that hold the tokens ``begin`` to ``end``, the smallest first.

        Of an empty range the tokens on both sides are meant. Blocks are given by their first and
        last token.
        """
        starts, ends = self.tokens.starts, self.tokens.ends
        within = begin < end
        if not within:
            begin, end = begin - 1, end + 1
        if begin < 0 or end > len(starts):
            return
        node = self._root.descendant_for_byte_range(
            self._byte(starts[begin]), self._byte(ends[end - 1])
        )
        for block in _upwards(node):
            if block.type in self._blocks:
                first = bisect_left(starts, self._character(block.start_byte))
                last = bisect_left(starts, self._character(block.end_byte)) - 1
                if not 0 <= first < last + 1 <= len(starts):
                    continue
                # Braces hold what stands between them, and a place next to them.
                edge = int(within and self.tokens.words[first] == "{")
                if first + edge <= begin and end - 1 <= last - edge:
                    yield first, last

    def extent(self, block: tuple[int, int]) -> Span:
        """Return the characters of a block; of one that begins a line, with its indentation."""
        begin, end = self.tokens.starts[block[0]], self.tokens.ends[block[1]]
        line = self.lines[bisect_right(self.lines, begin) - 1]
        return (begin if self.text[line:begin].strip() else line), end

    def _byte(self, character: int) -> int:
        inside = character if self._ascii else len(self.text[:character].encode("utf-8", "replace"))
        return inside + self._shift

    def _character(self, byte: int) -> int:
        if self._ascii:
            return byte - self._shift
        return len(self._data[:byte].decode("utf-8", "replace")) - self._shift


def _upwards(node: Node | None) -> Iterator[Node]:
    while node is not None:
        yield node
        node = node.parent
