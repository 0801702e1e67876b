# SPDX-License-Identifier: Apache-2.0
"""The two sides of a fix pair as a model is to read them: text, border, changes, where they part.

    fixed, vulnerable = sides(pair, wrapper="{prompt}")
    fixed.text[: fixed.start], fixed.spans, fixed.forks

Beside the tokens that a fix changed, those count as changed that stand where the other side has
something more: a check that was added makes the statement after it, on the vulnerable side, the
choice that the fix makes otherwise. Texts only; tokenizers come in with ``examples``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import takewhile

from codetemper.core.records import FixPair
from codetemper.data.changes import changed_spans
from codetemper.data.languages import LANGUAGES, SourceLanguage
from codetemper.data.tokens import tokens
from codetemper.data.windows import Spans, changed_tokens

Forks = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Text:
    """One side.

    Attributes:
        text: what the model reads: wrapper, context, prompt, body.
        start: where the body begins.
        spans: characters of changed tokens, in order; an empty one marks a place where the other
            side has more, and stands for the token at it.
        forks: of the fixed side: for each hunk the first character that differs, here and there.
    """

    text: str
    start: int
    spans: Spans
    forks: Forks = ()


def sides(pair: FixPair, wrapper: str = "{prompt}") -> tuple[Text, Text]:
    """Lay out the fixed and the vulnerable side of a pair.

    Args:
        pair: where it names no changed tokens, they are found by ``data.changes``.
        wrapper: goes around the prompt, which stands in it as ``{prompt}``.
    """
    language = pair.language if pair.language in LANGUAGES else "c"
    before, after = pair.changed_spans_before, pair.changed_spans_after
    if not before and not after:
        before, after = changed_spans(pair.before, pair.after, language)
    fixed = _Marks(pair.after, after, language)
    vulnerable = _Marks(pair.before, before, language)
    start = pair.body_start
    if pair.before[:start] != pair.after[:start]:
        start = _start(pair, fixed, vulnerable)
    front, tail = wrapper.split("{prompt}")
    front += pair.context
    after = tuple(sorted([*after, *fixed.instead_of(vulnerable)]))
    before = tuple(sorted([*before, *vulnerable.instead_of(fixed)]))
    mine = _Shift(len(front), pair.body_start, len(tail))
    theirs = _Shift(len(front), start, len(tail))
    forks = tuple((mine.of(a), theirs.of(b)) for a, b in fixed.forks(vulnerable))
    return (
        Text(mine.wrap(front, pair.after, tail), mine.of(pair.body_start), mine.all(after), forks),
        Text(theirs.wrap(front, pair.before, tail), theirs.of(start), theirs.all(before)),
    )


@dataclass(frozen=True)
class _Shift:
    """Where characters go when something is put before a prompt and between it and its body."""

    front: int
    start: int
    tail: int

    def of(self, at: int) -> int:
        return at + self.front + (self.tail if at >= self.start else 0)

    def all(self, spans: Spans) -> Spans:
        return [(self.of(begin), self.of(begin) + end - begin) for begin, end in spans]

    def wrap(self, front: str, text: str, tail: str) -> str:
        return front + text[: self.start] + tail + text[self.start :]


class _Marks:
    """Where a text was changed, counted in tokens of it that were not.

    What two sides of a pair share is the same tokens in the same order, so these counts name the
    same place in both.
    """

    def __init__(self, text: str, spans: Spans, language: SourceLanguage) -> None:
        found = tokens(text, language)
        columns = list(zip(found.starts, found.ends, strict=True))
        changed = set(changed_tokens(columns, spans))
        self.text = text
        # Indentation is a token too, where it opens or closes a block of Python.
        self.kept = [
            (begin, end)
            for index, (begin, end) in enumerate(columns)
            if index not in changed and text[begin:end].strip()
        ]
        self._places = {self.before(begin) for begin, _ in spans}

    def before(self, offset: int) -> int:
        """Return how many unchanged tokens begin before an offset."""
        return bisect_left(self.kept, (offset, 0))

    def instead_of(self, other: _Marks) -> list[tuple[int, int]]:
        """Return empty spans at what stands here where the other side has something more."""
        places = sorted(other._places - self._places)
        return [(at, at) for at in (self._parting(other, place) for place in places)]

    def forks(self, other: _Marks) -> list[tuple[int, int]]:
        """Return the characters here and there at which the sides part, once a line."""
        found: list[tuple[int, int]] = []
        for place in sorted(self._places | other._places):
            here, there = self._parting(other, place), other._parting(self, place)
            # Further on in a line that differs already, the model writes another statement.
            if not found or "\n" in self.text[found[-1][0] : here]:
                found.append((here, there))
        return found

    def _parting(self, other: _Marks, place: int) -> int:
        """Return the first character that differs after so many unchanged tokens."""
        mine, theirs = self._until(place), other._until(place)
        pairs = zip(self.text[mine:], other.text[theirs:], strict=False)
        return mine + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _until(self, place: int) -> int:
        return self.kept[min(place, len(self.kept)) - 1][1] if place and self.kept else 0


def _start(pair: FixPair, after: _Marks, before: _Marks) -> int:
    """Return where the body begins in ``before``, whose prompt was changed too."""
    count = min(after.before(pair.body_start), len(before.kept))
    at = before.kept[count - 1][1] if count else 0
    prompt = pair.after[: pair.body_start]
    space = prompt[len(prompt.rstrip()) :]
    return at + len(space) if pair.before[at:].startswith(space) else at
