# SPDX-License-Identifier: Apache-2.0
"""A screening of data as the report page shows it: flagged share, drift, tokens of the worst.

Samples are hostile text. What is made here is plain values that the templates escape; characters
that cannot be seen, or that turn what is seen around, come apart from the text so that the page can
name them. Numbers are the screening's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codetemper.core.accounts import DriftBlock, WorstSample
from codetemper.core.records import Estimate
from codetemper.publish import charts, unseen
from codetemper.publish.inputs import ScreeningResult

#: Steps of colour for what speaks for the guard, and for what speaks against it.
LEVELS, AGAINST = 5, 2
#: Part of the largest below which a token has no colour.
_FAINT = 0.05
#: Samples whose tokens are on the page, and tokens of one that are named beside it.
SHOWN, NAMED = 12, 4
#: Lines of what stands before an answer that are shown.
BEFORE = 5
#: Height of the drawing of blocks, in pixels: of the plot, and of the space above it.
HEIGHT, _TOP = 96, 6


@dataclass(frozen=True)
class Piece:
    """A run of characters of one colour.

    Attributes:
        text: the characters, or the name of one that cannot be shown.
        level: ``h1`` to ``h5``, ``c1`` or ``c2`` (against the guard), or empty.
        part: what the token adds to the log-ratio; None outside of answers.
        unseen: whether it is such a name.
    """

    text: str
    level: str = ""
    part: float | None = None
    unseen: bool = False


@dataclass(frozen=True)
class Heat:
    """One of the worst samples.

    Attributes:
        sample: what it is called, its ratio and its guard.
        pieces: its text in runs.
        named: (token, part) of those that add most.
    """

    sample: WorstSample
    pieces: tuple[Piece, ...]
    named: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Column:
    """One block in the drawing; places are percent of the width and pixels of the height.

    Attributes:
        block: the numbers behind it.
        first: place of its first sample among the scored.
        x: middle.
        low: lower end of the interval.
        value: the flagged share.
        high: upper end.
    """

    block: DriftBlock
    first: int
    x: float
    low: float
    value: float
    high: float


@dataclass(frozen=True)
class ScreeningView:
    """One screening as the page shows it.

    Attributes:
        result: the records behind it.
        share: flagged share among the scored, with its interval.
        mark: where that lies on an axis from 0 to 1.
        tone: ``fail`` where more is flagged than clean data would be, ``pass`` where the interval
            lies below that, else ``unknown``.
        limit: upper end of the drawing of blocks, as a share.
        line: where the stated false-positive rate lies in it, in pixels.
        columns: the blocks.
        heats: the worst samples.
    """

    result: ScreeningResult
    share: Estimate
    mark: charts.Mark | None
    tone: str
    limit: float
    line: float
    columns: tuple[Column, ...]
    heats: tuple[Heat, ...]


def screening_view(result: ScreeningResult) -> ScreeningView:
    """Prepare one screening."""
    card = result.card
    value = card.flagged / card.scored if card.scored else 0.0
    share = Estimate(value=value, low=card.low, high=card.high, n=card.scored)
    ends = (card.fpr, *(block.high for block in card.blocks))
    limit = next((end for end in (0.05, 0.1, 0.25, 0.5) if max(ends) <= end), 1.0)
    return ScreeningView(
        result=result,
        share=share,
        mark=charts.share_mark(share),
        tone="fail" if card.low > card.fpr else "pass" if card.high <= card.fpr else "unknown",
        limit=limit,
        line=_height(card.fpr, limit),
        columns=tuple(_columns(card.blocks, card.block_rows, limit)),
        heats=tuple(map(_heat, result.worst[:SHOWN])),
    )


def _columns(blocks: Sequence[DriftBlock], size: int, limit: float) -> Iterator[Column]:
    for place, block in enumerate(blocks):
        share = block.flagged / block.n if block.n else 0.0
        yield Column(
            block=block,
            first=block.number * size,
            x=round(100 * (place + 0.5) / len(blocks), 2),
            low=_height(block.low, limit),
            value=_height(share, limit),
            high=_height(block.high, limit),
        )


def _height(share: float, limit: float) -> float:
    return round(_TOP + HEIGHT * (1 - min(1.0, share / limit)), 1)


def _heat(sample: WorstSample) -> Heat:
    parts = _merged(sample.tokens)
    top = max((part for *_, part in parts), default=0.0)
    at = _opening(sample.text, parts[0][0] if parts else 0)
    pieces = [Piece("⋯\n")] if at else []
    for begin, end, part in parts:
        pieces += _visible(sample.text[at:begin], "", None)
        pieces += _visible(sample.text[begin:end], _level(part, top), part)
        at = end
    pieces += _visible(sample.text[at:], "", None)
    largest = sorted(parts, key=lambda each: -each[2])[:NAMED]
    named = (
        (unseen.word(sample.text[begin:end]), part) for begin, end, part in largest if part > 0
    )
    return Heat(sample, tuple(pieces), tuple(named))


def _opening(text: str, answer: int) -> int:
    """Return where the text begins on the page: some lines before the answer."""
    at = answer
    for _ in range(BEFORE + 1):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return 0
    return at + 1


def _merged(tokens: Sequence[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Return tokens in text order; those that share characters (bytes of one) as one token."""
    found: list[tuple[int, int, float]] = []
    for begin, end, part in sorted(tokens):
        if end <= begin:
            continue
        if found and begin < found[-1][1]:
            first, last, sum_of = found[-1]
            found[-1] = (first, max(last, end), sum_of + part)
        else:
            found.append((begin, end, part))
    return found


def _level(part: float, top: float) -> str:
    if top <= 0 or abs(part) < _FAINT * top:
        return ""
    share = min(1.0, abs(part) / top)
    return f"h{math.ceil(LEVELS * share)}" if part > 0 else f"c{math.ceil(AGAINST * share)}"


def _visible(text: str, level: str, part: float | None) -> Iterator[Piece]:
    """Yield text in pieces; a character that cannot be seen is named by its code point."""
    for characters, hidden in unseen.runs(text):
        yield Piece(characters, level, part, unseen=hidden)
