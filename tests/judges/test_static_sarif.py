# SPDX-License-Identifier: Apache-2.0
"""SARIF: what GitHub's code scanning asks of a file, and reading other tools' files."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from codetemper.api.evaluation import judge_file
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Finding, Verdict
from codetemper.core.workspace import Workspace
from codetemper.evaluate import suites
from codetemper.judges import sarif
from codetemper.judges.sarif import Artifact


def finding(rule: str = "bandit:B602", severity: str = "error", **more: Any) -> Finding:
    fields = {"message": "a shell", "cwe": "CWE-78", "line": 2, "column": 5, **more}
    return Finding.model_validate({"rule": rule, "severity": severity, **fields})


def log(*findings: Finding, path: str = "a b/c.py") -> dict[str, Any]:
    log = sarif.Log("1.2.3")
    log.add(Artifact(path, "x\n    run()\n", findings))
    return json.loads(log.text())


def test_everything_github_documents_as_required_is_there() -> None:
    document = log(finding(), finding("own:x", "note", cwe=None, line=None, column=None))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("codetemper", "1.2.3")
    for rule in driver["rules"]:
        assert rule["id"]
        for part in ("shortDescription", "fullDescription", "help"):
            assert 0 < len(rule[part]["text"]) <= 1024
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
    assert "external/cwe/cwe-078" in driver["rules"][0]["properties"]["tags"]
    assert "security" in driver["rules"][0]["properties"]["tags"]
    assert 0 < float(driver["rules"][0]["properties"]["security-severity"]) <= 10
    assert "security-severity" not in driver["rules"][1]["properties"]
    for result in run["results"]:
        assert result["message"]["text"]
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20b/c.py"
        assert place["region"]["startLine"] >= 1
        assert result["partialFingerprints"]["primaryLocationLineHash"].count(":") == 1
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 5, "snippet": {"text": "    run()"}}
    json.dumps(document, allow_nan=False)


def test_like_lines_have_marks_of_their_own_that_survive_a_move() -> None:
    def marks(text: str, *lines: int) -> list[str]:
        rows = tuple(finding(line=line, column=None) for line in lines)
        grown = sarif.Log()
        grown.add(Artifact("a.py", text, rows))
        run = json.loads(grown.text())["runs"][0]
        return [row["partialFingerprints"]["primaryLocationLineHash"] for row in run["results"]]

    first = marks("run()\nrun()", 1, 2)
    assert len(set(first)) == 2
    assert marks("\n\nrun()\nrun()", 3, 4) == first


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.py", "a/../../b.py", "file:///a.py", ""])
def test_paths_stay_below_their_root(path: str) -> None:
    with pytest.raises(UsageError, match="relative"):
        log(finding(), path=path)


def test_a_run_has_no_more_results_than_github_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 3)
    rows = [finding("n:n", "note")] * 3 + [finding()] * 2
    run = log(*rows)["runs"][0]
    assert [result["level"] for result in run["results"]] == ["error", "error", "note"]
    assert "2 further" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert run["tool"]["driver"]["rules"][run["results"][2]["ruleIndex"]]["id"] == "n:n"


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "f.sarif"
    path.write_text(
        json.dumps(log(finding(severity="warning"), finding("own:x", "note", cwe=None)))
    )
    first, second = sarif.read_file(path)
    assert (first.rule, first.cwe, first.line, first.column) == (
        "codetemper:bandit:B602", "CWE-78", 2, 5
    )  # fmt: skip
    assert (first.path, first.severity, first.message) == ("a b/c.py", "warning", "a shell")
    assert (second.cwe, second.severity) == (None, "note")


def test_reading_what_other_tools_write() -> None:
    rule = {"id": "py/sql", "properties": {"tags": ["external/cwe/cwe-089"]},
            "defaultConfiguration": {"level": "note"},
            "messageStrings": {"m": {"text": "uses {0}"}}}  # fmt: skip
    taxon = {"target": {"id": "22", "toolComponent": {"name": "CWE"}}}
    place = {"physicalLocation": {"artifactLocation": {"uri": "src/a.py"}}}
    results = [
        {"ruleIndex": 0, "message": {"id": "m", "arguments": ["name"]}, "locations": [place]},
        {"ruleId": "other", "message": {"text": "t"}, "level": "error"},
        {"ruleId": "py/sql", "message": {"text": "t"}, "suppressions": [{"kind": "inSource"}]},
        {"ruleId": "py/sql", "message": {"text": "t"}, "kind": "pass"},
    ]
    tool = {"driver": {"name": "My Tool", "rules": [rule]},
            "extensions": [{"rules": [{"id": "other", "relationships": [taxon]}]}]}  # fmt: skip
    got = sarif.read({"version": "2.1.0", "runs": [{"tool": tool, "results": results}]}, "x")
    assert [(f.rule, f.cwe, f.path, f.severity, f.message) for f in got] == [
        ("my-tool:py/sql", "CWE-89", "src/a.py", "note", "uses name"),
        ("my-tool:other", "CWE-22", None, "warning", "t"),
    ]


@pytest.mark.parametrize("data", [[], {}, {"version": "1.0"}, {"version": "2.1.0", "runs": [3]}])
def test_what_is_no_sarif_is_refused(data: Any) -> None:
    with pytest.raises(UsageError):
        sarif.read(data, "x")


def test_a_run_of_completions() -> None:
    case = Case(id="HumanEval/0", prompt="x\n", language="python", judge="exact")
    done = [Completion(case=case.id, index=i, text="run()") for i in (0, 1)]
    verdicts = [
        Verdict(case=case.id, index=i, valid="pass", function="pass", security="fail", judge="j/1",
                findings=(finding(),) * (1 - i))
        for i in (0, 1)
    ]  # fmt: skip
    grown = sarif.Log()
    for completion, verdict in zip(done, verdicts, strict=True):
        grown.add_judged((case, completion), verdict)
    (result,) = json.loads(grown.text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "completions/HumanEval_0-0.py"
    assert place["region"]["snippet"]["text"] == "run()"


def test_every_run_has_its_findings_as_sarif(tmp_path: Path) -> None:
    suite = suites.load("world-shell", limit=1)
    given = tmp_path / "completions.jsonl"
    line = {"case": suite.cases[0].id, "completion": "rm 'unclosed"}
    given.write_text(json.dumps(line) + "\n")
    workspace = Workspace.create(tmp_path)
    run = judge_file(workspace, "world-shell", given)
    document = json.loads((run.folder / "findings.sarif").read_text("utf-8"))
    assert document["runs"][0]["tool"]["driver"]["semanticVersion"] == version("codetemper")
    assert workspace.verify() == []
