# SPDX-License-Identifier: Apache-2.0
"""The bubblewrap command line, and whether it works here.

All namespaces are fresh, the system is read-only, the only writable place is a small tmpfs, the
environment is empty, no capability survives into candidate code. Called by root, the sandbox keeps
the initial user namespace and candidates run under a uid of their own, because the kernel does not
enforce a process limit on uid 0 behind a user namespace; called by anybody else, it uses a user
namespace. The filter of system calls is made in ``seccomp``.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Sandbox = Literal["bwrap", "container", "none"]

#: Where the program that runs within is seen in the sandbox.
INSIDE = Path(__file__).parent / "inside"
#: The one writable place in the sandbox.
SPACE = "/tmp"  # noqa: S108 - a fresh tmpfs of the sandbox, not the machine's /tmp
#: Uids that neither systemd nor container managers hand out (systemd's "UIDS-GIDS" page).
_UNUSED_UIDS = (1_879_048_192, 2_147_483_646)
_CONTAINER_UIDS = (61_184, 65_519)
_SETPRIV = "/usr/bin/setpriv"


def interpreter() -> tuple[str, str]:
    """Return the path of the base interpreter (no virtual environment) and its prefix."""
    prefix = sys.base_prefix
    named = Path(prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if named.exists():
        return str(named), prefix
    return os.path.realpath(sys.executable), prefix


def candidate_uid() -> int | None:
    """Return a uid that candidates can be dropped to, or None where only one uid is to be had."""
    if os.geteuid() != 0:
        return None
    lines = Path("/proc/self/uid_map").read_text("ascii").splitlines()
    spans = [(int(first), int(first) + int(count) - 1) for first, _, count in map(str.split, lines)]
    for low, high in (_UNUSED_UIDS, _CONTAINER_UIDS):
        if any(first <= low and high <= last for first, last in spans):
            return low + secrets.randbelow(high - low)
    return None


@functools.cache
def _knows_size() -> bool:
    """Tell whether bubblewrap can limit a tmpfs (0.7 or later); else half the memory limits it."""
    said = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False)
    return "--size" in said.stdout + said.stderr


def _system_binds() -> list[str]:
    binds = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(name):
            binds += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            binds += ["--ro-bind", name, name]
    for name in ("/etc/alternatives", "/etc/ld.so.cache"):
        binds += ["--ro-bind-try", name, name]
    prefix = Path(interpreter()[1])
    if not prefix.resolve().is_relative_to("/usr"):
        # Folders that bubblewrap makes by itself on the way are closed to other uids.
        for parent in reversed(prefix.parents[:-1]):
            binds += ["--perms", "0755", "--dir", str(parent)]
        binds += ["--ro-bind", str(prefix), str(prefix)]
    return binds


def command(
    uid: int | None,
    *,
    space_mb: int,
    proc: bool,
    files: Sequence[tuple[str, str]] = (),
    calls: int | None = None,
) -> list[str]:
    """Return the bubblewrap command up to the program to run.

    Args:
        uid: uid that the program inside drops candidates to; None for a user namespace instead.
        space_mb: size of the writable tmpfs in MiB.
        proc: whether to mount ``/proc`` (of the sandbox's own processes).
        files: files of the machine to show read-only, each with its path in the sandbox.
        calls: descriptor of the filter of system calls (see ``seccomp``), where there is one.
    """
    if uid is None:
        rights = ["--unshare-all", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    else:
        rights = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        rights += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL"):
            rights += ["--cap-add", capability]
    mounts = [*_system_binds(), "--dev", "/dev", "--remount-ro", "/dev"]
    if proc:
        mounts += ["--proc", "/proc"]
    size = ["--size", str(space_mb << 20)] if _knows_size() else []
    mounts += ["--perms", "0711", *size, "--tmpfs", SPACE]
    for folder in sorted({os.path.dirname(seen) for _, seen in files}):
        mounts += ["--perms", "0755", "--dir", folder]
    for path, seen in files:
        mounts += ["--ro-bind", path, seen]
    mounts += ["--ro-bind", str(INSIDE), "/judge/inside", "--remount-ro", "/"]
    settled = ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "LANG", "C.UTF-8"]
    # A fixed hash seed makes the order of sets, hence verdicts, the same in every run.
    settled += ["--setenv", "PYTHONHASHSEED", "0", "--chdir", "/", "--hostname", "sandbox"]
    # Names of the C library are looked up once and not in every fork; see ``inside.server``.
    settled += ["--setenv", "LD_BIND_NOW", "1"]
    base = [shutil.which("bwrap") or "bwrap", "--die-with-parent", "--new-session", "--as-pid-1"]
    filtered = [] if calls is None else ["--seccomp", str(calls)]
    # Candidates lose what is permitted with their uid, but would keep what can be inherited.
    last = [] if uid is None or not os.path.exists(_SETPRIV) else [_SETPRIV, "--inh-caps=-all"]
    return [*base, *rights, *mounts, *settled, *filtered, *last]


def sandbox_available() -> tuple[bool, str]:
    """Tell whether bubblewrap can isolate code here.

    Returns:
        True and the version, or False and the reason. Each program found is asked once.
    """
    program = shutil.which("bwrap")
    return _probe(program) if program else (False, "bubblewrap (bwrap) is not installed")


@functools.cache
def _probe(program: str) -> tuple[bool, str]:
    probe = [*command(candidate_uid(), space_mb=1, proc=True), "/usr/bin/true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"bubblewrap did not start: {error}"
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return False, f"bubblewrap cannot isolate here: {said[-1] if said else 'no message'}"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return True, version.stdout.strip()
