# SPDX-License-Identifier: Apache-2.0
"""What a repair says of itself is written in one form, and read back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from codetemper.core.repairs import Failure, Repair, RepairRoute
from tests.publish.repaired import repair


def keys(value: Any) -> set[str]:
    """Return the keys of plain data, of all that is inside it, too."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_a_report_is_read_back_as_it_was() -> None:
    written = repair().report()
    assert json.loads(json.dumps(written)) == written
    assert Repair.model_validate(written) == repair()


def test_a_report_says_what_manifests_say_in_their_order() -> None:
    written = repair().report()
    assert " ".join(written) == (
        "seconds solve_seconds method failures repaired left failing_tokens parameters_changed "
        "layers neurons rank weight_change rounds gaps_before gaps_after reference_tokens "
        "statistics notes routes budgets monitor whole step written measured explained turned "
        "left_out replaces"
    )
    assert list(written["measured"][0]) == ["suite", "cases", "valid", "pass", "passed"]
    assert list(written["budgets"]) == ["accuracy", "flips", "kl", "broken"]
    assert written["neurons"] == {"1": 688, "3": 12}
    assert "schema_version" not in keys(written)


def test_what_was_counted_stays_a_whole_number() -> None:
    route = RepairRoute(
        failure="a", verdict="repair", because="so", signals={"wrong": 2, "share": 1.0}
    )
    assert route.model_dump_json().endswith('"signals":{"wrong":2,"share":1.0}}')


def test_no_other_verdict_is_read() -> None:
    with pytest.raises(ValidationError, match="verdict"):
        RepairRoute.model_validate({"failure": "a", "verdict": "maybe", "because": "so"})


def test_a_failure_names_its_case_where_it_has_one() -> None:
    failure = Failure(id="a", prompt="p", reference="r", views=("v", "p"))
    plain = {"id": "a", "prompt": "p", "reference": "r", "views": ["v", "p"]}
    assert failure.model_dump(mode="json") == plain
    assert failure.prompts == ("p", "v")
    of_case = failure.model_copy(update={"case": "c"})
    assert of_case.model_dump(mode="json") == plain | {"case": "c"}
    assert Failure.model_validate(of_case.model_dump(mode="json")) == of_case
