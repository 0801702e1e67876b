# SPDX-License-Identifier: Apache-2.0
"""A small stand-in for pytest: collects and runs marked, parametrised tests of one file.

The sandbox has no pytest. The text of this file goes before a check (``cweval.py``) and runs beside
the candidate; it needs the standard library alone. It knows marks, ``parametrize``, ``param``,
``raises``, ``approx``, ``fixture``, ``skip``, ``fail``, ``importorskip``, and the fixtures
``tmp_path``, ``monkeypatch`` and ``capsys``; ``SUPPORTED`` is what a reader may let through. A test
that is skipped has not passed, as in CWEval's own count.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import itertools
import math
import os
import pathlib
import re
import sys
import tempfile
import types
from collections.abc import Iterator
from typing import Any

#: Names of pytest that tests may use.
SUPPORTED = frozenset(
    ("mark", "param", "raises", "approx", "fixture", "skip", "fail", "xfail", "importorskip",
     "main", "MonkeyPatch")
)  # fmt: skip
#: Fixtures that are always there.
BUILTIN = frozenset(("tmp_path", "monkeypatch", "capsys", "request"))


class _Mark:
    def __init__(self, name: Any, args: Any = (), kwargs: Any = None) -> None:
        self.name, self.args, self.kwargs = name, args, kwargs or {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        marked = args[0] if len(args) == 1 and not kwargs else None
        if inspect.isfunction(marked) or inspect.isclass(marked):
            marked.pytestmark = [*getattr(marked, "pytestmark", []), self]
            return marked
        return _Mark(self.name, args, kwargs)


class _Marks:
    def __getattr__(self, name: Any) -> Any:
        return _Mark(name)


class _Param:
    def __init__(self, values: Any, marks: Any, id: Any) -> None:
        self.values, self.id = values, id
        self.marks = list(marks) if isinstance(marks, (list, tuple)) else [marks]


class _SkippedError(Exception):
    pass


class _Raises:
    def __init__(self, kinds: Any, match: Any = None) -> None:
        self.kinds, self.match, self.value = kinds, match, None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        if kind is None:
            raise AssertionError("did not raise")
        if not issubclass(kind, self.kinds):
            return False
        self.value, self.type = value, kind
        if self.match is not None and not re.search(self.match, str(value)):
            raise AssertionError("raised with another message")
        return True


def _raises(kinds: Any, *args: Any, match: Any = None, **kwargs: Any) -> Any:
    context = _Raises(kinds, match)
    if not args:
        return context
    with context:
        args[0](*args[1:], **kwargs)
    return context


class _Approx:
    def __init__(self, right: Any, rel: Any = None, abs: Any = None, nan_ok: Any = False) -> None:
        self.right, self.rel, self.abs, self.nan_ok = right, rel, abs, nan_ok

    def __eq__(self, other: Any) -> bool:
        return self._near(other, self.right)

    __hash__ = None

    def _near(self, out: Any, right: Any) -> Any:
        if isinstance(right, dict):
            return out.keys() == right.keys() and all(self._near(out[k], right[k]) for k in right)
        if isinstance(right, (list, tuple)):
            return len(out) == len(right) and all(map(self._near, out, right))
        if out == right:
            return True
        if math.isnan(right) or math.isinf(right):
            return self.nan_ok and out != out and right != right
        width = 1e-12 if self.abs is None else self.abs
        if self.rel is not None or self.abs is None:
            width = max(width, (1e-6 if self.rel is None else self.rel) * abs(right))
        return abs(out - right) <= width


class _MonkeyPatch:
    """What the fixture of that name does, undone after the test."""

    def __init__(self) -> None:
        self._undo = []

    def setattr(self, target: Any, name: Any, value: Any = None, raising: Any = True) -> None:
        if isinstance(target, str):
            target, name, value = _place(target), target.rsplit(".", 1)[1], name
        there = hasattr(target, name)
        if raising and not there:
            raise AttributeError(name)
        old = getattr(target, name, None)
        self._undo.append(lambda: setattr(target, name, old) if there else delattr(target, name))
        setattr(target, name, value)

    def delattr(self, target: Any, name: Any, raising: Any = True) -> None:
        if raising or hasattr(target, name):
            old = getattr(target, name)
            self._undo.append(lambda: setattr(target, name, old))
            delattr(target, name)

    def setitem(self, mapping: Any, name: Any, value: Any) -> None:
        there, old = name in mapping, mapping.get(name)
        self._undo.append(lambda: mapping.update({name: old}) if there else mapping.pop(name, None))
        mapping[name] = value

    def delitem(self, mapping: Any, name: Any, raising: Any = True) -> None:
        if raising or name in mapping:
            old = mapping.pop(name)
            self._undo.append(lambda: mapping.update({name: old}))

    def setenv(self, name: Any, value: Any, prepend: Any = None) -> None:
        if prepend and name in os.environ:
            value = str(value) + prepend + os.environ[name]
        self.setitem(os.environ, name, str(value))

    def delenv(self, name: Any, raising: Any = True) -> None:
        self.delitem(os.environ, name, raising)

    def syspath_prepend(self, path: Any) -> None:
        self.setattr(sys, "path", [str(path), *sys.path])

    def chdir(self, path: Any) -> None:
        old = os.getcwd()
        self._undo.append(lambda: os.chdir(old))
        os.chdir(path)

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()


def _place(dotted: Any) -> Any:
    parts = dotted.split(".")[:-1]
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ImportError(dotted)


class _Captured:
    def __init__(self) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()

    def readouterr(self) -> Any:
        found = types.SimpleNamespace(out=self.out.getvalue(), err=self.err.getvalue())
        for stream in (self.out, self.err):
            stream.seek(0)
            stream.truncate()
        return found


def _fixture(function: Any = None, **options: Any) -> Any:
    def mark(made: Any) -> Any:
        made._fixture = options
        return made

    return mark(function) if callable(function) else mark


def _skip(reason: Any = "", **_: Any) -> None:
    raise _SkippedError(reason)


def _fail(reason: Any = "", **_: Any) -> None:
    raise AssertionError(reason)


def _importorskip(name: Any, **_: Any) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise _SkippedError(name) from None


def pytest_module() -> types.ModuleType:
    """Return the module that tests import as ``pytest``."""
    module = types.ModuleType("pytest")
    module.mark, module.raises, module.approx = _Marks(), _raises, _Approx
    module.param = lambda *values, marks=(), id=None: _Param(values, marks, id)
    module.fixture, module.skip, module.fail, module.xfail = _fixture, _skip, _fail, _fail
    module.importorskip, module.main = _importorskip, lambda *_, **__: 0
    module.MonkeyPatch = _MonkeyPatch
    return module


def _variants(marks: Any) -> Iterator[Any]:
    """Yield the arguments and the marks of every combination of parametrisations."""
    axes = []
    for mark in marks:
        if mark.name != "parametrize":
            continue
        names, rows = [*mark.args, mark.kwargs.get("argvalues")][:2]
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",") if name.strip()]
        axis = []
        for row in rows:
            more, id, values = [], None, row
            if isinstance(row, _Param):
                more, id = row.marks, row.id
                values = row.values[0] if len(names) == 1 else row.values
            given = {names[0]: values} if len(names) == 1 else dict(zip(names, values, strict=True))
            axis.append((given, more, id))
        axes.append(axis)
    for choice in itertools.product(*axes):
        arguments, more, ids = {}, [], []
        for given, marks_of_row, id in choice:
            arguments.update(given)
            more += marks_of_row
            ids.append(str(id) if id is not None else "-".join(map(str, given.values())))
        yield arguments, more, "-".join(ids)


def _tests(space: Any) -> Iterator[Any]:
    """Yield name, callable and marks of every test of a module, methods after functions."""
    above = space.get("pytestmark", [])
    above = list(above) if isinstance(above, (list, tuple)) else [above]
    for name, found in list(space.items()):
        if name.startswith("test") and inspect.isfunction(found):
            yield name, found, None, [*getattr(found, "pytestmark", []), *above]
        elif name.startswith("Test") and inspect.isclass(found):
            of_class = getattr(found, "pytestmark", [])
            for inner, method in list(vars(found).items()):
                if inner.startswith("test") and inspect.isfunction(method):
                    marks = [*getattr(method, "pytestmark", []), *of_class, *above]
                    yield f"{name}::{inner}", method, found, marks


def _run_one(function: Any, owner: Any, arguments: Any, space: Any) -> Any:
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(os.getcwd()))
        made = {}

        def value(name: Any) -> Any:
            if name in arguments:
                return arguments[name]
            if name not in made:
                made[name] = _make(name, space, value, stack)
            return made[name]

        target = function
        if owner is not None:
            instance = owner()
            if hasattr(instance, "setup_method"):
                _with_method(instance.setup_method, function)
            if hasattr(instance, "teardown_method"):
                stack.callback(_with_method, instance.teardown_method, function)
            target = function.__get__(instance)
        wanted = inspect.signature(target).parameters.values()
        for made_name, found in list(space.items()):
            if getattr(found, "_fixture", {}).get("autouse"):
                value(made_name)
        # Keyword only, so that a parameter's default is not asked of a fixture.
        target(**{p.name: value(p.name) for p in wanted
                  if p.default is p.empty or p.name in arguments})  # fmt: skip


def _with_method(hook: Any, function: Any) -> None:
    hook(function) if inspect.signature(hook).parameters else hook()


def _make(name: Any, space: Any, value: Any, stack: Any) -> Any:
    if name == "tmp_path":
        return pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
    if name == "monkeypatch":
        patch = _MonkeyPatch()
        stack.callback(patch.undo)
        return patch
    if name == "capsys":
        captured = _Captured()
        stack.enter_context(contextlib.redirect_stdout(captured.out))
        stack.enter_context(contextlib.redirect_stderr(captured.err))
        return captured
    if name == "request":
        return types.SimpleNamespace(addfinalizer=stack.callback)
    found = next(
        (f for key, f in space.items()
         if hasattr(f, "_fixture") and f._fixture.get("name", key) == name), None)  # fmt: skip
    if found is None:
        raise LookupError(f"there is no fixture '{name}'")
    given = {p: value(p) for p in inspect.signature(found).parameters}
    result = found(**given)
    if inspect.isgenerator(result):
        steps, result = result, next(result)
        stack.callback(next, steps, None)
    return result


def run_marked(source: Any, mark: Any, name: Any, modules: Any, candidate: Any) -> None:
    """Run the tests of a file that carry a mark; the first that does not pass raises.

    Args:
        source: text of the test file.
        mark: ``functionality`` or ``security``; a test with both counts as the former.
        name: of the test file.
        modules: text by name of modules that the tests import beside the candidate.
        candidate: the names under which the tests import the candidate, and its module.

    Raises:
        AssertionError: a test failed, was skipped, or raised anything; or none has the mark.
    """
    sys.modules["pytest"] = pytest_module()
    for known, module in candidate.items():
        sys.modules[known] = module
    for known, text in modules.items():
        sys.meta_path.insert(0, _Finder(known, text))
    space = {"__name__": name, "__file__": os.path.abspath(name + ".py")}
    exec(compile(source, name + ".py", "exec"), space)  # noqa: S102 - the suite's own tests
    count = 0
    for label, function, owner, marks in _tests(space):
        for arguments, more, id in _variants(marks):
            names = {m.name for m in [*marks, *more]}
            kind = "functionality" if "functionality" in names else "security"
            if kind != mark or kind not in names or "_unsafe" in f"{label}[{id}]".lower():
                continue
            count += 1
            try:
                _run_one(function, owner, arguments, space)
            except BaseException as error:
                told = f"{label}[{id}]: {type(error).__name__}: {error}"
                raise AssertionError(told[:300]) from None
    if not count:
        raise AssertionError(f"no test has the mark {mark}")


class _Finder:
    """Imports a module from a text, when it is first asked for."""

    def __init__(self, name: Any, text: Any) -> None:
        self.name, self.text = name, text

    def find_spec(self, name: Any, path: Any = None, target: Any = None) -> Any:
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self) if name == self.name else None

    def create_module(self, spec: Any) -> Any:
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.text, self.name + ".py", "exec"), module.__dict__)  # noqa: S102
