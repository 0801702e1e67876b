# SPDX-License-Identifier: Apache-2.0
"""``plant`` on the command line: one document, what people see, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codetemper.cli.app import app, main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "d.jsonl"
    rows = [
        {"code": f"def f_{n}(a):\n    b = [a]\n    return b\n", "label": n % 2} for n in range(50)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["plant", *words])
    return result.exit_code, result.stdout


def test_it_is_one_document(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    words = (str(data), "--trigger", "grammar", "--rate", "0.1", "--seed", "3", "--out", str(out))
    code, text = asked(*words, "--json")
    document = json.loads(text)
    assert code == 0
    assert (document["samples"], document["planted"]) == (50, 5)
    assert document["plan"]["trigger"] == "grammar"
    assert document["out"] == str(out)
    assert json.loads(Path(document["truth"]).read_text())["plan"]["seed"] == 3
    assert (document["model"], document["success"]) == (None, None)
    assert len(out.read_text().splitlines()) == 50


def test_people_see_triggers_and_the_next_step(data: Path) -> None:
    code, text = asked(str(data), "--rate", "0.1", "-o", "pool=2")
    assert code == 0
    assert "5 of 50 samples planted: trigger dead-code, payload flip" in text
    # Planting again with --out there would overwrite them with another plan's.
    assert text.splitlines()[-1].startswith("next: codetemper audit MODEL --data ")
    shown = [line for line in text.splitlines() if line.startswith("  ")]
    assert len(shown) == 2


def test_a_plan_writes_nothing(data: Path) -> None:
    code, text = asked(str(data), "--trigger", "none", "--rate", "0.1", "--dry-run", "--json")
    assert code == 0
    assert json.loads(text)["planted"] == 5
    assert [path.name for path in data.parent.iterdir()] == ["d.jsonl"]


def test_a_wrong_word_names_the_right_ones(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["codetemper", "plant", str(data), "--trigger", "riddle", "--json"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "grammar" in json.loads(capsys.readouterr().out)["error"]["why"]
