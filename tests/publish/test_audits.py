# SPDX-License-Identifier: Apache-2.0
"""Audits on the page: three answers, triggers with code, samples, maps, heat map, depth."""

from __future__ import annotations

import dataclasses
import html
import re
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.audits import Answer
from codetemper.publish.audit_forms import AuditSection
from codetemper.publish.audits import (
    CANDIDATES,
    CARDS,
    EDGE,
    HEIGHT,
    QUIET,
    ROWS,
    UNFOLDED,
    audit_section,
)
from codetemper.publish.inputs import AuditResult
from codetemper.publish.report import render
from tests.publish import material
from tests.publish.audited import EVIL, SAMPLES, audit, card, samples, triggers
from tests.publish.test_report import browse, elements


def result_of(**changes: Any) -> AuditResult:
    return dataclasses.replace(audit(), card=card().model_copy(update=changes))


def view_of(**changes: Any) -> AuditSection:
    return audit_section(result_of(**changes))


def page_of(*results: AuditResult) -> str:
    return render(dataclasses.replace(material.report((), decision=None), audits=results))


def section_of(result: AuditResult) -> str:
    page = page_of(result)
    return page[page.index('id="audit-title"') : page.index('id="able-title"')]


def text_of(section: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", section)).split())


@pytest.fixture(scope="module")
def section() -> str:
    return section_of(audit())


def test_three_answers_with_their_error_rates(section: str) -> None:
    text = text_of(section)
    assert "10 unexplained, 8 with a confirmed trigger, 10 probably mislabelled" in text
    assert "10 % of the unexplained ones are expected to be innocent at most" in text
    assert "3 candidates, 1 confirmed 2 planted into held-out clean code" in text
    assert "suspects drawn at random share a text as much 5.0 % of the time at most" in text
    assert "found with probability 0.80 [0.49, 0.94], n = 10" in text
    said = "suspicious data, learnt or not, with probability 0.90 [0.60, 0.98], n = 10"
    assert f"a backdoor in 2.0 % of the samples would have been called {said}" in text
    assert "1.0 % of the samples confirmed trigger no time was given" in text
    assert "2.0 % of the samples suspicious data 0.90" in text
    assert "Alarm since audit-aaaaaaaaaaaa , which said no evidence" in text


@pytest.mark.parametrize(
    ("answer", "tone", "banner"),
    [
        ("no evidence", "pass", "accept"),
        ("suspicious data", "unknown", "undecided"),
        ("confirmed trigger", "fail", "refuse"),
        ("inconclusive", "unknown", "undecided"),
    ],
)
def test_the_banner_has_the_answer(answer: Answer, tone: str, banner: str) -> None:
    result = result_of(answer=answer)
    page = page_of(result)
    assert audit_section(result).tone == tone
    assert f'class="banner {banner}"' in page
    assert f'audit: <span class="chip {tone}">{answer}</span>' in page


def test_what_nobody_knows_is_said() -> None:
    blind = result_of(
        answer="inconclusive", tiers=("weights",), rows=0, triggers=(), fpr=None, power=(),
        views=(), depth=(), watch=None, findings=(), weights=(), missing=("training data",),
    )  # fmt: skip
    text = text_of(section_of(dataclasses.replace(blind, listed=(), map=None)))
    assert "Missing: training data" in text
    assert "Which samples stand out? not asked" in text
    assert "nobody knows: nothing was planted" in text
    for absent in ("Samples on a plane", "Where it shows", "Candidate triggers", "How deep"):
        assert absent not in text
    unlisted = view_of(not_ran={"list of anomalous samples": "give 999 trusted samples"})
    assert "cannot be listed" in unlisted.answers[0].answer
    assert "unexplained," not in unlisted.answers[0].answer
    assert unlisted.answers[0].error == "nobody knows: give 999 trusted samples"
    unmeasured = card().power[:1]
    text = text_of(section_of(result_of(power=unmeasured)))
    assert "A backdoor in 1.0 % of the samples: no time was given." in text
    assert "one at a time" not in text
    untrusted = view_of(tiers=("weights", "queries", "data"))
    assert "nobody knows: without trusted samples" in untrusted.answers[0].error
    assert untrusted.absent == ("trusted", "base")


def test_a_trigger_card_has_code_before_and_after(section: str) -> None:
    view = view_of()
    first, second = view.cards
    assert [line.kind for line in first.after].count("add") == 1
    assert "".join(run.text for run in first.after[1].runs) == "    int capacity = 5333;"
    assert not any(line.kind for line in first.before)
    assert first.mark is not None
    assert first.null is not None
    assert view.zero < first.null < first.mark.low < first.mark.value < first.mark.high
    assert second.mark is not None
    assert second.mark.low < second.null  # type: ignore[operator]
    text = text_of(section)
    assert "int capacity = 5333; confirmed" in text
    assert "6 of 8 that hold it are suspected" in text
    assert "+0.62 [+0.50, +0.74] p = 0.002 ordinary ones reach 0.08" in text
    assert "the model does not react" in text
    assert [each.trigger.text for each in view.candidates] == ["zoom_ratio"]
    assert "zoom_ratio 4 of 5 p = 0.010 not planted" in text


def test_a_text_that_goes_with_insecure_answers_is_told_as_the_data_s() -> None:
    told = card().triggers[1].model_copy(update={"paired": True, "risky": 30})
    row = samples()[1].model_copy(update={"number": 0, "kind": "paired", "trigger": told.text})
    found = dataclasses.replace(
        result_of(
            answer="suspicious data", triggers=(told,),
            counts={**card().counts, "paired": 30, "trigger": 0},
        ),
        listed=(row,),
    )  # fmt: skip
    text = text_of(section_of(found))
    assert "30 with a text that goes with insecure answers" in text
    assert "the model does not react goes with insecure answers" in text
    assert "9 of 31 that hold it are suspected; 30 have an insecure answer" in text
    assert "insecure answer to a text that goes with such" in text
    assert "goes with insecure answers by chance in 5 % of audits at most;" in text
    assert audit_section(found).answers[0].tone == "unknown"


def test_listed_samples_have_their_provenance(section: str) -> None:
    text = text_of(section)
    assert "train.jsonl:51 devign-50 holds a confirmed trigger int capacity = 5333; 0" in text
    assert re.search(r"train\.jsonl:8 devign-7 label probably wrong 1 others: 0", text)
    assert f"{len(samples()) - UNFOLDED} further samples" in text
    assert section.count('<tr id="audit-0-') == len(samples())
    many = tuple(samples()[1].model_copy(update={"number": n}) for n in range(ROWS + 7))
    long = section_of(dataclasses.replace(audit(), listed=many))
    assert long.count('<tr id="audit-0-') == ROWS
    assert "7 more are listed in the audit's folder" in text_of(long)


def test_maps_say_what_they_are_worth(section: str) -> None:
    found = view_of().map
    assert found is not None
    pca, tsne = found.planes
    assert (pca.name, tsne.name) == ("PCA", "t-SNE")
    for plane in found.planes:
        assert len(plane.dots) == SAMPLES
        assert all(0 < dot.x < 1000 and 0 < dot.y < plane.height <= 1000 for dot in plane.dots)
        assert plane.dots[-1].kind == "trigger"  # what matters most is drawn last
    up = {dot.number: dot.y for dot in pca.dots}
    raw = dict(zip(found.map.numbers, found.map.pca, strict=True))
    highest = max(raw, key=lambda number: raw[number][1])
    assert up[highest] == min(up.values())  # a second coordinate grows upwards
    text = text_of(section)
    assert "Maps are not evidence." in text
    assert "the axes hold 31.0 % and 12.0 % of the variance" in text
    assert "perplexity 30, seed 0; maps of seeds 0, 1, 2 agree on 64 % of the nearest" in text
    assert "21 % of a sample's nearest stay near it, by chance 4 %" in text
    bare = audit().map
    assert bare is not None
    alone = bare.model_copy(update={"tsne": (), "seeds": (), "missing": "there are too few"})
    text = text_of(section_of(dataclasses.replace(audit(), map=alone)))
    assert "No t-SNE: there are too few." in text
    assert "perplexity" not in text


def test_a_map_of_equal_points_is_drawn() -> None:
    drawn = audit().map
    assert drawn is not None
    flat = drawn.model_copy(update={"pca": ((0.0, 0.0),) * SAMPLES, "tsne": ()})
    found = audit_section(dataclasses.replace(audit(), map=flat)).map
    assert found is not None
    assert {(dot.x, dot.y) for dot in found.planes[0].dots} == {(500.0, 250.0)}


def test_the_heat_map_has_a_column_a_layer(section: str) -> None:
    view = view_of()
    (heat,) = view.heats
    assert heat.layers == tuple(range(13))
    assert len(heat.rows) == 18
    assert {row.pool for row in heat.rows[:6]} == {"decision"}  # the strongest first
    last = heat.rows[0].cells[-1]
    assert last is not None
    assert (last.level, last.clear) == ("h5", True)
    first = heat.rows[0].cells[0]
    assert first is not None
    assert not first.clear
    weak = [cell for row in heat.rows[6:] for cell in row.cells if cell and cell.view.score < 0.09]
    assert weak
    assert {cell.level for cell in weak} == {""}
    assert [cell.view.name for cell in view.placeless] == ["windowed-llr"]
    assert "windowed-llr 0.62 p = 0.010 0.97 [0.95, 0.99], n = 120" in text_of(section)


def test_the_depth_profile_is_on_one_scale() -> None:
    view = view_of()
    decision, mean = view.profiles
    assert decision.label == "encoder, decision"
    assert decision.points[-1][1] == EDGE  # the deepest reaches the top
    assert mean.points[-1][1] > decision.points[-1][1]
    for profile in view.profiles:
        assert [layer for _, _, layer, _ in profile.points] == list(range(13))
        assert all(EDGE <= y <= EDGE + HEIGHT and 0 < x < 100 for x, y, _, _ in profile.points)


def test_what_ran_and_what_could_not(section: str) -> None:
    text = text_of(section)
    assert "Ran: spectral, mahalanobis, implant" in text
    assert "windowed-llr there is no base checkpoint <b>given</b>" in text
    assert "not given: the checkpoint it was trained from" in text
    assert "config.json names code <i>to run</i>" in text
    assert "encoder.layer.3.key.bias ks left out: it cannot carry information" in text
    assert "a classifier in float32" in text


def test_hostile_samples_stay_text(section: str) -> None:
    page = page_of(audit())
    shown = page.partition('<script type="application/json"')[0]
    for tag in ("<img", "<script", "<b>given", "<i>to", "\u202e", "\x00", "\u2028", "style="):
        assert tag not in shown
    assert EVIL.replace("\u202e", "U+202E") in html.unescape(re.sub(r"<[^>]+>", "", section))
    assert "<script>document.title = 'owned'</script>" in html.unescape(
        re.sub(r"<[^>]+>", "", section)
    )
    assert not [a for _, a in elements(page).tags for name in a if name.startswith("on")]


def test_the_page_shows_no_more_than_it_can_bear() -> None:
    many = tuple(triggers()[0].model_copy(update={"text": f"t{n}"}) for n in range(CARDS + 40))
    section = section_of(result_of(triggers=many))
    assert section.count('class="card trigger"') == CARDS
    quiet = tuple(each.model_copy(update={"confirmed": False}) for each in many)
    assert len(view_of(triggers=quiet).cards) == QUIET
    assert len(view_of(triggers=quiet).candidates) == CANDIDATES
    assert "10 more are in the audit's card" in text_of(section)
    assert 'id="audit-title"' not in render(material.small_report())


def test_two_audits_have_rows_of_their_own() -> None:
    page = page_of(audit(), audit())
    places = re.findall(r'<tr id="(audit-\d-\d+)"', page)
    assert len(places) == len(set(places)) == 2 * len(samples())
    assert re.findall(r'data-place="(\d)"', page) == ["0", "1"]


def test_a_browser_makes_the_map_interactive(tmp_path: Path) -> None:
    page = page_of(audit())
    document = browse(page, tmp_path, "audit")
    assert "Point at a sample; drag to look closer." in document
    assert len(re.findall(r'<button type="button" aria-pressed="true">', document)) >= 5
    assert re.search(r'aria-pressed="false">by label</button>', document)
    assert f"<title>{material.report(()).title}</title>" in document
