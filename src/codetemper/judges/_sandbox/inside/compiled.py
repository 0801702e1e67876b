# SPDX-License-Identifier: Apache-2.0
"""Build a C or C++ program and run it, once per check, in children of a warm host.

``build`` turns a source into a shared object that lies in memory only; ``run`` has the host (see
``interpose/host.c``) fork a child that loads it in a fresh folder. Tells what happened and never
learns what output a check expects.
"""

from __future__ import annotations

import os
import stat
import time
from typing import Any

from . import building, clearing, native, process, warm
from .control import Control, Run, limits

_START_S = 30.0
_MOST_FILES = 2000
_PROCESSES = 16


class Native:
    """What one sandbox keeps for compiled programs: compilers, hosts, the program built last."""

    def __init__(self, space: str, uid: int | None, tools: dict[str, str]) -> None:
        self.space, self.uid, self.tools = space, uid, tools
        self.builder = building.Builder(space, uid)
        self.hosts: dict[str, warm.Helper] = {}
        self.program: int | None = None
        self.spent = False
        self.runs = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out ``build`` or ``run``."""
        return self.build(request) if request["op"] == "build" else self.run(request)

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        """Compile and link a program; it is what ``run`` runs until the next build."""
        if self.spent:
            return {"spent": True}
        folder = self._folder()
        answer, self.program = self.builder.build(request, folder)
        return {**answer, **({} if self._erase(folder) else {"spent": True})}

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
        # What cannot be deleted must not be there for the next program; this one may go on.
        self.spent = not self._erase(folder) or self.spent
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
        for _ in range(2):
            host = self.hosts.get(path)
            if host is None or not host.alive():
                host = self.hosts[path] = warm.Helper([path], self.tools)
            try:
                return host.fork(b"r", descriptors, _START_S)
            except warm.HelperLostError:
                self.hosts.pop(path).close()
        raise OSError("the host of programs does not start")

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
        child = native.spawn(lambda: clearing.empty(folder), bounds, self.uid)
        native.follow(child, [], bounds, self.uid, time.monotonic())
        return _delete(folder)


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
