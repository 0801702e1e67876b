# SPDX-License-Identifier: Apache-2.0
"""One definition node of a syntax tree as a ``Function``: name, signature, text, body.

Used by ``functions.py``, which finds the nodes. C is read leniently: macros before a type,
old-style headings and directives within a heading still give the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tree_sitter import Node

#: Error recovery sometimes reads a statement such as ``else if (x) {`` as a definition.
_NOT_NAMES = frozenset({
    "catch", "class", "do", "else", "enum", "for", "if", "namespace", "return", "sizeof",
    "struct", "switch", "typedef", "union", "while",
})  # fmt: skip
#: A heading without parameters that holds one of these words defines a type.
_TYPE = re.compile(rb"\b(?:class|enum|struct|typedef|union)\b")
#: What ends above a heading: an empty line or a directive.
_ABOVE_HEADING = re.compile(rb".*\n[ \t]*(?:\n|#[^\n]*\n)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Function:
    """One function as text.

    Attributes:
        name: name qualified by its classes, e.g. ``copy``, ``Parser::feed`` or ``Parser.feed``.
        signature: the declaration without attached comment, white space collapsed.
        text: attached comment or decorators, signature and body; ends with a line break.
        body_start: offset in ``text``, in characters, at which a completion begins: after the
            line of the opening brace, or after the Python signature and docstring.
    """

    name: str
    signature: str
    text: str
    body_start: int


def text_of(data: bytes, start: int, end: int) -> str:
    """Return bytes ``start`` to ``end`` as text."""
    return data[start:end].decode("utf-8", "replace")


def field_text(node: Node, field: str, data: bytes) -> str:
    """Return the text of a field without white space; empty where there is none."""
    child = node.child_by_field_name(field)
    return "" if child is None else "".join(text_of(data, child.start_byte, child.end_byte).split())


def _line_start(data: bytes, at: int) -> int:
    return data.rfind(b"\n", 0, at) + 1


def _line_end(data: bytes, at: int) -> int:
    """Return the offset after the line break that ends the line of ``at``."""
    found = data.find(b"\n", at)
    return len(data) if found < 0 else found + 1


def _finish(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def read_c(node: Node, outer: Node, classes: tuple[str, ...], data: bytes) -> Function | None:
    """Read a ``function_definition`` of C or C++; None where it is none after all."""
    body = node.child_by_field_name("body")
    if body is None or body.type not in ("compound_statement", "try_statement"):
        return None
    begins, named = _c_heading(node)
    name = "".join(text_of(data, named.start_byte, named.end_byte).split())
    name = name.strip("()") if name.startswith("(") else name.lstrip("*&")
    if not name or name in _NOT_NAMES:
        return None
    if named.parent == node and _TYPE.search(data, node.start_byte, body.start_byte):
        return None
    begins = outer if begins is node else begins
    # Unknown macros before the type may be left outside the node: take the line from its start.
    start = begins.start_byte
    line = _line_start(data, start)
    if not re.search(rb"[;{}#/]", data[line:start]):
        start = line
    name = "::".join([*classes, name])
    if above := _ABOVE_HEADING.match(data, node.start_byte, max(node.start_byte, named.start_byte)):
        # A macro that stands alone was read as a part of the type.
        return _braced(name, (above.end(), above.end()), body, node.end_byte, data)
    return _braced(name, (_with_comments(begins, start, data), start), body, node.end_byte, data)


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


def read_braced(node: Node, outer: Node, name: str, data: bytes) -> Function | None:
    """Read a definition of Java, JavaScript or Go.

    Args:
        node: the definition.
        outer: the statement it is all of, such as ``export const f = () => { };``.
        name: its qualified name.
        data: the file.
    """
    body = node.child_by_field_name("body")
    if body is None and node.type == "static_initializer":
        body = node.named_children[-1]
    if body is None or not name:
        return None
    start = outer.start_byte
    line = _line_start(data, start)
    if not data[line:start].strip():
        start = line
    return _braced(name, (_with_comments(outer, start, data), start), body, outer.end_byte, data)


def _braced(name: str, starts: tuple[int, int], body: Node, end: int, data: bytes) -> Function:
    """Make a function of where its comments and its heading start, its body and its end."""
    start, heading = starts
    signature = " ".join(text_of(data, heading, body.start_byte).split())
    opens = body.start_byte
    if data[opens : opens + 1] == b"{":
        opens += 1
        line_end = _line_end(data, opens)
        opens = line_end if not data[opens:line_end].strip() else opens
    head = text_of(data, start, opens)
    return Function(name, signature, _finish(head + text_of(data, opens, end)), len(head))


def _with_comments(node: Node, start: int, data: bytes) -> int:
    """Move ``start`` up over comments that end on the line directly above."""
    row = node.start_point.row
    above = node.prev_sibling
    while above is not None and above.type.endswith("comment") and above.end_point.row == row - 1:
        line = _line_start(data, above.start_byte)
        if data[line : above.start_byte].strip():
            break
        start, row, above = line, above.start_point.row, above.prev_sibling
    return start


def read_python(node: Node, outer: Node, classes: tuple[str, ...], data: bytes) -> Function | None:
    """Read a ``function_definition`` of Python, dedented to column 0."""
    body, name = node.child_by_field_name("body"), node.child_by_field_name("name")
    if body is None or name is None:
        return None
    start = _line_start(data, outer.start_byte)
    prefix = data[start : outer.start_byte]
    if prefix.strip():
        return None
    opens = _python_opens(node, body, data)
    head, tail = text_of(data, start, opens), text_of(data, opens, node.end_byte)
    if margin := prefix.decode():
        head, tail = _dedent(head, margin), _dedent(tail, margin)
    signature = " ".join(text_of(data, node.start_byte, body.start_byte).split())
    qualified = ".".join([*classes, text_of(data, name.start_byte, name.end_byte)])
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
    return "\n".join(line.removeprefix(margin) for line in text.split("\n"))
