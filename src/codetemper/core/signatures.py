# SPDX-License-Identifier: Apache-2.0
"""Who signed a patch: detached signatures in the form of OpenSSF's library ``model-signing``.

    path = sign(folder, Path("private.pem"), scratch)      # a file for folder / SIGNATURE
    check_signature(folder, Trust(keys=(Path("public.pem"),)))

Digests say that nothing was changed since the ledger's line was written; whoever may write to the
workspace may write that line too. A signature is made with a private key that need not be there.
It covers every file of the patch but itself, manifest and tensors alike. Keys are elliptic-curve
keys (NIST P-256, P-384, P-521) in PEM files; nothing is asked of a network. This file neither
makes keys nor decides where a signature is checked: ``models.patch.verify_patch`` and
``Workspace.verify`` do. The library is the extra ``sign``, loaded when there is something to check.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from codetemper.core.contents import REMOVED, SIGNATURE
from codetemper.core.digests import digest_file
from codetemper.core.errors import IntegrityError, MissingExtraError, UsageError

_LIBRARY: Final = "model_signing"
_KEYS: Final = (
    "openssl ecparam -name prime256v1 -genkey -noout -out private.pem; "
    "openssl ec -in private.pem -pubout -out public.pem"
)


@dataclass(frozen=True)
class Trust:
    """Whose signatures count.

    Attributes:
        keys: PEM files of public keys; without any, signatures are not checked.
        required: a patch without a signature by one of them is refused.
    """

    keys: tuple[Path, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Signature:
    """What is known of a patch's signature.

    Attributes:
        state: ``unsigned``; ``unchecked``, as no key is trusted; ``valid``; or ``broken``.
        key: the trusted key it is of, where it is valid.
        why: why it does not hold, where it is broken.
    """

    state: Literal["unsigned", "unchecked", "valid", "broken"]
    key: Path | None = None
    why: str = ""


class _Settings(BaseModel):
    """All that ``workspace.toml`` may say: a setting that is misspelt must not be one left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: int
    trusted_keys: list[str] = []
    require_signatures: bool = False


def read_trust(settings: Mapping[str, Any], root: Path, source: str) -> Trust:
    """Read whose signatures count from a workspace's settings.

    Args:
        settings: of ``workspace.toml``.
        root: folder that relative paths of keys begin at.
        source: name of the file, for errors.

    Raises:
        UsageError: unknown or malformed settings, or signatures required and no key trusted.
    """
    try:
        said = _Settings.model_validate(settings)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(
            f"{source} cannot be followed",
            why=wrong,
            mend='settings: version, trusted_keys = ["keys/team.pem"], require_signatures = false',
        ) from error
    if said.require_signatures and not said.trusted_keys:
        raise UsageError(
            f"{source} cannot be followed",
            why="signatures are required, and there is no key to check them with",
            mend='trusted_keys = ["keys/team.pem"], public keys of those who may sign',
        )
    return Trust(tuple(root / key for key in said.trusted_keys), said.require_signatures)


def signature_of(folder: Path, trust: Trust) -> Signature:
    """Check the signature of a patch folder, where there is one and a key to check it with.

    Args:
        folder: the patch.
        trust: whose signatures count.

    Raises:
        UsageError: a trusted key cannot be read.
        MissingExtraError: the extra ``sign`` is not installed.
    """
    if not os.path.lexists(folder / SIGNATURE):
        return Signature("unsigned")
    if not trust.keys:
        return Signature("unchecked")
    refusals = []
    for key in trust.keys:
        why = _refusal(folder, key)
        if why is None:
            return Signature("valid", key)
        refusals.append(f"{key.name}: {why}")
    return Signature("broken", why="; ".join(refusals))


def check_signature(folder: Path, trust: Trust) -> Signature:
    """As ``signature_of``, and refuse a patch that ought not to be used.

    Raises:
        IntegrityError: the signature does not hold, or is required and not there.
        UsageError, MissingExtraError: as ``signature_of``.
    """
    found = signature_of(folder, trust)
    if found.state == "broken":
        raise IntegrityError(
            f"the signature of {folder.name} does not hold",
            why=found.why,
            mend="restore the patch from where it was signed; if you know that it is right: "
            f"codetemper patch sign {folder.name} --key PRIVATE.pem",
        )
    if trust.required and found.state == "unsigned":
        raise IntegrityError(
            f"{folder.name} is refused",
            why=f"it has no {SIGNATURE}, and a signature is required",
            mend=f"codetemper patch sign {folder.name} --key PRIVATE.pem, by someone you trust",
        )
    return found


