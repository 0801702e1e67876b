# SPDX-License-Identifier: Apache-2.0
"""HumanEval-X and HumanEvalPack for Python and C++, read by path.

``humaneval-x`` and ``humanevalpack`` ask for the function; ``humanevalfix`` shows a broken one and
its tests and asks for it again. Rows of other languages are refused: no judge here runs them. The
prompt of ``humanevalfix`` is itself a program, with what is not code in comments, so that prompt +
completion is what is judged, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from codetemper.core.records import Case, Language
from codetemper.evaluate.formats.form import CPP_STOPS, Form, asserts
from codetemper.evaluate.formats.rows import Row, read_rows

_STOPS: dict[str, tuple[str, ...]] = {
    "python": ("\ndef ", "\nclass ", "\n#", "\n@", "\nprint", "\nif ", "\nassert", "\n```"),
    "cpp": CPP_STOPS,
}
_LANGUAGES: dict[str, Language] = {"python": "python", "cpp": "cpp", "c++": "cpp"}

# The headers and modules that HumanEval-X puts before every program, without numpy; boost only
# where it is installed (one task uses it).
_PYTHON_SETUP = """\
import collections
import copy
import datetime
import functools
import hashlib
import heapq
import itertools
import math
import re
import statistics
import string
import sys
from collections import *
from typing import *
"""
_CPP_PRELUDE = (
    "".join(
        f"#include <{name}>\n"
        for name in (
            "algorithm", "climits", "cmath", "cstring", "deque", "fstream", "iostream", "list",
            "map", "math.h", "numeric", "queue", "set", "sstream", "stack", "stdio.h",
            "stdlib.h", "string", "vector",
        )
    )
    + "#if __has_include(<boost/any.hpp>)\n#include <boost/any.hpp>\n#endif\n"
    + "using namespace std;\n"
)  # fmt: skip


def read(path: Path, *, broken: bool) -> Iterator[Case]:
    """Yield the cases of a file or a folder of files.

    Args:
        path: of the rows.
        broken: show ``buggy_solution`` and ask for it mended.
    """
    for row in read_rows(path):
        task = row.text("task_id")
        given = task.split("/")[0].lower()
        language = _LANGUAGES.get(given)
        if language is None:
            raise row.error(
                f"there is no judge for tasks in '{given}'",
                "read the Python or the C++ file alone",
            )
        prompt = _repair(row, language) if broken else row.text("prompt")
        yield Case(
            id=task, prompt=prompt, language=language, stop=_STOPS[language], family=task,
            reference=row.text("canonical_solution"), **_judged(row, language),
        )  # fmt: skip


def _judged(row: Row, language: Language) -> dict[str, Any]:
    if language == "python":
        checks = [asserts("tests", row.text("test"))]
        return {"judge": "execution", "spec": {"setup": _PYTHON_SETUP, "checks": checks}}
    check = {"name": "tests", "kind": "function"}
    # What the originals measure is the function alone: arithmetic that overflows in silence passes.
    spec = {"prelude": _CPP_PRELUDE, "driver": row.text("test"), "checks": [check],
            "flags": ["-fno-sanitize=all"]}  # fmt: skip
    return {"judge": "compiled", "spec": spec}


def _repair(row: Row, language: Language) -> str:
    """Return the prompt that shows the broken function and its tests and begins it again."""
    head, name = row.text("declaration"), row.text("entry_point")
    broken, tests = head + row.text("buggy_solution"), row.text("test")
    mark = "#" if language == "python" else "//"

    def remark(text: str) -> str:
        return "".join(f"{mark} {line}".rstrip() + "\n" for line in text.strip().split("\n"))

    if language == "cpp":
        # The headers and helpers before the function stand in the head and must stay visible.
        lines = head.rstrip().split("\n")
        body = f"#if 0\n{lines[-1]}\n{row.text('buggy_solution').rstrip()}\n#endif\n"
        before, head = "\n".join(lines[:-1]) + "\n", lines[-1] + "\n"
        broken = before + body
    asked = remark(f"{name} above has a bug. Here it is without it:")
    return f"{broken.rstrip()}\n\n{remark('Tests:')}{remark(tests)}\n{asked}{head.lstrip()}"


_METRICS = ("pass@1", "valid@1")
_HOLDS = "JSONL with task_id (Python/n or CPP/n), prompt, declaration, canonical_solution, test"
FORMS = (
    Form("humaneval-x", partial(read, broken=False), _METRICS, "Apache-2.0", 512, _HOLDS),
    Form("humanevalpack", partial(read, broken=False), _METRICS, "MIT", 512, _HOLDS),
    Form("humanevalfix", partial(read, broken=True), _METRICS, "MIT", 512,
         f"{_HOLDS}, entry_point, buggy_solution"),
)  # fmt: skip
