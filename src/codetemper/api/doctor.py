# SPDX-License-Identifier: Apache-2.0
"""The verb ``doctor``: what is installed, what each missing tool costs, which judge to trust."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from codetemper.api.models import SEEDLING
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions, filter_available, judge_all, qualify, sandbox_available


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
    works, detail = filter_available()
    found.append(
        Check("seccomp", "ok", detail)
        if works
        else Check(
            "seccomp",
            "missing",
            detail,
            "the filter of system calls in sandboxes; the rest of the isolation holds without it",
            "apt-get install libseccomp2",
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


def qualify_judges(
    *,
    commands: Sequence[str] = (),
    behaviour: bool = True,
    limit: int | None = None,
    options: JudgeOptions | None = None,
    on_event: OnEvent = ignore_events,
) -> qualify.Qualification:
    """Measure every installed analyser, and the behavioural judges, on the shipped pairs.

    The card is stored for this user (``judges.qualify.place``), where ``static`` finds it.

    Args:
        commands: of analysers that write SARIF, see ``judges/_static/command.py``.
        behaviour: measure the behavioural judges too, which run every program.
        limit: take this many cases of each suite; such a card is not stored.
        options: of the judges.
        on_event: progress.

    Raises:
        CannotKnowError: no analyser is installed, or no suite has pairs.
    """
    names = [name for name in suites.shipped() if name.startswith("secure-")]
    cases = [case for name in names for case in suites.load(name, limit=limit).cases]
    kept = {"cache": qualify.place().parent}
    options = (options or JudgeOptions()).model_copy(update=kept)
    card = qualify.measure(
        cases,
        analysers=(*qualify.ANALYSERS, *commands),
        judge=judge_all if behaviour else None,
        options=options,
        on_event=on_event,
    )
    if not card.settings:
        raise CannotKnowError(
            "no static analyser is installed",
            why=f"looked for {', '.join(qualify.ANALYSERS)}",
            mend="pip install 'codetemper[judge]'; pipx install semgrep; apt-get install cppcheck",
        )
    if not card.pairs:
        raise CannotKnowError(
            "there is nothing to measure judges on",
            why="no shipped suite has pairs of a secure and a vulnerable program",
            mend="pip install --force-reinstall codetemper",
        )
    if limit is None:
        qualify.store(card)
    return card


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()}, {sys.executable}")
