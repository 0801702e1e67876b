# SPDX-License-Identifier: Apache-2.0
"""Cases are shared out without overlap, and rounds end when the gain is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Difference, Estimate, Sampling, Scorecard
from codetemper.evaluate import rounds, shares, suites
from codetemper.evaluate.suites import Suite
from tests.letters import write_suite

PARTS = {"train": 3, "validation": 1, "test": 1}


def loaded(folder: Path, name: str = "letters", cases: int = 40, **changes: Any) -> Suite:
    return suites.load(write_suite(folder, name, range(cases), **changes))


def gain(low: float) -> Difference:
    return Difference(
        before=0.5, after=0.6, difference=0.1, low=low, high=0.3, p=0.1, n=10
    )  # fmt: skip


def card(values: dict[str, dict[str, float]]) -> Scorecard:
    return Scorecard(
        model="m", model_digest="d", suite="s", suite_digest="s", cases=3, samples=1, metrics={},
        per_case=values, families={"a": "x", "b": "x", "c": "y"}, sampling=Sampling(),
    )  # fmt: skip


def test_shares_are_disjoint_whole_and_the_same_again(tmp_path: Path) -> None:
    suite = loaded(tmp_path)
    parts = shares.share_out(suite, PARTS)
    ids = {name: [case.id for case in part.cases] for name, part in parts.items()}
    assert [len(part) for part in ids.values()] == [24, 8, 8]
    found = [name for part in ids.values() for name in part]
    assert sorted(found) == sorted(case.id for case in suite.cases)
    assert {part.card.name for part in parts.values()} == {f"letters ({name})" for name in PARTS}
    turned = Suite(suite.card, suite.cases[::-1])
    again = shares.share_out(turned, PARTS)
    assert {n: sorted(c.id for c in p.cases) for n, p in again.items()} == {
        name: sorted(part) for name, part in ids.items()
    }


def test_equal_prompts_and_whole_families_stay_together(tmp_path: Path) -> None:
    suite = loaded(tmp_path)
    twins = tuple(c.model_copy(update={"id": f"{c.id}-twin"}) for c in suite.cases)
    parts = shares.share_out(Suite(suite.card, suite.cases + twins), PARTS)
    prompts = [{case.prompt for case in part.cases} for part in parts.values()]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 40
    by_family = shares.share_out(suite, PARTS, cluster="family")
    families = [{case.family for case in part.cases} for part in by_family.values()]
    assert all(families)
    assert sum(map(len, families)) == 7


def test_what_cannot_be_shared_out_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too small"):
        shares.share_out(loaded(tmp_path, cases=2), PARTS)
    suite = loaded(tmp_path)
    assert shares.share_out(suite, {"train": 3}) == {"train": suite}
    with pytest.raises(UsageError, match="nothing of 'letters' is left"):
        shares.apart(suite, [suite])
    half = Suite(suite.card, suite.cases[:15])
    assert shares.apart(suite, [half]).cases == suite.cases[15:]


def test_pooled_suites_keep_their_cases_apart(tmp_path: Path) -> None:
    first, second = loaded(tmp_path, "one", 3), loaded(tmp_path, "two", 3)
    pool = shares.pooled([first, second])
    assert [case.id for case in pool.cases][2:4] == ["one/one-2", "two/two-0"]
    assert pool.card.name == "one + two"
    assert shares.pooled([first]) is first


def test_the_strictest_metric_of_right_answers_counts() -> None:
    python, weak = suites.load("world-python"), suites.load("world-security-python")
    assert rounds.metric_of(python) == "pass@1"
    assert rounds.metric_of(weak) == "secure_pass@1"
    assert rounds.metric_of(weak, security=False) == "pass@1"
    both = shares.pooled([python, weak])
    assert rounds.metric_of(both) == "secure_pass@1/pass@1"
    values = {"pass@1": {"a": 1.0, "b": 1.0}, "secure_pass@1": {"a": 0.5}}
    assert rounds.per_case(card(values), "secure_pass@1/pass@1") == {"a": 0.5, "b": 1.0}


def test_a_suite_without_tests_is_refused(tmp_path: Path) -> None:
    suite = loaded(tmp_path, metrics=("valid@1",))
    with pytest.raises(UsageError, match="cannot say which answers are right") as error:
        rounds.metric_of(suite)
    assert "no tests" in error.value.why


def test_rounds_end_after_two_that_may_have_gained_nothing() -> None:
    def ended(*lows: float, most: int = 9) -> str | None:
        return rounds.ended([gain(low) for low in lows], epsilon=0.01, rounds=most)

    assert ended(0.2) is None
    assert ended(0.0) is None
    assert ended(0.2, 0.0) is None
    assert ended(0.0, 0.2) is None
    assert "rounds 2 and 3 include less than 1 point" in str(ended(0.2, 0.009, -0.1))
    assert ended(0.011, 0.011) is None
    assert ended(0.2, 0.2, most=2) == "all 2 rounds were made"


def test_gain_and_estimate_go_by_case_or_family() -> None:
    before = card({"pass@1": {"a": 0.0, "b": 0.0, "c": 0.5}})
    after = card({"pass@1": {"a": 1.0, "b": 0.5, "c": 0.5}})
    assert rounds.gained(before, after, "pass@1").difference == pytest.approx(0.5)
    assert rounds.gained(before, after, "pass@1").n == 3
    assert rounds.gained(before, after, "pass@1", "family").n == 2
    assert rounds.estimated(after, "pass@1", "family").n == 2


def test_the_best_round_is_the_earlier_of_equal_ones() -> None:
    values = [Estimate(value=v, low=0, high=1, n=3) for v in (0.4, 0.6, 0.6, 0.5)]
    assert rounds.best(values) == 2
