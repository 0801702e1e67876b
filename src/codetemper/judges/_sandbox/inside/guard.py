# SPDX-License-Identifier: Apache-2.0
"""Notice, while it happens, that a candidate reaches for the interpreter it runs in.

An audit hook cannot be removed again, and it writes before the deed is done to memory that no
descriptor leads to; what is written cannot be taken back. Only deeds of the candidate's own code
count: the standard library looks at frames, too. Native code that gets loaded without any import
would not be noticed.
"""

from __future__ import annotations

import _posixsubprocess
import _signal  # type: ignore[import-not-found]
import os
import sys
from collections.abc import Callable, Generator
from typing import Any

_STANDARD = os.path.dirname(os.__file__) + os.sep
_HARNESS = os.path.dirname(__file__) + os.sep

#: Events that only code with an interest in the interpreter's inside causes.
_EVENTS = {
    "sys._getframe": "frames",
    "sys._current_frames": "frames",
    "sys._current_exceptions": "frames",
    "sys.settrace": "trace",
    "sys.setprofile": "trace",
    "sys.addaudithook": "audit",
    "gc.get_objects": "gc",
    "gc.get_referrers": "gc",
    "gc.get_referents": "gc",
    "code.__new__": "code",
    "function.__new__": "code",
    "marshal.loads": "code",
}
_ATTRIBUTES = {
    "tb_frame": "frames",
    "gi_frame": "frames",
    "cr_frame": "frames",
    "ag_frame": "frames",
}
_NATIVE = (
    "ctypes _ctypes _testcapi _testinternalcapi _xxsubinterpreters _interpreters _xxtestfuzz "
    "_ctypes_test _signal"
)
_MODULES = frozenset(_NATIVE.split())
#: Standard modules whose functions hand frames to their caller.
_GIVERS = ("inspect.py", "traceback.py", "logging/__init__.py", "pdb.py", "bdb.py", "cgitb.py")


#: A program that is started would be out of the hook's sight.
_PROGRAMS = frozenset({"os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"})


def arm(
    write: Callable[[bytes, bytes], None], leave: Callable[[int], None]
) -> Callable[[bool], None]:
    """Prepare to watch this process, or those that it forks.

    Args:
        write: called with ``T`` and each kind of deed, once, before the deed is done.
        leave: ends the process at once; called where writing fails.

    Returns:
        The function that begins to watch; told whether the process may start programs.
    """
    set_handler = _handlers_without_frames()
    active, programs = False, _PROGRAMS
    get_frame, startswith = sys._getframe, str.startswith
    told: set[str] = set()
    standard, harness, givers, kind = _STANDARD, _HARNESS, _GIVERS, _classifier()
    endswith, encode = str.endswith, str.encode

    def foreign(frame: Any) -> bool:
        name = frame.f_code.co_filename
        return not (
            startswith(name, standard) or startswith(name, harness) or startswith(name, "<frozen")
        )

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not active:
            return
        if event == "sys._getframe" and args and args[0].f_code is hook_code:
            return  # this hook's own look
        if event in programs:
            raise PermissionError(1, "this program may not start others")
        found = kind(event, args)
        if found is None or found in told:
            return
        frame = get_frame(0).f_back
        if frame is None:
            return
        if not foreign(frame):
            outer = frame.f_back
            if event == "import":
                while outer is not None and startswith(outer.f_code.co_filename, "<frozen"):
                    outer = outer.f_back
                if outer is None or not foreign(outer):
                    return
            elif outer is None or not (
                endswith(frame.f_code.co_filename, givers) and foreign(outer)
            ):
                return
        try:
            write(b"T", encode(found, "ascii"))
        except BaseException:
            leave(98)
        told.add(found)

    def begin(spawn: bool) -> None:
        nonlocal active, programs
        _signal.signal = set_handler
        if spawn:
            programs = frozenset()
        else:  # nothing audits this one way to start a program
            _posixsubprocess.fork_exec = _refuse
            if "subprocess" in sys.modules:
                sys.modules["subprocess"]._fork_exec = _refuse  # type: ignore[attr-defined]
        active = True

    hook_code = hook.__code__
    sys.addaudithook(hook)
    return begin


def _classifier() -> Callable[[str, tuple[Any, ...]], str | None]:
    """Return a function from an audit event to the kind of deed it is, or None."""
    events, attributes, modules = dict(_EVENTS), dict(_ATTRIBUTES), _MODULES
    known = (_STANDARD, _HARNESS, "<frozen")
    startswith, kind_of, string = str.startswith, type, str

    def kind(event: str, args: tuple[Any, ...]) -> str | None:
        found = events.get(event)
        if found is not None:
            return found
        if event == "object.__getattr__":
            return attributes.get(args[1])
        if event == "object.__setattr__":
            return "code" if args[1] == "__code__" else None
        if event == "import":
            return "native" if args[0] in modules else None
        if event == "compile":
            name = args[1]
            forged = kind_of(name) is string and startswith(name, known)
            return "code" if forged else None
        return "native" if startswith(event, "ctypes.") else None

    return kind


def _refuse(*_: Any) -> int:
    raise PermissionError(1, "this program may not start others")


def _handlers_without_frames() -> Callable[[int, Any], Any]:
    """Return what sets signal handlers that are handed no frame, the one unaudited way to one."""
    send = _set_handlers(_signal.signal).send
    send(None)  # type: ignore[arg-type]

    def set_handler(number: int, handler: Any, /) -> Any:
        taken = handler
        if callable(handler):

            def taken(number: int, _: Any) -> Any:
                return handler(number, None)

        found = send((number, taken))
        if isinstance(found, BaseException):
            raise found
        return found

    return set_handler


def _set_handlers(original: Callable[[int, Any], Any]) -> Generator[Any, tuple[int, Any], None]:
    """Call the original, which stands in this frame alone: looking into a generator is audited."""
    answer: Any = None
    while True:
        number, handler = yield answer
        try:
            answer = original(number, handler)
        except Exception as error:
            answer = error
