# SPDX-License-Identifier: Apache-2.0
"""Load the model that an expression names, with its patches found in the workspace."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError
from codetemper.core.plugins import resolve
from codetemper.core.workspace import Workspace

#: The embedded model, shipped in the package.
SEEDLING = Path(str(resources.files("codetemper"))) / "seedling"
#: Backends that come with the package, by the prefix of a model expression.
BACKENDS = {"hf": "codetemper.backends.hf"}


def patch_finder(workspace: Workspace) -> Callable[[str], Path]:
    """Return a function from a patch's id or prefix to its folder; it refuses reverted ones."""
    newest = {
        entry.inputs["patch"]: entry.verb
        for entry in workspace.ledger.entries()
        if entry.verb in ("revert", "restore")
    }

    def find(name: str) -> Path:
        folder = workspace.resolve("patches", name)
        if newest.get(folder.name) == "revert":
            raise UsageError(
                f"the patch {folder.name} was reverted",
                why="the ledger holds a 'revert' entry for it",
                mend=f"codetemper patch restore {folder.name}, if that was a mistake",
            )
        return folder

    return find


def load_model(workspace: Workspace, expression: str, *, device: str = "cpu") -> Any:
    """Load a model by expression.

    Args:
        workspace: where patch ids are looked up.
        expression: e.g. ``seedling``, ``hf:PATH+tune-7f3a9c``.
        device: torch device name.

    Returns:
        The backend's model handle (``generate``, ``digest``, ``loaded``), a context manager:
        the patches are on until it is closed.

    Raises:
        UsageError: malformed expression, unknown backend, missing folder, reverted patch.
        IntegrityError: weights or a patch are damaged, or a patch is for another base.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.expression import parse

    parsed = parse(expression)
    name = "hf" if parsed.backend == "seedling" else parsed.backend
    backend = resolve("backends", name, BACKENDS)
    return backend.load(parsed, resolve_patch=patch_finder(workspace), device=device)


def base_folder(expression: str) -> Path | None:
    """Return the local folder of an expression's base, or None where it is not on this disk."""
    from codetemper.models.expression import parse

    parsed = parse(expression.partition("+")[0]) if not expression.startswith("file:") else None
    if parsed is None:
        return None
    folder = SEEDLING if parsed.base == "seedling" else Path(parsed.base)
    return folder if (folder / "config.json").is_file() else None
