# SPDX-License-Identifier: Apache-2.0
"""semgrep with this project's own rules (``judges/rules``), offline; one process reads a batch.

It ships no rules, and a name of its registry makes it wait for a network: only local files are
named. Its libraries are pinned against ours, so it lives in an environment of its own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from codetemper.core.digests import digest_bytes
from codetemper.core.records import Finding, Language
from codetemper.judges._static.families import normal
from codetemper.judges._static.form import Installed, Limits, Look, ScanFailedError, looks, run

#: One look starts faster by ten times so; rules and matching are the same program's.
_FAST = "--experimental"
_SEVERITY = {"ERROR": "warning", "WARNING": "warning", "INFO": "note"}
#: Seconds one rule may spend on one file.
_RULE_SECONDS = 10


@functools.cache
def rules(language: Language) -> bytes:
    """Return this package's rules for a language as the file semgrep reads.

    C and C++ share most; of a rule that is written for each, only the language's own is kept. The
    files use YAML's anchors, which not every reader of semgrep's resolves.
    """
    stem = "python" if language == "python" else "c"
    text = (resources.files("codetemper.judges") / "rules" / f"{stem}.yaml").read_text("utf-8")
    own = [rule for rule in yaml.safe_load(text)["rules"] if language in rule["languages"]]
    return json.dumps({"rules": own}, indent=1).encode()


class _Semgrep:
    name = "semgrep"
    languages: tuple[Language, ...] = ("python", "c", "cpp")
    # Its own jobs share a heap: two of them take twice the processor time of two processes.
    divides = False

    def __init__(self) -> None:
        self._program = Installed("semgrep", ask=(_FAST, "--version"))

    def version(self) -> str | None:
        return self._program.version

    def settings(self) -> str:
        return digest_bytes(b"".join(rules(language) for language in self.languages))

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        own = folder.with_name(f"{folder.name}-rules.json")
        own.write_bytes(rules(language))
        # Candidates must not silence it (nosem), and no file is too large or ignored by git.
        command = [self._program.path, "scan", _FAST, f"--config={own}", "--metrics=off",
                   "--disable-version-check", "--json", "--quiet",
                   "--disable-nosem", "--no-git-ignore",
                   "--max-target-bytes=0", f"--timeout={_RULE_SECONDS}", "--timeout-threshold=0",
                   "--jobs=1", *names]  # fmt: skip
        try:
            done = run(command, folder, limits.deadline(len(names)))
        finally:
            own.unlink()
        try:
            answer = json.loads(done.stdout)
            return _looks(folder, names, answer)
        except (ValueError, KeyError, TypeError) as error:
            raise ScanFailedError(f"semgrep: {done.stderr[-300:]}") from error


def _looks(folder: Path, names: Sequence[str], answer: dict[str, Any]) -> dict[str, Look]:
    found: dict[str, list[Finding]] = {name: [] for name in names}
    for row in answer["results"]:
        found[Path(row["path"]).name].append(_finding(row))
    broken = {Path(row["path"]).name for row in answer["errors"] if row.get("path")
              and row.get("level") == "error"}  # fmt: skip
    seen = {Path(path).name for path in answer["paths"]["scanned"]}
    if not seen and names:
        raise ScanFailedError(f"semgrep scanned nothing: {answer['errors'][:1]}")
    return looks(folder, found, broken | (set(names) - seen))


def _finding(row: dict[str, Any]) -> Finding:
    extra = row["extra"]
    return Finding(
        rule=f"semgrep:{row['check_id'].rpartition('.')[2]}",
        message=" ".join(extra["message"].split())[:200],
        cwe=normal(extra["metadata"].get("cwe")),
        line=row["start"]["line"],
        column=row["start"]["col"],
        severity=_SEVERITY.get(extra["severity"], "note"),
    )


ANALYSER = _Semgrep()
