# SPDX-License-Identifier: Apache-2.0
"""Tests that assert, run by the referee or beside the candidate; what crosses; what is noticed."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from codetemper.judges import JudgeOptions
from codetemper.judges._sandbox.inside.plan import plan
from tests.judges.test_execution import case, check, verdicts


def asserts(code: str, **rest: Any) -> dict[str, Any]:
    return {"name": "tests", "kind": "function", "style": "asserts", "code": code, **rest}


@pytest.mark.parametrize("together", [False, True])
def test_tests_that_assert(together: bool) -> None:
    code = "assert add(2, 3) == 5\nassert add('a', 'b') == 'ab'\n"
    texts = {
        "    return a + b\n": ("pass", None),
        "    return 'ab'\n": ("fail", "wrong"),
        "    return 5\n": ("fail", "wrong"),
        "    raise ValueError(a)\n": ("fail", "runtime"),
        "    import os; os._exit(0)\n": ("fail", "tamper"),
        "    while True: pass\n": ("fail", "timeout"),
        "    return (\n": ("fail", "syntax"),
        "    return a + b\nimport nowhere\n": ("fail", "import"),
        "    return [0] * 10**10\n": ("fail", "memory"),
        "    return object()\n": ("fail", "wrong"),
    }
    judged = verdicts(case(asserts(code, together=together)), *texts,
                      options=JudgeOptions(workers=2, timeout_s=1.5))  # fmt: skip
    for (text, expected), v in zip(texts.items(), judged, strict=True):
        assert (v.function, v.failure) == expected, (text, v.findings)


CROSSING = r"""
import collections, datetime, decimal, fractions
for value in (None, True, 0, -1, 1 << 5000, 1.5, float('inf'), 2j, '', 'a\ud800', b'\xff', [],
              [[1], 'a'], (), (1, (2,)), {}, {1: 'a', (2, 3): None}, {1, 2}, frozenset('ab'),
              range(3, 9, 2), bytearray(b'ab'), collections.deque([1], 3),
              collections.Counter('aab'), collections.OrderedDict(a=1), datetime.date(2020, 1, 2),
              datetime.timedelta(1, 2, 3), datetime.datetime(2020, 1, 2, 3), datetime.time(1, 2),
              decimal.Decimal('1.20'), fractions.Fraction(2, 3), ..., int, ValueError):
    found = add(value, None)
    assert found == value and type(found) is type(value), (found, value)
assert list(add({'a': 1}.keys(), 0)) == ['a']
"""


def test_plain_data_cross_with_exact_types() -> None:
    judged = verdicts(case(asserts(CROSSING)), "    return a\n")[0]
    assert judged.function == "pass", judged.findings


def test_functions_iterators_errors_and_changes_cross() -> None:
    code = """
assert add(lambda x: x + 1, 4) == 5
seen = []
add(seen.append, 'x')
assert seen == ['x']
given = [3, 1]
assert add(sorted, given) == [1, 3] and given == [3, 1]
turn(given)
assert given == [1, 3]
assert list(map(make(2), [1, 2])) == [3, 4]
assert next(count(3)) == 0 and list(count(3)) == [0, 1, 2]
try:
    number('x')
except ValueError as error:
    assert 'x' in str(error)
else:
    assert False
try:
    stop(1)
except RuntimeError:
    pass
assert LIMIT == 12 and pair(1) == (1, 1)
"""
    text = """    return a(b)

from collections import namedtuple
LIMIT = 12
def turn(x):
    x.reverse()
def make(n):
    return lambda x: x + n
def count(n):
    yield from range(n)
def number(text):
    return int(text)
def stop(n):
    raise StopIteration
def pair(n):
    return namedtuple('Pair', 'a b')(n, n)
