# SPDX-License-Identifier: Apache-2.0
"""The verbs that answer who changed what, and that undo it: listings, revert, restore.

Reverting never subtracts anything: a patch is a folder beside the model, so reverting is refusing
to load it from now on, after checking that the base without it still has the recorded digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from codetemper.api.models import load_model, reverted
from codetemper.core.accounts import CorpusCard, PatchManifest
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.workspace import Workspace

Listing = TypeVar("Listing", PatchManifest, CorpusCard)


@dataclass(frozen=True)
class PatchState:
    """A patch and what became of it.

    Attributes:
        manifest: what it says of itself.
        state: ``made``, ``accept``, ``refuse``, ``undecided`` (by the gate) or ``reverted``.
    """

    manifest: PatchManifest
    state: str


def read_manifest(folder: Path) -> PatchManifest:
    """Read a patch's manifest without loading torch.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    return _read(folder / "manifest.json", PatchManifest)


def _read(path: Path, kind: type[Listing]) -> Listing:
    try:
        return kind.from_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"{path.parent.name} cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error


def patches(workspace: Workspace) -> list[PatchState]:
    """Return every patch of the workspace, oldest first, with its state by the ledger."""
    states: dict[str, str] = {}
    for entry in workspace.ledger.entries():
        for output in entry.outputs:
            if output.startswith("patch:"):
                # Making a patch again changes nothing about it, a revert included.
                states.setdefault(output.removeprefix("patch:"), "made")
        if entry.verb == "gate":
            id = entry.inputs.get("after", "").rpartition("+")[2]
            if states.get(id, "reverted") != "reverted":
                states[id] = entry.note.partition(":")[0]
        elif entry.verb in ("revert", "restore"):
            states[entry.inputs["patch"]] = "reverted" if entry.verb == "revert" else "made"
    found = []
    for id, state in states.items():
        if (workspace.patches / id).is_dir():
            found.append(PatchState(read_manifest(workspace.patches / id), state))
    return found


def revert(workspace: Workspace, patch: str, *, reason: str = "", check: bool = True) -> str:
    """Take a patch out of use and record it; its folder stays for the account.

    Args:
        workspace: holds the patch.
        patch: its id or the beginning of it.
        reason: goes into the ledger.
        check: load the base and compare its digest with the manifest's.

    Returns:
        The id.

    Raises:
        UsageError: no such patch, or reverted already.
        IntegrityError: the base is not what the patch was made for.
    """
    folder = workspace.resolve("patches", patch)
    manifest = read_manifest(folder)
    if manifest.id in reverted(workspace):
        raise UsageError(
            f"{manifest.id} is reverted already",
            why="the ledger's newest entry of it is 'revert'",
            mend="nothing to do",
        )
    if check:
        with load_model(workspace, manifest.base) as handle:
            digest = handle.digest
        if digest != manifest.base_digest:
            raise IntegrityError(
                f"the base '{manifest.base}' is not the model {manifest.id} was made for",
                why=f"its digest is {digest[:12]}, recorded was {manifest.base_digest[:12]}",
                mend="restore the base's weights, or pass --no-check to revert all the same",
            )
    workspace.ledger.append(
        "revert",
        inputs={"patch": manifest.id, "base": manifest.base, "base_digest": manifest.base_digest},
        note=reason if check else f"{reason} (base not checked)".strip(),
    )
    return manifest.id


def restore(workspace: Workspace, patch: str, *, reason: str = "") -> str:
    """Allow a reverted patch again, and record it.

    Raises:
        UsageError: no such patch, or it is not reverted.
    """
    folder = workspace.resolve("patches", patch)
    if folder.name not in reverted(workspace):
        raise UsageError(
            f"{folder.name} is not reverted",
            why="the ledger's newest entry of it is not 'revert'",
            mend="nothing to do",
        )
    workspace.ledger.append("restore", inputs={"patch": folder.name}, note=reason)
    return folder.name


def corpora(workspace: Workspace) -> list[CorpusCard]:
    """Return the cards of all corpora.

    Raises:
        IntegrityError: a card cannot be read.
    """
    folders = sorted(workspace.corpora.iterdir()) if workspace.corpora.is_dir() else []
    return [_read(folder / "card.json", CorpusCard) for folder in folders]


def runs(workspace: Workspace) -> list[dict[str, Any]]:
    """Return one line for each recorded run, oldest first."""
    found = []
    for entry in workspace.ledger.entries():
        for output in entry.outputs:
            kind, _, id = output.partition(":")
            if kind == "run":
                found.append(
                    {
                        "id": id,
                        "time": entry.time,
                        "verb": entry.verb,
                        "model": entry.inputs.get("model", ""),
                        "suite": entry.inputs.get("suite", ""),
                    }
                )
    return found
