# SPDX-License-Identifier: Apache-2.0
"""HumanEval, HumanEval+, MBPP and MBPP+, read by path.

Rows with ``test`` (HumanEval) or ``test_list`` (MBPP) become one visible assert-style check. Rows
of EvalPlus become two: ``base`` inputs and, hidden, ``plus`` inputs; see ``evalplus.py`` for how
the right outputs are had. Nothing is run here.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codetemper.core import syntax
from codetemper.core.records import Case
from codetemper.evaluate.formats import evalplus
from codetemper.evaluate.formats.form import PYTHON_STOPS, Form, asserts
from codetemper.evaluate.formats.rows import Row, read_rows

MBPP_STOPS = ('\n"""', "\nif __name__", "\nprint(", "\nassert", "\n```")
_METRICS = ("pass@1", "valid@1")


def _python(row: Row, id: str, prompt: str, checks: list[dict[str, Any]], **more: Any) -> Case:
    if not checks:
        raise row.error("it has no tests")
    return Case(
        id=id, prompt=prompt, language="python", judge="execution", family=id,
        spec={"setup": "", "checks": checks}, **more,
    )  # fmt: skip


def humaneval(path: Path) -> Iterator[Case]:
    """Yield the cases of HumanEval or HumanEval+ rows; a file may mix them."""
    for row in read_rows(path):
        name = row.text("entry_point")
        if not name.isidentifier():
            raise row.error(f"the field 'entry_point' is no name: {name!r}")
        if "base_input" in row:
            checks = evalplus.checks(row, name, row.text("prompt"), evalplus.HUMANEVAL)
        else:
            code = evalplus.without_numpy(row.text("test"))
            checks = [asserts("tests", f"{code}\ncheck({name})\n")]
        reference = row.text("canonical_solution") if "canonical_solution" in row else None
        yield _python(
            row, row.text("task_id"), row.text("prompt"), checks, stop=PYTHON_STOPS,
            reference=reference,
        )  # fmt: skip


def mbpp(path: Path) -> Iterator[Case]:
    """Yield the cases of MBPP rows (full or sanitized) or of MBPP+ rows; a file may mix them."""
    for row in read_rows(path):
        if "base_input" in row:
            name = row.text("entry_point")
            checks = evalplus.checks(row, name, "", evalplus.MBPP)
            yield _python(
                row, row.text("task_id"), row.text("prompt"), checks, stop=MBPP_STOPS,
                reference=row.text("canonical_solution"),
            )  # fmt: skip
            continue
        yield _mbpp_row(row)


def _mbpp_row(row: Row) -> Case:
    tests = row.texts("test_list")
    if not tests:
        raise row.error("the field 'test_list' is empty")
    before = [*row.texts("test_imports", optional=True), row.text_or("test_setup_code")]
    code = "\n".join([*before, *tests]) + "\n"
    checks = [asserts("tests", code, together=_needs_live_objects(code))]
    if "test" in row:
        # The rows of MBPP+ as a data set have the plus tests as one script.
        checks.append(asserts("plus", evalplus.without_numpy(row.text("test")), hidden=True))
    given = row.id("task_id")
    return _python(
        row, given if "/" in given else f"mbpp/{given}",
        f'"""\n{row.text("text", "prompt").strip()}\n{tests[0]}\n"""\n', checks,
        stop=MBPP_STOPS, reference=row.text("code") if "code" in row else None,
    )  # fmt: skip


def _needs_live_objects(tests: str) -> bool:
    """Tell whether tests make objects of a class that only the program can define."""
    tree = syntax.read(tests)
    if tree is None:
        return False
    nodes = list(ast.walk(tree))
    known = {node.id for node in nodes if isinstance(node, ast.Name) and not _loaded(node)}
    known |= {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    known |= {alias.asname or alias.name for node in nodes
              if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}  # fmt: skip
    known |= set(dir(builtins))
    called = {node.func.id for node in nodes
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    return any(name[:1].isupper() for name in called - known)


def _loaded(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


FORMS = (
    Form("humaneval", humaneval, _METRICS, "MIT", 384,
         "JSONL with task_id, prompt, entry_point, test; or EvalPlus's with base_input"),
    Form("humaneval+", humaneval, _METRICS, "Apache-2.0", 384,
         "EvalPlus's JSONL: task_id, prompt, entry_point, canonical_solution, base_input, "
         "plus_input, atol"),
    Form("mbpp", mbpp, _METRICS, "CC-BY-4.0", 384,
         "JSONL with task_id, text, test_list; or the sanitized JSON with prompt, test_imports"),
    Form("mbpp+", mbpp, _METRICS, "Apache-2.0", 384,
         "EvalPlus's JSONL with base_input and plus_input, or its data set's rows with test"),
)  # fmt: skip
