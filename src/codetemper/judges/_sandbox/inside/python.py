# SPDX-License-Identifier: Apache-2.0
"""Run a Python candidate and one check in this very process, and tell what came of it.

Runs in a forked process of ``server``. It writes lines of JSON that begin with a nonce: ``parsed``,
``loaded``, then ``value`` with the encoded result, or ``syntax`` or ``raised``. It does not compare
anything: the expected value never enters the sandbox.
"""

from __future__ import annotations

import json
import os
import random
import sys
import types
from collections.abc import Callable
from typing import Any

#: Most nodes and deepest nesting of a result that is sent out.
_NODES, _DEPTH = 100_000, 60


def encode(value: Any) -> list[Any]:
    """Encode plain data with exact types; anything else is named, not shown.

    Returns:
        ``[tag]`` or ``[tag, content]`` with tags n, b, i, f, s, l, t, d (pairs) and o (other).
    """
    return _encode(value, _DEPTH, [_NODES])


def _encode(value: Any, depth: int, budget: list[int]) -> list[Any]:
    budget[0] -= 1
    kind = type(value)
    if depth < 0 or budget[0] < 0:
        return ["o", "too large"]
    if value is None:
        return ["n"]
    if kind is bool:
        return ["b", value]
    if kind is int:
        # Longer integers would be refused by the reader's limit on digits.
        return ["i", value] if value.bit_length() < 10_000 else ["o", "huge int"]
    if kind is float:
        return ["f", value]
    if kind is str:
        return ["s", value]
    if kind is list or kind is tuple:
        return ["l" if kind is list else "t", [_encode(v, depth - 1, budget) for v in value]]
    if kind is dict:
        pairs = value.items()
        return ["d", [[_encode(k, depth - 1, budget), _encode(v, depth - 1, budget)]
                      for k, v in pairs]]  # fmt: skip
    return ["o", kind.__name__[:80]]


def run(
    channel: int, nonce: str, setup: types.CodeType, program: str, check: types.CodeType | None
) -> None:
    """Run setup, program and check in one namespace and write what came of it; never returns."""
    # Bound before the candidate runs, so that it cannot put its own in their place by name.
    write, leave, dumps, encode_value = os.write, os._exit, json.dumps, encode

    def tell(kind: str, *content: Any) -> None:
        line = (dumps([nonce, kind, *content]) + "\n").encode("ascii")
        while line:
            line = line[write(channel, line) :]

    stage = "setup"
    try:
        random.seed(0)
        module = types.ModuleType("candidate")
        sys.modules["candidate"] = module
        space = module.__dict__
        _execute(setup, space)
        stage = "parse"
        code = _compile(program, tell)
        tell("parsed")
        stage = "load"
        _execute(code, space)
        tell("loaded")
        if check is not None:
            stage = "check"
            space.pop("result", None)
            _execute(check, space)
            tell("value", encode_value(space.get("result")))
    except BaseException as error:
        tell("raised", stage, type(error).__name__[:80], _text(error))
    leave(0)


def _execute(code: types.CodeType, space: dict[str, Any]) -> None:
    exec(code, space)  # noqa: S102 - running candidates is what the sandbox is for


def _compile(program: str, tell: Callable[..., None]) -> types.CodeType:
    try:
        return compile(program, "candidate.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        tell("syntax", type(error).__name__, _text(error), getattr(error, "lineno", None))
        os._exit(0)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:300]
    except BaseException:
        return ""
