# SPDX-License-Identifier: Apache-2.0
"""The verb ``patch sign``: say with a private key that a patch is the one meant.

    sign(workspace, "tune-3fa9", Path("private.pem"))

The signature lies in the patch's folder and leaves the patch what it was: its id, its manifest and
the digest in the ledger stay. Checking signatures is not done here: whatever loads or verifies a
patch does it, by the keys that ``workspace.toml`` trusts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codetemper.core.contents import SIGNATURE, against_ledger
from codetemper.core.digests import digest_file
from codetemper.core.disk import sync_folder, sync_tree
from codetemper.core.errors import IntegrityError
from codetemper.core.signatures import Trust, signer_of
from codetemper.core.signatures import sign as make_signature
from codetemper.core.workspace import Workspace


@dataclass(frozen=True)
class Signed:
    """A signature that was made.

    Attributes:
        id: of the patch.
        path: the signature.
        key: SHA-256 of the public key's PEM form.
    """

    id: str
    path: Path
    key: str


def sign(workspace: Workspace, patch: str, private_key: Path) -> Signed:
    """Sign a patch; a signature it had is replaced.

    Args:
        workspace: holds the patch; gets a ledger entry.
        patch: id or its beginning.
        private_key: PEM file of an elliptic-curve key without a passphrase.

    Raises:
        UsageError: no such patch, or a key that cannot be used.
        IntegrityError: the patch is not what its manifest or the ledger says: nobody signs that.
        MissingExtraError: the extra ``sign`` is not installed.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.patch import verify_patch

    folder = workspace.resolve("patches", patch)
    # Whose signature is on it, and whether it holds, is no matter: it gets a new one.
    manifest = verify_patch(folder, Trust())
    recorded = workspace.ledger.outputs().get(f"patch:{manifest.id}")
    differs = against_ledger("patches", folder, recorded)
    if differs:
        raise IntegrityError(f"{manifest.id} is not signed", why=differs, mend="codetemper verify")
    # Made beside the patch and moved: a killed process leaves no half of it among the files.
    with workspace.lock(f"sign-{manifest.id}"), workspace.staged("patches") as scratch:
        made = make_signature(folder, private_key, scratch)
        key, digest = signer_of(made), digest_file(made)
        sync_tree(scratch)
        path = made.replace(folder / SIGNATURE)
        sync_folder(folder)
        workspace.ledger.append(
            "sign",
            inputs={"patch": manifest.id, "key": key},
            outputs={f"signature:{manifest.id}": digest},
        )
    return Signed(manifest.id, path, key)
