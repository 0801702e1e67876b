# SPDX-License-Identifier: Apache-2.0
"""Run a Python candidate and its checks in this very process, and tell what came of it.

Runs in a process that ``session`` forked. The program is loaded once; every check but the last
runs in a fork of the loaded process, so no check sees what another one did. Each line that is
written begins with a nonce; it tells how far the run came, a value, an exception, or that the
candidate reached for what is none of its business. Nothing is compared here: the expected value
never enters the sandbox.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from . import guard, together
from .link import Link
from .plain import encode

Tell = Callable[..., None]


class Check(NamedTuple):
    """One question, compiled. Of ``parts`` each is run only if the one before came to its end."""

    parts: tuple[types.CodeType, ...]
    style: str
    """``result``, ``together``, or ``asserts`` with the tests elsewhere."""
    link: int
    """Descriptor of the link to the referee; -1 where there is none."""


class Job(NamedTuple):
    """What one process has to do."""

    setup: types.CodeType
    program: str
    helpers: types.CodeType
    """Imports and functions that the prompt gives, for tests in the same process."""
    spawn: bool
    """Whether the candidate may start programs."""
    checks: tuple[Check, ...]
    folders: tuple[str, ...]
    """Where the program is loaded and the last check runs, then one for each other check."""


def run(channel: int, nonce: bytes, job: Job) -> None:
    """Load the program, go through the checks, and write what came of it; never returns."""
    # Bound before the candidate runs, so that it cannot put its own in their place by name.
    # The nonce never passes through code that a candidate could replace.
    write, leave, dumps = os.write, os._exit, json.dumps
    fork, wait = os.fork, os.waitpid

    def tell(*content: Any) -> None:
        line = nonce + dumps(content).encode("ascii") + b"\n"
        while line:
            line = line[write(channel, line) :]

    stage = "setup"
    try:
        enter(job.folders[0])
        random.seed(0)
        module = types.ModuleType("candidate")
        sys.modules["candidate"] = module
        space = module.__dict__
        _execute(job.setup, space)
        stage = "parse"
        code = _compile(job.program, tell, leave)
        tell("parsed")
        pristine = together.Pristine()
        together.forget_harness(__package__ or "")
        guard.arm(tell, spawn=job.spawn)
        stage = "load"
        _execute(code, space)
        if pristine.changed():
            tell("tamper", "builtins")
        tell("loaded")
        stage = "check"
        last = len(job.checks) - 1
        for number, check in enumerate(job.checks):
            if number < last:
                child = fork()
                if child:
                    tell("ended", number, wait(child, 0)[1])
                    continue
                enter(job.folders[number + 1], job.folders[0])
            tell("check", number)
            _question(check, space, job.helpers, tell)
            if check.style == "together" and pristine.changed():
                tell("tamper", "builtins")
            leave(0)
    except BaseException as error:
        tell("raised", stage, type(error).__name__[:80], _text(error))
    leave(0)


def enter(folder: str, load: str | None = None) -> None:
    """Make ``folder`` the current one, with what loading the program left in ``load``."""
    if load is not None and os.listdir(load):
        shutil.copytree(load, folder, dirs_exist_ok=True)
    os.chdir(folder)
    os.environ.update(HOME=folder, TMPDIR=folder)


def _question(check: Check, space: dict[str, Any], helpers: types.CodeType, tell: Tell) -> None:
    if check.style == "asserts":
        Link(check.link, space, loose=True).serve()
        tell("served")
    elif check.style == "together":
        names = together.Names(space, helpers, tell)
        for number, part in enumerate(check.parts, 1):
            _execute(part, names)
            tell("reached", number)
    else:
        space.pop("result", None)
        _execute(check.parts[0], space)
        tell("value", encode(space.get("result")))


def _execute(code: types.CodeType, space: dict[str, Any]) -> None:
    exec(code, space)  # noqa: S102 - running candidates is what the sandbox is for


def _compile(program: str, tell: Tell, leave: Callable[[int], None]) -> types.CodeType:
    try:
        return compile(program, "candidate.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        tell("syntax", type(error).__name__, _text(error), getattr(error, "lineno", None))
        leave(0)
        raise


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except BaseException:
        return ""
