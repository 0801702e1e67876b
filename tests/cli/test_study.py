# SPDX-License-Identifier: Apache-2.0
"""The verbs of studies on the command line: examples, one JSON document, tables, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codetemper.cli import study
from codetemper.cli.app import app
from codetemper.core.accounts import StudyRow
from codetemper.core.workspace import Workspace

HEAD = "sce_id,syn_val,compile_val,vul,vul_uncompile\n"


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    """A base and one tuned model, two scenarios of three samples each."""
    (tmp_path / "lora").mkdir()
    three = "\"['1', '2', '3']\""
    (tmp_path / "m-pretrained-c.csv").write_text(
        f"{HEAD}a,{three},{three},\"['1', '2']\",[]\nb,{three},{three},[],[]\n", "utf-8"
    )
    (tmp_path / "lora" / "m-fineline-c.csv").write_text(
        f"{HEAD}a,{three},\"['1']\",[],[]\nb,{three},{three},\"['1']\",[]\n", "utf-8"
    )
    return tmp_path


@pytest.mark.parametrize("verb", ["tune", "verdicts"])
def test_each_verb_has_examples_and_json(verb: str) -> None:
    text = CliRunner().invoke(app, ["study", verb, "--help"]).output
    assert text.count(f"  codetemper study {verb}") >= 2
    assert "--json" in text


def test_verdicts_are_one_document(verdicts: Path) -> None:
    words = ["study", "verdicts", str(verdicts), "--samples", "3", "--json"]
    document = json.loads(CliRunner().invoke(app, words).output)
    base, tuned = document["rows"]
    assert base["metrics"]["secure@1"]["value"] == pytest.approx(4 / 6)
    assert tuned["differences"]["secure_of_valid"]["after"] == pytest.approx(3 / 4)
    assert tuned["differences"]["secure@1"]["after"] == pytest.approx(3 / 6)
    assert "counted over all" in tuned["flag"]
    assert document["summary"]["settings"] == 1
    assert document["headlines"] == {"c": {"base": "m-pretrained", "best": "lora/m-fineline"}}


def test_verdicts_as_a_table_put_both_counts_side_by_side(
    verdicts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.verdicts(verdicts, 3)
    text = capsys.readouterr().out
    assert "66.7 % to 75.0 % of valid" in text
    assert "counted over all, 66.7 % to 50.0 %" in text
    assert "security gained by breaking code" in text


def _row(metric: str, **more: object) -> StudyRow:
    facts = {"question": "settings", "setting": "lora function 1", "method": "lora",
             "granularity": "function", "size": 1.0, "against": "base", "suite": "s", "n": 9,
             "before": 0.5, "after": 0.6, "difference": 0.1, "low": 0.05, "high": 0.15, "p": 0.01,
             "holm": 0.02, "seconds": 3.0, "parameters": 1000}  # fmt: skip
    return StudyRow.model_validate(facts | {"metric": metric} | more)


def test_a_study_is_shown_with_its_flags_and_its_missing_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = (
        _row("secure@1", flag="+9.0 points among the valid, but -1.0 counted over all"),
        _row("pass@1", kept="lost", low=-0.2, high=-0.1),
        _row("", setting="full line 1", suite="", difference=None, reason="seed 1: [diverged]"),
        _row("secure@1", question="lasting", against="then ordinary"),
    )
    study.show_study(rows, {"study": "study-1", "model": "m", "enough": {"lora s": 0.25}})
    text = capsys.readouterr().out
    assert "60.0 +10.0 [+5.0, +15.0]" in text
    assert "lost" in text
    assert "full line 1: seed 1: [diverged]" in text
    assert "gains by breaking code: +9.0 points" in text
    assert "after later ordinary tuning" in text
    assert "lora s: 25 % of the fixes" in text


def test_studies_are_listed(tmp_path: Path) -> None:
    Workspace.create(tmp_path)
    done = CliRunner().invoke(app, ["ls", "studies", "--workspace", str(tmp_path), "--json"])
    assert json.loads(done.output) == {"studies": []}
