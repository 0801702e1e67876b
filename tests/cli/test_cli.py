# SPDX-License-Identifier: Apache-2.0
"""The command line is quick, explains itself with examples, and loads no torch to do so."""

from __future__ import annotations

import subprocess
import sys

import pytest

# fmt: off
VERBS = (
    "init", "doctor", "demo", "eval", "judge", "compare", "gate", "mine", "tune", "ls", "patch",
    "log", "verify", "revert", "export", "report",
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


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "patch"])
def test_each_verb_has_examples_and_json(verb: str) -> None:
    from typer.testing import CliRunner

    from codetemper.cli.app import app

    text = CliRunner().invoke(app, [verb, "--help"]).output
    assert text.index(f"codetemper {verb}") < text.index("Options:")
    assert text.count(f"  codetemper {verb}") >= 2
    assert "--json" in text


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from codetemper.cli import app; "
        "print([m for m in ('torch', 'transformers', 'pydantic', 'scipy', 'numpy', 'pyarrow') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_library_imports_without_torch() -> None:
    code = (
        "import sys, codetemper, codetemper.api.evaluation, codetemper.api.treatments, "
        "codetemper.judges, codetemper.publish.report; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_version() -> None:
    import codetemper

    assert _run("--version").stdout.strip() == codetemper.__version__
