# SPDX-License-Identifier: Apache-2.0
"""Static analysers behind one shape: one file each, looked up by name, none imported before use.

An analyser is an object with ``name``, ``languages``, ``version()``, ``settings()`` and
``scan(folder, names, language, limits)`` for a batch of files; ``form.py`` holds that shape. Which
findings count is not decided here.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import Language
from codetemper.judges._static.command import SarifCommand
from codetemper.judges._static.form import Analyser

#: Analysers of this package: name to module.
BUILTIN = {
    "bandit": "codetemper.judges._static.bandit",
    "semgrep": "codetemper.judges._static.semgrep",
    "cppcheck": "codetemper.judges._static.cppcheck",
    "gcc": "codetemper.judges._static.gcc",
    "clang": "codetemper.judges._static.clang",
}


def analyser(name: str) -> Analyser:
    """Return an analyser by name; a name with a blank is the command of one that writes SARIF.

    Raises:
        UsageError: no analyser has that name.
    """
    if " " in name:
        return SarifCommand(name)
    if name not in BUILTIN:
        raise UsageError(
            f"there is no analyser '{name}'",
            why="it is neither shipped nor a command with '{folder}' and '{out}'",
            mend=did_you_mean(name, BUILTIN),
        )
    found: Analyser = importlib.import_module(BUILTIN[name]).ANALYSER
    return found


def installed(
    names: Sequence[str] = tuple(BUILTIN), language: Language | None = None
) -> list[Analyser]:
    """Return the analysers that can be started here, of one language or of any.

    Args:
        names: which to look for; also commands that write SARIF.
        language: keep those that can read it.
    """
    found = [analyser(name) for name in names]
    return [
        one
        for one in found
        if (language is None or language in one.languages) and one.version() is not None
    ]
