# SPDX-License-Identifier: Apache-2.0
"""Functions of a source file, and which of them a change modified (tree-sitter).

``functions(source, language)`` lists the outermost functions of C, C++ or Python text, each with
the comment attached above it (C, C++) or its decorators (Python); methods of Python classes are
dedented to column 0. A file that does not parse cleanly still yields the functions that could be
recovered. ``modified(before, after)`` pairs functions of two versions by name. Nothing here knows
about git or security.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Literal

import tree_sitter_c
import tree_sitter_cpp
import tree_sitter_python
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from codetemper.core import syntax

SourceLanguage = Literal["c", "cpp", "python"]

_EXTENSIONS: dict[str, SourceLanguage] = {
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".c++": "cpp",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".hxx": "cpp",
    ".py": "python",
}
_GRAMMARS = {
    "c": tree_sitter_c.language,
    "cpp": tree_sitter_cpp.language,
    "python": tree_sitter_python.language,
}
#: Error recovery sometimes reads a statement such as ``else if (x) {`` as a definition.
_NOT_NAMES = frozenset({"if", "for", "while", "switch", "return", "else", "do", "sizeof"})


@dataclass(frozen=True, slots=True)
class Function:
    """One function as text.

    Attributes:
        name: qualified name, e.g. ``copy``, ``Parser::feed`` or ``Parser.feed``.
        signature: the declaration without attached comment, white space collapsed.
        text: attached comment or decorators, signature and body; ends with a line break.
        body_start: offset in ``text``, in characters, at which a completion begins: after the
            line of the opening brace, or after the Python signature and docstring.
    """

    name: str
    signature: str
    text: str
    body_start: int


@dataclass(frozen=True, slots=True)
class Extracted:
    """The functions of one file.

    Attributes:
        functions: in order of appearance.
        clean: False where the parser met something it could not read.
    """

    functions: tuple[Function, ...]
    clean: bool


def language_of(path: str) -> SourceLanguage | None:
    """Return the language by file extension (``.h`` counts as C), or None."""
    return _EXTENSIONS.get(PurePosixPath(path).suffix.lower())


@cache
def _tools(language: SourceLanguage) -> tuple[Parser, Query]:
    grammar = Language(_GRAMMARS[language]())
    return Parser(grammar), Query(grammar, "(function_definition) @function")


def functions(source: str, language: SourceLanguage) -> Extracted:
    r"""List the outermost functions of a source text.

    Args:
        source: the whole file, with ``\n`` line ends.
        language: which grammar reads it.

    Returns:
        The functions found, also where parts of the file do not parse (macros, K&R, old Python).
    """
    data = source.encode("utf-8", "replace")
    parser, query = _tools(language)
    root = parser.parse(data).root_node
    captured = QueryCursor(query).captures(root).get("function", [])
    found: list[Function] = []
    end = -1
    for node in sorted(captured, key=lambda n: (n.start_byte, -n.end_byte)):
        if node.start_byte < end:
            continue
        one = _python(node, data) if language == "python" else _c(node, data)
        if one is not None:
            found.append(one)
            end = node.end_byte
    return Extracted(tuple(found), not root.has_error)


def _text(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")


def _line_start(data: bytes, at: int) -> int:
    return data.rfind(b"\n", 0, at) + 1


def _line_end(data: bytes, at: int) -> int:
    """Return the offset after the line break that ends the line of ``at``."""
    found = data.find(b"\n", at)
    return len(data) if found < 0 else found + 1


def _finish(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _c(node: Node, data: bytes) -> Function | None:
    body = node.child_by_field_name("body")
    if body is None or body.type not in ("compound_statement", "try_statement"):
        return None
    begins, named = _c_heading(node)
    name = "".join(_text(data, named.start_byte, named.end_byte).split())
    name = name.strip("()") if name.startswith("(") else name
    if not name or name in _NOT_NAMES:
        return None
    while begins.parent is not None and begins.parent.type == "template_declaration":
        begins = begins.parent
    # Unknown macros before the type may be left outside the node: take the line from its start.
    start = begins.start_byte
    line = _line_start(data, start)
    if not re.search(rb"[;{}#/]", data[line:start]):
        start = line
    signature = " ".join(_text(data, start, body.start_byte).split())
    start = _with_comments(begins, start, data)
    brace = body.start_byte + 1
    line_end = _line_end(data, brace)
    opens = line_end if not data[brace:line_end].strip() else brace
    text = _text(data, start, node.end_byte)
    return Function(name, signature, _finish(text), len(_text(data, start, opens)))


def _c_heading(node: Node) -> tuple[Node, Node]:
    """Return the node a definition begins with and the node of its name."""
    inner, declarator = node.child_by_field_name("declarator"), node
    while inner is not None:
        declarator = inner if inner.type == "function_declarator" else declarator
        parts = (c for c in inner.named_children if c.type.endswith("declarator"))
        inner = inner.child_by_field_name("declarator") or next(parts, None)
    children = declarator.named_children
    if declarator is not node and children[-1].type == "call_expression":
        # A macro call without semicolon before the definition reads as an old-style heading, and
        # the heading as its declarations: "MACRO(x) static int f(a) {".
        name = children[-1].child_by_field_name("function") or children[-1]
        after = (c for c in children[1:] if c.type != "parameter_list")
        return next(after, name), name
    return node, declarator.child_by_field_name("declarator") or declarator


def _with_comments(node: Node, start: int, data: bytes) -> int:
    """Move ``start`` up over comments that end on the line directly above."""
    row = node.start_point.row
    above = node.prev_sibling
    while above is not None and above.type == "comment" and above.end_point.row == row - 1:
        line = _line_start(data, above.start_byte)
        if data[line : above.start_byte].strip():
            break
        start, row, above = line, above.start_point.row, above.prev_sibling
    return start


def _python(node: Node, data: bytes) -> Function | None:
    body, name = node.child_by_field_name("body"), node.child_by_field_name("name")
    if body is None or name is None:
        return None
    outer = node
    if node.parent is not None and node.parent.type == "decorated_definition":
        outer = node.parent
    start = _line_start(data, outer.start_byte)
    prefix = data[start : outer.start_byte]
    if prefix.strip():
        return None
    opens = _python_opens(node, body, data)
    head, tail = _text(data, start, opens), _text(data, opens, node.end_byte)
    if margin := prefix.decode():
        head, tail = _dedent(head, margin), _dedent(tail, margin)
    signature = " ".join(_text(data, node.start_byte, body.start_byte).split())
    qualified = ".".join([*_classes(node, data), _text(data, name.start_byte, name.end_byte)])
    return Function(qualified, signature, _finish(head + tail), len(head))


def _python_opens(node: Node, body: Node, data: bytes) -> int:
    """Return the byte offset after the signature's line and, where there is one, the docstring."""
    colon = next(c for c in reversed(node.children) if c.type == ":")
    if body.start_point.row == colon.start_point.row:
        return body.start_byte
    first = body.named_children[0] if body.named_children else None
    is_docstring = (
        first is not None
        and first.type == "expression_statement"
        and [c.type for c in first.named_children] == ["string"]
    )
    if first is not None and is_docstring:
        return _line_end(data, first.end_byte)
    return _line_end(data, colon.end_byte)


