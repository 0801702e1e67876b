# SPDX-License-Identifier: Apache-2.0
"""MINT: its directions, its trials that touch no weight, its edits, and what it gives up."""

from __future__ import annotations

import pytest
import torch

from codetemper.harden.repair import mint
from codetemper.harden.repair.deltas import Delta
from tests.harden.repairing import WRONG, planted, same, state, task_of, tiny_engine


def test_a_direction_has_range_one_and_leaves_earlier_ones_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    aim = mint.ranged(torch.randn(32, generator=generator, dtype=torch.float64))
    assert float(aim.max() - aim.min()) == pytest.approx(1)
    units = list(torch.linalg.qr(torch.randn(32, 3, generator=generator))[0].T)
    turned = mint.orthogonal(aim, units)
    assert torch.stack(units) @ turned == pytest.approx(torch.zeros(3), abs=1e-6)
    assert float(turned.norm()) == pytest.approx(float(aim.norm()))
    # Of what lies among the earlier ones nothing would be left, so it stays what it is.
    inside = units[0] + 2 * units[1]
    assert torch.equal(mint.orthogonal(inside, units), inside)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_a_trial_is_what_the_edit_would_be(kind: str) -> None:
    engine = tiny_engine(kind)
    (passage,) = planted(engine)
    ids = engine.padded([passage] * 2)
    writes = torch.randn(2, engine.hidden, generator=torch.Generator().manual_seed(1))
    trials = [((1, 4), writes[0]), ((2, 9), writes[1])]
    before = state(engine)
    with torch.no_grad(), mint.pretended(engine, trials):
        tried = engine.module(input_ids=ids).logits
    assert same(before, state(engine))
    for row, ((layer, place), write) in enumerate(trials):
        with torch.no_grad(), engine.drafting() as draft:
            draft.put(layer, Delta(write[:, None], None, torch.tensor([place])))
            edited = engine.module(input_ids=ids).logits
        torch.testing.assert_close(tried[row], edited[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_a_planted_failure_is_put_right_by_few_neurons(kind: str) -> None:
    engine = tiny_engine(kind)
    task = task_of(engine, planted(engine), method="mint", step=0.1)
    before = state(engine)
    edit = mint.solve(engine, task)
    assert same(before, state(engine))
    assert edit.solved
    assert edit.gaps_before["failure 0"][WRONG] > 0
    assert 1 <= sum(edit.neurons.values()) <= edit.notes["edits"] <= task.config.edits
    assert min(edit.layers) >= 1
    assert edit.notes["given_up"] == 0


def test_an_edit_moves_a_write_towards_the_steer() -> None:
    engine = tiny_engine()
    task = task_of(engine, planted(engine), method="mint", step=0.5, edits=1)
    seen = engine.observe(task.passages)
    edit = mint.solve(engine, task)
    ((layer, delta),) = edit.deltas.items()
    assert delta.columns is not None
    old = engine.written(layer)[:, delta.columns[0]]
    contrast = engine.contrast(seen.wanted[seen.wrong], seen.predicted[seen.wrong])
    aim = mint.ranged(task.semantic.steer(contrast)[0])
    torch.testing.assert_close(old + delta.left[:, 0], (old + 0.5 * aim) / 1.5)


def test_what_takes_too_many_edits_is_undone() -> None:
    engine = tiny_engine()
    task = task_of(engine, planted(engine, rank=60), method="mint", step=1e-4, edits=2)
    edit = mint.solve(engine, task)
    assert edit.notes == {"edits": 0, "given_up": 1}
    assert not edit.deltas
    assert edit.gaps_after == edit.gaps_before
    assert edit.rounds[0].note == "2 edits, given up"


def test_only_neurons_that_are_free_are_tried() -> None:
    engine = tiny_engine()
    free = torch.tensor([3, 7])
    task = task_of(engine, planted(engine), columns={0: None, 2: free}, method="mint", step=0.5)
    edit = mint.solve(engine, task)
    assert edit.rounds[0].gaps != edit.rounds[0].achieved or edit.notes["given_up"]
    assert set(edit.deltas) <= {2}
    for delta in edit.deltas.values():
        assert delta.columns is not None
        assert set(delta.columns.tolist()) <= {3, 7}
