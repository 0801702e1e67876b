# SPDX-License-Identifier: Apache-2.0
"""Attaching: exact return whatever happens inside, sums of patches, and each peft trap closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from codetemper.core.errors import IntegrityError, UsageError
from codetemper.models.attach import attached, save_trained, training_adapter
from codetemper.models.loaded import LoadedModel
from codetemper.models.patch import load_manifest, weights_digest
from tests.models.adapters import lora, make_patch, tiny_loaded
from tests.tiny import tiny_model

TOKENS = torch.tensor([[5, 9, 11, 40, 7]])


@pytest.fixture
def model() -> LoadedModel:
    return tiny_loaded()


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("patches")
    return {
        "one": make_patch(root / "one", seed=1),
        "two": make_patch(root / "two", seed=2, verb="refine", r=2),
        "guard": make_patch(
            root / "guard", seed=3, verb="guard", purpose="train-only", lora_dropout=0.5
        ),
    }


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        return module(input_ids=TOKENS).logits


def state(module: Any) -> dict[str, Any]:
    """Everything that must be the same afterwards, bit for bit."""
    return {
        "types": [(name, type(part)) for name, part in module.named_modules()],
        "modes": [part.training for part in module.modules()],
        "gradients": [(n, p.requires_grad, p.grad) for n, p in module.named_parameters()],
        "identity": [(n, id(p), p.data_ptr()) for n, p in module.named_parameters()],
        "attributes": [sorted(part.__dict__) for part in module.modules()],
        "hooks": [len(part._forward_hooks) for part in module.modules()],
        "config": module.config.to_dict(),
        "digest": weights_digest(module),
        "order": list(module.state_dict()),
        "logits": logits(module).tolist(),
    }


class BoomError(Exception):
    pass


def test_a_patch_changes_the_model_inside_and_nothing_outside(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    before = state(model.module)
    with attached(model, patches["one"]):
        assert not torch.allclose(logits(model.module), torch.tensor(before["logits"]), atol=0.1)
        assert not any(p.requires_grad for p in model.module.parameters())
        assert not model.module.training
    assert state(model.module) == before


@pytest.mark.parametrize("error", [BoomError, KeyboardInterrupt, MemoryError, GeneratorExit])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_comes_back_after_an_exception(
    model: LoadedModel, patches: dict[str, Path], error: type[BaseException], training: bool
) -> None:
    model.module.train(training)
    next(model.module.parameters()).requires_grad_(training)
    before = state(model.module)
    with pytest.raises(error), attached(model, patches["one"], patches["two"]):  # noqa: PT012
        logits(model.module)
        raise error
    assert state(model.module) == before


def test_training_leaves_nothing_behind(model: LoadedModel, patches: dict[str, Path]) -> None:
    before = state(model.module)
    with (  # noqa: PT012
        pytest.raises(BoomError),
        training_adapter(model, lora(), patches["one"]) as wrapped,
    ):
        wrapped.train()
        wrapped.enable_input_require_grads()
        model.module.config.use_cache = False
        model.module.forward = lambda *args, **kwargs: None
        optimiser = torch.optim.SGD(wrapped.parameters(), lr=0.1)
        del model.module.__dict__["forward"]
        wrapped(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimiser.step()
        model.module.forward = lambda *args, **kwargs: None
        raise BoomError
    assert state(model.module) == before


@pytest.mark.parametrize("kind", ["gpt2", "codegen", "gemma2", "phi", "gpt_bigcode"])
def test_other_families_come_back_too(kind: str) -> None:
    model = tiny_loaded(kind)
    before = state(model.module)
    with training_adapter(model, lora(target_modules="all-linear")) as wrapped:
        with torch.no_grad():
            for parameter in wrapped.parameters():
                if parameter.requires_grad:
                    parameter.normal_()
        assert logits(model.module).tolist() != before["logits"]
    assert state(model.module) == before


def test_patches_add_up(model: LoadedModel, patches: dict[str, Path]) -> None:
    """Two attached patches equal the base with both deltas added to its weights."""
    reference = tiny_model("llama")
    with torch.no_grad():
        for name, rank in (("one", 4), ("two", 2)):
            tensors = load_file(patches[name] / "adapter_model.safetensors")
            for key in (k for k in tensors if "lora_A" in k):
                path = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                delta = tensors[key.replace("lora_A", "lora_B")] @ tensors[key] * (8 / rank)
                reference.get_submodule(path).weight += delta
    with attached(model, patches["one"], patches["two"]):
        both = logits(model.module)
    with attached(model, patches["two"], patches["one"]):
        swapped = logits(model.module)
    assert torch.allclose(both, logits(reference), atol=1e-3)
    assert torch.allclose(both, swapped, atol=1e-3)


def test_attaching_equals_plain_peft(model: LoadedModel, patches: dict[str, Path]) -> None:
    with attached(model, patches["one"]):
        ours = logits(model.module)
    theirs = PeftModel.from_pretrained(tiny_model("llama"), str(patches["one"]))
    assert torch.equal(ours, logits(theirs))


def test_no_patches_is_a_scope_too(model: LoadedModel) -> None:
    before = state(model.module)
    with attached(model):
        assert logits(model.module).tolist() == before["logits"]
    assert state(model.module) == before


def test_writing_into_the_weights_is_found(model: LoadedModel, patches: dict[str, Path]) -> None:
    with pytest.raises(IntegrityError, match="not what they were"), attached(model, patches["one"]):
        model.module.model.norm.weight.data[0] += 1


def test_replacing_the_weights_is_undone(model: LoadedModel, patches: dict[str, Path]) -> None:
    before = state(model.module)
    with attached(model, patches["one"]):
        model.module.model.norm.weight.data = torch.zeros(32)
        model.module.model.embed_tokens = torch.nn.Embedding(320, 32)
        model.module.double()
    assert state(model.module) == before


def test_scopes_do_not_nest(model: LoadedModel, patches: dict[str, Path]) -> None:
    before = state(model.module)
    with (
        pytest.raises(UsageError, match="patches on already"),
        attached(model, patches["one"]),
        attached(model, patches["two"]),
    ):
        pass
    assert state(model.module) == before


def test_a_patch_of_another_base_is_refused(patches: dict[str, Path]) -> None:
    other = tiny_loaded("gpt2")
    with pytest.raises(UsageError, match="does not belong"), attached(other, patches["one"]):
        pass


def test_a_patch_twice_is_refused(model: LoadedModel, patches: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="twice"), attached(model, *[patches["one"]] * 2):
        pass


# The traps of peft, one test each.


def trainable(module: Any) -> set[str]:
    """Adapter names that have gradients (and 'base' for anything else that has)."""
    found = set()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            found.add(name.split(".")[-2] if "lora_" in name else "base")
    return found


def test_trap_activating_several_adapters_unfreezes_them(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    guard = load_manifest(patches["guard"]).id
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        assert set(wrapped.base_model.active_adapters) == {guard, "task"}
        assert trainable(wrapped) == {"task"}
        wrapped.set_adapter("task")
        assert wrapped.base_model.active_adapters == ["task"]
        assert trainable(wrapped) == {"task"}


def test_trap_disable_adapter_unfreezes_the_guard(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    base = logits(model.module)
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        both = logits(wrapped)
        with wrapped.disable_adapter():
            assert torch.equal(logits(wrapped), base)
        assert trainable(wrapped) == {"task"}
        assert torch.equal(logits(wrapped), both)
        with pytest.raises(BoomError), wrapped.disable_adapter():
            raise BoomError
        assert trainable(wrapped) == {"task"}
        assert torch.equal(logits(wrapped), both)


def test_trap_adding_an_adapter_changes_the_others(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        active = wrapped.base_model.active_adapters
        wrapped.add_adapter("later", lora())
        assert trainable(wrapped) == {"task"}
        assert wrapped.base_model.active_adapters == active


@pytest.mark.parametrize("merge", ["merge_and_unload", "merge_adapter"])
def test_trap_merging_bakes_the_guard_in(
    model: LoadedModel, patches: dict[str, Path], merge: str
) -> None:
    with (
        training_adapter(model, lora(), patches["guard"]) as wrapped,
        pytest.raises(UsageError, match="never merged"),
    ):
        getattr(wrapped, merge)()


@pytest.mark.parametrize("route", ["save_trained", "save_pretrained"])
def test_trap_saving_writes_the_guard_too(
    model: LoadedModel, patches: dict[str, Path], tmp_path: Path, route: str
) -> None:
    guard = load_file(patches["guard"] / "adapter_model.safetensors")
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        if route == "save_trained":
            save_trained(wrapped, tmp_path, base="hf:tiny")
        else:
            wrapped.save_pretrained(tmp_path)
    (saved,) = tmp_path.rglob("*.safetensors")
    tensors = load_file(saved)
    assert len(tensors) == 12
    assert not any(
        torch.equal(tensor, other)
        for tensor in tensors.values()
        for other in guard.values()
        if tensor.shape == other.shape and other.any()
    )


def test_trap_dropout_makes_the_guard_noise(model: LoadedModel, patches: dict[str, Path]) -> None:
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        wrapped.train()
        assert torch.equal(logits(wrapped), logits(wrapped))


def test_trap_a_trainer_that_is_given_all_parameters_moves_one_adapter_only(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    guard = load_manifest(patches["guard"]).id
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        before = {n: p.detach().clone() for n, p in wrapped.named_parameters()}
        wrapped.train()
        with wrapped.disable_adapter():
            logits(wrapped)
        optimiser = torch.optim.AdamW(wrapped.parameters(), lr=0.1, weight_decay=0.1)
        wrapped(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimiser.step()
        moved = {n for n, p in wrapped.named_parameters() if not torch.equal(p, before[n])}
        assert moved
        assert all(".task." in name for name in moved)
        assert any(guard in name for name in before)


def test_trap_evaluating_while_training_describes_the_guarded_model(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    base = logits(model.module)
    with training_adapter(model, lora(), patches["guard"]) as wrapped:
        wrapped.train()
        with wrapped.only("task"):
            # A fresh LoRA adds nothing, so without the guard this is the base.
            wrapped.eval()
            assert torch.equal(logits(wrapped), base)
        assert wrapped.training
        assert trainable(wrapped) == {"task"}
        assert not torch.equal(logits(wrapped), base)


def test_trap_a_train_only_patch_is_refused_for_inference(
    model: LoadedModel, patches: dict[str, Path]
) -> None:
    before = state(model.module)
    with pytest.raises(UsageError, match="refused for inference"):
        attached(model, patches["one"], patches["guard"]).__enter__()
    assert state(model.module) == before
    one = load_manifest(patches["one"]).id
    with attached(model, patches["one"], patches["guard"], trainable=one) as wrapped:
        assert trainable(wrapped) == {one}


@pytest.mark.parametrize("changes", [{"bias": "all"}, {"init_lora_weights": "pissa"}])
def test_trap_forms_of_lora_that_write_into_the_base(
    model: LoadedModel, changes: dict[str, Any]
) -> None:
    before = state(model.module)
    with pytest.raises(UsageError, match="weights of the base"):
        training_adapter(model, lora(**changes)).__enter__()
    assert state(model.module) == before


def test_whole_modules_do_not_stack(
    model: LoadedModel, patches: dict[str, Path], tmp_path: Path
) -> None:
    whole = make_patch(tmp_path / "whole", seed=4, modules_to_save=["lm_head"])
    with attached(model, whole):
        logits(model.module)
    with pytest.raises(UsageError, match="stacked"):
        attached(model, whole, patches["one"]).__enter__()


def test_missing_tensors_are_found(
    model: LoadedModel, patches: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load: Callable[..., dict[str, torch.Tensor]] = load_file

    def short(path: Path) -> dict[str, torch.Tensor]:
        return dict(list(load(path).items())[:-1])

    monkeypatch.setattr("codetemper.models.forms.load_file", short)
    before = state(model.module)
    with pytest.raises(IntegrityError, match="does not fit"):
        attached(model, patches["one"]).__enter__()
    assert state(model.module) == before
