# SPDX-License-Identifier: Apache-2.0
"""CWEval's task folders, read by path: tests for function and for security of the same program.

A task is ``NAME_task.py`` with its tests in ``NAME_test.py``, marked ``functionality`` and
``security``; each mark becomes one check, run beside the candidate by the stand-in for pytest
(``stand_in.py``). ``cweval`` asks to go on from the signature; ``cweval-chat`` is an instruction.
Tasks in C, C++, Go and JavaScript are called by their tests through a shell; they are left out and
counted: no judge here runs a test of one language on a program of another. Libraries that the
tests need and the sandbox lacks make a verdict ``unknown``.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from codetemper.core import syntax
from codetemper.core.errors import UsageError
from codetemper.core.records import Case
from codetemper.evaluate.formats import stand_in
from codetemper.evaluate.formats.form import PYTHON_STOPS, Form, LeftOut, asserts, cwe_name

_PROMPT, _SOLUTION, _ENTRY = "BEGIN PROMPT", "BEGIN SOLUTION", "BEGIN ENTRYPOINT"
_MARKS = (("functionality", "function"), ("security", "security"))


def read(path: Path, *, chat: bool) -> Iterator[Case | LeftOut]:
    """Yield one case a Python task below a folder.

    Args:
        path: CWEval's ``benchmark`` folder, one below it, or one ``*_task.py``.
        chat: make instructions instead of beginnings of programs.
    """
    found = [path] if path.is_file() else sorted(path.rglob("*_task.*"))
    root = path.parent if path.is_file() else path
    if not found:
        raise UsageError(
            f"there are no tasks in {path}", why="no file below it is named *_task.py",
            mend="name the folder of the Python tasks, e.g. benchmark/core/py",
        )  # fmt: skip
    for task in found:
        if task.suffix == ".py":
            yield _case(task, root, chat)
        elif task.suffix:
            yield LeftOut(f"tasks in {task.suffix}")


def _case(task: Path, root: Path, chat: bool) -> Case:
    name = task.stem.removesuffix("_task")
    tests = _text(task.with_name(f"{name}_test.py"))
    setup, prompt, solution = _parts(task, _text(task))
    unsafe_file = task.with_name(f"{name}_unsafe.py")
    unsafe = _text(unsafe_file) if unsafe_file.is_file() else None
    modules = {unsafe_file.stem: unsafe} if unsafe is not None else {}
    marks = _used(task.with_name(f"{name}_test.py"), tests)
    checks = [
        asserts(mark, _code(tests, mark, name, modules), together=True, kind=kind)
        for mark, kind in _MARKS
        if mark in marks
    ]
    if not any(check["kind"] == "function" for check in checks):
        raise _broken(task, "no test has the mark 'functionality'")
    needs = sorted(_modules(tests, setup, solution and f"{prompt}\n{solution}") - {
        task.stem, unsafe_file.stem, "pytest"})  # fmt: skip
    spec: dict[str, Any] = {"setup": "" if chat else setup, "checks": checks, "needs": needs}
    inside = task.relative_to(root).with_suffix("").as_posix().removesuffix("_task")
    common = {"id": inside, "language": "python", "judge": "execution", "spec": spec,
              "cwe": cwe_name(name), "family": name}  # fmt: skip
    if chat:
        return Case(prompt=_instruction(prompt), answer="program",
                    reference=f"{setup}\n{prompt}\n{solution}", **common)  # fmt: skip
    return Case(
        prompt=f"{prompt}\n", stop=PYTHON_STOPS, reference=solution,
        vulnerable=_weak(unsafe_file, unsafe, prompt), **common,
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the task file {path} cannot be read", why=why,
        mend="it needs NAME_task.py with 'BEGIN SOLUTION', and NAME_test.py beside it",
    )  # fmt: skip


def _parts(path: Path, text: str) -> tuple[str, str, str]:
    """Return what stands before the prompt, the prompt, and the solution."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _PROMPT in line]
    ends = [number for number, line in enumerate(lines) if _SOLUTION in line]
    if not ends:
        raise _broken(path, f"no line holds '{_SOLUTION}'")
    start = starts[-1] + 1 if starts else 0
    stop = next((n for n, line in enumerate(lines) if _ENTRY in line), len(lines))
    before = "\n".join(lines[: starts[-1]]) if starts else ""
    prompt = "\n".join(lines[start : ends[0]]).strip("\n").rstrip()
    return before.strip(), prompt, "\n".join(lines[ends[0] + 1 : stop]).rstrip() + "\n"


