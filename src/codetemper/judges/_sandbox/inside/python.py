# SPDX-License-Identifier: Apache-2.0
"""Run a Python candidate and its checks in this very process, and tell what came of it.

Runs in a process that ``session`` forked. The program is loaded once; every check but the last
runs in a fork of the loaded process, so no check sees what another one did. What is written tells
how far the run came, a value, an exception, or that the candidate reached for what is none of its
business. Nothing is compared here: the expected value never enters the sandbox.
"""

from __future__ import annotations

import gc
import json
import os
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from . import together
from .board import Board, Write
from .link import Link
from .plain import encode

#: What compiling a text can raise.
UNCOMPILABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
TellError = Callable[[bytes, bytes, BaseException], None]


class Check(NamedTuple):
    """One question, compiled. Of ``parts`` each is run only if the one before came to its end."""

    parts: tuple[tuple[int, types.CodeType], ...]
    """Numbered from 1."""
    style: str
    """``result``, ``together``, or ``asserts`` with the tests elsewhere."""
    link: int
    """Descriptor of the link to the referee; -1 where there is none."""


class Job(NamedTuple):
    """What one process has to do."""

    setup: types.CodeType
    space: dict[str, Any]
    """Names of the module that the candidate is."""
    program: str | types.CodeType
    """Its text, or what that compiles to."""
    helpers: types.CodeType
    """Imports and functions that the prompt gives, for tests in the same process."""
    watch: Callable[[], None]
    """Begins to watch what the candidate does (see ``guard``)."""
    checks: tuple[tuple[int, Check], ...]
    """Numbered from 0."""
    last: int
    """Number of the last check."""
    folders: tuple[str, ...]
    """Where the program is loaded and the last check runs, then one for each other check."""


def prepared(board: Board, job: Job) -> Callable[[], None]:
    """Return what loads the program, goes through the checks, and writes what came of it.

    It is for a forked process and never returns. What it needs is bound here, so that the candidate
    cannot put its own in its place by name, and before the fork, since each page that is touched
    thereafter is copied.
    """
    setup, space, program, helpers, watch, checks, last, folders = job
    writer, leave, wait, fork, change = board.writer, os._exit, os.waitpid, os.fork, os.chdir
    teller, enter_folder, question = _teller, enter, _question
    changed, within = together.PRISTINE.changed, any(check.parts for _, check in checks)
    collect, freeze = gc.enable, gc.freeze

    def run() -> None:
        write, stage = writer(), b"setup"
        tell_error = teller(write)
        try:
            freeze()  # or a collection would look at, hence copy, all that was made before the fork
            collect()
            change(folders[0])
            exec(setup, space)  # noqa: S102 - running candidates is what the sandbox is for
            stage = b"parse"
            code = _compile(program, tell_error, leave)
            write(b"P", b"")
            watch()
            stage = b"load"
            exec(code, space)  # noqa: S102
            if within and changed():
                write(b"T", b"builtins")
            write(b"L", b"")
            stage = b"check"
            for number, check in checks:
                if number < last:
                    child = fork()
                    if child:
                        write(b"E", b"%d %d" % (number, wait(child, 0)[1]))
                        continue
                    write = writer()
                    tell_error = teller(write)
                    enter_folder(folders[number + 1], folders[0])
                write(b"C", b"%d" % number)
                question(check, space, helpers, write)
                if check.style == "together" and changed():
                    write(b"T", b"builtins")
                leave(0)
        except BaseException as error:
            tell_error(b"X", stage, error)
        leave(0)

    return run


def enter(folder: str, load: str) -> None:
    """Make ``folder`` the current one, with what loading the program left in ``load``."""
    if os.listdir(load):
        import shutil

        shutil.copytree(load, folder, dirs_exist_ok=True)
    os.chdir(folder)
    os.environ.update(HOME=folder, TMPDIR=folder)


def _question(check: Check, space: dict[str, Any], helpers: types.CodeType, write: Write) -> None:
    if check.style == "asserts":
        Link(check.link, space).serve()
    elif check.style == "together":
        names = together.Names(space, helpers, write)
        for number, part in check.parts:
            exec(part, names)  # noqa: S102
            write(b"R", b"%d" % number)
    else:
        space.pop("result", None)
        exec(check.parts[0][1], space)  # noqa: S102
        write(b"V", json.dumps(encode(space.get("result"))).encode("ascii"))


def compiled(program: str) -> types.CodeType:
    """Compile a program.

    Raises:
        UNCOMPILABLE: it is no Python, or too much of it.
    """
    return compile(program, "candidate.py", "exec", dont_inherit=True)


def _compile(
    program: str | types.CodeType, tell_error: TellError, leave: Callable[[int], None]
) -> types.CodeType:
    if isinstance(program, types.CodeType):
        return program
    try:
        return compiled(program)
    except UNCOMPILABLE as error:
        tell_error(b"Y", b"parse", error)
        leave(0)
        raise


def _teller(write: Write) -> TellError:
    """Return the function that writes down an exception; it trusts nothing of the exception."""
    name_of, text_of = type.__dict__["__name__"].__get__, str

    def tell(kind: bytes, stage: bytes, error: BaseException) -> None:
        try:
            text = text_of(error)[:300].encode("ascii", "backslashreplace")
        except BaseException:
            text = b""
        name = name_of(type(error))[:80].encode("ascii", "backslashreplace")
        write(kind, b"\0".join((stage, name, bytes(text))))

    return tell
