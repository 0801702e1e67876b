# SPDX-License-Identifier: Apache-2.0
"""A scorecard counts right, shows what is unknown, and is silent where no judge can speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from codetemper.core.records import Case, Sampling, Scorecard, SuiteCard, Verdict
from codetemper.evaluate.scorecards import scorecard
from codetemper.evaluate.suites import Suite

EXPLOIT = {"checks": [{"name": "x", "kind": "security"}]}


def suite(
    count: int,
    metrics: Sequence[str] = ("secure@1", "pass@1", "valid@1"),
    spec: dict[str, Any] | None = None,
    **fields: Any,
) -> Suite:
    card = SuiteCard(name="toy", summary="Toy.", language="python", metrics=tuple(metrics),
                     cases="toy.jsonl")  # fmt: skip
    cases = tuple(
        Case(id=f"c{i}", prompt=f"p{i}", language="python", judge="toy", cwe="CWE-78",
             split="combination", spec=EXPLOIT if spec is None else spec, **fields)
        for i in range(count)
    )  # fmt: skip
    return Suite(card, cases)


def card(of: Suite, verdicts: list[Verdict], **options: Any) -> Scorecard:
    return scorecard(of, verdicts, model="m", model_digest="d", sampling=Sampling(n=2),
                     sandbox="bwrap", **options)  # fmt: skip


def verdict(case: int, **fields: Any) -> Verdict:
    plain: dict[str, Any] = {"valid": "pass", "function": "pass", "security": "pass", "judge": "t"}
    return Verdict(case=f"c{case}", **plain | fields)


def test_unknown_is_never_a_pass_and_stands_beside_the_number() -> None:
    verdicts = [
        verdict(i, index=j, security=security)
        for i in range(10)
        for j, security in enumerate(("pass", "unknown"))
    ]
    found = card(suite(10), verdicts)
    assert found.metrics["secure@1"].value == pytest.approx(0.5)
    assert found.metrics["secure@1"].unknown == pytest.approx(0.5)
    assert found.metrics["secure_of_valid"].unknown == pytest.approx(0.5)
    assert found.metrics["pass@1"].unknown == 0.0
    assert found.by_cwe["CWE-78"]["secure@1"].unknown == pytest.approx(0.5)
    assert found.unknown == 10
    assert found.metrics["pass@1"].value == 1.0
    assert found.metrics["pass@1"].low < 1.0, "ten cases cannot give certainty"


def test_secure_counts_over_all_and_secure_of_valid_over_the_valid() -> None:
    verdicts = []
    for i in range(12):
        broken = i % 2 == 0
        verdicts += [
            verdict(i, index=0, valid="fail" if broken else "pass", function="fail",
                    security="unknown" if broken else "pass", failure="syntax"),
            verdict(i, index=1, security="fail", failure="insecure"),
        ]  # fmt: skip
    found = card(suite(12), verdicts)
    assert found.metrics["secure@1"].value == pytest.approx(6 / 24)
    assert found.metrics["secure_of_valid"].value == pytest.approx(6 / 18)
    assert found.failures == {"syntax": 12, "insecure": 12}
    assert set(found.by_cwe) == {"CWE-78"}
    assert set(found.by_split) == {"combination"}
    assert found.unqualified == ()


def test_no_secure_ratio_where_the_judge_cannot_show_security() -> None:
    silent = suite(6, spec={})
    verdicts = [verdict(i, security="unknown") for i in range(6)]
    found = card(silent, verdicts)
    assert "secure@1" not in found.metrics
    assert "secure_of_valid" not in found.metrics
    assert "secure@1" not in found.by_cwe["CWE-78"]
    assert found.metrics["pass@1"].value == 1.0
    assert found.unqualified == ("CWE-78",)
    assert card(suite(6), verdicts, unqualified=["CWE-78"]).unqualified == ("CWE-78",)
    assert "secure@1" not in card(suite(6), verdicts, unqualified=["CWE-78"]).metrics
    assert card(suite(6), verdicts, unqualified=["CWE-22"]).unqualified == ()


def test_a_suite_that_does_not_measure_security_has_nothing_unqualified() -> None:
    found = card(suite(4, metrics=("pass@1",), spec={}), [verdict(i) for i in range(4)])
    assert found.unqualified == ()
    assert set(found.metrics) == {"pass@1"}


def test_what_analysers_find_is_counted_and_silence_is_unknown() -> None:
    plain = suite(8, metrics=("insecure@1",), spec={})
    verdicts = [verdict(i, security="fail" if i < 2 else "unknown") for i in range(8)]
    found = card(plain, verdicts)
    assert found.metrics["insecure@1"].value == pytest.approx(0.25)
    assert found.metrics["insecure@1"].unknown == pytest.approx(0.75)


def test_graded_scores_are_means_and_missing_ones_unknown() -> None:
    graded = suite(4, metrics=("bleu",))
    verdicts = [verdict(i, scores={"bleu": 0.5} if i else {}) for i in range(4)]
    found = card(graded, verdicts)
    assert found.metrics["bleu"].value == pytest.approx(0.375)
    assert found.metrics["bleu"].unknown == pytest.approx(0.25)


def test_families_are_clusters_on_demand() -> None:
    of = suite(40)
    of = Suite(of.card, tuple(c.model_copy(update={"family": f"f{i // 10}"})
                              for i, c in enumerate(of.cases)))  # fmt: skip
    verdicts = [verdict(i, function="pass" if i < 20 else "fail") for i in range(40)]
    by_case, by_family = card(of, verdicts), card(of, verdicts, cluster="family")
    assert by_case.families["c15"] == "f1"
    assert by_case.metrics["pass@1"].n == 40
    assert by_family.metrics["pass@1"].n == 4
    assert by_family.metrics["pass@1"].value == by_case.metrics["pass@1"].value
    assert by_family.metrics["pass@1"].low < by_case.metrics["pass@1"].low


def test_flagged_completions_are_counted() -> None:
    verdicts = [verdict(i, flags=("frames",) if i == 3 else ()) for i in range(5)]
    found = card(suite(5), verdicts)
    assert found.flagged == 1
    assert [v.positive for v in verdicts] == [True, True, True, False, True]