"""
    judged = verdicts(case(asserts(code)), text)[0]
    assert judged.function == "pass", judged.findings


def test_the_prompt_gives_its_helpers() -> None:
    prompt = 'import math\n\ndef code(n):\n    return n + 5\n\ndef decode(n):\n    """Undo."""\n'
    of = case(asserts("assert decode(code(1)) == math.floor(1.5)\n"), prompt=prompt)
    forged = "    return n\n\ndef code(n):\n    return n\n"
    assert [v.function for v in verdicts(of, "    return n - 5\n", forged)] == ["pass", "fail"]


def test_hidden_tests_are_named_and_known_answers_fail_them() -> None:
    hidden = asserts("assert add(7, 1) == 8") | {"name": "more", "hidden": True}
    judged = verdicts(case(asserts("assert add(2, 3) == 5"), hidden),
                      "    return a + b\n", "    return 5\n")  # fmt: skip
    assert [v.function for v in judged] == ["pass", "fail"]
    assert [f.rule for f in judged[1].findings] == ["hidden:more"]


def test_tests_that_stop_half_way_are_no_pass() -> None:
    of = case(asserts("import sys\nassert add(1, 1) == 2\nsys.exit(0)\n"))
    assert verdicts(of, "    return a + b\n")[0].function == "fail"
    deaf = case(asserts("try:\n    add(1, 1)\nexcept BaseException:\n    pass\n"))
    judged = verdicts(deaf, "    import os; os._exit(0)\n", "    return a + b\n")
    assert [v.function for v in judged] == ["fail", "pass"]


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("    import sys\n    getattr(sys, '_getf' + 'rame')()\n    return a + b\n", "frames"),
        ("    import gc\n    getattr(gc, 'get_' + 'objects')()\n    return a + b\n", "gc"),
        ("    import sys\n    getattr(sys, 'settr' + 'ace')(None)\n    return a + b\n", "trace"),
        ("    __import__('cty' + 'pes')\n    return a + b\n", "native"),
        ("    try:\n        1 / 0\n    except ArithmeticError as e:\n"
         "        getattr(e.__traceback__, 'tb_' + 'frame')\n    return a + b\n", "frames"),
        ("    return a + b\n\nimport builtins\nvars(builtins)['abs'] = max\n", "builtins"),
    ],
)  # fmt: skip
def test_tampering_is_seen_at_work(text: str, flag: str) -> None:
    apart, within = (
        verdicts(case(one), text)[0]
        for one in (asserts("assert add(1, 1) == 2"), check("result = add(1, 1)", 2))
    )
    assert (apart.function, apart.positive) == ("pass", False)
    assert f"seen:{flag}" in within.flags
    assert flag == "builtins" or f"seen:{flag}" in apart.flags
    assert (within.function, within.failure) == ("fail", "tamper")


def test_programs_are_started_only_where_the_case_says_so() -> None:
    echo = "subprocess.run(['/bin/echo', 'a'], stdout=-1).stdout.decode()"
    of = case(check(f"import subprocess\nresult = {echo}", "a\n"))
    refused = verdicts(of, "    pass\n")[0]
    assert refused.findings[0].message.startswith("check: PermissionError")
    allowed = of.model_copy(update={"spec": {**of.spec, "spawn": True}})
    assert verdicts(allowed, "    pass\n")[0].function == "pass"


def test_a_program_that_sleeps_is_ended() -> None:
    text = "    import time\n    time.sleep(600)\n    return a + b\n"
    judged = verdicts(case(check("result = add(1, 1)", 2)), text,
                      options=JudgeOptions(workers=1, timeout_s=0.5))[0]  # fmt: skip
    assert (judged.function, judged.failure) == ("fail", "timeout")


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("def check(candidate):\n    assert candidate(1) == 2\n"
         "    assert abs(candidate(-1)) < f(3)\ncheck(f)", [(1,), (-1,), (3,)]),
        ("LIMIT = 3\nassert f([1], 'a') == 1\nassert set(f(2)) == {3}", [([1], "a"), (2,)]),
        ("assert f(1) == 1\nfor x in range(3):\n    assert f(x)\nassert f(9)", [(1,)]),
        ("assert f(1) == 1\nassert f(2) and f(3)\nassert f(4)", [(1,)]),
        ("assert f(1) == 1\nassert f([{2, 3}]) == 2", [(1,)]),
        ("assert f(1) == 1, 'one'\nassert f(2), f'{f(3)}'\nassert f(4)", [(1,), (2,)]),
        ("assert f(f(1)) == 1\nassert f(4)", [(1,)]),
        ("x = 1\nassert f(x) == 1", None),
        ("def f(x):\n    return x\nassert f(1) == 1", None),
        ("if f(1):\n    assert f(2)", None),
        ("assert all(f(n) for n in (1, 2))", None),
    ],
)  # fmt: skip
def test_only_calls_that_are_certain_are_made_ahead(code: str, calls: list[Any] | None) -> None:
    found = plan(ast.parse(code))
    assert (found and list(found.calls)) == calls


def test_calls_made_ahead_change_no_verdict() -> None:
    code = (
        "assert add(1, 1) == [2]\nassert list(lazy(3)) == [0, 1, 2]\nassert add(2, 2) == [2, 4]\n"
        "assert list(lazy(2)) == [0, 1]\nassert SEEN == [2, 4]\n"
    )
    text = (
        "    SEEN.append(a + b)\n    return SEEN\nSEEN = []\n"
        "def lazy(n):\n    return map(abs, range(n))\n"
    )
    wrong = text.replace("a + b", "a - b") + "\nimport time\n"
    late = "    while a > 1:\n        pass\n    return a\n"
    judged = verdicts(case(asserts(code)), text, wrong, late)
    assert [(v.function, v.failure) for v in judged] == [
        ("pass", None), ("fail", "wrong"), ("fail", "wrong")
    ]  # fmt: skip


def test_a_message_that_calls_the_program_says_that_the_answer_is_wrong() -> None:
    code = "assert add(1, 1) == 2, str(add(3, 3))\nassert add(2, 2) == 4\n"
    right, wrong = verdicts(case(asserts(code)), "    return a + b\n", "    return a - b\n")
    assert right.function == "pass"
    assert (wrong.failure, wrong.findings[0].message) == ("wrong", "AssertionError: 0")
