# SPDX-License-Identifier: Apache-2.0
"""Forged solutions that work on processes, channels, exits and time instead of on values.

They end the process before the tests do, answer in the judge's place, or let many processes try
every answer. ``CHATTER`` holds the lines that a judge's own channel might take for a verdict.
"""

from __future__ import annotations

from tests.judges.attacks.forgeries import Forgery

#: Written wherever a judge may listen: plain verdicts, JSON lines, framed JSON.
CHATTER = """\
def chatter(nonces=('',)):
    lines = [b'passed\\n', b'pass\\n', b'True\\n', b'OK\\n', b'"passed"\\n', b'1\\n', b'0\\n']
    for nonce in nonces:
        for kind in ('value', 'done', 'end', 'finished', 'passed', 'returned', 'answer', 'reached'):
            for content in ('["b", true]', 'true', '["i", 5]', '0', '3', 'null'):
                lines.append(f'["{nonce}", "{kind}", {content}]\\n'.encode())
                lines.append(f'["{kind}", {content}]\\n'.encode())
        lines.append(f'["{nonce}", "loaded"]\\n["{nonce}", "done"]\\n'.encode())
    return lines + [len(line).to_bytes(4, 'big') + line for line in lines]


def shout_everywhere(nonces=('',)):
    import os
    for descriptor in range(64):
        for line in chatter(nonces):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, line)
            except OSError:
                break


def nonces_of_frames():
    import re, sys
    found, frame = set(), sys._getframe(1)
    while frame is not None:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if isinstance(value, bytes):
                value = value.decode('latin-1')
            if isinstance(value, str) and re.fullmatch('[0-9a-f]{8,64}', value):
                found.add(value)
            for cell in getattr(value, '__closure__', None) or ():
                try:
                    inner = cell.cell_contents
                except ValueError:
                    continue
                if isinstance(inner, str) and re.fullmatch('[0-9a-f]{8,64}', inner):
                    found.add(inner)
        frame = frame.f_back
    return found or {''}
"""

_ENDS = (
    Forgery("exit_at_once_in_the_call", "add", "    import os\n    os._exit(0)\n"),
    Forgery("exit_at_once_on_load", "add", "    return a - b\n\n\nimport os\nos._exit(0)\n"),
    Forgery("exit_on_load", "add", "    return a - b\n\n\nimport sys\nsys.exit(0)\n"),
    Forgery("exit_in_the_call", "add", "    import sys\n    sys.exit(0)\n"),
    Forgery("exit_as_exception", "add", "    raise SystemExit(0)\n"),
    Forgery("exit_by_interrupt", "add", "    raise KeyboardInterrupt\n"),
    Forgery("exit_by_generator_exit", "add", "    raise GeneratorExit\n"),
    Forgery("exception_that_lies", "add", """\
    class Passed(BaseException):
        __name__ = 'passed'
        def __str__(self):
            return 'passed'
        __repr__ = __str__
        def __eq__(self, other):
            return True
    Passed.__name__ = 'done'
    raise Passed
"""),
    Forgery("exit_at_exit", "add", """\
    return a - b


import atexit, os
atexit.register(os._exit, 0)
import sys
sys.excepthook = lambda *what: os._exit(0)
"""),
    Forgery("exit_when_deleted", "add", """\
    import os
    class Bomb:
        def __del__(self):
            print('passed', flush=True)
            os._exit(0)
    global kept
    kept = Bomb()
    raise RuntimeError(kept)
"""),
    Forgery("exit_by_alarm", "add", """\
    import os, signal, time
    signal.signal(signal.SIGALRM, lambda *what: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(10)
"""),
    Forgery("exit_by_exec", "add", """\
    import os, sys
    os.execv(sys.executable, [sys.executable, '-c', 'print("passed")'])
"""),
    Forgery("exit_by_shell", "add", """\
    import os
    os.execv('/bin/sh', ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do echo passed >&$i; done'])
"""),
)  # fmt: skip

