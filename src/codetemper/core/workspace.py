# SPDX-License-Identifier: Apache-2.0
"""The folder ``.codetemper`` of a project: what is made lies here, named by its content.

    >>> workspace = Workspace.create(Path("."))
    >>> with workspace.staged("patches") as folder:
    ...     made = write_patch(folder)
    ...     home = workspace.settle(folder, "patches", made.id)
    >>> digest = content_digest("patches", home)
    >>> workspace.ledger.append("tune", outputs={f"patch:{made.id}": digest})
    >>> workspace.verify()
    []

Patches, corpora, studies, screenings, audits and finished runs never change after they settle.
Their own manifest or card says what each of their files holds; the ledger says what manifest or
card were. ``verify`` compares all three, offline, and checks the signatures of patches. A run
without ``scorecard.json`` that the ledger does not know is unfinished and is not judged. This file
makes no ledger entries: ``codetemper.api`` does.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from codetemper.core.contents import (
    LISTING,
    PREFIX,
    REMOVED,
    SIGNATURE,
    Kind,
    against_ledger,
    against_listing,
    content_id,
    content_id_of,
)
from codetemper.core.digests import digest_bytes
from codetemper.core.disk import mendable, sync_folder, sync_tree, write_atomic
from codetemper.core.errors import IntegrityError, MissingExtraError, UsageError
from codetemper.core.ledger import Ledger, Problem
from codetemper.core.plugins import did_you_mean
from codetemper.core.signatures import Trust, against_signature, read_trust

__all__ = [
    "REMOVED", "Kind", "Workspace", "content_id", "content_id_of", "trust_at", "write_atomic",
]  # fmt: skip

FOLDER: Final = ".codetemper"
VERSION: Final = 1
_SETTINGS = f"""\
# Settings of this codetemper workspace. Flags and CODETEMPER_* variables go before them.
version = {VERSION}
# Public keys whose signatures of patches count, from the project folder, and whether patches need
# one (docs/signing.md); no flag and no variable goes before these two.
# trusted_keys = ["keys/team.pem"]
# require_signatures = false
"""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ABANDONED_SECONDS = 86_400.0


class Workspace:
    """A project folder with its ``.codetemper``. Use ``create``, ``open`` or ``find``.

    Attributes:
        root: the project folder.
        home: ``root/.codetemper``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.home = self.root / FOLDER

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """Make a workspace in ``root``; an existing one is opened as it is."""
        workspace = cls(root)
        if not workspace._settings_file.exists():
            with mendable(workspace.home):
                for folder in (*PREFIX, "cache"):
                    (workspace.home / folder).mkdir(parents=True, exist_ok=True)
            # Ledger and patches may be kept under version control; these three never should be.
            write_atomic(workspace.home / ".gitignore", b"/cache/\n/locks/\n/tmp/\n*.lock\n")
            write_atomic(workspace._settings_file, _SETTINGS.encode())
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open the workspace of a project folder (or ``.codetemper`` itself).

        Raises:
            UsageError: there is none, or a newer version of codetemper made it.
        """
        workspace = cls(root.parent if root.name == FOLDER else root)
        if not workspace._settings_file.is_file():
            raise UsageError(
                f"there is no workspace in {root}",
                why=f"{FOLDER}/workspace.toml is missing",
                mend="codetemper init",
            )
        version = workspace.settings().get("version")
        if version != VERSION:
            raise UsageError(
                f"the workspace {workspace.home} has version {version!r}",
                why=f"this codetemper reads version {VERSION}",
                mend="pip install --upgrade codetemper",
            )
        return workspace

    @classmethod
    def find(cls, start: Path) -> Workspace:
        """Open the workspace of ``start`` or of the nearest folder above it that has one.

        Raises:
            UsageError: there is none up to the root of the file system.
        """
        for folder in (start.resolve(), *start.resolve().parents):
            if (folder / FOLDER / "workspace.toml").is_file():
                return cls.open(folder)
        raise UsageError(
            f"there is no workspace in {start} or above it",
            why=f"no folder on the way has {FOLDER}/workspace.toml",
            mend="codetemper init, or --workspace FOLDER",
        )

    @property
    def _settings_file(self) -> Path:
        return self.home / "workspace.toml"

    @property
    def ledger(self) -> Ledger:
        """The workspace's ledger."""
        return Ledger(self.home / "ledger.jsonl")

    @property
    def patches(self) -> Path:
        """Folder of patches by id."""
        return self.home / "patches"

    @property
    def corpora(self) -> Path:
        """Folder of corpora by id."""
        return self.home / "corpora"

    @property
    def runs(self) -> Path:
        """Folder of runs by id."""
        return self.home / "runs"

    @property
    def studies(self) -> Path:
        """Folder of studies by id."""
        return self.home / "studies"

    @property
    def screenings(self) -> Path:
        """Folder of screenings of data by id."""
        return self.home / "screenings"

    @property
    def audits(self) -> Path:
        """Folder of audits of models by id."""
        return self.home / "audits"

    @property
    def cache(self) -> Path:
        """Folder of cached results; may be deleted at any time."""
        return self.home / "cache"

    def settings(self) -> dict[str, Any]:
        """Return the contents of ``workspace.toml``.

        Raises:
            UsageError: it is not TOML.
        """
        try:
            return tomllib.loads(self._settings_file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{self._settings_file} cannot be read", why=str(error), mend="mend that line"
            ) from error

    def trust(self) -> Trust:
        """Return whose signatures this workspace believes, and whether patches need one.

        Raises:
            UsageError: ``workspace.toml`` says something else than this codetemper knows.
        """
        return read_trust(self.settings(), self.root, str(self._settings_file))

    @contextmanager
    def lock(self, name: str, timeout_s: float = -1) -> Iterator[None]:
        """Hold a lock that one process at a time can hold; a killed process loses it.

        Args:
            name: what is locked, e.g. ``run-3f2a``.
            timeout_s: seconds to wait; negative waits for ever.

        Raises:
            UsageError: another process held it for all of that time.
        """
        path = self.home / "locks" / f"{_checked(name)}.lock"
        with mendable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path).acquire(timeout=timeout_s):
                yield
        except Timeout as error:
            raise UsageError(
                f"'{name}' is in use",
                why=f"another process has held its lock for more than {timeout_s:g} s",
                mend="wait for it to end, then run this again",
            ) from error

    @contextmanager
    def staged(self, kind: Kind) -> Iterator[Path]:
        """Give an empty folder to build in; what has not settled at the end is deleted.

        Args:
            kind: what is built, one of ``contents.PREFIX``.
        """
        self._sweep()
        folder = self.home / "tmp" / f"{kind}-{os.getpid()}-{secrets.token_hex(4)}"
        with mendable(folder):
            folder.mkdir(parents=True)
        try:
            with mendable(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def settle(self, staged: Path, kind: Kind, id: str) -> Path:
        """Move a finished folder to its place, all of it at once.

        Args:
            staged: the folder ``staged`` gave.
            kind: what is built, one of ``contents.PREFIX``.
            id: its content id. Where that exists already, the existing folder stays.

        Returns:
            Its place. Digest that folder for the ledger, not the staged one.
        """
        target = self.home / kind / _checked(id)
        with mendable(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_tree(staged)
            try:
                staged.rename(target)
            except OSError:
                # Renaming onto a folder that holds files fails: the same id is there already.
                if not target.is_dir():
                    raise
                shutil.rmtree(staged)
            sync_folder(target.parent)
        return target

    def resolve(self, kind: Kind, id_or_prefix: str) -> Path:
        """Return the folder of an id, or of the only id that begins so.

        Raises:
            UsageError: none, or several.
        """
        ids = [folder.name for folder in self._folders(kind)]
        near = [i for i in ids if i.startswith(id_or_prefix)] if id_or_prefix else []
        if id_or_prefix in ids:
            near = [id_or_prefix]
        if len(near) == 1:
            return self.home / kind / near[0]
        if near:
            why, mend = f"it fits {', '.join(near)}", "give more of the id"
        else:
            why, mend = f"{self.home / kind} has no such id", did_you_mean(id_or_prefix, ids)
        raise UsageError(f"'{id_or_prefix}' does not name one of the {kind}", why=why, mend=mend)

    def cache_get(self, digest: str) -> bytes | None:
        """Return what was cached under a digest; None where nothing is, or where it is damaged."""
        try:
            seal, _, data = self._cached(digest).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return data if seal == digest_bytes(data).encode() else None

    def cache_put(self, digest: str, data: bytes) -> None:
        """Cache bytes under the digest of whatever they were computed from."""
        seal = digest_bytes(data).encode() + b"\n"
        write_atomic(self._cached(digest), seal + data, sync=False)

    def verify(self) -> list[Problem]:
        """Rehash the whole workspace: the ledger, and all that has settled. Offline.

        Returns:
            What is wrong; empty where all is as it was recorded.

        Raises:
            UsageError: ``workspace.toml`` cannot be read, or a key that it trusts.
            MissingExtraError: there is nothing wrong but signatures that cannot be checked.
        """
        problems = self.ledger.verify()
        # Listed before the ledger is read: what settles meanwhile is no stranger to it.
        found = {kind: {folder.name for folder in self._folders(kind)} for kind in PREFIX}
        try:
            known = self.ledger.outputs()
        except IntegrityError:
            return problems + [p for kind in LISTING for p in self._verify_listings(kind)]
        for kind, prefix in PREFIX.items():
            problems += self._verify_listings(kind)
            begin = f"{prefix}:"
            recorded = {k[len(begin) :]: v for k, v in known.items() if k.startswith(begin)}
            for name in sorted({*found[kind], *recorded}):
                folder = self.home / kind / name
                present = folder if folder.exists() else None
                what = against_ledger(kind, present, recorded.get(name))
                if what:
                    problems.append(Problem(path=f"{kind}/{name}", what=what))
        try:
            problems += self._verify_signatures(known)
        except MissingExtraError:
            # What is broken for certain outranks what cannot be known.
            if not problems:
                raise
        return problems

    def unchecked_signatures(self) -> list[str]:
        """Return the ids of patches that are signed where no key is trusted to check them."""
        if self.trust().keys:
            return []
        return [f.name for f in self._folders("patches") if os.path.lexists(f / SIGNATURE)]

    def _verify_signatures(self, known: Mapping[str, str]) -> list[Problem]:
        trust = self.trust()
        found = (
            (folder.name, against_signature(folder, trust, known.get(f"signature:{folder.name}")))
            for folder in self._folders("patches")
        )
        return [Problem(path=f"patches/{name}", what=what) for name, what in found if what]

    def _verify_listings(self, kind: Kind) -> list[Problem]:
        if kind not in LISTING:
            return []
        found = ((folder.name, against_listing(kind, folder)) for folder in self._folders(kind))
        return [
            Problem(path=f"{kind}/{name}", what=what) for name, all_of in found for what in all_of
        ]

    def _folders(self, kind: Kind) -> list[Path]:
        home = self.home / kind
        return sorted(p for p in home.iterdir()) if home.is_dir() else []

    def _cached(self, digest: str) -> Path:
        return self.cache / digest[:2] / _checked(digest)

    def _sweep(self) -> None:
        """Delete what killed processes left in ``tmp`` more than a day ago."""
        for folder in (self.home / "tmp").glob("*-*-*"):
            try:
                old = time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS
                if old and not Path("/proc", folder.name.split("-")[1]).exists():
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue  # Another process swept it first.


def trust_at(folder: Path) -> Trust:
    """Return whose signatures count for a patch folder: its workspace's word, or nobody's.

    A folder that is reached through links, or that is one, answers to the workspace all the same.
    """
    for place in (Path(os.path.abspath(folder)), folder.resolve()):
        home = place.parent.parent
        if home.name == FOLDER and (home / "workspace.toml").is_file():
            return Workspace.open(home).trust()
    return Trust()


def _checked(name: str) -> str:
    if not _ID.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name",
            why="a name has letters, digits, '.', '_' and '-' only, the first a letter or digit",
            mend="use the id as `codetemper ls` shows it",
        )
    return name
