# SPDX-License-Identifier: Apache-2.0
"""The command line is quick, explains itself with examples, and loads no torch to do so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import imported

# fmt: off
VERBS = (
    "init", "doctor", "demo", "eval", "judge", "compare", "gate", "mine", "tune", "audit-data",
    "repair", "ls", "patch", "log", "verify", "revert", "export", "report", "study",
)

# fmt: on


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codetemper", *words], capture_output=True, text=True, check=False
    )


def test_help_names_every_verb_and_leads_with_examples() -> None:
    text = _run("--help").stdout
    assert text.count("  codetemper ") >= 3
    for verb in VERBS:
        assert f"\n  {verb} " in text


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("patch", "study")])
def test_each_verb_has_examples_and_json(verb: str) -> None:
    from typer.testing import CliRunner

    from codetemper.cli.app import app

    text = CliRunner().invoke(app, [verb, "--help"]).output
    assert text.index(f"codetemper {verb}") < text.index("Options:")
    assert text.count(f"  codetemper {verb}") >= 2
    assert "--json" in text


@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by torch's threads when torch is loaded, so it has to be there before."""
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    code = (
        "import os, sys, codetemper.cli as cli, codetemper.cli.app as app\n"
        "assert 'torch' not in sys.modules\n"
        "app.main = lambda: print(os.environ['OMP_WAIT_POLICY'])\n"
        "cli.main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == (given or "PASSIVE")


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "pydantic", "scipy", "numpy", "pyarrow")
    assert imported("from codetemper.cli import app", heavy) == []


def test_the_library_imports_without_torch() -> None:
    code = (
        "import codetemper, codetemper.api.evaluation, codetemper.api.treatments, "
        "codetemper.judges, codetemper.publish.report"
    )
    assert imported(code, ("torch",)) == []


def test_version() -> None:
    import codetemper

    assert _run("--version").stdout.strip() == codetemper.__version__


def test_a_dry_run_of_the_verbs_that_measure_writes_nothing(tmp_path: Path) -> None:
    """Runs of a wrong and a right file of answers, then gate and report without a trace."""
    from codetemper.evaluate.suites import load

    cases = [case for case in load("world-shell").cases[:4] if case.reference]
    answers = tmp_path / "answers.jsonl"
    answers.write_text(
        "".join(json.dumps({"case": c.id, "completion": c.reference}) + "\n" for c in cases)
    )
    home = ["--workspace", str(tmp_path)]
    plan = _run("judge", "world-shell", str(answers), *home, "--dry-run", "--json")
    assert json.loads(plan.stdout)["completions"] == len(cases)
    assert not (tmp_path / ".codetemper").exists()
    ledger = tmp_path / ".codetemper" / "ledger.jsonl"
    run = json.loads(_run("judge", "world-shell", str(answers), *home, "--json").stdout)["run"]
    recorded = ledger.read_bytes()
    shown = _run("report", run, *home, "--dry-run", "--json")
    assert json.loads(shown.stdout)["runs"] == {"world-shell": [run]}
    refused = _run("gate", run, run, *home, "--dry-run")
    assert refused.returncode == 2, "a suite without security decides nothing"
    assert ledger.read_bytes() == recorded
    assert not (tmp_path / "report.html").exists()
