# SPDX-License-Identifier: Apache-2.0
"""Many C programs as one translation unit: a compiler starts, and reads headers, once for all.

    >>> units, alone = gather(texts, Library(preprocess))
    >>> units[0].write(folder, list(units[0].parts))  # MAIN and the parts it includes
    >>> units[0].original("f00001.c", finding)

A unit includes the headers of all its programs and then the programs. Every name in a program that
neither the program's *own* headers nor the language know gets a suffix (``name$17``). This is a
renaming of all private names at once, under which a program means what it meant; no two programs
share a name, and none sees what only the headers of another declare. A fence after each program is
an error wherever one leaves something open.

A program goes alone where this would not hold for sure: directives other than includes of the
system's headers and plain macros; names of its headers declared or redefined; functions of the
library called without their header; attributes, assembler, ``main``, reserved names; brackets that
do not balance; spliced lines, letters outside of ASCII; and what is long.

Names decide, nothing is parsed. Analysers that treat a function by its name need the name to be in
a header of ``HEADERS`` or in ``_NAMED``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codetemper.core.records import Finding, Language
from codetemper.judges._static.form import Limits, Look, ScanFailedError, looks
from codetemper.judges._static.names import CALLED, HEADERS, NAME, WORDS, Known, Library, words

#: Most programs of a unit, and longest program in characters.
MOST, LONGEST = 50, 20_000
#: Programs for which looking up headers pays.
FEWEST = 10
#: Times that programs with errors are taken out of a unit before it is given up.
_ROUNDS = 4
#: Characters of a message that are kept.
_MESSAGE = 200
#: Findings by file name, and the names of files with errors.
Reading = tuple[dict[str, list[Finding]], set[str]]
#: Looks at files of a folder that hold programs of the given names: the files themselves, or
#: ``MAIN`` alone.
Read = Callable[[Path, Sequence[str], Sequence[str], Language, Limits], Reading]
#: Name of the file that includes the parts; by it clang knows that they are no headers.
MAIN = "UnifiedSource.c"

_QUIET = re.compile(
    r"""(?://[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*['])"""
    r"|(?<!\w)\.?\d(?:[eEpP][+-]|[\w.])*",
    re.DOTALL | re.ASCII,
)
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*(?:(?<=\\)\n[^\n]*)*", re.MULTILINE)
_INCLUDE = re.compile(r"#[ \t]*include[ \t]*<([\w/]+)\.h>[ \t]*\Z", re.ASCII)
_DEFINE = re.compile(r"#[ \t]*define[ \t]+([A-Za-z_]\w*)", re.ASCII)
_SWITCH = re.compile(r"#[ \t]*define[ \t]+_[A-Z_]+_SOURCE(?:[ \t]+\d+L?)?\Z", re.ASCII)
#: What a program may not have outside of its directives, and within.
_ODD = re.compile(r"""[^\x20-\x7e\n\t\f\v]|[$@`"'#\\]|<%|%>|<:|:>|%:""")
_ODD_MACRO = re.compile(r"""[^\x20-\x7e\n\t]|[$@`"'#]|\\(?!\n)|<%|%>|<:|:>|%:""")
_BRACKET = re.compile(r"[][(){}]")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_OUTSIDE = re.compile(r"\b([A-Za-z_]\w*)\s*(?=[\[(=;,:])", re.ASCII)
_AFTER_NAME = re.compile(r"\b([A-Za-z_]\w*)(?:\s+|\s*(\*)[\s*]*)(?=([A-Za-z_]\w*)\s*\()", re.ASCII)
_TAG = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{", re.ASCII)
_ENUMERATOR = re.compile(r"[{,]\s*([A-Za-z_]\w*)\s*(?=[,=}])", re.ASCII)
_RESERVED = re.compile(r"_[_A-Z]")
_SUFFIX = re.compile(r"\$\d+")
_TYPES = words("char const double extern float int long short signed static unsigned void volatile")
_STATEMENTS = words("return else do case sizeof")
#: A program with one of these goes alone: they make names or places part of what it means.
_NEVER = words(
    "asm main __asm __asm__ __attribute __attribute__ __func__ __FUNCTION__ __PRETTY_FUNCTION__"
)


@dataclass
class _Program:
    """A program without its head, as far as it can be told without its headers.

    Attributes:
        text: as it was, but feature macros and includes are blank.
        plain: that without comments, literals, numbers and the word ``define``.
        body: that without macros.
        switches: feature macros before the includes.
        headers: included ones.
        end: where the last include is.
        macros: names it defines.
    """

    text: str
    plain: str
    body: str
    switches: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    end: int = 0
    macros: tuple[str, ...] = ()


@dataclass
class Unit:
    """Programs in one translation unit.

    Attributes:
        head: feature macros and includes, one a line.
        parts: rewritten text by file name.
        places: by file name and line, columns from 0 and widths of suffixes in the rewritten line.
    """

    head: str
    parts: dict[str, str] = field(default_factory=dict)
    places: dict[str, dict[int, list[tuple[int, int]]]] = field(default_factory=dict)

    def write(self, folder: Path, names: Sequence[str]) -> None:
        """Write the parts of some programs, and ``MAIN`` which includes them in order."""
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).write_text(self.parts[name], "ascii", newline="")
        lines = [self.head, *(f'#include "{name}"' for name in names), ""]
        (folder / MAIN).write_text("\n".join(lines), "ascii", newline="")

    def original(self, name: str, finding: Finding) -> Finding:
        """Return a finding in a part as one in the program: its column and its names."""
        column = finding.column
        if column is not None:
            marks = self.places[name].get(finding.line or 0, [])
            column -= sum(width for start, width in marks if start < column - 1)
        message = _SUFFIX.sub("", finding.message)
        return finding.model_copy(update={"column": column, "message": message})


