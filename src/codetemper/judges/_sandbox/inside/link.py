# SPDX-License-Identifier: Apache-2.0
"""Calls between the referee's process and the candidate's, in plain data only.

Both sides hold one ``Link``. A call waits for its answer and serves calls of the other side in the
meantime, so a test can hand a function to the candidate. Functions and iterators stay where they
are: the other side gets a number and a stand-in. Lists, dictionaries and the like that the
candidate changed in place are changed on the caller's side, too. Nothing the candidate writes can
do more here than answer, raise a built-in exception, or end the link: it writes JSON. Calls that
are foreseen go to the candidate in the faster ``marshal``, which its end alone reads.
"""

from __future__ import annotations

import builtins
import collections
import json
import marshal
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .plain import NotPlainError, decode, encode

_LARGEST = 64 << 20
_process, _leave = os.getpid, os._exit
_pack, _unpack, _parse = marshal.dumps, marshal.loads, json.JSONDecoder().raw_decode
#: The version of ``marshal`` that writes equal values as equal bytes.
_EQUAL = 2
#: First byte of a frame that holds foreseen calls; no JSON begins so.
_FORESEEN = b"\0"
_BLOCK = 1 << 16
#: Calls that are sent ahead fit into a socket's buffer, so that sending them cannot stall.
_AHEAD = 32 << 10
_MUTABLE = (list, dict, set, bytearray, collections.deque)


class LinkLostError(BaseException):
    """The other side is gone, or does not speak this language. Tests must not catch it."""


class Foreseen(NamedTuple):
    """Calls of one function that can be asked for in one message."""

    name: str
    """Of the function."""
    frame: bytes
    """The message."""
    keys: tuple[bytes, ...]
    """The arguments of each call."""


