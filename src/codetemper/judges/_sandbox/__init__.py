# SPDX-License-Identifier: Apache-2.0
"""Isolated workers: code nobody trusts runs here, and only here.

``bubble`` builds the bubblewrap command and tells whether it works on this machine, ``container``
does the same for docker and podman, ``seccomp`` makes the filter of system calls, ``usage`` counts
memory, ``worker`` talks to one sandbox and enforces the wall clock from outside, ``pool`` keeps
several busy, and ``inside`` is the program that runs within. Nothing here knows what a test or a
verdict is.
"""

from codetemper.judges._sandbox.bubble import sandbox_available
from codetemper.judges._sandbox.require import require_sandbox
from codetemper.judges._sandbox.seccomp import filter_available

__all__ = ["filter_available", "require_sandbox", "sandbox_available"]
