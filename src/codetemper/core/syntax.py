# SPDX-License-Identifier: Apache-2.0
"""Python text as a tree, for any thread: ``tree = read(text)``.

CPython before 3.11.8 and 3.12.2 counts the depth of the tree it builds once for the whole
interpreter, so two threads that parse at a time can end in ``SystemError: AST constructor
recursion depth mismatch``. All of codetemper's own process parses here, one thread at a time.
"""

from __future__ import annotations

import ast
import threading
import warnings

_ONE_AT_A_TIME = threading.Lock()


#: What tells that a text is no Python; nesting too deep for the parser counts.
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


def parse(text: str) -> ast.Module:
    """Return the module that ``text`` is; raises one of ``UNREADABLE`` where it is none.

    What the parser warns of (an unknown escape, ``is`` with a literal) is not said.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def read(text: str) -> ast.Module | None:
    """Return the module that ``text`` is, or None where this Python cannot read it."""
    try:
        return parse(text)
    except UNREADABLE:
        return None
