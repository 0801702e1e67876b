# SPDX-License-Identifier: Apache-2.0
"""Qualification: what is counted on pairs, when a judge is trusted, and when no longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codetemper.api.doctor import qualify_judges
from codetemper.cli.app import app
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Case, Verdict
from codetemper.judges import _static, qualify
from codetemper.judges.qualify import measure, store, stored, suffices

SHELL = "import subprocess\ndef f(x):\n    return subprocess.run({0}, shell={1})\n"


def pair(name: str, cwe: str = "CWE-78", *, secure: str = "x = 1\n", weak: str = "") -> Case:
    weak = weak or SHELL.format("x", True)
    return Case(id=name, prompt="", language="python", judge="execution", cwe=cwe,
                reference=secure, vulnerable=f"# {name}\n{weak}")  # fmt: skip


def row(card: qualify.Qualification, judge: str, family: str = "CWE-78") -> qualify.Row:
    (found,) = [r for r in card.rows if r.judge == judge and r.family == family]
    return found


def test_three_hits_and_nothing_false_qualify() -> None:
    assert not suffices(2, 0)
    assert suffices(3, 0)
    assert not suffices(3, 1)
    assert not suffices(7, 2)
    assert suffices(7, 1)
    assert not suffices(0, 0)
    assert not suffices(0, 5)


def test_counts_on_pairs() -> None:
    cases = [
        pair("a"), pair("b", "CWE-77"), pair("c"),
        pair("silent", weak="def f(x):\n    return x\n"),
        pair("other", "CWE-89", secure=SHELL.format("[]", True), weak="x = 2\n"),
        Case(id="no pair", prompt="", language="python", judge="execution", cwe="CWE-78"),
    ]  # fmt: skip
    card = measure(cases, analysers=["bandit"])
    got = row(card, "bandit")
    assert (got.pairs, got.hits, got.false, got.apart, got.elsewhere) == (4, 3, 0, 3, 1)
    assert got.precision is not None
    assert (got.precision.value, got.recall.value) == (1.0, 0.75)
    assert got.cwes == ("CWE-77", "CWE-78")
    assert got.qualified
    assert card.trusts("bandit", "CWE-88", "python")
    assert not card.trusts("bandit", "CWE-78", "c")
    assert card.qualified_cwes("python") == {"CWE-77", "CWE-78"}
    assert row(card, "bandit", "CWE-89").precision is None
    assert card.pairs == 5


def test_one_false_finding_disqualifies() -> None:
    cases = [pair("a"), pair("b"), pair("c"), pair("d", secure=SHELL.format("x", True))]
    got = row(measure(cases, analysers=["bandit"]), "bandit")
    assert (got.hits, got.false, got.apart, got.qualified) == (4, 1, 3, False)


def test_a_behavioural_judge_must_tell_every_pair_apart() -> None:
    def judge(items, **_):  # type: ignore[no-untyped-def]
        return [
            Verdict(case=case.id, index=done.index, valid="pass", function="pass",
                    security="pass" if done.index == 0 or case.id == "missed" else "fail",
                    judge="execution/3")
            for case, done in items
        ]  # fmt: skip

    good = measure([pair("a"), pair("b")], analysers=[], judge=judge)
    assert row(good, "execution").qualified
    assert good.tools == {"execution": "3"}
    assert good.qualified_cwes("python") == {"CWE-78"}
    bad = measure([pair("a"), pair("missed")], analysers=[], judge=judge)
    assert not row(bad, "execution").qualified
    assert bad.qualified_cwes("python") == set()


def test_a_stored_card_is_forgotten_when_its_tool_changes(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    assert stored(path) is None
    card = measure([pair("a"), pair("b"), pair("c")], analysers=["bandit"])
    store(card, path)
    kept = stored(path)
    assert kept is not None
    assert kept.trusts("bandit", "CWE-78", "python")
    store(card.model_copy(update={"tools": {"bandit": "0.1"}}), path)
    other = stored(path)
    assert other is not None
    assert not other.trusts("bandit", "CWE-78", "python")
    path.write_text("{}")
    assert stored(path) is None


def test_doctor_measures_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(qualify, "ANALYSERS", ("bandit",))
    words = ["doctor", "--qualify", "--static-only", "--limit", "12", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert list(document["tools"]) == ["bandit"]
    assert any(row["language"] == "python" and row["pairs"] for row in document["rows"])
    assert not qualify.place().exists(), "a part of the suites is no card"
    shown = CliRunner().invoke(app, words[:-1])
    assert shown.exit_code == 0
    assert "pairs; judges that object to nothing" in shown.stdout


def test_doctor_with_no_analyser_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(_static, "installed", lambda *_, **__: [])
    with pytest.raises(CannotKnowError, match="no static analyser"):
        qualify_judges(behaviour=False, limit=2)
    done = CliRunner().invoke(app, ["doctor", "--qualify", "--static-only", "--limit", "2"])
    assert getattr(done.exception, "exit_code", done.exit_code) == 3
