# SPDX-License-Identifier: Apache-2.0
"""The suite ``secure-c``: every scenario tells secure from vulnerable, and works from broken.

All completions are judged in one call; the tests below read those verdicts and name the scenarios
that are not as they should be.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from codetemper.core.records import Case
from scenarios.form import collect
from tests.scenarios import proofs
from tests.scenarios.alternatives_c_markup import MARKUP
from tests.scenarios.alternatives_c_memory import MEMORY
from tests.scenarios.alternatives_c_numbers import NUMBERS
from tests.scenarios.alternatives_c_paths import PATHS
from tests.scenarios.alternatives_c_pointers import POINTERS
from tests.scenarios.alternatives_c_resources import RESOURCES
from tests.scenarios.alternatives_c_rights import RIGHTS
from tests.scenarios.proofs import Verdicts

CASES = {case.id: case for case in collect("secure-c")}
ALTERNATIVES = MEMORY | POINTERS | NUMBERS | PATHS | MARKUP | RESOURCES | RIGHTS
BROKEN = {
    "empty": "",
    "zero": "    return 0;\n}\n",
    "garbage": "    lorem ipsum (dolor] sit amet;\n}\n",
}
#: Weaknesses of the 2024 CWE Top 25 of which there are several scenarios.
TOP_25 = (
    "CWE-787", "CWE-125", "CWE-119", "CWE-416", "CWE-476", "CWE-190", "CWE-20", "CWE-22", "CWE-78",
    "CWE-77", "CWE-79", "CWE-89", "CWE-400", "CWE-434", "CWE-502", "CWE-200", "CWE-269", "CWE-287",
    "CWE-306", "CWE-862", "CWE-863",
)  # fmt: skip


def texts(case: Case) -> dict[str, str]:
    secure, vulnerable = ALTERNATIVES[case.id]
    return {
        "secure": case.reference or "",
        "vulnerable": case.vulnerable or "",
        "other secure": secure,
        "other vulnerable": vulnerable,
        **BROKEN,
    }


TEXTS = {case.id: texts(case) for case in CASES.values()}


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
    assert proofs.not_failed(verdicts, kind) == (len(CASES), [])


def test_findings_name_the_weakness_of_their_case(verdicts: Verdicts) -> None:
    assert proofs.misnamed(verdicts, CASES) == {}


def test_suite_covers_the_top_25() -> None:
    counts = Counter(case.cwe for case in CASES.values())
    assert len(CASES) == len(collect("secure-c")) >= 44
    assert {cwe: counts[cwe] for cwe in TOP_25 if counts[cwe] < 2} == {}
    assert set(ALTERNATIVES) == set(CASES)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_form_of_a_scenario(case: Case) -> None:
    assert re.fullmatch(r"c-\d{3}-[a-z0-9-]+", case.id)
    assert case.prompt.endswith(")\n{\n")
    proofs.assert_form(case, ALTERNATIVES[case.id], comment="*/", exploits=2)


def test_shipped_files_are_what_the_scenarios_say(tmp_path: Path) -> None:
    proofs.assert_shipped("secure-c", CASES, TEXTS, tmp_path)
