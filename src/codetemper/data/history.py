# SPDX-License-Identifier: Apache-2.0
"""What a git history holds: commits, the files each one changed, and the contents of blobs.

``History(repository)`` drives git (``git.py``): one ``git log`` streams messages, one ``git
diff-tree`` is run per batch of chosen commits, one ``git cat-file --batch`` stays open for the
contents, and short commands answer single questions. No working tree is needed, nothing is
written. Objects that are gone make the commits that need them unknown, never the history. Which
commits are worth a look is decided in ``labels.py`` and ``choice.py``, what becomes of them in
``harvest.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from codetemper.core.errors import UsageError
from codetemper.data.git import Git, Objects

_FORMAT = "%H%x00%P%x00%aI%x00%B"
_FIELDS = 4
#: A top folder with a longer listing than this is not searched for a licence.
_MAX_TREE_BYTES = 1_000_000


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
    """One path that a commit touched.

    Attributes:
        path: path after the commit; of a deleted file the one it had.
        before: blob id before; empty for an added file.
        after: blob id after; empty for a deleted file.
        path_before: path before, where the commit moved the file; else empty.
        kind: ``other`` is what has no text of its own: submodules, symbolic links, and files that
            turn into or come from one.
    """

    path: str
    before: str
    after: str
    path_before: str = ""
    kind: Literal["modified", "added", "deleted", "other"] = "modified"


class History:
    """A git repository, opened for reading; a context manager that ends its processes.

    Attributes:
        broken: whether the walk through the commits ended early, because one is missing.
    """

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
        self._git = Git(repository)
        self._objects = Objects(self._git)
        self.broken = False
        if not repository.is_dir():
            raise UsageError(
                f"no such folder: {repository}",
                why="a history is read from a git repository on this machine",
                mend="git clone URL FOLDER, then name the folder",
            )
        # An enclosing repository is not what was asked for when a plain folder is named.
        found = self._git.run("rev-parse", "--show-cdup")
        if found.returncode != 0 or found.stdout.strip():
            said = _first_line(found.stderr)
            raise UsageError(
                f"not a git repository: {repository}",
                why=said or "it lies inside a repository but is not its top folder",
                mend="name the top folder of a git clone",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes behind it."""
        self._objects.close()

    def origin(self) -> str:
        """Return the remote's address without credentials, or the folder's name."""
        found = self._git.run("config", "--get", "remote.origin.url")
        address = found.stdout.decode("utf-8", "replace").strip()
        address = re.sub(r"//[^@/]*@", "//", address)
        if re.match(r"(?:https?|ssh|git)://", address) or re.match(r"[\w.-]+@?[\w.-]*:\w", address):
            return address.removesuffix(".git")
        # A local path says nothing to others and may tell who keeps it where.
        resolved = self._root.resolve()
        name = resolved.parent.name if resolved.name == ".git" else resolved.name
        return name.removesuffix(".git")

    def tip(self, revision: str) -> str:
        """Return the hash of the commit a revision names; empty for an unborn branch.

        Raises:
            UsageError: the repository does not know the revision, or lacks its commit.
        """
        found = self._git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}"
        )
        if found.returncode == 0:
            return found.stdout.decode("ascii").strip()
        # A branch without a commit has no hash; one whose commit is gone has.
        if (
            revision == "HEAD"
            and self._git.run("rev-parse", "--verify", "--quiet", "HEAD").returncode
        ):
            return ""
        raise _unknown_revision(revision, found.stderr)

    def cut(self) -> frozenset[str]:
        """Return the commits whose parents a shallow clone left out."""
        named = self._git.run("rev-parse", "--git-path", "shallow").stdout.decode().strip()
        path = self._root / named
        return frozenset(path.read_text("ascii").split()) if path.is_file() else frozenset()

    def count(self, revision: str, *, since: str = "", until: str = "") -> int | None:
        """Return the number of commits that ``commits`` yields; None where one is missing."""
        if not self.tip(revision):
            return 0
        found = self._git.run("rev-list", "--count", *_window(since, until), *_end(revision))
        return int(found.stdout) if found.returncode == 0 else None

    def commits(
        self, revision: str = "HEAD", *, since: str = "", until: str = ""
    ) -> Iterator[Commit]:
        """Yield all commits reachable from ``revision``, children before their parents.

        Where a commit is missing, those that can still be reached are yielded, newest first, and
        ``broken`` is set.

        Args:
            revision: branch, tag or hash.
            since: only commits younger than this date, in any form git reads.
            until: only commits older than this date.

        Raises:
            UsageError: the repository does not know the revision.
        """
        if not self.tip(revision):
            return
        chosen = [*_window(since, until), *_end(revision)]
        seen = False
        for commit in self._log("--date-order", *chosen):
            seen = True
            yield commit
        if self.broken and not seen:
            # Sorting needs all commits; without it, git says what it meets before the hole.
            yield from self._log(*chosen)

    def named(self, hashes: Iterable[str]) -> Iterator[Commit]:
        """Yield the commits of these full hashes, the youngest first."""
        asked = "".join(f"{name}\n" for name in hashes).encode()
        if asked:
            yield from self._log("--no-walk=sorted", "--stdin", stdin=asked)

    def reverts(self, revision: str) -> Iterator[Commit]:
        """Yield the commits reachable from ``revision`` that speak of a revert."""
        if self.tip(revision):
            yield from self._log("--regexp-ignore-case", "--grep=revert", *_end(revision))

    def resolve(self, names: Iterable[str]) -> dict[str, str]:
        """Return the full hash of each name (whole or abbreviated) that is a commit here."""
        wanted = [name for name in names if re.fullmatch(r"[0-9a-fA-F]{7,64}", name)]
        asked = "".join(f"{name}^{{commit}}\n" for name in wanted).encode()
        found = self._git.run("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked)
        lines = found.stdout.decode("utf-8", "replace").splitlines()
        return {
            name: line.split()[0]
            for name, line in zip(wanted, lines, strict=False)
            if line.endswith(" commit")
        }

    def _log(self, *arguments: str, stdin: bytes = b"") -> Iterator[Commit]:
        command = ("log", "-z", "--encoding=UTF-8", f"--format={_FORMAT}%x00", *arguments)
        try:
            yield from _parse_log(self._git.blocks(*command, stdin=stdin))
        except EOFError:
            self.broken = True

    def brought_in(self, merge: Commit) -> frozenset[str]:
        """Return the hashes of the commits that a merge brought into its first parent."""
        found = self._git.run("rev-list", merge.hash, f"^{merge.parents[0]}")
        return frozenset(found.stdout.decode("ascii", "replace").split()) - {merge.hash}

    def resolved_by_hand(self, merge: Commit) -> bool:
        """Tell whether a merge holds lines that none of its parents has."""
        found = self._git.run(
            "diff-tree", "--cc", "-p", "--no-ext-diff", "--no-textconv", merge.hash
        )
        return re.search(rb"^diff --(?:cc|combined) ", found.stdout, re.MULTILINE) is not None

    def changes(self, commits: Sequence[Commit]) -> dict[str, list[Change] | None]:
        """Return what each commit changed against its first parent.

        Args:
            commits: commits that have a parent; at most a few hundred.

        Returns:
            The paths each commit touched, by its hash. None where git cannot compare the two sides
            (objects are missing). Where only contents are missing, moved files show as deleted
            and added: telling moves reads contents.
        """
        found: dict[str, list[Change] | None] = {}
        left = list(commits)
        while left:
            found |= self._diff(left, "-M")
            left = [c for c in left if c.hash not in found]
            if left:
                first = left.pop(0)
                alone = self._diff([first], "-M") or self._diff([first], "--no-renames")
                found[first.hash] = alone.get(first.hash)
        return found

    def _diff(self, commits: Sequence[Commit], renames: str) -> dict[str, list[Change] | None]:
        if not commits:
            return {}
        asked = "".join(f"{c.hash} {c.parents[0]}\n" for c in commits).encode()
        done = self._git.run(
            "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-ext-diff",
            "--always", renames, stdin=asked,
        )  # fmt: skip
        found = _parse_raw(done.stdout)
        if done.returncode != 0 and found:
            # The last commit listed may be cut off in the middle.
            found.popitem()
        return found

    def patch_ids(self, commits: Sequence[Commit], suffixes: Sequence[str]) -> dict[str, str]:
        """Return git's stable patch id of each commit's change to files of these suffixes.

        Two commits with the same id make the same change (white space and line numbers apart):
        a back-port, a cherry-pick, a fix applied again. Commits without such a change, and those
        whose contents are missing, have none.

        Args:
            commits: commits that have a parent.
            suffixes: endings of the paths that count, e.g. ``.c``; change logs and tests often
                differ where the fix does not.
        """
        if not commits:
            return {}
        asked = "".join(f"{c.hash} {c.parents[0]}\n" for c in commits).encode()
        command = (
            "diff-tree", "--stdin", "-r", "-p", "--no-ext-diff", "--no-textconv", "--no-renames",
            "--full-index", "--", *(f"*{suffix}" for suffix in suffixes),
        )  # fmt: skip
        try:
            said = self._git.piped(command, ("patch-id", "--stable"), asked)
        except EOFError:
            # One of them cannot be read, and the last patch may be cut off: each by itself.
            alone = [[commit] for commit in commits] if len(commits) > 1 else []
            return {k: v for one in alone for k, v in self.patch_ids(one, suffixes).items()}
        pairs = (line.split() for line in said.decode("ascii", "replace").splitlines())
        return {commit: patch for patch, commit in pairs}

    def blob(self, blob_id: str) -> bytes | None:
        """Return the contents of a blob; None where it is missing, too large or no blob."""
        kind, data = self._objects.read(blob_id, self._max_file_bytes)
        return data if kind == b"blob" else None

    def top(self, commit: str) -> dict[str, str]:
        """Return the blob ids of the files at the top of a commit's tree, by name."""
        kind, data = self._objects.read(commit + "^{tree}", _MAX_TREE_BYTES)
        if kind != b"tree" or data is None:
            return {}
        width = len(commit) // 2
        found, at = {}, 0
        while at < len(data):
            end = data.index(b"\0", at)
            mode, _, name = data[at:end].partition(b" ")
            at = end + 1 + width
            if mode.startswith(b"100"):
                found[name.decode("utf-8", "replace")] = data[end + 1 : at].hex()
        return found


def _window(since: str, until: str) -> list[str]:
    return [f"--{name}={date}" for name, date in (("since", since), ("until", until)) if date]


def _end(revision: str) -> list[str]:
    return ["--end-of-options", revision, "--"]


def _unknown_revision(revision: str, said: bytes) -> UsageError:
    return UsageError(
        f"git cannot list the commits of '{revision}'",
        why=_first_line(said) or "git gave no reason",
        mend="name a branch, tag or hash that 'git log' lists in that repository",
    )


def _first_line(said: bytes) -> str:
    return said.decode("utf-8", "replace").strip().split("\n")[0]


def _parse_log(blocks: Iterable[bytes]) -> Iterator[Commit]:
    """Split the stream of NUL-ended fields into commits."""
    fields: list[bytes] = []
    rest = b""
    for block in blocks:
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


_ENTRY = re.compile(rb":(\d{6}) (\d{6}) ([0-9a-f]{40,64}) ([0-9a-f]{40,64}) ([A-Z])\d*", re.ASCII)


def _parse_raw(output: bytes) -> dict[str, list[Change] | None]:
    """Read ``diff-tree --stdin -z --raw``: a commit hash, then its entries, NUL-ended."""
    found: dict[str, list[Change] | None] = {}
    changes: list[Change] = []
    pieces = iter(output.split(b"\0"))
    for piece in pieces:
        if re.fullmatch(rb"[0-9a-f]{40,64}", piece):
            changes = []
            found[piece.decode()] = changes
        elif match := _ENTRY.fullmatch(piece):
            path = next(pieces, b"").decode("utf-8", "replace")
            path_before = ""
            if match[5] in (b"R", b"C"):
                path_before, path = path, next(pieces, b"").decode("utf-8", "replace")
            change = _change(match, path, path_before)
            if change is not None:
                changes.append(change)
    return found


def _change(entry: re.Match[bytes], path: str, path_before: str) -> Change | None:
    """Return what one entry says; None where only the mode or the name of the file changed."""
    modes = (entry[1][:3], entry[2][:3])
    before, after = entry[3].decode(), entry[4].decode()
    if any(mode not in (b"100", b"000") for mode in modes):
        return Change(path, before, after, path_before, "other")
    if modes[0] == b"000":
        return Change(path, "", after, "", "added")
    if modes[1] == b"000":
        return Change(path, before, "", "", "deleted")
    return None if before == after else Change(path, before, after, path_before)
