# SPDX-License-Identifier: Apache-2.0
"""Content ids of what a workspace keeps, and whether a folder holds what its records say.

    >>> content_id("tune", {"adapter_model.safetensors": digest}, {"base": "seedling"})
    'tune-7f3a9c1b02d4'

Two witnesses speak about a folder: the manifest or card in it, and the ledger. This file asks
them; ``codetemper.core.workspace`` knows where folders lie, ``codetemper.core.signatures`` who
signed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from codetemper.core.accounts import CorpusCard, PatchManifest, ScreeningCard, StudyCard
from codetemper.core.audits import AuditCard
from codetemper.core.chain import broken_chain
from codetemper.core.digests import digest_file, digest_folder, digest_json, short

Kind = Literal["patches", "corpora", "runs", "studies", "screenings", "audits"]
Listing = PatchManifest | CorpusCard | StudyCard | ScreeningCard | AuditCard

#: Value of a ledger output that says a folder was removed on purpose.
REMOVED: Final = "removed"
#: Word before the colon in ledger outputs, by kind.
PREFIX: Final[dict[Kind, str]] = {
    "patches": "patch",
    "corpora": "corpus",
    "runs": "run",
    "studies": "study",
    "screenings": "screening",
    "audits": "audit",
}
#: File that lists the others, by kind, and its record.
LISTING: Final[dict[Kind, tuple[str, type[Listing]]]] = {
    "patches": ("manifest.json", PatchManifest),
    "corpora": ("card.json", CorpusCard),
    "studies": ("card.json", StudyCard),
    "screenings": ("card.json", ScreeningCard),
    "audits": ("card.json", AuditCard),
}
#: The detached signature of a patch. It is put beside the files it speaks of when they are done, so
#: it is no part of what they are: id, manifest and recorded digest are the same with and without.
SIGNATURE: Final = "patch.sig"
_APART: Final[dict[Kind, frozenset[str]]] = {"patches": frozenset({SIGNATURE})}
#: Fields that do not count in a content id: the id itself, the files (they count apart), and what
#: differs when the same thing is made again.
NOT_FACTS: Final = frozenset({"id", "files", "seconds", "report"})


def content_id(verb: str, files: Mapping[str, str], facts: Mapping[str, Any]) -> str:
    """Return the name of a patch, corpus or run: its verb and a digest of what it holds.

    Args:
        verb: what made it, e.g. ``tune``.
        files: SHA-256 by relative path of every file but the manifest or card.
        facts: what else it says of itself, as plain JSON data, without what ``NOT_FACTS`` names,
            so that making the same thing again gives the same name.

    Returns:
        ``<verb>-<12 hexadecimal digits>``.
    """
    return f"{verb}-{short(digest_json({'files': dict(files), 'facts': dict(facts)}))}"


def content_id_of(document: Mapping[str, Any], verb: str | None = None) -> str:
    """Return the content id that a manifest or card ought to have.

    Args:
        document: the manifest or card as plain JSON data (``model_dump(mode="json")``); its
            ``id`` may be anything yet.
        verb: the verb; by default the document's field ``verb``, else that of its ``id``.
    """
    if verb is None:
        verb = str(document.get("verb") or str(document["id"]).rpartition("-")[0])
    facts = {key: value for key, value in document.items() if key not in NOT_FACTS}
    return content_id(verb, document["files"], facts)


def content_digest(kind: Kind, folder: Path) -> str:
    """Return the digest of a settled folder, as the ledger holds it: of all but a signature."""
    return digest_folder(folder, leave_out=_APART.get(kind, frozenset()))


def against_listing(kind: Kind, folder: Path) -> Iterator[str]:
    """Yield what differs between a folder and the manifest or card in it.

    Args:
        kind: ``patches``, ``corpora``, ``studies``, ``screenings`` or ``audits``.
        folder: the folder, named by its id.
    """
    name, record = LISTING[kind]
    try:
        data = (folder / name).read_bytes()
        listing = record.from_json(data)
    except (OSError, ValidationError):
        yield f"{name} is missing or cannot be read"
        return
    document = listing.model_dump(mode="json")
    if listing.id != folder.name or content_id_of(document) != listing.id:
        yield f"its id is {listing.id}, but its content is that of {content_id_of(document)}"
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    present -= {name} | _APART.get(kind, frozenset())
    for extra in sorted(present - listing.files.keys()):
        yield f"{extra} is not in {name}"
    for path, digest in sorted(listing.files.items()):
        if path not in present:
            yield f"{path} is missing"
        elif digest_file(folder / path) != digest:
            yield f"{path} is not what {name} says"
    if isinstance(listing, ScreeningCard):
        yield from broken_chain(folder, listing)


def against_ledger(kind: Kind, folder: Path | None, recorded: str | None) -> str | None:
    """Return how a folder differs from the newest ledger record of it, or None.

    Args:
        kind: one of ``PREFIX``.
        folder: the folder, or None where there is none.
        recorded: the newest digest in the ledger, or None.
    """
    if recorded is None or recorded == REMOVED:
        if folder is None or (kind == "runs" and not (folder / "scorecard.json").exists()):
            return None
        return "the ledger does not know it; run the command that made it again, or delete it"
    if folder is None:
        return "the ledger knows it, but it is missing"
    if not folder.is_dir() or content_digest(kind, folder) != recorded:
        return "it is not what the ledger recorded"
    return None
