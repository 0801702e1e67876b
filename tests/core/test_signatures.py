# SPDX-License-Identifier: Apache-2.0
"""Signatures of patch folders: what they cover, whose count, and what is refused with why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from model_signing import hashing, signing, verifying

from codetemper.core.contents import SIGNATURE, content_digest
from codetemper.core.digests import digest_folder
from codetemper.core.errors import IntegrityError, MissingExtraError, UsageError
from codetemper.core.signatures import (
    Trust,
    against_signature,
    check_signature,
    read_trust,
    sign,
    signature_of,
)
from tests.imports import imported
from tests.keys import PLAIN, PUBLIC, key_pair, private_pem

TENSORS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("team", "other"):
        key_pair(folder, name)
    return folder


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    folder = tmp_path / "tune-0"
    (folder / "more").mkdir(parents=True)
    for name in ("manifest.json", TENSORS, "more/.gitattributes"):
        (folder / name).write_bytes(b'{"of": "' + name.encode() + b'"}')
    return folder


@pytest.fixture
def signed(patch: Path, keys: Path, tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    sign(patch, keys / "team.pem", scratch).replace(patch / SIGNATURE)
    return patch


def team(keys: Path, **more: Any) -> Trust:
    return Trust((keys / "team.pub",), **more)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def library_verifies(folder: Path, key: Path) -> None:
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    verifier.verify(folder, folder / SIGNATURE)


def test_what_is_signed_here_is_verified_here_and_by_the_library(
    patch: Path, keys: Path, tmp_path: Path
) -> None:
    before = digest_folder(patch)
    assert signature_of(patch, team(keys)).state == "unsigned"
    (tmp_path / "scratch").mkdir()
    sign(patch, keys / "team.pem", tmp_path / "scratch").replace(patch / SIGNATURE)
    found = check_signature(patch, team(keys, required=True))
    assert (found.state, found.key) == ("valid", keys / "team.pub")
    assert content_digest("patches", patch) == before
    library_verifies(patch, keys / "team.pub")
    # It goes with the folder, under whatever name, and through links to it.
    moved = patch.rename(tmp_path / "elsewhere")
    patch.symlink_to(moved)
    library_verifies(moved, keys / "team.pub")
    assert signature_of(patch, team(keys)).state == "valid"


def test_what_the_library_signs_is_verified_here(patch: Path, keys: Path) -> None:
    (patch / "more/.gitattributes").unlink()
    signer = signing.Config().use_elliptic_key_signer(private_key=keys / "team.pem")
    signer.sign(patch, patch / SIGNATURE)
    assert signature_of(patch, team(keys)).state == "valid"


@pytest.mark.parametrize("name", ["manifest.json", TENSORS, "more/.gitattributes"])
def test_one_changed_byte_of_any_file_is_found(signed: Path, keys: Path, name: str) -> None:
    flip(signed / name, 3)
    with pytest.raises(IntegrityError, match="does not hold") as caught:
        check_signature(signed, team(keys))
    assert name in caught.value.why
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("part", ["payload", "sig", "hint"])
def test_one_changed_byte_of_the_signature_is_found(signed: Path, keys: Path, part: str) -> None:
    path = signed / SIGNATURE
    flip(path, path.read_bytes().index(f'"{part}":"'.encode()) + len(part) + 12)
    assert signature_of(signed, team(keys)).state == "broken"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff\xfe", b"null", b'{"verificationMaterial": {}}']
)
def test_what_is_no_signature_at_all_is_a_broken_one(
    patch: Path, keys: Path, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (patch / SIGNATURE).write_bytes(data)
    found = signature_of(patch, team(keys))
    assert (found.state, bool(found.why)) == ("broken", True)
    (patch / SIGNATURE).unlink()
    (patch / SIGNATURE).symlink_to("nowhere")
    assert signature_of(patch, team(keys)).state == "broken"
    assert capsys.readouterr().out == ""


def test_a_signature_without_a_hint_is_checked_and_prints_nothing(
    signed: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads((signed / SIGNATURE).read_bytes())
    document["verificationMaterial"]["publicKey"]["hint"] = ""
    (signed / SIGNATURE).write_text(json.dumps(document))
    assert signature_of(signed, team(keys)).state == "valid"
    assert signature_of(signed, Trust((keys / "other.pub",))).state == "broken"
    assert capsys.readouterr().out == ""


def test_added_and_missing_files_are_found(signed: Path, keys: Path) -> None:
    (signed / ".gitignore").write_bytes(b"")
    assert ".gitignore" in signature_of(signed, team(keys)).why
    (signed / ".gitignore").unlink()
    assert signature_of(signed, team(keys)).state == "valid"
    (signed / TENSORS).unlink()
    assert TENSORS in signature_of(signed, team(keys)).why


def test_a_signature_that_leaves_a_file_out_does_not_count(patch: Path, keys: Path) -> None:
    part = hashing.Config().set_ignored_paths(paths=[TENSORS, SIGNATURE])
    signer = signing.Config().use_elliptic_key_signer(private_key=keys / "team.pem")
    signer.set_hashing_config(part).sign(patch, patch / SIGNATURE)
    library_verifies(patch, keys / "team.pub")
    found = signature_of(patch, team(keys))
    assert found.state == "broken"
    assert TENSORS in found.why


def test_whose_signatures_count(signed: Path, keys: Path) -> None:
    other, both = Trust((keys / "other.pub",)), Trust((keys / "other.pub", keys / "team.pub"))
    assert signature_of(signed, Trust()).state == "unchecked"
    assert "other.pub" in signature_of(signed, other).why
    assert signature_of(signed, both).key == keys / "team.pub"


def test_a_stripped_signature_is_refused_where_one_is_required(signed: Path, keys: Path) -> None:
    (signed / SIGNATURE).unlink()
    assert check_signature(signed, team(keys)).state == "unsigned"
    with pytest.raises(IntegrityError, match="refused") as caught:
        check_signature(signed, team(keys, required=True))
    assert "codetemper patch sign tune-0" in caught.value.mend
    assert against_signature(signed, team(keys), None) is None
    assert "required" in (against_signature(signed, team(keys, required=True), None) or "")
    assert "missing" in (against_signature(signed, team(keys), "0" * 64) or "")


def test_another_signature_than_the_recorded_one_is_told(signed: Path, keys: Path) -> None:
    assert against_signature(signed, team(keys), None) is None
    assert "recorded" in (against_signature(signed, team(keys), "0" * 64) or "")
    assert "recorded" in (against_signature(signed, Trust(), "0" * 64) or "")
    flip(signed / TENSORS, 3)
    assert "does not hold" in (against_signature(signed, team(keys), None) or "")


def test_keys_that_cannot_be_used_are_refused(patch: Path, keys: Path, tmp_path: Path) -> None:
    of_rsa = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.pem").write_bytes(private_pem(of_rsa, PLAIN))
    (tmp_path / "rsa.pub").write_bytes(of_rsa.public_key().public_bytes(*PUBLIC))
    locked = serialization.BestAvailableEncryption(b"word")
    (tmp_path / "locked.pem").write_bytes(private_pem(key_pair(tmp_path, "own"), locked))
    (tmp_path / "none.pem").write_text("no key")
    for name in ("rsa.pem", "locked.pem", "none.pem", "missing.pem", "own.pub"):
        with pytest.raises(UsageError, match=r"cannot be used") as caught:
            sign(patch, tmp_path / name, tmp_path)
        assert "openssl ecparam" in caught.value.mend
    (patch / SIGNATURE).write_bytes(b"{}")
    for name in ("rsa.pub", "none.pem", "missing.pem", "own.pem"):
        with pytest.raises(UsageError, match=r"cannot be used"):
            signature_of(patch, Trust((tmp_path / name,)))


def test_the_extra_is_asked_for_only_where_there_is_something_to_check(
    signed: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("model_signing", *(f"model_signing.{m}" for m in ("signing", "verifying"))):
        monkeypatch.setitem(sys.modules, name, None)
    assert signature_of(signed, Trust()).state == "unchecked"
    assert signature_of(tmp_path, team(keys)).state == "unsigned"
    for ask in (
        lambda: signature_of(signed, team(keys)),
        lambda: sign(signed, keys / "team.pem", tmp_path),
    ):
        with pytest.raises(MissingExtraError) as caught:
            ask()
        assert caught.value.mend == "pip install 'codetemper[sign]'"
        assert "model_signing" in caught.value.why


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    code = "import codetemper.cli.app, codetemper.core.workspace, codetemper.api.signing"
    assert imported(code, ("model_signing", "cryptography", "torch")) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"require_signature": True}, "require_signature: "),
        ({"trusted_keys": "team.pub"}, "trusted_keys"),
        ({"trusted_keys": ["team.pub"], "require_signatures": "yes"}, "require_signatures"),
        ({"require_signatures": True}, "no key to check them with"),
    ],
)
def test_settings_that_could_leave_a_door_open_are_refused(
    settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=r"workspace.toml cannot be followed") as caught:
        read_trust({"version": 1, **settings}, Path("/p"), "workspace.toml")
    assert said in caught.value.why


def test_keys_are_named_from_the_project_folder() -> None:
    said = {"version": 1, "trusted_keys": ["keys/a.pem", "/b.pem"], "require_signatures": True}
    keys = (Path("/p/keys/a.pem"), Path("/b.pem"))
    assert read_trust(said, Path("/p"), "") == Trust(keys, required=True)
    assert read_trust({"version": 1}, Path("/p"), "") == Trust()
