# SPDX-License-Identifier: Apache-2.0
"""Build a C or C++ program into a shared object that lies in memory only.

A program is a head, which many programs share, and a tail. Where the head comes back, a warm
compiler that has already read it forks per program (``interpose/warm.c``), and assembler and linker
are started directly; for C++ the head is also precompiled, because that compiler reads a whole
program before it parses. Everything else goes through the plain compiler command: also heads that
do not compile by themselves, so errors read the same. Sources are read from pipes and memory files:
no file here shows a driver.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import resource
import shlex
import shutil
import struct
import time
from collections import OrderedDict
from typing import Any

from . import control, native, process, symbols, warm

_REST = "/judge-rest-of-the-program"
_LONGEST_SOURCE = 1_000_000
_MOST_COMPILERS, _MOST_PROGRAMS = 3, 32
_ADDRESS_MB, _FILE_MB, _PROCESSES = 2048, 64, 32
_PATH = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


class Compiler:
    """A compiler proper that has read a head and waits for tails."""

    def __init__(self, request: dict[str, Any], folder: str, seconds: float) -> None:
        self.folder = folder
        os.mkdir(folder, 0o755)
        plan, suffix = request["plan"], request["plan"]["suffix"]
        head = os.path.join(folder, f"head.{suffix}")
        with open(head, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(request["head"])
        if plan["precompile"]:
            self._precompile([*plan["compile"], head, "-o", "/dev/null",
                              f"--output-pch={head}.gch"], seconds)  # fmt: skip
        self._output = [os.memfd_create(name) for name in ("output", "errors")]
        void = os.open("/dev/null", os.O_RDONLY)
        self._helper = warm.Helper(
            [*plan["compile"], "-include", head, "-include", _REST, "-", "-o", "-"],
            {**_PATH, "TMPDIR": folder, "LD_PRELOAD": plan["warm"]},
            [void, *self._output],
        )
        os.close(void)
        self.good = True

    def _precompile(self, command: list[str], seconds: float) -> None:
        void = os.open("/dev/null", os.O_RDWR)

        def body() -> None:
            for number in range(3):
                os.dup2(void, number)
            os.execve(command[0], command, {**_PATH, "TMPDIR": self.folder})  # noqa: S606

        limits = process.Limits(seconds, address_mb=_ADDRESS_MB, file_mb=256, processes=_PROCESSES)
        child = native.spawn(body, limits, None)
        os.close(void)
        native.follow(child, [], limits, None, time.monotonic())

    def alive(self) -> bool:
        """Tell whether the compiler still waits, as far as is known."""
        return self._helper.alive()

    def fork(self, order: bytes, descriptors: list[int], seconds: float) -> int:
        """Compile one tail in a child; return its process id.

        Raises:
            HelperLostError: the compiler ended, or had something to say about the head.
        """
        try:
            child = self._helper.fork(order, descriptors, seconds)
        except warm.HelperLostError:
            self.good = False
            raise
        if os.path.exists(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)
            if any(os.fstat(descriptor).st_size for descriptor in self._output):
                self.good = False
                native.end(child)
                raise warm.HelperLostError("the head does not compile by itself")
        return child

    def close(self) -> None:
        """End the compiler."""
        self._helper.close()
        for descriptor in self._output:
            os.close(descriptor)
        shutil.rmtree(self.folder, ignore_errors=True)


class Builder:
    """Builds programs; remembers the last ones and keeps compilers for the last heads."""

    def __init__(self, space: str, uid: int | None) -> None:
        self.space, self.uid = space, uid
        self.compilers: OrderedDict[str, Compiler | None] = OrderedDict()
        self.programs: OrderedDict[str, tuple[dict[str, Any], int | None]] = OrderedDict()
        self.count = 0

    def build(self, request: dict[str, Any], folder: str) -> tuple[dict[str, Any], int | None]:
        """Return the answer to a request and the program, a memory file not to be closed."""
        given = [request["head"], request["tail"], *request["command"], str(request["plan"])]
        key = hashlib.sha256("\0".join(given).encode("utf-8", "surrogateescape")).hexdigest()
        if key in self.programs:
            self.programs.move_to_end(key)
            return self.programs[key]
        if sum(map(len, given)) > _LONGEST_SOURCE:
            return {"ended": "exit", "status": 1, "log": "error: the source is too long"}, None
        answer = self._build_warm(request, folder) or self._build_plain(request, folder)
        built, program = os.path.join(folder, "program"), None
        if answer["status"] == 0 and answer["ended"] == "exit":
            program = _sealed(built)
            answer["shadows"] = symbols.shadows(program, frozenset(request["names"]))
        if answer["ended"] == "exit":
            self.programs[key] = answer, program
            if len(self.programs) > _MOST_PROGRAMS:
                _, (_, old) = self.programs.popitem(last=False)
                if old is not None:
                    os.close(old)
        return answer, program

    def _build_plain(self, request: dict[str, Any], folder: str) -> dict[str, Any]:
        source = (request["head"] + request["tail"]).encode("utf-8", "surrogateescape")
        feed, feeder = os.pipe()
        # The whole source waits in the pipe: nothing has to feed the compiler, and what is read is
        # gone.
        fcntl.fcntl(feeder, fcntl.F_SETPIPE_SZ, max(len(source) + 4096, 65536))
        os.write(feeder, source)
        os.close(feeder)
        return _answer(self._execute(request["command"], feed, folder, request["seconds"]))

    def _build_warm(self, request: dict[str, Any], folder: str) -> dict[str, Any] | None:
        """Build with a warm compiler; None where there is none for this head."""
        if request["plan"] is None:
            return None
        start = time.monotonic()
        source, assembly = os.memfd_create("source"), os.memfd_create("assembly")
        try:
            _write(source, request["tail"].encode("utf-8", "surrogateescape"))
            compiled = self._compile(request, [source, assembly])
            if compiled is None or compiled.ended != "exit" or compiled.status != 0:
                return None if compiled is None else _answer(compiled)
            plan = request["plan"]
            os.lseek(assembly, 0, os.SEEK_SET)
            line = f"{shlex.join(plan['assemble'])} && exec {shlex.join(plan['link'])}"
            left = request["seconds"] - (time.monotonic() - start)
            linked = self._execute(["/bin/sh", "-c", line], os.dup(assembly), folder, left)
            return _answer(linked._replace(cpu=linked.cpu + compiled.cpu))
        finally:
            os.close(source)
            os.close(assembly)

    def _compile(self, request: dict[str, Any], files: list[int]) -> native.Outcome | None:
        bounds = process.Limits(request["seconds"])
        numbers = control.limits(bounds.seconds, _FILE_MB, _PROCESSES if process.alone() else None)
        numbers[int(resource.RLIMIT_AS)] = _ADDRESS_MB << 20
        order = struct.pack("<q16Q", -1 if self.uid is None else self.uid, *control.flat(numbers))
        for _ in range(2):
            compiler = self._compiler(request)
            if compiler is None:
                return None
            reader, log = os.pipe()
            start = time.monotonic()
            try:
                child = compiler.fork(order, [*files, log], bounds.seconds)
            except warm.HelperLostError:
                os.close(reader)
                continue
            finally:
                os.close(log)
            return native.follow(child, [reader], bounds, self.uid, start)
        return None

    def _compiler(self, request: dict[str, Any]) -> Compiler | None:
        key = request["head"] + "\0".join(request["plan"]["compile"])
        if key in self.compilers:
            self.compilers.move_to_end(key)
            found = self.compilers[key]
            if found is None or (found.good and found.alive()):
                return found
            found.close()
            if not found.good:
                self.compilers[key] = None
                return None
        self.count += 1
        folder = os.path.join(self.space, f"warm{self.count}")
        made = self.compilers[key] = Compiler(request, folder, request["seconds"])
        if len(self.compilers) > _MOST_COMPILERS:
            _, old = self.compilers.popitem(last=False)
            if old is not None:
                old.close()
        return made

    def _execute(
        self, command: list[str], given: int, folder: str, seconds: float
    ) -> native.Outcome:
        """Run a tool of the compiler under limits, with ``given`` as its input, closed here."""
        limits = process.Limits(seconds, address_mb=_ADDRESS_MB, file_mb=_FILE_MB,
                                processes=_PROCESSES)  # fmt: skip
        reader, log = os.pipe()
        start = time.monotonic()

        def body() -> None:
            os.chdir(folder)
            for number, descriptor in enumerate((given, log, log)):
                os.dup2(descriptor, number)
            os.execve(command[0], command, {**_PATH, "TMPDIR": folder})  # noqa: S606

        child = native.spawn(body, limits, self.uid)
        os.close(log)
        os.close(given)
        return native.follow(child, [reader], limits, self.uid, start)


def _answer(outcome: native.Outcome) -> dict[str, Any]:
    return {"ended": outcome.ended, "status": outcome.status, "seconds": outcome.seconds,
            "cpu": outcome.cpu,
            "log": outcome.outputs[0][:8000].decode("utf-8", "replace")}  # fmt: skip


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)


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
