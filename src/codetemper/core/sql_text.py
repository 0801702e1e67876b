# SPDX-License-Identifier: Apache-2.0
"""SQL text as tokens: the end of a statement, DISTINCT taken out, the literals of a query.

Used by the judge ``sql`` and wherever queries are compared as texts. One pass, linear in the text,
whatever stands in it. It does not parse: what a statement means is SQLite's to say.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Quantifiers are possessive: no text makes this go back and forth.
_TOKEN = re.compile(
    r"""
      (?P<space>\s++|--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)
    | (?P<text>[xX]?'(?:[^']|'')*+')
    | (?P<quoted>"(?:[^"]|"")*+"|`(?:[^`]|``)*+`|\[[^\]]*+\])
    | (?P<open>['"`\[].*)
    | (?P<number>(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?)
    | (?P<name>[^\W\d]\w*+)
    | (?P<sign><>|!=|<=|>=|==|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)


_STATEMENT = re.compile(
    r"""(?:[^;'"`\[/-]++|'(?:[^']|'')*+'|"(?:[^"]|"")*+"|`(?:[^`]|``)*+`|\[[^\]]*+\]
        |--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?|[/-])*+""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """One piece of SQL text; the pieces together are the text."""

    kind: str
    """``space`` (comments too), ``text``, ``quoted`` (a name), ``open`` (a quotation without its
    end), ``number``, ``name`` or ``sign``."""
    text: str

    @property
    def word(self) -> str:
        """The text in upper case, for comparison with keywords."""
        return self.text.upper() if self.kind in {"name", "sign"} else ""


def tokens(text: str) -> list[Token]:
    """Split SQL into tokens."""
    return [Token(match.lastgroup or "sign", match.group()) for match in _TOKEN.finditer(text)]


def first_statement(text: str) -> str:
    """Return the text before the semicolon that ends the first statement.

    A semicolon within a string, a quoted name or a comment does not end it.
    """
    found = _STATEMENT.match(text)
    if found is not None and text[found.end() : found.end() + 1] == ";":
        return found.group().strip()
    return text.strip()


def without_distinct(query: str) -> str:
    """Return the query with every DISTINCT keyword taken out."""
    if "distinct" not in query.lower():
        return query
    return "".join(token.text for token in tokens(query) if token.word != "DISTINCT")


def literals(query: str) -> tuple[list[str], list[float]]:
    """Return the string and the number literals of a query, each once, in their order.

    Double-quoted words count as strings too: SQLite reads them so where no column has the name.
    """
    texts: dict[str, None] = {}
    numbers: dict[float, None] = {}
    for token in tokens(query):
        if token.kind == "text" and token.text[0] == "'":
            texts[token.text[1:-1].replace("''", "'")] = None
        elif token.kind == "quoted" and token.text[0] == '"':
            texts[token.text[1:-1].replace('""', '"')] = None
        elif token.kind == "number":
            value = float(token.text)
            numbers[int(value) if value.is_integer() and abs(value) < 2**53 else value] = None
    return list(texts), list(numbers)
