# SPDX-License-Identifier: Apache-2.0
"""C and C++ files cut into the units that stand at their top level, each readable by itself.

    for unit in units(source):           # "".join(units(source)) == source
        parse(readable(unit).encode(), "c")

A unit ends with a line that begins with a closing brace, where all braces are closed (or where the
next lines are plainly a function, though something above was left open). The
versions of a file share most of their units, so a unit need be parsed once in a history, and
what cannot be parsed in one unit spoils no other. Braces are counted as a compiler would with the
first branch of each ``#if``; those of ``namespace`` and ``extern "C"`` need not close.

A unit may hold one end of something larger. ``readable`` blanks such ends with spaces, so that
offsets stay, and macros as in ``class EXPORT Name {``. ``one_branch`` also blanks all directives of
conditions and all branches but the first, for code whose braces do not close over all branches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

#: What matters for counting braces, and what hides them: comments, quotations, definitions of
#: macros.
_MARKS = re.compile(
    r"""//(?:[^\n\\]|\\.)*+
    |/\*(?:.*?\*/|(?P<endless>.*))
    |"(?:\\.|[^"\\\n])*+"
    |'(?:\\.|[^'\\\n])*+'
    |R"(?P<fence>[^()\\\s"]{0,16})\(.*?\)(?P=fence)"
    |^[ \t]*+\#[ \t]*+(?:
        (?P<condition>if|el|endif)(?:[^\n\\/]|\\.|/\*.*?\*/|/)*+
        |(?:[^\n\\/]|\\.|/\*.*?\*/|/)*+)
    |(?P<brace>[{}])""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
#: Before a brace: what need not close, and a macro between ``class`` and its name.
_CONTAINER = re.compile(
    r"""(?P<container>\bnamespace\b[^;{}()=#]*|\bextern\s*"[^"\n]*"\s*)\Z
    |\b(?:class|struct|union)\s+(?P<export>\w+(?:\s*\([^()]*\))?)\s+
        (?!final\b)\w+(?:\s+final)?\s*(?::[^;{}()]*)?\Z""",
    re.VERBOSE,
)
#: How far before a brace that is looked for.
_BEFORE = 300
#: The heading of a function at the start of a line: words, parameters, a brace.
_HEADING = re.compile(
    r"^(?!(?:case|do|else|for|if|return|switch|while)\b)[A-Za-z_]\w*[\s*]+[^;{}=#]*\)\s*\{",
    re.MULTILINE,
)
#: Longer units, in characters, are read anew each time, so that what is remembered stays small.
LONGEST_KEPT = 1 << 15
_VISIBLE = re.compile(r"[^\n]")

Span = tuple[int, int]


@dataclass(slots=True)
class _Condition:
    """An ``#if`` that is open.

    Attributes:
        before: what was open before it.
        directives: characters of its lines so far.
        first: what is open after its first branch, once that has ended.
    """

    before: list[tuple[bool, Span]]
    directives: list[Span]
    first: list[tuple[bool, Span]] | None = None


@dataclass(slots=True)
class _Scan:
    """What the marks of a text amount to.

    Attributes:
        depth: braces left open; negative where more are closed than opened.
        open_comment: the text ends within a comment.
        ends: characters of one end of something whose other end is not in the text, and of
            macros between ``class`` and its name.
        directives: characters of all directives of conditions.
        branches: characters of all branches of conditions but the first.
    """

    depth: int = 0
    open_comment: bool = False
    ends: list[Span] = field(default_factory=list)
    directives: list[Span] = field(default_factory=list)
    branches: list[Span] = field(default_factory=list)


