# SPDX-License-Identifier: Apache-2.0
"""Load the model that an expression names, with its patches found in the workspace, or bare."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from codetemper.backends import load
from codetemper.core.errors import UsageError
from codetemper.core.workspace import Workspace
from codetemper.models.expression import parse

#: The embedded model, shipped in the package.
SEEDLING = Path(str(resources.files("codetemper"))) / "seedling"


def reverted(workspace: Workspace) -> set[str]:
    """Return the ids of the patches that the ledger says are out of use."""
    newest = {
        entry.inputs["patch"]: entry.verb
        for entry in workspace.ledger.entries()
        if entry.verb in ("revert", "restore")
    }
    return {patch for patch, verb in newest.items() if verb == "revert"}


def patch_finder(workspace: Workspace) -> Callable[[str], Path]:
    """Return a function from a patch's id or prefix to its folder; it refuses reverted ones."""
    refused = reverted(workspace)

    def find(name: str) -> Path:
        folder = workspace.resolve("patches", name)
        if folder.name in refused:
            raise UsageError(
                f"the patch {folder.name} was reverted",
                why="the ledger holds a 'revert' entry for it",
                mend=f"codetemper patch restore {folder.name}, if that was a mistake",
            )
        return folder

    return find


def refuse_required(workspace: Workspace, verb: str) -> None:
    """Refuse a verb that goes on with patches of its own where nobody could sign them first.

    Raises:
        UsageError: the workspace takes no patch without a signature.
    """
    if workspace.trust().required:
        raise UsageError(
            f"{verb} cannot run in this workspace",
            why="it measures and goes on with patches that it makes on the way, and "
            "require_signatures lets nothing be used that is not signed",
            mend="require_signatures = false in .codetemper/workspace.toml while it runs; "
            "afterwards sign what it made: codetemper patch sign",
        )


def full_name(workspace: Workspace, expression: str) -> str:
    """Return an expression as it is recorded: with its backend, and patches by their full ids.

    Raises:
        UsageError: malformed expression, or no such patch.
    """
    parsed = parse(expression)
    ids = tuple(workspace.resolve("patches", patch).name for patch in parsed.patches)
    return str(replace(parsed, patches=ids))


def load_model(
    workspace: Workspace, expression: str, *, device: str = "cpu", dtype: str = "auto"
) -> Any:
    """Load a model by expression.

    Args:
        workspace: where patch ids are looked up.
        expression: e.g. ``seedling``, ``hf:PATH+tune-7f3a9c``.
        device: torch device name.
        dtype: number type of the weights in memory; see ``backends.hf_load.load_base``.

    Returns:
        The backend's model handle (``generate``, ``digest``, ``loaded``), a context manager:
        the patches are on until it is closed.

    Raises:
        UsageError: malformed expression, unknown backend, missing folder, reverted patch.
        IntegrityError: weights or a patch are damaged, or a patch is for another base.
    """
    find = patch_finder(workspace)
    return load(parse(expression), resolve_patch=find, device=device, dtype=dtype)


def load_bare(expression: str, *, device: str = "cpu", dtype: str = "auto") -> Any:
    """Load a model without patches, where there is no workspace to find any in.

    Args:
        expression: e.g. ``seedling``, ``hf:PATH``.
        device: torch device name.
        dtype: as ``load_model``.

    Returns:
        As ``load_model``.

    Raises:
        UsageError: malformed expression, unknown backend, missing folder, patches.
        IntegrityError: weights are damaged.
    """

    def refuse(name: str) -> Path:
        raise UsageError(
            f"the patch {name} cannot be put on here",
            why="patches are found in a workspace, and this is done without one",
            mend="codetemper export PATCH FOLDER --as full, then name hf:FOLDER",
        )

    return load(parse(expression), resolve_patch=refuse, device=device, dtype=dtype)


def opened(
    workspace: Workspace, expression: str, loaded: Any | None, *, device: str, dtype: str = "auto"
) -> Any:
    """Return a model for a ``with``: loaded and closed by it, or one that is loaded and stays so.

    Args:
        workspace: where patch ids are looked up.
        expression: the model.
        loaded: a handle of it, or None.
        device: torch device name.
        dtype: as ``load_model``.

    Raises:
        UsageError, IntegrityError: as ``load_model``.
    """
    if loaded is not None:
        return nullcontext(loaded)
    return load_model(workspace, expression, device=device, dtype=dtype)


def opened_base(workspace: Workspace, expression: str, loaded: Any | None, *, device: str) -> Any:
    """Return the bare base of a model as ``opened`` does; ``loaded`` is a handle of the base."""
    return opened(workspace, str(parse(expression).bare), loaded, device=device)


def patch_folders(workspace: Workspace, expression: str) -> list[Path]:
    """Return the folders of an expression's patches, in its order.

    Raises:
        UsageError: malformed expression, unknown or reverted patch.
    """
    return list(map(patch_finder(workspace), parse(expression).patches))


def base_folder(expression: str) -> Path | None:
    """Return the local folder of an expression's base, or None where it is not on this disk."""
    parsed = parse(expression)
    folder = SEEDLING if parsed.backend == "seedling" else Path(parsed.base)
    return folder if (folder / "config.json").is_file() else None
