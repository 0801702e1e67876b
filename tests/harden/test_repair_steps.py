# SPDX-License-Identifier: Apache-2.0
"""STAR and SGD: the identity of its step, the defects of public code, and failures put right."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from codetemper.core.errors import UsageError
from codetemper.harden.repair import descent, sgd, star
from codetemper.harden.repair.failures import Passage
from tests.harden.repairing import WRONG, planted, same, state, task_of, tiny_engine

METHODS = {"star": star, "sgd": sgd}


def test_a_step_moves_the_write_by_the_steer_against_the_slope() -> None:
    generator = torch.Generator().manual_seed(1)
    key = torch.randn(1, 40, generator=generator, dtype=torch.float64)
    steer, slope = torch.randn(2, 12, generator=generator, dtype=torch.float64)
    factors = star.prior(key, steer[None])
    change = star.stride(*factors, torch.outer(slope, key[0]), 0.01)
    torch.testing.assert_close(change @ key[0], -0.01 * steer.abs() * slope.sign())


def test_the_prior_is_the_least_change_that_writes_the_steers() -> None:
    generator = torch.Generator().manual_seed(2)
    keys = torch.randn(5, 40, generator=generator, dtype=torch.float64)
    wanted = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    left, right = star.prior(keys, wanted)
    least = torch.linalg.lstsq(keys, wanted, driver="gelsd").solution.T
    torch.testing.assert_close(left @ right, least)
    torch.testing.assert_close(keys @ (left @ right).T, wanted)


def test_what_is_right_already_moves_nothing() -> None:
    engine = tiny_engine()
    (passage,) = planted(engine, rank=0)
    edit = star.solve(engine, task_of(engine, [passage]))
    assert edit.solved
    assert all(not bool(delta.dense().any()) for delta in edit.deltas.values())


def test_steers_of_right_tokens_are_zero_and_others_have_unit_quartile_range() -> None:
    engine = tiny_engine()
    task = task_of(engine, planted(engine, 2), method="star")
    seen = engine.observe(task.passages)
    found = star.steers(engine, task.semantic, seen)
    assert not found[~seen.wrong].any()
    quartiles = torch.quantile(found[seen.wrong], torch.tensor([0.25, 0.75]), dim=1)
    torch.testing.assert_close(quartiles[1] - quartiles[0], torch.ones(2))
    # The steer raises the wanted token over the predicted one more than any other token.
    scores = found[seen.wrong] @ (engine.head_weight * engine.gain).T
    assert torch.equal(scores.argmax(1), seen.wanted[seen.wrong])


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("settings", [
    {"method": "star", "step": 0.02},
    {"method": "sgd", "step": 0.1},
], ids=["star", "sgd"])  # fmt: skip
def test_a_planted_failure_is_put_right(kind: str, settings: dict[str, Any]) -> None:
    engine = tiny_engine(kind)
    task = task_of(engine, planted(engine), **settings)
    before = state(engine)
    edit = METHODS[task.config.method].solve(engine, task)
    assert same(before, state(engine))
    (gaps,), (now,) = edit.gaps_before.values(), edit.gaps_after.values()
    assert [n for n, gap in enumerate(gaps) if gap > 0] == [WRONG]
    assert edit.solved
    assert max(now) < 0
    assert edit.layers == (0, 1, 2)
    assert (edit.rounds[0].active, edit.rounds[0].gaps) == (1, pytest.approx((gaps[WRONG],)))
    with engine.drafting() as draft:
        for layer, delta in edit.deltas.items():
            draft.put(layer, delta)
        assert engine.observe(task.passages).gaps == (now,)


@pytest.mark.parametrize("method", ["star", "sgd"])
def test_tokens_are_put_right_one_by_one(method: str) -> None:
    engine = tiny_engine()
    passages = planted(engine)
    step = {"star": 0.02, "sgd": 0.1}[method]
    task = task_of(engine, passages, method=method, step=step, iterative=True)
    edit = METHODS[method].solve(engine, task)
    assert edit.rounds
    assert all(each.active == 1 for each in edit.rounds)
    assert all(each.gaps[0] > 0 > each.achieved[0] for each in edit.rounds)


def test_two_solves_are_one_and_leave_dropout_off() -> None:
    engine = tiny_engine("gpt2", resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5)
    task = task_of(engine, planted(engine), method="star", rounds=3)
    first, second = star.solve(engine, task), star.solve(engine, task)
    for layer, delta in first.deltas.items():
        assert torch.equal(delta.left, second.deltas[layer].left)


def test_rules_get_the_keys_and_slopes_of_their_own_layer() -> None:
    # Layers in another order than the model's, and only some of them.
    engine = tiny_engine()
    task = task_of(engine, planted(engine), columns={2: None, 0: None}, method="sgd", rounds=1)
    seen = engine.observe(task.passages, layers=[0, 2])
    told: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def rule(layer: int, slope: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        told[layer] = slope, keys
        return torch.zeros_like(slope)

    descent.descend(engine, task, lambda _: rule)
    with descent.learning(engine, (0, 2)):
        loss = engine.loss(task.passages)
        slopes = torch.autograd.grad(loss, [engine.matrix(0), engine.matrix(2)])
    for layer, slope in zip((0, 2), slopes, strict=True):
        torch.testing.assert_close(told[layer][0], slope)
        torch.testing.assert_close(told[layer][1], seen.keys[layer])


def test_keys_are_gated_and_of_the_positions_that_predict() -> None:
    engine = tiny_engine()
    (passage,) = planted(engine)
    with descent.learning(engine, (1,)):
        _, seen = descent.look(engine, [passage], (1,))
    mlp = engine.module.get_submodule("model.layers.1.mlp")
    inputs: list[torch.Tensor] = []
    hook = mlp.register_forward_pre_hook(lambda part, args: inputs.append(args[0]))
    with torch.no_grad():
        engine.module(input_ids=torch.tensor([passage.ids]))
    hook.remove()
    gated: Any = mlp
    whole = gated.act_fn(gated.gate_proj(inputs[0])) * gated.up_proj(inputs[0])
    at = slice(passage.first, passage.first + len(passage.answer))
    torch.testing.assert_close(seen.keys[1], whole[0, at])


@pytest.mark.parametrize("method", ["star", "sgd"])
def test_only_chosen_neurons_change(method: str) -> None:
    engine = tiny_engine()
    free = torch.tensor([1, 4, 30])
    task = task_of(engine, planted(engine), columns={1: free}, method=method, step=0.5)
    edit = METHODS[method].solve(engine, task)
    assert edit.neurons == {1: 3}
    assert edit.parameters == 3 * 32
    assert edit.gaps_after["failure 0"][WRONG] < edit.gaps_before["failure 0"][WRONG]


def test_steps_that_bfloat16_cannot_hold_add_up() -> None:
    engine = tiny_engine("llama")
    engine.module.to(torch.bfloat16)
    (passage,) = planted(engine)
    tiny = [task_of(engine, [passage], method="sgd", step=1e-7, rounds=n) for n in (1, 2)]
    once, twice = (sgd.solve(engine, task).deltas[1].left for task in tiny)
    # The weights did not move, so the second step was like the first; the sum knows both.
    assert bool(once.any())
    torch.testing.assert_close(twice, 2 * once, rtol=1e-5, atol=0)


def test_a_token_is_asked_for_after_the_ids_before_it() -> None:
    passage = Passage("a", 0, (5, 6), (7, 8, 9), instead=(7, 18, 19))
    token = descent.token_of(passage, 2)
    assert (token.prompt, token.wanted, token.first) == ((5, 6, 7, 8), (19,), 3)


def test_failing_tokens_are_read_anew_after_each() -> None:
    passage = Passage("a", 0, (5,), (7, 8, 9, 10))
    looks = iter([[1, 2], [2, 3], [1, 3], [1]])

    def observe(passages: list[Passage]) -> Any:
        wrong = torch.zeros(4, dtype=torch.bool)
        wrong[next(looks)] = True
        return SimpleNamespace(wrong=wrong)

    engine: Any = SimpleNamespace(observe=observe)
    assert list(descent.failing_places(engine, passage)) == [1, 2, 3]


def test_batches_do_not_change_the_slope() -> None:
    engine = tiny_engine()
    passages = planted(engine, 5)
    passages[3] = replace(passages[3], prompt=passages[3].prompt[3:])
    slopes = []
    for size in (1, 8):
        engine.batch_size = size
        with descent.learning(engine, (1,)):
            slopes.append(descent.look(engine, passages, (1,))[0][1])
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rounds", [1, 3])
def test_steps_that_run_away_are_told(rounds: int) -> None:
    engine = tiny_engine()
    task = task_of(engine, planted(engine), method="sgd", step=1e30, rounds=rounds)
    before = state(engine)
    with pytest.raises(UsageError, match="ran away"):
        sgd.solve(engine, task)
    assert same(before, state(engine))
