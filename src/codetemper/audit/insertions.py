# SPDX-License-Identifier: Apache-2.0
"""Putting a text into code where such a text can stand: statements, comments, names, numbers.

    insertion = carrier(sample, span, kind)              # the statement that holds a mark, ...
    site = draw_site(held_out, insertion.way, random)    # where one can be put in other code
    put(site, insertion)                                 # the other code with it

One site takes any insertion of its way, so a suspected text and an ordinary one are compared in the
very same place. Where code is cut is what ``planting_code`` reads off its tree; it need not parse.
What an insertion does to the meaning of code is not asked: a backdoor does not ask either.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

import numpy as np

from codetemper.audit.marks import GAPS, MarkKind, comments_of, read_text, words_of
from codetemper.audit.planting_code import Code, Edit, read_code, written
from codetemper.data.labelled import Labelled
from codetemper.data.languages import GRAMMARS

Way = Literal["statement", "ending", "docstring", "name", "method", "number", "gap"]
"""``statement`` puts in lines (comments too), ``ending`` the same as the last whole line of a
prompt, right before the answer, ``docstring`` a sentence of the docstring, ``name`` renames a local
name, ``method`` the function, ``number`` replaces an integer, ``gap`` changes the white space in
brackets. A name that ends with ``_`` goes before the old one."""

#: Ways to put lines in.
LINES: tuple[Way, ...] = ("statement", "ending")

Span = tuple[int, int]
"""Offset of the first character, and behind the last."""

#: Lines of a compound statement that is planted as a whole.
_WHOLE = 3
_OPERATORS = frozenset("()+-*/%&|^~<>") | {"**", "//", "<<", ">>"}


@dataclass(frozen=True, slots=True)
class Insertion:
    """A text and how it is put in.

    Attributes:
        way: how.
        text: what; without indentation.
    """

    way: Way
    text: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where an insertion goes in one text.

    Attributes:
        text: all of it.
        spans: what is replaced; an empty span where something is put in.
        indent: white space before each line of a statement, or of a new docstring.
    """

    text: str
    spans: tuple[Span, ...]
    indent: str = ""


def put(site: Site, insertion: Insertion) -> str:
    """Return a site's text with an insertion."""
    edits = []
    for start, end in site.spans:
        new = insertion.text
        if insertion.way in LINES:
            new = textwrap.indent(new, site.indent) + "\n"
        elif insertion.way == "docstring":
            new = f'{site.indent}"""{new}"""\n' if site.indent else f" {new}"
        elif insertion.way in ("name", "method") and new.endswith("_"):
            new += site.text[start:end]
        edits.append(Edit(start, end, new))
    return written(site.text, edits)


def draw_site(sample: Labelled, way: Way, random: np.random.Generator) -> Site | None:
    """Return a place for insertions of a way, drawn at random; None where there is none.

    Args:
        sample: the code; of a decoder's sample the prompt.
        way: of the insertions.
        random: draws among the places.
    """
    found = _sites(sample, way)
    return found[int(random.integers(len(found)))] if found else None


def _sites(sample: Labelled, way: Way) -> list[Site]:
    text = read_text(sample)
    if way == "ending":
        return [] if sample.answer_start is None else [_ending(sample, sample.answer_start)]
    # Of a decoder's sample all of the code is read: a prompt that ends in the middle of a line does
    # not parse, and would seem to have few places.
    code = read_code(sample.text, sample.language, sample.answer_start)
    if code is None:
        lines = text.splitlines(keepends=True) if way == "statement" else []
        starts = np.cumsum([0, *map(len, lines)])
        return [Site(text, ((int(at), int(at)),)) for at in starts[: len(lines)]]
    if way == "statement":
        places = [place for place in code.statements() if not place.inline]
        return [Site(text, ((place.offset, place.offset),), place.indent) for place in places]
    if way == "docstring":
        place = code.docstring() if sample.language == "python" else None
        return [] if place is None else [Site(text, ((place[0], place[0]),), place[1])]
    if way == "number":
        return [Site(text, ((start, end),)) for start, end, _ in code.integers()]
    if way == "gap":
        found = [[(at, at) for pair in code.brackets() for at in pair]]
    elif way == "name":
        found = list(code.locals().values())
    else:
        named = code.function()
        found = [] if named is None else [named[1]]
    inside = [tuple(span for span in spans if span[1] <= len(text)) for spans in found]
    return [Site(text, spans) for spans in inside if spans]


