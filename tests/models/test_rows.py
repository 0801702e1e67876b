# SPDX-License-Identifier: Apache-2.0
"""Changed rows, columns and whole weights: in place inside, bit for bit the old ones outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.attach import attached, training_weights
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest, verify_patch, weights_digest
from codetemper.models.rows import Change, write_rows
from tests.models.adapters import as_patch, make_patch, tiny_loaded
from tests.tiny import tiny_model, tiny_tokenizer

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])
DOWN = "model.layers.1.mlp.down_proj.weight"
NORM = "model.norm.weight"


def logits(model: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.module(input_ids=TOKENS).logits


def patch(folder: Path, model: LoadedModel, *changes: Change) -> Path:
    folder.mkdir()
    write_rows(folder, changes, model.module)
    return as_patch(folder, model)


def columns(*places: int, value: float = 0.5) -> Change:
    return Change(DOWN, torch.full((32, len(places)), value), axis=1, index=places)


def test_rows_columns_and_whole_weights(tmp_path: Path) -> None:
    model = tiny_loaded()
    before = logits(model)
    folder = patch(
        tmp_path / "p", model, columns(3, 9), Change(NORM, torch.full((32,), 2.0)),
        Change("lm_head.weight", torch.ones(2, 32), axis=0, index=(4, 319)),
    )  # fmt: skip
    manifest = verify_patch(folder)
    assert (manifest.kind, manifest.parameters_changed) == ("rows", 2 * 32 + 32 + 2 * 32)
    expected = tiny_model("llama")
    with torch.no_grad():
        expected.get_parameter(DOWN)[:, [3, 9]] = 0.5
        expected.get_parameter(NORM)[:] = 2.0
        expected.lm_head.weight[[4, 319]] = 1.0
        wanted = expected(input_ids=TOKENS).logits
    with attached(model, folder) as module:
        assert module is model.module
        assert torch.equal(logits(model), wanted)
        assert not any(p.requires_grad for p in module.parameters())
    assert torch.equal(logits(model), before)
    assert weights_digest(model.module) == model.digest


def test_the_old_numbers_come_back_after_an_exception(tmp_path: Path) -> None:
    model = tiny_loaded()
    folder = patch(tmp_path / "p", model, columns(0, value=1e-30))
    storage = model.module.get_parameter(DOWN).data_ptr()
    with pytest.raises(KeyboardInterrupt), attached(model, folder):  # noqa: PT012
        model.module.double()
        raise KeyboardInterrupt
    assert weights_digest(model.module) == model.digest
    assert model.module.get_parameter(DOWN).data_ptr() == storage


def test_patches_of_other_places_stack_and_of_the_same_do_not(tmp_path: Path) -> None:
    model = tiny_loaded()
    one = patch(tmp_path / "one", model, columns(1, 2))
    two = patch(tmp_path / "two", model, columns(3, value=-0.5))
    same = patch(tmp_path / "same", model, columns(2, 4))
    with attached(model, one, two):
        both = logits(model)
    with attached(model, two, one):
        assert torch.equal(logits(model), both)
    for order in ((one, same), (same, one)):
        with pytest.raises(UsageError, match="does not fit") as refused:
            attached(model, *order).__enter__()
        assert "does not hold what it replaces" in refused.value.why
        assert weights_digest(model.module) == model.digest


def test_an_adapter_goes_on_top(tmp_path: Path) -> None:
    model = tiny_loaded()
    under = patch(tmp_path / "rows", model, columns(1, 2))
    lora = make_patch(tmp_path / "lora", seed=1)
    with attached(model, under):
        changed = logits(model)
    with attached(model, lora):
        added = logits(model)
    with attached(model, lora, under) as wrapped:
        both = logits(model)
        with wrapped.disable_adapter():
            assert torch.equal(logits(model), changed)
    assert not torch.allclose(both, added, atol=1e-3)
    assert not torch.allclose(both, changed, atol=1e-3)
    with pytest.raises(UsageError, match="cannot be trained"):
        attached(model, under, trainable=load_manifest(under).id).__enter__()


def test_tied_weights_change_under_both_names(tmp_path: Path) -> None:
    model = tiny_loaded("gpt2")
    folder = patch(
        tmp_path / "p", model, Change("lm_head.weight", torch.ones(1, 32), axis=0, index=(40,))
    )
    with attached(model, folder):
        assert (model.module.transformer.wte.weight[40] == 1).all()
    assert weights_digest(model.module) == model.digest
    with training_weights(model) as (_, kept):
        with torch.no_grad():
            model.module.lm_head.weight[40] = 1
        (tmp_path / "whole").mkdir()
        kept.write(tmp_path / "whole")
    values = load_file(tmp_path / "whole" / "rows.safetensors")
    assert list(values) == ["transformer.wte.weight"]


def test_numbers_take_the_type_that_the_weight_has(tmp_path: Path) -> None:
    narrow = tiny_model("llama").to(torch.bfloat16)
    wide = tiny_model("llama").to(torch.bfloat16).float()
    models = [
        LoadedModel("hf:t", module, tiny_tokenizer(), weights_digest(module), torch.device("cpu"))
        for module in (wide, narrow)
    ]
    folder = patch(tmp_path / "p", models[0], columns(1, value=0.1))
    for model in models:
        kind = model.module.dtype
        with attached(model, folder):
            found = model.module.get_parameter(DOWN)[:, 1]
            assert found.dtype == kind
            assert torch.equal(found, torch.full((32,), 0.1).to(kind))
        assert weights_digest(model.module) == model.digest


def test_another_base_is_refused(tmp_path: Path) -> None:
    folder = patch(tmp_path / "p", tiny_loaded(), columns(1))
    with pytest.raises(UsageError, match="does not belong"):
        attached(tiny_loaded("gpt2"), folder).__enter__()


def test_changes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = tiny_loaded()
    cases = {
        "no weight 'x'": (UsageError, [Change("x", torch.ones(2))]),
        "nothing to save": (UsageError, []),
        "damaged": (IntegrityError, [Change(NORM, torch.ones(31))]),
        "rows.safetensors is damaged": (IntegrityError, [columns(9, 3)]),
        "is damaged": (IntegrityError, [Change(DOWN, torch.ones(32, 3), axis=1, index=(1, 2))]),
    }
    for message, (error, changes) in cases.items():
        with pytest.raises(error, match=message):
            write_rows(tmp_path, changes, model.module)


@pytest.mark.parametrize("what", ["index", "extra", "lost", "json", "shape"])
def test_damage_is_found(tmp_path: Path, what: str) -> None:
    model = tiny_loaded()
    folder = patch(tmp_path / "p", model, columns(3, 9))
    tensors = load_file(folder / "rows.safetensors")
    listed = json.loads((folder / "rows.json").read_text())
    if what == "index":
        tensors[f"{DOWN}@index"] += 60
    elif what == "extra":
        tensors["other"] = torch.ones(2)
    elif what == "lost":
        del tensors[DOWN]
    elif what == "shape":
        listed["parts"][0]["shape"] = [32, 57]
        listed["parts"][0]["axis"] = None
    else:
        listed["parts"][0]["surprise"] = 1
    save_file(tensors, folder / "rows.safetensors")
    (folder / "rows.json").write_text(json.dumps(listed))
    with pytest.raises(IntegrityError):
        verify_patch(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        as_patch(folder, model)
