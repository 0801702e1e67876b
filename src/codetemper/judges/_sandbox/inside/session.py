# SPDX-License-Identifier: Apache-2.0
"""The server's side of a Python request: one candidate process, its checks, and the referee.

``Session`` forks the candidate, hands assert-style tests to the referee with one end of a fresh
link, reads what the candidate's process wrote on the board, keeps the deadline of every step, and
ends everything the candidate started. What it answers are facts; verdicts are made outside.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import sys
import types
from _signal import set_wakeup_fd  # type: ignore[import-not-found]
from _signal import signal as _set_handler
from _socket import SCM_RIGHTS, SHUT_WR, SOL_SOCKET, socket, socketpair
from typing import Any

from . import guard, process, python, referee, together
from .board import Board
from .link import Link, foreseen

#: Modules that programs may import. The first that does has it imported for all that follow: a
#: fork takes longer the more there is to copy, and most programs import few.
_AHEAD = (
    "array ast base64 binascii bisect calendar cmath csv dataclasses datetime decimal difflib "
    "fractions glob hashlib heapq hmac html html.parser inspect ipaddress pathlib pickle queue "
    "secrets shlex shutil socket sqlite3 statistics string subprocess tempfile textwrap threading "
    "time traceback typing unicodedata urllib.parse uuid xml.etree.ElementTree zlib"
)
_KEPT = 4096
#: Programs up to this length, in characters, are compiled here: a warm process takes a third of the
#: time that a fresh one does. Compiling runs nothing of them.
_LONGEST = 1 << 15
_PATIENCE_S = 2.0
_MEMORY, _DEFAULT = int(signal.SIGUSR1), int(signal.SIG_DFL)


class Interpreter:
    """Carries out Python requests.

    Args:
        space: the writable folder.
        uid: user id that candidates are dropped to.
        control: stream to the referee; None where each run forks a referee of its own.
    """

    def __init__(self, space: str, uid: int | None, control: int | None) -> None:
        self.space, self.uid = space, uid
        self.control = None if control is None else socket(fileno=control)
        self.codes: dict[tuple[str, str], tuple[types.CodeType, ...]] = {}
        self.absent = set(_AHEAD.split())
        self.board = Board()
        self.alarm, waking = os.pipe()
        os.set_blocking(waking, False)
        if process.alone():
            # The outside counts the memory of all processes, and signals where it is too much.
            signal.signal(signal.SIGUSR1, lambda *_: None)
            set_wakeup_fd(waking, warn_on_full_buffer=False)
        self.watch = guard.arm(self.board.writer(), os._exit)
        # Every run begins with this module and this state of ``random``, its fork's own copies.
        self.names = sys.modules.setdefault("candidate", types.ModuleType("candidate")).__dict__
        random.seed(0)
        _rehearse(self.board)
        together.forget_harness(__package__ or "")
        # The folder of every run has the same name, so this need not be set in each.
        os.environ.update(HOME=f"{space}/run.0", TMPDIR=f"{space}/run.0")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a program and its checks."""
        try:
            setup = self._code(request["setup"], "setup.py")[0]
            helpers = self._code(request["helpers"], "prompt.py")[0]
            parts = [self._parts(check) for check in request["checks"]]
        except (SyntaxError, ValueError) as error:
            return {"broken": f"{type(error).__name__}: {error}"}
        program: str | types.CodeType = request["program"]
        if len(program) <= _LONGEST:
            # What is wrong with one that cannot be compiled, the candidate's process tells.
            with contextlib.suppress(*python.UNCOMPILABLE):
                program = python.compiled(program)
                self._import_ahead(program)
        return _Session(self, request, setup, helpers, parts, program).run()

    def folders(self, count: int) -> tuple[str, ...]:
        """Make private empty folders that the candidate may write to."""
        made = []
        for number in range(count):
            path = f"{self.space}/run.{number}"
            os.mkdir(path)
            os.chmod(path, 0o777)  # noqa: S103 - the candidate has another uid; nobody else is here
            made.append(path)
        return tuple(made)

    def _import_ahead(self, code: types.CodeType) -> None:
        """Import here what a program imports, where it is one of ``_AHEAD``."""
        for name in self.absent.intersection(code.co_names):
            self.absent.remove(name)
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                self._import_ahead(inner)

    def _parts(self, check: dict[str, Any]) -> tuple[tuple[int, types.CodeType], ...]:
        if check["style"] == "asserts":
            return ()
        parts = self._code(check["code"], "check.py", split=check["style"] == "together")
        return tuple(enumerate(parts, 1))

    def _code(self, text: str, name: str, *, split: bool = False) -> tuple[types.CodeType, ...]:
        """Compile a part of a case once. It comes from the suite, hence is not hostile."""
        key = (f"{name}/{split}", text)
        found = self.codes.get(key)
        if found is None:
            if len(self.codes) >= _KEPT:
                self.codes.clear()
            tree = ast.parse(text, name)
            groups = [[part] for part in tree.body] if split else [tree.body]
            found = self.codes[key] = tuple(
                compile(ast.Module(group, []), name, "exec", dont_inherit=True) for group in groups
            )
            for code in found:
                self._import_ahead(code)
        return found


