# SPDX-License-Identifier: Apache-2.0
"""Build a C or C++ program and run it, once per check, in children of a warm host.

``build`` turns a source into a shared object that lies in memory only; ``run`` has the host (see
``interpose/host.c``) fork a child that loads it in a fresh folder. Tells what happened and never
learns what output a check expects.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import select
import socket
import stat
import time
from typing import Any

from . import native, process
from .control import Control, Run, limits

_ADDR_NO_RANDOMIZE = 0x0040000
_LIBC = ctypes.CDLL(None, use_errno=True)
_START_S = 30.0
_MOST_FILES = 2000
_LONGEST_SOURCE = 1_000_000
_PROCESSES = 16


class HostLostError(Exception):
    """The host of programs ended."""


class Host:
    """A warm process, linked with the sanitizers, that forks once per run."""

    def __init__(self, path: str, environment: dict[str, str], uid: int | None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours

        def body() -> None:
            os.dup2(theirs.fileno(), 3)
            # Fixed addresses: the same program misbehaves the same way in every run, and the
            # sanitizers' shadow never collides with a randomly placed mapping.
            _LIBC.personality(_ADDR_NO_RANDOMIZE)
            os.execve(path, [path], environment)  # noqa: S606

        # Where candidates get a uid of their own, the host keeps this program's and gives it to
        # each child; nothing a candidate does can then reach the host.
        self.pid = native.spawn(body, process.Limits(1e8, processes=_PROCESSES + 8), None)
        native.HELPERS.add(self.pid)
        theirs.close()
        del uid

    def fork(self, descriptors: list[int]) -> int:
        """Have a child forked that runs with these descriptors; return its process id."""
        try:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
            self._socket.sendmsg([b"r"], [rights], socket.MSG_NOSIGNAL)
            if not select.select([self._socket], [], [], _START_S)[0]:
                raise HostLostError("the host of programs does not answer")
            answer = self._socket.recv(4)
        except OSError as error:
            raise HostLostError(str(error)) from error
        pid = int.from_bytes(answer, "little", signed=True)
        if pid <= 0:
            raise HostLostError("the host of programs cannot fork")
        return pid

    def close(self) -> None:
        """End the host."""
        self._socket.close()
        native.HELPERS.discard(self.pid)
        native.end(self.pid)


class Native:
    """What one sandbox keeps for compiled programs: hosts, and the program built last."""

    def __init__(self, space: str, uid: int | None, tools: dict[str, str]) -> None:
        self.space, self.uid, self.tools = space, uid, tools
        self.hosts: dict[str, Host] = {}
        self.program: int | None = None
        self.runs = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out ``build`` or ``run``."""
        return self.build(request) if request["op"] == "build" else self.run(request)

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        """Compile and link; the source is read from a pipe and is never a file here."""
        folder = self._folder()
        if self.program is not None:
            os.close(self.program)
            self.program = None
        source = request["source"].encode("utf-8", "surrogateescape")
        if len(source) > _LONGEST_SOURCE:
            return {"ended": "exit", "status": 1, "log": "error: the source is too long"}
        bounds = process.Limits(request["seconds"], address_mb=2048, file_mb=64, processes=32)
        outcome = self._compile(request["command"], source, folder, bounds)
        built = os.path.join(folder, "program")
        if outcome.status == 0 and outcome.ended == "exit" and os.path.exists(built):
            self.program = _sealed(built)
        erased = self._erase(folder)
        return {"ended": outcome.ended, "status": outcome.status, "seconds": outcome.seconds,
                "cpu": outcome.cpu, "log": outcome.outputs[0][:8000].decode("utf-8", "replace"),
                **({} if erased else {"spent": True})}  # fmt: skip

    def _compile(
        self, command: list[str], source: bytes, folder: str, bounds: process.Limits
    ) -> native.Outcome:
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": folder}
        reader, log = os.pipe()
        feed, feeder = os.pipe()
        # The whole source waits in the pipe: nothing has to feed the compiler, and what is read is
        # gone, so no `#include` finds the driver.
        fcntl.fcntl(feeder, fcntl.F_SETPIPE_SZ, max(len(source) + 4096, 65536))
        os.write(feeder, source)
        os.close(feeder)
        start = time.monotonic()

        def body() -> None:
            os.chdir(folder)
            os.dup2(feed, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.execve(command[0], command, environment)  # noqa: S606

        child = native.spawn(body, bounds, self.uid)
        os.close(log)
        os.close(feed)
        return native.follow(child, [reader], bounds, self.uid, start)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run what was built last in a fresh folder; output is bytes as Latin-1 text."""
        if self.program is None:
            return {"ended": "exit", "status": 97, "refused": "nothing is built"}
        folder = self._folder()
        run = Run(
            folder, [request.get("name", "program"), *request["argv"]],
            {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": folder, "TMPDIR": folder,
             **request["environment"]},
            request["files"], request["umask"], request["malloc_fails"], request["rand"], self.uid,
            limits(request["seconds"], 1, _PROCESSES if process.alone() else None),
        )  # fmt: skip
        control = Control(run)
        try:
            outcome = self._run(request, control)
            paths, lost = control.records()
            answer = {"ended": outcome.ended, "status": outcome.status, "cpu": outcome.cpu,
                      "seconds": outcome.seconds, "folder": folder, "lost": lost,
                      "returned": control.returned(), "refused": control.refused(),
                      "paths": list(dict.fromkeys(paths)),
                      "stdout": outcome.outputs[0].decode("latin-1"),
                      "stderr": outcome.outputs[1].decode("latin-1")}  # fmt: skip
        finally:
            control.close()
        if request["list"]:
            answer["made"] = self._list(folder)
        if not self._erase(folder):
            answer["spent_after"] = True
        return answer

    def _run(self, request: dict[str, Any], control: Control) -> native.Outcome:
        bounds = process.Limits(request["seconds"], resident_mb=request["memory_mb"])
        stdin = os.memfd_create("stdin")
        os.write(stdin, request["stdin"].encode("utf-8", "surrogateescape"))
        os.lseek(stdin, 0, os.SEEK_SET)
        pipes = [os.pipe(), os.pipe()]
        ends = [stdin, pipes[0][1], pipes[1][1], control.descriptor, self.program or 0]
        try:
            start = time.monotonic()
            child = self._fork(request["host"], ends)
        finally:
            for descriptor in ends[:3]:
                os.close(descriptor)
        return native.follow(child, [pipes[0][0], pipes[1][0]], bounds, self.uid, start)

    def _fork(self, path: str, descriptors: list[int]) -> int:
        for attempt in range(2):
            host = self.hosts.get(path)
            if host is None or host.pid not in native.HELPERS:
                host = self.hosts[path] = Host(path, self.tools, self.uid)
            try:
                return host.fork(descriptors)
            except HostLostError:
                self.hosts.pop(path).close()
                if attempt:
                    raise
        raise HostLostError("unreachable")

    def _folder(self) -> str:
        self.runs += 1
        path = os.path.join(self.space, f"run{self.runs}")
        os.mkdir(path)
        os.chmod(path, 0o777)  # noqa: S103 - the candidate has another uid, and nobody else is here
        return path

    def _list(self, folder: str) -> list[list[Any]]:
        """Return path, mode and kind of everything in a run's folder."""
        found = _entries(folder)
        if found is not None or self.uid is None:
            return found or []
        # A folder of the candidate's is closed to this program; its owner may look.
        reader, writer = os.pipe()

        def body() -> None:
            for path, mode, kind in _entries(folder, grant=True) or []:
                os.write(writer, f"{mode} {kind} ".encode() + os.fsencode(path) + b"\0")

        bounds = process.Limits(5.0)
        child = native.spawn(body, bounds, self.uid)
        os.close(writer)
        outcome = native.follow(child, [reader], bounds, self.uid, time.monotonic())
        listed = []
        for entry in outcome.outputs[0].split(b"\0")[:-1]:
            mode, kind, path = entry.split(b" ", 2)
            listed.append([os.fsdecode(path), int(mode), kind.decode("ascii")])
        return listed

    def _erase(self, folder: str) -> bool:
        """Delete a folder that a candidate wrote to; return False where that fails."""
        if _delete(folder):
            return True
        bounds = process.Limits(5.0)
        child = native.spawn(lambda: _grant_and_delete(folder), bounds, self.uid)
        native.follow(child, [], bounds, self.uid, time.monotonic())
        return _delete(folder)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sealed(path: str) -> int:
    """Return an unchangeable memory file with the content of a file."""
    target = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    while os.sendfile(target, source, None, 1 << 24):
        pass
    os.close(source)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(target, fcntl.F_ADD_SEALS, seals)
    return target


def _entries(folder: str, *, grant: bool = False) -> list[list[Any]] | None:
    """Return ``[path, mode, kind]`` of all entries below a folder, None where it is closed."""
    found: list[list[Any]] = []
    todo = [""]
    while todo and len(found) < _MOST_FILES:
        below = todo.pop()
        try:
            if grant and below:
                os.chmod(os.path.join(folder, below), 0o700)
            entries = list(os.scandir(os.path.join(folder, below)))
        except PermissionError:
            return None
        except OSError:
            continue
        for entry in entries:
            path = os.path.join(below, entry.name)
            mode = entry.stat(follow_symlinks=False).st_mode
            kind = "d" if stat.S_ISDIR(mode) else "l" if stat.S_ISLNK(mode) else "f"
            found.append([path, stat.S_IMODE(mode), kind])
            if kind == "d":
                todo.append(path)
    return found


def _delete(folder: str) -> bool:
    try:
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                if not _delete(entry.path):
                    return False
            else:
                os.unlink(entry.path)
        os.rmdir(folder)
    except RecursionError:
        return False
    except OSError:
        return not os.path.lexists(folder)
    return True


def _grant_and_delete(folder: str) -> None:
    for below, folders, files in os.walk(folder):
        for name in folders:
            os.chmod(os.path.join(below, name), 0o700, follow_symlinks=False)
        del files
    for below, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(below, name))
        for name in folders:
            path = os.path.join(below, name)
            if os.path.islink(path):
                os.unlink(path)
            else:
                os.rmdir(path)
