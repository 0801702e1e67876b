# SPDX-License-Identifier: Apache-2.0
"""Patch folders: complete manifests, every changed byte found, pickles never opened."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.patch import (
    load_manifest,
    save_patch,
    tensor_digest,
    verify_patch,
    weights_digest,
)
from tests.models.adapters import make_patch
from tests.tiny import tiny_model


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    return make_patch(tmp_path / "patch", seed=1)


def test_a_saved_patch_verifies_and_names_what_it_holds(patch: Path) -> None:
    manifest = verify_patch(patch)
    assert manifest == load_manifest(patch)
    assert manifest.id.startswith("tune-")
    assert set(manifest.files) == {"adapter_config.json", "adapter_model.safetensors"}
    # 3 blocks, q and v: rank 4 times (32 + 32) and 4 times (32 + 16) numbers.
    assert manifest.parameters_changed == 3 * 4 * (64 + 48)
    assert manifest.versions["peft"]


def test_the_same_patch_has_the_same_id_and_another_has_not(tmp_path: Path) -> None:
    ids = [load_manifest(make_patch(tmp_path / str(k), seed=s)).id for k, s in enumerate([1, 1, 2])]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
)
@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 0.999])
def test_a_changed_byte_is_found(patch: Path, name: str, place: float) -> None:
    data = bytearray((patch / name).read_bytes())
    where = int(place * len(data))
    if name == "manifest.json":
        # Seconds and report are the ledger's to guard; the id covers everything else.
        where = int(place * data.index(b'"seconds"'))
    data[where] ^= 1
    (patch / name).write_bytes(bytes(data))
    with pytest.raises(IntegrityError):
        verify_patch(patch)


def test_lost_and_foreign_files_are_found(patch: Path) -> None:
    (patch / "note.txt").write_text("hello")
    with pytest.raises(IntegrityError, match=r"note\.txt"):
        verify_patch(patch)
    (patch / "note.txt").unlink()
    (patch / "adapter_config.json").unlink()
    with pytest.raises(IntegrityError, match="adapter_config"):
        verify_patch(patch)


@pytest.mark.parametrize("name", ["adapter_model.bin", "x.pt", "deep/y.PKL", "z.ckpt"])
def test_pickles_are_refused_unopened(patch: Path, name: str) -> None:
    marker = patch.parent / "ran"
    path = patch / name
    path.parent.mkdir(exist_ok=True)

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (marker,)

    path.write_bytes(pickle.dumps(Bomb()))
    path.chmod(0)
    with pytest.raises(UsageError, match="not opened"):
        verify_patch(patch)
    assert not marker.exists()


def test_broken_tensors_are_an_integrity_error(patch: Path) -> None:
    weights = patch / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    (patch / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        save_patch(
            patch, verb="tune", technique="tune", base="b", base_digest="0", config={},
            seconds=0.0, seed=0,
        )  # fmt: skip


def test_whole_modules_are_refused_for_train_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train-only"):
        make_patch(tmp_path / "p", seed=1, purpose="train-only", modules_to_save=["lm_head"])


def test_not_a_patch(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a patch"):
        verify_patch(tmp_path)
    with pytest.raises(UsageError, match="not a patch"):
        verify_patch(tmp_path / "nowhere")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_widening_keeps_the_digest(dtype: torch.dtype) -> None:
    module = tiny_model("gpt2").to(dtype)
    narrow = weights_digest(module)
    assert weights_digest(module.float()) == narrow


def test_the_digest_sees_names_shapes_and_single_bits() -> None:
    def digest(**tensors: torch.Tensor) -> str:
        module = nn.Module()
        for name, value in tensors.items():
            module.register_buffer(name, value)
        return weights_digest(module)

    base = digest(a=torch.zeros(4))
    assert base != digest(b=torch.zeros(4))
    assert base != digest(a=torch.zeros(2, 2))
    assert base != digest(a=torch.tensor([0.0, 0.0, 0.0, -0.0]))
    assert base != digest(a=torch.zeros(4, dtype=torch.int32))
    assert base == digest(a=torch.zeros(4))


def test_the_digest_reads_views_by_value() -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    assert tensor_digest(matrix.T) == tensor_digest(matrix.T.contiguous())
    assert tensor_digest(matrix.T) != tensor_digest(matrix)


def test_tied_weights_are_covered_under_both_names() -> None:
    module = tiny_model("gpt2")
    before = weights_digest(module)
    with torch.no_grad():
        module.lm_head.weight[3, 3] += 1
    assert weights_digest(module) != before
