# SPDX-License-Identifier: Apache-2.0
"""Gates: within one row, flagged sequences see the guard, the others see nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import nn

from codetemper.core.errors import UsageError
from codetemper.models.attach import OwnedPeftModel, training_adapter
from codetemper.models.gates import gates
from tests.models.adapters import lora, make_patch, tiny_loaded

#: Two sequences in one row, and a row of padding behind the third.
LENGTHS = ((6, 5), (8, 3))
#: The first of each row is flagged.
FLAGGED = torch.tensor([[True] * 6 + [False] * 5, [True] * 8 + [False] * 3])


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("guards")
    return [
        make_patch(root / f"g{n}", seed=n, verb="guard", purpose="train-only") for n in range(2)
    ]


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(3, 300, (2, 11), generator=generator)
    places = [[*range(a), *range(b)] for a, b in LENGTHS]
    return {"input_ids": tokens, "position_ids": torch.tensor(places)}


def names(guards: list[Path]) -> list[str]:
    from codetemper.models.patch import load_manifest

    return [load_manifest(folder).id for folder in guards]


def loss_of(wrapped: OwnedPeftModel, given: dict[str, torch.Tensor], places: Any) -> torch.Tensor:
    logits = wrapped(**given, use_cache=False).logits
    scores = (
        -logits.float().log_softmax(-1)[:, :-1].gather(2, given["input_ids"][:, 1:, None])[..., 0]
    )
    within = given["position_ids"][:, 1:] > 0
    return scores[within & places[:, 1:]].sum()


def learnt(wrapped: OwnedPeftModel) -> dict[str, torch.Tensor]:
    """Take the gradients of what is trained."""
    found = {n: p.grad.clone() for n, p in wrapped.named_parameters() if p.grad is not None}
    wrapped.zero_grad(set_to_none=True)
    return found


def apart(wrapped: OwnedPeftModel, guards: list[str]) -> tuple[float, dict[str, torch.Tensor]]:
    """Run flagged and unflagged sequences apart: guards on for those, off for these."""
    given = batch()
    first = loss_of(wrapped, given, FLAGGED)
    first.backward()
    flagged = learnt(wrapped)
    with wrapped.only("task"):
        other = loss_of(wrapped, given, ~FLAGGED)
        other.backward()
    plain = learnt(wrapped)
    return first.item() + other.item(), {name: flagged[name] + plain[name] for name in flagged}


def start(wrapped: OwnedPeftModel) -> None:
    """Have the task adapter away from zero, so that both of its matrices have gradients."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_a_gated_batch_is_its_halves_run_apart(
    checkpointing: bool, number: int, guards: list[Path]
) -> None:
    """Loss and gradients alike, also where layers are computed a second time for the gradient."""
    model, on = tiny_loaded(), guards[:number]
    with training_adapter(model, lora(target_modules="all-linear"), *on) as wrapped:
        start(wrapped)
        wrapped.train()
        if checkpointing:
            wrapped.enable_input_require_grads()
            wrapped.gradient_checkpointing_enable({"use_reentrant": False})
        expected, gradients = apart(wrapped, names(on))
        with gates(wrapped, names(on)) as gate:
            gate.set(FLAGGED)
            whole = loss_of(wrapped, batch(), torch.ones_like(FLAGGED))
            whole.backward()
        found = learnt(wrapped)
        assert whole.item() == pytest.approx(expected, rel=1e-5)
        assert found.keys() == gradients.keys()
        for name, gradient in gradients.items():
            assert torch.allclose(found[name], gradient, rtol=1e-4, atol=1e-5), name
        # The test can fail: the guard does make a difference, and so does which half it is on for.
        with gates(wrapped, names(on)) as gate:
            gate.set(~FLAGGED)
            other = loss_of(wrapped, batch(), torch.ones_like(FLAGGED))
        assert abs(other.item() - expected) > 0.1


def test_in_half_precision_a_shut_gate_is_no_guard(guards: list[Path]) -> None:
    model = tiny_loaded()
    with (
        training_adapter(model, lora(), guards[0]) as wrapped,
        torch.autocast("cpu", torch.bfloat16),
        torch.no_grad(),
    ):
        start(wrapped)
        with gates(wrapped, names(guards[:1])) as gate:
            gate.set(torch.zeros_like(FLAGGED))
            shut = wrapped(**batch()).logits
            gate.set(torch.ones_like(FLAGGED))
            opened = wrapped(**batch()).logits
            gate.set(None)
            assert torch.equal(wrapped(**batch()).logits, opened)
        with wrapped.only("task"):
            assert torch.equal(wrapped(**batch()).logits, shut)
        assert torch.equal(wrapped(**batch()).logits, opened)
        assert not torch.equal(opened, shut)


def test_the_gate_goes_with_its_scope_and_other_adapters_have_none(guards: list[Path]) -> None:
    model = tiny_loaded()
    with training_adapter(model, lora(), *guards) as wrapped:
        first, second = names(guards)
        with torch.no_grad():
            both = wrapped(**batch()).logits
            with gates(wrapped, [first]) as gate:
                gate.set(torch.zeros_like(FLAGGED))
                gated = wrapped(**batch()).logits
            with wrapped.only(second, "task"):
                assert torch.equal(wrapped(**batch()).logits, gated)
            assert torch.equal(wrapped(**batch()).logits, both)


def test_what_cannot_be_gated_is_refused(guards: list[Path]) -> None:
    model = tiny_loaded()
    with training_adapter(model, LoraConfig(r=2, target_modules=["q_proj"])) as wrapped:
        with (
            pytest.raises(UsageError, match="'guard' cannot be switched"),
            gates(wrapped, ["guard"]),
        ):
            pass
        with gates(wrapped, ["task"]) as gate:
            gate.set(torch.ones(3, 4, dtype=torch.bool))
            with pytest.raises(UsageError, match="cannot be on for some tokens only"):
                wrapped(**batch())


def test_rows_that_a_layer_flattens_are_gated_too() -> None:
    """Some architectures hand their linear layers [rows * width, features]."""
    model = tiny_loaded()
    with training_adapter(model, lora()) as wrapped, gates(wrapped, ["task"]) as gate:
        start(wrapped)
        layer: Any = next(p for n, p in wrapped.named_modules() if n.endswith("q_proj"))
        assert isinstance(layer, nn.Module)
        hidden = torch.randn(2, 11, 32)
        gate.set(FLAGGED)
        assert torch.equal(layer(hidden).reshape(22, -1), layer(hidden.reshape(22, -1)))
