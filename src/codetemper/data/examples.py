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

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import zip_longest
from typing import Any, Literal

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.sides import Text, sides
from codetemper.data.windows import Coverage, Spans, Window, changed_tokens, coverage, windows

#: In ``Side.instead``: nothing stands there on the other side, or the same.
SAME = -1


class Role(IntEnum):
    """What a token is to a loss."""

    PROMPT = 0
    UNCHANGED = 1
    CHANGED = 2
    KEPT = 3
    """Not learnt: what the base foretells there is to stay."""


@dataclass(frozen=True)
class Side:
    """One side of a pair in tokens.

    Attributes:
        ids: token ids.
        roles: a ``Role`` for each.
        instead: for each, where the other side first differs in a hunk, the token that it has
            there; else ``SAME``. Empty on the vulnerable side.
        places: for each the characters of the text it stands for, as (begin, end), where
            ``Layout.places`` asks for them; (0, 0) of special tokens.
    """

    ids: tuple[int, ...]
    roles: tuple[int, ...]
    instead: tuple[int, ...] = ()
    places: tuple[tuple[int, int], ...] = ()

    def count(self, role: Role) -> int:
        """Return how many tokens have a role."""
        return self.roles.count(role)


@dataclass(frozen=True)
class Example:
    """A pair in tokens, or one window of a pair that is too long for one; one side may be None.

    Attributes:
        fixed: the side to learn.
        vulnerable: the side to unlearn, without what follows its last changed token.
        flagged: whether the pair is suspected of what a guard stands for.
    """

    fixed: Side | None
    vulnerable: Side | None = None
    flagged: bool = False


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
        places: whether to tell which characters the tokens stand for.
    """

    max_length: int = 1024
    wrapper: str = "{prompt}"
    window: Literal["hunks", "head"] = "hunks"
    learn_prompts: bool = False
    places: bool = False


def encode(
    pairs: Sequence[FixPair], tokenizer: Any, layout: Layout, flagged: Collection[str] = ()
) -> Examples:
    """Turn fix pairs into tokens with roles.

    The prompt's tokens are those of the prompt alone, as at inference: a token that spans the
    border would be learnt and never be asked for. The end token follows whole functions and files;
    after a window's end, a block or a line it does not, since a model must not learn to stop in
    the middle (the study's layout, ``head``, puts it after everything that is short enough).

    Args:
        pairs: fix pairs. Where they name no changed tokens, those are found by ``data.changes``.
        tokenizer: the model's tokenizer, one that tells offsets.
        layout: window, wrapper and what carries loss.
        flagged: ids of pairs that are suspected of what a guard stands for.

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
        ends = pair.granularity in ("function", "file") or layout.window == "head"
        fixed, vulnerable = (_tokens(tokenizer, s, ends) for s in sides(pair, layout.wrapper))
        forks = dict(_forks(fixed, vulnerable))
        learnt, whole, seen = _windows(fixed, layout, forks)
        unlearnt, _, _ = _windows(vulnerable, layout, {})
        truncated += not whole
        skipped += not learnt
        fix += seen
        made = _paired(learnt, [_until_last_change(side) for side in unlearnt])
        items += (replace(example, flagged=pair.id in flagged) for example in made)
    return Examples(tuple(items), skipped, truncated, fix)


def answered(tokenizer: Any, prompt: str, answer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Turn a prompt and its answer into tokens, as ``encode`` does with a body.

    Args:
        tokenizer: the model's tokenizer, one that tells offsets.
        prompt: what is answered.
        answer: without end token.

    Returns:
        Tokens of the prompt, which are those that a model is given to answer, and tokens of the
        answer with the end token. An empty prompt is the start token.

    Raises:
        UsageError: a tokenizer without offsets.
    """
    _check(tokenizer, Layout())
    made = _tokens(tokenizer, Text(prompt + answer, len(prompt), ()), ends=True)
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    asked = (*made.special, *made.ids[: made.keep]) or (start,)
    return asked, (*made.ids[made.keep :], *made.end)


def kept(examples: Sequence[Example]) -> list[Example]:
    """Return examples of which nothing is learnt: what the base foretells in them is to stay."""
    found = []
    for example in examples:
        if example.fixed is not None:
            roles = tuple(Role.KEPT if role else Role.PROMPT for role in example.fixed.roles)
            found.append(Example(replace(example.fixed, roles=roles, instead=())))
    return found


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


@dataclass(frozen=True)
class _Tokens:
    """One side in tokens, before it is cut.

    Attributes:
        side: its text.
        special: tokens in front that are not of the text.
        ids: the text's tokens.
        offsets: characters of each.
        keep: how many of them are the prompt.
        end: the end token, where one follows.
    """

    side: Text
    special: list[int]
    ids: list[int]
    offsets: Spans
    keep: int
    end: list[int]


def _windows(
    tokens: _Tokens, layout: Layout, forks: Mapping[int, int]
) -> tuple[list[Side], bool, Coverage]:
    """Return the windows of a side, whether it fits into one, and what they show of the fix."""
    text, spans, offsets, end = tokens.side.text, tokens.side.spans, tokens.offsets, tokens.end
    room = layout.max_length - len(tokens.special) - len(end)
    if layout.window == "head":
        found = windows(text, offsets[:room], spans, max_length=room)
    else:
        found = windows(text, offsets, spans, max_length=room, keep=tokens.keep)
    # Where the other side goes on, ending here is what the fix makes otherwise.
    over = any(begin >= len(text) for begin, _ in spans)
    spans_of = dict(enumerate(offsets)) if layout.places else {}
    made = []
    for window in found:
        chosen = window.tokens()
        last = end if window.end == len(tokens.ids) else []
        roles = [
            *[Role.PROMPT] * len(tokens.special),
            *_roles(window, chosen, 0 if layout.learn_prompts else tokens.keep),
            *[Role.CHANGED if over else Role.UNCHANGED] * len(last),
        ]
        places = [*[SAME] * len(tokens.special), *chosen, *[len(tokens.ids)] * len(last)]
        made.append(
            Side(
                (*tokens.special, *(tokens.ids[i] for i in chosen), *last),
                tuple(roles),
                tuple(forks.get(place, SAME) for place in places),
                tuple(spans_of.get(place, (0, 0)) for place in places) if layout.places else (),
            )
        )
    seen = coverage(offsets, spans, found, max_length=room)
    return [side for side in made if any(side.roles)], len(tokens.ids) <= room, seen


def _forks(fixed: _Tokens, vulnerable: _Tokens) -> Iterator[tuple[int, int]]:
    """Yield, for each hunk, the token where the sides part and what the vulnerable one has there.

    Token counts from the beginning of the text; the end token is the one after the last.
    """
    mine, theirs = [*fixed.ids, *fixed.end], [*vulnerable.ids, *vulnerable.end]
    for here, there in fixed.side.forks:
        at, other = _token_at(fixed.offsets, here), _token_at(vulnerable.offsets, there)
        while at < len(mine) and other < len(theirs) and mine[at] == theirs[other]:
            at, other = at + 1, other + 1
        if at < len(mine) and other < len(theirs):
            yield at, theirs[other]


def _token_at(offsets: Spans, place: int) -> int:
    """Return the token that holds a character; the number of tokens where none does."""
    return next(iter(changed_tokens(offsets, [(place, place)])), len(offsets))


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


def _tokens(tokenizer: Any, side: Text, ends: bool) -> _Tokens:
    """Tokenise a side so that no token spans the border of prompt and body."""
    given = {"add_special_tokens": False, "return_offsets_mapping": True}
    prompt, body = side.text[: side.start], side.text[side.start :]
    plain, whole = tokenizer(prompt, **given), tokenizer(side.text, **given)
    count = len(plain["input_ids"])
    with_special = tokenizer(prompt)["input_ids"]
    first = next((n for n in range(3) if with_special[n : n + count] == plain["input_ids"]), 0)
    if whole["input_ids"][:count] == plain["input_ids"]:
        # Tokenizers that put a space before every text would put one before a body on its own.
        ids, offsets = list(whole["input_ids"]), list(whole["offset_mapping"])
    else:
        rest = tokenizer(body, **given)
        ids = [*plain["input_ids"], *rest["input_ids"]]
        moved = [(begin + side.start, end + side.start) for begin, end in rest["offset_mapping"]]
        offsets = [*plain["offset_mapping"], *moved]
    end = [tokenizer.eos_token_id] if ends and tokenizer.eos_token_id is not None else []
    return _Tokens(side, list(with_special[:first]), ids, offsets, count, end)


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
