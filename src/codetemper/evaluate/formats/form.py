# SPDX-License-Identifier: Apache-2.0
"""What all readers share: the description of a format, stop strings, checks, ids.

A reader is a function from a path to cases. ``Form`` says what its format is; ``card`` turns that
and the cases into a suite card. Nothing here reads a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Language, SuiteCard

#: Beginnings of lines at which a model has left the Python function it was asked for.
PYTHON_STOPS = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(", "\n```")
#: The same for C and C++. A completion is cut before them, so the closing brace is none of them.
C_STOPS = (
    "\n/*", "\n//", "\n#", "\n```", "\nint ", "\nvoid ", "\nchar ", "\nbool ", "\ndouble ",
    "\nfloat ", "\nlong ", "\nunsigned ", "\nstatic ", "\nconst ", "\nstruct ", "\nenum ",
    "\ntypedef ", "\nextern ", "\nsize_t ",
)  # fmt: skip
CPP_STOPS = (
    *C_STOPS, "\nstring ", "\nstd::", "\nvector<", "\nmap<", "\nset<", "\npair<", "\nauto ",
    "\nclass ", "\ntemplate", "\nnamespace ", "\nusing ",
)  # fmt: skip
STOPS: dict[str, tuple[str, ...]] = {"python": PYTHON_STOPS, "c": C_STOPS, "cpp": CPP_STOPS}

#: File endings and other projects' names of languages.
LANGUAGES: dict[str, Language] = {
    "py": "python", "python": "python", "c": "c", "cpp": "cpp", "cc": "cpp", "cxx": "cpp",
    "hpp": "cpp", "c++": "cpp", "h": "c", "java": "java", "js": "javascript",
    "javascript": "javascript", "go": "go",
}  # fmt: skip


@dataclass(frozen=True)
class LeftOut:
    """A row that no judge here can decide; a reader yields it in the place of a case.

    Attributes:
        why: what kind of row it is, e.g. ``rows in php``; the card counts them by it.
    """

    why: str


@dataclass(frozen=True)
class Form:
    """A format that suites can be read from.

    Attributes:
        name: word before the colon of a suite's name.
        read: yields the cases of a path, and what it leaves out.
        metrics: what a scorecard reports.
        licence: of the benchmark's own files, for the card; they are never shipped.
        max_new_tokens: budget that fits the right answers with room to spare.
        holds: what a path must hold, one line for the error message and the documentation.
    """

    name: str
    read: Callable[[Path], Iterable[Case | LeftOut]]
    metrics: tuple[str, ...]
    licence: str
    max_new_tokens: int
    holds: str


def card(form: Form, path: Path, cases: Sequence[Case], left_out: Counter[str]) -> SuiteCard:
    """Return the card of cases that were read; its summary counts what was left out."""
    languages = sorted({case.language for case in cases})
    less = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
    return SuiteCard(
        name=f"{form.name}:{path.name or path.resolve().name}",
        summary=f"{len(cases)} cases of {form.name}, read by path."
        + (f" Left out, since no judge here decides them: {less}." if less else ""),
        language=languages[0] if len(languages) == 1 else "text",
        metrics=form.metrics,
        cases=path.name,
        licence=form.licence,
        source=form.name,
        max_new_tokens=form.max_new_tokens,
    )


def distinct(cases: Iterable[Case], path: Path) -> Iterator[Case]:
    """Yield the cases, and refuse a second one of the same id."""
    seen: dict[str, int] = {}
    for number, case in enumerate(cases, 1):
        if case.id in seen:
            raise UsageError(
                f"{path} has two cases named '{case.id}'",
                why=f"number {seen[case.id]} and number {number} are named alike",
                mend="ids must be unique: rename one, or read one of the files alone",
            )
        seen[case.id] = number
        yield case


def asserts(
    name: str, code: str, *, hidden: bool = False, together: bool = False, kind: str = "function"
) -> dict[str, Any]:
    """Return an assert-style check of the judge ``execution``."""
    return {"name": name, "kind": kind, "code": code, "style": "asserts",
            "hidden": hidden, "together": together}  # fmt: skip


def cwe_name(text: str) -> str | None:
    """Return ``CWE-89`` for ``cwe-089``, ``CWE_89``, ``cwe089`` or ``89``; None for other texts."""
    found = re.match(r"(?:cwe)?[-_ ]?0*(\d{1,4})(?!\d)", text.strip(), re.IGNORECASE)
    return f"CWE-{found[1]}" if found else None


def language_of(name: str) -> Language | None:
    """Return the language of a file name, an ending or a language's name; None where unknown."""
    return LANGUAGES.get(name.rsplit(".", 1)[-1].strip().lower())
