# SPDX-License-Identifier: Apache-2.0
"""The suite ``secure-python``: all scenarios tell secure, vulnerable and empty answers apart."""

from __future__ import annotations

import functools
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions, judge_all, sandbox_available
from scenarios.form import FORMS, PYTHON_STOPS, collect
from scenarios.write import SUITES
from tests.scenarios import (
    secure_python_access,
    secure_python_data,
    secure_python_injection,
    secure_python_input,
)

CASES = collect("secure-python")
BY_ID = {case.id: case for case in CASES}
OTHERS = {
    **secure_python_injection.OTHERS,
    **secure_python_access.OTHERS,
    **secure_python_data.OTHERS,
    **secure_python_input.OTHERS,
}
#: Bodies that do nothing or nothing to the purpose; none may count as working.
NONSENSE = ("pass", "return None", "return True", "return 'zebra'", "}{ what")
#: Processor load must not decide, so there is far more time than any check takes.
PATIENT = JudgeOptions(timeout_s=60.0)

needs_sandbox = pytest.mark.skipif(
    not sandbox_available()[0], reason="bubblewrap does not work here"
)


def _indent(case: Case) -> str:
    """The indentation of the body that the prompt asks for."""
    last = case.prompt.rstrip("\n").splitlines()[-1]
    stripped = last.lstrip()
    deeper = "    " if stripped.startswith("def ") else ""
    return last[: len(last) - len(stripped)] + deeper


def _completions() -> Iterator[tuple[Case, str, str]]:
    for case in CASES:
        assert case.reference is not None
        assert case.vulnerable is not None
        yield case, "secure", case.reference
        yield case, "vulnerable", case.vulnerable
        for text in NONSENSE:
            yield case, "nonsense", f"{_indent(case)}{text}\n"
    for name, pairs in OTHERS.items():
        for kind, text in pairs:
            yield BY_ID[name], kind, text


@functools.cache
def _judged() -> list[tuple[Case, str, str, Verdict]]:
    """All completions of all scenarios, judged in one go."""
    wanted = list(_completions())
    items = [
        (case, Completion(case=case.id, index=at, text=text))
        for at, (case, _, text) in enumerate(wanted)
    ]
    verdicts = judge_all(items, options=PATIENT)
    return [(*what, verdict) for what, verdict in zip(wanted, verdicts, strict=True)]


def _odd(kind: str, function: str, security: str | None) -> list[str]:
    """What was judged otherwise than a completion of this kind should be."""
    found = [entry for entry in _judged() if entry[1] == kind]
    assert len(found) >= len(CASES)
    return [
        f"{case.id}: {verdict.function}/{verdict.security} {verdict.failure} "
        f"{[f'{finding.rule} {finding.message}' for finding in verdict.findings]}\n{text}"
        for case, _, text, verdict in found
        if verdict.function != function or security not in (None, verdict.security)
    ]


@needs_sandbox
def test_secure_completions_work_and_resist() -> None:
    assert _odd("secure", "pass", "pass") == []


@needs_sandbox
def test_vulnerable_completions_work_and_give_way() -> None:
    assert _odd("vulnerable", "pass", "fail") == []


@needs_sandbox
def test_empty_and_nonsense_completions_do_not_work() -> None:
    assert _odd("nonsense", "fail", None) == []


@needs_sandbox
def test_secure_references_show_no_sign_of_tampering() -> None:
    flagged = {
        case.id for case, kind, _, verdict in _judged() if kind == "secure" and verdict.flags
    }
    assert flagged == set()


@needs_sandbox
def test_an_exploit_names_the_weakness() -> None:
    for case, kind, _, verdict in _judged():
        if kind == "vulnerable":
            cwes = {finding.cwe for finding in verdict.findings if finding.rule[:8] == "exploit:"}
            own = {check.get("cwe") or case.cwe for check in case.spec["checks"]}
            assert cwes, case.id
            assert cwes <= own, case.id


def test_there_are_enough_scenarios_and_all_differ() -> None:
    assert len(CASES) >= 44
    assert len(BY_ID) == len(CASES)
    assert len({case.prompt for case in CASES}) == len(CASES)
    assert len({case.cwe for case in CASES}) >= 25


@pytest.mark.parametrize(
    "cwe", [20, 22, 77, 78, 79, 89, 94, 200, 269, 287, 306, 352, 400, 434, 502, 798, 862, 863, 918]
)
def test_code_level_weaknesses_of_the_top_25_are_there(cwe: int) -> None:
    assert any(case.cwe == f"CWE-{cwe}" for case in CASES)


def test_many_scenarios_have_been_tried_with_completions_written_another_way() -> None:
    both = [
        name
        for name, pairs in OTHERS.items()
        if {kind for kind, _ in pairs} == {"secure", "vulnerable"}
    ]
    assert len(both) >= 70
    assert set(OTHERS) <= set(BY_ID)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_scenario_has_the_parts_it_needs(case: Case) -> None:
    assert re.fullmatch(r"python\.\d{3,4}\.[a-z_]+", case.id)
    assert case.cwe == f"CWE-{int(case.id.split('.')[1])}"
    kinds = [check["kind"] for check in case.spec["checks"]]
    assert {"function", "security"} == set(kinds)
    assert len({check["name"] for check in case.spec["checks"]}) == len(kinds)
    assert case.prompt.endswith("\n")
    for completion in (case.reference, case.vulnerable):
        assert completion is not None
        compile(case.prompt + completion, case.id, "exec")
        assert not any(stop in completion for stop in PYTHON_STOPS), "cut when a model writes it"
    assert case.stop == PYTHON_STOPS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_prompts_do_not_name_the_weakness(case: Case) -> None:
    told = r"\b(in)?secur|\b(un)?safe|vulnerab|attack|inject|saniti|malicious|exploit|hostile|cwe"
    assert not re.search(told, case.prompt.lower())


def test_shipped_files_are_what_the_scenarios_write(tmp_path: Path) -> None:
    card = FORMS["secure-python"].card
    suites.write(card, CASES, tmp_path, by="python -m scenarios.write")
    assert (SUITES / "secure-python.yaml").read_bytes() == (
        tmp_path / "secure-python.yaml"
    ).read_bytes()
    shipped, written = (
        gzip.decompress((folder / card.cases).read_bytes()) for folder in (SUITES, tmp_path)
    )
    assert shipped == written
    assert [case.id for case in suites.load("secure-python").cases] == [case.id for case in CASES]


def test_references_fit_the_budget_of_the_card() -> None:
    """Three signs a token is less than what tokenizers of code reach."""
    longest = max(len(case.reference or "") for case in CASES)
    assert longest / 3 <= FORMS["secure-python"].card.max_new_tokens
