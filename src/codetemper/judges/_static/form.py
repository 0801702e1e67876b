# SPDX-License-Identifier: Apache-2.0
"""The shape that all analysers share, and how their programs are started.

``run`` starts a program that reads hostile text: without input, in a group of its own that is
killed on the deadline, with bounded memory and output. Analysers parse programs and never run
them, so there is no sandbox around them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import Field

from codetemper.core.digests import digest_json
from codetemper.core.records import Finding, Language, Record

#: File name ending by language.
SUFFIX: dict[Language, str] = {"python": ".py", "c": ".c", "cpp": ".cpp"}
#: Memory one analyser process may use, and the longest output it may write, in bytes.
MEMORY, OUTPUT = 6 << 30, 256 << 20


class Look(Record):
    """What one analyser made of one file."""

    findings: tuple[Finding, ...] = ()
    """What it found, by line."""
    read: bool = True
    """False where the analyser could not parse the file, or gave up on it."""


class Limits(Record):
    """Bounds of a scan."""

    workers: int = Field(default=2, ge=1)
    """Processes side by side."""
    batch: int = Field(default=1000, ge=1)
    """Most files one process gets."""
    file_s: float = Field(default=30.0, gt=0.0)
    """Wall seconds that one file alone may take; a batch may take this and a second a file."""

    def deadline(self, files: int) -> float:
        """Return the wall seconds that a batch of so many files may take."""
        return self.file_s + files


class ScanFailedError(Exception):
    """An analyser said nothing usable about a batch; halves of the batch may do better."""


class Analyser(Protocol):
    """What the scan needs of an analyser."""

    name: str
    """Beginning of its rules' names, ``<name>:<rule>``."""
    languages: tuple[Language, ...]
    """Languages it reads."""
    divides: bool
    """Whether one process of it uses all workers by itself."""

    def version(self) -> str | None:
        """Return its version, or None where it cannot be started."""

    def settings(self) -> str:
        """Return a digest of the rules and options it is run with."""

    def scan(
        self, folder: Path, names: Sequence[str], language: Language, limits: Limits
    ) -> dict[str, Look]:
        """Look at files of one language.

        Args:
            folder: holds them; nothing else is there, and the analyser may write to it.
            names: file names without folders.
            language: of all of them.
            limits: deadline and workers.

        Returns:
            A look for every name.

        Raises:
            ScanFailedError: no usable answer for the batch.
        """


@dataclass(frozen=True)
class Done:
    """How a program ended.

    Attributes:
        status: exit code; negative for a signal.
        stdout: what it printed.
        stderr: what it printed there.
    """

    status: int
    stdout: str
    stderr: str


class Installed:
    """A program that may be installed here, looked for when it is first asked for.

    Args:
        names: of the program, the best first.
        ask: arguments upon which it prints its version.
    """

    def __init__(self, *names: str, ask: Sequence[str] = ("--version",)) -> None:
        self._names, self._ask = names, ask

    @functools.cached_property
    def _found(self) -> tuple[str, str] | None:
        for name in self._names:
            path = find_program(name)
            number = first_version([path, *self._ask]) if path else None
            if path and number:
                return path, number
        return None

    @property
    def version(self) -> str | None:
        """Its version, or None where it cannot be started."""
        return self._found[1] if self._found else None

    @property
    def path(self) -> str:
        """Where it lies.

        Raises:
            ScanFailedError: it is not installed.
        """
        if self._found is None:
            raise ScanFailedError(f"{self._names[0]} is not installed")
        return self._found[0]


def find_program(name: str) -> str | None:
    """Return the path of an analyser: on PATH, beside this Python, or in ``.venv-tools``.

    Analysers whose pinned libraries clash with ours live in an environment of their own; a
    checkout makes it as ``.venv-tools``, others use ``pipx``.
    """
    here = Path(sys.prefix)
    for folder in (None, here / "bin", here.parent / ".venv-tools" / "bin"):
        found = shutil.which(name, path=None if folder is None else str(folder))
        if found:
            return found
    return None


def run(
    command: Sequence[str], folder: Path, seconds: float, more: Mapping[str, str] | None = None
) -> Done:
    """Start a program and wait for it.

    Args:
        command: program and arguments.
        folder: its working folder.
        seconds: wall seconds until it and all it started are killed.
        more: variables beside PATH, language and a throw-away home.

    Raises:
        ScanFailedError: it did not end in time or could not be started.
    """
    limited = shutil.which("prlimit")
    bounds = [limited, f"--as={MEMORY}", f"--fsize={OUTPUT}", "--core=0", "--"] if limited else []
    with tempfile.TemporaryDirectory(prefix="codetemper-home-") as home:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8",
                       "HOME": home, "TMPDIR": home, "XDG_CONFIG_HOME": home,
                       **(more or {})}  # fmt: skip
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                process = subprocess.Popen(
                    [*bounds, *command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                    stdout=out, stderr=err, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise ScanFailedError(f"{command[0]}: {error}") from error
            try:
                ended = _ends(process.pid, seconds)
            finally:
                # What it started must not outlive it, however it ended.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
            if not ended:
                raise ScanFailedError(f"{command[0]} took more than {seconds:g} s")
            return Done(status, _text(out), _text(err))


def _ends(pid: int, seconds: float) -> bool:
    """Return whether a child ends within a time; it is not reaped."""
    handle = os.pidfd_open(pid)
    try:
        # Not select: it knows no descriptor above 1023.
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)


def _text(stream: object) -> str:
    stream.seek(0)  # type: ignore[attr-defined]
    data: bytes = stream.read(OUTPUT)  # type: ignore[attr-defined]
    return data.decode("utf-8", "replace")


def first_version(command: Sequence[str]) -> str | None:
    """Return the first version number that a program prints, or None."""
    try:
        done = run(command, Path(tempfile.gettempdir()), 60)
    except ScanFailedError:
        return None
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found[0] if found and done.status == 0 else None


def fingerprint(rule: str, line: str) -> str:
    """Return what names a finding when lines move: rule and the line's text without its blanks."""
    return digest_json([rule, "".join(line.split())])[:16]


def finish(found: Sequence[Finding], text: str) -> tuple[Finding, ...]:
    """Give findings of one file their fingerprints, in order of place, each place and rule once.

    The fingerprint of the n-th like line ends in ``:n``, as GitHub's own do.
    """
    lines = text.split("\n")
    counts: dict[str, int] = {}
    done: dict[tuple[str, int | None], Finding] = {}
    for finding in sorted(found, key=lambda f: (f.line or 0, f.column or 0, f.rule, f.message)):
        place = (finding.rule, finding.line)
        if place in done:
            continue
        number = finding.line or 0
        mark = fingerprint(finding.rule, lines[number - 1] if 0 < number <= len(lines) else "")
        counts[mark] = counts.get(mark, 0) + 1
        done[place] = finding.model_copy(update={"fingerprint": f"{mark}:{counts[mark]}"})
    return tuple(done.values())


def looks(
    folder: Path, found: Mapping[str, Sequence[Finding]], unread: Collection[str] = ()
) -> dict[str, Look]:
    """Return the look of every file.

    Args:
        folder: holds the files.
        found: their findings, by name.
        unread: names of those that could not be read.
    """
    return {
        name: Look(
            findings=finish(rows, (folder / name).read_text("utf-8", "replace")),
            read=name not in unread,
        )
        for name, rows in found.items()
    }
