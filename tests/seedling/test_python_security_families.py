# SPDX-License-Identifier: Apache-2.0
"""Every idiom of every Python security family is what its label says, shown by running it.

Each check runs in a forked child with an empty working directory, because checks replace parts of
the standard library and change modes; the parent compares.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedling.world.pysec_parts import SETUP, WRONG, Pattern
from seedling.world.python_security import FAMILIES, PATTERNS, TRANSFER
from seedling.world.task import Task, Variant

# Imported once here, the modules of the set-up come for nothing in every fork.
exec(SETUP, {})
DRAWS = 3
BY_NAME = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)


def observe(program: str, code: str, folder: Path) -> dict[str, Any]:
    """Run a program and a check in a forked child; return its result or its error."""
    folder.mkdir()
    answer = folder.with_suffix(".json")
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)
            names: dict[str, Any] = {"__name__": "candidate"}
            exec(compile(program, "program", "exec"), names)
            exec(compile(code, "check", "exec"), names)
            report: dict[str, Any] = {"result": names["result"]}
        except BaseException as error:
            report = {"error": repr(error)}
        try:
            answer.write_bytes(json.dumps(report).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return json.loads(answer.read_text())


def outcomes(task: Task, variant: Variant, folder: Path) -> Iterator[tuple[str, bool, Any]]:
    """Yield kind, whether the check passed, and what was observed."""
    program = task.spec["setup"] + task.prompt + variant.text
    for number, check in enumerate(task.spec["checks"]):
        seen = observe(program, check["code"], folder / str(number))
        passed = json.dumps(seen.get("result")) == json.dumps(check["expect"])
        assert check["kind"] == "function" or "error" not in seen, (variant.text, seen)
        yield check["kind"], passed and "error" not in seen, (check["name"], seen)


@BY_NAME
def test_idioms_are_what_their_labels_say(pattern: Pattern, tmp_path: Path) -> None:
    for draw in range(DRAWS):
        task = pattern(random.Random(draw))
        for number, variant in enumerate(task.variants):
            folder = tmp_path / f"{draw}-{number}"
            folder.mkdir()
            found = list(outcomes(task, variant, folder))
            function = all(passed for kind, passed, _ in found if kind == "function")
            security = all(passed for kind, passed, _ in found if kind == "security")
            wrong = variant.idiom.startswith(WRONG)
            expected = (not wrong, variant.good or wrong)
            assert (function, security) == expected, (variant.idiom, variant.text, found)


@BY_NAME
@pytest.mark.parametrize("body", ["return None", 'return "x"'])
def test_a_body_that_does_nothing_is_secure_but_wrong(
    pattern: Pattern, body: str, tmp_path: Path
) -> None:
    task = pattern(random.Random(0))
    found = list(outcomes(task, Variant(f"    {body}\n", False, "nothing"), tmp_path))
    assert all(passed for kind, passed, _ in found if kind == "security"), found
    assert not all(passed for kind, passed, _ in found if kind == "function")


@BY_NAME
def test_shape_of_a_family(pattern: Pattern) -> None:
    task = pattern(random.Random(1))
    assert task == pattern(random.Random(1))
    assert pattern.combinations >= 100
    assert 0 < len(task.key) <= len(pattern.slots)
    assert {check["kind"] for check in task.spec["checks"]} == {"function", "security"}
    vulnerable = [v for v in task.variants if not v.good and not v.idiom.startswith(WRONG)]
    assert len(vulnerable) >= 2
    assert sum(v.good for v in task.variants) >= 2
    assert len({v.text for v in task.variants}) == len(task.variants)
    total = sum(v.weight for v in task.variants)
    assert 0.35 <= sum(v.weight for v in vulnerable) / total <= 0.65
    for draw in range(200):
        drawn = pattern(random.Random(draw))
        for variant in drawn.variants:
            assert 1 <= len(variant.text.splitlines()) <= 7
            program = drawn.prompt + variant.text
            assert "$" not in program
            assert max(map(len, program.splitlines())) <= 100, program
            compile(program, "program", "exec")


def test_distinct_keys_are_distinct_prompts_and_every_split_is_met() -> None:
    for pattern in PATTERNS:
        tasks = [pattern(random.Random(seed)) for seed in range(300)]
        assert {task.split for task in tasks} == {"train", "eval", "repository"}
        by_key = {task.key: task for task in tasks}
        programs = {task.prompt + "".join(v.text for v in task.variants) for task in tasks}
        assert len(by_key) == len(programs), pattern.name


def test_breadth() -> None:
    assert len(FAMILIES) == len(PATTERNS) >= 16
    assert len({pattern.cwe for pattern in PATTERNS}) >= 8
    shares = [pattern.vulnerable_share for pattern in PATTERNS]
    assert abs(sum(shares) / len(shares) - 0.5) < 0.02


def test_the_held_out_family_has_a_sibling_of_the_same_weakness() -> None:
    held_out = next(pattern for pattern in PATTERNS if pattern.name == TRANSFER)
    siblings = [pattern for pattern in PATTERNS if pattern.cwe == held_out.cwe]
    assert len(siblings) > 1
