# SPDX-License-Identifier: Apache-2.0
"""What tests see that run in the candidate's own process, because they need its live objects.

Such tests can be deceived: they and the candidate share one interpreter. This file closes the
simple ways. Built-in names are the interpreter's, helpers and imports of the prompt are the
prompt's, a function of the candidate can neither end a test's loop with ``StopIteration`` nor hand
over an object that is equal to everything, and modules that were changed are noticed. What is
noticed voids a pass. Tests that need no live objects run elsewhere; see ``referee``.
"""

from __future__ import annotations

import builtins
import copy
import functools
import json
import math
import operator
import random
import sys
import types
from collections.abc import Callable
from typing import Any

_KEPT = (builtins, math, operator, json, random, copy, functools)
_TEXTS = (str, bytes, int, float, bool, type(None), complex)
_LOOKS = 200


class Pristine:
    """The state of modules that tests lean on, before a candidate had a chance to change them."""

    def __init__(self) -> None:
        self._before = [(vars(module), dict(vars(module))) for module in _KEPT]

    def changed(self) -> bool:
        """Tell whether something that was there is another thing now."""
        return any(now.get(k) is not v for now, before in self._before for k, v in before.items())


PRISTINE = Pristine()


class Names(dict[str, Any]):
    """The global names of tests: their own, the prompt's helpers, then the candidate's.

    Args:
        space: names of the candidate.
        given: the prompt's imports and helper functions.
        write: called with ``T`` and the kind of tampering.
    """

    def __init__(
        self, space: dict[str, Any], given: types.CodeType, write: Callable[[bytes, bytes], None]
    ) -> None:
        super().__init__(__name__="tests", __builtins__=builtins)
        self._space, self._write = space, write
        self._known = frozenset(dir(builtins))
        exec(given, self)  # noqa: S102 - the prompt's own helpers

    def __missing__(self, name: str) -> Any:
        if name in self._known:
            raise KeyError(name)
        value = self._space[name]
        if type(value) is types.FunctionType:
            return _watched(value, self._write)
        return value


def _watched(
    function: types.FunctionType, write: Callable[[bytes, bytes], None]
) -> Callable[..., Any]:
    """Return the function with its lies told."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            answer = function(*args, **kwargs)
        except (StopIteration, StopAsyncIteration) as error:
            raise RuntimeError("the candidate raised StopIteration") from error
        if _lies(answer, [_LOOKS]):
            write(b"T", b"comparison")
        return answer

    return call


def _lies(value: Any, left: list[int]) -> bool:
    """Tell whether a value, or one in it, is equal to an object that nothing is equal to."""
    kind = type(value)
    left[0] -= 1
    if kind in _TEXTS or left[0] < 0:
        return False
    if kind in (list, tuple, set, frozenset):
        return any(_lies(item, left) for item in value)
    if kind is dict:
        return any(_lies(item, left) for pair in value.items() for item in pair)
    nothing = object()
    try:
        return (value == nothing) is True or (value != nothing) is False
    except Exception:
        return False


def forget_harness(package: str) -> None:
    """Take this program's modules out of the candidates' reach by name, once all are loaded."""
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        del sys.modules[name]
