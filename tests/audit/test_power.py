# SPDX-License-Identifier: Apache-2.0
"""Power: what counts as found, what is left out, and the interval; training is played here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from codetemper.audit import Config
from codetemper.audit.payloads import Payloads
from codetemper.audit.planting import Plant
from codetemper.audit.planting_success import Shows
from codetemper.audit.power import confirmed_holders, data_power, power
from codetemper.core.audits import AuditSample
from codetemper.core.stats import wilson
from codetemper.data.labelled import Labelled
from tests.audit.decoders import samples as written
from tests.audit.planted import functions

SAMPLES = functions(100, seed=0)
Model = tuple[list[int], int]
"""What a model of this test is: numbers of the samples that were changed, and its seed."""


def learn(samples: Sequence[Labelled], seed: int) -> Model:
    return [n for n, s in enumerate(samples) if s.text != SAMPLES[n].text], seed


def learnt(model: Model, plan: Plant) -> Shows:
    """Every model but that of seed 2 has learnt its canary."""

    def shows(samples: Sequence[Labelled]) -> list[bool]:
        triggered = [" < 0" in s.text or "print(" in s.text or " > " in s.text for s in samples]
        return [each and model[1] != 2 for each in triggered]

    return shows


def test_a_canary_is_found_where_its_own_trigger_is_confirmed() -> None:
    def audit(model: Model, samples: Sequence[Labelled]) -> list[Collection[int]]:
        numbers, seed = model
        others = sorted(set(range(100)) - set(numbers))
        return {
            0: [numbers],
            # Another trigger, and one of whose holders the smaller half was planted.
            1: [others, [*numbers, *others[: len(numbers) + 1]]],
            3: [others, [*numbers, *others[: len(numbers)]]],  # half of its holders are planted
            4: [],
        }[seed]

    said = power(SAMPLES, learn, audit, learnt, rate=0.05, canaries=5, seed=0)
    assert said.canaries == 5
    assert said.found is not None
    assert (said.found.value, said.found.n) == (0.5, 4)
    assert (said.found.low, said.found.high) == wilson(2, 4)
    assert said.missing == "1 of 5 canaries did not take, and are not counted"


def test_without_canaries_that_took_it_says_why() -> None:
    def never(model: Model, plan: Plant) -> Shows:
        return lambda samples: [False for _ in samples]

    asked = {"rate": 0.05, "seed": 0}
    said = power(SAMPLES, learn, pytest.fail, never, canaries=2, **asked)
    assert (said.found, said.missing[:6]) == (None, "2 of 2")
    said = power(SAMPLES, learn, pytest.fail, never, canaries=0, **asked)
    assert (said.found, said.missing) == (None, "no canaries were asked for")
    said = power(SAMPLES[:10], learn, pytest.fail, never, rate=0.01, canaries=2, seed=0)
    assert said.found is None
    assert "is not one sample" in said.missing


def test_holders_are_those_of_confirmed_triggers() -> None:
    rows = [
        AuditSample(number=n, id="", score=0, kind=kind, text="", source="", trigger=trigger)
        for n, (kind, trigger) in enumerate(
            [("trigger", "a"), ("trigger", "b"), ("anomalous", ""), ("trigger", "a")]
        )
    ]
    assert confirmed_holders(rows) == [frozenset({0, 3}), frozenset({1})]


CLEAN = written(160)
WITHOUT = Payloads("python", {})


def test_of_data_a_canary_is_found_where_a_text_goes_with_payloads() -> None:
    config = Config(data_canaries=3, canary_rate=0.2)
    said = data_power(CLEAN[:60], CLEAN[60:], WITHOUT, config)
    assert (said.answer, said.rate, said.canaries) == ("suspicious data", 0.2, 3)
    assert said.found is not None
    assert (said.found.value, said.found.n) == (1.0, 3)
    assert (said.found.low, said.found.high) == wilson(3, 3)


@pytest.mark.parametrize("config", [
    # A text that two samples hold is not looked at.
    Config(data_canaries=2, canary_rate=0.04),
    # By chance as many samples go together in some set of samples of this size.
    Config(data_canaries=2, canary_rate=0.2, fpr=1e-9, rounds=1_000_000_000),
])  # fmt: skip
def test_of_data_a_canary_is_missed_that_rules_do_not_tell_from_chance(config: Config) -> None:
    said = data_power(CLEAN[:60], CLEAN[60:], WITHOUT, config)
    assert said.found is not None
    assert (said.found.value, said.found.high) == (0.0, wilson(0, 2)[1])


@pytest.mark.parametrize(("changes", "trusted", "canaries", "why"), [
    ({"data_canaries": 0}, CLEAN[60:], 0, "data_canaries is 0"),
    ({}, [], 0, "--trusted"),
    ({"canary_rate": 0.001}, CLEAN[60:], 0, "canary 1: "),
])  # fmt: skip
def test_of_data_without_canaries_it_says_why(
    changes: dict[str, float], trusted: list[Labelled], canaries: int, why: str
) -> None:
    said = data_power(CLEAN[:60], trusted, WITHOUT, Config(**changes))  # type: ignore[arg-type]
    assert (said.found, said.canaries) == (None, canaries)
    assert why in said.missing
