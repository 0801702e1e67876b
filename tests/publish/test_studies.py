# SPDX-License-Identifier: Apache-2.0
"""Studies on the page: tables by suite, further questions, flags, and settings without a result."""

from __future__ import annotations

import dataclasses
import re

import pytest

from codetemper.core.accounts import StudyCard, StudyRow
from codetemper.publish import studies
from codetemper.publish.inputs import StudyResult
from codetemper.publish.report import render
from tests.publish import material

CARD = StudyCard(
    id="study-0123456789ab", model="seedling", model_digest="d", corpus="mine-1",
    corpus_digest="c", rows=1, config={"seeds": [0, 1]}, enough={"lora s secure@1": 0.25}, files={},
)  # fmt: skip


def _row(metric: str, difference: float | None, **more: object) -> StudyRow:
    facts: dict[str, object] = {
        "question": "settings", "setting": "lora function 1", "method": "lora", "size": 1.0,
        "granularity": "function", "against": "base", "suite": "s", "metric": metric, "n": 9,
        "before": 0.5, "p": 0.01, "holm": 0.02, "seconds": 3.0, "pairs": 717, "peak_bytes": 10**9,
    }  # fmt: skip
    if difference is not None:
        facts |= {"difference": difference, "after": 0.5 + difference, "low": difference - 0.05,
                  "high": difference + 0.05}  # fmt: skip
    return StudyRow.model_validate(facts | more)


@pytest.fixture
def study() -> StudyResult:
    """One good setting, one that broke code, one that failed, and a question beside."""
    rows = (
        _row("valid@1", 0.0), _row("secure@1", 0.2), _row("pass@1", 0.0, kept="open"),
        _row("secure@1", -0.1, setting="ia3 line 1", flag="+2.0 among the valid, but -10.0"),
        _row("", None, setting="full <b>1</b>", suite="", reason="seed 0: diverged"),
        _row("secure@1", 0.1, question="transfer", cases="CWE-78"),
    )  # fmt: skip
    return StudyResult(CARD, rows)


def test_a_suite_is_a_table_with_the_base_first(study: StudyResult) -> None:
    view = studies.study_view(study)
    (block,) = view.suites
    assert block.columns == ("Secure and valid", "Right", "Valid")
    assert block.decides == "secure@1"
    assert [line.label for line in block.lines] == ["base", "lora function 1", "ia3 line 1"]
    base, lora, ia3 = block.lines
    assert [n.value for n in base.numbers if n] == [0.5, 0.5, 0.5]
    assert lora.mark is not None
    assert lora.mark.value > 50 > (ia3.mark.value if ia3.mark else 50)
    assert (lora.tone, ia3.tone) == ("better", "worse")
    assert ia3.flag.startswith("security gained by breaking code")
    assert ia3.numbers[1] is None
    assert "717 pairs" in lora.note
    assert view.missing == (("full <b>1</b>", "seed 0: diverged"),)
    assert [block.title for block in view.questions] == [studies.QUESTIONS["transfer"]]


def test_the_page_shows_studies_only_where_there_are_some(study: StudyResult) -> None:
    report = material.small_report()
    assert 'id="study-title"' not in render(report)
    page = render(dataclasses.replace(report, studies=(study,)))
    section = page[page.index('id="study-title"') : page.index('id="undo-title"')]
    text = re.sub(r"<[^>]+>", " ", section)
    assert "+0.200" in text
    assert "security gained by breaking code" in text
    assert "<b>1</b>" not in section, "names are text, not markup"
    assert "25.0 %" in text
    assert section.count('class="delta"') == 3
