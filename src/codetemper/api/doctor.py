# SPDX-License-Identifier: Apache-2.0
"""The verb ``doctor``: what is installed, and what each missing tool costs."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version

from codetemper.api.models import SEEDLING
from codetemper.evaluate import suites
from codetemper.judges import sandbox_available


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what it is.
        state: ``ok`` or ``missing`` (a verb cannot work).
        detail: version, place, or why not.
        costs: what cannot be done without it; empty where it is there.
        mend: how to get it; empty where it is there.
    """

    name: str
    state: str
    detail: str
    costs: str = ""
    mend: str = ""


_EXTRAS = (
    ("torch", "hf", "loading models: eval, tune, demo"),
    ("transformers", "hf", "loading models: eval, tune, demo"),
    ("peft", "hf", "adapter patches: tune, every expression with '+'"),
    ("trl", "train", "tune"),
    ("tree_sitter", "train", "mine"),
)
_PROGRAMS = (
    ("git", "mine, demo", "apt-get install git"),
    ("gcc", "judging C: world-security-c", "apt-get install gcc"),
)


def doctor() -> list[Check]:
    """Look at everything a verb may need; nothing is loaded, run or changed."""
    found = [_python()]
    for module, extra, costs in _EXTRAS:
        if importlib.util.find_spec(module):
            found.append(Check(module, "ok", version(module)))
        else:
            found.append(
                Check(
                    module, "missing", "not installed", costs, f"pip install 'codetemper[{extra}]'"
                )
            )
    for program, costs, mend in _PROGRAMS:
        path = shutil.which(program)
        found.append(
            Check(program, "ok", path)
            if path
            else Check(program, "missing", "not on PATH", costs, mend)
        )
    works, reason = sandbox_available()
    found.append(
        Check("bubblewrap", "ok", reason or "works")
        if works
        else Check(
            "bubblewrap",
            "missing",
            reason,
            "judging anything that runs code: eval, judge",
            "apt-get install bubblewrap",
        )
    )
    weights = SEEDLING / "model.safetensors"
    found.append(
        Check("seedling", "ok", f"{weights.stat().st_size / 1e6:.1f} MB")
        if weights.is_file()
        else Check(
            "seedling",
            "missing",
            "no weights in the package",
            "the default model",
            "python -m seedling.train, in a checkout",
        )
    )
    names = suites.shipped()
    found.append(Check("suites", "ok" if names else "missing", ", ".join(names) or "none"))
    return found


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()}, {sys.executable}")
