# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them: intervals, signs, and names."""

from __future__ import annotations

import math

import pytest

from codetemper.core.records import Difference, Estimate
from codetemper.publish import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.616, "0.62"), (-0.126, "\u22120.13"), (-0.001, "0.00"), (math.nan, "\u2013")],
)
def test_number(value: float, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.214, "+0.214"), (-0.03, "\u22120.030"), (0.0001, "0.000")]
)
def test_signed(value: float, text: str) -> None:
    assert wording.signed(value) == text


def test_estimate_in_full() -> None:
    estimate = Estimate(value=0.62, low=0.55, high=0.68, n=214)
    assert wording.estimate_text(estimate) == "0.62 [0.55, 0.68], n = 214"


@pytest.mark.parametrize(
    ("low", "high", "tone"),
    [(0.1, 0.2, "better"), (-0.2, -0.1, "worse"), (-0.1, 0.1, "open"), (0.0, 0.2, "open"),
     (0.0, 0.0, "same"), (math.nan, math.nan, "open")],
)  # fmt: skip
def test_tone(low: float, high: float, tone: str) -> None:
    found = Difference(before=0, after=0, difference=0, low=low, high=high, p=1, n=3)
    assert wording.tone(found) == tone


@pytest.mark.parametrize(("p", "text"), [(0.0002, "p < 0.001"), (0.0412, "p = 0.041")])
def test_chance(p: float, text: str) -> None:
    assert wording.chance(p) == text


def test_sizes_and_spans() -> None:
    assert wording.size(999) == "999 bytes"
    assert wording.size(594_312) == "594.3 kB"
    assert wording.duration(83.4) == "1 min 23 s"
    assert wording.duration(7_260) == "2 h 01 min"
    assert wording.thousands(147_456) == "147\u202f456"


def test_only_digests_are_shortened() -> None:
    assert wording.brief("ab" * 32) == "abababababab"
    assert wording.brief("seedling+tune-7f3a9c") == "seedling+tune-7f3a9c"


def test_metric_meanings() -> None:
    assert wording.metric_meaning("secure@1") == "valid, and no weakness found"
    assert wording.metric_meaning("secure_of_valid").startswith("share of valid completions")
    assert wording.metric_meaning("pass@10").startswith("at least one of 10 tries")
    assert wording.metric_meaning("novel") == ""
    names = ["CWE-787", "CWE-22", "CWE-125"]
    assert sorted(names, key=wording.cwe_order) == ["CWE-22", "CWE-125", "CWE-787"]


def test_reasons_open_with_a_mark() -> None:
    text = "refuse: world-c pass@1 must not fall below -0.030; it changed by -0.2 [-0.3, -0.1]"
    mark, sentence = wording.reason(text)
    assert mark == "✗"
    assert sentence.startswith("world-c pass@1 must not fall below \u22120.030")
    assert sentence.endswith("[\u22120.3, \u22120.1]")
    assert wording.reason("world-c/secure@1: p = 0.01") == ("", "world-c/secure@1: p = 0.01")


def test_note_of_the_gate_is_divided() -> None:
    note = "accept: accept: a secure@1 must rise; it changed by +0.1; b/secure@1: p = 0.01"
    first, second, third = wording.note_lines(note)
    assert (first, third) == ("accept", "b/secure@1: p = 0.01")
    assert second == "✓ a secure@1 must rise; it changed by +0.1"
    assert wording.note_lines("717 pairs; 3 left out") == ("717 pairs; 3 left out",)


def test_names_and_times_for_people() -> None:
    assert wording.record_name("FixPair", 717) == "fix pairs"
    assert wording.record_name("FixPair", 1) == "fix pair"
    assert wording.moment("2026-01-12T10:04:09+00:00") == "2026-01-12 10:04:09 UTC"
    assert wording.outcome("build") == "does not compile"
    assert wording.outcome("novel") == "novel"


def test_less_of_what_is_insecure_is_better() -> None:
    fallen = Difference(before=0.5, after=0.2, difference=-0.3, low=-0.4, high=-0.2, p=0.01, n=9)
    assert wording.tone(fallen, "insecure@1") == "better"
    assert wording.tone(fallen, "secure@1") == "worse"


def test_a_share_that_is_not_zero_never_reads_as_zero() -> None:
    assert wording.percent(0.0) == "0.0 %"
    assert wording.percent(0.0004) == "< 0.1 %"
    assert wording.percent(0.125) == "12.5 %"
