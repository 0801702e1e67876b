# SPDX-License-Identifier: Apache-2.0
r"""Places in a snippet where a trigger can be put so that the code still reads: tree-sitter.

    code = read_code("def f(a):\n    return a\n", "python")
    code.statements()      # where a statement may be put before another one
    code.locals()          # names that can be renamed, each with all its places
    written(code.text, [Edit(0, 0, "# header\n")])

Places are counted in characters. Only what lies before ``limit`` is a place: of a decoder's sample
that is its prompt. Trees are read, nothing is run; what a change means is not proved, only that the
text has no more syntax errors than before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

from tree_sitter import Node

from codetemper.data.languages import GRAMMARS, SourceLanguage, parse

#: Blocks that hold cases, or lists of statements, and not statements.
_NO_STATEMENTS = frozenset({
    "case_statement", "expression_case", "default_case", "type_case", "communication_case",
    "switch_block_statement_group", "switch_rule", "switch_case", "switch_default",
    "explicit_constructor_invocation", "comment", "line_comment", "block_comment", "ERROR",
    "statement_list", "labeled_statement", "function_definition", "decorated_definition",
    "class_definition", "future_import_statement",
})  # fmt: skip
_TOP_LEVEL = {"python": "module", "javascript": "program"}
_PARAMETERS = frozenset({
    "parameters", "parameter_declaration", "formal_parameter", "formal_parameters",
    "default_parameter", "typed_parameter", "typed_default_parameter",
})  # fmt: skip
_DECLARATORS = frozenset({
    "declaration", "init_declarator", "pointer_declarator", "array_declarator",
    "variable_declarator", "var_spec",
})  # fmt: skip
#: Fields of a node in which an identifier is no variable.
_NOT_VARIABLES = frozenset({
    ("attribute", "attribute"), ("keyword_argument", "name"), ("field_access", "field"),
    ("method_invocation", "name"), ("function_definition", "name"),
    ("function_declaration", "name"), ("method_declaration", "name"), ("method_definition", "name"),
    ("class_definition", "name"), ("class_declaration", "name"), ("function_declarator",
    "declarator"), ("constructor_declaration", "name"), ("labeled_statement", "label"),
    ("literal_element", "key"),
})  # fmt: skip
#: A name that is also one of these is left alone: its other places are out of sight.
_ELSEWHERE = frozenset({
    "shorthand_property_identifier", "shorthand_property_identifier_pattern", "global_statement",
    "nonlocal_statement", "import_statement", "import_from_statement", "literal_element",
    "preproc_def", "preproc_function_def",
})  # fmt: skip
_NAMES_OF_FUNCTIONS = frozenset({
    "function_definition", "function_declaration", "method_declaration", "method_definition",
})  # fmt: skip
_INTEGERS = frozenset({
    "integer", "number_literal", "decimal_integer_literal", "number", "int_literal",
})  # fmt: skip
_BRACKETS = frozenset({
    "argument_list", "arguments", "parameters", "parameter_list", "formal_parameters",
})  # fmt: skip
#: Integers beyond this are hardly ever sizes or counts, and hashes must stay what they are.
_LARGEST = 1_000_000
_NEVER_RENAMED = frozenset({"self", "cls", "this", "_", "main"})


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where a statement can be put: before the one at ``offset``, which ``indent`` precedes.

    Where another statement stands before it on the line, ``inline`` is true.
    """

    offset: int
    indent: str
    inline: bool


