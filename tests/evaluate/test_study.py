# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a study, on numbers that can be checked by hand."""

from __future__ import annotations

import pytest

from codetemper.core.records import Difference
from codetemper.evaluate import study


def _difference(value: float, low: float, high: float) -> Difference:
    return Difference(
        before=0.5, after=0.5 + value, difference=value, low=low, high=high, p=0.5, n=9
    )


def _card(valid: float, secure: float, cases: int = 20) -> dict[str, dict[str, float]]:
    names = [f"case{number}" for number in range(cases)]
    # Half of the cases a little above, half below, so that resampling has something to draw.
    tilt = [0.05 if number % 2 else -0.05 for number in range(cases)]
    return {
        "valid@1": {name: valid + t for name, t in zip(names, tilt, strict=True)},
        "secure@1": {name: secure + t for name, t in zip(names, tilt, strict=True)},
        "pass@1": dict.fromkeys(names, 0.5),
    }


def test_seeds_are_averaged_by_case_over_those_that_have_it() -> None:
    mean = study.over_seeds([{"m": {"a": 1.0, "b": 0.5}}, {"m": {"a": 0.0}}])
    assert mean == {"m": {"a": 0.5, "b": 0.5}}


def test_the_ratio_divides_sums_and_not_cases() -> None:
    before = {"valid@1": {"a": 1.0, "b": 0.5}, "secure@1": {"a": 0.5, "b": 0.5}}
    after = {"valid@1": {"a": 1.0, "b": 0.0}, "secure@1": {"a": 0.8, "b": 0.0}}
    found = study.differences(before, after)["secure_of_valid"]
    assert found.before == pytest.approx(1.0 / 1.5)
    assert found.after == pytest.approx(0.8)


def test_nothing_valid_leaves_the_ratio_out_and_the_rest_in() -> None:
    silent = {"valid@1": {"a": 0.0}, "secure@1": {"a": 0.0}}
    found = study.differences({"valid@1": {"a": 1.0}, "secure@1": {"a": 1.0}}, silent)
    assert "secure_of_valid" not in found
    assert found["secure@1"].difference == -1.0


def test_changes_keep_each_seed_beside_the_whole() -> None:
    before, after = [_card(0.8, 0.4), _card(0.8, 0.5)], [_card(0.8, 0.6), _card(0.8, 0.6)]
    change = study.changes(before, after)["secure@1"]
    assert change.by_seed == pytest.approx((0.2, 0.1))
    assert change.whole.difference == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"secure_of_valid": (0.1, 0.05, 0.2), "secure@1": (-0.02, -0.1, 0.1)}, "counted over all"),
        ({"secure_of_valid": (0.1, 0.05, 0.2), "secure@1": (0.02, -0.1, 0.1)}, "is settled, but"),
        ({"secure_of_valid": (0.1, -0.1, 0.2), "secure@1": (0.02, -0.1, 0.1)}, ""),
        ({"secure_of_valid": (-0.1, -0.2, 0.1), "secure@1": (-0.2, -0.3, -0.1)}, ""),
        ({"secure_of_valid": (0.1, 0.05, 0.2), "secure@1": (0.1, 0.05, 0.2)}, ""),
        (
            {
                "secure_of_valid": (0.1, 0.05, 0.2),
                "secure@1": (0.1, 0.05, 0.2),
                "pass@1": (-0.1, -0.2, -0.05),
            },
            "pass@1 fell by 10.0",
        ),
    ],
)
def test_security_gained_by_breaking_code_is_named(
    found: dict[str, tuple[float, float, float]], words: str
) -> None:
    flag = study.broke({metric: _difference(*ends) for metric, ends in found.items()})
    assert words in flag
    assert bool(words) == bool(flag)


def test_non_inferiority_has_three_answers() -> None:
    assert study.kept(_difference(-0.005, -0.015, 0.01), 0.02) == "kept"
    assert study.kept(_difference(-0.05, -0.08, -0.03), 0.02) == "lost"
    assert study.kept(_difference(-0.01, -0.03, 0.01), 0.02) == "open"


def test_holm_corrects_within_families_only() -> None:
    tests = {
        ("c", "secure@1", "lora"): 0.01,
        ("c", "secure@1", "ia3"): 0.03,
        ("cpp", "secure@1", "lora"): 0.03,
    }
    found = study.corrected(tests, slice(0, 2))
    assert found["c", "secure@1", "lora"] == pytest.approx(0.02)
    assert found["c", "secure@1", "ia3"] == pytest.approx(0.03)
    assert found["cpp", "secure@1", "lora"] == pytest.approx(0.03)


def test_the_least_data_that_is_enough() -> None:
    sizes = {0.25: [_card(0.9, 0.3)], 0.5: [_card(0.9, 0.59)], 1.0: [_card(0.9, 0.6)]}
    assert study.enough(sizes, "secure@1", 0.02) == 0.5
    assert study.enough({1.0: [_card(0.9, 0.6)]}, "secure@1", 0.02) is None
    sizes[0.5] = [_card(0.9, 0.4)]
    assert study.enough(sizes, "secure@1", 0.02) == 1.0


def test_a_part_of_the_cases_drops_metrics_that_have_none_of_them() -> None:
    assert study.part({"m": {"a": 1.0, "b": 0.0}, "n": {"b": 1.0}}, ["a"]) == {"m": {"a": 1.0}}
