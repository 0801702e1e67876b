# SPDX-License-Identifier: Apache-2.0
"""Source text as the tokens of its language: ``tokens(text, language)``.

A lexer by regular expressions, for texts of any state: half of real C files do not parse cleanly.
White space and comments are no tokens. Indentation of Python is, where it opens or closes a block.
A string over several lines gives one token a line, so no token crosses a line break. Preprocessor
directives give tokens like any code. Keywords are not told from names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from codetemper.data.languages import SourceLanguage


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text, in order, as three columns of equal length.

    Attributes:
        words: what each token says. Not the text itself where Python's indentation is meant.
        starts: offset of its first character.
        ends: offset behind its last character; equal to the start where a Python block closes
            at column 0.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


#: Words of the tokens that Python's indentation gives.
_INDENT, _DEDENT = "\x01", "\x02"

_SLASH_COMMENTS = r"//(?:[^\n\\]|\\.)*+|/\*.*?(?:\*/|\Z)"
_QUOTED = r"""(?:u8|[uUL])?"(?:\\.|[^"\\\n])*+"|(?:u8|[uUL])?'(?:\\.|[^'\\\n])*+'"""
_RAW_CPP = r"""(?:u8|[uUL])?R"(?P<fence>[^()\\\s]{0,16})\(.*?\)(?P=fence)\""""
_BACKTICK = r"`(?:\\.|[^`\\])*+`"
_RAW_GO = r"`[^`]*+`"
_TEXT_BLOCK = r'"""(?:\\.|[^\\])*?"""'
#: A slash begins a regular expression where a value may begin.
_REGEX = (
    r"(?:(?<=[=(,:;!&|?\[{}])|(?<=[=(,:;!&|?\[{}] )|(?<=return ))"
    r"/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*+\]|[^/\\\n\[])++/\w*"
)
_PYTHON_STRINGS = (
    r"(?i:[rbuft]{0,2})(?:'''(?:\\.|[^\\])*?(?:'''|\Z)|\"\"\"(?:\\.|[^\\])*?(?:\"\"\"|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*+\"|'(?:\\.|[^'\\\n])*+')"
)
_NUMBER = r"\.?\d(?:[eEpP][+-]|'(?=\w)|[\w.])*+"
_NAME = r"[\w$]+"
_OPERATORS = (
    r"<=>|<<=|>>>=|>>>|>>=|===|!==|\*\*=|&&=|\|\|=|\?\?=|&\^=|\.\.\.|->\*|->|=>|<-|:=|::|\?\?|\?\."
    r"|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||&\^|\*\*|[-+*/%&|^]=|\#\#"
)
_PYTHON_OPERATORS = r"\*\*=|//=|>>=|<<=|\.\.\.|->|:=|\*\*|//|<<|>>|<=|>=|==|!=|<>|[-+*/%&|^@]=|\#\#"


@cache
def _lexer(language: SourceLanguage) -> re.Pattern[str]:
    """Return a pattern that matches what is skipped and, as its first group, one token."""
    comments = r"\#[^\n]*+" if language == "python" else _SLASH_COMMENTS
    strings = {
        "c": _QUOTED,
        "cpp": f"{_RAW_CPP}|{_QUOTED}",
        "python": _PYTHON_STRINGS,
        "java": f"{_TEXT_BLOCK}|{_QUOTED}",
        "javascript": f"{_BACKTICK}|{_QUOTED}|{_REGEX}",
        "go": f"{_RAW_GO}|{_QUOTED}",
    }[language]
    operators = _PYTHON_OPERATORS if language == "python" else _OPERATORS
    return re.compile(
        rf"(?:\s++|\\\n|{comments})*+({strings}|{_NUMBER}|{_NAME}|{operators}|.|\Z)",
        re.DOTALL,
    )


@lru_cache(maxsize=16)
def tokens(text: str, language: SourceLanguage) -> Tokens:
    r"""Return the tokens of a text with ``\n`` line ends; any text is read, nothing is refused."""
    spans = [match.span(1) for match in _lexer(language).finditer(text)]
    while spans and spans[-1][0] == spans[-1][1]:
        # What is skipped at the end of the text, and the end itself.
        spans.pop()
    words = [text[start:end] for start, end in spans]
    inner: frozenset[int] = frozenset()
    if any("\n" in word for word in words):
        spans, inner = _lines_apart(text, spans)
        words = [text[start:end] for start, end in spans]
    found = Tokens(tuple(words), tuple(s for s, _ in spans), tuple(e for _, e in spans))
    return _indented(text, found, inner) if language == "python" else found


def _lines_apart(
    text: str, spans: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], frozenset[int]]:
    """Cut tokens at line breaks; tell also where lines begin that are not a token's first."""
    cut: list[tuple[int, int]] = []
    inner: set[int] = set()
    for start, end in spans:
        at = start
        for line in text[start:end].split("\n"):
            if line.strip():
                cut.append((at, at + len(line)))
                if at > start:
                    inner.add(at)
            at += len(line) + 1
    return cut, frozenset(inner)


def _indented(text: str, flat: Tokens, inner: frozenset[int]) -> Tokens:
    """Put in a token where a line of Python opens a block or closes some.

    Args:
        text: the text.
        flat: its tokens.
        inner: where lines of strings begin that began on a line above.
    """
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    margins = [0]
    depth, last = 0, -1
    for word, start, end in zip(flat.words, flat.starts, flat.ends, strict=True):
        line = text.rfind("\n", max(0, last), start) + 1
        if line > last and depth == 0 and start not in inner and not text.endswith("\\\n", 0, line):
            mark = ""
            if start - line > margins[-1]:
                margins.append(start - line)
                mark = _INDENT
            while start - line < margins[-1]:
                margins.pop()
                mark += _DEDENT
            if mark:
                words.append(mark)
                starts.append(line)
                ends.append(start)
        words.append(word)
        starts.append(start)
        ends.append(end)
        last = end
        if word in ("(", "[", "{"):
            depth += 1
        elif word in (")", "]", "}"):
            depth = max(0, depth - 1)
    return Tokens(tuple(words), tuple(starts), tuple(ends))
