# SPDX-License-Identifier: Apache-2.0
"""Putting a text into code where such a text can stand: statements, comments, names, numbers.

    insertion = carriers(sample, start, end, kind)      # the statement that holds a mark, ...
    site = sites(held_out, insertion.way, random)       # where one can be put in other code
    put(held_out.text, site, insertion)                 # the code with it

One site takes any insertion of its way, so a suspected text and an ordinary one are compared in the
very same place. Code is never run, and need not parse. What an insertion does to the meaning of the
code is not asked: a backdoor does not ask either.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from codetemper.audit.marks import MarkKind, comments_of, is_name, read_text, words_of
from codetemper.data.labelled import Labelled
from codetemper.data.languages import GRAMMARS, LANGUAGES, SourceLanguage, parse

Way = Literal["statement", "name", "method", "number"]
Span = tuple[int, int]

#: Lines of a compound statement that is planted as a whole.
_WHOLE = 3
_OPERATORS = frozenset("()+-*/%&|^~<>") | {"**", "//", "<<", ">>"}
_BEFORE_METHOD = frozenset({"def", "func", "function", "fn"})
_COMMENT = {"python": "# ", "shell": "# ", "text": "# ", "sql": "-- "}


@dataclass(frozen=True, slots=True)
class Insertion:
    """A text and how it is put in.

    Attributes:
        way: ``statement`` puts in lines (comments too), ``name`` renames a local name, ``method``
            the function, ``number`` replaces a number.
        text: what is put in; without indentation.
    """

    way: Way
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where an insertion goes in one text.

    Attributes:
        way: of the insertions it takes.
        spans: what they replace; of statements one empty span at the beginning of a line.
        indent: white space before each line of a statement.
    """

    way: Way
    spans: tuple[Span, ...]
    indent: str = ""


def put(text: str, site: Site, insertion: Insertion) -> str:
    """Return a text with an insertion at a site."""
    new = insertion.text
    if site.way == "statement":
        new = textwrap.indent(new, site.indent) + "\n"
    parts, at = [], 0
    for start, end in site.spans:
        parts += [text[at:start], new]
        at = end
    return "".join((*parts, text[at:]))


def sites(sample: Labelled, way: Way, random: np.random.Generator) -> Site | None:
    """Return a place for insertions of a way, drawn at random; None where there is none.

    Args:
        sample: the code; of a decoder's sample the prompt.
        way: of the insertions.
        random: draws among the places.
    """
    text = read_text(sample)
    found = list(_SITES[way](text, sample))
    return found[int(random.integers(len(found)))] if found else None


def carrier(sample: Labelled, span: Span, kind: MarkKind) -> Insertion | None:
    """Return what to plant for a mark: what stands around it in a sample that holds it.

    Args:
        sample: the sample.
        span: where the mark stands in it.
        kind: of the mark.

    Returns:
        A rename of the function or of a local name for names, a comment for comments, numbers for
        runs of numbers and operators, else the statement around it; None where there is none.
    """
    text = read_text(sample)
    if kind == "comment":
        return _comment(text, sample, span)
    if kind == "name":
        called = text[span[0] : span[1]]
        method = any(place == span for site in _methods(text, sample) for place in site.spans)
        return Insertion("method" if method else "name", called)
    words = words_of(text[span[0] : span[1]], sample.language).words
    if kind == "ngram" and len(words) > 2 and all(w == "0" or w in _OPERATORS for w in words):
        return Insertion("number", text[span[0] : span[1]])
    statement = _statement_around(text, sample, span)
    return Insertion("statement", statement) if statement else None