class _Session:
    """One request at work."""

    def __init__(
        self,
        interpreter: Interpreter,
        request: dict[str, Any],
        setup: types.CodeType,
        helpers: types.CodeType,
        parts: list[tuple[tuple[int, types.CodeType], ...]],
        program: str | types.CodeType,
    ) -> None:
        self.owner, self.request, self.parts = interpreter, request, parts
        self.program = program
        self.setup, self.helpers = setup, helpers
        self.checks: list[dict[str, Any]] = request["checks"]
        self.reports: dict[int, dict[str, Any]] = {}
        self.waiting = [n for n, check in enumerate(self.checks) if check["style"] == "asserts"]
        self.links: dict[int, socket] = {}
        self.asked = False
        control = interpreter.control
        if control is None:
            control = self._own_referee() if self.waiting else socket()
        self.control = control

    def run(self) -> dict[str, Any]:
        """Run the program and tell what became of it."""
        pairs = {number: socketpair() for number in self.waiting}
        self.links = {number: pair[0] for number, pair in pairs.items()}
        checks = tuple(
            (n, python.Check(code, check["style"], pairs[n][1].fileno() if n in pairs else -1))
            for n, (check, code) in enumerate(zip(self.checks, self.parts, strict=True))
        )
        folders = self.owner.folders(max(1, len(checks)))
        spawn, begin = self.request["spawn"], self.owner.watch
        job = python.Job(self.setup, self.owner.names, self.program, self.helpers,
                         lambda: begin(spawn), checks, len(checks) - 1, folders)  # fmt: skip
        limits = process.Limits(self.request["seconds"], address_mb=self.request["memory_mb"],
                                total=self.request["total"])  # fmt: skip
        board = self.owner.board
        board.wipe()

        run, unset_wakeup, set_handler = python.prepared(board, job), set_wakeup_fd, _set_handler

        def body() -> None:
            unset_wakeup(-1)
            set_handler(_MEMORY, _DEFAULT)
            run()

        keep = [theirs.fileno() for _, theirs in pairs.values()]
        poller = select.poll()
        poller.register(self.owner.alarm, select.POLLIN)
        if self.waiting:
            poller.register(self.control, select.POLLIN)
        self._next_test()  # the referee prepares while the candidate starts
        child = process.start(body, keep, limits, self.owner.uid)
        try:
            for _, theirs in pairs.values():
                theirs.close()
            ended = self._watch(poller, child, process.Clock(child, limits))
        finally:
            for link in self.links.values():
                link.close()
            status, cpu = process.end_all(child)
            if not self._has_referee():
                self.control.close()
        spent = self.asked and self._has_referee() and not self._settle()
        lines = [line for record in board.read() if (line := _line(*record))]
        return {"ended": ended, "status": status, "lines": lines, "cpu": cpu,
                "reports": self.reports, "counts": [len(code) for code in self.parts],
                "spent": spent}  # fmt: skip

    def _watch(self, poller: select.poll, child: int, clock: process.Clock) -> str:
        """Wait until all is told or time is over."""
        handle = os.pidfd_open(child)
        poller.register(handle, select.POLLIN)
        control, steps = self.control.fileno(), 0
        try:
            while True:
                ready = {source for source, _ in poller.poll(clock.wait() * 1000 + 1)}
                if control in ready:
                    self._report()
                    if not self.waiting and self.checks[-1]["style"] == "asserts":
                        return "exit"
                    self._next_test()
                    clock.restart()
                elif self.owner.alarm in ready:
                    if signal.SIGUSR1 in os.read(self.owner.alarm, 64):
                        return "memory"
                elif handle in ready:
                    return "exit"
                elif not ready:
                    if self.owner.board.steps() != steps:
                        steps = self.owner.board.steps()
                        clock.restart()
                    elif clock.over():
                        return "timeout"
        finally:
            os.close(handle)

    # The referee --------------------------------------------------------------------------------

    def _own_referee(self) -> socket:
        """Fork a referee for this run, under another uid; it ends with the run."""
        ours, theirs = socketpair()

        def body() -> None:
            gc.enable()
            referee.serve(theirs, None)

        limits = process.Limits(self.request["total"] * process.BACKSTOP, address_mb=1024)
        process.start(body, [theirs.fileno()], limits, _next_uid(self.owner.uid))
        theirs.close()
        return ours

    def _next_test(self) -> None:
        """Hand the next assert-style check to the referee."""
        if not self.waiting:
            return
        number = self.waiting[0]
        self.asked = True
        data = referee.packed(self.request["given"], self.checks[number]["code"])
        link = self.links.pop(number)
        rights = (SOL_SOCKET, SCM_RIGHTS, link.fileno().to_bytes(4, sys.byteorder))
        sent = self.control.sendmsg([data], [rights])
        self.control.sendall(data[sent:])
        link.close()

    def _report(self) -> None:
        """Read the referee's report on the check it was asked about."""
        data = b""
        while not data.endswith(b"\n"):
            block = self.control.recv(1 << 16)
            if not block:
                raise OSError("the referee ended")
            data += block
        self.reports[self.waiting.pop(0)] = json.loads(data)
        self.asked = False

    def _has_referee(self) -> bool:
        """Tell whether the referee outlives the run."""
        return self.owner.control is not None

    def _settle(self) -> bool:
        """Wait for the report on a test whose candidate is gone; False where none comes."""
        poller = select.poll()
        poller.register(self.control.fileno(), select.POLLIN)
        if not poller.poll(_PATIENCE_S * 1000):
            return False
        self._report()
        return True


