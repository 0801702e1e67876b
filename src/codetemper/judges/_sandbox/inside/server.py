# SPDX-License-Identifier: Apache-2.0
"""The loop within the sandbox: one framed request in, one framed answer out.

Started by ``codetemper.judges._sandbox.worker``. Requests: ``python`` (program and checks),
``build`` (a C program), ``run`` (what was built), ``sql`` (queries). A frame is four bytes of
length, big end first, and that many bytes: ``marshal`` towards this program, which trusts who
asks, and JSON on the way back.
"""

from __future__ import annotations

import gc
import importlib
import json
import marshal
import os
import signal
import sys
from typing import Any

from . import ahead, process, session  # noqa: F401 - ahead of everything else

_PR_SET_DUMPABLE = 4


class Server:
    """State of one sandbox: its settings, its code cache and what was built last."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.space: str = settings["space"]
        self.uid: int | None = settings["uid"]
        self.tools: dict[str, str] = settings["environment"]
        self.images: dict[str, bytes] = {}
        self.native: Any = None
        self.interpreter: session.Interpreter | None = None
        if settings["kind"] == "python":
            self.interpreter = session.Interpreter(self.space, self.uid, settings["control"])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        kind = request["op"]
        if kind in ("build", "run"):
            return self.run_compiled(request)
        if not process.sweep(self.space, frozenset(), self.uid):
            return {"spent": True}
        if kind == "python" and self.interpreter is not None:
            return self.interpreter.answer(request)
        if kind == "sql":
            # Only workers for SQL load the library.
            sql = importlib.import_module(".sql", __package__)
            return sql.run(request, self.images, self.uid)  # type: ignore[no-any-return]
        raise ValueError(f"unknown request: {kind}")

    def run_compiled(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build a program, or run what was built."""
        compiled = importlib.import_module(".compiled", __package__)
        if self.native is None:
            self.native = compiled.Native(self.space, self.uid, self.tools)
        return self.native.answer(request)  # type: ignore[no-any-return]


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = os.read(descriptor, size - len(data))
        if not block:
            os._exit(0)
        data += block
    return data


def _send(descriptor: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode("ascii")
    data = len(data).to_bytes(4, "big") + data
    while data:
        data = data[os.write(descriptor, data) :]


def main() -> None:
    """Serve requests until the standard input ends."""
    settings = json.loads(sys.argv[1])
    os.environ.pop("LD_BIND_NOW", None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    own = settings["filtered"] or settings["uid"] is not None
    if not own or settings["kind"] != "python":
        # No candidate may trace this process or read its memory. Where a uid of their own or the
        # filter of system calls sees to that, Python candidates are spared a loaded ctypes, which
        # would hand them the memory of their own process.
        ctypes = importlib.import_module("ctypes")
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    sys.path[:] = [path for path in sys.path if path != settings["code"]]
    requests, answers, void = os.dup(0), os.dup(1), os.open("/dev/null", os.O_RDWR)
    _send(answers, {"ready": True, "alone": process.alone()})
    for descriptor in (0, 1, 2):
        os.dup2(void, descriptor)
    server = Server(settings)
    process.PRIVATE += [requests, answers]
    gc.collect()
    gc.disable()
    gc.freeze()
    while True:
        size = int.from_bytes(_read(requests, 4), "big")
        request = marshal.loads(_read(requests, size))  # noqa: S302 - who asks is trusted
        answer = server.answer(request)
        _send(answers, answer)
        if answer.get("spent"):
            os._exit(0)