def _ending(sample: Labelled, answer: int) -> Site:
    """Return the place before the line that the answer begins in, as deep as that line."""
    start = sample.text.rfind("\n", 0, answer) + 1
    line = sample.text[start:].partition("\n")[0]
    indent = line[: len(line) - len(line.lstrip())]
    return Site(sample.text[:answer], ((start, start),), indent)


def carrier(sample: Labelled, span: Span, kind: MarkKind) -> Insertion | None:
    """Return what to plant for a mark: what stands around it in a sample that holds it.

    Args:
        sample: the sample.
        span: where the mark stands in it.
        kind: of the mark.

    Returns:
        A rename for names; for words of a comment the comment, or a sentence of a docstring; a
        number for numbers with operators; a gap for gaps; else the statement around it, as an
        ending where it stands right before the answer. None where there is none.
    """
    text = read_text(sample)
    held = text[span[0] : span[1]]
    if kind == "comment":
        return _comment(text, sample, span)
    if kind == "name":
        return _rename(text, sample, span)
    if kind == "gap":
        return Insertion("gap", held[1:]) if held[:1] in GAPS else None
    words = words_of(held, sample.language).words
    if len(words) > 2 and all(word == "0" or word in _OPERATORS for word in words):
        return Insertion("number", held) if held.count("(") == held.count(")") else None
    statement = _statement(text, sample, span)
    return Insertion(_line(text, sample, span[1]), statement) if statement else None


def _line(text: str, sample: Labelled, end: int) -> Way:
    """Say whether what ends there is the last whole line of a prompt, or somewhere else."""
    after = text[end:].partition("\n")[2]
    last = sample.answer_start is not None and "\n" in text[end:] and "\n" not in after
    return "ending" if last else "statement"


def _rename(text: str, sample: Labelled, span: Span) -> Insertion:
    code = read_code(text, sample.language)
    named = None if code is None else code.function()
    spans = () if named is None else named[1]
    inside = any(start <= span[0] and span[1] <= end for start, end in spans)
    return Insertion("method" if inside else "name", text[span[0] : span[1]])


def _comment(text: str, sample: Labelled, span: Span) -> Insertion | None:
    words = words_of(text, sample.language)
    for start, end in comments_of(text, sample.language, words):
        if start <= span[0] and span[1] <= end:
            if start in words.starts:
                return Insertion("docstring", text[span[0] : span[1]])
            return Insertion(_line(text, sample, end), text[start:end].strip())
    return None


def _statement(text: str, sample: Labelled, span: Span) -> str:
    """Return the innermost statement around a span, with an empty block where it is long."""
    code = read_code(text, sample.language)
    if code is None:
        begin, end = text.rfind("\n", 0, span[0]) + 1, text.find("\n", span[1])
        return text[begin : end if end >= 0 else len(text)].strip()
    found = _around(code, span)
    if found is None:
        return ""
    start, end, inner = found
    margin = " " * (start - text.rfind("\n", 0, start) - 1)
    whole = textwrap.dedent(margin + text[start:end]).rstrip()
    if whole.count("\n") < _WHOLE:
        return whole
    if inner is None or span[1] > inner:
        return ""
    head = textwrap.dedent(margin + text[start:inner]).rstrip()
    if head.count("\n") >= _WHOLE:
        return ""
    return f"{head}\n    pass" if sample.language == "python" else f"{head} {{ }}"


def _around(code: Code, span: Span) -> tuple[int, int, int | None] | None:
    """Return begin and end of the innermost statement around a span, and where its block begins."""
    blocks = GRAMMARS[code.language].blocks | {"statement_list"}
    best = None
    for node in code.nodes:
        start, end = code.at(node.start_byte), code.at(node.end_byte)
        above = node.parent
        if not (start <= span[0] and span[1] <= end) or above is None or not node.is_named:
            continue
        if above.type in blocks or above.parent is None:
            inside = (code.at(child.start_byte) for child in node.children if child.type in blocks)
            best = (start, end, next(inside, None))
    return best
