# SPDX-License-Identifier: Apache-2.0
"""What may be used as a guard, and what is refused, with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config
from safetensors.torch import load_file, save_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.attach import save_trained, training_adapter
from codetemper.models.guards import read_guard
from codetemper.models.patch import save_patch
from codetemper.models.rows import Change, write_rows
from tests.models.adapters import make_patch, tiny_loaded


def made(folder: Path, **changes: Any) -> Path:
    return make_patch(folder, seed=1, verb="guard", purpose="train-only", **changes)


def again(folder: Path, base: str = "hf:tiny-llama") -> Path:
    """Write the manifest anew over what is in the folder."""
    (folder / "manifest.json").unlink(missing_ok=True)
    save_patch(
        folder, verb="guard", technique="guard", base=base, base_digest=tiny_loaded().digest,
        config={}, seconds=0.0, seed=0, purpose="train-only",
    )  # fmt: skip
    return folder


def refused(folder: Path, why: str, **changes: Any) -> None:
    with pytest.raises(UsageError) as caught:
        read_guard(folder, replace(tiny_loaded(), **changes))
    assert "cannot be used as a guard" in caught.value.what
    assert why in caught.value.why


def test_a_guard_is_read(tmp_path: Path) -> None:
    guard = read_guard(made(tmp_path / "g"), tiny_loaded())
    assert guard.id.startswith("guard-")
    assert guard.manifest.purpose == "train-only"


def test_another_base_and_a_patch_for_use_are_refused(tmp_path: Path) -> None:
    refused(made(tmp_path / "g"), "whose weights are not those of hf:tiny-llama", digest="0" * 64)
    refused(make_patch(tmp_path / "p", seed=2), "never used")


def test_a_guard_on_top_of_patches_needs_them(tmp_path: Path) -> None:
    folder = again(made(tmp_path / "g"), "hf:tiny-llama+tune-7f3a9c000000")
    refused(folder, "on top of tune-7f3a9c000000")
    assert read_guard(folder, tiny_loaded(), ["tune-7f3a9c000000", "tune-other"]).folder == folder


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"lora_dropout": 0.1}, "dropout 0.1"), ({"use_dora": True}, "use_dora"),
     ({"lora_bias": True}, "lora_bias")],
)  # fmt: skip
def test_more_than_a_sum_is_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    refused(made(tmp_path / "g", **changes), why)


def test_whole_modules_cannot_even_be_saved_as_a_guard(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole modules"):
        made(tmp_path / "g", modules_to_save=["embed_tokens"])


def test_other_forms_and_stray_tensors_are_refused(tmp_path: Path) -> None:
    model = tiny_loaded()
    (tmp_path / "ia3").mkdir()
    (tmp_path / "rows").mkdir()
    config = IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM")
    with training_adapter(model, config) as wrapped:
        save_trained(wrapped, tmp_path / "ia3", base="x")
    refused(again(tmp_path / "ia3"), "its type is IA3")
    write_rows(tmp_path / "rows", [Change("model.norm.weight", torch.zeros(32))], model.module)
    refused(again(tmp_path / "rows"), "changes weights themselves")
    folder = made(tmp_path / "g")
    tensors = load_file(folder / "adapter_model.safetensors")
    stray = {"base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(4, 320)}
    save_file(tensors | stray, folder / "adapter_model.safetensors")
    refused(again(folder), "lora_embedding_A")
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"bias": "all"}))
    save_file(tensors, folder / "adapter_model.safetensors")
    refused(again(folder), "bias=all")


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    folder = made(tmp_path / "g")
    for name in ("adapter_model.safetensors", "manifest.json"):
        whole = (folder / name).read_bytes()
        place = len(whole) - 9
        (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises((IntegrityError, UsageError)) as caught:
            read_guard(folder, tiny_loaded())
        assert isinstance(caught.value, IntegrityError)
        (folder / name).write_bytes(whole)
    assert read_guard(folder, tiny_loaded())
