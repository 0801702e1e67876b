# SPDX-License-Identifier: Apache-2.0
"""Imports ``random`` and ``threading`` without what they would do after every fork.

``server`` imports this before everything else. After each fork ``random`` would draw a seed and
``threading`` make new locks, which takes as long as the fork itself. Neither is needed: the server
has one thread, and every candidate begins with the same seed. Everything else is left as it is.
"""

from __future__ import annotations

import os


def _import_quietly() -> None:
    register, os.register_at_fork = os.register_at_fork, lambda **_: None
    try:
        import random
        import threading
    finally:
        os.register_at_fork = register
    del random, threading


_import_quietly()
