# SPDX-License-Identifier: Apache-2.0
"""One candidate process: limits, identity, deadline, and an end to everything it started.

Used by ``server`` only. Where this program is process 1 of its namespace, nothing that a candidate
starts outlives the run, and no candidate can signal this program.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_MIB = 1 << 20

#: Descriptors of this program that no candidate may hold.
PRIVATE: list[int] = []


class Limits(NamedTuple):
    """What one run may use."""

    seconds: float
    address_mb: int | None = None
    resident_mb: int | None = None
    file_mb: int = 1
    output_bytes: int = _MIB
    processes: int = 16


class Outcome(NamedTuple):
    """How one run ended."""

    ended: str
    """``exit``, ``timeout``, ``memory`` or ``flood`` (more output than allowed)."""
    status: int
    """Exit code, or minus the signal."""
    outputs: list[bytes]
    seconds: float


def alone() -> bool:
    """Tell whether this program is process 1 of its namespace."""
    return os.getpid() == 1


def _limit(name: int, value: int) -> None:
    hard = resource.getrlimit(name)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(name, (value, value))


def become_candidate(limits: Limits, uid: int | None) -> None:
    """Give up rights and take on the limits, in the forked process."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, int(limits.seconds) + 2)
    _limit(resource.RLIMIT_FSIZE, limits.file_mb * _MIB)
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_STACK, 8 * _MIB)
    if limits.address_mb is not None:
        _limit(resource.RLIMIT_AS, limits.address_mb * _MIB)
    if os.getppid() == 1:  # in a namespace of our own; elsewhere the count is the caller's
        _limit(resource.RLIMIT_NPROC, limits.processes)
        _limit(resource.RLIMIT_MSGQUEUE, 0)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.umask(0o022)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def run(
    body: Callable[[list[int]], None], channels: int, limits: Limits, uid: int | None
) -> Outcome:
    """Fork, run ``body`` in the child with limits, and wait for its end or its deadline.

    Args:
        body: runs in the child with the writing ends of the channels; need not return.
        channels: number of pipes from the child to here.
        limits: what the child may use.
        uid: uid the child drops to, or None to keep the present one.
    """
    pipes = [os.pipe() for _ in range(channels)]
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            for descriptor in PRIVATE:
                os.close(descriptor)
            os.setsid()
            become_candidate(limits, uid)
            for reading, _ in pipes:
                os.close(reading)
            body([writing for _, writing in pipes])
        finally:
            os._exit(97)
    for _, writing in pipes:
        os.close(writing)
    readers = [reading for reading, _ in pipes]
    try:
        ended, outputs = _watch(child, readers, limits, start + limits.seconds)
    finally:
        for reader in readers:
            os.close(reader)
    return Outcome(ended, _end_all(child), outputs, time.monotonic() - start)


def _watch(
    child: int, readers: list[int], limits: Limits, deadline: float
) -> tuple[str, list[bytes]]:
    """Read the channels until the child ends, its time is over, or it takes too much."""
    handle = os.pidfd_open(child)
    chunks: dict[int, list[bytes]] = {reader: [] for reader in readers}
    size = 0
    poller = select.poll()
    for descriptor in (*readers, handle):
        poller.register(descriptor, select.POLLIN)
    ended = ""
    try:
        while not ended:
            left = deadline - time.monotonic()
            if left <= 0:
                ended = "timeout"
                break
            wait = min(left, 0.02) if limits.resident_mb else left
            ready = {descriptor for descriptor, _ in poller.poll(wait * 1000 + 1)}
            for reader in ready & set(readers):
                block = os.read(reader, 1 << 16)
                if not block:
                    poller.unregister(reader)
                chunks[reader].append(block)
                size += len(block)
            if size > limits.output_bytes:
                ended = "flood"
            elif handle in ready and not (ready - {handle}):
                ended = "exit"
            elif limits.resident_mb and _resident_mb(child) > limits.resident_mb:
                ended = "memory"
    finally:
        os.close(handle)
    return ended, [b"".join(chunks[reader])[: limits.output_bytes] for reader in readers]


def _resident_mb(child: int) -> int:
    try:
        with open(f"/proc/{child}/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * resource.getpagesize() // _MIB
    except (OSError, IndexError):
        return 0


def _end_all(child: int) -> int:
    """Kill everything the child started, reap it, and return the child's exit code."""
    status = 0
    while True:
        try:
            if alone():
                os.kill(-1, signal.SIGKILL)
            else:
                os.killpg(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if pid == child:
            status = os.waitstatus_to_exitcode(ended)


def sweep(space: str, keep: frozenset[str], uid: int | None) -> bool:
    """Delete all of ``space`` but ``keep``; return False where something cannot be deleted."""
    left = [entry for entry in os.scandir(space) if entry.name not in keep]
    if not left:
        return True
    full = [entry.path for entry in left if not _remove(entry)]
    for path in full:
        try:
            os.chmod(path, 0o777)  # noqa: S103 - what was built is read-only to candidates
        except OSError:
            return False
    if full:
        # Files of a candidate are deleted under its own uid: this program has no right to.
        run(lambda _: _empty(full), 0, Limits(seconds=5.0), uid)
    return all(_remove(entry) for entry in os.scandir(space) if entry.name not in keep)


def _remove(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_dir(follow_symlinks=False):
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)
    except OSError:
        return False
    return True


def _empty(folders: list[str]) -> None:
    def grant(function: Any, path: str, _: Any) -> None:
        try:
            os.chmod(os.path.dirname(path), 0o700)
            function(path)
        except OSError:
            pass

    for folder in folders:
        shutil.rmtree(folder, onerror=grant)