def scan(
    folder: Path,
    names: Sequence[str],
    language: Language,
    limits: Limits,
    library: Library,
    read: Read,
) -> dict[str, Look]:
    """Let a compiler look at programs, those in C in units where they fit into one.

    Args:
        folder: holds the programs; units become folders in it.
        names: file names of the programs.
        language: of the programs.
        limits: deadline, and workers that look up headers.
        library: names of the compiler's headers.
        read: the compiler.

    Returns:
        A look for every name, messages cut to a length.
    """

    def seen(place: Path, files: Sequence[str], programs: Sequence[str]) -> Reading:
        return read(place, files, programs, language, limits)

    units: list[Unit] = []
    alone = list(names)
    if language == "c" and len(names) >= FEWEST:
        texts = {name: (folder / name).read_bytes().decode("utf-8", "replace") for name in names}
        units, alone = gather(texts, library, workers=limits.workers)
    found: dict[str, list[Finding]] = {}
    for number, unit in enumerate(units):
        kept = _settled(unit, folder / f"unit{number}", seen)
        found |= kept
        alone += [name for name in unit.parts if name not in kept]
    unread: set[str] = set()
    if alone:
        more, unread = seen(folder, alone, alone)
        found |= more
    cut = {name: [_cut(finding) for finding in rows] for name, rows in found.items()}
    return looks(folder, cut, unread)


def _cut(finding: Finding) -> Finding:
    return finding.model_copy(update={"message": finding.message[:_MESSAGE]})


def _settled(
    unit: Unit, folder: Path, read: Callable[[Path, Sequence[str], Sequence[str]], Reading]
) -> dict[str, list[Finding]]:
    """Return the findings in those programs of a unit that compile together without an error."""
    names = list(unit.parts)
    for _ in range(_ROUNDS):
        unit.write(folder, names)
        try:
            found, broken = read(folder, [MAIN], names)
        except ScanFailedError:
            break
        if not broken:
            return {name: [unit.original(name, f) for f in rows] for name, rows in found.items()}
        left = [name for name in names if name not in broken]
        if len(left) in (0, len(names)):
            break
        names = left
    return {}


