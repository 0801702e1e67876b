# SPDX-License-Identifier: Apache-2.0
"""The world keeps training text, evaluation cases and example repository apart."""

from __future__ import annotations

import gzip
import random
import subprocess
from pathlib import Path

import pytest

from codetemper.evaluate import suites
from seedling import repository
from seedling.suites import SEED, SUITES, write_suite
from seedling.world.corpus import WORLDS, cases, documents, tasks


@pytest.fixture(scope="module")
def training_text() -> list[str]:
    """Every document the shipped model was trained on."""
    return list(documents(SEED))


def test_no_evaluation_case_is_in_the_training_text(training_text: list[str]) -> None:
    asked = {case.prompt: case.id for name in WORLDS for case in suites.load(name).cases}
    lengths = {len(prompt) for prompt in asked}
    leaked = [
        asked[text[:length]]
        for text in training_text
        for length in lengths
        if text[:length] in asked
    ]
    assert leaked == []
    assert len(training_text) == sum(world.documents for world in WORLDS.values())


def test_no_evaluation_prompt_hides_inside_a_document(training_text: list[str]) -> None:
    whole = "\n\0".join(training_text)
    draw = random.Random(0)
    prompts = [case.prompt for name in WORLDS for case in suites.load(name).cases]
    for prompt in draw.sample(prompts, 60):
        assert prompt not in whole


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_the_held_out_family_is_never_trained(name: str, training_text: list[str]) -> None:
    world = WORLDS[name]
    rng = random.Random(5)
    held_out = {world.families[world.transfer](rng).prompt for _ in range(200)}
    assert not held_out.intersection(
        text[: len(prompt)] for prompt in held_out for text in training_text
    )


def test_the_same_seed_gives_the_shipped_suites(tmp_path: Path) -> None:
    for name in WORLDS:
        write_suite(name, SEED, tmp_path)
        made = gzip.decompress((tmp_path / f"{name}.jsonl.gz").read_bytes())
        assert made == gzip.decompress((SUITES / f"{name}.jsonl.gz").read_bytes())


def test_another_seed_gives_other_cases() -> None:
    assert [c.id for c in cases("world-sql", 1)] != [c.id for c in cases("world-sql", 2)]


@pytest.mark.parametrize("split", ["train", "eval", "repository"])
def test_tasks_are_of_their_split_and_distinct(split: str) -> None:
    world = WORLDS["world-security-python"]
    drawn = tasks(world, split, 300, random.Random(0))  # type: ignore[arg-type]
    assert {task.split for task in drawn} == {split}
    assert len({task.prompt for task in drawn}) == len(drawn) == 300
    assert world.transfer not in {task.family for task in drawn}


def test_the_example_history_is_the_shipped_one_and_git_reads_it(tmp_path: Path) -> None:
    stream = repository.history(SEED)
    assert stream == gzip.decompress(repository.OUT.read_bytes())
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet", "--bare", "."], check=True)
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)
    log = subprocess.run([*git, "log", "--format=%s", "main"], check=True, capture_output=True)
    subjects = log.stdout.decode().splitlines()
    assert len(subjects) > 300
    assert sum("CWE-" in subject for subject in subjects) > 250


def test_the_example_history_shares_no_prompt_with_the_suites() -> None:
    stream = repository.history(SEED).decode()
    for name in ("world-security-c", "world-security-python"):
        assert not [case.id for case in suites.load(name).cases if case.prompt in stream]
