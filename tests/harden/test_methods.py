# SPDX-License-Identifier: Apache-2.0
"""The methods of tuning: each learns, knows its base, saves, and leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn

from codetemper.core.errors import CannotKnowError, IntegrityError, UsageError
from codetemper.harden._methods import METHODS, trainable
from codetemper.harden._quantised import on_host
from codetemper.models.attach import attached
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import verify_patch, weights_digest
from tests.models.adapters import as_patch, make_patch, tiny_loaded
from tests.models.test_attach import state
from tests.tiny import tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7], [3, 4, 8, 9, 6]])
PLAIN = [name for name in METHODS if name != "qlora"]
#: Numbers trained on the tiny Llama: 3 layers of width 32, keys and values 16, inner width 56.
SIZES = {"ia3": 3 * (16 + 16 + 56), "prompt": 5 * 32, "prefix": 5 * 3 * 2 * 16}


@dataclass(frozen=True)
class Settings:
    method: Any
    rank: int = 4
    alpha: int = 8
    dropout: float = 0.0
    target_modules: Any = "all-linear"
    virtual_tokens: int = 5


def logits(module: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return module(input_ids=TOKENS).logits


def learn(module: nn.Module, rate: float, steps: int = 3) -> list[float]:
    chosen = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(chosen, lr=rate)
    losses = []
    module.train()
    for _ in range(steps):
        loss = module(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    module.eval()
    return losses


@pytest.mark.parametrize("method", PLAIN)
@pytest.mark.parametrize("kind", ["llama", "gpt_neox"])
def test_a_method_learns_saves_and_leaves_no_trace(kind: str, method: Any, tmp_path: Path) -> None:
    model = tiny_loaded(kind)
    before = state(model.module)
    base = logits(model.module)
    with trainable(model, Settings(method)) as training:
        module = training.module
        losses = learn(module, 0.05 if method == "full" else 0.5)
        with training.as_base():
            assert torch.equal(logits(module), base)
            assert not module(input_ids=TOKENS).logits.requires_grad
        tuned = logits(module)
        if kind == "llama" and method in SIZES:
            assert training.parameters == SIZES[method]
        training.save(tmp_path)
    assert losses[-1] < losses[0]
    assert not torch.allclose(tuned, base, atol=1e-3)
    assert state(model.module) == before
    assert as_patch(tmp_path, model) == tmp_path
    assert verify_patch(tmp_path).kind == METHODS[method].patch
    with attached(model, tmp_path):
        assert torch.equal(logits(model.module), tuned)
    stranger, skipped = tiny_model(kind), 5 if method == "prompt" else 0
    if method == "full":
        stranger.load_state_dict(load_file(tmp_path / "rows.safetensors"), strict=False)
    else:
        stranger = PeftModel.from_pretrained(stranger, str(tmp_path)).eval()
    assert torch.allclose(logits(stranger)[:, skipped:], tuned, atol=1e-5)


@pytest.mark.parametrize("method", PLAIN)
def test_the_base_comes_back_after_an_exception(method: Any) -> None:
    model = tiny_loaded()
    before = state(model.module)
    with pytest.raises(KeyboardInterrupt), trainable(model, Settings(method)) as training:  # noqa: PT012
        learn(training.module, 0.5, steps=1)
        raise KeyboardInterrupt
    assert state(model.module) == before


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_start_from_words_by_the_seed(method: Any) -> None:
    model = tiny_loaded()
    starts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with trainable(model, Settings(method)) as training:
            chosen = [p for p in training.module.parameters() if p.requires_grad]
            starts.append(chosen[0].detach().clone())
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    if method == "prompt":
        words = model.module.get_input_embeddings().weight
        assert all((row == words).all(1).any() for row in starts[0])


def test_full_tuning_writes_what_changed_only(tmp_path: Path) -> None:
    model = tiny_loaded()
    with trainable(model, Settings("full")) as training:
        with torch.no_grad():
            model.module.model.norm.weight += 1
        training.save(tmp_path)
    assert as_patch(tmp_path, model)
    assert verify_patch(tmp_path).parameters_changed == 32
    with (
        trainable(model, Settings("full")) as training,
        pytest.raises(UsageError, match="nothing to save"),
    ):
        training.save(tmp_path)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("carries", [False, True])
def test_a_guard_is_active_frozen_and_absent_from_what_is_saved(
    carries: bool, method: Any, tmp_path: Path
) -> None:
    """With and without a patch under it, on which the guard and what is trained go."""
    model = tiny_loaded()
    under = [make_patch(tmp_path / "under", seed=2)] if carries else []
    guard = make_patch(tmp_path / "guard", seed=3, verb="guard", purpose="train-only")
    with attached(model, *under):
        base = logits(model.module)
    before = state(model.module)
    with trainable(model, Settings(method), *under, guard) as training:
        module = training.module
        guarded = logits(module)
        assert not torch.allclose(guarded, base, atol=1e-3)
        held = {n: p.clone() for n, p in module.named_parameters() if not p.requires_grad}
        assert {n.split(".")[-2] for n in held if "lora_" in n} >= {verify_patch(guard).id}
        learn(module, 1e-3 if method == "full" else 0.1)
        for _ in range(2):
            with training.as_base():
                assert torch.allclose(logits(module), base, atol=1e-5)
                with training.guarded():
                    assert not torch.allclose(logits(module), base, atol=1e-3)
            with training.unguarded():
                shipped = logits(module)
                with training.as_base():
                    assert torch.allclose(logits(module), base, atol=1e-5)
                with training.guarded():
                    assert not torch.allclose(logits(module), shipped, atol=1e-3)
                assert torch.equal(logits(module), shipped)
        assert not torch.allclose(shipped, base, atol=1e-4)
        assert all(torch.equal(p, held[n]) for n, p in module.named_parameters() if n in held)
        assert all(p.requires_grad != (n in held) for n, p in module.named_parameters())
        if method == "full":
            with pytest.raises(UsageError, match="frozen adapters are not saved"):
                module.save_pretrained(str(tmp_path / "trap"))
        (tmp_path / "new").mkdir()
        training.save(tmp_path / "new")
    assert state(model.module) == before
    with attached(model, *under, as_patch(tmp_path / "new", model)):
        assert torch.allclose(logits(model.module), shipped, atol=1e-5)
    names = load_file(next((tmp_path / "new").glob("*.safetensors")))
    assert not any("guard" in name or "base_layer" in name for name in names)


def test_methods_that_do_not_add_take_no_guard(tmp_path: Path) -> None:
    model = tiny_loaded()
    guard = make_patch(tmp_path / "guard", seed=3, verb="guard", purpose="train-only")
    for method in ("ia3", "prefix"):
        with pytest.raises(UsageError, match="cannot be stacked"):
            trainable(model, Settings(method), guard).__enter__()


def test_layers_are_chosen_by_name_or_refused() -> None:
    model = tiny_loaded()
    for method in ("lora", "ia3"):
        with trainable(model, Settings(method, target_modules=("q_proj",))) as training:
            names = [n for n, p in training.module.named_parameters() if p.requires_grad]
            assert names
            assert all("q_proj" in name for name in names)
        with pytest.raises(UsageError, match="no layer named 'c_attn'"):
            trainable(model, Settings(method, target_modules=("c_attn",))).__enter__()
    with pytest.raises(UsageError, match="no adapter for the method 'dance'"):
        trainable(model, Settings("dance")).__enter__()


def test_writing_into_frozen_weights_is_found() -> None:
    model = tiny_loaded()
    with (
        pytest.raises(IntegrityError, match="not what they were"),
        trainable(model, Settings("ia3")),
    ):
        model.module.model.norm.weight.data[0] += 1


def quantiser(narrow: Any) -> ModuleType:
    """A stand-in for bitsandbytes: numbers of few digits, in the same classes."""

    class Params4bit(nn.Parameter):
        def __new__(cls, data: torch.Tensor, requires_grad: bool, **settings: Any) -> Any:
            assert settings == {"compress_statistics": True, "quant_type": "nf4"}
            return torch.Tensor._make_subclass(cls, narrow(data.clone()), requires_grad)

    class Linear4bit(nn.Linear):
        def __init__(self, *shape: Any, compute_dtype: Any, quant_type: str, **rest: Any) -> None:
            assert (compute_dtype, quant_type) == (torch.float32, "nf4")
            assert rest.pop("compress_statistics")
            super().__init__(*shape, **rest)

    library = ModuleType("bitsandbytes")
    library.nn = SimpleNamespace(Params4bit=Params4bit, Linear4bit=Linear4bit)  # type: ignore[attr-defined]
    library.functional = SimpleNamespace(  # type: ignore[attr-defined]
        quantize_4bit=lambda weight, quant_type: (narrow(weight), None),
        dequantize_4bit=lambda weight, state: weight,
    )
    return library


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_qlora_trains_on_a_base_in_few_digits_and_gives_the_full_one_back(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = quantiser(lambda data: (data * 8).round() / 8)
    monkeypatch.setattr("codetemper.harden._quantised.import_module", lambda name: library)
    model = tiny_loaded(kind)
    before, base = state(model.module), logits(model.module)
    head = model.module.lm_head
    with trainable(model, Settings("qlora")) as training:
        module = training.module
        narrow = [part for part in module.modules() if type(part).__name__ == "Linear4bit"]
        assert len(narrow) == {"llama": 3 * 7, "gpt2": 3 * 4}[kind]
        assert head in list(module.modules())
        with training.as_base():
            rough = logits(module)
        assert 1e-3 < (rough - base).abs().max() < 2
        losses = learn(module, 0.5)
        training.save(tmp_path)
    assert losses[-1] < losses[0]
    assert state(model.module) == before
    with attached(model, as_patch(tmp_path, model)):
        assert not torch.equal(logits(model.module), base)


def test_numbers_wait_on_the_host_and_come_back() -> None:
    weight = torch.randn(7, 5)
    other, kept = weight.data, weight.clone()
    with pytest.raises(KeyboardInterrupt), on_host(weight):  # noqa: PT012
        assert weight.untyped_storage().nbytes() == 0
        raise KeyboardInterrupt
    assert torch.equal(weight, kept)
    assert torch.equal(other, kept)


def test_qlora_is_refused_where_bitsandbytes_does_not_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_loaded()

    def broken(data: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel")

    def missing(name: str) -> ModuleType:
        raise ImportError(f"No module named '{name}'")

    for load, why in (
        (missing, "No module named 'bitsandbytes'"),
        (lambda name: quantiser(broken), "no kernel"),
        (lambda name: quantiser(lambda data: data + 1), "wrong numbers"),
    ):
        monkeypatch.setattr("codetemper.harden._quantised.import_module", load)
        with pytest.raises(CannotKnowError, match="qlora cannot run here") as refused:
            trainable(model, Settings("qlora")).__enter__()
        assert why in refused.value.why
        assert "method=lora" in refused.value.mend
        assert weights_digest(model.module) == model.digest


def test_a_model_in_few_digits_is_not_tuned_as_a_whole() -> None:
    model = tiny_loaded()
    weight = nn.Parameter(torch.zeros(2, dtype=torch.uint8), requires_grad=False)
    model.module.register_parameter("quantised", weight)
    changed: LoadedModel = replace(model, digest=weights_digest(model.module))
    with pytest.raises(UsageError, match="cannot be trained as a whole"):
        trainable(changed, Settings("full")).__enter__()