def against_signature(folder: Path, trust: Trust, recorded: str | None) -> str | None:
    """Return what is wrong with the signature of a patch folder, or None.

    Args:
        folder: the patch.
        trust: whose signatures count.
        recorded: the newest digest of its signature in the ledger, or None.

    Raises:
        UsageError, MissingExtraError: as ``signature_of``.
    """
    found = signature_of(folder, trust)
    if found.state == "broken":
        return f"its signature does not hold: {found.why}"
    if found.state == "unsigned":
        if recorded not in (None, REMOVED):
            return "the ledger knows a signature of it, but it is missing"
        return "it has no signature, and one is required" if trust.required else None
    # One that came with the patch from elsewhere is in no entry: the key vouches for it.
    if recorded is not None and digest_file(folder / SIGNATURE) != recorded:
        return "its signature is not what the ledger recorded"
    return None


def sign(folder: Path, private_key: Path, scratch: Path) -> Path:
    """Sign a patch folder.

    Args:
        folder: the patch; nothing in it is changed.
        private_key: PEM file of an elliptic-curve key without a passphrase.
        scratch: an empty folder for the signature.

    Returns:
        The signature, a Sigstore bundle in JSON: to be moved to ``folder / SIGNATURE``.

    Raises:
        UsageError: the key cannot be read or is of another kind.
        MissingExtraError: the extra ``sign`` is not installed.
    """
    signing, hashing = _library("signing"), _library("hashing")
    try:
        signer = signing.Config().use_elliptic_key_signer(private_key=private_key)
    except OSError as error:
        raise _bad_key(private_key, error.strerror or str(error)) from error
    except (ValueError, TypeError, AttributeError) as error:
        # An encrypted key is a TypeError, another kind of key an AttributeError of its curve.
        why = "it is not the PEM of an elliptic-curve private key without a passphrase"
        raise _bad_key(private_key, why) from error
    whole = hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    signer.set_hashing_config(whole).sign(folder.resolve(), scratch / SIGNATURE)
    return scratch / SIGNATURE


def signer_of(signature: Path) -> str:
    """Return what a signature says of its key: the SHA-256 of the public key's PEM form.

    It is a hint to find the key by; only ``signature_of`` says whether it is true.
    """
    return str(json.loads(signature.read_bytes())["verificationMaterial"]["publicKey"]["hint"])


def _refusal(folder: Path, key: Path) -> str | None:
    """Return why a signature is not one of this key over all of the folder; None where it is."""
    verifying, hashing = _library("verifying"), _library("hashing")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except OSError as error:
        raise _bad_key(key, error.strerror or str(error)) from error
    except (ValueError, AttributeError) as error:
        raise _bad_key(key, "it is not the PEM of an elliptic-curve public key") from error

    class Whole(hashing.Config):  # type: ignore[misc, name-defined]
        """All files count but the signature, whatever a signature says it left out."""

        def add_ignored_paths(self, **_: Any) -> None:
            pass

    whole = Whole().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)
    try:
        # The library prints about old forms, and standard output belongs to the answer.
        with contextlib.redirect_stdout(io.StringIO()):
            verifier.set_hashing_config(whole).verify(folder.resolve(), folder / SIGNATURE)
    except Exception as error:
        # Hostile bytes: whatever the library stumbles over in them is no signature.
        return str(error).split("\n")[0].strip() or "it was not made with this key"
    return None


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"{_LIBRARY}.{name}")
    except ImportError as error:
        raise MissingExtraError("sign", (error.name or _LIBRARY).partition(".")[0]) from error


def _bad_key(key: Path, why: str) -> UsageError:
    return UsageError(f"the key {key} cannot be used", why=why, mend=f"make a pair: {_KEYS}")
