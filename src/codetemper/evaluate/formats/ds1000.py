# SPDX-License-Identifier: Apache-2.0
"""DS-1000 in its simplified form (one JSONL file), read by path.

A completion is a piece of a program that the tests put into a context of their own, so it reaches
the check as a text. The tests compare live objects (frames, arrays) and run in the candidate's
process. They need the library the task is about inside the sandbox; where it is not there the
verdict is ``unknown``, never a failure.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from codetemper.core import syntax
from codetemper.core.records import Case
from codetemper.evaluate.formats.form import Form, asserts
from codetemper.evaluate.formats.rows import Row, read_rows

_STOPS = ("</code>", "\n# SOLUTION END", "\nEND SOLUTION", "\n```")
_IMPORTED = {"sklearn": "sklearn", "pytorch": "torch"}


def read(path: Path) -> Iterator[Case]:
    """Yield one case a problem."""
    for row in read_rows(path):
        about = row.value("metadata", dict, "object")
        for name in ("problem_id", "library"):
            if name not in about:
                raise row.error(f"the field 'metadata' lacks '{name}'")
        context = row.text("code_context")
        defined = _functions(row, context)
        if "test_execution" not in defined:
            raise row.error("the field 'code_context' does not define test_execution")
        code = f"{context}\ntest_execution(completion)\n"
        if "test_string" in defined:
            code += "test_string(completion)\n"
        library = str(about["library"]).lower()
        needed = sorted(_modules(context) | {_IMPORTED.get(library, library)})
        check = asserts("tests", code, together=True)
        yield Case(
            id=f"ds1000/{about['problem_id']}", prompt=row.text("prompt"), language="python",
            judge="execution", spec={"setup": "", "checks": [check], "needs": needed},
            stop=_STOPS, answer="text", family=str(about["library"]),
            reference=row.text("reference_code") if "reference_code" in row else None,
        )  # fmt: skip


def _functions(row: Row, context: str) -> set[str]:
    try:
        tree = syntax.parse(context)
    except syntax.UNREADABLE as error:
        raise row.error(f"the field 'code_context' is not Python: {error}") from error
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _modules(context: str) -> set[str]:
    """Return the modules outside the standard library that a program imports at its top."""
    found: set[str] = set()
    for node in ast.walk(syntax.parse(context)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


FORMS = (
    Form("ds1000", read, ("pass@1",), "CC-BY-SA-4.0", 512,
         "JSONL with prompt, code_context, metadata, and mostly reference_code"),
)  # fmt: skip
