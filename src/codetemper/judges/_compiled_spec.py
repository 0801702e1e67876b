# SPDX-License-Identifier: Apache-2.0
"""What a case of the compiled judge brings: the program around a completion, and its checks.

``Spec`` is the form of ``Case.spec``; ``source`` puts the translation unit together. Nothing here
runs or judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from codetemper.core.records import Record

Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")
_DEFINED = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(.*(?:\\\n.*)*)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#.*(?:\\\n.*)*\n?", re.MULTILINE)
_LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)


class Forbids(Record):
    """What must not be seen in a run; any of it means the hostile input had its way."""

    stdout: tuple[str, ...] = ()
    """Text that standard output must not hold."""
    creates: tuple[str, ...] = ()
    """Patterns (``*`` also crosses ``/``) of paths, relative to the run's folder, that must not
    exist after the run."""
    opens_outside: str | None = None
    """A folder relative to the run's folder, or absolute. No path outside it may be given to a
    function that opens, makes, deletes or renames files; paths are normalised, links are not
    followed. Only the null, random and standard-stream devices are free."""
    mode_bits: int = Field(default=0, ge=0, le=0o7777)
    """Permission bits that no file or folder the program made (or changed the mode of) may have;
    symbolic links do not count."""


class Check(Record):
    """One run of the program, in a fresh folder of its own."""

    name: str
    """Name, unique within the case."""
    kind: Literal["function", "security"]
    """What a difference means: wrong, or insecure."""
    argv: tuple[Argument, ...] = ()
    """Arguments after the program's name; each lies in an allocation of its own."""
    stdin: str = ""
    """Standard input."""
    expect_stdout: str | None = None
    """Standard output, byte for byte in UTF-8; None: any."""
    cwe: str | None = None
    """Weakness that a failed security check shows; default: the case's."""
    files: dict[Argument, str] = Field(default_factory=dict)
    """Files put into the run's folder before the start, mode 0644, by relative path; a path that
    ends in ``/`` is an empty folder, mode 0755."""
    environment: dict[Name, Argument] = Field(default_factory=dict)
    """More environment variables."""
    umask: int = Field(default=0o022, ge=0, le=0o777)
    """The file mode creation mask."""
    malloc_fails: int = Field(default=0, ge=0)
    """Which call of malloc, calloc, realloc, strdup or strndup after the driver called
    ``judge_arm()`` is the first to return NULL; all later ones do too. 0: never."""
    rand: int | None = Field(default=None, ge=0, le=2147483647)
    """What rand() and random() return; None: what the system returns."""
    forbids: Forbids = Forbids()
    """What makes the run insecure beside a sanitizer's report and another output."""
    timeout_is_insecure: bool = False
    """Whether a security check fails where the program does not end in time."""

    @field_validator("files")
    @classmethod
    def _stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files:
            parts = path.removesuffix("/").split("/")
            if len(path.encode("utf-8", "surrogateescape")) > 1024 or {"", ".", ".."} & {*parts}:
                raise ValueError(f"'{path}' is not a plain relative path")
            if path.endswith("/") and files[path]:
                raise ValueError(f"'{path}' is a folder and cannot have content")
        return files


class Spec(Record):
    """What a case of this judge brings."""

    prelude: str = ""
    """Source before the prompt: includes and helper declarations."""
    driver: str = ""
    """Source after the completion, with ``main``, which must *return*: a program that ends in any
    other way with exit code 0 is taken for tampering. ``void judge_arm(void)`` is declared."""
    checks: tuple[Check, ...] = Field(min_length=1)
    """Function checks stop at the first failure; security checks always all run."""
    flags: tuple[str, ...] = ()
    """More options for the compiler and linker."""

    def head(self, language: str) -> str:
        """Return what comes before the candidate's text and is the same for all completions."""
        declared = "void judge_arm(void);"
        if language == "cpp":
            declared = f'extern "C" {declared}'
        suffix = "cpp" if language == "cpp" else "c"
        return f'{declared}\n#line 1 "prelude.{suffix}"\n{self.prelude}\n'

    def tail(self, prompt: str, text: str, language: str) -> str:
        """Return the rest of the translation unit; lines of prompt + completion count from 1.

        The macros that the driver could meet are put back to what they were before the
        completion, so that no ``#define`` of a completion rewrites the driver. The headers of the
        prompt come before that: their macros (``NULL``, ``EOF``) are the driver's too.
        """
        suffix = "cpp" if language == "cpp" else "c"
        names = sorted(self.driver_names() - {match[1] for match in _DEFINED.finditer(prompt)})
        push = "".join(f'#pragma push_macro("{name}")\n' for name in names)
        pop = "".join(f'#pragma pop_macro("{name}")\n' for name in names)
        return (f'{_includes(prompt)}{push}#line 1 "candidate.{suffix}"\n{prompt}{text}\n'
                f'{pop}#line 1 "driver.{suffix}"\n{self.driver}\n')  # fmt: skip

    def defines(self, prompt: str, names: Iterable[str]) -> set[str]:
        """Return those of the names that prelude, prompt or driver define as functions."""
        text = _LITERAL.sub(" ", "\n".join((self.prelude, prompt, self.driver)))
        form = r"[\w*&>]\s*\b{}\s*\([^;{{}}()]*(?:\([^;{{}}()]*\)[^;{{}}()]*)*\)\s*(?:\{{|$)"
        return {name for name in names if re.search(form.format(re.escape(name)), text)}

    def driver_names(self) -> set[str]:
        """Return the identifiers of the driver and of the prelude's macros."""
        text = self.driver + "".join(match[2] for match in _DEFINED.finditer(self.prelude))
        return set(_IDENTIFIER.findall(_LITERAL.sub(" ", text)))


def _includes(prompt: str) -> str:
    """Return the directives of a prompt up to its last ``#include``, where they stand alone."""
    found = [match[0].rstrip("\n") for match in _DIRECTIVE.finditer(prompt)]
    words = [re.sub(r"^\s*#\s*", "", line).split(None, 1)[:1] for line in found]
    last = max((i for i, word in enumerate(words) if word == ["include"]), default=-1)
    kept = [word[0] for word in words[: last + 1] if word]
    opened = sum(word in ("if", "ifdef", "ifndef") for word in kept)
    if opened != kept.count("endif"):
        return ""
    return "".join(f"{line}\n" for line in found[: last + 1])
