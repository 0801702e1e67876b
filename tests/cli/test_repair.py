# SPDX-License-Identifier: Apache-2.0
"""What a repair says of the rest of the model."""

from __future__ import annotations

from typing import Any

import pytest

from codetemper.cli import repair
from codetemper.cli.screen import out


@pytest.mark.parametrize(
    ("notes", "told"), [({}, False), ({"guards missed": 0}, False), ({"guards missed": 1234}, True)]
)
def test_guards_that_were_given_up_are_told(notes: dict[str, Any], told: bool) -> None:
    nothing = {"tokens": 0, "earlier": 0, "broken": []}
    report = {"monitor": nothing, "step": 1.0, "notes": notes, "measured": None}
    with out.capture() as shown:
        repair._show_moved(report)
    text = " ".join(shown.get().split())
    assert "what else it moved is unknown" in text
    assert ("1234 guarded predictions of the reference texts flip" in text) is told