def units(source: str) -> list[str]:
    r"""Cut a text with ``\n`` line ends into units; joined they are the text."""
    found: list[str] = []
    depth = begin = counted = at = 0
    while (brace := source.find("\n}", at)) >= 0:
        line_end = source.find("\n", brace + 1) + 1 or len(source)
        at = line_end - 1
        if source.endswith("\\\n", 0, line_end):
            continue
        scan = _scanned(source[counted:line_end])
        if scan.open_comment:
            # No brace at all: go on behind the comment.
            at = source.find("*/", at)
            if at < 0:
                break
            continue
        if depth > 0 and scan.depth == 0 and _HEADING.search(source, counted, line_end):
            # Something above never closed, for a function begins here.
            found.append(source[begin:counted])
            depth, begin = 0, counted
        depth += scan.depth
        counted = line_end
        if depth <= 0:
            found.append(source[begin:line_end])
            depth, begin = 0, line_end
    if begin < len(source):
        found.append(source[begin:])
    return found


def readable(unit: str) -> str:
    """Return a unit without what keeps it from being read by itself, its length kept."""
    return _blanked(unit, _scanned(unit).ends)


def one_branch(unit: str) -> str:
    """Return a unit as ``readable`` does, and of its conditions the first branches only."""
    scan = _scanned(unit)
    return _blanked(unit, scan.ends + scan.directives + scan.branches)


def _blanked(text: str, spans: list[Span]) -> str:
    """Put spaces for all but line feeds, as many as the characters have bytes in UTF-8."""
    parts: list[str] = []
    done = 0
    for begin, end in sorted(spans):
        if end > done:
            begin = max(begin, done)
            hidden = text[begin:end]
            wide = not hidden.isascii()
            spaces = (lambda m: " " * len(m[0].encode())) if wide else " "
            parts += [text[done:begin], _VISIBLE.sub(spaces, hidden)]
            done = end
    return "".join([*parts, text[done:]])


def _scanned(text: str) -> _Scan:
    return _kept(text) if len(text) < LONGEST_KEPT else _scan(text)


@lru_cache(maxsize=4096)
def _kept(text: str) -> _Scan:
    return _scan(text)


def _scan(text: str) -> _Scan:
    scan = _Scan()
    opened: list[tuple[bool, Span]] = []
    conditions: list[_Condition] = []
    for mark in _MARKS.finditer(text):
        kind, span = mark.lastgroup, mark.span()
        if kind == "brace":
            if mark[0] == "{":
                opened.append(_opening(text, mark.start(), opened, scan))
            elif opened:
                opened.pop()
            else:
                scan.depth -= 1
                scan.ends.append(span)
        elif kind == "condition":
            opened = _condition(mark, opened, conditions, scan)
        elif kind == "endless":
            scan.open_comment = True
    for condition in conditions:
        scan.ends += condition.directives
    for container, span in opened:
        if container:
            scan.ends.append(span)
        else:
            scan.depth += 1
    return scan


def _opening(
    text: str, brace: int, opened: list[tuple[bool, Span]], scan: _Scan
) -> tuple[bool, Span]:
    """Return whether a brace opens a container, and what to blank if that stays open."""
    if opened and not opened[-1][0]:
        return False, (brace, brace + 1)
    begin = max(0, brace - _BEFORE)
    before = _CONTAINER.search(text[begin:brace])
    if before is None:
        return False, (brace, brace + 1)
    if before["container"] is None:
        scan.ends.append((begin + before.start("export"), begin + before.end("export")))
        return False, (brace, brace + 1)
    return True, (begin + before.start(), brace + 1)


def _condition(
    mark: re.Match[str],
    opened: list[tuple[bool, Span]],
    conditions: list[_Condition],
    scan: _Scan,
) -> list[tuple[bool, Span]]:
    """Take a directive of a condition into account; return what is open after it."""
    if mark["condition"] == "if":
        conditions.append(_Condition(list(opened), [mark.span()]))
        return opened
    if not conditions:
        scan.ends.append(mark.span())
        return opened
    condition = conditions[-1]
    condition.directives.append(mark.span())
    if mark["condition"] == "el":
        if condition.first is None:
            condition.first = opened
        return list(condition.before)
    conditions.pop()
    scan.directives += condition.directives
    if condition.first is None:
        return opened
    scan.branches.append((condition.directives[1][0], mark.end()))
    return condition.first
