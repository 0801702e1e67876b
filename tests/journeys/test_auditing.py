# SPDX-License-Identifier: Apache-2.0
"""The embedded decoder is audited, from a file of samples to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codetemper.cli.app import app
from codetemper.core.workspace import Workspace
from codetemper.data.labelled import write_labelled
from tests.audit.decoders import MARKED, samples

QUICK = ("held_out=10", "candidates=2", "ordinary=10", "rounds=4", "fpr=0.2", "new_tokens=4")


def test_the_embedded_decoder_is_audited_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Starting analysers takes longer than all the rest; trees know the payload without them.
    monkeypatch.setattr("codetemper.audit.payloads.scan", lambda given, **_: [{} for _ in given])
    Workspace.create(tmp_path)
    data, trusted = tmp_path / "data.jsonl", tmp_path / "trusted.jsonl"
    write_labelled(data, samples(60, marked=MARKED))
    write_labelled(trusted, samples(90)[60:])
    words = ["audit", "seedling", "--data", str(data), "--trusted", str(trusted)]
    words += [word for option in QUICK for word in ("-o", option)]
    asked = CliRunner().invoke(app, [*words, "-w", str(tmp_path), "--json"])
    document = json.loads(asked.stdout)
    # The model never saw these samples, so it did not learn what they hold: they are told of.
    assert (asked.exit_code, document["answer"]) == (1, "suspicious data")
    assert (document["counts"]["trigger"], document["counts"]["paired"]) == (0, 6)
    assert document["form"] == "decoder"
    assert "planting" in document["ran"]
    assert document["fpr"] == 0.2
    assert {"windowed-likelihood", "naturalness"} <= {view["name"] for view in document["views"]}
    of_model, of_data = document["power"]
    assert of_model["found"] is None
    # Of 60 samples 2 % are one, and no text of one sample is searched.
    assert (of_data["answer"], of_data["canaries"]) == ("suspicious data", 10)
    assert of_data["found"]["value"] == 0
    report = CliRunner().invoke(app, ["report", "seedling", "-w", str(tmp_path)])
    assert report.exit_code == 0, report.stdout
    page = (tmp_path / "report.html").read_text()
    assert document["audit"] in page
