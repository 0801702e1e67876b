# SPDX-License-Identifier: Apache-2.0
"""Code as numbers that can be compared: words without comments, and their n-grams, hashed.

    found = words(text, "c")
    placed(text, "c")              # with the offsets of each, and docstrings too
    ngrams(found, 13)              # one 64-bit number for each run of 13 words
    ngrams(found, 13, blind="c")   # the same for texts that differ in names alone

White space, comments and Python docstrings are no words. In a blind n-gram every name is replaced
by its place: how many words before it the same name stood last, 0 where that lies outside the
n-gram. Runs that differ by a one-to-one renaming have the same number wherever they stand in a
text. Keywords, operators and literals stay. Numbers depend on the words alone, never on the
process; that two different runs share one has a chance of about 1 in 2**64.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from codetemper.core.records import Language
from codetemper.data.languages import LANGUAGES
from codetemper.data.tokens import Tokens, tokens

Hashes = NDArray[np.uint64]

_STRING = r"'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\""
#: A string of three quotes that is a statement, or else something in which no such string begins.
_DOCSTRING = re.compile(
    rf"(?P<doc>^[ \t]*(?:[rR]?(?:{_STRING}))[ \t]*$)|{_STRING}|\#[^\n]*"
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"",
    re.DOTALL | re.MULTILINE,
)
_PLAIN = re.compile(r"\w+|[^\w\s]")
_NAME = re.compile(r"[^\W\d]\w*|\$\w*")
#: Keywords of C, C++, Java, JavaScript and Go together.
_KEYWORDS = (
    "abstract auto bool boolean break byte case catch chan char class const constexpr continue "
    "default defer define delete do double else endif enum export extends extern fallthrough false "
    "final finally float for func function go goto if ifdef ifndef implements import in include "
    "inline instanceof int interface let long namespace new nil null NULL nullptr package private "
    "protected public range register return select short signed size_t sizeof static struct super "
    "switch template this throw throws true try type typedef typeof undefined union unsigned using "
    "var virtual void volatile while"
)
_NOT_NAMES = frozenset(_KEYWORDS.split())
_NOT_PYTHON_NAMES = frozenset(keyword.kwlist)

_BASE = 0x9E3779B97F4A7C15
_PLACE = 0xC2B2AE3D27D4EB4F


def words(text: str, language: Language) -> tuple[str, ...]:
    """Return the words of a text; any text is read, nothing is refused."""
    if language == "python":
        text = _DOCSTRING.sub(lambda match: "" if match["doc"] else match[0], text)
    return placed(text, language).words


def placed(text: str, language: Language) -> Tokens:
    """Return the tokens of a text in its language; words and signs where that has no lexer."""
    if language in LANGUAGES:
        return tokens(text, language)
    found = [(match[0], *match.span()) for match in _PLAIN.finditer(text)]
    read, starts, ends = zip(*found, strict=True) if found else ((), (), ())
    return Tokens(read, starts, ends)


def ngrams(found: Sequence[str], length: int, *, blind: Language | None = None) -> Hashes:
    """Return a number for each run of ``length`` words, in order; none for a shorter text.

    Args:
        found: words.
        length: words in a run.
        blind: the language of the words, where names are to count by place alone.
    """
    if len(found) < length:
        return np.empty(0, np.uint64)
    if blind is None:
        runs = sliding_window_view(np.fromiter(map(_hash, found), np.uint64, len(found)), length)
        return _combined(runs)
    codes, back = _places(found, _NOT_PYTHON_NAMES if blind == "python" else _NOT_NAMES)
    runs = sliding_window_view(codes, length)
    place = sliding_window_view(back, length).copy()
    # A name that stood last before the run begins is new in it.
    place[place > np.arange(length, dtype=np.uint64)] = 0
    return _combined(runs + place * np.uint64(_PLACE))


def _places(found: Sequence[str], keywords: frozenset[str]) -> tuple[Hashes, Hashes]:
    """Return each word's code, equal for all names, and the distance back to the same name."""
    last: dict[str, int] = {}
    codes, back = [], []
    for at, word in enumerate(found):
        if word not in keywords and _NAME.fullmatch(word):
            codes.append(_BASE)
            back.append(at - last.get(word, at))
            last[word] = at
        else:
            codes.append(_hash(word))
            back.append(0)
    return np.array(codes, np.uint64), np.array(back, np.uint64)


def _combined(runs: Hashes) -> Hashes:
    """Return a polynomial of each row, mixed so that its high bits depend on all words."""
    total = np.zeros(len(runs), np.uint64)
    for column in range(runs.shape[1]):
        total = (total ^ (total >> np.uint64(29))) * np.uint64(_BASE) + runs[:, column]
    return (total ^ (total >> np.uint64(32))) * np.uint64(_PLACE)


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
