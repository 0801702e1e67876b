# SPDX-License-Identifier: Apache-2.0
"""Extensions, grammars and the reading of source files as they come."""

from __future__ import annotations

import pytest

from codetemper.data.languages import (
    GRAMMARS,
    LANGUAGES,
    SourceLanguage,
    language_of,
    parse,
    read_source,
)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/a.C", "c"),
        ("a/b.h", "c"),
        ("x.hpp", "cpp"),
        ("setup.py", "python"),
        ("org/A.java", "java"),
        ("lib/x.mjs", "javascript"),
        ("ui/x.jsx", "javascript"),
        ("cmd/main.go", "go"),
        ("README.md", None),
        ("Makefile", None),
        (".c", None),
    ],
)
def test_language_by_extension(path: str, language: SourceLanguage | None) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_node_type_named_is_one_of_the_grammar(language: SourceLanguage) -> None:
    grammar = GRAMMARS[language]
    known = parse(b"", language).language
    for kind in grammar.functions | grammar.scopes | grammar.classes | grammar.blocks:
        assert known.id_for_node_kind(kind, True), kind


def test_a_source_file_is_read_whatever_its_bytes() -> None:
    crlf = read_source(b"\xef\xbb\xbfint a;\r\n\tint b;\rint c;\n")
    assert crlf is not None
    assert (crlf.text, crlf.is_utf8) == ("int a;\n\tint b;\nint c;\n", True)
    latin = read_source(b"/* na\xefve */")
    assert latin is not None
    assert (latin.text, latin.is_utf8) == ("/* na\ufffdve */", False)
    replaced = read_source("/* \ufffd */".encode())
    assert replaced is not None
    assert replaced.is_utf8
    assert read_source(b"\x7fELF\0\1") is None
