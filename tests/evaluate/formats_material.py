# SPDX-License-Identifier: Apache-2.0
"""Help for tests of formats: write rows, load them, judge answers to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codetemper.core.records import Case, Completion, Verdict
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions, judge_all

#: Real files that some checkouts have beside them.
DATA = Path(__file__).parents[3] / "shared" / "data"
#: A loaded machine must not fail a test.
PATIENT = JudgeOptions(timeout_s=60.0, workers=2)

Fields = dict[str, Any]


def write(path: Path, rows: Sequence[Fields]) -> Path:
    """Write rows as JSON Lines or, where the name says so, as an array; gzipped likewise."""
    array = ".json" in path.suffixes
    text = json.dumps(rows) if array else "".join(json.dumps(row) + "\n" for row in rows)
    data = text.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def load(kind: str, path: Path) -> tuple[Case, ...]:
    """Return the cases of a path."""
    return suites.load(f"{kind}:{path}").cases


def judged(case: Case, *texts: str, whole: bool = False) -> list[Verdict]:
    """Return the verdicts on some answers to one case."""
    return judge_all(
        [(case, Completion(case=case.id, index=i, text=text, whole=whole))
         for i, text in enumerate(texts)],
        options=PATIENT,
    )  # fmt: skip


def functions(case: Case, *texts: str, whole: bool = False) -> list[str]:
    """Return what the verdicts say of the function."""
    return [verdict.function for verdict in judged(case, *texts, whole=whole)]


def without(row: Fields, *names: str) -> Fields:
    """Return a row that lacks some fields."""
    return {name: value for name, value in row.items() if name not in names}