def _dedent(text: str, margin: str) -> str:
    return "".join(line.removeprefix(margin) for line in text.splitlines(keepends=True))


def _classes(node: Node, data: bytes) -> list[str]:
    names: list[str] = []
    above = node.parent
    while above is not None:
        if above.type == "class_definition" and (name := above.child_by_field_name("name")):
            names.insert(0, _text(data, name.start_byte, name.end_byte))
        above = above.parent
    return names


def modified(
    before: Sequence[Function], after: Sequence[Function]
) -> list[tuple[Function, Function]]:
    """Pair the functions of two versions of a file and return the pairs that differ.

    Functions are paired by name; where a name occurs more than once (overloads, ``#ifdef``
    branches), identical ones are set aside and the rest are paired by likeness of signature.
    Functions that exist on one side only are left out: they have no other side.

    Returns:
        (before, after) in the order of ``after``.
    """
    old: dict[str, list[Function]] = defaultdict(list)
    for function in before:
        old[function.name].append(function)
    new: dict[str, list[Function]] = defaultdict(list)
    for function in after:
        new[function.name].append(function)
    pairs: list[tuple[Function, Function]] = []
    for name, candidates in new.items():
        unchanged = {f.text for f in candidates} & {f.text for f in old[name]}
        left = [f for f in old[name] if f.text not in unchanged]
        for function in candidates:
            if function.text in unchanged or not left:
                continue
            best = max(left, key=lambda f: _likeness(f.signature, function.signature))
            left.remove(best)
            pairs.append((best, function))
    order = {id(function): index for index, function in enumerate(after)}
    return sorted(pairs, key=lambda pair: order[id(pair[1])])


def _likeness(a: str, b: str) -> float:
    return 1.0 if a == b else difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def changed_lines(before: str, after: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the lines removed or changed in ``before`` and added or changed in ``after``.

    Lines are counted from 0.
    """
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    removed: list[int] = []
    added: list[int] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            removed.extend(range(i1, i2))
            added.extend(range(j1, j2))
    return tuple(removed), tuple(added)


_C_TOKENS = re.compile(
    r"""(?P<skip>//[^\n]*|/\*.*?\*/|\s+)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\w+|.""",
    re.DOTALL,
)
_PYTHON_COMMENT = re.compile(
    r"""(?P<keep>'''.*?'''|\"\"\".*?\"\"\"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\#[^\n]*""",
    re.DOTALL,
)


def cosmetic(before: str, after: str, language: SourceLanguage) -> bool:
    """Tell whether two texts differ in white space, comments or docstrings only."""
    return _essence(before, language) == _essence(after, language)


def _essence(text: str, language: SourceLanguage) -> object:
    if language != "python":
        return [m[0] for m in _C_TOKENS.finditer(text) if m.lastgroup != "skip"]
    tree = syntax.read(text)
    if tree is None:
        # Not Python 3: indentation has meaning, so only comments and line ends are taken off.
        bare = _PYTHON_COMMENT.sub(lambda m: m["keep"] or "", text)
        return [line.rstrip() for line in bare.splitlines() if line.strip()]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
