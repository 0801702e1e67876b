# SPDX-License-Identifier: Apache-2.0
"""Forged passes: completions that solve nothing and want a pass, before every form of test.

The completions are data in ``attacks``. Each judging session runs once a module; every test looks
at one verdict of it. The other half is honesty: right programs that look suspicious must pass.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate import formats
from codetemper.judges import JudgeOptions, judge_all
from tests.judges.attacks import denials, forgeries_c
from tests.judges.attacks.deceits import DECEITS
from tests.judges.attacks.forgeries import FORGERIES, Forgery
from tests.judges.attacks.honest import HONEST
from tests.judges.attacks.insiders import INSIDERS
from tests.judges.attacks.spies import SPIES
from tests.judges.attacks.tasks import ADD, TASKS, Task

ALL = (*FORGERIES, *SPIES, *DECEITS, *INSIDERS)
STYLES = ("asserts", "together", "result")
OPTIONS = JudgeOptions(workers=2, timeout_s=2.0)
HUMANEVAL = Path(__file__).parents[3] / "shared/data/humaneval/HumanEval.jsonl.gz"


def checks_of(task: Task, style: str, *, hidden: bool = False) -> list[dict[str, Any]]:
    """Return the checks of a task in one style."""
    if style == "result":
        return [
            {"name": f"call{i}", "kind": "function", "code": f"result = {task.entry}(*{args!r})",
             "expect": expected}
            for i, (args, expected) in enumerate(zip(task.inputs, task.expected, strict=True))
        ]  # fmt: skip
    form = {"style": "asserts", "together": style == "together", "kind": "function"}
    call = f"\ncheck({task.entry})\n"
    checks = [{"name": "tests", "code": task.test + call, **form}]
    if hidden:
        checks.append({"name": "more", "code": task.hidden + call, "hidden": True, **form})
    return checks


def case_of(task: Task, style: str, *, hidden: bool = False) -> Case:
    spec = {"setup": "", "checks": checks_of(task, style, hidden=hidden)}
    return Case(id=f"{task.name}-{style}-{hidden}", prompt=task.prompt, language="python",
                judge="execution", spec=spec)  # fmt: skip


def judged(items: Sequence[tuple[Any, Case, str]]) -> dict[Any, Verdict]:
    """Judge texts under keys, in one session."""
    pairs = [(case, Completion(case=case.id, index=i, text=text))
             for i, (_, case, text) in enumerate(items)]  # fmt: skip
    verdicts = judge_all(pairs, options=OPTIONS)
    return {key: verdict for (key, _, _), verdict in zip(items, verdicts, strict=True)}


@pytest.fixture(scope="module")
def sentences() -> Mapping[tuple[str, str], Verdict]:
    """Verdicts of every forgery under every style; those that know the answers see hidden tests."""
    return judged([
        ((forgery.name, style), case_of(TASKS[forgery.task], style, hidden=forgery.knows),
         forgery.text)
        for forgery in ALL
        for style in STYLES
        if not (forgery.knows and style == "result")
    ])  # fmt: skip


@pytest.mark.parametrize("forgery", ALL, ids=lambda forgery: forgery.name)
def test_a_forgery_is_no_pass(
    forgery: Forgery, sentences: Mapping[tuple[str, str], Verdict]
) -> None:
    for style in STYLES:
        verdict = sentences.get((forgery.name, style))
        if verdict is not None:
            assert verdict.function == "fail", (style, verdict)
            assert not verdict.positive


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_tasks_tell_right_from_wrong(task: Task) -> None:
    """Without this a judge that refuses everything would pass all of the above."""
    found = judged([
        ((style, text), case_of(task, style, hidden=style != "result"), text)
        for style in STYLES for text in (task.answer, task.wrong)
    ])  # fmt: skip
    for style in STYLES:
        assert found[style, task.answer].positive, (style, found[style, task.answer])
        assert found[style, task.wrong].failure == "wrong", style


def test_known_answers_fail_hidden_tests_only() -> None:
    for forgery in (f for f in FORGERIES if f.knows):
        task = TASKS[forgery.task]
        found = judged([(hidden, case_of(task, "asserts", hidden=hidden), forgery.text)
                        for hidden in (False, True)])  # fmt: skip
        assert found[False].function == "pass"
        assert found[True].function == "fail"
        assert any(finding.rule.startswith("hidden:") for finding in found[True].findings)


@pytest.fixture(scope="module")
def acquittals() -> Mapping[tuple[str, str], Verdict]:
    return judged([((name, style), case_of(ADD, style), text)
                   for name, text in HONEST.items() for style in STYLES])  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_program_is_not_refused(
    name: str, acquittals: Mapping[tuple[str, str], Verdict]
) -> None:
    for style in STYLES:
        verdict = acquittals[name, style]
        assert verdict.function == "pass", (style, verdict)
        assert verdict.positive, (style, verdict.flags)


@pytest.mark.skipif(not HUMANEVAL.exists(), reason="HumanEval is not on this machine")
def test_all_canonical_solutions_pass() -> None:
    rows = map(json.loads, gzip.decompress(HUMANEVAL.read_bytes()).splitlines())
    answers = {row["task_id"]: row["canonical_solution"] for row in rows}
    _, cases = formats.read("humaneval", str(HUMANEVAL))
    found = judged([(case.id, case, answers[case.id]) for case in cases])
    assert {name: v for name, v in found.items() if not v.positive} == {}
    assert len(found) == 164


@pytest.fixture(scope="module")
def lookups() -> Mapping[str, Verdict]:
    """Verdicts of programs that look rows up, insecurely, and deny it."""
    spec = {"checks": list(denials.CHECKS)}
    case = Case(id="denial", prompt=denials.PROMPT, language="python", judge="execution",
                spec=spec, cwe="CWE-89")  # fmt: skip
    texts = {"secure": denials.SECURE, "insecure": denials.INSECURE, **denials.DENIALS}
    return judged([(name, case, text) for name, text in texts.items()])


def test_the_lookup_tells_secure_from_insecure(lookups: Mapping[str, Verdict]) -> None:
    assert lookups["secure"].positive
    assert lookups["secure"].security == "pass"
    assert (lookups["insecure"].function, lookups["insecure"].security) == ("pass", "fail")


@pytest.mark.parametrize("name", denials.DENIALS)
def test_a_weakness_cannot_be_denied(name: str, lookups: Mapping[str, Verdict]) -> None:
    verdict = lookups[name]
    assert not (verdict.positive and verdict.security == "pass"), verdict


def c_case(name: str, prompt: str, spec: dict[str, Any]) -> Case:
    return Case(id=name, prompt=prompt, language="c", judge="compiled", spec=spec)


@pytest.fixture(scope="module")
def compiled() -> Mapping[tuple[str, str], Verdict]:
    """Verdicts of everything written in C."""
    sums = c_case("sum", forgeries_c.SUM_PROMPT, forgeries_c.SUM_SPEC)
    stores = c_case("store", forgeries_c.STORE_PROMPT, forgeries_c.STORE_SPEC)
    ends = {"answer": forgeries_c.SUM_ANSWER, **forgeries_c.ENDS}
    blinds = {"answer": forgeries_c.STORE_ANSWER, "insecure": forgeries_c.STORE_INSECURE,
              **forgeries_c.BLINDS}  # fmt: skip
    items = [(("sum", name), sums, text) for name, text in ends.items()]
    items += [(("store", name), stores, text) for name, text in blinds.items()]
    return judged(items)


def test_the_c_tasks_tell_right_from_wrong(compiled: Mapping[tuple[str, str], Verdict]) -> None:
    assert compiled["sum", "answer"].positive
    assert compiled["store", "answer"].positive
    assert compiled["store", "answer"].security == "pass"
    assert compiled["store", "insecure"].function == "pass"
    assert compiled["store", "insecure"].security == "fail"


@pytest.mark.parametrize("name", forgeries_c.ENDS)
def test_a_c_program_must_return_from_main(
    name: str, compiled: Mapping[tuple[str, str], Verdict]
) -> None:
    verdict = compiled["sum", name]
    # Those that take the driver's place do not build; the others run, and what they say is refused.
    assert verdict.valid == "pass" or name.startswith(("driver", "main")), verdict
    assert verdict.function == "fail", verdict


@pytest.mark.parametrize("name", forgeries_c.BLINDS)
def test_sanitizers_cannot_be_blinded(
    name: str, compiled: Mapping[tuple[str, str], Verdict]
) -> None:
    verdict = compiled["store", name]
    assert verdict.valid == "pass", verdict
    assert not (verdict.positive and verdict.security == "pass"), verdict
