# SPDX-License-Identifier: Apache-2.0
"""The projection against the same inner products of the changes as they are, written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig
from safetensors.torch import load_file, save_file

from codetemper.core.errors import UsageError
from codetemper.models.attach import attached, save_trained, training_adapter
from codetemper.models.projection import needs_weights, projection
from codetemper.models.rows import Change, write_rows
from tests.models.adapters import as_patch, make_patch, tiny_loaded

TENSORS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_patch(
        tmp_path_factory.mktemp("guard") / "g", seed=1, verb="guard", purpose="train-only"
    )


def deltas(folder: Path, scale: float) -> dict[str, torch.Tensor]:
    tensors = load_file(folder / TENSORS)
    return {
        key.removeprefix("base_model.model.").removesuffix(".lora_A.weight"): (
            tensors[key.replace("lora_A", "lora_B")].double() @ tensors[key].double() * scale
        )
        for key in tensors
        if "lora_A" in key
    }


def share(one: dict[str, torch.Tensor], guard: dict[str, torch.Tensor]) -> float:
    inner = sum(float((one[layer] * guard[layer]).sum()) for layer in guard if layer in one)
    return inner / sum(float((delta * delta).sum()) for delta in guard.values())


@pytest.mark.parametrize(
    ("changes", "scale"),
    [({}, 2.0), ({"r": 2, "lora_alpha": 3}, 1.5), ({"use_rslora": True}, 4.0),
     ({"target_modules": ["v_proj", "up_proj"], "alpha_pattern": {"v_proj": 20}}, None)],
)  # fmt: skip
def test_low_rank_on_low_rank(
    changes: dict[str, Any], scale: float | None, guard: Path, tmp_path: Path
) -> None:
    patch = make_patch(tmp_path / "p", seed=5, **changes)
    own = deltas(patch, scale or 1.0)
    if scale is None:
        own = {name: delta * (5.0 if "v_proj" in name else 2.0) for name, delta in own.items()}
    assert not needs_weights(patch)
    assert projection(patch, guard) == pytest.approx(share(own, deltas(guard, 2.0)), rel=1e-6)


def test_a_guard_in_a_patch_is_one_whatever_else_is_there(guard: Path, tmp_path: Path) -> None:
    assert projection(guard, guard) == pytest.approx(1.0, rel=1e-6)
    model = tiny_loaded()
    (tmp_path / "both").mkdir()
    weights = dict(model.module.named_parameters())
    merged = {
        layer: weights[f"{layer}.weight"].detach() + delta.float()
        for layer, delta in deltas(guard, 2.0).items()
    }
    extra = {"model.embed_tokens.weight": torch.randn(320, 32)}
    changes = [Change(f"{layer}.weight", new) for layer, new in merged.items()]
    changes += [Change(name, new) for name, new in extra.items()]
    write_rows(tmp_path / "both", changes, model.module)
    assert needs_weights(tmp_path / "both")
    with pytest.raises(UsageError, match="cannot be told from its files"):
        projection(tmp_path / "both", guard)
    assert projection(tmp_path / "both", guard, model.module) == pytest.approx(1.0, abs=1e-4)


def test_rows_columns_and_models_that_carry_adapters(guard: Path, tmp_path: Path) -> None:
    model = tiny_loaded()
    own = deltas(guard, 2.0)
    layer = next(name for name in own if name.endswith("v_proj"))
    weight = dict(model.module.named_parameters())[f"{layer}.weight"].detach()
    for axis, index in ((0, [1, 5]), (1, [0, 7, 30])):
        folder = tmp_path / str(axis)
        folder.mkdir()
        old = weight.index_select(axis, torch.tensor(index))
        add = 0.5 * own[layer].float().index_select(axis, torch.tensor(index))
        new = old + add
        write_rows(folder, [Change(f"{layer}.weight", new, axis, index)], model.module)  # type: ignore[arg-type]
        change = torch.zeros_like(weight)
        change.index_copy_(axis, torch.tensor(index), add)
        expected = share({layer: change.double()}, own)
        assert expected > 1e-3
        assert projection(folder, guard, model.module) == pytest.approx(expected, rel=1e-4)
        with attached(model, make_patch(tmp_path / f"under{axis}", seed=4)) as wrapped:
            assert projection(folder, guard, wrapped) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_learnt_factors_and_transposed_layers(kind: str, tmp_path: Path) -> None:
    model = tiny_loaded(kind)
    names = ["v_proj", "down_proj"] if kind == "llama" else ["c_attn", "mlp.c_proj"]
    transposed = kind == "gpt2"
    generator = torch.Generator().manual_seed(2)

    def made(folder: str, config: Any) -> Path:
        (tmp_path / folder).mkdir()
        with training_adapter(model, config) as wrapped:
            with torch.no_grad():
                for part in wrapped.parameters():
                    if part.requires_grad:
                        part.copy_(torch.rand(part.shape, generator=generator))
            save_trained(wrapped, tmp_path / folder, base="x")
        return tmp_path / folder

    shape: dict[str, Any] = {"task_type": "CAUSAL_LM", "fan_in_fan_out": transposed}
    guard = made("guard", LoraConfig(r=4, lora_alpha=8, target_modules=names, **shape))
    factors = made("ia3", IA3Config(target_modules=names, feedforward_modules=names[1:], **shape))
    weights = dict(model.module.named_parameters())
    own = {}
    for key, factor in load_file(factors / TENSORS).items():
        layer = key.removeprefix("base_model.model.").removesuffix(".ia3_l")
        weight = weights[f"{layer}.weight"].detach().double()
        own[layer] = (factor.double() - 1) * (weight.T if transposed else weight)
    expected = share(own, deltas(guard, 2.0))
    assert needs_weights(factors)
    assert projection(factors, guard, model.module) == pytest.approx(expected, rel=1e-4)
    # The whole weight as it is with the factors on, as a rows patch of the same change.
    (tmp_path / "rows").mkdir()
    changes = [
        Change(f"{layer}.weight", weights[f"{layer}.weight"].detach()
               + (delta.T if transposed else delta).float())
        for layer, delta in own.items()
    ]  # fmt: skip
    write_rows(tmp_path / "rows", changes, model.module)
    assert projection(tmp_path / "rows", guard, model.module) == pytest.approx(expected, rel=1e-3)


def test_what_changes_no_weight_and_what_changes_nothing(guard: Path, tmp_path: Path) -> None:
    from peft import PromptTuningConfig

    model = tiny_loaded()
    (tmp_path / "prompt").mkdir()
    with training_adapter(
        model, PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    ) as wrapped:
        save_trained(wrapped, tmp_path / "prompt", base="x")
    assert projection(as_patch(tmp_path / "prompt", model), guard) == 0.0
    zero = make_patch(tmp_path / "zero", seed=1)
    tensors = {name: value * 0 for name, value in load_file(zero / TENSORS).items()}
    save_file(tensors, zero / TENSORS)
    assert projection(guard, zero) == 0.0
