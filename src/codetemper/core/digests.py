# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON and SHA-256 digests: the one way this project names content.

Two values that are equal as JSON have equal canonical bytes, hence equal digests. Folders are
digested over their sorted relative paths and file bytes. Nothing here reads configuration.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

#: Length of the hexadecimal prefix used in names such as ``tune-7f3a9c1b02d4``.
SHORT = 12


def canonical_json(value: Any) -> bytes:
    """Serialise plain data to its one canonical form.

    Args:
        value: JSON data (dict with string keys, list, tuple, str, int, float, bool, None).

    Returns:
        UTF-8 bytes: sorted keys, no white space, no escapes beyond JSON's own.

    Raises:
        ValueError: NaN or infinity, which JSON cannot say.
        TypeError: a value that is not plain data.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``value``."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks of 1 MiB."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def digest_folder(folder: Path, *, leave_out: frozenset[str] = frozenset()) -> str:
    """Return one digest for all files below ``folder``.

    Args:
        folder: an existing folder; every regular file below it counts, at any depth.
        leave_out: relative POSIX paths that do not count (a file that stores the digest itself).
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    listing = {p.relative_to(folder).as_posix(): p for p in files}
    return digest_json({k: digest_file(p) for k, p in listing.items() if k not in leave_out})


def short(digest: str) -> str:
    """Return the first twelve digits of a digest, for names that people read."""
    return digest[:SHORT]