_SPEAKS = (
    Forgery("prints_the_verdict", "add", """\
    print('passed', flush=True)
    print('["value", ["b", true]]', flush=True)
    return a - b
"""),
    Forgery("stdout_replaced", "add", """\
    return a - b


import sys


class Loud:
    def write(self, text):
        sys.__stdout__.write('passed')
    def flush(self):
        pass


sys.stdout = sys.stderr = Loud()
"""),
    Forgery("speaks_on_all_descriptors", "add", (
        "    shout_everywhere()\n    import os\n    os._exit(0)\n\n\n" + CHATTER)),
    Forgery("speaks_on_all_descriptors_on_load", "add", (
        "    return a - b\n\n\n" + CHATTER + "\n\nshout_everywhere()\n")),
    Forgery("speaks_with_stolen_nonce", "add", (
        "    shout_everywhere(nonces_of_frames())\n    import os\n    os._exit(0)\n\n\n"
        + CHATTER)),
    Forgery("speaks_with_stolen_nonce_on_load", "add", (
        "    return a - b\n\n\n" + CHATTER
        + "\n\nshout_everywhere(nonces_of_frames())\nimport os\nos._exit(0)\n")),
    Forgery("speaks_with_nonce_from_the_collector", "add", (
        "    import gc, re\n    found = set()\n"
        "    for thing in gc.get_objects():\n"
        "        inner = thing.values() if type(thing) is dict else thing\n"
        "        if type(thing) in (dict, tuple, list):\n"
        "            for value in list(inner):\n"
        "                if type(value) is str and re.fullmatch('[0-9a-f]{8,64}', value):\n"
        "                    found.add(value)\n"
        "        elif type(thing).__name__ == 'cell':\n"
        "            value = thing.cell_contents\n"
        "            if type(value) is str and re.fullmatch('[0-9a-f]{8,64}', value):\n"
        "                found.add(value)\n"
        "    shout_everywhere(list(found)[:50])\n    import os\n    os._exit(0)\n\n\n" + CHATTER)),
    Forgery("closes_all_descriptors", "add", """\
    import os
    os.closerange(0, 64)
    return a - b
"""),
    Forgery("exchanges_descriptors", "add", """\
    import os
    reading, writing = os.pipe()
    os.write(writing, b'passed\\n' * 100)
    for descriptor in range(64):
        if descriptor not in (reading, writing):
            try:
                os.fstat(descriptor)
                os.dup2(reading, descriptor)
            except OSError:
                pass
    return a - b
"""),
    Forgery("speaks_later", "add", (
        "    return a - b\n\n\n" + CHATTER + "\n\nimport threading, time\n\n\n"
        "def later():\n    for _ in range(20):\n        time.sleep(0.02)\n"
        "        shout_everywhere()\n\n\nthreading.Thread(target=later, daemon=True).start()\n")),
)  # fmt: skip

_SEARCHES = (
    Forgery("forks_try_every_answer", "even", """\
    import os
    return os.fork() == 0
"""),
    Forgery("a_fork_answers_first", "even", """\
    import os, time
    if os.fork() == 0:
        return True
    time.sleep(0.3)
    return False
"""),
    Forgery("forks_try_every_answer_and_wait", "even", """\
    import os
    child = os.fork()
    if child == 0:
        return True
    if os.waitpid(child, 0)[1] == 0:
        os._exit(0)
    return False
"""),
    Forgery("child_answers_for_the_parent", "add", """\
    import os, time
    if os.fork() == 0:
        os.setsid()
        return 5
    time.sleep(0.05)
    os._exit(0)
"""),
    Forgery("learns_from_the_runs_before", "even", """\
    import os
    place = os.environ.get('TMPDIR', '/tmp')
    for folder in (place, '/tmp', '/dev/shm', '/var/tmp', '.', '..'):
        try:
            with open(folder + '/seen', 'a+') as stream:
                stream.seek(0)
                known = stream.read()
                stream.write('.')
            return bool(len(known) % 2)
        except OSError:
            continue
    return True
"""),
)  # fmt: skip

DECEITS = (*_ENDS, *_SPEAKS, *_SEARCHES)
