# SPDX-License-Identifier: Apache-2.0
"""Delete what a candidate left in a folder, whatever it is, under the candidate's own identity.

Runs in a process that ``process.sweep`` forked. Folders may be closed, nested deeper than a path
can name, or hold names that are no text; so every folder is opened up, its folders are moved next
to it, and nothing is done by a path of more than one name. No link is followed. Nothing else may
run that could exchange names meanwhile.
"""

from __future__ import annotations

import os
from collections import deque

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def empty(folder: str) -> None:
    """Delete what is in a folder; what cannot be deleted stays."""
    root = os.open(folder, _OPEN)
    moved = 0
    todo = deque(os.listdir(root))
    # A name that no candidate gave: it could not know it.
    mark = os.urandom(8).hex()
    while todo:
        name = todo.popleft()
        try:
            inner = _enter(root, name)
            if inner is None:
                continue
            try:
                for entry in list(os.scandir(inner)):
                    if entry.is_dir(follow_symlinks=False):
                        # A folder can only be moved by who may write to it.
                        os.chmod(entry.name, 0o700, dir_fd=inner)
                        moved += 1
                        here = f"{mark}{moved}"
                        os.rename(entry.name, here, src_dir_fd=inner, dst_dir_fd=root)
                        todo.append(here)
                    else:
                        os.unlink(entry.name, dir_fd=inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=root)
        except OSError:
            continue
    os.close(root)


def _enter(root: int, name: str) -> int | None:
    """Open a folder, made accessible; delete anything else and return None."""
    try:
        os.rmdir(name, dir_fd=root)
        return None
    except NotADirectoryError:
        os.unlink(name, dir_fd=root)
        return None
    except OSError:
        os.chmod(name, 0o700, dir_fd=root)
        return os.open(name, _OPEN, dir_fd=root)
