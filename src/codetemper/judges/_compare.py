# SPDX-License-Identifier: Apache-2.0
"""Comparison of what a candidate's process sent with what a check expects, type for type.

Used by judge ``execution`` in the judge's own process. The data were written by a candidate and may
be anything; nothing is built from them, they are only walked.
"""

from __future__ import annotations

from typing import Any


def same(encoded: Any, expect: Any) -> bool:
    """Compare an encoded result (see ``_sandbox.inside.plain``) with plain data, type for type.

    A tuple equals a list of the same elements, since JSON has no tuples; NaN equals NaN.
    ``True`` is not 1 and 1 is not 1.0. Anything that is not a well-formed encoding is unequal.
    """
    try:
        return _same(encoded, expect)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return False


def _same(encoded: Any, expect: Any) -> bool:
    kind = type(expect)
    if kind is int and type(encoded) is dict:
        return encoded.keys() == {"I"} and int(encoded["I"], 16) == expect
    if kind in (type(None), bool, int, float, str):
        return type(encoded) is kind and (
            encoded == expect or (encoded != encoded and expect != expect)
        )
    if kind in (list, tuple):
        if type(encoded) is dict and encoded.keys() == {"t"}:
            encoded = encoded["t"]
        return (
            type(encoded) is list
            and len(encoded) == len(expect)
            and all(_same(a, b) for a, b in zip(encoded, expect, strict=True))
        )
    if kind is dict:
        pairs = encoded["d"] if type(encoded) is dict and len(encoded) == 1 else None
        if type(pairs) is not list or len(pairs) != len(expect):
            return False
        given = {key: value for key, value in pairs if type(key) is str}
        return given.keys() == expect.keys() and all(_same(given[k], expect[k]) for k in expect)
    return False
