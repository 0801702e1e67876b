# SPDX-License-Identifier: Apache-2.0
"""The SQL and shell families: right variants are right, wrong ones show, keys are many."""

from __future__ import annotations

import random
import shlex
import sqlite3
from typing import Any

import pytest

from seedling.world import shell, sql
from seedling.world.sql_schemas import SCHEMAS
from seedling.world.task import Family, Task

EVERY = {**sql.FAMILIES, **shell.FAMILIES}


def _answers(task: Task, query: str) -> list[list[tuple[Any, ...]]]:
    found = []
    for rows in task.spec["databases"]:
        connection = sqlite3.connect(":memory:")
        connection.executescript("PRAGMA foreign_keys = ON;" + task.spec["schema"] + rows)
        result = connection.execute(query).fetchall()
        found.append(result if task.spec["ordered"] else sorted(result, key=repr))
        connection.close()
    return found


def _bad_share(family: Family) -> float:
    variants = family(random.Random(0)).variants
    return sum(v.weight for v in variants if not v.good) / sum(v.weight for v in variants)


@pytest.mark.parametrize("name", sql.FAMILIES)
def test_sql_right_queries_agree_and_wrong_ones_show(name: str) -> None:
    rng = random.Random(7)
    for _ in range(5):
        task = sql.FAMILIES[name](rng)
        gold = _answers(task, task.spec["gold"])
        assert any(gold), "the gold query must find something"
        assert {v.good for v in task.variants} == {True, False}
        for variant in task.variants:
            assert variant.text.endswith(";\n")
            assert (_answers(task, variant.text) == gold) is variant.good, variant.text


@pytest.mark.parametrize("name", shell.FAMILIES)
def test_shell_right_commands_are_answers_and_wrong_ones_not(name: str) -> None:
    rng = random.Random(7)
    for _ in range(5):
        task = shell.FAMILIES[name](rng)
        answers = [shlex.split(answer) for answer in task.spec["answers"]]
        assert {v.good for v in task.variants} == {True, False}
        for variant in task.variants:
            assert variant.text.endswith("\n")
            assert variant.text.count("\n") == 1
            assert "<" not in variant.text + task.prompt, "a part was not filled in"
            assert (shlex.split(variant.text) in answers) is variant.good, variant.text


@pytest.mark.parametrize("name", EVERY)
def test_family_has_many_combinations_and_all_splits(name: str) -> None:
    rng = random.Random(3)
    tasks = [EVERY[name](rng) for _ in range(400)]
    assert len({task.key for task in tasks}) >= 60
    assert {task.split for task in tasks} == {"train", "eval", "repository"}
    assert len({task.prompt for task in tasks}) == len({task.key for task in tasks})
    assert {task.family for task in tasks} == {name}


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_gives_the_same_task(name: str) -> None:
    assert EVERY[name](random.Random(11)) == EVERY[name](random.Random(11))


@pytest.mark.parametrize(("families", "mean"), [(sql.FAMILIES, 0.42), (shell.FAMILIES, 0.40)])
def test_wrong_shares_are_as_planned(families: dict[str, Family], mean: float) -> None:
    shares = [_bad_share(family) for family in families.values()]
    assert min(shares) >= 0.29
    assert max(shares) <= 0.55
    assert sum(shares) / len(shares) == pytest.approx(mean, abs=0.01)


def test_transfer_families_exist() -> None:
    assert sql.TRANSFER in sql.FAMILIES
    assert shell.TRANSFER in shell.FAMILIES


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_schema_supports_every_question(schema: Any) -> None:
    assert len(schema.tables) in (2, 3)
    for table in schema.tables:
        assert table.of("category")
        assert table.of("number")
    for _, child in schema.pairs:
        assert len(child.of("link")) == 1
