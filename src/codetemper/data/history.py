# SPDX-License-Identifier: Apache-2.0
"""What a git history holds: commits, the files each one changed, and the contents of blobs.

``History(repository)`` drives the git binary with three kinds of process: one ``git log`` that
streams messages, one ``git diff-tree`` per batch of chosen commits, and one ``git cat-file
--batch`` that stays open for the contents. No working tree is needed and nothing is written.
Which commits are worth a look is decided in ``labels.py``, what becomes of them in ``mine.py``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

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
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C.UTF-8",
}
_FORMAT = "%H%x00%P%x00%aI%x00%B"
_FIELDS = 4


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit without its changes: full hashes, author date (ISO 8601), whole message."""

    hash: str
    parents: tuple[str, ...]
    date: str
    message: str

    @property
    def subject(self) -> str:
        """First line of the message."""
        return self.message.strip().split("\n", 1)[0].strip()


@dataclass(frozen=True, slots=True)
class Change:
    """One file modified (possibly moved) by a commit: path after it and both blob ids."""

    path: str
    before: str
    after: str


class History:
    """A git repository, opened for reading; a context manager that ends its processes."""

    def __init__(self, repository: Path, *, max_file_bytes: int = 2_000_000) -> None:
        """Open a repository (working tree or bare).

        Args:
            repository: its folder.
            max_file_bytes: larger blobs are treated as missing.

        Raises:
            UsageError: no such folder, not a repository, or git is not installed.
        """
        self._root = repository
        self._max_file_bytes = max_file_bytes
        self._cat: subprocess.Popen[bytes] | None = None
        if not repository.is_dir():
            raise UsageError(
                f"no such folder: {repository}",
                why="a history is read from a git repository on this machine",
                mend="git clone URL FOLDER, then name the folder",
            )
        # An enclosing repository is not what was asked for when a plain folder is named.
        found = self._run("rev-parse", "--show-cdup")
        if found.returncode != 0 or found.stdout.strip():
            said = found.stderr.decode("utf-8", "replace").strip().split("\n")[0]
            raise UsageError(
                f"not a git repository: {repository}",
                why=said or "it lies inside a repository but is not its top folder",
                mend="name the top folder of a git clone",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._cat is not None:
            self._cat.kill()
            self._cat.communicate()
            self._cat = None

    def _command(self, *arguments: str) -> list[str]:
        return ["git", "-C", str(self._root), *_SAFE, *arguments]

    def _run(
        self, *arguments: str, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(*arguments),
                input=stdin if stdin is not None else b"",
                capture_output=True,
                check=False,
                env={**os.environ, **_ENVIRONMENT},
            )
        except FileNotFoundError as error:
            raise UsageError(
                "git was not found",
                why="histories are read with the git binary",
                mend="apt-get install git",
            ) from error

    def origin(self) -> str:
        """Return the remote's address without credentials, or the folder's name."""
        found = self._run("config", "--get", "remote.origin.url")
        address = found.stdout.decode("utf-8", "replace").strip()
        address = re.sub(r"//[^@/]*@", "//", address)
        if re.match(r"(?:https?|ssh|git)://", address) or re.match(r"[\w.-]+@?[\w.-]*:\w", address):
            return address.removesuffix(".git")
        # A local path says nothing to others and may tell who keeps it where.
        resolved = self._root.resolve()
        name = resolved.parent.name if resolved.name == ".git" else resolved.name
        return name.removesuffix(".git")

    def count(self, revision: str, *, since: str = "", until: str = "") -> int:
        """Return the number of commits that ``commits`` yields; 0 for an unborn branch."""
        if self._unborn(revision):
            return 0
        found = self._run("rev-list", "--count", *_window(since, until), *_end(revision))
        if found.returncode != 0:
            raise _unknown_revision(revision, found.stderr)
        return int(found.stdout)

    def _unborn(self, revision: str) -> bool:
        """Tell whether the repository has no commit yet at HEAD."""
        if revision != "HEAD":
            return False
        return self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").returncode != 0

    def commits(
        self, revision: str = "HEAD", *, since: str = "", until: str = ""
    ) -> Iterator[Commit]:
        """Yield all commits reachable from ``revision``, children before their parents.

        Args:
            revision: branch, tag or hash.
            since: only commits younger than this date, in any form git reads.
            until: only commits older than this date.

        Raises:
            UsageError: the repository does not know the revision.
        """
        if self._unborn(revision):
            return
        command = self._command(
            "log", "-z", "--date-order", "--encoding=UTF-8", f"--format={_FORMAT}%x00",
            *_window(since, until), *_end(revision),
        )  # fmt: skip
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT},
        ) as process:
            assert process.stdout is not None  # noqa: S101
            assert process.stderr is not None  # noqa: S101
            try:
                yield from _parse_log(process.stdout)
            except GeneratorExit:
                process.kill()
                raise
            said = process.stderr.read()
        if process.returncode != 0:
            raise _unknown_revision(revision, said)

    def brought_in(self, merge: Commit) -> frozenset[str]:
        """Return the hashes of the commits that a merge brought into its first parent."""
        found = self._run("rev-list", merge.hash, f"^{merge.parents[0]}")
        return frozenset(found.stdout.decode("ascii", "replace").split()) - {merge.hash}

    def changes(self, commits: Sequence[Commit]) -> dict[str, list[Change] | None]:
        """Return the files each commit modified against its first parent.

        Args:
            commits: commits that have a parent; at most a few hundred.

        Returns:
            Modified and moved files by commit hash. None where git cannot compare the two
            (objects are missing). Added and deleted files have no other side and are left out.
        """
        found: dict[str, list[Change] | None] = {}
        for renames in ("-M", "--no-renames"):
            left = [c for c in commits if c.hash not in found]
            # Looking for moved files reads contents, which may be missing; without, it does not.
            found |= self._diff(left, renames)
        for commit in (c for c in commits if c.hash not in found):
            found[commit.hash] = self._diff([commit], "--no-renames").get(commit.hash)
        return found

    def _diff(self, commits: Sequence[Commit], renames: str) -> dict[str, list[Change] | None]:
        if not commits:
            return {}
        asked = "".join(f"{c.hash} {c.parents[0]}\n" for c in commits).encode()
        done = self._run(
            "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-ext-diff",
            "--always", "--ignore-submodules=all", renames, stdin=asked,
        )  # fmt: skip
        found = _parse_raw(done.stdout)
        if done.returncode != 0 and found:
            # The last commit listed may be cut off in the middle.
            found.popitem()
        return found

    def blob(self, blob_id: str) -> bytes | None:
        """Return the contents of a blob; None where it is missing, too large or no blob."""
        if self._cat is None or self._cat.poll() is not None:
            self._cat = subprocess.Popen(
                self._command("cat-file", "--batch"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
            )
        assert self._cat.stdin is not None  # noqa: S101
        assert self._cat.stdout is not None  # noqa: S101
        try:
            self._cat.stdin.write(blob_id.encode() + b"\n")
            self._cat.stdin.flush()
        except BrokenPipeError:
            return None
        header = self._cat.stdout.readline().split()
        if len(header) != 3:
            return None
        size = int(header[2])
        data = self._cat.stdout.read(size + 1)
        if len(data) != size + 1 or header[1] != b"blob" or size > self._max_file_bytes:
            return None
        return data[:size]


def _window(since: str, until: str) -> list[str]:
    return [f"--{name}={date}" for name, date in (("since", since), ("until", until)) if date]


def _end(revision: str) -> list[str]:
    return ["--end-of-options", revision, "--"]


def _unknown_revision(revision: str, said: bytes) -> UsageError:
    lines = said.decode("utf-8", "replace").strip().split("\n")
    return UsageError(
        f"git cannot list the commits of '{revision}'",
        why=lines[0] or "git gave no reason",
        mend="name a branch, tag or hash that 'git log' lists in that repository",
    )


def _parse_log(stream: IO[bytes]) -> Iterator[Commit]:
    """Split the stream of NUL-ended fields into commits."""
    fields: list[bytes] = []
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(b"\0")
        for piece in whole:
            # With -z the record separator leaves one empty field after each commit's last.
            if not fields and not piece:
                continue
            fields.append(piece)
            if len(fields) == _FIELDS:
                texts = [field.decode("utf-8", "replace") for field in fields]
                yield Commit(texts[0], tuple(texts[1].split()), texts[2], texts[3])
                fields = []


_MODIFIED = re.compile(rb":100\d{3} 100\d{3} ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([MR])\d*")


def _parse_raw(output: bytes) -> dict[str, list[Change] | None]:
    """Read ``diff-tree --stdin -z --raw``: a commit hash, then its entries, NUL-ended."""
    found: dict[str, list[Change] | None] = {}
    changes: list[Change] = []
    pieces = iter(output.split(b"\0"))
    for piece in pieces:
        if re.fullmatch(rb"[0-9a-f]{40,64}", piece):
            changes = []
            found[piece.decode()] = changes
        elif piece.startswith(b":"):
            path = next(pieces, b"")
            if piece[piece.rindex(b" ") + 1 :][:1] in (b"R", b"C"):
                path = next(pieces, b"")
            if match := _MODIFIED.fullmatch(piece):
                before, after = match[1].decode(), match[2].decode()
                if before != after:
                    changes.append(Change(path.decode("utf-8", "replace"), before, after))
    return found
