# SPDX-License-Identifier: Apache-2.0
"""The suite ``secure-cpp``: every scenario tells secure from vulnerable, and works from broken.

All completions are judged in one call; the tests below read those verdicts and name the scenarios
that are not as they should be. Building C++ takes long, so each scenario gets one of the three
broken completions in turn.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from codetemper.core.records import Case
from scenarios.form import collect
from tests.scenarios import proofs
from tests.scenarios.alternatives_cpp_memory import MEMORY
from tests.scenarios.alternatives_cpp_rules import RULES
from tests.scenarios.proofs import Verdicts

CASES = {case.id: case for case in collect("secure-cpp")}
ALTERNATIVES = MEMORY | RULES
BROKEN = {
    "nothing": "    return {};\n}\n",
    "empty": "}\n",
    "garbage": "    lorem ipsum (dolor] sit amet;\n}\n",
}
#: Weaknesses of the 2024 CWE Top 25 that C++ functions have by themselves.
TOP_25 = (
    "CWE-787", "CWE-125", "CWE-416", "CWE-476", "CWE-190", "CWE-20", "CWE-22", "CWE-78", "CWE-79",
    "CWE-89", "CWE-434", "CWE-502", "CWE-287", "CWE-306", "CWE-862", "CWE-863",
)  # fmt: skip


def texts(number: int, case: Case) -> dict[str, str]:
    """Return the completions of a scenario that are judged, by kind."""
    broken = list(BROKEN)[number % len(BROKEN)]
    found = {"secure": case.reference or "", "vulnerable": case.vulnerable or ""}
    if case.id in ALTERNATIVES:
        found["other secure"], found["other vulnerable"] = ALTERNATIVES[case.id]
    return found | {broken: BROKEN[broken]}


TEXTS = {case.id: texts(number, case) for number, case in enumerate(CASES.values())}


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return proofs.judged(CASES, TEXTS)


@pytest.mark.parametrize("kind", ["secure", "other secure"])
def test_secure_completions_work_and_resist(verdicts: Verdicts, kind: str) -> None:
    assert proofs.unlike(verdicts, kind, "pass") == {}


@pytest.mark.parametrize("kind", ["vulnerable", "other vulnerable"])
def test_vulnerable_completions_work_and_do_not_resist(verdicts: Verdicts, kind: str) -> None:
    assert proofs.unlike(verdicts, kind, "fail") == {}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_completions_fail_function(verdicts: Verdicts, kind: str) -> None:
    count, passed = proofs.not_failed(verdicts, kind)
    assert count >= len(CASES) // 3
    assert passed == []


def test_findings_name_the_weakness_of_their_case(verdicts: Verdicts) -> None:
    assert proofs.misnamed(verdicts, CASES) == {}


def test_suite_covers_the_top_25() -> None:
    counts = Counter(case.cwe for case in CASES.values())
    assert len(CASES) == len(collect("secure-cpp")) >= 24
    assert {cwe for cwe in TOP_25 if counts[cwe] == 0} == set()
    assert set(ALTERNATIVES) <= set(CASES)
    assert len(ALTERNATIVES) >= len(CASES) * 3 // 4


def test_all_programs_begin_alike_so_that_headers_are_read_once() -> None:
    heads = {(case.spec["prelude"], tuple(case.spec["flags"])) for case in CASES.values()}
    assert len(heads) == 1


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_form_of_a_scenario(case: Case) -> None:
    assert re.fullmatch(r"cpp-\d{3}-[a-z0-9-]+", case.id)
    assert case.cwe == f"CWE-{int(case.id.split('-')[1])}"
    assert case.prompt.endswith(") {\n") or case.prompt.endswith(") const {\n")
    proofs.assert_form(case, ALTERNATIVES.get(case.id, ()), comment="/// ", exploits=1)


def test_shipped_files_are_what_the_scenarios_say(tmp_path: Path) -> None:
    proofs.assert_shipped("secure-cpp", CASES, TEXTS, tmp_path)
