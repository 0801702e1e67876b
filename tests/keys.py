# SPDX-License-Identifier: Apache-2.0
"""Keys to sign with, for the tests of signatures: made anew, kept nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PLAIN = serialization.NoEncryption()
PUBLIC = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Any, lock: Any) -> bytes:
    """Return a private key as PEM, under a passphrase or none."""
    form = serialization.PrivateFormat.PKCS8
    made: bytes = key.private_bytes(serialization.Encoding.PEM, form, lock)
    return made


def key_pair(folder: Path, name: str) -> ec.EllipticCurvePrivateKey:
    """Write ``NAME.pem`` and ``NAME.pub``, a private and its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / f"{name}.pem").write_bytes(private_pem(key, PLAIN))
    (folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(*PUBLIC))
    return key