def _rehearse(board: Board) -> None:
    """Do here what every run does, so that forks inherit code the interpreter has specialised."""
    ours, theirs = socketpair()
    ours.sendall(foreseen("f", [([1], "a", 1.5, (2, {"b": None}))] * 20).frame)
    ours.shutdown(SHUT_WR)
    Link(theirs.fileno(), {"f": lambda *args: args}).serve()
    for _ in range(20):
        board.writer()(b"P", b"")
    ours.close()
    theirs.close()


def _next_uid(uid: int | None) -> int | None:
    return None if uid is None else uid + 1


def _line(kind: bytes, content: bytes) -> list[Any] | None:
    """Turn a record into words and numbers; None where it is not one of the harness."""
    try:
        if kind in _WORDS:
            return [_WORDS[kind]]
        if kind in _NUMBERS:
            return [_NUMBERS[kind], *map(int, content.split())]
        if kind == b"V":
            return ["value", json.loads(content)]
        text = content.decode("ascii")
        if kind == b"T":
            return ["tamper", text[:40]]
        return [{b"X": "raised", b"Y": "syntax"}[kind], *text.split("\0", 2)]
    except (ValueError, LookupError, RecursionError):
        return None


_WORDS = {b"P": "parsed", b"L": "loaded", b"F": "flood"}
_NUMBERS = {b"C": "check", b"R": "reached", b"E": "ended"}
