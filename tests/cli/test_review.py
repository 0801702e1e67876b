# SPDX-License-Identifier: Apache-2.0
"""``review`` as verb and on the command line: written out, filled in, made a corpus of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codetemper.api.review import export_pairs, human_choices, import_choices, preference_pairs
from codetemper.cli.app import app
from codetemper.core.digests import digest_folder
from codetemper.core.errors import UsageError
from codetemper.core.records import Answer, PreferencePair
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import write_corpus


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    """A workspace with a corpus of six pairs and one of other rows."""
    workspace = Workspace.create(tmp_path)
    pairs = [
        PreferencePair(
            id=f"pair{n}", case=f"c{n}", prompt="-- all\n", chosen=f"SELECT {n};\n",
            rejected=f"SELECT -{n};\n", language="sql", because="execution", failure="wrong",
        )
        for n in range(6)
    ]  # fmt: skip
    other = [Answer(id="a", case="c", prompt="p", text="t", language="sql", good=True)]
    for verb, rows in (("pair", pairs), ("odd", other)):
        with workspace.staged("corpora") as folder:
            card = write_corpus(folder, rows, verb=verb)
            made = workspace.settle(folder, "corpora", card.id)
        workspace.ledger.append(verb, outputs={f"corpus:{card.id}": digest_folder(made)})
    return workspace


def asked(home: Workspace, *words: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["review", *words, "-w", str(home.root), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else {}


def fill(path: Path, choice: str = "left") -> None:
    rows = [json.loads(line) | {"choice": choice} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_written_out_filled_in_and_made_a_corpus_of(home: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "look.jsonl"
    written = asked(home, "pair-", "--out", str(out), "--limit", "4", "--seed", "3")
    assert (written["pairs"], written["files"]) == (4, [str(out)])
    fill(out)
    entries = len(home.ledger.entries())
    plan = asked(home, "pair-", "--choices", str(out), "--dry-run")
    assert plan["pairs"] == 4
    assert len(home.ledger.entries()) == entries
    made = asked(home, "pair-", "--choices", str(out))
    assert plan["choices"] == made["choices"]
    assert made["choices"]["open"] == 2
    card, pairs = human_choices(home, made["corpus"])
    assert (card.id, len(pairs)) == (made["corpus"], 4)
    assert home.verify() == []
    entry = home.ledger.entries()[-1]
    assert (entry.verb, entry.inputs["corpus"]) == ("review", written["corpus"])
    assert import_choices(home, "pair-", out).id == card.id


def test_label_studio_gets_its_interface(home: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "tasks.json"
    made = export_pairs(home, "pair-", out, form="label-studio")
    assert made.files == (out, tmp_path / "tasks.xml")
    assert len(json.loads(out.read_bytes())) == made.pairs == 6


def test_what_cannot_be_reviewed_is_refused(home: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "look.jsonl"
    with pytest.raises(UsageError, match="holds no pairs of answers"):
        preference_pairs(home, "odd-")
    with pytest.raises(UsageError, match="nobody chose"):
        human_choices(home, "pair-")
    export_pairs(home, "pair-", out)
    with pytest.raises(UsageError, match="nobody chose an answer"):
        import_choices(home, "pair-", out)
    for words in ((), ("--out", str(out), "--choices", str(out))):
        result = CliRunner().invoke(app, ["review", "pair-", *words, "-w", str(home.root)])
        assert isinstance(result.exception, UsageError)


def test_the_plan_to_write_writes_nothing(home: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "look.jsonl"
    assert asked(home, "pair-", "--out", str(out), "--limit", "2", "--dry-run")["pairs"] == 2
    assert not out.exists()
