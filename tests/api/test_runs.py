# SPDX-License-Identifier: Apache-2.0
"""Each further candidate held against the same cases is one more look at them."""

from __future__ import annotations

from pathlib import Path

from codetemper.api.runs import Run, look_at
from codetemper.core.records import Sampling, Scorecard
from codetemper.core.workspace import Workspace


def run(id: str, digest: str = "s" * 64) -> Run:
    card = Scorecard(model="m", model_digest="d", suite="toy", suite_digest=digest, cases=1,
                     samples=1, metrics={}, sampling=Sampling())  # fmt: skip
    return Run(id, Path(id), card)


def decided(workspace: Workspace, after: str, digest: str = "s" * 64) -> None:
    workspace.ledger.append("gate", inputs={"after:toy": after, "suite:toy": digest})


def test_looks_are_candidates_not_questions(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    base = run("base")
    assert look_at(workspace, base, run("one")) == 1
    decided(workspace, "one")
    assert look_at(workspace, base, run("one")) == 1, "asking again is no new look"
    assert look_at(workspace, base, run("two")) == 2
    decided(workspace, "two")
    decided(workspace, "other", digest="t" * 64)
    assert look_at(workspace, base, run("three")) == 3
    assert look_at(workspace, base, run("one")) == 1
    assert look_at(workspace, run("base", "u" * 64), run("four")) == 1
