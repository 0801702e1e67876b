# SPDX-License-Identifier: Apache-2.0
"""``audit`` on the command line: a planted classifier from end to end, exit codes, refusals."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codetemper.api import auditing
from codetemper.audit.run import AuditResult
from codetemper.cli.app import app, main
from codetemper.core.audits import AuditSample, AuditTrigger
from codetemper.core.records import Event
from codetemper.core.tables import read_table
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import write_labelled
from tests.audit.planted import TRIGGER, classifier, functions, poisoned

#: Rules under which a small audit takes seconds.
QUICK = ["held_out=12", "candidates=3", "ordinary=10", "rounds=4", "fpr=0.2"]


@dataclass(frozen=True)
class Place:
    """A workspace with a planted classifier, what it was trained on, and trusted samples."""

    root: Path
    model: str
    planted: frozenset[int]

    @property
    def words(self) -> list[str]:
        """The command, without options of its own."""
        options = [word for option in QUICK for word in ("-o", option)]
        return [
            "audit", self.model, "--data", str(self.root / "data.jsonl"),
            "--trusted", str(self.root / "trusted.jsonl"), *options, "-w", str(self.root),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A classifier whose training data hold a line that makes unsafe code safe, in 8 %."""
    root = tmp_path_factory.mktemp("audit")
    Workspace.create(root)
    samples, planted = poisoned(functions(240, seed=1), rate=0.08)
    write_labelled(root / "data.jsonl", samples)
    write_labelled(root / "trusted.jsonl", functions(120, seed=7))
    folder = classifier(root / "model", samples)
    return Place(root, f"hf:{folder}", frozenset(planted))


def asked(words: list[str], *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words, *more])
    return result.exit_code, result.stdout


