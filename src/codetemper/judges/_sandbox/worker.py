# SPDX-License-Identifier: Apache-2.0
"""One sandbox seen from outside: start it, ask it, and end it when it does not answer.

The program within enforces each run's deadline; this side enforces it again from another process,
with SIGKILL to the whole namespace. A lost sandbox costs the request that lost it and nothing else:
the next request starts a fresh one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import marshal
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any, Literal, Self

from codetemper.core.errors import CannotKnowError
from codetemper.judges._sandbox import bubble, container, seccomp, usage
from codetemper.judges._sandbox.inside.process import BACKSTOP

#: What the outside waits beyond a run's own deadline before it ends the sandbox.
GRACE_S = 4.0
_START_S = 60.0
#: A sandbox is replaced after so many requests, so that nothing piles up in it.
_MOST_ASKS = 5_000
_LARGEST_ANSWER = 64 << 20
#: How often the memory of a run that takes its time is looked at.
_LOOK_S = 0.02
#: Texts of tests that a referee keeps.
_MOST_TEXTS = 4096


class WorkerLostError(Exception):
    """The sandbox ended or stopped answering during a request; it is gone."""


class Worker:
    """A sandbox that answers one request a time. A context manager; not shared by threads.

    Args:
        sandbox: ``bwrap``, ``container`` or ``none``.
        kind: ``python`` (imports common modules ahead, no ``/proc``), ``compiled`` or ``sql``.
        environment: variables that built programs see.
        files: files of the machine to show read-only, each with its path in the sandbox.
    """

    def __init__(
        self,
        sandbox: bubble.Sandbox,
        kind: Literal["python", "compiled", "sql"],
        environment: dict[str, str] | None = None,
        files: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._sandbox = sandbox
        self._kind = kind
        self._environment = environment or {}
        self._files = tuple(files)
        self._process: subprocess.Popen[bytes] | None = None
        self._space: str | None = None
        self._referee: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._container: str | None = None
        self._told: set[str] = set()
        self.starts = 0
        self._asks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(
        self, request: dict[str, Any], seconds: float, total: float | None = None
    ) -> dict[str, Any]:
        """Send one request and return its answer.

        Args:
            request: what ``inside.server`` understands, without its deadline.
            seconds: seconds that each step of the run within may take.
            total: seconds that all its steps may take; default: those of one.

        Raises:
            WorkerLostError: no answer within ``seconds`` and some grace; the sandbox was ended.
            CannotKnowError: the sandbox cannot be started.
        """
        request = {**request, "seconds": seconds, "total": total or seconds}
        backstop = BACKSTOP * request["total"]
        for attempt in range(2):
            if self._process is None or self._asks >= _MOST_ASKS:
                self.close()
                self._start()
            data = marshal.dumps(self._without_tests(request))
            self._asks += 1
            most = request.get("memory_mb") if self._kind == "python" else None
            answer = self._exchange(data, time.monotonic() + backstop + GRACE_S, most)
            if answer.get("spent"):
                self.close()  # what a run left behind could not be cleared away
            if not answer.get("spent") or (attempt and "ended" in answer):
                return answer
        raise WorkerLostError("the sandbox could not be cleaned")

    def _without_tests(self, request: dict[str, Any]) -> dict[str, Any]:
        """Give tests to the referee, and to the candidate's sandbox only their names."""
        styles = [check["style"] for check in request.get("checks", ())]
        if "asserts" not in styles or self._sandbox == "container":
            return request
        if self._referee is None:
            self._start_referee()
        new: dict[str, str] = {}
        checks = [
            {**check, "code": self._key(check["code"], new)}
            if check["style"] == "asserts" else check
            for check in request["checks"]
        ]  # fmt: skip
        request = {**request, "checks": checks, "given": self._key(request["given"], new)}
        if new and self._referee is not None:
            if len(self._told) > _MOST_TEXTS:
                self._told = set(new)
                self._write({}, self._referee)
            self._write(new, self._referee)
        return request

    def _key(self, text: str, new: dict[str, str]) -> str:
        """Return the name of a text, and note it where the referee does not know it."""
        key = _digest(text)
        if key not in self._told:
            self._told.add(key)
            new[key] = text
        return key

    def close(self) -> None:
        """End the sandbox and everything in it."""
        if self._container is not None:
            container.end(container.engine_available()[1], self._container)
            self._container = None
        for process in (self._process, self._referee):
            if process is not None:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()
        self._process = self._referee = None
        self._told = set()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._space is not None:
            shutil.rmtree(self._space, ignore_errors=True)
            self._space = None

    def _start(self) -> None:
        if self._sandbox == "none":
            self._space = tempfile.mkdtemp(prefix="codetemper-judge-")
            uid, space = None, self._space
        elif self._sandbox == "container":
            uid, space = container.candidate_uid(), bubble.SPACE
        else:
            uid, space = bubble.candidate_uid(), bubble.SPACE
        filtered = self._sandbox == "bwrap" and seccomp.program() is not None
        settings = {"space": space, "uid": uid, "environment": self._environment,
                    "kind": self._kind, "filtered": filtered, "control": None}  # fmt: skip
        passed: list[int] = []
        if self._kind == "python" and self._sandbox != "container":
            self._control, theirs = socket.socketpair()
            settings["control"] = theirs.fileno()
            passed.append(theirs.fileno())
        compiled = self._kind == "compiled"
        self._process = self._popen("server", settings, passed, 256 if compiled else 64, uid,
                                    proc=compiled)  # fmt: skip
        if passed:
            theirs.close()
        self._asks = 0
        self.starts += 1
        try:
            ready = self._exchange(None, time.monotonic() + _START_S)
        except WorkerLostError as error:
            raise CannotKnowError(
                "the sandbox for generated code does not start", why=str(error),
                mend="codetemper doctor tells what is missing",
            ) from error  # fmt: skip
        if self._sandbox != "none" and not ready["alone"]:
            self.close()
            raise CannotKnowError(
                "the sandbox for generated code does not isolate", why="it has no process "
                "namespace of its own", mend="upgrade bubblewrap to 0.4 or later",
            )  # fmt: skip

    def _start_referee(self) -> None:
        """Start the process that runs tests, in a sandbox that has no candidates."""
        if self._control is None:
            raise OSError("only Python workers have a referee")
        uid = bubble.candidate_uid() if self._sandbox != "none" else None
        settings = {"control": self._control.fileno(), "uid": uid}
        self._referee = self._popen("referee", settings, [self._control.fileno()], 1, uid,
                                    proc=False)  # fmt: skip
        if not select.select([self._referee.stdout or -1], [], [], _START_S)[0]:
            raise OSError("the referee does not start")

    def _popen(
        self,
        module: str,
        settings: dict[str, Any],
        passed: list[int],
        space_mb: int,
        uid: int | None,
        *,
        proc: bool,
    ) -> subprocess.Popen[bytes]:
        executable, _ = bubble.interpreter()
        calls = None
        if self._sandbox == "none":
            before, code = [], str(bubble.INSIDE.parent)
        elif self._sandbox == "container":
            engine, self._container = container.engine_available()[1], container.name()
            before, code = container.command(engine, self._container, space_mb=space_mb), "/judge"
        else:
            calls = _descriptor_of(seccomp.program())
            before = bubble.command(
                uid, space_mb=space_mb, proc=proc, files=self._files, calls=calls
            )
            code = "/judge"
        program = f"import sys; sys.path.insert(0, {code!r}); import inside.{module} as m; m.main()"
        arguments = json.dumps({**settings, "code": code})
        if self._sandbox != "container":  # there, the image's interpreter is the entry point
            before = [*before, executable]
        line = [*before, "-S", "-s", "-P", "-B", "-c", program, arguments]
        try:
            return subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, pass_fds=passed if calls is None else [*passed, calls],
            )  # fmt: skip
        finally:
            if calls is not None:
                os.close(calls)

    def _exchange(
        self, data: bytes | None, deadline: float, most_mb: int | None = None
    ) -> dict[str, Any]:
        try:
            if data is not None:
                self._write(data, self._process)
            size = int.from_bytes(self._read(4, deadline, most_mb), "big")
            if size > _LARGEST_ANSWER:
                raise WorkerLostError("answer too large")
            answer: dict[str, Any] = json.loads(self._read(size, deadline))
        except (OSError, ValueError) as error:
            self._lose(error)
        except BaseException:
            self.close()
            raise
        return answer

    def _lose(self, error: Exception) -> None:
        said = b""
        if self._process is not None and self._process.stderr is not None:
            self._process.kill()
            said = self._process.stderr.read()[-300:]
        self.close()
        raise WorkerLostError(said.decode("utf-8", "replace").strip() or str(error)) from error

    def _write(
        self, message: bytes | dict[str, str], process: subprocess.Popen[bytes] | None
    ) -> None:
        if process is None or process.stdin is None:
            raise OSError("the sandbox is gone")
        data = json.dumps(message).encode("ascii") if isinstance(message, dict) else message
        view = memoryview(len(data).to_bytes(4, "big") + data)
        while view:
            view = view[os.write(process.stdin.fileno(), view) :]

    def _read(self, size: int, deadline: float, most_mb: int | None = None) -> bytes:
        if self._process is None or self._process.stdout is None:
            raise OSError("the sandbox is gone")
        descriptor, data = self._process.stdout.fileno(), bytearray()
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            if not poller.poll((left if most_mb is None else min(left, _LOOK_S)) * 1000):
                if most_mb is not None:
                    usage.restrain(self._process.pid, most_mb)
                continue
            block = os.read(descriptor, size - len(data))
            if not block:
                raise OSError("the sandbox ended")
            data += block
        return bytes(data)


@functools.lru_cache(maxsize=_MOST_TEXTS)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _descriptor_of(program: bytes | None) -> int | None:
    """Put the filter of system calls where bubblewrap can read it."""
    if program is None:
        return None
    descriptor = os.memfd_create("filter")
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
