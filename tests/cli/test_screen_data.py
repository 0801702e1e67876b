# SPDX-License-Identifier: Apache-2.0
"""``audit-data`` on the command line: one document, a table, exit codes, refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codetemper.api.models import load_model
from codetemper.cli.app import app, main
from codetemper.core.workspace import Workspace
from tests.harden.guards import BAD, benign, sample, settled, written


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Iterable[list[str]]:
    """A workspace with one guard; the words that name file, guard and workspace."""
    root = tmp_path_factory.mktemp("screen")
    base = f"hf:{tiny_model_dir}"
    with load_model(Workspace.create(root), base) as handle:
        guard = settled(
            Workspace.open(root), handle, bad=BAD[:6], base=base,
            report={"threshold": 0.3, "fpr": 0.05},
        )  # fmt: skip
    hostile = sample("[bold]x[/bold]\x1b[2J\u202e", "def run_4(x):\n", BAD[4].after[14:])
    data = written(root / "data.jsonl", [*benign(range(10, 40)), *BAD[6:9], hostile])
    return ["audit-data", str(data), "--guard", guard.id[:9], "-w", str(root)]


def asked(words: list[str], *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, *more])
    return result.exit_code, result.stdout


def test_it_is_one_document(place: list[str], tmp_path: Path) -> None:
    files = ("--quarantine", str(tmp_path / "q"), "--keep", str(tmp_path / "k"))
    code, text = asked(place, *files, "--json")
    document = json.loads(text)
    assert code == 0
    assert (document["rows"], document["scored"], document["flagged"]) == (34, 34, 4)
    assert document["share"]["low"] < document["share"]["value"] < document["share"]["high"]
    assert document["failed"] is False
    assert "schema_version" not in text
    assert document["worst"][0]["flagged"] is True
    assert len((tmp_path / "q").read_text().splitlines()) == 4
    assert len((tmp_path / "k").read_text().splitlines()) == 30


def test_the_share_decides_the_exit_code(place: list[str]) -> None:
    assert asked(place, "--fail-above", "0.10")[0] == 1
    assert asked(place, "--fail-above", "0.12")[0] == 0
    code, text = asked(place, "--fail-above", "0", "--json")
    assert code == 1
    assert json.loads(text)["failed"] is True


def test_the_table_shows_names_as_names(place: list[str]) -> None:
    code, text = asked(place)
    assert code == 0
    assert "4 of 34 samples flagged: 11.8 % [4.7, 26.6]" in text
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "next: codetemper audit-data" in text


def test_what_is_kept_can_be_tuned_on(place: list[str], tmp_path: Path) -> None:
    _, text = asked(place, "--keep", str(tmp_path / "k"))
    assert f"--data {tmp_path / 'k'}" in text.splitlines()[-1]
    assert text.splitlines()[-1].startswith("next: codetemper tune hf:")


def test_a_plan_writes_nothing(place: list[str], tmp_path: Path) -> None:
    code, text = asked(place, "--dry-run", "--json", "--keep", str(tmp_path / "k"))
    plan = json.loads(text)
    assert code == 0
    assert plan["samples"] == 34
    assert not (tmp_path / "k").exists()


def test_screenings_are_listed(place: list[str]) -> None:
    asked(place)
    listed = CliRunner().invoke(app, ["ls", "screenings", *place[-2:], "--json"])
    rows = json.loads(listed.stdout)["screenings"]
    assert rows[-1]["flagged"] == "4 of 34"
    assert CliRunner().invoke(app, ["verify", *place[-2:]]).exit_code == 0


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--fpr", "0.01"], 3, "no threshold for a false-positive rate of 0.01"),
        (["--clean", "CLEAN"], 3, "flag at most 1 % of clean samples"),
        (["--quarantine", "DATA"], 2, "is not written"),
        (["--guard", "tune-1"], 2, "does not name one of the patches"),
        (["--fail-above", "2"], 2, "not understood"),
    ],
)
def test_what_cannot_be_done_has_a_code_and_a_reason(
    place: list[str], more: list[str], code: int, said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clean = written(tmp_path / "clean.jsonl", benign(range(5)))
    words: dict[str, Any] = {"CLEAN": str(clean), "DATA": place[1]}
    given = [words.get(word, word) for word in more]
    for plan in ((), ("--dry-run",)):
        monkeypatch.setattr(sys, "argv", ["codetemper", *place, *given, *plan, "--json"])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == code, plan
        assert said in json.loads(capsys.readouterr().out)["error"]["what"]
