# SPDX-License-Identifier: Apache-2.0
"""Windows of tokens over one text, centred on what a fix changed: nothing is cut at the head.

    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    found = windows(text, offsets, pair.changed_spans_after, max_length=1024, keep=prompt_tokens)
    for window in found:
        ids = [encoded["input_ids"][i] for i in window.tokens()]
    coverage(offsets, spans, found, max_length=1024).share     # of the fix's tokens

A text that fits is one window. Of a longer one, each window shows a group of hunks with at least a
quarter of the room for what stands before and after it; hunks that lie further apart get windows of
their own. The prompt (comment, signature) stands in front of every window, its last part where all
of it would take more than a quarter of the window.

Nothing is invented inside code, so no ellipsis token marks the gap between a prompt and a window
that begins further down. ``Window.gap`` tells where it is; the window begins at the beginning of a
line where it can, and a trainer masks the loss of the gap's first token, the only one whose true
predecessor is not in view. ``Window.fresh`` tells which tokens an earlier window showed, so that
no token carries loss twice.

Not done here: tokenising, special tokens, labels (see ``examples.py``).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

#: Part of a window that the prompt may take.
_PROMPT_PART = 4

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Window:
    """Some of a text's tokens, by their index in the text: the prompt's, then a run of others.

    Attributes:
        front: (begin, end) of the prompt's tokens kept in front; equal where there are none.
        start: first token of the run.
        end: the token after the last of the run.
        fresh: first token of the run that no earlier window showed; tokens before it are context.
        changed: changed tokens that count here, in order: of the run from ``fresh`` on, and in
            the first window those of ``front``. Each counts in one window at most.
    """

    front: tuple[int, int]
    start: int
    end: int
    fresh: int
    changed: tuple[int, ...]

    @property
    def gap(self) -> int | None:
        """Position in ``tokens()`` before which text is missing; None where there is no gap."""
        begin, stop = self.front
        return stop - begin if begin < stop < self.start else None

    def __len__(self) -> int:
        """Tokens in the window."""
        return self.front[1] - self.front[0] + self.end - self.start

    def tokens(self) -> list[int]:
        """Return the indices of the window's tokens in the text, in order."""
        return [*range(*self.front), *range(self.start, self.end)]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of a fix's tokens can be learnt from; sums over texts with ``+``.

    Attributes:
        changed: tokens that the fix changed.
        kept: those that a window shows.
        head: those that cutting the text after ``max_length`` tokens would have shown.
    """

    changed: int = 0
    kept: int = 0
    head: int = 0

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(
            self.changed + other.changed, self.kept + other.kept, self.head + other.head
        )

    @property
    def share(self) -> float | None:
        """Share of the changed tokens that survives; None where nothing changed."""
        return self.kept / self.changed if self.changed else None


def changed_tokens(offsets: Spans, spans: Spans) -> list[int]:
    """Return the indices of the tokens that share a character with a span.

    An empty span marks a place where something was taken out: it stands for the token at it.
    Tokens without characters (special tokens) never count.

    Args:
        offsets: (begin, end) of each token in characters, end excluded, in text order; tokens may
            share characters, as the bytes of one character do.
        spans: (begin, end) likewise, in text order.
    """
    found: set[int] = set()
    ends = [end for _, end in offsets]
    begins = [begin for begin, _ in offsets]
    for begin, end in spans:
        first = bisect_right(ends, begin)
        last = bisect_left(begins, end) if end > begin else first + 1
        found.update(i for i in range(first, min(last, len(offsets))) if begins[i] < ends[i])
    return sorted(found)


def windows(
    text: str, offsets: Spans, spans: Spans, *, max_length: int, keep: int = 0
) -> list[Window]:
    """Choose the windows of a text that show its changed tokens.

    Args:
        text: what was tokenised; read for its line breaks alone.
        offsets: (begin, end) of each token in characters, without special tokens.
        spans: changed characters, e.g. ``FixPair.changed_spans_after``; empty ones mark places.
        max_length: longest window, in tokens.
        keep: how many tokens at the beginning are the prompt.

    Returns:
        Windows in text order; every changed token after the prompt is in exactly one window's
        ``changed``. A text that does not fit and has no change after its prompt gives none: no
        part of it is better than another.

    Raises:
        ValueError: ``max_length`` below 1, or ``keep`` not within the text.
    """
    count = len(offsets)
    if max_length < 1 or not 0 <= keep <= count:
        raise ValueError(f"max_length={max_length}, keep={keep} with {count} tokens")
    changed = changed_tokens(offsets, spans)
    if count <= max_length:
        return [Window((0, 0), 0, count, 0, tuple(changed))] if count else []
    front = (max(0, keep - max_length // _PROMPT_PART), keep)
    room = max_length - (front[1] - front[0])
    in_front = tuple(changed[bisect_left(changed, front[0]) : bisect_left(changed, keep)])
    found: list[Window] = []
    shown, at = keep, bisect_left(changed, keep)
    while at < len(changed):
        first = changed[at]
        # Half of the room is for the group, so that what is around it can be seen too.
        last = changed[bisect_right(changed, first + max(1, room // 2) - 1) - 1]
        start = max(keep, min(first - (room - (last - first + 1)) // 2, count - room))
        if start > keep:
            start = _line_start(text, offsets, start, first)
        end = min(count, start + room)
        upto = bisect_left(changed, end)
        own = tuple(changed[at:upto])
        found.append(Window(front, start, end, max(start, shown), own if found else in_front + own))
        shown, at = end, upto
    return found


def coverage(offsets: Spans, spans: Spans, found: Sequence[Window], *, max_length: int) -> Coverage:
    """Count the changed tokens of a text, those in windows, and those a cut at the end leaves."""
    changed = changed_tokens(offsets, spans)
    kept = sum(len(window.changed) for window in found)
    return Coverage(len(changed), kept, bisect_left(changed, max_length))


def _line_start(text: str, offsets: Spans, start: int, first: int) -> int:
    """Return the first token of ``start..first`` that begins a line, else ``start``."""
    for index in range(start, first + 1):
        begin, end = offsets[index]
        if text[begin - 1 : begin] == "\n" or text[begin:end].startswith("\n"):
            return index
    return start
