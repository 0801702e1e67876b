# SPDX-License-Identifier: Apache-2.0
"""What the sections judge: HumanEval's tasks and CodeGen's completions, read by path.

The files lie outside of the repository; ``missing`` says what is not there.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

from codetemper.core.records import Case
from codetemper.evaluate import formats

DATA = Path(os.environ.get("CODETEMPER_DATA", Path(__file__).parents[3] / "shared" / "data"))
HUMANEVAL = DATA / "humaneval" / "HumanEval.jsonl.gz"
PLUS = DATA / "humaneval" / "HumanEvalPlus-Mini.jsonl.gz"
SAMPLES = DATA / "codegen16b" / "samples.jsonl.gz"


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a gzipped JSON Lines file."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def cases() -> dict[str, Case]:
    """Return HumanEval's cases by task id, as this package reads them."""
    _, found = formats.read("humaneval", str(HUMANEVAL))
    return {case.id: case for case in found}


def problems() -> dict[str, dict[str, Any]]:
    """Return HumanEval's rows by task id, with the inputs EvalPlus gives the same tests."""
    found = {row["task_id"]: row for row in rows(HUMANEVAL)}
    for row in rows(PLUS):
        found[row["task_id"]] |= {"base_input": row["base_input"], "atol": row["atol"]}
    return found
