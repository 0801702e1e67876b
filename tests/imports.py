# SPDX-License-Identifier: Apache-2.0
"""What a piece of code imports, in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


def imported(code: str, names: Collection[str]) -> list[str]:
    """Run code in a fresh interpreter; return which modules of some names it loaded, sorted."""
    look = f"{code}\nimport sys; print(*sorted(set({sorted(names)!r}) & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", look],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    return done.stdout.split()
