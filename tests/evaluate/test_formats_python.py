# SPDX-License-Identifier: Apache-2.0
"""HumanEval+, MBPP, MBPP+, DS-1000: rows of our own in their forms, loaded and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Completion
from codetemper.judges import judge_all
from tests.evaluate.formats_material import (
    DATA,
    PATIENT,
    functions,
    judged,
    load,
    without,
    write,
)

PLUS: dict[str, Any] = {
    "task_id": "HumanEval/900", "entry_point": "halves", "atol": 0,
    "prompt": 'def halves(numbers):\n    """Return half of each number."""\n',
    "canonical_solution": "    numbers.append(1)\n    numbers.pop()\n"
                          "    return [n / 2 for n in numbers]\n",
    "contract": "", "base_input": [[[1, 2]], [[]]], "plus_input": [[[3.3, -4]], [[1e300]]],
}  # fmt: skip


def _plus(tmp_path: Path, kind: str = "humaneval+", **changes: Any) -> Any:
    (case,) = load(kind, write(tmp_path / "plus.jsonl", [PLUS | changes]))
    return case


def test_plus_inputs_are_hidden_and_both_kinds_count(tmp_path: Path) -> None:
    case = _plus(tmp_path)
    assert [(c["name"], c["hidden"]) for c in case.spec["checks"]] == [
        ("base", False), ("plus", True)]  # fmt: skip
    only_base = "    return {(1, 2): [0.5, 1.0], (): []}[tuple(numbers)]\n"
    near = "    return [n * 0.5000000001 for n in numbers]\n"
    far = "    return [n * 0.501 for n in numbers]\n"
    right = "    return [n * 0.5 for n in numbers]\n"
    assert functions(case, case.reference, right, near, far, only_base) == [
        "pass", "pass", "pass", "fail", "fail"]  # fmt: skip
    assert [f.rule for f in judged(case, only_base)[0].findings] == ["hidden:plus"]


def test_a_whole_program_does_not_need_the_prompt(tmp_path: Path) -> None:
    program = "def halves(numbers):\n    return [n / 2 for n in numbers]\n"
    assert functions(_plus(tmp_path), program, "    return 1\n", whole=True) == ["pass", "fail"]


def test_the_root_of_a_polynomial_is_judged_by_its_value(tmp_path: Path) -> None:
    case = _plus(
        tmp_path, entry_point="find_zero", atol=1e-4, base_input=[[[-6, 1, 1]]], plus_input=[],
        prompt="def find_zero(xs):\n", canonical_solution="    return 2.0\n",
    )  # fmt: skip
    assert functions(case, "    return 2.0\n", "    return -3\n", "    return 1.0\n") == [
        "pass", "pass", "fail"]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"base_input": 7}, "'base_input' is no list"), ({"base_input": [7]}, "list of arguments"),
     ({"atol": "x"}, "'atol' is no number"), ({"base_input": [], "plus_input": []}, "no tests")],
)  # fmt: skip
def test_broken_plus_rows_are_told(tmp_path: Path, changes: Any, told: str) -> None:
    with pytest.raises(UsageError, match="row 1") as error:
        _plus(tmp_path, **changes)
    assert told in error.value.why


def test_equality_is_that_of_python_and_of_types_near_zero(tmp_path: Path) -> None:
    case = _plus(
        tmp_path, prompt="def halves(n):\n", canonical_solution="    return [n, True]\n",
        base_input=[[2]], plus_input=[],
    )  # fmt: skip
    texts = ("    return [2.0, 1]\n", "    return (2, True)\n", "    return [2, 0]\n")
    assert functions(case, *texts) == ["pass", "fail", "fail"]
    near = _plus(
        tmp_path, prompt="def halves(n):\n", canonical_solution="    return n + 1e-9\n",
        base_input=[[2.0]], plus_input=[],
    )  # fmt: skip
    assert functions(near, "    return n\n", "    return int(n)\n") == ["pass", "fail"]


MBPP: dict[str, Any] = {
    "task_id": 900, "text": "Write a function to add one.", "code": "def one(a):\n    return a + 1",
    "test_list": ["assert one(1) == 2", "assert one(-1) == 0"], "test_setup_code": "",
    "challenge_test_list": [],
}  # fmt: skip


def test_mbpp_full_and_sanitized(tmp_path: Path) -> None:
    sane = without(MBPP, "text", "test_setup_code", "challenge_test_list") | {
        "task_id": 901, "prompt": MBPP["text"], "test_imports": ["import math"],
        "test_list": ["assert math.isclose(one(0.5), 1.5)"]}  # fmt: skip
    full, sanitized = load("mbpp", write(tmp_path / "m.json", [MBPP, sane]))
    assert (full.id, sanitized.id) == ("mbpp/900", "mbpp/901")
    assert "assert one(1) == 2" in full.prompt
    assert "assert one(-1)" not in full.prompt
    for case in (full, sanitized):
        assert functions(case, case.reference, "def one(a):\n    return a") == ["pass", "fail"]


def test_mbpp_tests_that_make_objects_of_the_program_run_beside_it(tmp_path: Path) -> None:
    row = MBPP | {"test_list": ["assert total([Pair(1, 2), Pair(3, 4)]) == 10"]}
    (case,) = load("mbpp", write(tmp_path / "m.jsonl", [row]))
    assert case.spec["checks"][0]["together"]
    kind = "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
    right = f"{kind}def total(pairs):\n    return sum(p.a + p.b for p in pairs)\n"
    assert functions(case, right, right.replace("p.b", "0")) == ["pass", "fail"]


def test_mbpp_plus_rows_of_evalplus(tmp_path: Path) -> None:
    row = without(PLUS, "contract") | {
        "task_id": "Mbpp/2", "entry_point": "similar_elements",
        "prompt": '"""\nWrite a function to find the shared elements.\n"""\n',
        "canonical_solution": "def similar_elements(a, b):\n    return tuple(set(a) & set(b))\n",
        "base_input": [[[3, 4, 5], [5, 4]]], "plus_input": [[[1, 2], [3]]]}  # fmt: skip
    (case,) = load("mbpp+", write(tmp_path / "MbppPlus.jsonl.gz", [row]))
    other_order = "def similar_elements(a, b):\n    return [x for x in b if x in a]\n"
    only_tuples = "def similar_elements(a, b):\n    return tuple(set(a + ()) & set(b))\n"
    wrong = "def similar_elements(a, b):\n    return a\n"
    assert case.id == "Mbpp/2"
    assert functions(case, case.reference, other_order, only_tuples, wrong) == [
        "pass", "pass", "pass", "fail"]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "given", "code", "value"),
    [
        (116, [[1, 2]], "isinstance(x, tuple)", True),
        (63, [[[1, 2], [3]]], "all(isinstance(i, tuple) for i in x)", True),
        (106, [[1], [2]], "isinstance(x, list)", True),
        (115, [[[1], []]], "[type(i).__name__ for i in x]", ["set", "dict"]),
        (252, ["1+2j"], "x.imag", 2.0),
        (259, [[[1, 2], [3, 4]]], "isinstance(x, tuple) and isinstance(x[0], tuple)", True),
        (580, [[1, [2]]], "isinstance(x, tuple) and isinstance(x[1], tuple)", True),
        (722, [{"a": [1]}], "isinstance(x['a'], tuple)", True),
    ],
)
def test_mbpp_plus_arguments_have_the_types_json_cannot_say(
    tmp_path: Path, task: int, given: Any, code: str, value: Any
) -> None:
    row = PLUS | {
        "task_id": f"Mbpp/{task}", "entry_point": "shape", "prompt": '"""x"""\n',
        "canonical_solution": f"def shape(x, *_):\n    return {code}\n",
        "base_input": [given], "plus_input": []}  # fmt: skip
    (case,) = load("mbpp+", write(tmp_path / "p.jsonl", [row]))
    told = f"def shape(x, *_):\n    assert ({code}) == {value!r}\n    return {code}\n"
    assert functions(case, told) == ["pass"]


def test_mbpp_plus_rows_of_the_data_set_need_no_numpy(tmp_path: Path) -> None:
    script = (
        "import numpy as np\n\ndef assertion(out, exp, atol):\n"
        "    if atol != 0:\n        np.testing.assert_allclose(out, exp, rtol=1e-07, atol=atol)\n"
        "    else:\n        assert out == exp\n\n"
        "for inp, exp in [([0.1], 1.1), ([2.0], 3.0)]:\n    assertion(one(*inp), exp, 1e-6)\n"
    )
    row = MBPP | {"prompt": "Add one.", "test": script, "test_imports": []}
    (case,) = load("mbpp+", write(tmp_path / "p.jsonl", [row]))
    assert [c["hidden"] for c in case.spec["checks"]] == [False, True]
    off = "def one(a):\n    return a + 1 + (1e-3 if a == 2.0 else 0)\n"
    assert functions(case, MBPP["code"], off) == ["pass", "fail"]


DS: dict[str, Any] = {
    "prompt": "Problem: double x into result.\n<code>\nx = ...\nBEGIN SOLUTION\n<code>\n",
    "reference_code": "result = x * 2",
    "metadata": {"problem_id": 7, "library": "Numpy", "perturbation_type": "Origin"},
    "code_context": (
        "import json\nimport numpy as np\n\n"
        'exec_context = """\nx = test_input\n[insert]\n"""\n\n'
        "def test_execution(solution):\n"
        '    code = exec_context.replace("[insert]", solution)\n'
        '    space = {"test_input": 4}\n    exec(code, space)\n    assert space["result"] == 8\n\n'
        "def test_string(solution):\n    assert 'while' not in solution\n"
    ),
}  # fmt: skip


def test_ds1000_is_unknown_where_the_library_is_not_in_the_sandbox(tmp_path: Path) -> None:
    row = DS | {"code_context": DS["code_context"].replace("numpy", "missing_library")}
    (case,) = load("ds1000", write(tmp_path / "d.jsonl", [row]))
    (verdict,) = judged(case, DS["reference_code"])
    assert (verdict.function, verdict.failure) == ("unknown", "unknown")
    assert "missing_library" in verdict.findings[0].message


def test_ds1000_runs_the_piece_in_its_context(tmp_path: Path) -> None:
    about = DS["metadata"] | {"library": "json"}
    context = DS["code_context"].replace("import numpy as np\n", "")
    (case,) = load(
        "ds1000", write(tmp_path / "d.jsonl", [DS | {"metadata": about, "code_context": context}])
    )
    loop = "result = 0\nwhile result < 8:\n    result += x"
    texts = (DS["reference_code"], "result = x", loop, "result = (")
    assert functions(case, *texts) == ["pass", "fail", "fail", "fail"]
    with pytest.raises(UsageError, match="row 1"):
        load("ds1000", write(tmp_path / "e.jsonl", [DS | {"code_context": "x = 1"}]))


@pytest.mark.skipif(not DATA.exists(), reason="the benchmark files are not beside this checkout")
def test_humaneval_plus_mini_passes_its_own_solutions() -> None:
    cases = load("humaneval+", DATA / "humaneval" / "HumanEvalPlus-Mini.jsonl.gz")
    assert len(cases) == 164
    right = judge_all(
        [(c, Completion(case=c.id, text=c.reference or "")) for c in cases], options=PATIENT
    )
    assert [v.case for v in right if v.function != "pass"] == []
    stubs = [(c, Completion(case=c.id, text="    return None\n")) for c in cases[::4]]
    assert {v.function for v in judge_all(stubs, options=PATIENT)} == {"fail"}
