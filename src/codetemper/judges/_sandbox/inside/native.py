# SPDX-License-Identifier: Apache-2.0
"""Processes of compiled programs: started, watched and ended without harm to warm helpers.

Used by ``compiled``. Warm helpers (the host of programs, the compilers) outlive single runs, so a
run is ended by process group and by what it left in the namespace, not by killing everything.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from . import process

#: Warm helpers: processes that a run's end must spare.
HELPERS: set[int] = set()
_MIB = 1 << 20
_LOOK_S = 0.02


class Outcome(NamedTuple):
    """How one process ended."""

    ended: str
    """``exit``, ``timeout``, ``memory`` or ``flood``."""
    status: int
    """Exit code, or minus the signal."""
    outputs: list[bytes]
    seconds: float
    cpu: float
    """Processor seconds, of waited-for descendants too."""


def spawn(body: Callable[[], None], limits: process.Limits, uid: int | None) -> int:
    """Fork, take on limits and identity, and run ``body``, which should not return."""
    held = process.bounds(limits)
    child = os.fork()
    if child == 0:
        try:
            for descriptor in process.PRIVATE:
                os.close(descriptor)
            os.setsid()
            process.become_candidate(held, uid)
            body()
        finally:
            os._exit(97)
    return child


def follow(
    child: int, readers: list[int], limits: process.Limits, uid: int | None, start: float
) -> Outcome:
    """Wait for the end of a process or of its allowance, end all it left, tell how it went."""
    ended, chunks = _watch(child, readers, limits, start + limits.seconds)
    status, used = end(child)
    sweep(uid)
    for reader in readers:
        os.close(reader)
    return Outcome(ended, status, chunks, time.monotonic() - start, used)


def _watch(
    child: int, readers: list[int], limits: process.Limits, deadline: float
) -> tuple[str, list[bytes]]:
    chunks: dict[int, list[bytes]] = {reader: [] for reader in readers}
    size = 0
    ended = ""
    poller = select.poll()
    handle = os.pidfd_open(child)
    for descriptor in (*readers, handle):
        poller.register(descriptor, select.POLLIN)
    try:
        while not ended:
            left = deadline - time.monotonic()
            if left <= 0:
                ended = "timeout"
                break
            wait = min(left, _LOOK_S) if limits.resident_mb else left
            ready = {descriptor for descriptor, _ in poller.poll(wait * 1000 + 1)}
            for reader in ready & chunks.keys():
                block = os.read(reader, 1 << 16)
                if not block:
                    poller.unregister(reader)
                chunks[reader].append(block)
                size += len(block)
            if size > limits.output_bytes:
                ended = "flood"
            elif handle in ready and not (ready - {handle}):
                ended = "exit"
            elif not ready and limits.resident_mb and _resident_mb(child) > limits.resident_mb:
                ended = "memory"
    finally:
        os.close(handle)
    return ended, [b"".join(chunks[reader])[: limits.output_bytes] for reader in readers]


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _tree(child: int) -> Iterable[int]:
    """Return the processes of a run: all but the helpers, or those of its session."""
    if process.alone():
        return [pid for pid in _processes() if pid != 1 and pid not in HELPERS]
    found = []
    for pid in _processes():
        try:
            if os.getsid(pid) == child:
                found.append(pid)
        except OSError:
            continue
    return found


def _resident_mb(child: int) -> int:
    """Return the private memory of all processes of a run, in MiB."""
    pages = 0
    for pid in _tree(child):
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
                _, resident, shared = stream.read().split()[:3]
            pages += int(resident) - int(shared)
        except (OSError, ValueError):
            continue
    return pages * resource.getpagesize() // _MIB


def end(child: int) -> tuple[int, float]:
    """Kill a process and its group, reap it, and return its exit code and its processor time."""
    _kill(os.killpg, child)
    _kill(os.kill, child)
    try:
        _, status, usage = os.wait4(child, 0)
    except ChildProcessError:
        return 0, 0.0
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _kill(function: Callable[[int, int], None], target: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        function(target, signal.SIGKILL)


def sweep(uid: int | None) -> None:
    """End every process of the namespace but this one and the helpers."""
    while process.alone():
        _reap()
        if all(pid == 1 or pid in HELPERS for pid in _processes()):
            return
        if uid is None:
            # One uid for all: only a kill that nothing can outrun is sure, helpers start again.
            _kill(os.kill, -1)
            HELPERS.clear()
        else:
            killer = spawn(lambda: os.kill(-1, signal.SIGKILL), process.Limits(5.0), uid)
            os.waitpid(killer, 0)
    _reap()


def _reap() -> None:
    try:
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            HELPERS.discard(pid)
    except ChildProcessError:
        return
