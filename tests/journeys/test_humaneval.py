# SPDX-License-Identifier: Apache-2.0
"""HumanEval, read by path: its own solutions pass, and their negations do not."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Cli

DATA = Path(__file__).parents[3] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"


@pytest.mark.skipif(not DATA.exists(), reason="the HumanEval file is not beside this checkout")
def test_canonical_solutions_pass_and_stubs_fail(cli: Cli, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).splitlines()]
    answers = tmp_path / "answers.jsonl"
    with answers.open("w") as stream:
        for row in rows:
            for text in (row["canonical_solution"], "    return None\n"):
                stream.write(json.dumps({"task_id": row["task_id"], "completion": text}) + "\n")
    answer = cli("judge", f"humaneval:{DATA}", answers, "-w", tmp_path, "--json")
    assert answer.code == 0, answer.err
    assert answer.document["cases"] == 164
    assert answer.document["samples"] == 2
    assert answer.document["metrics"]["pass@1"]["value"] == pytest.approx(0.5, abs=1e-9)
    assert sum(answer.document["failures"].values()) == 164
    assert answer.document["failures"]["wrong"] > 100, "a failed assertion is a wrong answer"
