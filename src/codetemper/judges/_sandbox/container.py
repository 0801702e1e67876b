# SPDX-License-Identifier: Apache-2.0
"""The same program within, in a container of docker or podman instead of in bubblewrap.

For machines without bubblewrap or without its rights. One container stays up per worker: no
network, a read-only system, no capability but those that give candidates a uid of their own, and
limits on processes and memory. The image needs Python 3.11 or later and, for C, a compiler;
``CODETEMPER_JUDGE_IMAGE`` names it. Images are never pulled by surprise: what is not there is
fetched by the engine at the first start, by its own rules.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from codetemper.judges._sandbox import bubble, seccomp

_ENGINES = ("docker", "podman")
_IMAGE = "python:3.11-slim"
_VARIABLE = "CODETEMPER_JUDGE_IMAGE"
_MEMORY_MB, _PROCESSES = 2048, 128
#: Above the uids of ordinary users, below 65,536, which rootless engines map.
_FIRST_UID, _LAST_UID = 61_184, 65_519
_ASK_S = 30


def engine_available() -> tuple[bool, str]:
    """Tell whether a container engine answers here.

    Returns:
        True and the engine's path, or False and the reason.
    """
    reasons = []
    for name in _ENGINES:
        program = shutil.which(name)
        if program is None:
            reasons.append(f"{name} is not installed")
            continue
        works, said = _ask(program)
        if works:
            return True, program
        reasons.append(f"{name}: {said}")
    return False, "; ".join(reasons)


@functools.cache
def _ask(program: str) -> tuple[bool, str]:
    try:
        done = subprocess.run([program, "info"], capture_output=True, text=True, timeout=_ASK_S,
                              check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    said = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode == 0, said[-1] if said else "no message"


def candidate_uid() -> int:
    """Return a uid within the container that candidates are dropped to."""
    return _FIRST_UID + secrets.randbelow(_LAST_UID - _FIRST_UID)


def name() -> str:
    """Return a fresh name for a container."""
    return f"codetemper-judge-{secrets.token_hex(6)}"


def command(program: str, called: str, *, space_mb: int) -> list[str]:
    """Return the engine's command up to the interpreter's arguments.

    Args:
        program: path of the engine.
        called: name of the container.
        space_mb: size of the writable tmpfs in MiB.
    """
    limits = ["--network", "none", "--read-only", "--pids-limit", str(_PROCESSES),
              "--memory", f"{_MEMORY_MB}m", "--security-opt", "no-new-privileges",
              "--security-opt", f"seccomp={_profile()}", "--cap-drop", "ALL"]  # fmt: skip
    for capability in ("SETUID", "SETGID", "KILL"):
        limits += ["--cap-add", capability]
    space = f"{bubble.SPACE}:rw,exec,nosuid,nodev,size={space_mb}m,mode=0711"
    setting = ["--user", "0:0", "--hostname", "sandbox", "--workdir", "/", "--tmpfs", space,
               "--volume", f"{bubble.INSIDE}:/judge/inside:ro", "--env", "LANG=C.UTF-8",
               "--env", "PYTHONHASHSEED=0", "--env", "LD_BIND_NOW=1",
               "--entrypoint", "python3"]  # fmt: skip
    image = os.environ.get(_VARIABLE) or _IMAGE
    return [program, "run", "--rm", "--interactive", "--name", called, *limits, *setting, image]


def end(program: str, called: str) -> None:
    """End a container; ending the engine's client alone would leave it running."""
    subprocess.run([program, "rm", "--force", called], capture_output=True, check=False,
                   timeout=_ASK_S)  # fmt: skip


@functools.cache
def _profile() -> Path:
    """Write the list of refused system calls in the form that engines read."""
    refused = {"names": list(seccomp.REFUSED), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    descriptor, path = tempfile.mkstemp(prefix="codetemper-calls-", suffix=".json")
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        json.dump({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}, stream)
    atexit.register(os.unlink, path)
    return Path(path)