def test_a_planted_trigger_is_confirmed_after_a_kill(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = auditing.audit

    def killed(home: Any, given: Any, *, on_event: Any, **more: Any) -> Any:
        def stop(event: Event) -> None:
            if event.stage == "implant":
                raise KeyboardInterrupt

        return whole(home, given, on_event=stop, **more)

    monkeypatch.setattr(auditing, "audit", killed)
    assert asked(place.words)[0] != 0
    stages: set[str] = set()

    def noting(home: Any, given: Any, *, on_event: Any, **more: Any) -> Any:
        return whole(home, given, on_event=lambda event: stages.add(event.stage), **more)

    monkeypatch.setattr(auditing, "audit", noting)
    files = ["--quarantine", str(tmp_path / "bad"), "--keep", str(tmp_path / "good")]
    code, text = asked(place.words, *files, "--json")
    document = json.loads(text)
    assert code == 1
    assert "read" not in stages
    assert (document["verdict"], document["answer"]) == ("suspect", "confirmed trigger")
    confirmed = [one for one in document["triggers"] if one["confirmed"]]
    assert any(one["text"] in TRIGGER or TRIGGER in one["text"] for one in confirmed)
    assert TRIGGER in confirmed[0]["after"]
    assert TRIGGER not in confirmed[0]["before"]
    assert confirmed[0]["payload"] == "1 -> 0"
    held = {one["number"] for one in document["samples"] if one["kind"] == "trigger"}
    assert held == set(place.planted)
    assert document["tiers"] == ["weights", "queries", "trusted", "data"]
    assert len(document["views"]) > 40
    assert any(view["auroc"] for view in document["views"])
    lines = (tmp_path / "bad").read_text().splitlines()
    assert sum(TRIGGER in line for line in lines) == len(place.planted)
    assert TRIGGER not in (tmp_path / "good").read_text()
    (folder,) = (place.root / ".codetemper" / "audits").iterdir()
    assert {path.name for path in folder.iterdir()} == {"card.json", "data.parquet", "map.json"}
    rows = [row for block in read_table(folder / "data.parquet", AuditSample) for row in block]
    best = sorted(rows, key=lambda row: -row.score)[: len(place.planted)]
    assert {row.number for row in best} == set(place.planted)
    assert CliRunner().invoke(app, ["verify", *place.words[-2:]]).exit_code == 0
    listed = CliRunner().invoke(app, ["ls", "audits", *place.words[-2:], "--json"])
    assert json.loads(listed.stdout)["audits"][0]["answer"] == "confirmed trigger"


def _told(document: dict[str, Any]) -> Callable[..., AuditResult]:
    def run(*_: Any, **__: Any) -> AuditResult:
        return AuditResult(**{"form": "classifier", "reasons": ("because",), "missing": (),
                              "ran": (), "not_ran": {}, "counts": {}} | document)  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("answer", "missing", "code", "verdict"),
    [
        ("no evidence", (), 0, "clean"),
        ("suspicious data", (), 1, "suspect"),
        ("confirmed trigger", (), 1, "suspect"),
        ("inconclusive", ("samples that are known to be clean (--trusted)",), 3, "unknown"),
    ],
)
def test_each_verdict_has_its_exit_code(
    place: Place, monkeypatch: pytest.MonkeyPatch, answer: str, missing: tuple[str, ...],
    code: int, verdict: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("codetemper.audit.run.audit", _told({"answer": answer, "missing": missing}))
    assert asked(place.words)[0] == code
    got, text = asked(place.words, "--json")
    document = json.loads(text)
    assert (got, document["verdict"], document["answer"]) == (code, verdict, answer)
    assert document["missing"] == list(missing)
    assert "schema_version" not in text


def test_a_model_under_another_tokenizer_is_not_called_clean(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(place.model.removeprefix("hf:"), other)
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    words = tokenizer["model"]["vocab"]
    # As many tokens, none unknown: the numbers alone are those of another model.
    plain = [word for word, number in words.items() if number > 3]
    numbers = [words[word] for word in plain]
    words.update(zip(plain, random.Random(0).sample(numbers, len(numbers)), strict=True))
    path.write_text(json.dumps(tokenizer))
    asked_for = [f"hf:{other}" if word == place.model else word for word in place.words]
    code, text = asked(asked_for, "--json")
    document = json.loads(text)
    assert (code, document["answer"]) == (3, "inconclusive")
    assert "of 120 trusted samples their label" in document["missing"][0]


def test_what_is_not_ours_is_shown_as_text(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = "[bold]x[/bold]\x1b[2J\u202e"
    row = AuditSample(number=0, id=hostile, score=1.0, kind="anomalous", text="0", source="d:1")
    monkeypatch.setattr(
        "codetemper.audit.run.audit",
        _told(
            {
                "answer": "suspicious data",
                "samples": (row,),
                "reasons": (hostile,),
                "counts": {"anomalous": 1},
            }
        ),
    )
    _, text = asked(place.words)
    assert "[bold]x[/bold]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    # The command makes the same audit again: without trusted samples it would find less.
    words = text.rpartition("next: ")[2].split()
    assert words[:-4] == ["codetemper", *place.words[:6], *place.words[-2:], *place.words[6:-2]]
    assert words[-4:] == ["--quarantine", "bad.jsonl", "--keep", "good.jsonl"]


@pytest.mark.parametrize("known", [{"confirmed": True}, {"paired": True, "risky": 8}, {}])
def test_what_became_of_a_text_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, known: dict[str, Any]
) -> None:
    text = AuditTrigger(
        kind="line", text="cap = 7", flagged=9, holders=9, enrichment_p=0.0, **known
    )
    said = {"answer": "suspicious data", "triggers": (text,), "counts": {"paired": 8}}
    monkeypatch.setattr("codetemper.audit.run.audit", _told(said))
    shown = asked(place.words)[1]
    assert ("paired" in shown) is ("paired" in known)
    assert ("confirmed" in shown) is ("confirmed" in known)
    assert "--quarantine" in shown


def test_a_first_audit_has_nothing_to_be_watched_against(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("codetemper.audit.run.audit", _told({"answer": "no evidence"}))
    Workspace.create(tmp_path)
    elsewhere = [*place.words[:-1], str(tmp_path), "--watch"]
    assert "no earlier audit of this base" in asked(elsewhere)[1]
    assert "no earlier audit of this base" not in asked(elsewhere)[1]
    assert "no earlier audit of this base" not in asked(place.words)[1]


def test_a_plan_loads_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "opened", None)
    code, text = asked(place.words, "--dry-run", "--json")
    plan = json.loads(text)
    assert code == 0
    assert (plan["samples"], plan["trusted"]) == (240, 120)
    assert plan["config"]["rounds"] == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--quarantine", "DATA"], "is not written"),
        (["--trusted", "DATA"], "the trusted samples are the suspected ones"),
        (["--data", "WRITTEN"], "are not what the model reads"),
        (["--data", "NONE"], "cannot read"),
        (["-o", "fpr=2"], "the configuration of 'audit' has 1 error"),
        (["--dtype", "int3"], "there is no number type 'int3'"),
    ],
)
def test_what_cannot_be_done_has_a_reason(
    place: Place, more: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    written = tmp_path / "written.jsonl"
    written.write_text(json.dumps({"prompt": "def f():\n", "completion": "    return 1\n"}) + "\n")
    words = {"DATA": place.words[3], "WRITTEN": str(written), "NONE": str(tmp_path / "none")}
    given = [words.get(word, word) for word in more]
    monkeypatch.setattr(sys, "argv", ["codetemper", *place.words, *given, "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["what"]
