# SPDX-License-Identifier: Apache-2.0
"""bandit: Python, from its own JSON; one process reads a whole batch.

Comments that silence it (``# nosec``) are the candidate's and are not obeyed. Rules that fire on
an import or on a call that is as common in right code are notes.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version as package_version
from pathlib import Path

from codetemper.core.digests import digest_json
from codetemper.core.records import Finding, Language
from codetemper.judges._static.families import normal
from codetemper.judges._static.form import Limits, Look, ScanFailedError, looks, run

#: Rules whose weakness id is another than bandit's own word for it.
_CWE = {
    "B102": "CWE-94", "B307": "CWE-94", "B506": "CWE-502", "B310": "CWE-918", "B701": "CWE-79",
    "B702": "CWE-79", "B308": "CWE-79", "B703": "CWE-79", "B704": "CWE-79", "B313": "CWE-611",
    "B314": "CWE-611", "B315": "CWE-611", "B316": "CWE-611", "B317": "CWE-611", "B318": "CWE-611",
    "B319": "CWE-611", "B320": "CWE-611",
}  # fmt: skip
#: Remarks: imports (B4..), a subprocess without a shell, asserts, swallowed exceptions.
_REMARKS = ("B4", "B101", "B104", "B110", "B112", "B113", "B603", "B606", "B607")


class _Bandit:
    name = "bandit"
    languages: tuple[Language, ...] = ("python",)
    divides = False

    def version(self) -> str | None:
        return package_version("bandit") if importlib.util.find_spec("bandit") else None

    def settings(self) -> str:
        return digest_json([1, _CWE, _REMARKS])

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        command = [sys.executable, "-m", "bandit", "-q", "-f", "json", "--ignore-nosec",
                   "--exit-zero", *names]  # fmt: skip
        done = run(command, folder, limits.deadline(len(names)))
        try:
            answer = json.loads(done.stdout)
            found: dict[str, list[Finding]] = {name: [] for name in names}
            for row in answer["results"]:
                found[Path(row["filename"]).name].append(_finding(row))
            unread = {Path(row["filename"]).name for row in answer["errors"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ScanFailedError(f"bandit: {done.stderr[-300:]}") from error
        return looks(folder, found, unread)


def _finding(row: dict[str, object]) -> Finding:
    rule = str(row["test_id"])
    own = row.get("issue_cwe")
    cwe = own.get("id") if isinstance(own, dict) else None
    remark = rule.startswith(_REMARKS)
    return Finding(
        rule=f"bandit:{rule}",
        message=f"{row['test_name']}: {str(row['issue_text']).splitlines()[0][:200]}",
        cwe=_CWE.get(rule) or normal(cwe if isinstance(cwe, int | str) else None),
        line=int(str(row["line_number"])),
        column=int(str(row.get("col_offset", 0))) + 1,
        severity="note" if remark else "warning",
    )


ANALYSER = _Bandit()
