# SPDX-License-Identifier: Apache-2.0
"""The terminal session that opens the README is real: the same commands print the same lines.

The demonstration is run on fewer cases and steps than the README's, so numbers, ids, times and the
gate's words may differ; everything else must be there, line by line.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from codetemper.cli import screen
from tests.journeys.conftest import Cli

README = Path(__file__).parents[2] / "README.md"
QUICK = ["--limit", "16", "--samples", "1"]


def session() -> list[tuple[list[str], list[str]]]:
    """Return (words, printed lines) of each command of the README's first session."""
    block = re.search(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert block, "the README has no console session"
    commands: list[tuple[list[str], list[str]]] = []
    for line in block.group(1).splitlines():
        if line.startswith("$ "):
            commands.append((shlex.split(line[2:]), []))
        elif line.strip():
            commands[-1][1].append(line)
    return commands


def shape(text: str) -> list[str]:
    """Return lines without what may differ between two runs."""
    lines = []
    for line in text.splitlines():
        line = re.sub(r"\b(tune|mine|eval)-[0-9a-f]{12}\b", "ID", line)
        line = re.sub(r"(/[\w.-]+)+/", "PATH/", line)
        line = re.sub(r"<\.\d+", "N", line)
        line = re.sub(r"[-+]?\d[\d,]*(\.\d+)?(e-?\d+)?", "N", line)
        line = re.sub(r"\b(accept|refuse|undecided)\b", "ANSWER", line)
        # What a decision of few cases adds: that unknown outcomes or more cases could settle it.
        line = re.sub(r", (at worst \[N, N\] as unknown|and N cases show a difference).*", "", line)
        if line.strip():
            lines.append(" ".join(line.split()))
    return lines


def test_the_session_is_what_happens(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODETEMPER_DEMO_EPOCHS", "0.1")
    monkeypatch.setattr(screen.out, "width", 200)
    patch = ""
    for words, printed in session():
        words = [re.sub(r"tune-[0-9a-f]{12}", patch, word) for word in words]
        answer = cli(*words[1:], *(QUICK if words[1] == "demo" else []))
        assert answer.code == 0, answer.err
        assert shape(answer.out) == shape("\n".join(printed)), f"after: {' '.join(words)}"
        found = re.search(r"tune-[0-9a-f]{12}", answer.out)
        patch = found.group(0) if found else patch
