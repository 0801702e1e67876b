# SPDX-License-Identifier: Apache-2.0
"""Plain data as JSON and back, with exact types: all that crosses between two processes.

None, booleans, integers, floats, strings and lists stand for themselves; everything else is an
object of one key, its tag: ``{"t": [1, 2]}`` is the tuple (1, 2). Decoding builds plain data only,
whatever the other side wrote: no class is looked up by name, no code is run. An object that is not
plain data is encoded by its type's name (tag ``o``) and never decoded.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
from collections.abc import Callable, Iterable
from typing import Any

#: Most nodes and deepest nesting of a value that is sent.
NODES, DEPTH = 4_000_000, 60
#: Integers beyond are written in hexadecimal: decimal digits take quadratic time.
_LONG = 1 << 4096
_LOOSE = (type(None), bool, float, str)
_SCALARS = frozenset((*_LOOSE, int))

Handle = Callable[[Any], "dict[str, Any] | None"]
"""Encodes what is not plain data, or answers None."""


class NotPlainError(TypeError):
    """The other side handed over an object that is not plain data."""


def _no_handle(value: Any) -> None:
    return None


def encode(value: Any, handle: Handle = _no_handle, *, loose: bool = False) -> Any:
    """Return ``value`` in a form that ``json`` can write.

    Args:
        value: anything.
        handle: asked for what is not plain data.
        loose: take an object of a subclass for its plain content instead of refusing it.
    """
    return _Encoder(handle, loose).node(value, DEPTH)


class _Encoder:
    def __init__(self, handle: Handle, loose: bool) -> None:
        self.handle, self.loose, self.left = handle, loose, NODES

    def node(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _LOOSE:
            return value
        if kind is int:
            return value if -_LONG < value < _LONG else {"I": hex(value)}
        self.left -= 1
        if depth < 0 or self.left < 0:
            return {"o": "too large"}
        if kind is list:
            return self.many(value, depth)
        form = _FORMS.get(kind)
        if form is None and self.loose:
            form = next((_FORMS[base] for base in kind.__mro__ if base in _FORMS), None)
        if form is not None:
            return form(self, value, depth - 1)
        found = self.handle(value)
        return {"o": kind.__name__[:80]} if found is None else found

    def many(self, values: Iterable[Any], depth: int) -> list[Any]:
        """Encode elements; lists of nothing but scalars are passed on as they are."""
        values = list(values)
        kinds = set(map(type, values))
        self.left -= len(values)
        if self.left < 0:
            return [{"o": "too large"}]
        if kinds <= _SCALARS and (
            int not in kinds or (len(kinds) == 1 and min(values) > -_LONG and max(values) < _LONG)
        ):
            return values
        return [self.node(value, depth - 1) for value in values]

    def pairs(self, value: Any, depth: int) -> list[Any]:
        return [[self.node(k, depth), self.node(v, depth)] for k, v in dict.items(value)]


def _plain_int(encoder: _Encoder, value: Any, depth: int) -> Any:
    return encoder.node(int.__add__(value, 0), depth)


_Form = Callable[[_Encoder, Any, int], Any]
#: How each type is written; methods of the type itself, never those of a subclass, are called.
_FORMS: dict[type, _Form] = {
    int: _plain_int,
    float: lambda e, v, d: float.__add__(v, 0.0),
    str: lambda e, v, d: str.__str__(v),
    list: lambda e, v, d: e.many(list.__iter__(v), d),
    tuple: lambda e, v, d: {"t": e.many(tuple.__iter__(v), d)},
    dict: lambda e, v, d: {"d": e.pairs(v, d)},
    set: lambda e, v, d: {"S": e.many(set.__iter__(v), d)},
    frozenset: lambda e, v, d: {"F": e.many(frozenset.__iter__(v), d)},
    bytes: lambda e, v, d: {"b": bytes.decode(v, "latin-1")},
    bytearray: lambda e, v, d: {"B": bytearray.decode(v, "latin-1")},
    complex: lambda e, v, d: {"c": [v.real, v.imag]},
    range: lambda e, v, d: {"r": [v.start, v.stop, v.step]},
    collections.deque: lambda e, v, d: {"q": [e.many(collections.deque.__iter__(v), d), v.maxlen]},
    collections.Counter: lambda e, v, d: {"C": e.pairs(v, d)},
    collections.OrderedDict: lambda e, v, d: {"O": e.pairs(v, d)},
    collections.defaultdict: lambda e, v, d: {"f": e.pairs(v, d)},
    decimal.Decimal: lambda e, v, d: {"D": decimal.Decimal.__str__(v)},
    fractions.Fraction: lambda e, v, d: {"Q": [e.node(v._numerator, d), e.node(v._denominator, d)]},
    datetime.datetime: lambda e, v, d: {"T": ["datetime", datetime.datetime.isoformat(v)]},
    datetime.date: lambda e, v, d: {"T": ["date", datetime.date.isoformat(v)]},
    datetime.time: lambda e, v, d: {"T": ["time", datetime.time.isoformat(v)]},
    datetime.timedelta: lambda e, v, d: {"T": ["timedelta", [v.days, v.seconds, v.microseconds]]},
    type(Ellipsis): lambda e, v, d: {"e": None},
    type({}.keys()): lambda e, v, d: {"k": e.many(v, d)},
    type({}.values()): lambda e, v, d: {"v": e.many(v, d)},
    type({}.items()): lambda e, v, d: {"i": [[e.node(a, d), e.node(b, d)] for a, b in v]},
}  # fmt: skip


def decode(data: Any, resolve: Callable[[str, Any], Any] | None = None) -> Any:
    """Return the value that ``data`` stands for.

    Args:
        data: what ``json`` read; the other side may have written anything.
        resolve: turns a tag that is not plain data, with its content, into an object.

    Raises:
        NotPlainError: an object that is not plain data.
        ValueError: not an encoding.
    """
    kind = type(data)
    if kind in _SCALARS:
        return data
    if kind is list:
        if set(map(type, data)) <= _SCALARS:
            return data
        return [decode(item, resolve) for item in data]
    if kind is not dict or len(data) != 1:
        raise ValueError("not an encoding")
    ((tag, content),) = data.items()
    built = _BUILT.get(tag)
    if built is not None:
        if tag in _NESTED:
            content = decode(content, resolve)
        return built(content)
    if tag == "o":
        raise NotPlainError(f"an object of type {content} is not plain data")
    if resolve is None:
        raise ValueError("unknown tag")
    return resolve(tag, content)


def _time(content: Any) -> Any:
    name, parts = content
    if name == "timedelta":
        return datetime.timedelta(*parts)
    kinds: dict[str, Any] = {
        "datetime": datetime.datetime, "date": datetime.date, "time": datetime.time
    }  # fmt: skip
    return kinds[name].fromisoformat(parts)


#: Tags whose content is encoded data itself.
_NESTED = frozenset("tdSFqCOfQkvi")
_BUILT: dict[str, Callable[[Any], Any]] = {
    "I": lambda c: int(c, 16),
    "t": tuple,
    "d": dict,
    "S": set,
    "F": frozenset,
    "b": lambda c: c.encode("latin-1"),
    "B": lambda c: bytearray(c.encode("latin-1")),
    "c": lambda c: complex(*c),
    "r": lambda c: range(*c),
    "q": lambda c: collections.deque(c[0], c[1]),
    "C": lambda c: collections.Counter(dict(c)),
    "O": collections.OrderedDict,
    "f": lambda c: collections.defaultdict(None, c),
    "D": decimal.Decimal,
    "Q": lambda c: fractions.Fraction(*c),
    "T": _time,
    "e": lambda c: ...,
    "k": lambda c: dict.fromkeys(c).keys(),
    "v": lambda c: dict(enumerate(c)).values(),
    "i": lambda c: dict(c).items(),
}
