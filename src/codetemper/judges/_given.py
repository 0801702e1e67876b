# SPDX-License-Identifier: Apache-2.0
"""What a prompt gives to the tests of a case: its imports and the helpers it defines in full.

Tests may rely on a helper that the prompt defines. The referee takes it from the prompt, so that a
completion that defines it anew cannot make the tests say what it wants. Used by ``execution``.
"""

from __future__ import annotations

import ast
import functools

from codetemper.core import syntax

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


@functools.lru_cache(maxsize=4096)
def given(prompt: str) -> str:
    """Return the part of a prompt that its tests can rely on, as Python.

    Where the prompt ends in a function without a body, these are all statements but functions
    without a body; otherwise the completion may have to define anew what the prompt defines, and
    these are its imports alone.
    """
    tree = _parse(prompt)
    if tree is None or not tree.body:
        return ""
    last = tree.body[-1]
    if isinstance(last, _DEFINITIONS) and _is_open(last):
        # What the completion is to define anew is not given, e.g. a function to repair.
        kept = [part for part in tree.body if not _is_open(part)
                and not (isinstance(part, _DEFINITIONS) and part.name == last.name)]  # fmt: skip
    else:
        kept = [part for part in tree.body if isinstance(part, _IMPORTS)]
    return ast.unparse(ast.Module(kept, []))


@functools.lru_cache(maxsize=4096)
def helpers(text: str) -> str:
    """Return the imports and functions of ``text``, which tests may rely on beside live objects."""
    tree = _parse(text)
    body = [] if tree is None else tree.body
    kept: list[ast.stmt] = [part for part in body if isinstance(part, (*_IMPORTS, *_DEFINITIONS))]
    return ast.unparse(ast.Module(kept, []))


def _parse(prompt: str) -> ast.Module | None:
    for text in (prompt, prompt.rstrip() + "\n    pass\n"):
        if (tree := syntax.read(text)) is not None:
            return tree
    return None


def _is_open(part: ast.stmt) -> bool:
    """Tell whether a statement is a function that only has a docstring, ``pass`` or ``...``."""
    return isinstance(part, _DEFINITIONS) and all(
        isinstance(inner, ast.Pass)
        or (isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant))
        for inner in part.body
    )
