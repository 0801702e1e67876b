# SPDX-License-Identifier: Apache-2.0
"""Every C security family, compiled: its idioms behave as they are labelled.

The programs are written by the families themselves, so they run here without a sandbox. Set the
variable SEEDLING_DRAW to a number to try another draw of every family than the usual one.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from codetemper.core.digests import digest_json
from seedling.world.c_security import FAMILIES, SHAPES, TRANSFER
from seedling.world.task import Task, Variant

GCC = "gcc -std=gnu11 -O0 -g -w -fsanitize=address,undefined -fno-sanitize-recover=undefined"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:allocator_may_return_null=1:symbolize=0",
}
DRAW = int(os.environ.get("SEEDLING_DRAW", "1"))


def _outcomes(task: Task, variant: Variant, folder: Path) -> dict[str, list[bool]]:
    """Compile one variant and run each check: outcomes by kind."""
    source, program = folder / "program.c", folder / "program"
    spec = task.spec
    text = spec["prelude"] + task.prompt + variant.text + "\n" + spec["driver"]
    source.write_text(text, encoding="utf-8")
    built = subprocess.run(
        [*GCC.split(), *spec["flags"], str(source), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert built.returncode == 0, f"{task.family} {variant.idiom}\n{built.stderr}\n{text}"
    outcomes: dict[str, list[bool]] = {"function": [], "security": []}
    for check in spec["checks"]:
        ran = subprocess.run(
            [str(program), *check["argv"]],
            input=check["stdin"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=ENVIRONMENT,
            timeout=20,
        )
        clean = ran.returncode == 0 and not ran.stderr
        outcomes[check["kind"]].append(clean and ran.stdout == check["expect_stdout"])
    return outcomes


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_idioms_behave_as_labelled(name: str, tmp_path: Path) -> None:
    task = FAMILIES[name](random.Random(f"{name} {DRAW}"))
    for variant in task.variants:
        outcomes = _outcomes(task, variant, tmp_path)
        about = f"{variant.idiom}: {outcomes}\n{task.prompt}{variant.text}"
        assert outcomes["function"], about
        assert outcomes["security"], about
        assert all(outcomes["function"]) != variant.idiom.startswith("wrong-"), about
        vulnerable = not variant.good and not variant.idiom.startswith("wrong-")
        assert all(outcomes["security"]) != vulnerable, about


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_drawn_task_has_the_house_form(name: str) -> None:
    for seed in range(20):
        task = FAMILIES[name](random.Random(seed))
        again = FAMILIES[name](random.Random(seed))
        assert task == again
        assert (task.family, task.language, task.judge) == (name, "c", "compiled")
        assert task.prompt.endswith("\n{\n")
        assert max(map(len, task.prompt.splitlines())) <= 100
        assert "<" not in task.prompt
        assert "safe" not in task.prompt.split("*/")[0]
        idioms = [variant.idiom for variant in task.variants]
        assert len(set(idioms)) == len(idioms)
        for variant in task.variants:
            lines = variant.text.splitlines()
            assert lines[-1] == "}"
            assert 1 <= len(lines) - 1 <= 10
            assert all(line.startswith("    ") for line in lines[:-1])
            assert not any(stop in "\n" + variant.text for stop in task.stop)


def test_shares_of_vulnerable_idioms() -> None:
    shares = []
    for family in FAMILIES.values():
        variants = family(random.Random(0)).variants
        bad = [v for v in variants if not v.good and not v.idiom.startswith("wrong-")]
        share = sum(v.weight for v in bad) / sum(v.weight for v in variants)
        assert 0.35 <= share <= 0.65
        assert len(bad) >= 2
        assert sum(v.good for v in variants) >= 2
        shares.append(share)
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.02)


def test_the_families_are_many_and_the_transfer_family_has_kin() -> None:
    weaknesses = {name: shape.cwe for name, shape in SHAPES.items()}
    assert len(FAMILIES) >= 14
    assert len(set(weaknesses.values())) >= 8
    assert list(weaknesses.values()).count(weaknesses[TRANSFER]) >= 2
    assert min(shape.combinations for shape in SHAPES.values()) >= 100


def test_keys_and_prompts_are_one_to_one() -> None:
    # Two keys with one prompt would let an evaluation case into the training text.
    for family in FAMILIES.values():
        tasks = [family(random.Random(seed)) for seed in range(400)]
        keys = {digest_json(list(task.key)) for task in tasks}
        texts = {task.prompt + "".join(v.text for v in task.variants) for task in tasks}
        assert len(keys) == len(texts) == len({task.prompt for task in tasks})
