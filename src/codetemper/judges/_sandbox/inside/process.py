# SPDX-License-Identifier: Apache-2.0
"""One candidate process: limits, identity, deadline, and an end to everything it started.

Used by ``server`` only. Where this program is process 1 of its namespace, nothing that a candidate
starts outlives the run, and no candidate can signal this program.
"""

from __future__ import annotations

import errno
import functools
import os
import resource
import select
import signal
import time
from _signal import signal as _set_handler  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable
from os import closerange, setgroups, setresgid, setresuid, setsid, umask
from resource import setrlimit
from typing import NamedTuple

from . import clearing

#: As numbers: the classes of ``signal`` would cost a forked process a copy of many pages.
_DEFAULT, _PIPE = int(signal.SIG_DFL), int(signal.SIGPIPE)

_MIB = 1 << 20
#: A run that does not advance its processor time by this much for so long is asleep, not starved.
_ADVANCE_S, _ASLEEP_S, _SAMPLE_S = 0.005, 0.5, 0.1
#: No run takes more than so many times its limit, however busy the machine is.
BACKSTOP = 5.0
#: Descendants have process ids shortly after the candidate's.
_NEAR = 64

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
    total: float | None = None
    """Seconds for all steps together; default: one step."""


class Outcome(NamedTuple):
    """How one run ended."""

    ended: str
    """``exit`` or ``timeout``."""
    status: int
    """Exit code, or minus the signal."""
    seconds: float


def alone() -> bool:
    """Tell whether this program is process 1 of its namespace."""
    return os.getpid() == 1


@functools.lru_cache(maxsize=64)
def bounds(limits: Limits) -> tuple[tuple[int, int], ...]:
    """Return limits as ``setrlimit`` takes them, lower ones that hold already observed."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: int(limits.total or limits.seconds) + 2,
        resource.RLIMIT_FSIZE: limits.file_mb * _MIB,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_STACK: 8 * _MIB,
    }
    if limits.address_mb is not None:
        wanted[resource.RLIMIT_AS] = limits.address_mb * _MIB
    if alone():  # in a namespace of our own; elsewhere the count is the caller's
        wanted |= {resource.RLIMIT_NPROC: limits.processes, resource.RLIMIT_MSGQUEUE: 0}
    found = []
    for name, value in wanted.items():
        hard = resource.getrlimit(name)[1]
        found.append((name, value if hard == resource.RLIM_INFINITY else min(value, hard)))
    return tuple(found)


def become_candidate(held: tuple[tuple[int, int], ...], uid: int | None) -> None:
    """Give up rights and take on the limits (see ``bounds``), in the forked process."""
    for name, value in held:
        setrlimit(name, (value, value))
    if uid is not None:
        drop(uid)
    umask(0o022)
    _set_handler(_PIPE, _DEFAULT)


def drop(uid: int) -> None:
    """Become an unprivileged user; what capabilities there were are gone."""
    setgroups([])
    setresgid(uid, uid, uid)
    setresuid(uid, uid, uid)


def start(body: Callable[[], None], keep: Iterable[int], limits: Limits, uid: int | None) -> int:
    """Fork a process that takes on the limits and runs ``body``; return its process id.

    Args:
        body: what the child does; need not return.
        keep: the only descriptors the child has, beside standard input, output and error.
        limits: what the child may use.
        uid: uid the child drops to, or None to keep the present one.
    """
    # What can be done before the fork is: a forked process pays for every page it touches.
    held = bounds(limits)
    kept = sorted(keep)
    gaps = list(zip([3, *(descriptor + 1 for descriptor in kept)], [*kept, 1 << 16], strict=True))
    child = os.fork()
    if child == 0:
        try:
            for low, high in gaps:
                closerange(low, high)
            setsid()
            become_candidate(held, uid)
            body()
        finally:
            os._exit(97)
    return child


class Clock:
    """The deadline of one step after the other.

    Wall time alone would fail right programs on a busy machine: a step whose wall time is over goes
    on while its processes use the processor, until they have used as much as they may.

    Args:
        child: the candidate's process.
        limits: seconds of a step, and of all of them.
    """

    def __init__(self, child: int, limits: Limits) -> None:
        self.child, self.seconds = child, limits.seconds
        self.total = limits.seconds if limits.total is None else limits.total
        self.first = self.start = self.looked = self.moved = time.monotonic()
        self.used = self.mark = 0.0

    def restart(self) -> None:
        """Begin the next step."""
        self.start = self.looked = self.moved = time.monotonic()
        # Descendants are looked for only where time is over: each costs a system call.
        self.used = self.mark = used_by(self.child, 1)

    def wait(self) -> float:
        """Return for how many seconds nothing needs to be looked at."""
        left = min(self.start + self.seconds, self.first + self.total) - time.monotonic()
        return left if left > 0 else _SAMPLE_S

    def over(self) -> bool:
        """Tell whether the step's time is over."""
        now = time.monotonic()
        if now < min(self.start + self.seconds, self.first + self.total):
            return False
        used = used_by(self.child)
        if used - self.used >= 0.98 * self.seconds or now - self.first > BACKSTOP * self.total:
            return True
        late = now - self.looked > 3 * _SAMPLE_S  # then this process was starved, too
        self.looked = now
        if used - self.mark > _ADVANCE_S or late:
            self.mark, self.moved = used, now
        return now - self.moved > _ASLEEP_S


