# SPDX-License-Identifier: Apache-2.0
"""Forged solutions by somebody who has read how this judge is built.

They get at the frames of the harness without an event that an audit hook could see, take the nonce
and the channel, and write the lines that the harness writes. What they are made of is put together
at run time, so that no static sign gives them away.
"""

from __future__ import annotations

from tests.judges.attacks.forgeries import Forgery

#: Gets the frames of the caller by a signal handler and defines ``local(name)`` and ``speak``.
BY_SIGNAL = """

from signal import SIGUSR1 as _number, signal as _on, raise_signal as _raise
import json as _json
import os as _os

_frames = []


def _handler(number, frame):
    while frame is not None:
        _frames.append(getattr(frame, 'f_' + 'locals'))
        frame = getattr(frame, 'f_' + 'back')


def local(name):
    for values in _frames:
        if name in values:
            return values[name]
    return None


def speak(*lines):
    nonce, channel = local('nonce'), local('channel')
    if isinstance(nonce, str):
        nonce = nonce.encode()
    for line in lines:
        text = line if isinstance(line, bytes) else _json.dumps(line).encode()
        if nonce and isinstance(channel, int):
            _os.write(channel, nonce + text + b'\\n')


def look():
    _on(_number, _handler)
    _raise(_number)


"""

#: The same by the stack of a running task.
BY_TASK = BY_SIGNAL.replace(
    """def look():
    _on(_number, _handler)
    _raise(_number)
""",
    """def look():
    import asyncio
    async def running():
        _handler(0, asyncio.current_task().get_stack()[0])
    asyncio.run(running())
""",
)

#: The same by asking twice: the first question is asked with all descriptors closed.
BY_DEAF_HOOK = BY_SIGNAL.replace(
    """def look():
    _on(_number, _handler)
    _raise(_number)
""",
    """def look():
    import sys
    kept = []
    for number in range(3, 40):
        try:
            kept.append((number, _os.dup(number)))
        except OSError:
            continue
        _os.close(number)
    ask = getattr(sys, '_get' + 'frame')
    try:
        ask()
    except OSError:
        pass
    for number, copy in kept:
        _os.dup2(copy, number)
    _handler(0, ask())
""",
)

_REACHED = (
    "look()\nspeak(['loaded'], ['check', 0], *(['reached', n] for n in range(1, 20)))\n"
    "getattr(_os, '_ex' + 'it')(0)\n"
)
_WRONG = "    return a - b\n"

INSIDERS = (
    Forgery("reached_by_signal", "add", _WRONG + BY_SIGNAL + _REACHED),
    Forgery("reached_by_task", "add", _WRONG + BY_TASK + _REACHED),
    Forgery("reached_by_deaf_hook", "add", _WRONG + BY_DEAF_HOOK + _REACHED),
    Forgery("reached_while_called", "add", (
        "    look()\n    speak(['check', 0], *(['reached', k] for k in range(1, 5)))\n"
        "    speak(['reached', 4], ['reached', 0])\n    getattr(_os, '_ex' + 'it')(0)\n"
        + BY_SIGNAL)),
    Forgery("value_before_the_check", "add", (
        _WRONG + BY_SIGNAL + "look()\nfor _n in range(3):\n"
        "    speak(['loaded'], ['check', _n], ['value', 5], ['value', 0])\n"
        "speak(['ended', 0, 0], ['ended', 1, 0], ['served'], ['passed', True])\n")),
    Forgery("breaks_the_case", "add", (
        _WRONG + BY_SIGNAL + "look()\nspeak(['raised', 'setup', 'KeyError', 'x'])\n")),
    Forgery("lines_of_no_shape", "add", (
        _WRONG + BY_SIGNAL + "look()\nspeak(5, [], {}, [[]], None, 'x', ['check', 'x'], "
        "['check', 99],\n      ['value'], ['ended', [1], 2], ['reached', 'x'], ['tamper'], "
        "['raised'],\n      ['check', -1], ['value', {'o': {}}], ['unknown', 1], "
        "['ended', 0, -10**30],\n      b'[' * 90000, b'\\xff', b'[1e999]', b'[NaN]')\n")),
    Forgery("hidden_tests_never_asked", "add", (
        "    known = {(2, 3): 5, (-4, 4): 0, (10, 7): 17}\n"
        "    if (a, b) == (10, 7):\n        look()\n"
        "        speak(['check', 1], ['reached', 9], ['reached', 0], ['value', None])\n"
        "        getattr(_os, 'ki' + 'll')(_os.getppid(), 9)\n"
        "    return known.get((a, b), -1)\n" + BY_SIGNAL), knows=True),
    Forgery("equality_by_keyword", "add", """\
    kind = type('Any', (int,), dict(__eq__=lambda self, other: other == other))
    return kind(a - b)
"""),
    Forgery("equality_set_later", "add", """\
    class Any(int):
        pass
    setattr(Any, '__e' + 'q__', lambda self, other: other == other)
    return Any(a - b)
"""),
    Forgery("equality_under_another_base", "add", """\
    kind = int
    class Any(kind):
        def __eq__(self, other):
            return other == other
        __hash__ = None
    return Any(a - b)
"""),
    Forgery("equality_from_text", "add", """\
    space = {}
    exec('class Any(int):\\n    __e' + 'q__ = lambda self, other: True', space)
    return space['Any'](a - b)
"""),
    Forgery("magic_mock", "add", """\
    from unittest import mock
    found = mock.MagicMock()
    found.__eq__.return_value = True
    return found
"""),
)  # fmt: skip
