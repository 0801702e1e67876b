# SPDX-License-Identifier: Apache-2.0
"""Every function of repair-python: its reference passes, and nothing less does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate.suites import load
from codetemper.judges import JudgeOptions, judge_all
from scenarios.form import FORMS, collect
from scenarios.write import write

CASES = collect("repair-python")
OPTIONS = JudgeOptions(workers=2, timeout_s=20.0)


def verdicts(text: Callable[[Case], str]) -> dict[str, Verdict]:
    found = judge_all(
        [(case, Completion(case=case.id, text=text(case))) for case in CASES], options=OPTIONS
    )
    return {verdict.case: verdict for verdict in found}


def hard_coded(case: Case) -> str:
    """Answer the example that the prompt shows, and nothing else."""
    return f"    return {case.spec['checks'][0]['expect']!r}\n"


def test_there_are_at_least_a_hundred_of_them() -> None:
    assert len(CASES) >= 100
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(len(case.spec["checks"]) >= 2 for case in CASES)
    assert all(check["hidden"] for case in CASES for check in case.spec["checks"][1:])


def test_the_references_pass() -> None:
    found = verdicts(lambda case: case.reference or "")
    assert {name: v.findings for name, v in found.items() if v.function != "pass"} == {}
    assert {name: v.flags for name, v in found.items() if v.flags} == {}


@pytest.mark.parametrize(
    "text",
    [lambda _: "    pass\n", lambda _: "    return 0\n", lambda _: "", hard_coded],
    ids=["nothing", "zero", "empty", "the shown example"],
)
def test_less_than_the_function_fails(text: Callable[[Case], str]) -> None:
    assert [name for name, v in verdicts(text).items() if v.function != "fail"] == []


def test_what_is_shipped_is_what_is_written_here(tmp_path: Path) -> None:
    write(FORMS["repair-python"].card, CASES, tmp_path, by="python -m scenarios.write")
    shipped = load("repair-python")
    assert shipped.digest == load(f"suite:{tmp_path / 'repair-python.yaml'}").digest
