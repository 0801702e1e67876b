# SPDX-License-Identifier: Apache-2.0
"""How much memory all processes of a sandbox use, seen from outside.

The kernel limits the address space of each process; a candidate that starts many could still take a
multiple. ``worker`` looks at runs that take their time and has the sandbox end those that take too
much. Counts the machine's own accounts in ``/proc``; changes nothing but that one run.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path

#: What the program within needs for itself.
_OWN_MB = 64
_PAGE_KB = resource.getpagesize() >> 10


def restrain(process: int, most_mb: int) -> None:
    """Have the sandbox end its run where that uses more memory than it may.

    Where it might, its processes are held while they are counted: they would go on taking memory
    meanwhile, and the more of it there is, the longer counting takes.

    Args:
        process: process id of the sandbox's outermost program.
        most_mb: what the run may use, in MiB.
    """
    tree = _descendants(process)
    most_kb = (most_mb + _OWN_MB) << 10
    if len(tree) <= _QUIET or sum(map(_roughly_kb, tree)) <= most_kb:
        return
    # The program within, process 1 of its namespace, is the parent of all others.
    first = next((pid for pid in tree if _is_first(pid)), None)
    if first is None:
        return
    below = [pid for pid in _descendants(first) if pid != first]
    _signal(below, signal.SIGSTOP)
    if sum(map(_share_kb, tree)) > most_kb:
        _signal([first], signal.SIGUSR1)
    else:
        _signal(below, signal.SIGCONT)


def _signal(processes: list[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


#: Outermost program, program within and one candidate, whose address space is limited anyway.
_QUIET = 3


def _descendants(process: int) -> list[int]:
    found = [process]
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            text = Path(f"/proc/{process}/task/{thread}/children").read_text("ascii")
            for child in text.split():
                found += _descendants(int(child))
    except OSError:
        pass
    return found


def _is_first(process: int) -> bool:
    try:
        text = Path(f"/proc/{process}/status").read_text("ascii")
    except OSError:
        return False
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "")
    return line.split()[-1:] == ["1"] and len(line.split()) > 2


def _roughly_kb(process: int) -> int:
    """Return the memory a process uses in KiB, what it shares with others counted in full."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * _PAGE_KB


def _share_kb(process: int) -> int:
    """Return a process's share of the memory it uses, in KiB."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
