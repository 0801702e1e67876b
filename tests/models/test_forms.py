# SPDX-License-Identifier: Apache-2.0
"""IA3 and the rules of stacking: what multiplies, what is refused, which layers are meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, PeftModel, PrefixTuningConfig
from safetensors.torch import load_file, save_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.attach import attached, save_trained, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest
from codetemper.models.targets import ia3_targets, short_ends
from tests.models.adapters import as_patch, lora, make_patch, tiny_loaded
from tests.tiny import DECODERS, tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])


def ia3(module: Any, *feedforward: str, targets: tuple[str, ...] = ()) -> IA3Config:
    if not targets:
        targets, feedforward = ia3_targets(module)
    return IA3Config(
        target_modules=list(targets), feedforward_modules=list(feedforward), task_type="CAUSAL_LM"
    )


def make(folder: Path, model: LoadedModel, form: Any, seed: int) -> Path:
    folder.mkdir()
    torch.manual_seed(seed)
    with training_adapter(model, form) as wrapped:
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.copy_(1 + torch.randn_like(parameter))
        save_trained(wrapped, folder, base=model.expression)
    return as_patch(folder, model, seed=seed)


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        return module(input_ids=TOKENS).logits


def test_factors_multiply_whatever_the_order(tmp_path: Path) -> None:
    model = tiny_loaded()
    base = logits(model.module)
    patches = [make(tmp_path / str(k), model, ia3(model.module), k) for k in range(2)]
    reference = tiny_model("llama")
    with torch.no_grad():
        for folder in patches:
            for key, factor in load_file(folder / "adapter_model.safetensors").items():
                path = key.removeprefix("base_model.model.").removesuffix(".ia3_l")
                # [1, in] scales columns, [out, 1] scales rows.
                reference.get_submodule(path).weight *= factor
    for order in (patches, patches[::-1]):
        with attached(model, *order):
            assert torch.allclose(logits(model.module), logits(reference), atol=1e-3)
    assert torch.equal(logits(model.module), base)


def test_a_frozen_factor_gets_no_gradient_and_plain_peft_agrees(tmp_path: Path) -> None:
    model = tiny_loaded("gpt2")
    folder = make(tmp_path / "p", model, ia3(model.module), 1)
    with attached(model, folder):
        alone = logits(model.module)
    assert torch.equal(logits(PeftModel.from_pretrained(tiny_model("gpt2"), folder)), alone)
    with training_adapter(model, ia3(model.module), folder) as wrapped:
        assert torch.equal(logits(wrapped), alone)
        wrapped.train()
        wrapped(input_ids=TOKENS, labels=TOKENS).loss.backward()
        learning = {n for n, p in wrapped.named_parameters() if p.grad is not None}
        assert learning
        assert all(name.endswith(".ia3_l.task") for name in learning)


def test_what_does_not_stack(tmp_path: Path) -> None:
    model = tiny_loaded()
    factors = make(tmp_path / "ia3", model, ia3(model.module), 1)
    prefix = make(tmp_path / "prefix", model, PrefixTuningConfig(
        num_virtual_tokens=2, task_type="CAUSAL_LM"), 2)  # fmt: skip
    sums = make_patch(tmp_path / "lora", seed=1)
    for folders, why in (
        ((sums, factors), "LoRA adds and IA3 multiplies"),
        ((sums, prefix), "virtual tokens"),
        ((prefix, factors), "virtual tokens"),
    ):
        with pytest.raises(UsageError, match="cannot be stacked") as refused:
            attached(model, *folders).__enter__()
        assert why in refused.value.why
    with pytest.raises(UsageError, match="cannot be stacked"):
        training_adapter(model, lora(), factors).__enter__()
    with pytest.raises(UsageError, match="patches on already"), attached(model, prefix):
        attached(model, sums).__enter__()


def test_factors_of_two_sides_of_a_layer_do_not_stack(tmp_path: Path) -> None:
    model = tiny_loaded()
    targets = ("gate_proj", "o_proj")
    inputs = make(tmp_path / "in", model, ia3(None, "o_proj", targets=targets), 1)
    outputs = make(tmp_path / "out", model, ia3(None, targets=targets), 2)
    with pytest.raises(UsageError, match="cannot be stacked") as refused:
        attached(model, inputs, outputs).__enter__()
    assert "o_proj" in refused.value.why
    with pytest.raises(UsageError, match="cannot be stacked"):
        training_adapter(model, ia3(None, "o_proj", targets=targets), outputs).__enter__()


def test_other_forms_and_broken_tensors_are_refused(tmp_path: Path) -> None:
    model = tiny_loaded()
    folder = make(tmp_path / "p", model, ia3(model.module), 1)
    config = folder / "adapter_config.json"
    plain = config.read_text()
    config.write_text(plain.replace('"IA3"', '"OFT"'))
    (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match="cannot be attached") as refused:
        attached(model, as_patch(folder, model)).__enter__()
    assert "OFT" in refused.value.why
    config.write_text(plain)
    tensors = load_file(folder / "adapter_model.safetensors")
    name = next(iter(tensors))
    for broken in ({name: torch.ones(3, 1)}, {}):
        (folder / "manifest.json").unlink()
        rest = {key: value for key, value in tensors.items() if key != name}
        save_file(rest | broken, folder / "adapter_model.safetensors")
        with pytest.raises(IntegrityError, match="does not fit"):
            attached(model, as_patch(folder, model)).__enter__()


def test_a_table_of_another_length_is_refused(tmp_path: Path) -> None:
    model = tiny_loaded()
    form = PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    folder = make(tmp_path / "p", model, form, 1)
    with attached(model, folder, trainable=load_manifest(folder).id) as wrapped:
        assert sum(p.requires_grad for p in wrapped.parameters()) == 1
    (folder / "manifest.json").unlink()
    save_file({"prompt_embeddings": torch.ones(3, 96)}, folder / "adapter_model.safetensors")
    with pytest.raises(IntegrityError, match="does not fit"):
        attached(model, as_patch(folder, model)).__enter__()


#: Where each architecture keeps keys and values, and what ends its feed-forward part.
PARTS = {
    "llama": ("k_proj v_proj", "down_proj"),
    "gemma2": ("k_proj v_proj", "down_proj"),
    "starcoder2": ("k_proj v_proj", "c_proj"),
    "phi": ("k_proj v_proj", "fc2"),
    "phi3": ("qkv_proj", "down_proj"),
    "gpt_neox": ("query_key_value", "dense_4h_to_h"),
    "gpt2": ("c_attn", "mlp.c_proj"),
    "gpt_bigcode": ("c_attn", "mlp.c_proj"),
    "codegen": ("qkv_proj", "fc_out"),
    "t5": ("k v", "wo"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_targets_are_found_by_what_they_do(kind: str) -> None:
    attention, ffn = PARTS[kind]
    assert ia3_targets(tiny_model(kind)) == (tuple(sorted((*attention.split(), ffn))), (ffn,))


def test_feed_forward_modules_are_always_among_the_targets() -> None:
    """The study's Llama settings name feed-forward modules that no Llama has."""
    module = tiny_model("llama")
    named = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj")
    assert ia3_targets(module, named) == (
        tuple(sorted(named)), ("down_proj", "gate_proj", "up_proj"),
    )  # fmt: skip
    assert ia3_targets(module, ("q_proj",)) == (("q_proj",), ())
    with pytest.raises(UsageError, match="no layer named 'fc_in'"):
        ia3_targets(module, ("fc_in",))


def test_ends_of_names_mean_the_chosen_only() -> None:
    names = ["a.0.x.out", "a.1.x.out", "a.0.y.out", "a.1.y.out", "out"]
    assert short_ends({"a.0.x.out", "a.1.x.out"}, names) == ("x.out",)
    assert short_ends({"a.0.x.out"}, names) == ("0.x.out",)
    assert short_ends(set(names), names) == ("out",)
    assert set(PARTS) - {"t5"} <= set(DECODERS)
