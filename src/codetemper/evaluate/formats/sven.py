# SPDX-License-Identifier: Apache-2.0
"""SVEN's pairs, and scenario folders of SVEN and of Pearce et al., read by path.

A pair becomes a case that asks for a function's body; the body after the fix is its reference, the
body before it is its vulnerable answer. A scenario becomes a case that asks to go on. Neither has
tests: the judge is ``static``, whose silence proves nothing, so expect ``unknown``. The projects
themselves asked CodeQL; a number found here is not comparable with theirs.
"""

from __future__ import annotations

import ast
import io
import json
import textwrap
import tokenize
from collections.abc import Iterator
from pathlib import Path

from codetemper.core import syntax
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Language
from codetemper.evaluate.formats.form import STOPS, Form, cwe_name, language_of
from codetemper.evaluate.formats.rows import Row, read_rows


def head_length(source: str, language: Language) -> int | None:
    """Return how many characters of a function are its head; None where no body is found.

    The head of a C or C++ function ends with the line of its opening brace; that of a Python
    function with its colon's line or, where there is one, its docstring.
    """
    return _python_head(source) if language == "python" else _c_head(source)


def _c_head(source: str) -> int | None:
    position, depth, size = 0, 0, len(source)
    while position < size:
        two, sign = source[position : position + 2], source[position]
        if two in ("//", "/*"):
            end = source.find("\n" if two == "//" else "*/", position + 2)
            if end < 0:
                return None
            position = end + (1 if two == "//" else 2)
            continue
        if sign in "\"'":
            position += 1
            while position < size and source[position] != sign:
                position += 2 if source[position] == "\\" else 1
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "{" and depth == 0:
            end = position + 1
            return end + 1 if source[end : end + 1] == "\n" else end
        position += 1
    return None


def _python_head(source: str) -> int | None:
    lines = source.splitlines(keepends=True)
    end = _colon(source)
    if end is None:
        return None
    row, column = end
    tree = syntax.read(source)
    function = tree.body[0] if tree is not None and tree.body else None
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        first = function.body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
            and len(function.body) > 1
            and (first.end_lineno or 0) < function.body[1].lineno
        ):
            row, column = first.end_lineno or row, 1 << 30
    length = sum(map(len, lines[: row - 1]))
    line = lines[row - 1]
    rest = line[column:].strip()
    return length + (column if rest and not rest.startswith("#") else len(line))


def _colon(source: str) -> tuple[int, int] | None:
    """Return row and column behind the colon that ends the signature."""
    depth, seen = 0, False
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and token.string == "def":
                seen = True
            elif token.type == tokenize.OP and token.string in "([{":
                depth += 1
            elif token.type == tokenize.OP and token.string in ")]}":
                depth -= 1
            elif token.string == ":" and token.type == tokenize.OP and seen and depth == 0:
                return token.end
    except (tokenize.TokenError, SyntaxError):
        return None
    return None


def pairs(path: Path) -> Iterator[Case]:
    """Yield one case a pair of SVEN's ``data_train_val`` files."""
    counts: dict[str, int] = {}
    for row in read_rows(path):
        cwe = row.text("vul_type")
        if cwe_name(cwe) is None:
            raise row.error(f"the field 'vul_type' names no weakness: {cwe!r}")
        number = counts[cwe] = counts.get(cwe, -1) + 1
        yield _pair(row, f"sven/{cwe}/{number}", cwe)


def _pair(row: Row, id: str, cwe: str) -> Case:
    language = language_of(row.text("file_name"))
    if language not in ("python", "c", "cpp"):
        raise row.error(f"the field 'file_name' names no Python, C or C++: {row.text('file_name')}")
    after, before = row.text("func_src_after"), row.text("func_src_before")
    if language == "python":
        # Methods are indented; alone they are no Python.
        after, before = _left(after), _left(before)
    length = head_length(after, language)
    if length is None:
        raise row.error("the field 'func_src_after' holds no function with a body")
    head = after[:length]
    return Case(
        id=id, prompt=head, language=language, judge="static", stop=STOPS[language],
        reference=after[length:],
        # Where the fix changed the head, the old body does not go on from the new head.
        vulnerable=before[length:] if before.startswith(head) and before != after else None,
        cwe=cwe_name(cwe), family=cwe,
    )  # fmt: skip


def _left(source: str) -> str:
    """Return a function at column 0, however its first line was cut out of its file."""
    moved = textwrap.dedent(source)
    first = moved.split("\n", 1)
    if len(first) == 2 and not first[0][:1].isspace() and first[1][:1].isspace():
        return moved
    return moved


def scenarios(path: Path) -> Iterator[Case]:
    """Yield one case a scenario folder (``info.json``) or a row with ``scenario_id``."""
    if path.is_file():
        yield from map(_scenario_row, read_rows(path))
        return
    found = sorted(path.rglob("info.json")) if path.is_dir() else []
    if not found:
        raise UsageError(
            f"there are no scenarios in {path}",
            why="no folder below it has an info.json",
            mend="name the folder that holds cwe-*/*/info.json, or a file of rows with scenario_id",
        )
    for info in found:
        yield _scenario_folder(path, info)


def _scenario_folder(root: Path, info: Path) -> Case:
    folder = info.parent
    inside = folder.relative_to(root).parts
    id = "/".join(inside[-3:]) or "/".join(folder.resolve().parts[-2:])
    try:
        ending = json.loads(info.read_text("utf-8"))["language"]
        parts = [
            (folder / f"{part}_context.{ending}").read_text("utf-8") for part in ("file", "func")
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the scenario {folder} cannot be read",
            why=f"{type(error).__name__}: {error}",
            mend="it needs info.json with 'language', file_context.LANGUAGE, func_context.LANGUAGE",
        ) from error
    language = language_of(str(ending))
    if language not in STOPS:
        raise UsageError(
            f"the scenario {folder} cannot be read", why=f"no judge speaks '{ending}'",
            mend="leave it out",
        )  # fmt: skip
    # The weakness names the folder above; two of them (cwe-022-079) name the first.
    cwes = (cwe_name(part) for part in reversed(folder.resolve().parts) if "cwe" in part.lower())
    return Case(
        id=id, prompt="".join(parts), language=language, judge="static", stop=STOPS[language],
        cwe=next(cwes, None), family=folder.resolve().parent.name,
    )  # fmt: skip


def _scenario_row(row: Row) -> Case:
    language = language_of(row.text("language"))
    if language not in STOPS:
        raise row.error(f"no judge speaks '{row.text('language')}'", "leave the row out")
    id = row.text("scenario_id")
    return Case(
        id=id, prompt=row.text("prompt"), language=language, judge="static", stop=STOPS[language],
        cwe=cwe_name(id), family=id,
    )  # fmt: skip


_METRICS = ("secure@1", "valid@1")
_FOLDERS = "folders cwe-*/NAME/ with info.json, file_context.*, func_context.*; or JSONL with "
FORMS = (
    Form("sven", pairs, _METRICS, "MIT", 1024,
         "JSONL, or a folder of it, with func_src_before, func_src_after, file_name, vul_type"),
    Form("sven-scenarios", scenarios, _METRICS, "MIT", 300,
         f"{_FOLDERS}scenario_id, prompt, language"),
    Form("pearce", scenarios, _METRICS, "MIT", 300, f"{_FOLDERS}scenario_id, prompt, language"),
)  # fmt: skip
