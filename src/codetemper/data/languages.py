# SPDX-License-Identifier: Apache-2.0
r"""The languages that fixes are mined in: file extensions, tree-sitter grammars, node types.

    language_of("src/png.c")            # "c"
    parse(b"int f(void) { }", "c")      # a tree_sitter.Tree
    read_source(blob)                   # text with \n line ends, or None for a binary file

Grammars come from single-grammar wheels. Nothing here decides what a function or a fix is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Literal, get_args

import tree_sitter_c
import tree_sitter_cpp
import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_python
from tree_sitter import Language, Parser, Tree

SourceLanguage = Literal["c", "cpp", "python", "java", "javascript", "go"]

LANGUAGES: tuple[SourceLanguage, ...] = get_args(SourceLanguage)

_EXTENSIONS: dict[SourceLanguage, tuple[str, ...]] = {
    "c": (".c", ".h"),
    "cpp": (".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++"),
    "python": (".py", ".pyw"),
    "java": (".java",),
    "javascript": (".js", ".mjs", ".cjs", ".jsx"),
    "go": (".go",),
}
_BY_EXTENSION = {end: language for language, ends in _EXTENSIONS.items() for end in ends}


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the extraction needs to know of one grammar, as names of its node types.

    Attributes:
        load: returns the compiled grammar.
        functions: definitions with a body.
        scopes: what may hold definitions, from the whole file down; nothing else is descended.
        classes: those scopes whose ``name`` qualifies the names of the functions within.
        blocks: compound statements.
    """

    load: Callable[[], object]
    functions: frozenset[str]
    scopes: frozenset[str]
    classes: frozenset[str]
    blocks: frozenset[str]


_C_SCOPES = frozenset({
    "declaration_list", "linkage_specification", "preproc_elif", "preproc_elifdef",
    "preproc_else", "preproc_if", "preproc_ifdef",
})  # fmt: skip
_CPP_CLASSES = frozenset({"class_specifier", "struct_specifier", "union_specifier"})
_JAVA_CLASSES = frozenset({
    "annotation_type_declaration", "class_declaration", "enum_declaration",
    "interface_declaration", "record_declaration",
})  # fmt: skip

GRAMMARS: dict[SourceLanguage, Grammar] = {
    "c": Grammar(
        tree_sitter_c.language,
        functions=frozenset({"function_definition"}),
        scopes=_C_SCOPES,
        classes=frozenset(),
        blocks=frozenset({"compound_statement"}),
    ),
    "cpp": Grammar(
        tree_sitter_cpp.language,
        functions=frozenset({"function_definition"}),
        scopes=_C_SCOPES | _CPP_CLASSES | {
            "declaration", "field_declaration", "field_declaration_list", "friend_declaration",
            "namespace_definition", "template_declaration", "type_definition",
        },
        classes=_CPP_CLASSES,
        blocks=frozenset({"compound_statement"}),
    ),
    "python": Grammar(
        tree_sitter_python.language,
        functions=frozenset({"function_definition"}),
        scopes=frozenset({
            "block", "class_definition", "decorated_definition", "elif_clause", "else_clause",
            "except_clause", "finally_clause", "for_statement", "if_statement", "try_statement",
            "while_statement", "with_statement",
        }),
        classes=frozenset({"class_definition"}),
        blocks=frozenset({"block"}),
    ),
    "java": Grammar(
        tree_sitter_java.language,
        functions=frozenset({
            "compact_constructor_declaration", "constructor_declaration", "method_declaration",
            "static_initializer",
        }),
        scopes=_JAVA_CLASSES | {
            "annotation_type_body", "class_body", "enum_body", "enum_body_declarations",
            "interface_body",
        },
        classes=_JAVA_CLASSES,
        blocks=frozenset({"block", "constructor_body", "switch_block"}),
    ),
    "javascript": Grammar(
        tree_sitter_javascript.language,
        functions=frozenset({
            "arrow_function", "function_declaration", "function_expression",
            "generator_function", "generator_function_declaration", "method_definition",
        }),
        scopes=frozenset({
            "arguments", "assignment_expression", "await_expression", "call_expression",
            "catch_clause", "class", "class_body", "class_declaration", "class_heritage",
            "class_static_block", "else_clause", "export_statement", "expression_statement",
            "field_definition", "finally_clause", "if_statement", "labeled_statement",
            "lexical_declaration", "member_expression", "new_expression", "object", "pair",
            "parenthesized_expression", "return_statement", "sequence_expression",
            "statement_block", "try_statement", "unary_expression", "variable_declaration",
            "variable_declarator",
        }),
        classes=frozenset({"class", "class_declaration"}),
        blocks=frozenset({"class_static_block", "statement_block", "switch_body"}),
    ),
    "go": Grammar(
        tree_sitter_go.language,
        functions=frozenset({"function_declaration", "method_declaration"}),
        scopes=frozenset(),
        classes=frozenset(),
        blocks=frozenset({"block"}),
    ),
}  # fmt: skip


def language_of(path: str) -> SourceLanguage | None:
    """Return the language by file extension (``.h`` counts as C), or None."""
    return _BY_EXTENSION.get(PurePosixPath(path).suffix.lower())


@cache
def _parser(language: SourceLanguage) -> Parser:
    return Parser(Language(GRAMMARS[language].load()))


def parse(data: bytes, language: SourceLanguage) -> Tree:
    """Return the syntax tree of UTF-8 text; what cannot be read becomes ERROR nodes in it.

    Not to be called by several threads at a time: a language has one parser.
    """
    return _parser(language).parse(data)


@dataclass(frozen=True, slots=True)
class SourceText:
    r"""The text of a source file.

    Attributes:
        text: without byte order mark, with ``\n`` line ends.
        is_utf8: False where bytes had to be replaced by U+FFFD.
    """

    text: str
    is_utf8: bool


def read_source(data: bytes) -> SourceText | None:
    """Return the text of a file's contents; None for a binary file."""
    if b"\0" in data:
        return None
    try:
        text, is_utf8 = data.decode("utf-8"), True
    except UnicodeDecodeError:
        text, is_utf8 = data.decode("utf-8", "replace"), False
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SourceText(text.removeprefix("\ufeff"), is_utf8)