def used_by(child: int, near: int = _NEAR) -> float:
    """Return the processor seconds of a process and of its living descendants.

    Args:
        child: its process id.
        near: how many process ids from ``child`` on are looked at.
    """
    used = 0.0
    for pid in range(child, child + near):
        try:
            used += time.clock_gettime(~pid << 3 | 2)  # the process's own clock, see clock_gettime
        except OSError:
            continue
    return used


def run(body: Callable[[], None], limits: Limits, uid: int | None) -> Outcome:
    """Fork, run ``body`` in the child with limits, and wait for its end or its deadline.

    Args:
        body: runs in the child, which has no descriptor but the standard ones; need not return.
        limits: what the child may use.
        uid: uid the child drops to, or None to keep the present one.
    """
    begin = time.monotonic()
    child = start(body, (), limits, uid)
    handle = os.pidfd_open(child)
    try:
        ended = "exit" if select.select([handle], [], [], limits.seconds)[0] else "timeout"
    finally:
        os.close(handle)
        status, _ = end_all(child)
    return Outcome(ended, status, time.monotonic() - begin)


def end_all(child: int) -> tuple[int, float]:
    """Kill everything the child started and reap it.

    Returns:
        The child's exit code (minus the signal), and the processor seconds of all that was reaped.
    """
    status, used = 0, 0.0
    while True:
        try:
            if alone():
                os.kill(-1, signal.SIGKILL)
            else:
                os.killpg(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            pid, ended, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, used
        used += usage.ru_utime + usage.ru_stime
        if pid == child:
            status = os.waitstatus_to_exitcode(ended)


def sweep(space: str, keep: frozenset[str], uid: int | None) -> bool:
    """Delete all of ``space`` but ``keep``; return False where something cannot be deleted."""
    left = [entry for entry in os.scandir(space) if entry.name not in keep]
    full = [entry.path for entry in left if not _remove(entry, deeper=True)]
    if full:
        # What candidates put into folders of their own is deleted under their own uid.
        run(lambda: _empty(full), Limits(seconds=10.0), uid)
    return not full or all(
        _remove(entry, deeper=True) for entry in os.scandir(space) if entry.name not in keep
    )


def _remove(entry: os.DirEntry[str], *, deeper: bool) -> bool:
    """Delete a file or an empty folder or, one level deeper, a folder of such."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return True
        try:
            os.rmdir(entry.path)
            return True
        except OSError as error:
            if not deeper or error.errno != errno.ENOTEMPTY:
                return False
        os.chmod(entry.path, 0o777)  # noqa: S103 - nobody but candidates is here
        for inner in os.scandir(entry.path):
            _remove(inner, deeper=False)
        os.rmdir(entry.path)
    except OSError:
        return False
    return True


def _empty(folders: list[str]) -> None:
    for folder in folders:
        clearing.empty(folder)
