# SPDX-License-Identifier: Apache-2.0
"""Suites load whole or not at all, and say what is wrong with them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import yaml

from codetemper.core.errors import UsageError
from codetemper.core.records import Case
from codetemper.evaluate import suites

CARD = {
    "name": "mine", "summary": "Two cases.", "language": "shell", "metrics": ["exact_match"],
    "cases": "mine.jsonl",
}  # fmt: skip


def _write(folder: Path, card: dict[str, object], cases: list[dict[str, object]]) -> str:
    (folder / "mine.yaml").write_text(yaml.safe_dump(card))
    (folder / "mine.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return f"suite:{folder / 'mine.yaml'}"


def _case(id: str, **more: object) -> dict[str, object]:
    return {"id": id, "prompt": "# list\n", "language": "shell", "judge": "exact",
            "spec": {"answers": ["ls"], "normalise": "shell"}} | more  # fmt: skip


#: Suites drawn from the seedling world; the others are written by hand and have tests of their own.
WORLDS = [name for name in suites.shipped() if name.startswith("world-")]


@pytest.mark.parametrize("name", WORLDS)
def test_shipped_suites_are_large_and_name_known_judges(name: str) -> None:
    suite = suites.load(name)
    assert len(suite.cases) >= 200
    assert suite.card.name == name
    assert {case.judge for case in suite.cases} <= {"execution", "compiled", "sql", "exact"}
    assert {case.split for case in suite.cases} == {"combination", "transfer"}
    assert len({case.family for case in suite.cases if case.split == "transfer"}) == 1


def test_the_five_worlds_are_shipped() -> None:
    wanted = "world-python world-security-c world-security-python world-shell world-sql"
    assert wanted.split() == WORLDS


def test_the_security_suites_cover_twelve_weaknesses() -> None:
    cwes = {c.cwe for name in suites.shipped() for c in suites.load(name).cases} - {None}
    wanted = ["787", "125", "190", "416", "476", "134", "22", "78", "79", "89", "327", "502"]
    assert {f"CWE-{number}" for number in wanted} <= cwes


def test_a_limit_draws_the_same_cases_for_the_same_seed() -> None:
    once, again = (suites.load("world-sql", limit=20, seed=3) for _ in range(2))
    other = suites.load("world-sql", limit=20, seed=4)
    assert len(once.cases) == 20
    assert once.digest == again.digest != other.digest


def test_own_suite_round_trips(tmp_path: Path) -> None:
    name = _write(tmp_path, CARD, [_case("a"), _case("b")])
    suite = suites.load(name)
    assert [case.id for case in suite.cases] == ["a", "b"]


@pytest.mark.parametrize(
    ("card", "cases", "told"),
    [
        ({**CARD, "licens": "MIT"}, [], "did you mean 'licence'"),
        (CARD, [_case("a", promt="x")], "did you mean 'prompt'"),
        (CARD, [_case("a"), _case("a")], "two cases named 'a'"),
        (CARD, [], "no cases"),
        ({**CARD, "cases": "gone.jsonl"}, [], "cannot read"),
    ],
)
def test_bad_suites_are_told_apart(
    tmp_path: Path, card: dict[str, object], cases: list[dict[str, object]], told: str
) -> None:
    with pytest.raises(UsageError) as error:
        suites.load(_write(tmp_path, card, cases))
    assert told in str(error.value)


def test_an_unknown_name_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="world-sql"):
        suites.load("world-sqll")


def test_humaneval_rows_become_cases(tmp_path: Path) -> None:
    row = {"task_id": "HumanEval/0", "prompt": "def one():\n", "entry_point": "one",
           "canonical_solution": "    return 1\n",
           "test": "def check(f):\n    assert f() == 1\n"}  # fmt: skip
    path = tmp_path / "he.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(row) + "\n").encode()))
    (case,) = suites.load(f"humaneval:{path}").cases
    assert isinstance(case, Case)
    assert case.id == "HumanEval/0"
    assert "check(one)" in case.spec["checks"][0]["code"]


def test_a_broken_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "he.jsonl.gz"
    path.write_bytes(b"not gzip")
    with pytest.raises(UsageError, match="cannot read"):
        suites.load(f"humaneval:{path}")


def test_an_unknown_format_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="humaneval"):
        suites.load("humanevl:x.jsonl")
