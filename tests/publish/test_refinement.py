# SPDX-License-Identifier: Apache-2.0
"""Refinements on the page: rounds, outcomes, likelihoods, the test, and answers that turned."""

from __future__ import annotations

import dataclasses
import html
import math
import re

import pytest

from codetemper.core.refinement import Changed, Refinement
from codetemper.publish.inputs import RefinementResult
from codetemper.publish.refinement import (
    EDGE,
    HEIGHT,
    NUMBERED,
    RefinementView,
    refinement_view,
    rejected,
)
from codetemper.publish.report import render
from tests.publish import material
from tests.publish.refined import SAMPLES, refinement, rounds

PATCH = "refine-0123456789ab"


def view_of(found: Refinement) -> RefinementView:
    return refinement_view(RefinementResult(PATCH, found))


def section_of(found: Refinement) -> str:
    report = material.small_report()
    page = render(dataclasses.replace(report, refinements=(RefinementResult(PATCH, found),)))
    return page[page.index('id="refinement-title"') : page.index('id="undo-title"')]


def text_of(section: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


def test_the_section_says_what_came_of_it_and_why_it_ended() -> None:
    text = text_of(section_of(refinement()))
    assert (
        "pass@1 on the validation cases: 0.28 [0.22, 0.34] → 0.49 [0.43, 0.55] , "
        "with the patch of round 3" in text
    )
    assert "498 to learn from, 164 to compare rounds, 166 for the test" in text
    assert "Why it ended: round 4 gained −0.006" in text
    assert (
        "valid@1 world-python: parses and, in compiled languages, compiles 0.87 0.96 n = 164 +0.094"
        in text
    )


def test_every_round_has_its_value_and_its_gain() -> None:
    stages = view_of(refinement()).stages
    assert [stage.label for stage in stages] == ["Base", "Round 1", "Round 2", "Round 3", "Round 4"]
    assert [stage.kept for stage in stages] == [False, False, False, True, False]
    assert [stage.tone for stage in stages] == ["", "better", "better", "better", "open"]
    text = text_of(section_of(refinement()))
    assert "Round 2 0.46 [0.40, 0.52] n = 164 +0.067 [+0.042, +0.092] better" in text
    assert "Round 3 kept 0.49" in text
    assert text.count(" kept ") == 3  # the chip and two sentences


def test_outcomes_are_whole_bars_and_syntax_errors_a_falling_curve() -> None:
    view = view_of(refinement())
    assert view.classes == ("clean", "insecure", "wrong", "runtime", "timeout", "syntax")
    for sampled in view.sampled:
        assert sum(segment.count for segment in sampled.segments) == SAMPLES
        assert sampled.segments[0].count == sampled.round.outcomes["pass"]
    (syntax,) = (curve for curve in view.curves if curve.label == "syntax")
    assert syntax.shares == pytest.approx([655 / 4980, 391 / 4980, 214 / 4980, 148 / 4980])
    heights = [y for _, y in syntax.points]
    assert heights == sorted(heights), "pixels grow downwards"
    assert heights[0] == EDGE
    assert all(EDGE <= y <= EDGE + HEIGHT and 0 < x < 100 for x, y in syntax.points)
    text = text_of(section_of(refinement()))
    assert "syntax error 13.2 7.9 4.3 3.0" in text


def test_pairs_are_counted_by_source_and_by_what_is_wrong() -> None:
    text = text_of(section_of(refinement()))
    assert "4 980 3 601 distinct 291 of 498 1 215" in text
    assert "1 203 by running both 12 by a person" in text
    first = view_of(refinement()).sampled[0].round
    assert [name for name, _ in rejected(first)] == [
        "wrong", "runtime", "syntax", "timeout", "insecure",
    ]  # fmt: skip
    assert "1.31 → 0.66 152 steps" in text
    assert "training 17 min 53 s" in text


def test_likelihoods_lie_on_one_axis_and_a_fall_of_the_better_ones_is_named() -> None:
    view = view_of(refinement())
    assert view.ends == (-1.75, -0.25)
    for each in view.likelihoods:
        better, worse = each.shifts
        for shift in each.shifts:
            assert shift.start is not None
            assert shift.end is not None
            assert (shift.end > shift.start) == (shift.after > shift.before)
        assert better.after > worse.after
    text = text_of(section_of(refinement()))
    assert "−0.31 → −0.33 −0.03 less likely" in text
    assert text.count("less likely") == 1


@pytest.mark.parametrize(
    ("sides", "ends"),
    [((0.0, 0.0), (-0.1, 0.0)), ((-40.0, -3.0), (-40.0, 0.0)), ((math.nan, -0.5), (-0.6, -0.5))],
)
def test_the_axis_of_likelihoods_holds_any_numbers(
    sides: tuple[float, float], ends: tuple[float, float]
) -> None:
    one = rounds()[0].model_copy(update={"chosen_logprob": sides, "rejected_logprob": sides})
    view = view_of(refinement(rounds=(one,), chosen_round=1))
    assert view.ends == pytest.approx(ends)
    drawn = [place for shift in view.likelihoods[0].shifts for place in (shift.start, shift.end)]
    assert drawn.count(None) == 2 * sum(map(math.isnan, sides))
    assert all(place is None or 0 <= place <= 100 for place in drawn)


def test_a_round_without_pairs_has_no_likelihoods() -> None:
    """Answers that are in no pair can be learned from too."""
    one = rounds()[0].model_copy(update={"pairs": {}, "rejected": {}, "chosen_logprob": (0.0, 0.0)})
    section = section_of(refinement(rounds=(one,), chosen_round=1))
    assert "Round 1 – → – – – → – –" in text_of(section)
    assert 'class="w chosen"' not in section
    assert 'class="w chosen"' in section_of(refinement())


def test_what_turned_shows_both_answers_gains_first() -> None:
    gained, lost = view_of(refinement()).turns
    assert (gained.gained, lost.gained) == (True, False)
    before, after = gained.answers
    assert [line.kind for line in before.lines] == ["", "", "del", ""]
    assert [line.kind for line in after.lines] == ["", "", "add", ""]
    assert [run.text for run in after.lines[2].runs if run.changed] == ["+"]
    section = section_of(refinement())
    assert section.count('class="turn"') == 2
    assert section.count('class="row del"') == section.count('class="row add"') == 2
    assert "python.numbers/007 fails its tests → no problem found" in text_of(section)


def test_hostile_answers_stay_text() -> None:
    evil = material.HOSTILE
    found = Changed(case="<b>\u202e", prompt=evil, before=evil, after=evil, verdict_before="<i>",
                    verdict_after="pass")  # fmt: skip
    report = material.small_report()
    result = RefinementResult(PATCH, refinement(changed=(found,), stop="<u>x</u>", metric="<s>"))
    # The patch's card shows what was measured; of a refinement the section does, with its care.
    patch = report.manifests[0].model_copy(
        update={"id": PATCH, "report": result.refinement.model_dump(mode="python")}
    )
    page = render(dataclasses.replace(report, manifests=(patch,), refinements=(result,)))
    shown, _, data = page.partition('<script type="application/json"')
    assert "<script" not in shown
    for tag in ("<img", "<b>\u202e", "<i>", "<u>", "<s>", "\u202e", "\x00", "\u2028", "style="):
        assert tag not in shown
    section = shown[shown.index('id="refinement-title"') :]
    text = html.unescape(re.sub(r"<[^>]+>", "", section))
    assert text.count("<script>document.title = 'owned'</script>") == 3
    assert text.count("{{ 7 * 7 }}") == 3
    assert text.count("U+D800") == 3
    assert "owned" in data, "the suites' own hostile answer still travels as JSON"
    assert "What each round did" in shown


def test_a_refinement_that_learned_nothing_is_explained() -> None:
    stop = "no prompt has both right and wrong answers: all samples of 498 prompts fail"
    found = refinement(rounds=(), chosen_round=0, test={}, changed=(), stop=stop)
    section = section_of(found)
    text = text_of(section)
    assert stop in text
    assert "nothing was learned" in text
    assert "<table" not in section
    assert "<figure" not in section
    kept_base = text_of(section_of(refinement(chosen_round=0)))
    assert "no round was better" in kept_base
    assert "Base kept 0.28" in kept_base
    fell = rounds()[0].model_copy(update={"validation": refinement().start})
    worse = text_of(section_of(refinement(rounds=(fell,), chosen_round=1)))
    assert "with the patch of round 1 no better than the base" in worse


def test_the_page_has_the_section_only_where_something_was_refined() -> None:
    page = render(material.small_report())
    assert 'id="refinement-title"' not in page
    assert "Measured while it was made" in page
    one = section_of(refinement(rounds=rounds()[:1], chosen_round=1))
    assert 'class="curves"' not in one, "one round makes no curve"
    many = tuple(rounds()[n % 4].model_copy(update={"round": n + 1}) for n in range(NUMBERED + 1))
    shares = re.findall(
        r'class="num shares">(.*?)</span></li>', section_of(refinement(rounds=many))
    )
    assert all(len(re.findall(r"\d", share)) <= 6 for share in shares), "first and last alone"
    assert len(shares) == 6
