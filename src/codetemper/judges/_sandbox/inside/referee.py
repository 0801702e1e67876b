# SPDX-License-Identifier: Apache-2.0
"""The process that runs assert-style tests and never runs a line of a candidate.

It lives in a sandbox of its own (or under a user id of its own). Each job brings tests and a
socket whose other end a candidate's process holds. Names that neither the tests nor the case's own
prompt define are asked for at the candidate. The tests passed only if their last statement was
reached while the link to the candidate stood. Jobs are from suites: their text is not hostile, but
every answer of a candidate is.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
import json
import os
import random
import resource
import select
import sys
import types
from _socket import CMSG_SPACE, socket
from typing import Any

from . import process
from .link import Foreseen, Link, LinkLostError, Named, foreseen
from .plain import NotPlainError
from .plan import plan

#: Modules that tests often import.
_AHEAD = "collections copy datetime decimal fractions itertools json math random re string typing"
_MEMORY = 1 << 30
_KEPT = 4096
_ONCE, _RIGHTS = 1 << 16, CMSG_SPACE(4)


class Names(dict[str, Any]):
    """The global names of a test; what is not there is asked for at the candidate."""

    def __init__(self, link: Link) -> None:
        super().__init__(__name__="tests", __builtins__=builtins)
        self.link = link

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        try:
            value = self.link.ask("name", name, (), {})
        except NotPlainError:
            if name not in sys.stdlib_module_names:
                raise
            value = importlib.import_module(name)
        self[name] = value
        return value


class Referee:
    """Runs tests; compiles each text once."""

    def __init__(self) -> None:
        self.codes: dict[str, types.CodeType] = {}
        self.foreseen: dict[str, Foreseen | None] = {}

    def code(self, text: str, name: str) -> types.CodeType:
        """Compile a part of a case once."""
        found = self.codes.get(text)
        if found is None:
            if len(self.codes) >= _KEPT:
                self.codes.clear()
                self.foreseen.clear()
            tree = ast.parse(text, name)
            self.foreseen[text] = _foreseen(tree)
            found = self.codes[text] = compile(tree, name, "exec", dont_inherit=True)
        return found

    def judge(self, given: str, tests: str, descriptor: int) -> dict[str, Any]:
        """Run one job and tell what came of it."""
        try:
            parts = [self.code(given, "prompt.py"), self.code(tests, "tests.py")]
        except (SyntaxError, ValueError) as error:
            return {"broken": f"{type(error).__name__}: {error}"}
        random.seed(0)
        link = Link(descriptor)
        names = Names(link)
        ahead = self.foreseen[tests]
        try:
            if ahead is not None:
                names[ahead.name] = Named(link, ahead.name)
                link.ask_ahead(ahead)
            for part in parts:
                exec(part, names)  # noqa: S102 - the tests of a suite, in a sandbox
            if link.lost:
                raise LinkLostError("the candidate's process ended")
            return {"passed": True}
        except LinkLostError as error:
            return {"failure": "ended", "note": str(error)}
        except BaseException as error:
            return _verdict(error, link)
        finally:
            names.clear()


def _foreseen(tests: ast.Module) -> Foreseen | None:
    found = plan(tests)
    if found is None or hasattr(builtins, found.entry):
        return None
    return foreseen(found.entry, found.calls)


def _verdict(error: BaseException, link: Link) -> dict[str, Any]:
    name = type(error).__name__
    try:
        text = f"{name}: {error}"[:300] if str(error) else name
    except BaseException:
        text = name
    if error is link.raised:
        return {"failure": "raised", "name": name, "note": f"check: {text}"}
    if isinstance(error, NotPlainError):
        return {"failure": "wrong", "note": str(error)}
    if isinstance(error, AssertionError):
        return {"failure": "wrong", "note": text}
    return {"failure": "wrong", "note": f"the tests stopped: {text}"}


def serve(control: socket, texts: int | None) -> None:
    """Take jobs until their source ends.

    Args:
        control: brings jobs, each with a link; takes reports.
        texts: descriptor that brings the tests' text, framed; None where jobs hold it. A candidate
            shares memory with what forwards jobs, so it is better that the text is not in them.
    """
    referee = Referee()
    known: dict[str, str] = {}
    poller = select.poll()
    for source in (control.fileno(), texts):
        if source is not None:
            poller.register(source, select.POLLIN)
    gc.collect()
    gc.freeze()
    while True:
        ready = {source for source, _ in poller.poll()}
        if texts in ready:
            _learn(texts, known)  # texts come before the jobs that need them
            continue
        data, rights, _, _ = control.recvmsg(_ONCE, _RIGHTS)
        if not data or not rights:
            return
        link = int.from_bytes(rights[0][2], sys.byteorder)
        try:
            given, code = _unpacked(control.fileno(), data)
            while texts is not None and not (given in known and code in known):
                _learn(texts, known)
            answer = referee.judge(known.get(given, given), known.get(code, code), link)
        finally:
            os.close(link)
        control.sendall(json.dumps(answer).encode("ascii") + b"\n")


def packed(given: str, code: str) -> bytes:
    """Return a job as it crosses: its length, what the prompt gives, a zero, the tests."""
    data = f"{given}\0{code}".encode("utf-8", "surrogatepass")
    return len(data).to_bytes(4, "big") + data


def _unpacked(descriptor: int, data: bytes) -> list[str]:
    """Read the rest of a job that begins with ``data``; return its parts."""
    size = 4 + int.from_bytes(data[:4], "big")
    whole = data + _take(descriptor, size - len(data))
    return whole[4:].decode("utf-8", "surrogatepass").split("\0", 1)


def _learn(texts: int, known: dict[str, str]) -> None:
    """Read one frame of texts by key; a frame without any means to forget all."""
    frame = json.loads(_take(texts, int.from_bytes(_take(texts, 4), "big")))
    if not frame:
        known.clear()
    known.update(frame)


def _take(descriptor: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = os.read(descriptor, size - len(data))
        if not block:
            os._exit(0)
        data += block
    return bytes(data)


def main() -> None:
    """Be the referee of the sandbox whose other end of the control socket is another one."""
    settings = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if settings["uid"] is not None:
        process.drop(settings["uid"])
    prepare()
    texts, void = os.dup(0), os.open("/dev/null", os.O_RDWR)
    os.write(1, b"ready")
    for descriptor in (0, 1, 2):
        os.dup2(void, descriptor)
    serve(socket(fileno=settings["control"]), texts)


def prepare() -> None:
    """Import what tests often import."""
    for name in _AHEAD.split():
        importlib.import_module(name)
