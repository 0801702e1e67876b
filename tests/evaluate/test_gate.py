# SPDX-License-Identifier: Apache-2.0
"""The gate accepts, refuses or abstains by paired intervals, and never compares unlike cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Estimate, Sampling, Scorecard
from codetemper.evaluate import gate


def card(secure: Sequence[float], able: Sequence[float], digest: str = "s") -> Scorecard:
    per_case = {
        "secure@1": {f"c{i}": value for i, value in enumerate(secure)},
        "pass@1": {f"c{i}": value for i, value in enumerate(able)},
    }
    return Scorecard(model="m", model_digest="d", suite="toy", suite_digest=digest,
                     cases=len(able), samples=4, metrics={}, per_case=per_case,
                     sampling=Sampling(n=4))  # fmt: skip


BASE = card([0.0, 1.0, 0.5, 0.5] * 50, [0.5, 1.0, 0.0, 0.5] * 50)


def test_safer_and_as_able_is_accepted() -> None:
    after = card([0.5, 1.0, 1.0, 1.0] * 50, [0.5, 1.0, 0.0, 0.5] * 50)
    decision = gate.decide([(BASE, after)])
    assert decision.decision == "accept"
    assert decision.metrics["toy/secure@1"].low > 0.3


def test_safer_but_broken_is_refused() -> None:
    after = card([0.5, 1.0, 1.0, 1.0] * 50, [0.0, 0.5, 0.0, 0.5] * 50)
    decision = gate.decide([(BASE, after)])
    assert decision.decision == "refuse"
    assert any("pass@1" in reason and "refuse" in reason for reason in decision.reasons)


def test_less_secure_is_refused_even_without_margin() -> None:
    after = card([0.0, 0.5, 0.5, 0.5] * 50, [0.5, 1.0, 0.0, 0.5] * 50)
    assert gate.decide([(BASE, after)]).decision == "refuse"


def test_no_change_is_undecided() -> None:
    assert gate.decide([(BASE, BASE)]).decision == "undecided"


def test_margins_matter() -> None:
    after = card([0.5, 1.0, 1.0, 1.0] * 50, [0.5, 1.0, 0.0, 0.5] * 50)
    strict = gate.Thresholds(security_gain=0.9)
    assert gate.decide([(BASE, after)], strict).decision == "refuse"


def test_unlike_cases_are_not_compared() -> None:
    with pytest.raises(UsageError, match="different cases"):
        gate.compare(BASE, card([1.0] * 4, [1.0] * 4, digest="t"))


@pytest.mark.parametrize("change", [{"temperature": 0.2}, {"top_p": 0.9}])
def test_unlike_sampling_is_not_compared(change: dict[str, float]) -> None:
    other = BASE.model_copy(update={"sampling": Sampling(n=4, **change)})
    with pytest.raises(UsageError, match="cannot be compared"):
        gate.compare(BASE, other)
    more = BASE.model_copy(update={"sampling": Sampling(n=9, seed=3)})
    assert gate.compare(BASE, more)["pass@1"].difference == 0


def test_a_gate_without_security_is_refused() -> None:
    plain = BASE.model_copy(update={"per_case": {"pass@1": BASE.per_case["pass@1"]}})
    with pytest.raises(UsageError, match="measures security"):
        gate.decide([(plain, plain)])


def test_unknown_outcomes_may_have_been_anything() -> None:
    after = card([0.5, 1.0, 1.0, 1.0] * 50, [0.5, 1.0, 0.0, 0.5] * 50)
    some = Estimate(value=0.5, low=0.4, high=0.6, n=200, unknown=0.6)
    clouded = BASE.model_copy(update={"metrics": {"secure@1": some}})
    assert gate.decide([(BASE, after)]).decision == "accept"
    decision = gate.decide([(clouded, after)])
    assert decision.decision == "undecided"
    assert any("unknown outcomes may be anything" in reason for reason in decision.reasons)


def test_every_further_look_asks_for_more() -> None:
    random = np.random.default_rng(5)
    before, gain = random.random(200), random.normal(0.055, 0.3, 200)
    first, second = card(before, [1.0] * 200), card(before + gain, [1.0] * 200)
    assert gate.decide([(first, second)]).decision == "accept"
    later = gate.decide([(first, second)], looks={"s": 6})
    assert later.decision == "undecided"
    assert any("look 6" in reason for reason in later.reasons)
    assert later.metrics["toy/secure@1"].level == pytest.approx(1 - 0.05 / 32)
    with pytest.raises(CannotKnowError, match="looked at"):
        gate.decide([(first, second)], looks={"s": 9})


def test_an_undecided_gate_says_what_it_could_have_seen() -> None:
    decision = gate.decide([(BASE, BASE)])
    assert any("200 cases show a difference from" in reason for reason in decision.reasons)


def test_families_decide_on_demand() -> None:
    families = {f"c{i}": f"f{i // 50}" for i in range(200)}
    before = BASE.model_copy(update={"families": families})
    after = card([0.5, 1.0, 1.0, 1.0] * 50, [0.5, 1.0, 0.0, 0.5] * 50)
    assert gate.compare(before, after, cluster="family")["secure@1"].n == 4
    assert gate.compare(before, after)["secure@1"].n == 200
