# SPDX-License-Identifier: Apache-2.0
"""Repairs on the page: failures, neurons, foretold and achieved gaps, budgets, what flipped."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import pytest

from codetemper.core.repairs import Failure, Repair
from codetemper.publish.inputs import RepairResult
from codetemper.publish.repair_forms import RepairView
from codetemper.publish.repairs import FULL, SHOWN, repair_view, untold
from codetemper.publish.report import render
from tests.publish import material
from tests.publish.repaired import HOSTILE, PATCH, failures, reading, repair


def result_of(found: Repair, some: tuple[Failure, ...] | None = None) -> RepairResult:
    return RepairResult(PATCH, "seedling", found, failures() if some is None else some)


def view_of(**changes: Any) -> RepairView:
    return repair_view(result_of(repair().model_copy(update=changes)))


def section_of(result: RepairResult) -> str:
    page = render(dataclasses.replace(material.small_report(), repairs=(result,)))
    return page[page.index('id="repair-title"') : page.index('id="undo-title"')]


def text_of(section: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


@pytest.fixture(scope="module")
def section() -> str:
    return section_of(result_of(repair()))


def test_the_section_says_what_came_of_it(section: str) -> None:
    text = text_of(section)
    assert "2 of 3 failures are right token by token, 1 is written rightly" in text
    assert "1 not repaired" in text
    assert "It holds the repairs of repair-aaaaaaaaaaaa , too" in text
    assert "retrain long not tried: 90 of 99 tokens are wrong" in text
    assert "left out 7 cases right already" in text
    assert "count repaired largest gap 12.00 → −0.50" in text
    assert "left still wrong" in text
    assert "Repaired together with 1 other wording of the prompt." in text
    assert re.search(r"repaired not written freely", text)


def test_neurons_say_their_words(section: str) -> None:
    text = text_of(section)
    assert "layer 3, 621 +2.35 L l ·- ↵ U+200B" in text
    assert "Neurons that serve several failures layer 3, 621 in 2 failures raises L lowers" in text
    first, second = view_of().cases[0].writers
    assert (first.width, second.width) == (100.0, pytest.approx(21.3))


def test_wrong_tokens_have_their_gaps(section: str) -> None:
    view = view_of()
    first, second = view.cases[0].wrong
    assert (first.wanted, first.before, first.after) == ("·-", 7.0, -0.5)
    assert (second.before, second.after) == (12.0, -0.6)
    assert first.end < view.zero < first.start < second.start
    # Of other wordings nothing is told beside the prompt's own tokens.
    (only,) = view.cases[1].wrong
    assert (only.before, only.after) == (3.0, -1.0)
    assert "·- for ·photos" in text_of(section)
    lost = repair_view(result_of(repair().model_copy(update={"gaps_before": {}, "gaps_after": {}})))
    assert lost.cases[0].wrong[0].before is None


def test_what_was_foretold_is_held_against_what_came(section: str) -> None:
    view = view_of()
    first, last = view.steps
    assert (first.active, first.wrong, first.still) == (2, 2, 1)
    assert (first.before, first.foretold, first.achieved) == (9.5, -0.5, pytest.approx(0.1))
    assert first.off == pytest.approx(0.6)
    assert (last.still, last.note) == (0, "again")
    assert [point.last for point in view.points] == [False, False, True]
    # Foretold and achieved alike lies on the line from the lower left to the upper right.
    assert view.points[2].x == pytest.approx(100 - view.points[2].y, abs=0.02)
    assert view.points[1].y < 100 - view.points[1].x  # less than foretold: above the line
    assert section.count('class="p after"') >= 1
    silent = tuple(each.model_copy(update={"predicted": ()}) for each in repair().rounds)
    assert view_of(rounds=silent).points == ()
    assert view_of(rounds=silent).steps[0].off is None


def test_budgets_are_drawn_and_those_passed_are_told(section: str) -> None:
    limits = {limit.label: limit for limit in view_of().limits}
    assert limits["accuracy lost"].kept
    assert limits["accuracy lost"].width == pytest.approx(FULL * 0.4)
    assert not limits["predictions that flipped"].kept
    assert limits["predictions that flipped"].width == 100
    assert limits["mean KL"].width is None
    assert not limits["earlier repairs undone"].kept
    text = text_of(section)
    assert "accuracy lost 0.20 points 0.50 points kept" in text
    assert "predictions that flipped 1.0 % 0.5 % passed" in text
    assert "mean KL 0.0015 nats a token lifted" in text
    assert "Earlier repairs undone: old <b>one</b>" in text
    assert "50.0 % of it was written" in text


def test_guards_that_were_given_up_are_told(section: str) -> None:
    assert "guarded predictions" not in text_of(section)
    missed = repair().model_copy(update={"notes": {"guards": 90, "guards missed": 1234}})
    text = text_of(section_of(result_of(missed)))
    assert "1 234 guarded predictions of the reference texts flip" in text


def test_flips_are_told_with_their_place(section: str) -> None:
    text = text_of(section)
    assert "text 6 # a <i>link</i>↵ln - ▏ ·/ ·/ → ·delta was right 0.070" in text
    assert "·-- ↵ → ·-- right afterwards < 0.001" in text
    assert "8 further flips are counted and not named" in text
    assert "1 lost a" in text
    assert "1 gained c" in text
    assert untold(reading()) == 8
    bare = section_of(result_of(repair().model_copy(update={"turned": ()})))
    assert "text 6, token 3: 7 → 9" in text_of(bare)


def test_without_reference_texts_side_effects_are_unknown() -> None:
    blind = reading().model_copy(
        update={"texts": 0, "tokens": 0, "flips": 0.0, "flipped": (), "earlier": 0, "broken": ()}
    )
    changes = {"monitor": blind, "turned": (), "measured": None, "written": None, "step": 1.0}
    text = text_of(section_of(result_of(repair().model_copy(update=changes))))
    assert "side effects unknown" in text
    assert "Nobody looked elsewhere" in text
    assert "What flipped elsewhere" not in text
    assert "Free runs" not in text


def test_hostile_words_stay_words(section: str) -> None:
    assert "<img" not in section
    assert "<script" not in section
    assert "<b>one" not in section
    assert "<i>link" not in section
    assert "\u202e" not in section
    assert "style=" not in section
    assert HOSTILE.replace("\u202e", "U+202E") in html.unescape(re.sub(r"<[^>]+>", "", section))


def test_the_page_shows_no_more_than_it_can_bear() -> None:
    many = tuple(failures()[0].model_copy(update={"id": f"f{n}"}) for n in range(SHOWN + 5))
    section = section_of(result_of(repair(), many))
    assert section.count('<details class="turn"') == SHOWN
    assert "5 more failures are in the patch" in text_of(section)


def test_the_patch_card_leads_to_the_section() -> None:
    report = material.small_report()
    (patch,) = report.manifests
    found = dataclasses.replace(result_of(repair()), patch=patch.id)
    page = render(dataclasses.replace(report, repairs=(found,)))
    card = page[page.index('id="model-title"') : page.index('id="safer-title"')]
    assert 'href="#repair"' in card
    assert "&#34;steps&#34;" not in card
    assert 'id="repair-title"' not in render(report)