def gather(
    texts: Mapping[str, str], library: Library, most: int = MOST, workers: int = 1
) -> tuple[list[Unit], list[str]]:
    """Return units of programs, and the names of those that go alone.

    Args:
        texts: by file name.
        library: of the compiler that will read them.
        most: programs of a unit.
        workers: headers looked up side by side.
    """
    programs = {name: program for name, text in texts.items() if (program := _read(text))}
    library.learn({(p.switches, p.headers) for p in programs.values()}, workers)
    groups: dict[tuple[str, ...], list[tuple[str, _Program, Known]]] = {}
    for name, program in programs.items():
        known = library.known(program.switches, program.headers)
        if known is not None and _fits(program, known, library.functions):
            groups.setdefault(program.switches, []).append((name, program, known))
    units = []
    for switches, members in groups.items():
        chunks = -(-len(members) // most) if len(members) > 1 else 0
        for number in range(chunks):
            chosen = members[number::chunks]
            headers = dict.fromkeys(h for _, program, _ in chosen for h in program.headers)
            unit = Unit("\n".join([*switches, *(f"#include <{h}.h>" for h in headers)]))
            for name, program, known in chosen:
                unit.parts[name], unit.places[name] = _rewritten(program, known, len(unit.parts))
            units.append(unit)
    together = {name for unit in units for name in unit.parts}
    return units, [name for name in texts if name not in together]


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _read(text: str) -> _Program | None:
    """Return what names do not decide; None where the program must go alone."""
    if len(text) > LONGEST or not text.isascii() or "$" in text or "\r" in text:
        return None
    glued = False

    def quiet(found: re.Match[str]) -> str:
        nonlocal glued
        # A prefix of a literal looks like a name; a comment with a splice goes on.
        before = text[found.start() - 1 : found.start()]
        glued |= found[0][0] in "\"'" and (before.isalnum() or before == "_")
        glued |= "\\\n" in text[found.start() : found.end() + 1]
        return _blank(found)

    plain = _QUIET.sub(quiet, text)
    body = _DIRECTIVE.sub(_blank, plain)
    if glued or _ODD.search(body) or not _closed(body) or body.rstrip()[-1:] not in (";", "}"):
        return None
    return _with_directives(_Program(text, plain, body))


def _with_directives(program: _Program) -> _Program | None:
    """Take in a program's directives; None where there are others than those of a unit."""
    for found in _DIRECTIVE.finditer(program.plain):
        line = found[0].strip()
        start = found.start() + found[0].index("#")
        whole = program.text[start : found.end()].rstrip()  # with its numbers
        if (include := _INCLUDE.match(line)) and include[1] in HEADERS and not program.macros:
            program.headers += (include[1],)
            program.end = start
            program.text = _without(program.text, start, start + len(line))
            program.plain = _without(program.plain, start, start + len(line))
        elif _SWITCH.match(whole) and not program.headers and not program.macros:
            program.switches += (whole,)
            program.text = _without(program.text, start, start + len(whole))
            program.plain = _without(program.plain, start, start + len(whole))
        elif (define := _DEFINE.match(line)) and not _ODD_MACRO.search(line, 1):
            # What is defined before an include could change what the header says.
            program.macros += (define[1],)
            program.plain = _without(program.plain, start, start + define.start(1))
        else:
            return None
    return program


def _without(text: str, start: int, end: int) -> str:
    return f"{text[:start]}{' ' * (end - start)}{text[end:]}"


def _closed(body: str) -> bool:
    stack: list[str] = []
    for mark in _BRACKET.findall(body):
        if mark in _CLOSING:
            stack.append(_CLOSING[mark])
        elif not stack or stack.pop() != mark:
            return False
    return not stack


def _outside(body: str) -> str:
    """Return what is outside of all brackets; the brackets stay."""
    pieces, at, depth = [], 0, 0
    for found in _BRACKET.finditer(body):
        opens = found[0] in _CLOSING
        if opens and depth == 0:
            pieces.append(body[at : found.end()])
        depth += 1 if opens else -1
        if depth == 0:
            at = found.start()
    return "".join([*pieces, body[at:]])


def _fits(program: _Program, known: Known, functions: frozenset[str]) -> bool:
    """Return whether a program leaves the names of others as they are."""
    if any(known.has(name) or name in WORDS for name in program.macros):
        return False
    names = set(NAME.findall(program.plain)) - WORDS
    if names & _NEVER or any(known.has(n) for n in NAME.findall(program.body, 0, program.end)
                             if n not in WORDS):  # fmt: skip
        return False
    called = set(CALLED.findall(program.plain))
    for name in names:
        if not known.has(name) and (_RESERVED.match(name) or (name in called & functions)):
            return False
    return not any(known.declared(name) for name in _declarations(program.body))


def _declarations(body: str) -> Iterable[str]:
    """Yield names that a program may declare; more than it does, rather than fewer."""
    yield from _OUTSIDE.findall(_outside(body))
    yield from _TAG.findall(body)
    for before, star, name in _AFTER_NAME.findall(body):
        if before in _TYPES if star else before not in _STATEMENTS:
            yield name
    if "enum" in body:
        yield from _ENUMERATOR.findall(body)


def _rewritten(
    program: _Program, known: Known, number: int
) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """Return a program with names of its own, and where its lines got longer."""
    text, suffix = program.text, f"${number}"
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    places: dict[int, list[tuple[int, int]]] = {}
    pieces, at = [], 0
    for found in NAME.finditer(program.plain):
        if found[0] in WORDS or known.has(found[0]):
            continue
        pieces += [text[at : found.end()], suffix]
        at = found.end()
        line = bisect_right(starts, found.start())
        marks = places.setdefault(line, [])
        marks.append((at - starts[line - 1] + len(suffix) * len(marks), len(suffix)))
    return "".join([*pieces, text[at:], f"\nstatic int fence{suffix}(void);\n"]), places
