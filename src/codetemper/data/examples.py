# SPDX-License-Identifier: Apache-2.0
"""Fix pairs in tokens, both sides, each token with its role: the form that a trainer reads.

    examples = encode(pairs, tokenizer, Layout(max_length=1024))
    for example in examples.items:
        example.fixed.ids, example.fixed.roles, example.vulnerable

A role says what a token is to a loss: of the prompt, of the body and left alone by the fix, or
changed by it. Where one side has nothing for what the other has (a check that was added, a call
that was removed), the token that stands there instead is changed as well: it is the choice that the
fix makes otherwise. The tokenizer is handed in; nothing here loads a model or torch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import zip_longest
from typing import Any, Literal

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.changes import changed_spans
from codetemper.data.languages import LANGUAGES, SourceLanguage
from codetemper.data.tokens import tokens
from codetemper.data.windows import (
    Coverage,
    Spans,
    Window,
    changed_tokens,
    coverage,
    windows,
)


class Role(IntEnum):
    """What a token is to a loss."""

    PROMPT = 0
    UNCHANGED = 1
    CHANGED = 2


@dataclass(frozen=True)
class Side:
    """One side of a pair in tokens.

    Attributes:
        ids: token ids.
        roles: a ``Role`` for each.
    """

    ids: tuple[int, ...]
    roles: tuple[int, ...]

    def count(self, role: Role) -> int:
        """Return how many tokens have a role."""
        return self.roles.count(role)


@dataclass(frozen=True)
class Example:
    """A pair in tokens, or one window of a pair that is too long for one; one side may be None.

    Attributes:
        fixed: the side to learn.
        vulnerable: the side to unlearn, without what follows its last changed token.
    """

    fixed: Side | None
    vulnerable: Side | None = None


@dataclass(frozen=True)
class Examples:
    """Pairs in tokens, and what became of them.

    Attributes:
        items: the examples.
        skipped: pairs without a body, or without a change in one that is too long.
        truncated: pairs that were longer than the window.
        fix: tokens of the fixed sides that the fixes changed, and how many windows show.
    """

    items: tuple[Example, ...]
    skipped: int = 0
    truncated: int = 0
    fix: Coverage = field(default_factory=Coverage)

    @property
    def learnt_tokens(self) -> int:
        """Tokens of the fixed sides that carry loss."""
        sides = [example.fixed for example in self.items if example.fixed is not None]
        return sum(len(side.roles) - side.count(Role.PROMPT) for side in sides)


@dataclass(frozen=True)
class Layout:
    """How a pair is laid out in tokens.

    Attributes:
        max_length: longest example, in tokens.
        wrapper: what the model is asked, with ``{prompt}`` where the pair's prompt goes.
        window: what stays of an example that is too long: ``hunks``, windows around what was
            changed; ``head``, its beginning, as the study cuts.
        learn_prompts: whether prompts carry loss too.
    """

    max_length: int = 1024
    wrapper: str = "{prompt}"
    window: Literal["hunks", "head"] = "hunks"
    learn_prompts: bool = False


@dataclass(frozen=True)
class _Text:
    """One side as the model reads it: text, where the body begins, what was changed."""

    text: str
    start: int
    spans: Spans


def encode(pairs: Sequence[FixPair], tokenizer: Any, layout: Layout) -> Examples:
    """Turn fix pairs into tokens with roles.

    The prompt's tokens are those of the prompt alone, as at inference: a token that spans the
    border would be learnt and never be asked for. The end token follows whole functions and files;
    after a window's end, a block or a line it does not, since a model must not learn to stop in
    the middle (the study's layout, ``head``, puts it after everything that is short enough).

    Args:
        pairs: fix pairs. Where they name no changed tokens, those are found by ``data.changes``.
        tokenizer: the model's tokenizer, one that tells offsets.
        layout: window, wrapper and what carries loss.

    Raises:
        UsageError: a tokenizer without offsets, or a wrapper without ``{prompt}``.
    """
    _check(tokenizer, layout)
    items: list[Example] = []
    skipped = truncated = 0
    fix = Coverage()
    for pair in pairs:
        if not pair.after[pair.body_start :].strip():
            skipped += 1
            continue
        fixed, vulnerable = _sides(pair, layout.wrapper)
        ends = pair.granularity in ("function", "file") or layout.window == "head"
        learnt, whole, seen = _windows(fixed, tokenizer, layout, ends)
        unlearnt, _, _ = _windows(vulnerable, tokenizer, layout, ends)
        truncated += not whole
        skipped += not learnt
        fix += seen
        items += _paired(learnt, [_until_last_change(side) for side in unlearnt])
    return Examples(tuple(items), skipped, truncated, fix)


def _check(tokenizer: Any, layout: Layout) -> None:
    if not tokenizer.is_fast:
        raise UsageError(
            f"the tokenizer {type(tokenizer).__name__} cannot be tuned with",
            why="it does not tell which characters a token stands for",
            mend="use a model whose tokenizer is in the tokenizer.json form",
        )
    if layout.wrapper.count("{prompt}") != 1:
        raise UsageError(
            f"the wrapper {layout.wrapper!r} has no one place for the prompt",
            why="{prompt} must stand in it exactly once",
            mend="-o wrapper='### Instruction: complete the code {prompt}'",
        )


def _sides(pair: FixPair, wrapper: str) -> tuple[_Text, _Text]:
    """Lay out both sides, with the tokens that stand where the other side has something more."""
    language = pair.language if pair.language in LANGUAGES else "c"
    before, after = pair.changed_spans_before, pair.changed_spans_after
    if not before and not after:
        before, after = changed_spans(pair.before, pair.after, language)
    fixed = _Marks(pair.after, after, language)
    vulnerable = _Marks(pair.before, before, language)
    start = pair.body_start
    if pair.before[:start] != pair.after[:start]:
        start = _start(pair, fixed, vulnerable)
    head, tail = wrapper.split("{prompt}")
    return (
        _wrapped(
            head + pair.context,
            pair.after,
            pair.body_start,
            tail,
            sorted([*after, *fixed.instead_of(vulnerable)]),
        ),
        _wrapped(
            head + pair.context,
            pair.before,
            start,
            tail,
            sorted([*before, *vulnerable.instead_of(fixed)]),
        ),
    )


def _wrapped(head: str, text: str, start: int, tail: str, spans: Spans) -> _Text:
    shift = [len(head) + (len(tail) if begin >= start else 0) for begin, _ in spans]
    moved = [(begin + by, end + by) for (begin, end), by in zip(spans, shift, strict=True)]
    return _Text(
        head + text[:start] + tail + text[start:], len(head) + start + len(tail), tuple(moved)
    )


class _Marks:
    """Where a text was changed, counted in tokens of it that were not.

    What two sides of a pair share is the same tokens in the same order, so these counts name the
    same place in both.
    """

    def __init__(self, text: str, spans: Spans, language: SourceLanguage) -> None:
        found = tokens(text, language)
        columns = list(zip(found.starts, found.ends, strict=True))
        changed = set(changed_tokens(columns, spans))
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
        return [(self.kept[at][0], self.kept[at][0]) for at in places if at < len(self.kept)]


def _start(pair: FixPair, after: _Marks, before: _Marks) -> int:
    """Return where the body begins in ``before``, whose prompt was changed too."""
    count = min(after.before(pair.body_start), len(before.kept))
    at = before.kept[count - 1][1] if count else 0
    prompt = pair.after[: pair.body_start]
    space = prompt[len(prompt.rstrip()) :]
    return at + len(space) if pair.before[at:].startswith(space) else at


def _windows(
    side: _Text, tokenizer: Any, layout: Layout, ends: bool
) -> tuple[list[Side], bool, Coverage]:
    """Return the windows of a side, whether it fits into one, and what they show of the fix."""
    special, ids, offsets, keep = _tokens(tokenizer, side)
    end = [tokenizer.eos_token_id] if ends and tokenizer.eos_token_id is not None else []
    room = layout.max_length - len(special) - len(end)
    if layout.window == "head":
        found = windows(side.text, offsets[:room], side.spans, max_length=room)
    else:
        found = windows(side.text, offsets, side.spans, max_length=room, keep=keep)
    sides = []
    for window in found:
        chosen = window.tokens()
        roles = [Role.PROMPT] * len(special)
        roles += _roles(window, chosen, 0 if layout.learn_prompts else keep)
        last = end if window.end == len(ids) else []
        roles += [Role.UNCHANGED] * len(last)
        sides.append(Side((*special, *(ids[i] for i in chosen), *last), tuple(roles)))
    seen = coverage(offsets, side.spans, found, max_length=room)
    return [side for side in sides if any(side.roles)], len(ids) <= room, seen


def _roles(window: Window, chosen: Sequence[int], keep: int) -> list[Role]:
    changed = set(window.changed)
    roles = [
        Role.PROMPT
        if index < keep or window.start <= index < window.fresh
        else Role.CHANGED
        if index in changed
        else Role.UNCHANGED
        for index in chosen
    ]
    if window.gap is not None:
        # What stands before it is not in view, so it cannot be foretold.
        roles[window.gap] = Role.PROMPT
    return roles


def _tokens(tokenizer: Any, side: _Text) -> tuple[list[int], list[int], Spans, int]:
    """Return special tokens in front, the text's tokens, their offsets, how many are the prompt."""
    given = {"add_special_tokens": False, "return_offsets_mapping": True}
    prompt, body = side.text[: side.start], side.text[side.start :]
    plain, whole = tokenizer(prompt, **given), tokenizer(side.text, **given)
    count = len(plain["input_ids"])
    with_special = tokenizer(prompt)["input_ids"]
    first = next((n for n in range(3) if with_special[n : n + count] == plain["input_ids"]), 0)
    special = list(with_special[:first])
    if whole["input_ids"][:count] == plain["input_ids"]:
        # Tokenizers that put a space before every text would put one before a body on its own.
        return special, list(whole["input_ids"]), whole["offset_mapping"], count
    rest = tokenizer(body, **given)
    moved = [(begin + side.start, end + side.start) for begin, end in rest["offset_mapping"]]
    return (
        special,
        [*plain["input_ids"], *rest["input_ids"]],
        [*plain["offset_mapping"], *moved],
        count,
    )


def _until_last_change(side: Side) -> Side | None:
    """Cut what follows the last changed token: nothing there carries loss."""
    if Role.CHANGED not in side.roles:
        return None
    length = len(side.roles) - side.roles[::-1].index(Role.CHANGED)
    return Side(side.ids[:length], side.roles[:length])


def _paired(learnt: Sequence[Side], unlearnt: Sequence[Side | None]) -> Iterator[Example]:
    for fixed, vulnerable in zip_longest(learnt, unlearnt):
        if fixed is not None or vulnerable is not None:
            yield Example(fixed, vulnerable)
