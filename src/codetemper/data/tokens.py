# SPDX-License-Identifier: Apache-2.0
"""Source text as the tokens of its language: ``tokens(text, language)``.

A lexer by regular expressions, for texts of any state: half of real C files do not parse cleanly.
White space and comments are no tokens. Indentation of Python is, where it opens or closes a block.
A string over several lines gives one token a line, so no token crosses a line break. Preprocessor
directives give tokens like any code. Keywords are not told from names.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

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

    def part(self, begin: int, end: int) -> Tokens:
        """Return the tokens from one number to before another."""
        return Tokens(self.words[begin:end], self.starts[begin:end], self.ends[begin:end])


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


#: Strings that go over lines, and how the text looks where one is open.
_LONG = {
    "c": (),
    "cpp": (_RAW_CPP, r"(?:u8|[uUL])?R\"[^()\\\s]{0,16}\(.*"),
    "java": (_TEXT_BLOCK, r'""".*'),
    "javascript": (_BACKTICK, "`.*"),
    "go": (_RAW_GO, "`.*"),
}


@cache
def _lexer(language: SourceLanguage) -> re.Pattern[str]:
    """Return a pattern that matches what is skipped and, as its first group, one token."""
    if language == "python":
        comments, strings, operators = r"\#[^\n]*+", [_PYTHON_STRINGS], _PYTHON_OPERATORS
    else:
        comments, operators = _SLASH_COMMENTS, _OPERATORS
        strings = [*_LONG[language][:1], _QUOTED, *([_REGEX] if language == "javascript" else [])]
    return re.compile(
        rf"(?:\s++|\\\n|{comments})*+({'|'.join(strings)}|{_NUMBER}|{_NAME}|{operators}|.|\Z)",
        re.DOTALL,
    )


@cache
def _open(language: SourceLanguage) -> re.Pattern[str]:
    """Return a pattern that reads any text; its group ``open`` is a comment or string left so."""
    long = _LONG[language]
    unfinished = [r"/\*.*", r"//(?:[^\n\\]|\\.)*+\Z", r"\"(?:\\.|[^\"\\\n])*+\Z", *long[1:]]
    closed = [r"//(?:[^\n\\]|\\.)*+(?=\n)", r"/\*.*?\*/", *long[:1]]
    short = [_QUOTED, *([_REGEX] if language == "javascript" else [])]
    parts = [
        r"[^/\"'`R]++",
        r"(?<=\d)(?<!u8)'(?=\w)",
        *closed,
        f"(?P<open>{'|'.join(unfinished)})",
        *short,
        ".",
    ]
    return re.compile(f"(?:{'|'.join(parts)})*+", re.DOTALL)


def tokens(text: str, language: SourceLanguage) -> Tokens:
    r"""Return the tokens of a text with ``\n`` line ends; any text is read, nothing is refused."""
    return _tokens(text, 0, len(text), language)


def tokens_of_lines(
    text: str, ranges: Sequence[tuple[int, int]], language: SourceLanguage
) -> list[Tokens]:
    """Return the tokens of some lines of a text, as reading all of it would give them.

    Args:
        text: the text.
        ranges: first character of the first line and character after the last line, in order.
        language: what it is written in.
    """
    if language == "python":
        # Its indentation depends on all that stands above.
        whole = tokens(text, language)
        places = [[bisect_left(whole.starts, at) for at in each] for each in ranges]
        return [whole.part(*place) for place in places]
    found = []
    safe = 0
    for begin, end in ranges:
        read = _open(language).match(text, safe, begin)
        open_at = read.start("open") if read else -1
        safe = begin if open_at < 0 else open_at
        lexed = _tokens(text, safe, end, language)
        found.append(lexed.part(*(bisect_left(lexed.starts, at) for at in (begin, end))))
    return found


def _tokens(text: str, begin: int, end: int, language: SourceLanguage) -> Tokens:
    spans: list[tuple[int, int]] = []
    for match in _lexer(language).finditer(text, begin):
        span = match.span(1)
        if span[0] >= end:
            break
        spans.append(span)
    words = [text[start:stop] for start, stop in spans]
    inner: frozenset[int] = frozenset()
    if any("\n" in word for word in words):
        spans, inner = _lines_apart(text, spans)
        words = [text[start:stop] for start, stop in spans]
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
