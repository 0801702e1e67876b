# SPDX-License-Identifier: Apache-2.0
"""Any analyser that writes SARIF, by a command template.

    >>> SarifCommand("codeql-run {folder} --out {out}")

``{folder}`` is the folder of the batch and ``{out}`` the SARIF file to write; without ``{out}`` the
standard output is read. The command is the user's own and is never taken from a case.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from codetemper.core.digests import digest_json
from codetemper.core.errors import CodetemperError, UsageError
from codetemper.core.records import Finding, Language
from codetemper.judges._static import sarif_in
from codetemper.judges._static.form import (
    Limits,
    Look,
    ScanFailedError,
    find_program,
    first_version,
    looks,
    run,
)


class SarifCommand:
    """An analyser behind a command line.

    Args:
        template: with ``{folder}``, and ``{out}`` where it writes a file.

    Raises:
        UsageError: a template without ``{folder}``, or one that no shell could read.
    """

    languages: tuple[Language, ...] = ("python", "c", "cpp")
    divides = True

    def __init__(self, template: str) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise UsageError(f"'{template}' is not a command", why=str(error),
                             mend="close its quotes") from error  # fmt: skip
        if not any("{folder}" in word for word in self._words):
            raise UsageError(
                f"'{template}' does not say what to look at",
                why="it has no {folder}",
                mend="write it as in: 'analyser --sarif {out} {folder}'",
            )
        self.template = template
        self.name = Path(self._words[0]).name

    def version(self) -> str | None:
        """Return what ``--version`` prints first, ``unknown`` where it does not know the option."""
        path = find_program(self._words[0])
        return (first_version([path, "--version"]) or "unknown") if path else None

    def settings(self) -> str:
        """Return the digest of the template."""
        return digest_json([1, self.template])

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        """Run the command on the folder and read its SARIF."""
        out = folder.with_name(f"{folder.name}.sarif")
        path = find_program(self._words[0]) or self._words[0]
        words = [word.replace("{folder}", str(folder)).replace("{out}", str(out))
                 for word in self._words[1:]]  # fmt: skip
        done = run([path, *words], folder, limits.deadline(len(names)))
        try:
            text = out.read_text("utf-8") if out.exists() else done.stdout
            rows = sarif_in.read(json.loads(text), self.name)
        except (ValueError, CodetemperError) as error:
            raise ScanFailedError(f"{self.name}: {error}; {done.stderr[-300:]}") from error
        finally:
            out.unlink(missing_ok=True)
        found: dict[str, list[Finding]] = {name: [] for name in names}
        for finding in rows:
            name = Path(finding.path or "").name
            if name in found:
                rule = f"{self.name}:{finding.rule.partition(':')[2]}"
                found[name].append(finding.model_copy(update={"path": None, "rule": rule}))
        return looks(folder, found)