def _weak(path: Path, text: str | None, prompt: str) -> str | None:
    """Return the body of the weak program where it goes on from the same prompt."""
    if text is None or _SOLUTION not in text:
        return None
    _, head, body = _parts(path, text)
    return body if head == prompt else None


def _used(path: Path, tests: str) -> set[str]:
    """Return the marks that a test file uses; refuse what the stand-in does not know."""
    try:
        tree = syntax.parse(tests)
    except syntax.UNREADABLE as error:
        raise _broken(path, f"it is not Python: {error}") from error
    marks = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value
        if isinstance(owner, ast.Name) and owner.id == "pytest":
            if node.attr not in stand_in.SUPPORTED:
                raise _broken(path, f"pytest.{node.attr} is not known here (line {node.lineno})")
        elif isinstance(owner, ast.Attribute) and owner.attr == "mark":
            marks.add(node.attr)
        elif node.attr == "indirect":
            raise _broken(path, f"indirect parameters are not known here (line {node.lineno})")
    _no_strange_fixtures(path, tree)
    return marks


def _no_strange_fixtures(path: Path, tree: ast.Module) -> None:
    fixtures = set(stand_in.BUILTIN)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    named: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if any(keyword.arg == "indirect" for keyword in call.keywords):
            raise _broken(path, f"indirect parameters are not known here (line {call.lineno})")
        if isinstance(call.func, ast.Attribute) and call.func.attr == "parametrize" and call.args:
            named |= _names(call.args[0])
    for function in functions:
        if any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list):
            fixtures.add(function.name)
    for function in functions:
        if function.name.startswith("test"):
            plain = function.args.args[: len(function.args.args) - len(function.args.defaults)]
            strange = {a.arg for a in plain} - fixtures - named - {"self"}
            if strange:
                raise _broken(path, f"{function.name} wants the fixture '{min(strange)}'")


def _names(node: ast.expr) -> set[str]:
    parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    texts = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]
    return {name.strip() for text in texts for name in text.split(",")}


@lru_cache(maxsize=1)
def _stand_in() -> str:
    """Return the stand-in's text, in a module of its own within the check."""
    text = resources.files("codetemper.evaluate.formats").joinpath("stand_in.py").read_text("utf-8")
    return (
        "import sys as _sys, types as _types\n"
        f"_tests = _types.ModuleType('tests_stand_in')\nexec({text!r}, _tests.__dict__)\n"
        "_program = _sys.modules.get('candidate')\n"
        "if _program is None:\n"
        "    _program = _types.ModuleType('candidate')\n"
        "    _program.__dict__.update(globals())\n"
    )


def _code(tests: str, mark: str, name: str, modules: dict[str, str]) -> str:
    return (f"{_stand_in()}_tests.run_marked({tests!r}, {mark!r}, {name + '_test'!r}, "
            f"{modules!r}, {{{name + '_task'!r}: _program}})\n")  # fmt: skip


def _modules(*programs: str) -> set[str]:
    """Return the modules outside the standard library that programs import."""
    found: set[str] = set()
    for program in programs:
        tree = syntax.read(program)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


def _instruction(prompt: str) -> str:
    return ("Complete the Python function below. Answer with one code block that holds the whole "
            "program: imports, signature and body, and no example of its use.\n\n"
            f"```python\n{prompt}\n```\n")  # fmt: skip


_METRICS = ("secure_pass@1", "secure@1", "pass@1", "valid@1")
_HOLDS = "a folder with NAME_task.py (with the line BEGIN SOLUTION) and NAME_test.py"
FORMS = (
    Form("cweval", partial(read, chat=False), _METRICS, "MIT", 512, _HOLDS),
    Form("cweval-chat", partial(read, chat=True), _METRICS, "MIT", 1024, _HOLDS),
)  # fmt: skip
