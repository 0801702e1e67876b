# SPDX-License-Identifier: Apache-2.0
"""Writing that is either done or not done: atomic files, synced folders, full disks.

    >>> write_atomic(Path("card.json"), b"{}")

Readers see the old bytes or the new ones, never half of them. An operating system error that a
user can mend (disk full, read-only, no permission) becomes a ``UsageError``; all others pass.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codetemper.core.errors import UsageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def mendable(path: Path) -> Iterator[None]:
    """Turn a full or closed disk into an error that says so.

    Args:
        path: what is being written, for the message.

    Raises:
        UsageError: no space left, read-only file system, or no permission.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UsageError(
                f"the disk is full: {path} was not written",
                why=f"no space is left where it lies ({error.strerror})",
                mend="free some space (.codetemper/cache may be deleted), then run it again",
            ) from error
        if error.errno in _CLOSED:
            raise UsageError(
                f"{path} cannot be written",
                why=error.strerror or "the operating system refused",
                mend="choose another place with --workspace, or mend its permissions",
            ) from error
        raise


@contextmanager
def writing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file to be written so that a reader, or a crash, meets the old bytes or all new ones.

    Args:
        path: the file; its folder is made where it is missing.
        sync: wait until the bytes are on the disk. False for what may be lost, such as a cache.

    Yields:
        A binary stream; the file is in place when the block ends, untouched when it raises.

    Raises:
        UsageError: the disk is full or closed; the old file is untouched and nothing is left over.
    """
    with mendable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            with beside.open("xb") as stream:
                yield stream
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        if sync:
            sync_folder(path.parent)


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file at once; see ``writing``."""
    with writing(path, sync=sync) as stream:
        stream.write(data)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's own entries (new names, renames) are on the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_tree(folder: Path) -> None:
    """Wait until every file and folder below ``folder`` is on the disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            sync_folder(Path(parent, name))
        sync_folder(Path(parent))
