# SPDX-License-Identifier: Apache-2.0
"""HumanEval, read by path: its own solutions pass, and stubs do not, in every form of answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import Cli

DATA = Path(__file__).parents[3] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
STUB = "    return None\n"


def _answers(row: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield a right and a wrong answer, by turns as completion and as EvalPlus's solution."""
    for text in (row["canonical_solution"], STUB):
        yield {"task_id": row["task_id"], "completion": text}
        yield {"task_id": row["task_id"], "solution": row["prompt"] + text}


@pytest.mark.skipif(not DATA.exists(), reason="the HumanEval file is not beside this checkout")
def test_canonical_solutions_pass_and_stubs_fail(cli: Cli, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).splitlines()]
    answers = tmp_path / "answers.jsonl"
    with answers.open("w") as stream:
        for row in rows:
            stream.writelines(json.dumps(answer) + "\n" for answer in _answers(row))
    answer = cli("judge", f"humaneval:{DATA}", answers, "-w", tmp_path, "--json")
    assert answer.code == 0, answer.err
    assert answer.document["cases"] == 164
    assert answer.document["samples"] == 4
    assert answer.document["metrics"]["pass@1"]["value"] == pytest.approx(0.5, abs=1e-9)
    assert sum(answer.document["failures"].values()) == 2 * 164
    assert answer.document["failures"]["wrong"] > 200, "a failed assertion is a wrong answer"


def test_solutions_and_numbers_are_understood(cli: Cli, tmp_path: Path) -> None:
    row = {"task_id": 7, "text": "Add one.", "test_list": ["assert one(1) == 2"]}
    (tmp_path / "mbpp.jsonl").write_text(json.dumps(row) + "\n")
    given = [
        {"task_id": 7, "solution": "def one(a):\n    return a + 1\n"},
        {"task_id": "mbpp/7", "completion": "def one(a):\n    return a + 1\n"},
        {"task_id": "7", "solution": "def one(a):\n    return a\n"},
        {"task_id": 7, "completion": "one = None\n"},
    ]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(answer) + "\n" for answer in given))
    answer = cli("judge", f"mbpp:{tmp_path / 'mbpp.jsonl'}", answers, "-w", tmp_path, "--json")
    assert answer.code == 0, answer.err
    assert answer.document["metrics"]["pass@1"]["value"] == 0.5
    answers.write_text(json.dumps({"task_id": 7, "text": "x"}) + "\n")
    answer = cli("judge", f"mbpp:{tmp_path / 'mbpp.jsonl'}", answers, "-w", tmp_path)
    assert answer.code == 2
    assert "solution" in answer.err
