# SPDX-License-Identifier: Apache-2.0
"""The embedded completions: what is kept, what is cut, and that it reads back as it was."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from codetemper.publish.drill import LONGEST, drill, escape_json
from tests.publish import material


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_any_text_round_trips_and_cannot_end_the_element(text: str) -> None:
    packed = escape_json([text])
    assert json.loads(packed) == [text]
    assert not set("<>&") & set(packed)
    packed.encode("utf-8")


def test_equal_texts_are_stored_once() -> None:
    data = json.loads(drill((material.suite_of("world-python", "python", 30, 4),)).text)
    assert len(set(data["texts"])) == len(data["texts"])
    assert len(data["findings"]) == len({json.dumps(row) for row in data["findings"]})


def test_at_most_four_samples_are_shown() -> None:
    found = drill((material.suite_of("world-sql", "sql", 6, 7),))
    assert (found.shown, found.drawn) == (4, 7)
    cases = json.loads(found.text)["suites"][0]["cases"]
    assert {len(case["after"]) for case in cases} == {4}


def test_budget_drops_samples_before_it_cuts_texts() -> None:
    suites = (material.suite_of("world-python", "python", 30, 4),)
    whole = drill(suites)
    less = drill(suites, budget=len(whole.text) - 1)
    assert less.shown < whole.shown == 4
    assert len(less.text) < len(whole.text)
    assert drill(suites, budget=1).shown == 1


def test_long_texts_are_cut_and_counted() -> None:
    suite = material.suite_of("world-sql", "sql", 2, 1)
    endless = suite.before_completions[0].model_copy(update={"text": "x" * (LONGEST + 7)})
    object.__setattr__(suite, "before_completions", (endless, *suite.before_completions[1:]))
    found = drill((suite,))
    assert found.cut == 1
    assert any(t.endswith("\n[7 more characters]") for t in json.loads(found.text)["texts"])


def test_a_page_of_900_cases_stays_small() -> None:
    suites = tuple(
        material.suite_of(name, language, 225, 4)
        for name, language in (("world-security-c", "c"), ("world-python", "python"),
                               ("world-security-python", "python"), ("world-sql", "sql"))
    )  # fmt: skip
    found = drill(suites)
    assert found.shown == 4
    assert len(found.text.encode()) < 2_400_000


def test_missing_verdict_is_unknown() -> None:
    suite = material.suite_of("world-sql", "sql", 2, 1)
    object.__setattr__(suite, "before_verdicts", ())
    case = json.loads(drill((suite,)).text)["suites"][0]["cases"][0]
    assert case["before"][0]["o"] == "uuu"
    assert case["before"][0]["f"] == "unknown"
