# SPDX-License-Identifier: Apache-2.0
"""Run the command line in this process, as a user would from a shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from codetemper.cli import app


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Cli = Callable[..., Answer]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return ``cli(*words) -> Answer``."""

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["codetemper", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            app.main()
        captured = capsys.readouterr()
        return Answer(int(stop.value.code or 0), captured.out, captured.err)

    return call
