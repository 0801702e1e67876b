# SPDX-License-Identifier: Apache-2.0
"""From a changed function to pieces of it: the whole, the changed blocks, the changed lines.

    for piece in pieces(old, new, "c", ("function", "block", "line"), dropped):
        piece.before, piece.after, piece.context

The granularities are those of Li et al. (arXiv 2408.09078), of whose construction only the names
are published; here they mean:

* function: the function with its attached comment.
* block: the smallest compound statement that holds a change and stands on both sides. Where one
  changed block lies in another, the outer one is given.
* line: the lines of a hunk, added or changed (``after``) and removed or changed (``before``).
* file: the whole file (``whole_file``).

Of a block or hunk, ``context + after`` is a beginning of the function's text after the change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from codetemper.data._blocks import common_blocks
from codetemper.data._definitions import Function
from codetemper.data.changes import Comparison, Span, compare, line_starts
from codetemper.data.languages import SourceLanguage

Granularity = Literal["file", "function", "block", "line"]

#: The brace of a block, with the line break where nothing else stands on its line.
_OPENS = re.compile(r"\s*\{(?:[^\S\n]*\n)?")

#: Counted where lines were only taken away, so that there is nothing to learn to write.
ONLY_REMOVED = "line: hunk only removes code"
#: Counted where the hunk leaves every token as it was.
NO_CODE = "line: hunk of white space or comments"
#: Counted where the change reaches out of the function's body or into broken syntax.
NO_BLOCK = "block: no block holds the change on both sides"


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of code before and after a change; the fields are those of ``FixPair``."""

    granularity: Granularity
    before: str
    after: str
    body_start: int
    context: str
    name: str
    lines_before: tuple[int, ...]
    lines_after: tuple[int, ...]
    spans_before: tuple[Span, ...]
    spans_after: tuple[Span, ...]


def pieces(
    old: Function,
    new: Function,
    language: SourceLanguage,
    granularities: Collection[Granularity],
    dropped: Counter[str],
) -> Iterator[Piece]:
    """Cut a changed function into pieces.

    Args:
        old: the function before the change.
        new: the function after it.
        language: what both are written in.
        granularities: which pieces to yield; ``file`` is none of a function's.
        dropped: counts, by reason, the hunks that give no piece.

    Yields:
        Pieces in the order function, blocks, lines.
    """
    comparison = compare(old.text, new.text, language)
    if "function" in granularities:
        yield _whole(comparison, old.text, new.text, "function", new.name, new.body_start)
    if "block" in granularities:
        yield from _blocks(comparison, old, new, language, dropped)
    if "line" in granularities:
        yield from _lines(comparison, old, new, dropped)


def whole_file(before: str, after: str, language: SourceLanguage, path: str) -> Piece:
    """Return a whole file as a piece; its name is its path, and all of it is completion."""
    return _whole(compare(before, after, language), before, after, "file", path, 0)


def _whole(
    comparison: Comparison,
    before: str,
    after: str,
    granularity: Granularity,
    name: str,
    body_start: int,
) -> Piece:
    return Piece(
        granularity=granularity,
        before=before,
        after=after,
        body_start=body_start,
        context="",
        name=name,
        lines_before=comparison.lines_before,
        lines_after=comparison.lines_after,
        spans_before=comparison.spans_before,
        spans_after=comparison.spans_after,
    )


def _blocks(
    comparison: Comparison,
    old: Function,
    new: Function,
    language: SourceLanguage,
    dropped: Counter[str],
) -> Iterator[Piece]:
    found, without = common_blocks(comparison, old.text, new.text, language)
    if without:
        dropped[NO_BLOCK] += without
    for left, right in found:
        opens = _OPENS.match(new.text, *right)
        begin = opens.end() - right[0] if opens else 0
        yield _cut("block", comparison, (old, new), (left, right), begin)


def _lines(
    comparison: Comparison, old: Function, new: Function, dropped: Counter[str]
) -> Iterator[Piece]:
    starts_old, starts_new = line_starts(old.text), line_starts(new.text)
    for hunk in comparison.hunks:
        if not hunk.spans_after:
            dropped[ONLY_REMOVED if hunk.spans_before else NO_CODE] += 1
            continue
        left = starts_old[hunk.lines_before[0]], starts_old[hunk.lines_before[1]]
        right = starts_new[hunk.lines_after[0]], starts_new[hunk.lines_after[1]]
        yield _cut("line", comparison, (old, new), (left, right), 0)


def _cut(
    granularity: Granularity,
    comparison: Comparison,
    functions: tuple[Function, Function],
    ranges: tuple[Span, Span],
    body_start: int,
) -> Piece:
    """Cut ranges of characters out of both functions, with what was told of the whole."""
    (old, new), (left, right) = functions, ranges
    return Piece(
        granularity=granularity,
        before=old.text[slice(*left)],
        after=new.text[slice(*right)],
        body_start=body_start,
        context=new.text[: right[0]],
        name=new.name,
        lines_before=_lines_within(old.text, left, comparison.lines_before),
        lines_after=_lines_within(new.text, right, comparison.lines_after),
        spans_before=_spans_within(left, comparison.spans_before),
        spans_after=_spans_within(right, comparison.spans_after),
    )


def _lines_within(text: str, within: Span, lines: tuple[int, ...]) -> tuple[int, ...]:
    if within[0] == within[1]:
        return ()
    first = text.count("\n", 0, within[0])
    last = text.count("\n", 0, within[1] - 1)
    return tuple(line - first for line in lines if first <= line <= last)


def _spans_within(within: Span, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    begin, end = within
    return tuple((a - begin, b - begin) for a, b in spans if begin <= a and b <= end)
