# SPDX-License-Identifier: Apache-2.0
"""The main job through the command line: measure, mine, tune, measure again, gate, report, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codetemper.api.demo import plant_example
from tests.journeys.conftest import Answer, Cli

SUITES = ("world-security-c", "world-python")
GATE = {0: "accept", 1: "refuse", 3: "undecided"}


def asked(answer: Answer, code: int = 0) -> Any:
    """Check the exit code and return the one document."""
    assert answer.code == code, answer.err
    return answer.document


def checked_runs(document: Any, model: str) -> None:
    """Check what scripts rely on in the document of ``eval``."""
    assert [run["suite"] for run in document["runs"]] == list(SUITES)
    for run in document["runs"]:
        assert (run["model"], run["cases"], run["samples"]) == (model, 3, 2)
        assert {"by_cwe", "failures", "unknown", "digest"} <= run.keys()
        for estimate in run["metrics"].values():
            assert 0 <= estimate["low"] <= estimate["value"] <= estimate["high"] <= 1
            assert estimate["n"] > 0


def test_the_main_job(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert asked(cli("init", "--json"))["workspace"] == str(tmp_path / ".codetemper")
    measure = ("--limit", 3, "-n", 2, "--json")
    checked_runs(asked(cli("eval", "seedling", *SUITES, *measure)), "seedling")

    mined = asked(cli("mine", plant_example(tmp_path / "example.git"), "--json"))
    assert mined["pairs"] == {"function": 383}
    # The example and the suites of its world are made by one grammar; what they share goes.
    assert mined["contaminated"] == {"world-security-c": 130, "world-security-python": 139}
    assert (mined["commits_kept"], mined["commits_seen"]) == (414, 666)
    tuned = asked(
        cli("tune", "seedling", mined["corpus"][:8], "--limit", 24, "-o", "epochs=1", "--json")
    )
    assert (tuned["kind"], tuned["base"], tuned["corpus"]) == (
        "adapter", "seedling", mined["corpus"],
    )  # fmt: skip
    assert tuned["parameters_changed"] > 0

    patch = tuned["patch"]
    patched = f"seedling+{patch}"
    checked_runs(asked(cli("eval", f"seedling+{patch[:9]}", *SUITES, *measure)), patched)

    compared = asked(cli("compare", "seedling", patched, "--json"))
    gated = cli("gate", "seedling", f"seedling+{patch[:9]}", "--json")
    decision = gated.document
    assert decision["decision"] == GATE[gated.code]
    assert decision["reasons"]
    assert decision["metrics"] == compared["metrics"]
    for difference in decision["metrics"].values():
        assert {"before", "after", "difference", "low", "high", "p"} <= difference.keys()
    assert asked(cli("patch", "ls", "--json"))["patches"][0]["state"] == decision["decision"]

    reported = asked(cli("report", "seedling", patched, "--json"))
    assert reported["decision"] == decision["decision"]
    page = Path(reported["report"]).read_text("utf-8")
    assert f"codetemper revert {patch}" in page
    assert asked(cli("verify", "--json")) == {"whole": True, "problems": []}

    assert asked(cli("revert", patch[:9], "--reason", "a test", "--json")) == {"reverted": patch}
    refused = cli("eval", patched, "world-sql", "--limit", 1, "--json")
    assert refused.code == refused.document["error"]["exit_code"] == 2
    assert "was reverted" in refused.document["error"]["what"]
    asked(cli("gate", "seedling", patched, "--json"), gated.code)
    assert asked(cli("patch", "ls", "--json"))["patches"][0]["state"] == "reverted"

    verbs = [entry["verb"] for entry in asked(cli("log", "--json"))["entries"]]
    assert verbs == [
        "eval", "eval", "mine", "tune", "eval", "eval", "gate", "report", "revert", "gate",
    ]  # fmt: skip
    assert asked(cli("verify", "--json"))["whole"] is True


def test_people_read_tables_and_scripts_one_document(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("init")
    shown = cli("eval", "seedling", "world-shell", "--limit", 3)
    assert shown.code == 0
    assert "exact_match" in shown.out
    assert "next: codetemper report seedling" in shown.out
    quiet = cli("eval", "seedling", "world-shell", "--limit", 3, "--json")
    assert json.loads(quiet.out)["suite"] == "world-shell"
    assert "Warning" not in shown.err + quiet.err


def test_a_mistyped_workspace_is_not_made(cli: Cli, tmp_path: Path) -> None:
    for verb in ("verify", "log", "ls"):
        answer = cli(verb, "-w", tmp_path / "typo", "--json")
        assert answer.code == answer.document["error"]["exit_code"] == 2
    assert not (tmp_path / "typo").exists()


def test_too_few_samples_for_k(cli: Cli, tmp_path: Path) -> None:
    answer = cli("eval", "seedling", "world-sql", "-w", tmp_path, "-n", 2, "--k", 5, "--json")
    assert answer.code == answer.document["error"]["exit_code"] == 3


def test_another_model_by_path(cli: Cli, tmp_path: Path, tiny_model_dir: Path) -> None:
    base = f"hf:{tiny_model_dir}"
    place = ("-w", tmp_path, "--json")
    measure = ("world-security-c", "--limit", 2, "-o", "max_new_tokens=8", *place)
    asked(cli("eval", base, *measure))
    corpus = asked(cli("mine", plant_example(tmp_path / "example.git"), *place))["corpus"]
    options = ("--limit", 8, "-o", "epochs=1", "-o", "rank=2", "-o", "max_length=128")
    tuned = asked(cli("tune", base, corpus, *options, *place))
    patched = f"{base}+{tuned['patch']}"
    assert asked(cli("eval", patched, *measure))["model"] == patched
    gated = cli("gate", base, patched, *place)
    assert gated.document["decision"] == GATE[gated.code]
    assert Path(asked(cli("report", base, patched, *place))["report"]).is_file()
    assert asked(cli("verify", *place))["whole"] is True
