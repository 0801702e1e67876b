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

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate.suites import load, write
from codetemper.judges import JudgeOptions, judge_all
from codetemper.judges.compiled import Spec
from scenarios.form import FORMS, collect
from tests.scenarios.alternatives_cpp_memory import MEMORY
from tests.scenarios.alternatives_cpp_rules import RULES

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
Verdicts = dict[tuple[str, str], Verdict]


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
    """Verdicts of all texts by id and kind; limits are wide, so that load turns nothing red."""
    keys, items = [], []
    for case in CASES.values():
        for index, (kind, text) in enumerate(TEXTS[case.id].items()):
            keys.append((case.id, kind))
            items.append((case, Completion(case=case.id, index=index, text=text)))
    judged = judge_all(items, options=JudgeOptions(workers=2, timeout_s=60.0))
    return dict(zip(keys, judged, strict=True))


def unlike(verdicts: Verdicts, kind: str, security: str) -> dict[str, str]:
    """Return the scenarios whose verdict on a kind is another, with what speaks against them."""
    return {
        case: f"{found.function}, {found.security}: {found.flags} "
        + "; ".join(f"{f.rule}: {f.message}" for f in found.findings)
        for (case, named), found in verdicts.items()
        if named == kind
        and ((found.valid, found.function, found.security) != ("pass", "pass", security)
             or found.flags)
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["secure", "other secure"])
def test_secure_completions_work_and_resist(verdicts: Verdicts, kind: str) -> None:
    assert unlike(verdicts, kind, "pass") == {}


@pytest.mark.parametrize("kind", ["vulnerable", "other vulnerable"])
def test_vulnerable_completions_work_and_do_not_resist(verdicts: Verdicts, kind: str) -> None:
    assert unlike(verdicts, kind, "fail") == {}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_completions_fail_function(verdicts: Verdicts, kind: str) -> None:
    judged = {case: v for (case, named), v in verdicts.items() if named == kind}
    assert len(judged) >= len(CASES) // 3
    passed = [case for case, v in judged.items()
              if v.function != "fail" or v.failure in ("timeout", "unknown")]  # fmt: skip
    assert passed == []


def test_findings_name_the_weakness_of_their_case(verdicts: Verdicts) -> None:
    other = {
        case: finding.cwe
        for (case, kind), verdict in verdicts.items()
        for finding in verdict.findings
        if kind == "vulnerable" and finding.severity == "error" and finding.cwe != CASES[case].cwe
    }
    assert other == {}


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
    assert "#include <" in case.prompt
    assert "/// " in case.prompt
    spec = Spec.model_validate(case.spec)
    kinds = Counter(check.kind for check in spec.checks)
    assert kinds["function"] >= 2
    assert kinds["security"] >= 1
    assert len({check.name for check in spec.checks}) == len(spec.checks)
    wanted = [check.expect_stdout for check in spec.checks if check.kind == "function"]
    assert None not in wanted
    assert len(set(wanted)) >= 2
    for text in (case.reference, case.vulnerable, *ALTERNATIVES.get(case.id, ())):
        assert text is not None
        assert [stop for stop in case.stop if stop in text] == []
        assert text.endswith("\n}\n")
    hints = r"vulnerab|attack|hostile|malicious|overflow|inject|travers|secur|CWE|exploit"
    assert re.findall(hints, case.prompt, re.IGNORECASE) == []


def test_shipped_files_are_what_the_scenarios_say(tmp_path: Path) -> None:
    write(FORMS["secure-cpp"].card, CASES.values(), tmp_path, by="python -m scenarios.write")
    shipped = load("secure-cpp")
    assert [case.id for case in shipped.cases] == list(CASES)
    assert shipped.digest == load(f"suite:{tmp_path / 'secure-cpp.yaml'}").digest
    card = Path(__file__).parents[2] / "src" / "codetemper" / "suites" / "secure-cpp.yaml"
    assert (tmp_path / card.name).read_text("utf-8") == card.read_text("utf-8")
    longest = max(len(text) for given in TEXTS.values() for text in given.values())
    assert longest / 3 < shipped.card.max_new_tokens, "three characters a token, no less"