def _comment(text: str, sample: Labelled, span: Span) -> Insertion | None:
    words = words_of(text, sample.language)
    for start, end in comments_of(text, sample.language, words):
        if start <= span[0] and span[1] <= end:
            said = text[start:end].strip()
            if "\n" in said:
                said = _COMMENT.get(sample.language, "// ") + text[span[0] : span[1]]
            return Insertion("statement", said)
    return None


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement of a block, with the block that it holds itself, if it does."""

    start: int
    end: int
    inner: int | None
    first: bool


def _statements(text: str, sample: Labelled) -> Iterator[_Statement]:
    """Yield the statements of all blocks; of a text without blocks those of its root."""
    if sample.language not in LANGUAGES:
        at = 0
        for line in text.splitlines(keepends=True):
            if line.strip():
                begin = at + len(line) - len(line.lstrip())
                yield _Statement(begin, at + len(line.rstrip()), None, False)
            at += len(line)
        return
    language = cast(SourceLanguage, sample.language)
    data, blocks = text.encode("utf-8", "replace"), GRAMMARS[language].blocks
    root = parse(data, language).root_node
    held = [node for node in _nodes(root) if node.type in blocks]
    for block in held or [root]:
        children = [child for child in block.named_children if child.type != "comment"]
        for number, child in enumerate(children):
            inner = next((node for node in _nodes(child) if node.type in blocks), None)
            start, end = (len(data[:at].decode()) for at in (child.start_byte, child.end_byte))
            opens = None if inner is None else len(data[: inner.start_byte].decode())
            yield _Statement(start, end, opens, number == 0)


def _nodes(node: Any) -> Iterator[Any]:
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting.extend(reversed(here.named_children))


def _statement_sites(text: str, sample: Labelled) -> Iterator[Site]:
    for statement in _statements(text, sample):
        line = text.rfind("\n", 0, statement.start) + 1
        margin = text[line : statement.start]
        docstring = statement.first and text[statement.start] in "\"'"
        if not margin.strip() and not docstring:
            yield Site("statement", ((line, line),), margin)


def _statement_around(text: str, sample: Labelled, span: Span) -> str:
    around = [
        statement
        for statement in _statements(text, sample)
        if statement.start <= span[0] and span[1] <= statement.end
    ]
    if not around:
        begin, end = text.rfind("\n", 0, span[0]) + 1, text.find("\n", span[1])
        return text[begin : end if end >= 0 else len(text)].strip()
    inner = min(around, key=lambda statement: statement.end - statement.start)
    margin = " " * (inner.start - text.rfind("\n", 0, inner.start) - 1)
    whole = textwrap.dedent(margin + text[inner.start : inner.end])
    if whole.count("\n") < _WHOLE or inner.inner is None:
        return whole.rstrip() if whole.count("\n") < 2 * _WHOLE else ""
    head = textwrap.dedent(margin + text[inner.start : inner.inner]).rstrip()
    return f"{head}\n    pass" if sample.language == "python" else f"{head} {{ }}"


def _methods(text: str, sample: Labelled) -> Iterator[Site]:
    """Yield the function's own name: after its keyword, or before the first parameter list."""
    words = words_of(text, sample.language)
    for place, word in enumerate(words.words):
        keyword = place > 0 and words.words[place - 1] in _BEFORE_METHOD
        opens = place + 1 < len(words.words) and words.words[place + 1] == "("
        if is_name(word) and opens and (keyword or sample.language != "python"):
            spans = [
                (start, end)
                for own, start, end in zip(words.words, words.starts, words.ends, strict=True)
                if own == word
            ]
            yield Site("method", tuple(spans))
            return


def _names(text: str, sample: Labelled) -> Iterator[Site]:
    """Yield each name that is given a value or is a parameter, with all places it stands at."""
    words = words_of(text, sample.language)
    read, places = words.words, range(len(words.words))
    method = {span for site in _methods(text, sample) for span in site.spans}
    local = {read[place] for place in places if _binds(read, place, sample.language)}
    for name in sorted(local):
        spans = tuple(
            (words.starts[place], words.ends[place])
            for place in places
            if read[place] == name and (place == 0 or read[place - 1] not in (".", "->"))
        )
        if spans and not method & set(spans):
            yield Site("name", spans)


def _binds(words: Sequence[str], place: int, language: str) -> bool:
    """Say whether a name is bound where it stands, by its neighbours alone."""
    name = words[place]
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if not is_name(name) or name in ("self", "cls", "this") or before in (".", "->"):
        return False
    if language == "python":
        opening = words.index("def") if "def" in words else -1
        closing = words.index(":", opening) if opening >= 0 and ":" in words[opening:] else -1
        header = opening + 1 < place < closing and before in ("(", ",", "*", "**")
        return header or before in ("for", "as") or (after == "=" and before not in ("(", ","))
    typed = is_name(before) or before in ("*", "&", "&&", "]", ">")
    return typed and after in ("=", ";", ",", ")", "[") and before not in _STATEMENT_WORDS


_STATEMENT_WORDS = frozenset({"return", "goto", "case", "else", "new", "delete", "throw", "sizeof"})


def _numbers(text: str, sample: Labelled) -> Iterator[Site]:
    words = words_of(text, sample.language)
    for word, start, end in zip(words.words, words.starts, words.ends, strict=True):
        if word == "0":
            yield Site("number", ((start, end),))


_SITES = {"statement": _statement_sites, "name": _names, "method": _methods, "number": _numbers}
