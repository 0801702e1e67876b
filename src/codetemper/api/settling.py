# SPDX-License-Identifier: Apache-2.0
"""How what verbs make becomes part of a workspace, and how it is found there again.

    with workspace.staged("studies") as folder:
        write_rows(folder)
        card, home = settle_card(workspace, folder, "studies", card, "study", inputs=..., note=...)

A finished folder moves to its place as a whole, under its content id, and gets a ledger entry.
What is in a folder is for those who make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from codetemper.core.accounts import ScreeningCard, StudyCard
from codetemper.core.audits import AuditCard
from codetemper.core.contents import LISTING, PREFIX, Kind, content_digest
from codetemper.core.digests import digest_file
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError
from codetemper.core.workspace import Workspace, content_id_of

Card = TypeVar("Card", StudyCard, ScreeningCard, AuditCard)
Made = TypeVar("Made")


def settle(
    workspace: Workspace,
    staged: Path,
    kind: Kind,
    id: str,
    verb: str,
    *,
    inputs: Mapping[str, str],
    note: str,
    outputs: Mapping[str, str] | None = None,
) -> Path:
    """Move a finished folder to its place and enter it in the ledger.

    Args:
        workspace: gets both.
        staged: the folder, of ``workspace.staged``.
        kind: what it is.
        id: its content id.
        verb: what made it.
        inputs: names and digests of what went in.
        note: free text.
        outputs: names and digests of what else came out.

    Returns:
        Its place.
    """
    home = workspace.settle(staged, kind, id)
    made = {f"{PREFIX[kind]}:{id}": content_digest(kind, home)}
    workspace.ledger.append(verb, inputs=inputs, outputs=made | dict(outputs or {}), note=note)
    return home


def settle_card(
    workspace: Workspace,
    staged: Path,
    kind: Kind,
    card: Card,
    verb: str,
    *,
    inputs: Mapping[str, str],
    note: str,
    outputs: Mapping[str, str] | None = None,
) -> tuple[Card, Path]:
    """Write the card of a flat folder, with its files and its content id, and ``settle`` it.

    Args:
        workspace: as ``settle``, and likewise all the others.
        staged: holds all files but the card.
        kind: ``studies``, ``screenings`` or ``audits``.
        card: what it says of itself; its id and files may be anything yet.
        verb: what made it.
        inputs: names and digests of what went in.
        note: free text.
        outputs: names and digests of what else came out.

    Returns:
        The card as written, and the folder's place.
    """
    files = {path.name: digest_file(path) for path in sorted(staged.iterdir())}
    card = card.model_copy(update={"files": files})
    id = content_id_of(card.model_dump(mode="json"), PREFIX[kind])
    card = card.model_copy(update={"id": id})
    write_atomic(staged / LISTING[kind][0], card.model_dump_json(indent=1).encode())
    return card, settle(
        workspace, staged, kind, id, verb, inputs=inputs, note=note, outputs=outputs
    )


def read_settled(workspace: Workspace, kind: Kind, read: Callable[[Any, Path], Made]) -> list[Made]:
    """Return what a workspace holds of a kind, in the order the ledger first names it.

    Args:
        workspace: where to look; folders that are gone are left out.
        kind: ``studies``, ``screenings`` or ``audits``.
        read: makes a value of a card and its folder.

    Raises:
        IntegrityError: a card, or what ``read`` reads, cannot be read.
    """
    prefix, (name, record) = f"{PREFIX[kind]}:", LISTING[kind]
    ids = dict.fromkeys(
        output.removeprefix(prefix)
        for entry in workspace.ledger.entries()
        for output in entry.outputs
        if output.startswith(prefix)
    )
    found = []
    for folder in (workspace.home / kind / id for id in ids):
        if not folder.is_dir():
            continue
        try:
            found.append(read(record.from_json((folder / name).read_bytes()), folder))
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"the {PREFIX[kind]} {folder.name} cannot be read",
                why=str(error).splitlines()[0],
                mend="codetemper verify",
            ) from error
    return found
