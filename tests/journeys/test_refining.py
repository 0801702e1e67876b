# SPDX-License-Identifier: Apache-2.0
"""``refine`` killed in every phase ends as if nobody had; what a user types and reads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from codetemper import judges
from codetemper.api import refining
from codetemper.cli import screen
from codetemper.core.records import Event
from codetemper.core.refinement import Refinement
from codetemper.core.workspace import Workspace
from codetemper.harden.refine import Config
from codetemper.models.patch import load_manifest
from tests.journeys.conftest import Cli
from tests.letters import write_suite

CONFIG: dict[str, Any] = {
    "rounds": 2, "samples": 4, "learning_rate": 0.01, "epochs": 1, "rank": 2, "max_length": 64,
    "batch_size": 2,
}  # fmt: skip


def work(home: Path, model: Path, suite: str, phase: str) -> None:
    """Refine, and be killed in the middle of a phase: a stage, and how much it is about."""
    from codetemper.evaluate import harness

    judges.BUILTIN["letters"] = "tests.letters"
    # Small blocks, so that there is a middle to be killed in.
    harness.PROMPTS, harness.JUDGED = 2, 4

    def listen(event: Event) -> None:
        middle = event.total is not None and 0 < event.done < event.total
        if middle and phase in (event.stage, f"{event.stage} {event.total}"):
            os.kill(os.getpid(), signal.SIGKILL)

    refining.refine(Workspace.open(home), f"hf:{model}", [suite], Config(**CONFIG), on_event=listen)


def told(home: Path) -> tuple[str, dict[str, Any]]:
    """Return the id of the patch in a workspace and its account, seconds left out."""
    workspace = Workspace.open(home)
    assert workspace.verify() == []
    ids = {
        name.removeprefix("patch:")
        for entry in workspace.ledger.entries()
        for name in entry.outputs
        if name.startswith("patch:refine-")
    }
    (id,) = ids
    account = Refinement.model_validate(load_manifest(workspace.patches / id).report)
    plain = account.model_dump(mode="json")
    for made in plain["rounds"]:
        del made["seconds"]
    return id, plain


def test_killed_in_every_phase_it_ends_as_if_nobody_had(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    suite = write_suite(tmp_path, "letters", range(15))
    # A server that has imported everything: each process starts where an import would end.
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["codetemper.api.refining", "codetemper.harden.refine",
                                  "codetemper.backends.hf", "tests.letters"])  # fmt: skip

    def run(home: Path, phase: str) -> int | None:
        process = start.Process(target=work, args=(home, tiny_model_dir, suite, phase))
        process.start()
        process.join(timeout=900)
        return process.exitcode

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for home in (killed, whole):
        Workspace.create(home)
    # 36 samples are drawn of 9 prompts, 15 answers of 3 that are validated on: samples of round 1,
    # their verdicts, its training, its validation, and the samples of round 2.
    for phase in ("generate 36", "judge 36", "train", "generate 15", "judge 15", "generate 36"):
        assert run(killed, phase) == -signal.SIGKILL, phase
        assert Workspace.open(killed).verify() == []
    assert run(killed, "") == 0
    assert run(whole, "") == 0
    assert told(killed) == told(whole)


def test_what_a_user_reads(
    cli: Cli, tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(judges.BUILTIN, "letters", "tests.letters")
    # Names are folded where a terminal is narrow.
    monkeypatch.setattr(screen.out, "width", 300)
    suite = write_suite(tmp_path, "letters", range(15))
    home = tmp_path / "project"
    Workspace.create(home)
    ask = ["refine", f"hf:{tiny_model_dir}", "--suite", suite, "--rounds", "1", "-w", home]
    ask += [word for key in ("samples", "learning_rate", "epochs", "rank")
            for word in ("-o", f"{key}={CONFIG[key]}")]  # fmt: skip
    plan = cli(*ask, "--dry-run", "--json").document
    assert plan["test"] == {"letters (test)": 3}
    assert Workspace.open(home).ledger.entries() == []
    answer = cli(*ask)
    assert answer.code == 0, answer.err
    assert "learn from:        9 cases of letters (train)" in answer.err
    assert "round 1: " in answer.err
    for word in ("ended: the one round was made", "test of round 1 against the base:",
                 "letters (test)/pass@1", "holds round 1", "next: codetemper report"):  # fmt: skip
        assert word in answer.out
    document = cli(*ask, "--json").document
    assert set(document) == {"patch", "kind", "base", "seconds", "parameters_changed", "bytes",
                             "corpus", "seed", "report"}  # fmt: skip
    assert Refinement.model_validate(document["report"]).chosen_round == 1
    assert f"patch {document['patch']}" in answer.out
    wrong = cli(*ask, "-o", "nlll=3")
    assert wrong.code == 2
    assert "did you mean 'nll'" in wrong.err
