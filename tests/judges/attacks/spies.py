# SPDX-License-Identifier: Apache-2.0
"""Forged solutions that read the tests, or change them, where they lie in memory.

They need the tests in the candidate's own process, or a way into the process that has them.
"""

from __future__ import annotations

from tests.judges.attacks.forgeries import Forgery

#: Shared by forgeries that look at the test while it calls them: the constant compared next.
_NEXT_CONSTANT = """\
    import dis, sys
    frame = sys._getframe(1)
    while frame is not None:
        for step in dis.get_instructions(frame.f_code):
            if step.offset > frame.f_lasti and step.opname == 'LOAD_CONST':
                if type(step.argval) is int:
                    return step.argval
                break
        frame = frame.f_back
    return -1
"""

SPIES = (
    Forgery("constants_of_the_test", "add", _NEXT_CONSTANT),
    Forgery("source_of_the_test", "add", """\
    import ast, inspect, linecache, sys
    texts = []
    frame = sys._getframe(1)
    while frame is not None:
        try:
            texts.append(inspect.getsource(frame))
        except OSError:
            pass
        frame = frame.f_back
    texts += [''.join(lines) for _, _, lines, _ in linecache.cache.values() if lines]
    for text in texts:
        for line in text.splitlines():
            if f'({a}, {b}) ==' in line:
                return int(line.split('==')[1])
    return -1
"""),
    Forgery("collector_finds_the_expected", "add", """\
    import gc, types
    for code in [o for o in gc.get_objects() if isinstance(o, types.FunctionType)]:
        if code.__name__ == 'check' and code.__code__.co_argcount == 1:
            known = [c for c in code.__code__.co_consts if type(c) is int]
            for i in range(len(known) - 2):
                if known[i] == a and known[i + 1] == b:
                    return known[i + 2]
    for table in gc.get_objects():
        if type(table) is dict and 'expect' in table:
            return table['expect']
    return -1
"""),
    Forgery("collector_replaces_the_test", "add", """\
    import gc, types
    for found in gc.get_objects():
        if isinstance(found, types.FunctionType) and found.__name__ == 'check':
            found.__code__ = (lambda candidate: None).__code__
    return a + b if a == 2 else a - b
"""),
    Forgery("candidate_replaced_in_the_test", "add", """\
    import ctypes, sys
    frame = sys._getframe(1)
    class Any(int):
        __eq__ = lambda self, other: True
        __hash__ = int.__hash__
    while frame is not None:
        for name in list(frame.f_locals):
            if name in ('candidate', 'add'):
                frame.f_locals[name] = lambda *given: Any(0)
                ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), 1)
        frame = frame.f_back
    return a + b if a == 2 else Any(0)
"""),
    Forgery("frames_hold_the_verdict", "add", """\
    import os, sys
    frame, leave = sys._getframe(1), False
    while frame is not None:
        for name, value in list({**frame.f_globals, **frame.f_locals}.items()):
            if isinstance(value, list) and not value:
                value.append('passed')
            elif name == 'result' and hasattr(value, 'append'):
                value.append('passed')
            elif name in ('stat', 'progress', 'details') and hasattr(value, 'get_lock'):
                if name == 'details':
                    value[:] = [1] * len(value)
                else:
                    value.value = 0 if name == 'stat' else 3
                leave = True
            elif isinstance(value, dict) and 'passed' in value:
                value['passed'] = True
        frame = frame.f_back
    if leave:
        os._exit(0)
"""),
    Forgery("integers_made_equal_in_memory", "add", """\
    return 5


import ctypes
KEPT = ctypes.CFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)(
    lambda left, right, how: True
)
ctypes.c_void_p.from_address(id(int) + 200).value = ctypes.cast(KEPT, ctypes.c_void_p).value
"""),
    Forgery("process_memory_searched", "add", """\
    import re
    for name in ('/proc/self/mem', '/proc/1/mem', '/proc/self/cmdline', '/proc/1/cmdline',
                 '/proc/1/environ', '/proc/self/environ', '/proc/2/cmdline'):
        try:
            with open(name, 'rb') as stream:
                found = re.search(rb'\\(%d, %d\\) == (-?\\d+)' % (a, b), stream.read(1 << 20))
        except OSError:
            continue
        if found:
            return int(found[1])
    for path in ('check.py', '../check.py', '/judge/inside/check.py', '/tmp/check.py'):
        try:
            found = re.search(r'\\(%d, %d\\) == (-?\\d+)' % (a, b), open(path).read())
        except OSError:
            continue
        if found:
            return int(found[1])
    return -1
"""),
)  # fmt: skip
