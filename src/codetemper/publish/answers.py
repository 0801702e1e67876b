# SPDX-License-Identifier: Apache-2.0
"""Answers line by line, and two of them beside each other: lines and words that the other lacks.

    before, after = compared("return a.id", "return a.key")
    [run.text for run in after[0].runs if run.changed]  # ["key"]

Answers are hostile text: characters that cannot be seen come apart from it (``unseen``), and what
is very long is cut, with a remark. Nothing here makes markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from codetemper.publish import unseen

#: Lines of one answer that are shown, and characters of a line.
LINES, COLUMNS = 60, 400
#: Share of their words that two lines have in common for single words to be marked.
_ALIKE = 0.5

_WORDS = re.compile(r"\w+|\s+|.")

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Run:
    """Characters of a line that are shown in one way.

    Attributes:
        text: the characters, or the name of one that cannot be seen.
        hidden: whether it is such a name.
        changed: whether the like line of the other answer lacks them.
    """

    text: str
    hidden: bool = False
    changed: bool = False


@dataclass(frozen=True)
class Line:
    """One line of an answer.

    Attributes:
        number: counted from 1; 0 for the remark that there are more.
        kind: ``del`` or ``add`` where the other answer lacks it, else empty.
        runs: what stands in it.
    """

    number: int
    kind: str
    runs: tuple[Run, ...]


def lines(text: str) -> tuple[Line, ...]:
    """Return a text's lines."""
    return _lines(_split(text), "", {})


def compared(before: str, after: str) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Return the lines of two answers; what the other lacks is ``del`` or ``add``."""
    old, new = _split(before), _split(after)
    removed: dict[int, Spans] = {}
    added: dict[int, Spans] = {}
    matcher = SequenceMatcher(None, old[:LINES], new[:LINES], autojunk=False)
    for kind, begin, end, other, other_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        removed |= dict.fromkeys(range(begin, end), ())
        added |= dict.fromkeys(range(other, other_end), ())
        if end - begin == other_end - other:
            for place, twin in zip(range(begin, end), range(other, other_end), strict=True):
                removed[place], added[twin] = _words(old[place], new[twin])
    return _lines(old, "del", removed), _lines(new, "add", added)


def _split(text: str) -> list[str]:
    found = text.split("\n")
    return found if found[-1] else found[:-1]


def _words(before: str, after: str) -> tuple[Spans, Spans]:
    """Return where the words of two lines differ; nowhere in particular where most do."""
    old, new = (_WORDS.findall(text[:COLUMNS]) for text in (before, after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return (), ()
    ends, other_ends = ([len("".join(ws[:n])) for n in range(len(ws) + 1)] for ws in (old, new))
    unlike = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    return (
        [(ends[begin], ends[end]) for _, begin, end, _, _ in unlike],
        [(other_ends[begin], other_ends[end]) for _, _, _, begin, end in unlike],
    )


def _lines(texts: Sequence[str], kind: str, unlike: Mapping[int, Spans]) -> tuple[Line, ...]:
    found = [
        Line(place + 1, kind if place in unlike else "", (*_runs(text, unlike.get(place, ())),))
        for place, text in enumerate(texts[:LINES])
    ]
    if len(texts) > LINES:
        found.append(Line(0, "", (Run(f"{len(texts) - LINES} more lines"),)))
    return tuple(found)


def _runs(text: str, spans: Spans) -> Iterator[Run]:
    at = 0
    for begin, end in (*spans, (min(len(text), COLUMNS),) * 2):
        for changed, part in ((False, text[at:begin]), (True, text[begin:end])):
            yield from (Run(shown, hidden, changed) for shown, hidden in unseen.runs(part))
        at = end
    if len(text) > COLUMNS:
        yield Run(f" [{len(text) - COLUMNS} more characters]")
