# SPDX-License-Identifier: Apache-2.0
"""A killed evaluation goes on where it was; two at once in one workspace do not disturb it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from codetemper.api import runs
from codetemper.core.journal import Journal
from codetemper.core.workspace import Workspace
from codetemper.evaluate import harness

# Small blocks, so that there is a middle to be killed in.
PROGRAM = """
from codetemper.evaluate import harness
harness.PROMPTS = 2
from codetemper.cli import main
main()
"""
ASK = ("seedling", "world-python", "--limit", "12", "-n", "2", "--json")


def begin(home: Path, *words: str) -> subprocess.Popen[str]:
    """Start ``codetemper eval`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "eval", *words, "-w", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def end(process: subprocess.Popen[str]) -> Any:
    """Wait for a process and return its document."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out)


def journalled(home: Path) -> int:
    """Count the cases in the completions' journal."""
    found = (home / ".codetemper" / "cache" / "journals").glob("completions-*.sqlite")
    return sum(Journal(path).count() for path in found)


def per_case(home: Path) -> dict[str, dict[str, float]]:
    """Return the values of every case of the run in a workspace."""
    found = runs.find_scorecards(Workspace.open(home), "seedling")
    return found["world-python"].scorecard.per_case


def test_a_killed_evaluation_goes_on(tmp_path: Path) -> None:
    assert harness.PROMPTS > 2
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = begin(killed, *ASK)
    deadline = time.monotonic() + 120
    while journalled(killed) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = journalled(killed)
    assert 2 <= kept < 12
    assert Workspace.open(killed).verify() == []
    assert Workspace.open(killed).ledger.entries() == []

    resumed = end(begin(killed, *ASK))
    uninterrupted = end(begin(whole, *ASK))
    assert journalled(killed) == 12
    assert resumed["metrics"] == uninterrupted["metrics"]
    assert per_case(killed) == per_case(whole)
    assert Workspace.open(killed).verify() == []


def test_two_evaluations_at_once_in_one_workspace(tmp_path: Path) -> None:
    Workspace.create(tmp_path)
    ask = ("--limit", "3", "--json")
    started = [begin(tmp_path, "seedling", suite, *ask) for suite in ("world-sql", "world-shell")]
    made = {end(process)["run"] for process in started}
    workspace = Workspace.open(tmp_path)
    recorded = {output for entry in workspace.ledger.entries() for output in entry.outputs}
    assert recorded == {f"run:{id}" for id in made}
    assert len(made) == 2
    assert workspace.verify() == []
