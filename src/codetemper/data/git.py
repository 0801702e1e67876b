# SPDX-License-Identifier: Apache-2.0
"""The git binary, run so that a repository can neither act nor change.

``Git(folder).run("rev-list", "HEAD")`` is one command; ``Objects(git)`` is one ``git cat-file
--batch`` that stays open. Configuration of the repository that would start programs is off,
nothing asks for passwords, replaced objects are read as they are, and nothing is fetched: what a
partial clone left out is missing. What the answers mean is read in ``history.py``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from codetemper.core.errors import UsageError

#: Repository configuration must not start programs or ask for passwords.
_SAFE = (
    "-c", "core.fsmonitor=false", "-c", "log.showSignature=false", "-c", "diff.external=",
    "-c", "core.quotePath=false", "-c", "diff.renameLimit=400",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    # Older git does not know the line above: with no protocol allowed, a fetch fails at once.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C.UTF-8",
}


class Git:
    """The git binary at work in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def start(
        self, *arguments: str, source: IO[bytes] | int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start a command with pipes at its input (or another process's output) and output.

        Raises:
            UsageError: git is not installed.
        """
        try:
            return subprocess.Popen(
                ["git", "-C", str(self._root), *_SAFE, *arguments],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if arguments[0] == "rev-parse" else subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            )
        except FileNotFoundError as error:
            raise UsageError(
                "git was not found",
                why="histories are read with the git binary",
                mend="apt-get install git",
            ) from error

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end; ``returncode`` and ``stdout`` tell what came of it."""
        with self.start(*arguments) as process:
            output, said = process.communicate(stdin)
        return subprocess.CompletedProcess(arguments, process.returncode, output, said)

    def piped(self, first: Sequence[str], second: Sequence[str], stdin: bytes) -> bytes:
        """Return the output of a second command that reads the output of a first.

        Raises:
            EOFError: the first command ended with an error.
        """
        with self.start(*first) as reader, self.start(*second, source=_output(reader)) as writer:
            _output(reader).close()
            assert reader.stdin is not None  # noqa: S101
            # ``patch-id`` writes one line a commit: less than a pipe holds while this is written.
            with contextlib.suppress(BrokenPipeError):
                reader.stdin.write(stdin)
                reader.stdin.close()
            said = _output(writer).read()
        if reader.returncode != 0:
            raise EOFError(f"git {first[0]} ended with {reader.returncode}")
        return said

    def blocks(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        """Yield the output of a command in blocks, as it is written.

        Raises:
            EOFError: after the last block, where the command ended with an error.
        """
        with self.start(*arguments) as process:
            assert process.stdin is not None  # noqa: S101
            assert process.stdout is not None  # noqa: S101
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(stdin)
                    process.stdin.close()
                while block := process.stdout.read(1 << 16):
                    yield block
            except GeneratorExit:
                process.kill()
                raise
        if process.returncode != 0:
            raise EOFError(f"git {arguments[0]} ended with {process.returncode}")


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None  # noqa: S101
    return process.stdout


class Objects:
    """The objects of a repository by name; ``close`` ends the process behind it."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process; the next ``read`` starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def read(self, name: str, most: int) -> tuple[bytes, bytes | None]:
        """Return the type and the contents of an object.

        Args:
            name: a full hash, or another name that git understands.
            most: longer contents, in bytes, are passed over.

        Returns:
            ``(b"", None)`` for an object that is missing; no contents where they are too long.
        """
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch")
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None  # noqa: S101
        assert answered is not None  # noqa: S101
        try:
            asked.write(name.encode() + b"\n")
            asked.flush()
            header = answered.readline().split()
        except BrokenPipeError:
            header = []
        if not header:
            # git ends at an object that it would have to fetch; the next one is asked anew.
            self.close()
        if len(header) != 3:
            return b"", None
        left = int(header[2]) + 1
        if left > most + 1:
            while left > 0 and (block := answered.read(min(left, 1 << 20))):
                left -= len(block)
            return header[1], None
        data = answered.read(left)
        return header[1], data[:-1] if len(data) == left else None
