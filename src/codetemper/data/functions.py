# SPDX-License-Identifier: Apache-2.0
"""Functions of a source file (tree-sitter).

``functions(source, language)`` lists the outermost functions of C, C++, Python, Java, JavaScript or
Go text, each with the comment attached above it or its decorators; methods of Python classes are
dedented to column 0. A file that does not parse cleanly still yields the functions that could be
recovered. Which functions of two versions belong together is told by ``alignment.py``. Nothing here
knows about git or security.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tree_sitter import Node

from codetemper.core import syntax
from codetemper.data._definitions import (
    Function,
    field_text,
    read_braced,
    read_c,
    read_python,
    text_of,
)
from codetemper.data.changes import compare
from codetemper.data.languages import GRAMMARS, Grammar, SourceLanguage, parse
from codetemper.data.tokens import tokens
from codetemper.data.units import LONGEST_KEPT, one_branch, readable, units

__all__ = ["Extracted", "Function", "cosmetic", "functions"]


@dataclass(frozen=True, slots=True)
class Extracted:
    """The functions of one file.

    Attributes:
        functions: in order of appearance.
        clean: False where the parser met something it could not read.
    """

    functions: tuple[Function, ...]
    clean: bool


def functions(source: str, language: SourceLanguage) -> Extracted:
    r"""List the outermost functions of a source text.

    Args:
        source: the whole file, with ``\n`` line ends.
        language: which grammar reads it.

    Returns:
        The functions found, also where parts of the file do not parse (macros, K&R, old Python).
    """
    if language not in ("c", "cpp"):
        return _read(source, source, language)
    found: list[Function] = []
    clean = True
    for unit in units(source):
        read = _unit if len(unit) < LONGEST_KEPT else _unit.__wrapped__
        within = read(unit, language)
        found += within.functions
        clean = clean and within.clean
    return Extracted(tuple(found), clean)


@lru_cache(maxsize=4096)
def _unit(unit: str, language: SourceLanguage) -> Extracted:
    """Read a top-level unit of C or C++; those that files and versions share are read once."""
    first = readable(unit)
    found = _read(unit, first, language)
    if found.clean or (second := one_branch(unit)) == first:
        return found
    other = _read(unit, second, language)
    better = other.clean or len(other.functions) > len(found.functions)
    return other if better else found


def _read(source: str, parsed: str, language: SourceLanguage) -> Extracted:
    """List the functions of a text by the tree of another that has the same offsets."""
    data = source.encode("utf-8", "replace")
    root = parse(
        data if parsed is source else parsed.encode("utf-8", "replace"), language
    ).root_node
    walk = _Walk(data, language, GRAMMARS[language])
    return Extracted(tuple(walk.within(root, None, ())), not root.has_error)


#: Nodes that wrap one definition and belong to its text.
_WRAPPERS = frozenset({
    "assignment_expression", "decorated_definition", "export_statement", "expression_statement",
    "field_definition", "friend_declaration", "lexical_declaration", "linkage_specification",
    "pair", "template_declaration", "variable_declaration", "variable_declarator",
})  # fmt: skip
#: Where JavaScript says what a value is called.
_NAMED_BY = {
    "assignment_expression": "left",
    "field_definition": "property",
    "pair": "key",
    "variable_declarator": "name",
}


@dataclass(frozen=True, slots=True)
class _Walk:
    """The search for definitions in one file."""

    data: bytes
    language: SourceLanguage
    grammar: Grammar

    def within(self, node: Node, outer: Node | None, names: tuple[str, ...]) -> Iterator[Function]:
        """Yield the functions below a node.

        Args:
            node: where to look.
            outer: the statement that holds nothing but ``node``, where there is one.
            names: what qualifies names here.
        """
        grammar = self.grammar
        for child in node.children:
            kind = child.type
            if kind in grammar.functions:
                found = self._read(child, node, outer or child, names)
                if found is not None:
                    yield found
                else:
                    inner = list(self.within(child, None, names))
                    yield from inner or self._callback(child, node, names)
            elif kind in grammar.scopes or child.has_error:
                below = names
                if kind in grammar.classes:
                    below = (*names, *self._name(child, "name"))
                elif kind in _NAMED_BY:
                    below = (*names, *self._name(child, _NAMED_BY[kind]))
                wraps = kind in _WRAPPERS and child.named_child_count < 3
                yield from self.within(child, (outer or child) if wraps else None, below)

    def _name(self, node: Node, field: str) -> list[str]:
        name = field_text(node, field, self.data)
        return [name] if name else []

    def _read(
        self, node: Node, parent: Node, outer: Node, names: tuple[str, ...]
    ) -> Function | None:
        if self.language in ("c", "cpp"):
            return read_c(node, outer, names, self.data)
        if self.language == "python":
            return read_python(node, outer, names, self.data)
        name = self._name(node, "name")
        if self.language == "go":
            names = _receiver(node, self.data)
        elif self.language == "java" and not name:
            # A compact constructor has a name, a static initialiser has none.
            name = ["static"]
        elif not name and parent.type == "export_statement":
            name = ["default"]
        elif not name and parent.type not in _NAMED_BY:
            return None
        return read_braced(node, outer, ".".join([*names, *name]), self.data)

    def _callback(self, node: Node, parent: Node, names: tuple[str, ...]) -> Iterator[Function]:
        """Yield a function without a name that is handed to a call, named by the call."""
        call = parent.parent
        if parent.type != "arguments" or call is None or call.type != "call_expression":
            return
        callee = field_text(call, "function", self.data)
        first = parent.named_children[0]
        about = text_of(self.data, first.start_byte, first.end_byte) if first != node else ""
        if len(callee) + len(about) <= _LONGEST_CALL:
            name = ".".join([*names, f"{callee}({about})"])
            if (found := read_braced(node, node, name, self.data)) is not None:
                yield found


#: Longer text of a call is no name for the function handed to it.
_LONGEST_CALL = 80


def _receiver(node: Node, data: bytes) -> tuple[str, ...]:
    """Return the type a method of Go belongs to, without pointer and type parameters."""
    receiver = node.child_by_field_name("receiver")
    if receiver is None or not receiver.named_children:
        return ()
    kind = field_text(receiver.named_children[0], "type", data)
    return (kind.lstrip("*").split("[")[0],)


_PYTHON_COMMENT = re.compile(
    r"""(?P<keep>'''.*?'''|\"\"\".*?\"\"\"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\#[^\n]*""",
    re.DOTALL,
)


def cosmetic(before: str, after: str, language: SourceLanguage) -> bool:
    """Tell whether two texts differ in white space, comments or docstrings only."""
    if language != "python":
        found = compare(before, after, language)
        removed = sorted(before[start:end] for start, end in found.spans_before)
        if removed != sorted(after[start:end] for start, end in found.spans_after):
            return False
        return tokens(before, language).words == tokens(after, language).words
    return _essence(before) == _essence(after)


def _essence(text: str) -> object:
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
