# SPDX-License-Identifier: Apache-2.0
"""SARIF 2.1.0, out and in: findings as GitHub code scanning takes them, and other tools' findings.

    >>> log = Log(version)
    >>> log.add(Artifact("completions/a-0.py", text, verdict.findings))
    >>> log.text()
    >>> read_file(Path("codeql.sarif"))

Paths are relative, lines and columns count from 1, and a result keeps its fingerprint when lines
move. Reading is ``_static/sarif_in.py``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from codetemper.core.errors import UsageError
from codetemper.core.records import Finding, Verdict
from codetemper.judges._answers import as_program
from codetemper.judges._static.families import family
from codetemper.judges._static.form import SUFFIX, fingerprint
from codetemper.judges._static.sarif_in import read, read_file
from codetemper.judges.options import Item

__all__ = ["MOST_RESULTS", "SCHEMA", "Artifact", "Log", "read", "read_file"]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ENDING = {
    **SUFFIX,
    "sql": ".sql",
    "shell": ".sh",
    "java": ".java",
    "javascript": ".js",
    "go": ".go",
}
#: GitHub refuses a run with more results; the most severe are kept.
MOST_RESULTS = 25_000
#: GitHub's scale (9 and more is critical, 7 high, 4 medium) by family of weakness; else 5.0.
_SECURITY_SEVERITY = {
    "CWE-119": "8.8", "CWE-416": "8.8", "CWE-476": "6.5", "CWE-190": "7.5", "CWE-457": "6.0",
    "CWE-134": "8.1", "CWE-22": "7.5", "CWE-78": "9.8", "CWE-79": "6.1", "CWE-89": "8.8",
    "CWE-94": "9.8", "CWE-502": "9.8", "CWE-611": "8.2", "CWE-918": "8.6", "CWE-732": "6.5",
    "CWE-327": "7.5", "CWE-330": "7.5", "CWE-798": "9.8", "CWE-295": "7.4", "CWE-377": "5.5",
}  # fmt: skip


#: From the most severe on.
_LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Artifact:
    """A file and what was found in it.

    Attributes:
        path: relative, with ``/`` between folders.
        text: its contents; lines of it are quoted in the results.
        findings: by line.
    """

    path: str
    text: str
    findings: tuple[Finding, ...]


class Log:
    """One SARIF log with one run, grown file by file; it holds no more than a run may.

    Args:
        version: of the tool that is named as the driver.
    """

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._rules: dict[str, dict[str, Any]] = {}
        self._places: dict[str, int] = {}
        # As text by level: as objects, a full run would take four times the memory.
        self._results: dict[str, list[bytes]] = {level: [] for level in _LEVELS}
        self._left = 0

    def add(self, artifact: Artifact) -> None:
        """Add a file with its findings; without any it adds nothing.

        Raises:
            UsageError: a path that is absolute or leaves its folder.
        """
        _relative(artifact.path)
        lines = artifact.text.split("\n")
        seen: dict[str, int] = {}
        for finding in artifact.findings:
            rule = self._rules.setdefault(finding.rule, _rule(finding))
            place = self._places.setdefault(finding.rule, len(self._places))
            _raise_level(rule, finding)
            result = _result(artifact.path, finding, lines, seen) | {"ruleIndex": place}
            self._results[finding.severity].append(json.dumps(result).encode())
        room = MOST_RESULTS
        for kept in self._results.values():
            self._left += max(0, len(kept) - room)
            del kept[room:]
            room -= len(kept)

    def add_judged(self, item: Item, verdict: Verdict) -> None:
        """Add a judged completion as a file of its own."""
        if verdict.findings:
            case, completion = as_program(item)
            name = re.sub(r"[^\w-]+", "_", case.id)
            path = f"completions/{name}-{completion.index}{_ENDING.get(case.language, '.txt')}"
            self.add(Artifact(path, case.prompt + completion.text, verdict.findings))

    def text(self) -> bytes:
        """Return the log as JSON, a line a result, the most severe and then the earliest first."""
        driver = {"name": "codetemper", "informationUri": "https://pypi.org/project/codetemper/",
                  **({"semanticVersion": self._version} if self._version else {}),
                  "rules": list(self._rules.values())}  # fmt: skip
        run: dict[str, Any] = {
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The run's own folder."}}},
            "automationDetails": {"id": "codetemper/"},
            "invocations": [
                {"executionSuccessful": True, "toolExecutionNotifications": _left_out(self._left)}
            ],
            "results": [],
        }
        frame = json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)
        # No string of JSON holds a bare quotation mark, so there is one such place.
        head, name, tail = frame.encode().rpartition(b'"results": [')
        results = b",\n".join(line for kept in self._results.values() for line in kept)
        return b"".join((head, name, b"\n", results, tail, b"\n"))


def _left_out(count: int) -> list[dict[str, Any]]:
    if not count:
        return []
    said = f"{count} further results, none more severe, were left out: the limit of a run"
    return [{"level": "warning", "message": {"text": said}}]


def _relative(path: str) -> None:
    if not path or path.startswith(("/", "\\")) or ".." in path.split("/") or "://" in path:
        raise UsageError(
            f"'{path}' cannot be written to SARIF",
            why="code scanning takes relative paths below one root only",
            mend="name files relative to the folder that was scanned",
        )


def _rule(finding: Finding) -> dict[str, Any]:
    kin = family(finding.cwe) if finding.cwe else ""
    number = finding.cwe.removeprefix("CWE-").zfill(3) if finding.cwe else ""
    tags = ["security", f"external/cwe/cwe-{number}"] if number else []
    tool, _, name = finding.rule.partition(":")
    title = f"{name or tool} ({finding.cwe})" if finding.cwe else name or tool
    help_text = f"Reported by {tool}, rule {name}." if name else f"Reported by the check {tool}."
    page = f"https://cwe.mitre.org/data/definitions/{int(number)}.html" if number else ""
    return {
        "id": finding.rule,
        "name": re.sub(r"\W+", "-", name or tool),
        "shortDescription": {"text": title[:1024]},
        "fullDescription": {"text": f"{finding.rule}: {finding.message}"[:1024]},
        "help": {
            "text": f"{help_text} {page}".strip(),
            "markdown": f"{help_text} [{finding.cwe}]({page})" if page else help_text,
        },
        **({"helpUri": page} if page else {}),
        "defaultConfiguration": {"level": finding.severity},
        "properties": {
            "tags": tags,
            "precision": "very-high" if finding.severity == "error" else "medium",
            "problem.severity": {"error": "error", "warning": "warning", "note": "recommendation"}[
                finding.severity
            ],
            **({"security-severity": _SECURITY_SEVERITY.get(kin, "5.0")} if number else {}),
        },
    }


def _raise_level(rule: dict[str, Any], finding: Finding) -> None:
    """Let a rule's level be that of its most severe finding."""
    level = rule["defaultConfiguration"]["level"]
    if _LEVELS.index(finding.severity) < _LEVELS.index(level):
        rule["defaultConfiguration"]["level"] = finding.severity
        rule["properties"] |= {
            "precision": "very-high" if finding.severity == "error" else "medium",
            "problem.severity": finding.severity,
        }


def _result(path: str, finding: Finding, lines: list[str], seen: dict[str, int]) -> dict[str, Any]:
    number = finding.line if finding.line and finding.line > 0 else 1
    line = lines[number - 1] if number <= len(lines) else ""
    region: dict[str, Any] = {"startLine": number}
    if finding.column and finding.column > 0:
        region["startColumn"] = finding.column
    if line:
        region["snippet"] = {"text": line[:1000]}
    mark = finding.fingerprint
    if not mark:
        base = fingerprint(finding.rule, line)
        seen[base] = seen.get(base, 0) + 1
        mark = f"{base}:{seen[base]}"
    place = {"artifactLocation": {"uri": quote(path), "uriBaseId": "%SRCROOT%"}, "region": region}
    return {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": finding.message or finding.rule},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"primaryLocationLineHash": mark},
    }
