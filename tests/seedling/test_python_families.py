# SPDX-License-Identifier: Apache-2.0
"""Every Python family: good bodies pass all checks, bad ones fail one, the split leaks nothing.

Runs generated code in this process: it is the project's own, drawn from fixed templates.
"""

from __future__ import annotations

import ast
import json
import random

import pytest

from seedling.world.python_functions import FAMILIES, TRANSFER
from seedling.world.task import Task

NAMES = sorted(FAMILIES)


def draws(name: str, count: int) -> list[Task]:
    rng = random.Random(f"python {name}")
    return [FAMILIES[name](rng) for _ in range(count)]


def encoded(value: object) -> str:
    """Exact types: JSON tells 1 from 1.0 and true."""
    return json.dumps(value, sort_keys=True)


def failures(task: Task, completion: str) -> list[str]:
    program = compile(task.prompt + completion, "<task>", "exec")
    failed = []
    for check in task.spec["checks"]:
        space: dict[str, object] = {}
        exec(program, space)
        try:
            exec(check["code"], space)
            right = encoded(space["result"]) == encoded(check["expect"])
        except Exception:
            right = False
        if not right:
            failed.append(check["name"])
    return failed


@pytest.mark.parametrize("name", NAMES)
def test_variants_are_what_they_say(name: str) -> None:
    for task in draws(name, 25):
        for variant in task.variants:
            failed = failures(task, variant.text)
            assert bool(failed) != variant.good, (variant.idiom, task.prompt, variant.text, failed)


def test_names_are_those_of_the_tasks() -> None:
    assert all(task.family == name for name in NAMES for task in draws(name, 1))


@pytest.mark.parametrize("name", NAMES)
def test_shape(name: str) -> None:
    for task in draws(name, 40):
        assert 4 <= len(task.spec["checks"]) <= 7
        assert len({check["code"] for check in task.spec["checks"]}) >= 4
        assert json.loads(encoded(task.spec)) == task.spec
        assert 1 <= sum(v.good for v in task.variants) <= 3
        assert 1 <= sum(not v.good for v in task.variants) <= 3
        assert sum(v.weight for v in task.variants) == pytest.approx(1)
        assert 0.25 <= sum(v.weight for v in task.variants if not v.good) <= 0.6
        assert "$" not in task.prompt
        for variant in task.variants:
            assert variant.text.endswith("\n")
            assert len(variant.text.splitlines()) <= 8
            assert all(line.startswith("    ") for line in variant.text.splitlines())
            (function,) = ast.parse(task.prompt + variant.text).body
            assert isinstance(function, ast.FunctionDef)


@pytest.mark.parametrize("name", NAMES)
def test_enough_combinations_and_no_prompt_on_both_sides(name: str) -> None:
    keys: dict[str, tuple[str, ...]] = {}
    for task in draws(name, 400):
        assert keys.setdefault(task.prompt, task.key) == task.key
    assert len(set(keys.values())) >= 50


def test_prompts_belong_to_one_family() -> None:
    owners: dict[str, str] = {}
    for name in NAMES:
        for task in draws(name, 200):
            assert owners.setdefault(task.prompt, name) == name


def test_the_whole() -> None:
    assert len(FAMILIES) >= 64
    assert TRANSFER in FAMILIES
    shares = [sum(v.weight for v in draws(n, 1)[0].variants if not v.good) for n in NAMES]
    assert 0.39 <= sum(shares) / len(shares) <= 0.45


def test_a_draw_is_repeatable() -> None:
    assert draws(TRANSFER, 5) == draws(TRANSFER, 5)
