# SPDX-License-Identifier: Apache-2.0
"""Training in turns: which step learns what, the pull of the anchor, and kills in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

from codetemper.core.errors import UsageError
from codetemper.core.records import Event
from codetemper.data.examples import Example
from codetemper.harden import _trainer
from codetemper.harden._batches import Packer
from codetemper.harden._turns import Anchor, Turns, order
from codetemper.harden.tune import Config, TuneResult, tune
from tests.harden.material import FAST, PAIRS, killed, loaded, pair
from tests.tiny import tiny_tokenizer

TENSORS = "adapter_model.safetensors"
SECURE = tuple(pair(n, f"    return sorted([a, b, {n}])\n") for n in range(100, 106))


def in_turns(*steps: int, rho: float = 1.0) -> Turns:
    aligned, own = steps
    return Turns(SECURE, (aligned, own), rho)


def tuned(folder: Path, turns: Turns | None, config: Config = FAST, **more: Any) -> TuneResult:
    folder.mkdir()
    return tune(loaded(), PAIRS, config, folder, turns=turns, **more)


def test_turns_go_round() -> None:
    turns = in_turns(2, 3)
    aligned = "".join("SD"[not turns.aligns(step)] for step in range(12))
    assert aligned == "SSDDDSSDDDSS"
    assert [step for step in range(12) if turns.switches(step)] == [0, 2, 5, 7, 10]
    assert [turns.beside(steps) for steps in (1, 3, 4, 12)] == [2, 2, 4, 8]
    alone = in_turns(0, 3)
    assert [step for step in range(12) if alone.switches(step)] == [0]
    assert not any(alone.aligns(step) for step in range(12))
    assert alone.beside(12) == 0


def test_each_kind_goes_on_where_its_last_turn_ended() -> None:
    numbers = order(in_turns(2, 3), own=7, secure=4, steps=10, size=3, seed=5)
    assert len(numbers) == 30
    steps = [numbers[3 * step : 3 * step + 3] for step in range(10)]
    secure = [n for step in (0, 1, 5, 6) for n in steps[step]]
    own = [n for step in (2, 3, 4, 7, 8, 9) for n in steps[step]]
    for kind, every in ((secure, {7, 8, 9, 10}), (own, set(range(7)))):
        passes = [kind[n : n + len(every)] for n in range(0, len(kind), len(every))]
        assert [set(one) for one in passes[:-1]] == [every] * (len(passes) - 1)
        assert set(passes[-1]) <= every
        assert passes[0] != passes[1]
    assert numbers == order(in_turns(2, 3), own=7, secure=4, steps=10, size=3, seed=5)


def test_the_pull_is_the_gradient_of_the_proximal_term() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2).double()
    inputs, turns = torch.randn(4, 3).double(), in_turns(2, 3, rho=0.7)
    anchor = Anchor(dict(layer.named_parameters()), turns)
    state = TrainerState()
    held: list[torch.Tensor] = []
    for step in range(8):
        state.global_step = step
        if step in (0, 2, 5, 7):
            held = [p.detach().clone() for p in layer.parameters()]
        anchor.on_step_begin(None, state, TrainerControl())
        loss = layer(inputs).square().mean()
        own = list(layer.parameters())
        near = sum((p - at).square().sum() for p, at in zip(own, held, strict=True))
        wanted = torch.autograd.grad(loss + turns.rho / 2 * near, own, retain_graph=True)
        loss.backward()
        anchor.pull()
        for parameter, gradient in zip(own, wanted, strict=True):
            assert parameter.grad is not None
            assert torch.allclose(parameter.grad, gradient, rtol=1e-12, atol=1e-14)
            parameter.data -= 0.5 * parameter.grad
            parameter.grad = None


def test_without_secure_steps_and_pull_it_is_plain_tuning(tmp_path: Path) -> None:
    plain = tuned(tmp_path / "plain", None)
    empty = tuned(tmp_path / "empty", in_turns(0, 3, rho=0.0))
    assert empty.losses == plain.losses
    one, other = (tmp_path / name / TENSORS for name in ("plain", "empty"))
    assert one.read_bytes() == other.read_bytes()


def test_a_trainer_takes_turns_and_learns_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds: list[set[str]] = []
    away: list[float] = []

    class Noted(Packer):
        def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
            texts = [tiny_tokenizer().decode(e.fixed.ids) for e in examples if e.fixed is not None]
            kinds.append({"SD"["sorted" not in text] for text in texts})
            return super().__call__(examples)

    class Measured(Anchor):
        def pull(self) -> None:
            pairs = [(p, self._weights[name]) for name, p in self._trained.items()]
            away.append(sum(float((p.detach() - at).norm()) for p, at in pairs))
            super().pull()

    monkeypatch.setattr(_trainer, "Packer", Noted)
    monkeypatch.setattr(_trainer, "Anchor", Measured)
    turns = in_turns(2, 3, rho=0.1)
    # While the rate rises, the first step goes nowhere.
    config = FAST.model_copy(update={"warmup_ratio": 0.0})
    result = tuned(tmp_path / "turns", turns, config)
    assert (result.steps, result.examples) == (20, 8)
    assert kinds == [{"S" if turns.aligns(step) else "D"} for step in range(20)]
    assert [gone == 0.0 for gone in away] == [turns.switches(step) for step in range(20)]
    losses = dict(result.losses)
    assert losses[17] < losses[1] - 0.5
    assert losses[20] < losses[3] - 0.5


def test_a_hard_pull_keeps_the_weights_near_the_anchor(tmp_path: Path) -> None:
    """Half of a low-rank adapter starts at 0, and its norm is how far it went from there."""
    gone = {}
    for rho in (0.0, 100.0):
        tuned(tmp_path / str(rho), in_turns(0, 3, rho=rho))
        tensors = load_file(tmp_path / str(rho) / TENSORS)
        gone[rho] = sum(float(t.norm()) for name, t in tensors.items() if "lora_B" in name)
    assert gone[100.0] < 0.5 * gone[0.0]


def test_accumulated_batches_get_one_pull(tmp_path: Path) -> None:
    turns, few = in_turns(1, 2, rho=5.0), FAST.model_copy(update={"epochs": 3.0})
    tuned(tmp_path / "one", turns, few.model_copy(update={"batch_size": 8}))
    cut = {"batch_size": 2, "gradient_accumulation": 4}
    tuned(tmp_path / "cut", turns, few.model_copy(update=cut))
    one, other = (load_file(tmp_path / name / TENSORS) for name in ("one", "cut"))
    assert all(torch.allclose(tensor, other[name], atol=2e-4) for name, tensor in one.items())


def train(folder: Path, method: str, checkpoints: Path, kill_at: int | None = None) -> TuneResult:
    def on_event(event: Event) -> None:
        if event.done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    rate = 1e-3 if method == "full" else 1e-2
    config = FAST.model_copy(update={"method": method, "learning_rate": rate, "epochs": 4.0})
    return tuned(folder, in_turns(2, 3), config, checkpoints=checkpoints, checkpoint_seconds=0.0,
                 on_event=on_event)  # fmt: skip


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_that_is_killed_within_a_turn_ends_in_the_same_bytes(
    method: str, tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", method, tmp_path / "a")
    newest = killed(train, tmp_path / "b", tmp_path / "killed", method, tmp_path / "b", 10)
    # Two steps after the turn began.
    assert newest.name == "checkpoint-9"
    again = train(tmp_path / "again", method, tmp_path / "b")
    assert again.losses == whole.losses
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in files:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    "bad", [{"lisa_steps": (0, 5)}, {"lisa_steps": (5, 0)}, {"lisa_steps": (5,)},
            {"lisa_rho": -1.0}, {"lisa_rho": float("nan")}, {"lisa_rho": float("inf")}],
    ids=str,
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        Config(**bad)


def test_secure_samples_that_cannot_be_learnt_are_refused(tmp_path: Path) -> None:
    held = tuple(one.model_copy(update={"split": "test"}) for one in SECURE)
    bodiless = (pair(1, ""),)
    for secure in ((), held, bodiless):
        with pytest.raises(UsageError, match="nothing secure to take turns with"):
            tuned(tmp_path / str(len(secure)), Turns(secure, (2, 3), 1.0))
