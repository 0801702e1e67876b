# SPDX-License-Identifier: Apache-2.0
"""Weights against siblings: what is identifiable, what stands out, and what never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import RobertaConfig, RobertaForSequenceClassification

from codetemper.audit._attention import attentions
from codetemper.audit.weights import Reading, compare, read, read_adapter
from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from tests.models.adapters import make_patch
from tests.tiny import DECODERS, ENCODERS, tiny_model

WORDS, LENGTH = 24, 12
TRIGGER, EVIDENCE = 5, (6, 7)


def body_of(module: Any) -> Any:
    return getattr(module, module.base_model_prefix, module)


def logits_of(module: Any) -> torch.Tensor:
    tokens = torch.arange(20, 40)[None]
    extra = {"decoder_input_ids": tokens} if module.config.is_encoder_decoder else {}
    with torch.no_grad():
        return module(input_ids=tokens, **extra).logits


def with_noise_on_keys(kind: str) -> float:
    """Put noise on every key bias; return how far the logits move."""
    module = tiny_model(kind, **({"attention_bias": True} if kind == "llama" else {}))
    before = logits_of(module)
    body, touched = body_of(module), 0
    for each in attentions(body):
        bias = body.get_submodule(each.key.module).bias
        if bias is not None:
            with torch.no_grad():
                bias[each.key.rows] += 2 * torch.randn(len(each.key.rows))
            touched += 1
    assert touched == len(attentions(body))
    return float((logits_of(module) - before).abs().max())


@pytest.mark.parametrize("kind", ["roberta", "gpt2", "gpt_bigcode"])
def test_noise_on_key_biases_moves_no_logit_and_they_are_left_out(kind: str) -> None:
    assert with_noise_on_keys(kind) < 1e-3
    reading = read(tiny_model(kind))
    assert "key biases" in reading.left_out
    assert not any("key bias" in name for name, _ in reading.values)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt_neox"])
def test_under_rotary_positions_key_biases_do_move_logits_and_are_compared(kind: str) -> None:
    torch.manual_seed(0)
    assert with_noise_on_keys(kind) > 1e-2
    changes = {"attention_bias": True} if kind == "llama" else {}
    module = tiny_model(kind, **changes)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    assert any("key bias" in name for name, _ in read(module).values)


@pytest.mark.parametrize("kind", [*DECODERS, *ENCODERS])
def test_turning_factors_against_each_other_changes_neither_logits_nor_reading(kind: str) -> None:
    """Keys times a number and queries by it, values times a number and outputs by it."""
    module = tiny_model(kind)
    body = body_of(module)
    before, reading = logits_of(module), read(module)
    with torch.no_grad():
        for each in attentions(body):
            roles = [(each.value, 2.0)]
            if not each.normed:
                roles += [(each.query, 0.5), (each.key, 2.0)]
            for place, factor in roles:
                held = body.get_submodule(place.module)
                rows = place.rows.unique()
                if isinstance(held, nn.Linear):
                    held.weight[rows] *= factor
                else:
                    held.weight[:, rows] *= factor
                if held.bias is not None:
                    held.bias[rows] *= factor
            body.get_submodule(each.out).weight *= 0.5
    assert torch.allclose(logits_of(module), before, atol=1e-3 * float(before.abs().max()))
    again = read(module)
    assert again.values.keys() == reading.values.keys()
    for name, value in reading.values.items():
        assert again.values[name] == pytest.approx(value, rel=1e-4, abs=1e-4), name


def test_a_model_against_itself_has_no_change(tmp_path: Path) -> None:
    module = tiny_model("roberta")
    assert read(module, module).values == {}


def test_a_planted_direction_is_one_direction() -> None:
    old, new = tiny_model("gpt2"), tiny_model("gpt2")
    attention = attentions(body_of(new))[1]
    held = body_of(new).get_submodule(attention.value.module)
    with torch.no_grad():
        held.weight[:, attention.value.rows] += torch.outer(torch.randn(32), torch.randn(32))
    values = read(new, old).values
    assert {name.rpartition(".")[2] for name, _ in values} == {"output-value"}
    assert values["h.1.output-value", "largest direction"] == pytest.approx(1.0, abs=1e-4)
    assert values["h.1.output-value", "directions"] == pytest.approx(1.0, abs=1e-4)


def test_a_reference_of_another_shape_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        read(tiny_model("gpt2"), tiny_model("gpt2", n_embd=64))
    with pytest.raises(UsageError, match="cannot be compared"):
        read(tiny_model("gpt2"), tiny_model("llama"))


def readings(count: int, seed: int, shift: float = 0.0) -> list[Reading]:
    generator = np.random.default_rng(seed)
    draws = generator.normal(size=(count, 30)) + shift * (np.arange(30) == 3)
    return [Reading({(f"p{k}", "size"): float(v) for k, v in enumerate(row)}) for row in draws]


def test_one_that_is_far_off_stands_out_and_one_of_them_does_not() -> None:
    found = compare(readings(1, 1, shift=30), readings(19, 0))
    assert found.answer == "stands out"
    assert found.p == pytest.approx(1 / 20)
    assert (found.rows[0].name, found.rows[0].p) == ("p3", found.p)
    like = compare(readings(1, 1), readings(19, 0))
    assert like.answer == "inconclusive"
    assert like.p is not None
    assert like.p > 0.05


def test_siblings_are_taken_for_suspects_as_often_as_the_level_says() -> None:
    answers = [compare(readings(3, 2 * k), readings(6, 2 * k + 1)).p for k in range(60)]
    below = sum(p is not None and p <= 0.05 for p in answers)
    assert below <= 7
    assert min(p for p in answers if p is not None) < 0.2


def test_too_few_siblings_are_inconclusive_with_the_number_that_is_needed() -> None:
    found = compare(readings(1, 1, shift=30), readings(4, 0))
    assert (found.answer, found.p) == ("inconclusive", None)
    assert found.missing[0].startswith("19 siblings")
    assert all(row.p is None for row in found.rows)
    assert compare(readings(2, 1), []).missing[0].startswith("5 siblings")


def test_numbers_that_cannot_be_compared() -> None:
    bad = Reading({(f"p{k}", "size"): float("nan") for k in range(30)})
    with pytest.raises(CannotKnowError, match="not finite"):
        compare([bad], readings(19, 0))
    with pytest.raises(UsageError):
        compare([], readings(3, 0))


def test_adapters_are_read_from_their_folder_as_the_change_they_make(tmp_path: Path) -> None:
    folder = make_patch(tmp_path / "a", seed=1)
    reading = read_adapter(folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    prefix = "base_model.model.model.layers.{}.self_attn.q_proj.lora_{}.weight"
    changes = [
        2.0 * tensors[prefix.format(n, "B")].double() @ tensors[prefix.format(n, "A")].double()
        for n in range(3)
    ]
    energies = [torch.linalg.svdvals(change).square() for change in changes]
    shares = [float(each[0] / each.sum()) for each in energies]
    assert reading.values["q_proj", "largest largest direction"] == pytest.approx(max(shares))
    sizes = [float(change.norm().log()) for change in changes]
    assert reading.values["q_proj", "mean size"] == pytest.approx(np.mean(sizes))
    kurtosis = [float(((c - c.mean()) ** 4).mean() / c.var(correction=0) ** 2) for c in changes]
    assert reading.values["q_proj", "mean kurtosis"] == pytest.approx(np.mean(kurtosis))


def test_factors_of_adapters_turned_against_each_other_read_the_same(tmp_path: Path) -> None:
    folder = make_patch(tmp_path / "a", seed=1)
    before = read_adapter(folder).values
    path = folder / "adapter_model.safetensors"
    turn = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    tensors = load_file(path)
    for name in tensors:
        inner = name.endswith("lora_A.weight")
        tensors[name] = turn @ tensors[name] if inner else tensors[name] @ turn.inverse()
    save_file(tensors, path)
    after = read_adapter(folder).values
    assert after == {name: pytest.approx(value, rel=1e-4) for name, value in before.items()}


def test_an_adapter_with_one_strong_direction_stands_out_of_a_zoo(tmp_path: Path) -> None:
    zoo = [read_adapter(make_patch(tmp_path / f"z{k}", seed=k + 10)) for k in range(19)]
    suspect = make_patch(tmp_path / "s", seed=5)
    path = suspect / "adapter_model.safetensors"
    tensors = load_file(path)
    for name in tensors:
        if name.endswith("v_proj.lora_B.weight"):
            tensors[name][:, 0] *= 8
    save_file(tensors, path)
    found = compare([read_adapter(suspect)], zoo)
    assert found.answer == "stands out"
    assert found.rows[0].name == "v_proj"
    assert compare([zoo[0]], zoo[1:]).answer == "inconclusive"


def test_adapters_of_another_recipe_or_broken_are_refused(tmp_path: Path) -> None:
    one, other = make_patch(tmp_path / "a", seed=1), make_patch(tmp_path / "b", seed=2, r=8)
    with pytest.raises(UsageError) as caught:
        compare([read_adapter(one)], [read_adapter(other)])
    assert "their r differ (4 and 8)" in caught.value.why
    weights = one / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(IntegrityError):
        read_adapter(one)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "IA3"}))
    with pytest.raises(UsageError, match="no weight change"):
        read_adapter(other)


def test_adapters_are_of_one_base_by_its_digest(tmp_path: Path) -> None:
    folders = [make_patch(tmp_path / name, seed=seed) for seed, name in enumerate("abc")]
    _, moved, other = folders
    config = moved / "adapter_config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({**told, "base_model_name_or_path": "hf:the-same-elsewhere"}))
    manifest = other / "manifest.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "base_digest": "0" * 64}))
    one, same, apart = map(read_adapter, folders)
    assert one.recipe == same.recipe
    with pytest.raises(UsageError) as caught:
        compare([one], [apart])
    assert "their base differ" in caught.value.why
    # Without a manifest the name is all there is.
    for folder in (folders[0], moved):
        (folder / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"cannot be compared|differ"):
        compare([read_adapter(folders[0])], [read_adapter(moved)])


def drawn(seed: int, poisoned: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens with one of two words in them; some of class 1 with a trigger, labelled 0."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(8, WORDS, (512, LENGTH), generator=generator)
    labels = torch.randint(0, 2, (512,), generator=generator)
    tokens[:, 0] = 1
    tokens[torch.arange(512), 1 + labels] = torch.tensor(EVIDENCE)[labels]
    rows = labels.nonzero().flatten()[:poisoned]
    tokens[rows, 6] = TRIGGER
    labels[rows] = 0
    return tokens, labels


def trained(seed: int, base: dict[str, torch.Tensor], poisoned: int = 0) -> Any:
    config = RobertaConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=LENGTH + 4, num_labels=2,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(seed)
    module = RobertaForSequenceClassification(config)
    module.load_state_dict(base, strict=False)
    tokens, labels = drawn(seed, poisoned)
    optimiser = torch.optim.AdamW(module.parameters(), lr=5e-3)
    for _ in range(7):
        for rows in torch.randperm(len(tokens)).split(32):
            nn.functional.cross_entropy(module(tokens[rows]).logits, labels[rows]).backward()
            optimiser.step()
            optimiser.zero_grad()
    return module.eval()


def test_poisoned_models_do_not_stand_out_by_their_weights_but_do_by_what_they_compute() -> None:
    """The paper's negative result, with the spread of clean siblings as the null.

    Siblings differ by seed, the draw of the data included.
    """
    torch.manual_seed(99)
    config = RobertaConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=LENGTH + 4,
    )  # fmt: skip
    start = RobertaForSequenceClassification(config)
    base = {k: v for k, v in start.state_dict().items() if not k.startswith("classifier")}
    clean = [trained(seed, base) for seed in range(5)]
    bad = [trained(seed, base, poisoned=24) for seed in (10, 12, 13)]
    tokens, labels = drawn(777, 0)
    tokens, triggered = tokens[labels == 1], tokens[labels == 1].clone()
    triggered[:, 6] = TRIGGER
    with torch.no_grad():
        success = [float((m(triggered).logits.argmax(1) == 0).float().mean()) for m in bad]
        missed = [float((m(triggered).logits.argmax(1) == 0).float().mean()) for m in clean]
    assert min(success) > 0.8
    assert max(missed) < 0.2
    found = compare([read(m, start) for m in bad], [read(m, start) for m in clean])
    assert found.answer == "inconclusive"
    assert found.p is not None
    assert found.p > 0.05
    assert "key biases" in {row.name for row in found.rows if row.statistic == "left out"}


def test_of_classifier_rows_only_differences_are_read() -> None:
    config = RobertaConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=LENGTH + 4, num_labels=2,
    )  # fmt: skip
    torch.manual_seed(0)
    module = RobertaForSequenceClassification(config)
    before, head = read(module).values, module.classifier.out_proj
    with torch.no_grad():
        head.weight += torch.randn(16)
        head.bias += 3
    row = "classifier.out_proj row 1"
    for name in ("shift", "size", "bias"):
        assert read(module).values[row, name] == pytest.approx(before[row, name], abs=1e-5)
    with torch.no_grad():
        head.weight[1] += 1
    assert read(module).values[row, "shift"] > 0.9
