# SPDX-License-Identifier: Apache-2.0
"""Table rows and strips that the page is made of."""

from __future__ import annotations

import pytest

from codetemper.publish import views
from tests.publish import material


@pytest.mark.parametrize(
    ("expression", "answer"),
    [("seedling", True), ("seedling+tune-7f3a9c", True), ("hf:/opt/codetemper/seedling", True),
     ("hf:org/model@9e3c1f+tune-1", False), ("hf:org/seedlings", False), (None, False)],
)  # fmt: skip
def test_is_seedling(expression: str | None, answer: bool) -> None:
    assert views.is_seedling(expression) is answer


def test_security_and_function_are_told_apart() -> None:
    view = views.suite_view(material.suite_of("world-security-c", "c", 24, 2), 0.5)
    assert [row.label for row in view.security] == ["secure@1", "secure_pass@1"]
    assert [row.label for row in view.function] == ["pass@1", "valid@1"]
    assert view.forest_metric == "secure@1"
    cwes = [row.label for row in view.forest]
    assert cwes == ["CWE-125", "CWE-134", "CWE-190", "CWE-416", "CWE-476", "CWE-787", "All"]
    assert view.forest[-1].before == view.result.before.metrics["secure@1"]
    assert [row.label for _, rows in view.splits for row in rows][:2] == ["combination", "transfer"]
    assert sum(s.count for s in view.bars[0].segments) == len(view.result.before_verdicts)


def test_suite_without_security() -> None:
    view = views.suite_view(material.suite_of("world-sql", "sql", 12, 2), 0.5)
    assert view.security == view.forest == ()
    assert [item.row.label for item in views.headlines((view,), "function")] == ["exec_match"]
    assert views.headlines((view,), "security") == ()


def test_splits_stand_with_the_question_they_answer() -> None:
    view = views.suite_view(material.suite_of("world-security-c", "c", 24, 2), 0.5)
    assert [g.metric for g in views.split_groups((view,), "security")] == ["secure@1"]
    assert [g.metric for g in views.split_groups((view,), "function")] == ["pass@1"]


def test_counts_by_weakness_are_in_order() -> None:
    assert views.weakness_counts({"CWE-117": 2, "CWE-22": 1}) == (("CWE-22", 1), ("CWE-117", 2))
    assert views.weakness_counts({"python": 2, "c": 1}) == (("python", 2), ("c", 1))