class Link:
    """One end.

    Args:
        descriptor: a connected stream socket.
        names: what the other side may ask for by name, at the candidate's end. That end believes
            the other, and objects of subclasses of plain types cross as their plain content.
    """

    def __init__(self, descriptor: int, names: dict[str, Any] | None = None) -> None:
        self.descriptor, self.names, self.loose = descriptor, names, names is not None
        self.owner = os.getpid()
        self.given: dict[int, Any] = {}
        self.raised: BaseException | None = None
        self.lost = False
        self.data = b""
        self.ahead: collections.deque[bytes] = collections.deque()
        self.early: collections.deque[list[Any]] = collections.deque()

    # What crosses -------------------------------------------------------------------------------

    def _handle(self, value: Any) -> dict[str, Any] | None:
        if isinstance(value, type):
            name: str = value.__name__
            if getattr(builtins, name, None) is value:
                return {"y": name}
        if isinstance(value, _Function):
            return {"u": value.number}
        if isinstance(value, Iterator):
            kind = "it"
        elif callable(value):
            kind = "fn"
        else:
            return None
        self.given[id(value)] = value
        return {kind: id(value)}

    def _resolve(self, tag: str, content: Any) -> Any:
        if tag == "fn" and type(content) is int:
            return _Function(self, content)
        if tag == "it" and type(content) is int:
            return _iterate(self, content)
        if tag == "u":
            return self.given[content]
        found = getattr(builtins, content) if tag == "y" and isinstance(content, str) else None
        if isinstance(found, type):
            return found
        raise ValueError("unknown tag")

    def encode(self, value: Any) -> Any:
        """Encode plain data, functions and iterators."""
        return encode(value, self._handle, loose=self.loose)

    # Asking -------------------------------------------------------------------------------------

    def ask(self, what: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Ask the other side, and return or raise what it answers.

        Args:
            what: ``call`` (by number), ``named`` (a call by name), ``name`` or ``next``.
            target: number or name.
            args: positional arguments of a call.
            kwargs: arguments by keyword.

        Raises:
            LinkLostError: the other side is gone.
            NotPlainError: the answer is not plain data.
            Exception: what was raised there, as a built-in exception.
        """
        if self.ahead and what == "named":
            if kwargs or self.ahead.popleft() != _pack(args, _EQUAL):
                self.lost = True
                raise LinkLostError("the tests make another call than was foreseen")
            kind, *content = self.early.popleft() if self.early else self._reply()
        else:
            message = [what, target, self.encode(list(args)), self.encode(kwargs)]
            self._send(json.dumps(message))
            while len(self.early) < len(self.ahead):  # answers to what was asked before
                self.early.append(self._reply())
            kind, *content = self._reply()
        try:
            if kind == "answer":
                value, changes = content
                for number, state in changes:
                    _replace(args[number], decode(state, self._resolve))
                return decode(value, self._resolve)
            raised = _exception(*content)
        except NotPlainError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            self.lost = True
            raise LinkLostError("an answer that is none") from error
        self.raised = raised
        raise raised

    def _reply(self) -> list[Any]:
        """Return the next answer; calls of the other side are served until it comes."""
        while True:
            message = self._receive()
            if message is None:
                self.lost = True
                raise LinkLostError("the candidate's process ended")
            if type(message) is list and message and message[0] in ("answer", "raise"):
                return message
            self._serve_one(message)

    def ask_ahead(self, calls: Foreseen) -> None:
        """Send calls of a function by its name; the next so many such calls take the answers."""
        self.ahead.extend(calls.keys)
        self._write(calls.frame)

    # Serving ------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer the other side until it says that it is done."""
        while (message := self._receive()) is not None:
            self._serve_one(message)

    def _serve_one(self, message: Any) -> None:
        if type(message) is tuple:
            name, calls = message
            for args in calls:
                self._serve_call("named", name, args, {})
            return
        try:
            what, target, args, kwargs = message
            args, kwargs = decode(args, self._resolve), decode(kwargs, self._resolve)
        except LinkLostError:
            raise
        except BaseException as error:
            self._send(json.dumps(["raise", *_describe(error)]))
        else:
            self._serve_call(what, target, args, kwargs)

    def _serve_call(self, what: str, target: Any, args: Any, kwargs: Any) -> None:
        try:
            before = [self._state(value) if type(value) in _MUTABLE else None for value in args]
            answer = self._carry_out(what, target, args, kwargs)
            changes = [[number, self.encode(args[number])] for number, state in enumerate(before)
                       if state is not None and self._state(args[number]) != state]  # fmt: skip
            reply = ["answer", self.encode(answer), changes]
        except LinkLostError:
            raise
        except BaseException as error:
            reply = ["raise", *_describe(error)]
        if _process() != self.owner:
            _leave(97)  # a call has one answer; this process was forked to give another
        self._send(json.dumps(reply))

    def _state(self, value: Any) -> bytes | str:
        """Return what differs where a value does."""
        try:
            return _pack(value, _EQUAL)
        except ValueError:
            return json.dumps(self.encode(value))

    def _carry_out(self, what: str, target: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if what == "call":
            return self.given[target](*args, **kwargs)
        if what == "next":
            return [value for value in [next(self.given[target], self)] if value is not self]
        if what == "name" and self.names is not None:
            return self.names[target]
        if what == "named" and self.names is not None:
            return self.names[target](*args, **kwargs)
        raise ValueError(f"cannot {what}")

    # The wire -----------------------------------------------------------------------------------

    def _send(self, message: str) -> None:
        data = message.encode("ascii")
        if len(data) > _LARGEST:
            raise NotPlainError("more data than can cross")
        self._write(len(data).to_bytes(4, "big") + data)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError as error:
            self.lost = True
            raise LinkLostError("the candidate's process ended") from error

    def _receive(self) -> Any:
        """Return the next message, or None where the other side is done or gone."""
        head = self._read(4)
        size = int.from_bytes(head, "big")
        if len(head) < 4 or size > _LARGEST:
            return None
        data = self._read(size)
        if self.loose and data[:1] == _FORESEEN:
            return _unpack(data[1:])
        try:
            text = data.decode("ascii")
            message, end = _parse(text)
            if end != len(text):
                raise ValueError("more than one message")
        except (ValueError, RecursionError) as error:
            self.lost = True
            raise LinkLostError("a message that is none") from error
        return message

    def _read(self, size: int) -> bytes:
        """Read so many bytes; none where the other side is gone."""
        blocks = [self.data]
        held = len(self.data)
        while held < size:
            try:
                block = os.read(self.descriptor, max(_BLOCK, size - held))
            except OSError:
                return b""
            if not block:
                return b""
            blocks.append(block)
            held += len(block)
        data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        self.data = data[size:]
        return data[:size]


def foreseen(name: str, calls: Iterable[tuple[Any, ...]]) -> Foreseen:
    """Return calls of a function by its name as one message, as many as fit."""
    fitting, keys, size = [], [], 0
    for args in calls:
        key = _pack(args, _EQUAL)
        size += len(key)
        if size > _AHEAD:
            break
        fitting.append(args)
        keys.append(key)
    data = _FORESEEN + _pack((name, fitting), _EQUAL)
    return Foreseen(name, len(data).to_bytes(4, "big") + data, tuple(keys))


class _Function:
    """Stands for a function of the other side."""

    __slots__ = ("link", "number")

    def __init__(self, link: Link, number: int) -> None:
        self.link, self.number = link, number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.link.ask("call", self.number, args, kwargs)


class Named:
    """Stands for a function of the other side that is asked for by its name."""

    __slots__ = ("link", "name")

    def __init__(self, link: Link, name: str) -> None:
        self.link, self.name = link, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.link.ask("named", self.name, args, kwargs)


def _iterate(link: Link, number: int) -> Iterator[Any]:
    """Stand for an iterator of the other side."""
    while (found := link.ask("next", number, (), {})) and type(found) is list:
        yield found[0]


def _replace(target: Any, state: Any) -> None:
    """Give a container of this side the state that the other side left it in."""
    if type(target) is not type(state) or type(target) not in _MUTABLE:
        raise ValueError("not the container that was handed over")
    if type(target) is list or type(target) is bytearray:
        target[:] = state
    else:
        target.clear()
        if type(target) is collections.deque:
            target.extend(state)
        else:
            target.update(state)


def _describe(error: BaseException) -> tuple[str, str, Any]:
    """Name an exception by its nearest built-in class."""
    name = next(c.__name__ for c in type(error).__mro__ if c is getattr(builtins, c.__name__, None))
    try:
        text = str(error)[:300]
    except BaseException:
        text = ""
    args = error.args if all(type(a) in (str, int, bool, float) for a in error.args) else (text,)
    return name, text, encode(list(args))


def _exception(name: str, text: str, args: Any) -> BaseException:
    """Build the exception that the other side described; never one of the control flow."""
    found = getattr(builtins, name)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise ValueError("not an exception")
    if issubclass(found, StopIteration | StopAsyncIteration | GeneratorExit):
        return RuntimeError(f"the candidate raised {name}")  # it would end a loop of the caller
    make: Callable[..., BaseException] = found
    try:
        return make(*decode(args))
    except TypeError:
        return RuntimeError(text)
