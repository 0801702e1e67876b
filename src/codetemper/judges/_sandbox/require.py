# SPDX-License-Identifier: Apache-2.0
"""Whether code can be run the way the options ask for, asked before anything runs.

Used by every judge that runs code. Starts nothing but a probe, and compiles the program that runs
within, which has a read-only system and would do so at each start.
"""

from __future__ import annotations

import compileall
import functools
import shutil
import sys

from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Event, OnEvent
from codetemper.judges._sandbox import bubble, container

_INSTALL = "sudo apt-get install -y bubblewrap"


def require_sandbox(sandbox: bubble.Sandbox, on_event: OnEvent) -> None:
    """Make sure that code can be run the way the options ask for, before anything runs.

    Args:
        sandbox: isolation asked for.
        on_event: takes the warning where there is to be none.

    Raises:
        CannotKnowError: the isolation asked for is not to be had here (exit code 3).
    """
    _compile_within()
    if sandbox == "none":
        on_event(Event(stage="judge", note="WARNING: --sandbox none, untrusted code runs with "
                       "your rights, your files and your network"))  # fmt: skip
        return
    if sandbox == "container":
        works, reason = container.engine_available()
        if not works:
            raise CannotKnowError(
                "generated code cannot be judged in a container: no engine answers",
                why=reason,
                mend=f"start docker or podman, or use bubblewrap: {_INSTALL}",
            )
        return
    works, reason = bubble.sandbox_available()
    if not works:
        raise CannotKnowError(
            "generated code cannot be judged: there is no sandbox to run it in",
            why=reason,
            mend=_INSTALL
            if shutil.which("bwrap") is None
            else "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
            "kernel.apparmor_restrict_unprivileged_userns=0) or run in a plain virtual machine",
        )


@functools.cache
def _compile_within() -> None:
    """Compile the program that runs within, as installing the package does, unless unwanted."""
    if not sys.dont_write_bytecode:
        compileall.compile_dir(bubble.INSIDE, quiet=2)