@dataclass(frozen=True)
class Code:
    """A snippet with its tree.

    Attributes:
        text: the snippet.
        language: its language.
        limit: no place begins behind this character.
        root: of its tree.
    """

    text: str
    language: SourceLanguage
    limit: int
    root: Node = field(repr=False)

    @cached_property
    def _characters(self) -> list[int] | None:
        """Return the character that each byte belongs to; None where the two are the same."""
        if self.text.isascii():
            return None
        places = [n for n, letter in enumerate(self.text) for _ in letter.encode()]
        return [*places, len(self.text)]

    def at(self, byte: int) -> int:
        """Return the character at a byte of the tree."""
        return byte if self._characters is None else self._characters[byte]

    @cached_property
    def nodes(self) -> list[Node]:
        """Return all nodes, parents before children, in the order of the text."""
        return list(_walk(self.root))

    def statements(self) -> list[Site]:
        """Return where a statement can be put, in order."""
        blocks = GRAMMARS[self.language].blocks | {"statement_list"}
        top = _TOP_LEVEL.get(self.language)
        parents = [node for node in self.nodes if node.type in blocks]
        if not parents and top is not None:
            parents = [self.root]
        sites = []
        for parent in parents:
            for node in parent.named_children:
                if node.type in _NO_STATEMENTS or _is_docstring(node):
                    continue
                site = self._site(self.at(node.start_byte))
                if site is not None:
                    sites.append(site)
        return sorted(set(sites), key=lambda site: site.offset)

    def _site(self, offset: int) -> Site | None:
        line = self.text.rfind("\n", 0, offset) + 1
        before = self.text[line:offset]
        if not before.strip():
            # A statement of the answer may have one put before it while the prompt goes on.
            return Site(line, before, False) if line <= self.limit else None
        if self.language == "python" or offset > self.limit:
            return None
        return Site(offset, "", True)

    def locals(self) -> dict[str, list[tuple[int, int]]]:
        """Return parameters and variables that can be renamed, with the places of each name."""
        places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        bound: dict[str, int] = {}
        barred = set(_NEVER_RENAMED)
        for node in self.nodes:
            if node.type in _ELSEWHERE:
                barred |= {_text(inner) for inner in _walk(node)}
            if node.type != "identifier" or node.parent is None:
                continue
            name = _text(node)
            if (node.parent.type, _field(node)) in _NOT_VARIABLES:
                continue
            start = self.at(node.start_byte)
            places[name].append((start, self.at(node.end_byte)))
            if _binds(node):
                bound.setdefault(name, start)
        functions = {_text(name) for _, name in self._functions()}
        return {
            name: places[name]
            for name, start in sorted(bound.items(), key=lambda item: item[1])
            if name not in barred | functions and start < self.limit
        }

    def _functions(self) -> Iterator[tuple[Node, Node]]:
        """Yield functions with the nodes of their names."""
        for node in self.nodes:
            if node.type not in _NAMES_OF_FUNCTIONS:
                continue
            name = node.child_by_field_name("name") or node.child_by_field_name("declarator")
            while name is not None and name.type not in ("identifier", "field_identifier"):
                name = name.child_by_field_name("declarator")
            if name is not None and self.at(name.start_byte) < self.limit:
                yield node, name

    def function(self) -> tuple[str, list[tuple[int, int]]] | None:
        """Return the name of the first function with all its places; None without one."""
        for _, node in self._functions():
            name = _text(node)
            if name.startswith("__") or name in _NEVER_RENAMED:
                continue
            return name, [
                (self.at(other.start_byte), self.at(other.end_byte))
                for other in self.nodes
                if other.type in ("identifier", node.type) and _text(other) == name
            ]
        return None

    def integers(self) -> list[tuple[int, int, int]]:
        """Return decimal integers as start, end, value."""
        found = []
        for node in self.nodes:
            if node.type not in _INTEGERS or self.at(node.end_byte) > self.limit:
                continue
            text = _text(node)
            if text.isdecimal() and (text == "0" or text[0] != "0") and int(text) <= _LARGEST:
                found.append((self.at(node.start_byte), self.at(node.end_byte), int(text)))
        return found

    def brackets(self) -> list[tuple[int, int]]:
        """Return what stands in the brackets of calls and parameters, where that is anything."""
        found = []
        for node in self.nodes:
            start, end = self.at(node.start_byte) + 1, self.at(node.end_byte) - 1
            inside = self.text[start:end]
            if node.type in _BRACKETS and end <= self.limit and inside == inside.strip() != "":
                found.append((start, end))
        return found

    def docstring(self) -> tuple[int, str] | None:
        """Return where the first function's docstring is: the end of its text, or where to put one.

        Returns:
            The place, and the indentation of a new docstring; that is empty where there is one.
        """
        for function, _ in self._functions():
            body = function.child_by_field_name("body")
            first = body.named_children[0] if body is not None and body.named_children else None
            if first is None:
                continue
            if not _is_docstring(first):
                site = self._site(self.at(first.start_byte))
                return None if site is None or site.inline else (site.offset, site.indent)
            closing = next((n for n in _walk(first) if n.type == "string_end"), None)
            if closing is None or self.at(closing.start_byte) > self.limit:
                return None
            return self.at(closing.start_byte), ""
        return None


def read_code(text: str, language: str, limit: int | None = None) -> Code | None:
    """Read a snippet; None where its language has no grammar here.

    Args:
        text: the snippet.
        language: its language.
        limit: no place begins behind this character; None for all of the text.
    """
    if language not in get_args(SourceLanguage):
        return None
    known: SourceLanguage = language  # type: ignore[assignment]
    root = parse(text.encode(), known).root_node
    return Code(text, known, len(text) if limit is None else limit, root)


def written(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with edits done; they do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def moved(place: int, edits: Sequence[Edit]) -> int:
    """Return where a place of a text is after edits; what is put at the place lies before it."""
    return place + sum(
        len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= place
    )


def _walk(node: Node) -> Iterator[Node]:
    cursor = node.walk()
    while True:
        if cursor.node is not None:
            yield cursor.node
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _field(node: Node) -> str | None:
    parent = node.parent
    if parent is None:
        return None
    for number, child in enumerate(parent.children):
        if child.id == node.id:
            return parent.field_name_for_child(number)
    return None


def _is_docstring(node: Node) -> bool:
    children = node.named_children
    return node.type == "expression_statement" and bool(children) and children[0].type == "string"


def _binds(node: Node) -> bool:
    """Tell whether an identifier stands where a name gets its value for the first time."""
    parent = node.parent
    while parent is not None and parent.type in ("pattern_list", "tuple_pattern"):
        node, parent = parent, parent.parent
    if parent is None:
        return False
    place = _field(node)
    if parent.type in _PARAMETERS:
        return place not in ("value", "type")
    if parent.type in _DECLARATORS:
        return place in ("declarator", "name")
    if parent.type == "expression_list":
        above = parent.parent
        return (
            above is not None
            and above.type == "short_var_declaration"
            and (_field(parent) == "left")
        )
    if parent.type in ("assignment", "for_statement"):
        return place == "left"
    return parent.type == "as_pattern_target"
