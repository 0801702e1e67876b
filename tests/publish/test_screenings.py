# SPDX-License-Identifier: Apache-2.0
"""Screenings on the page: share, drift, tokens of hostile samples, and nothing they could do."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest

from codetemper.core.accounts import DriftBlock, ScreeningCard, WorstSample
from codetemper.core.records import Estimate
from codetemper.publish.inputs import ScreeningResult
from codetemper.publish.report import render
from codetemper.publish.screenings import HEIGHT, SHOWN, screening_view
from tests.publish import material

BLOCKS = tuple(
    DriftBlock(
        number=n, n=50, flagged=12 if n == 2 else 0, low=0.1 if n == 2 else 0.0,
        high=0.4 if n == 2 else 0.07, median=0.1 * n, p_share=1e-9 if n == 2 else 1.0,
        p_shift=0.5, drifts=n == 2,
    )
    for n in range(4)
)  # fmt: skip
CARD = ScreeningCard(
    id="screening-0123456789ab", model="seedling", model_digest="m", guards=("guard-0123456789ab",),
    data="<i>bought</i>.jsonl", data_digest="d", rows=203, scored=200, flagged=12, low=0.035,
    high=0.1, fpr=0.01, thresholds=(1.25,), calibrated="clean.jsonl 0123",
    separation={"guard-0123456789ab": Estimate(value=0.98, low=0.9, high=1.0, n=20)},
    blocks=BLOCKS, block_rows=50, head="h", files={},
)  # fmt: skip


def worst(text: str, tokens: tuple[tuple[int, int, float], ...], **more: object) -> WorstSample:
    facts = {"number": 7, "sample": "s", "guard": CARD.guards[0], "ratio": 2.5, "flagged": True}
    return WorstSample.model_validate(facts | {"text": text, "tokens": tokens} | more)


def page_of(*shown: WorstSample, card: ScreeningCard = CARD) -> str:
    report = material.small_report()
    report = dataclasses.replace(report, screenings=(ScreeningResult(card, shown),))
    page = render(report)
    return page[page.index('id="screening-title"') : page.index('id="undo-title"')]


def test_tokens_are_coloured_by_what_they_add() -> None:
    text = "def f(x):\n    eval(x)\n"
    tokens = ((14, 18, 2.0), (18, 19, 0.3), (19, 20, 0.01), (20, 21, -0.5), (22, 22, 0.1))
    (heat,) = screening_view(ScreeningResult(CARD, (worst(text, tokens),))).heats
    assert "".join(piece.text for piece in heat.pieces) == text
    levels = {piece.text: piece.level for piece in heat.pieces if piece.part is not None}
    assert levels == {"eval": "h5", "(": "h1", "x": "", ")": "c1"}
    assert heat.named[0] == ("eval", 2.0)
    assert all(part > 0 for _, part in heat.named)


def test_tokens_that_share_characters_are_one() -> None:
    """The bytes of one character may be several tokens, each with all of its place."""
    text = "x = '日'\n"
    tokens = ((5, 6, 0.1), (5, 6, 0.2), (5, 6, 0.3), (6, 8, 0.1))
    (heat,) = screening_view(ScreeningResult(CARD, (worst(text, tokens),))).heats
    assert "".join(piece.text for piece in heat.pieces) == text
    (part,) = (piece.part for piece in heat.pieces if piece.text == "日")
    assert part == pytest.approx(0.6)


def test_of_a_long_prompt_its_last_lines_are_shown() -> None:
    prompt = "".join(f"# line {number}\n" for number in range(20))
    (heat,) = screening_view(
        ScreeningResult(CARD, (worst(prompt + "eval(x)", ((len(prompt), len(prompt) + 4, 1.0),)),))
    ).heats
    shown = "".join(piece.text for piece in heat.pieces)
    assert shown == "⋯\n" + "".join(f"# line {n}\n" for n in range(15, 20)) + "eval(x)"


def test_what_cannot_be_seen_is_named() -> None:
    text = "a\u202eb\x00c\td\u200b\n"
    (heat,) = screening_view(ScreeningResult(CARD, (worst(text, ((0, 3, 1.0),)),))).heats
    assert [piece.text for piece in heat.pieces if piece.unseen] == ["U+202E", "U+0000", "U+200B"]
    assert "".join(p.text for p in heat.pieces if not p.unseen) == "abc\td\n"
    assert heat.named == (("aU+202Eb", 1.0),)


def test_a_hostile_sample_stays_text() -> None:
    text = material.HOSTILE.replace("\ud800", "")
    spans = tuple((at, at + 3, 0.1) for at in range(0, len(text) - 3, 3))
    section = page_of(worst(text, spans, sample="<img src=x onerror=alert(1)>"))
    assert "<script" not in section
    assert "<img" not in section
    assert "{{ 7 * 7 }}" in html.unescape(re.sub(r"<[^>]+>", "", section))
    assert "\u202e" not in section
    assert "\x00" not in section
    assert "<i>" not in section
    assert "style=" not in section


def test_the_share_and_the_blocks_are_on_the_page() -> None:
    section = page_of(worst("eval(x)", ((0, 4, 1.0),)))
    text = " ".join(re.sub(r"<[^>]+>", " ", section).split())
    assert "6.0 % flagged [3.5 %, 10.0 %] : 12 of 200 samples" in text
    assert "more than clean samples would show" in text
    assert "3 samples have nothing to score" in text
    assert "by the clean samples in clean.jsonl" in text
    assert "AUROC 0.98 [0.90, 1.00], n = 20" in text
    assert "100 to 149 drifts 12 of 50 0.24 [0.10, 0.40]" in text
    assert section.count('class="w worse"') == 1
    assert section.count('class="w before"') == 3


def test_marks_lie_inside_the_drawing() -> None:
    view = screening_view(ScreeningResult(CARD, ()))
    assert view.limit == 0.5
    assert [column.first for column in view.columns] == [0, 50, 100, 150]
    for column in view.columns:
        assert 0 < column.x < 100
        assert 0 <= column.high <= column.value <= column.low <= HEIGHT + 6
    assert view.columns[2].value < view.columns[0].value
    assert view.columns[0].high <= view.line <= view.columns[0].low


@pytest.mark.parametrize(
    ("low", "high", "tone"), [(0.02, 0.1, "fail"), (0.0, 0.005, "pass"), (0.005, 0.03, "unknown")]
)
def test_the_share_is_held_against_the_rate(low: float, high: float, tone: str) -> None:
    card = CARD.model_copy(update={"low": low, "high": high})
    assert screening_view(ScreeningResult(card, ())).tone == tone


def test_the_page_shows_no_more_than_it_can_bear() -> None:
    many = [worst("eval(x)", ((0, 4, 1.0),), number=n) for n in range(SHOWN + 5)]
    assert page_of(*many).count('class="sample"') == SHOWN
    plain = render(material.small_report())
    assert 'id="screening-title"' not in plain
    assert 'class="drift"' in page_of()
    assert 'class="drift"' not in page_of(card=CARD.model_copy(update={"blocks": BLOCKS[:1]}))
