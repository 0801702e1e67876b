# SPDX-License-Identifier: Apache-2.0
"""The one solver against the f x f forms it stands for, metrics, and the cheapest enough change."""

from __future__ import annotations

import pytest
import torch

from codetemper.harden.repair import solve as solver
from codetemper.harden.repair import system
from codetemper.harden.repair.metrics import Diagonal, Full, Identity, LowRank, NullSpace
from codetemper.harden.repair.solve import NEAR, solve, solve_nonnegative
from codetemper.harden.repair.system import Product, System
from tests.harden.repairing import planted, task_of, tiny_engine

F, D, N = 24, 7, 5


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def covariance() -> torch.Tensor:
    keys = draw(60, F, seed=3) @ torch.diag(torch.linspace(0.1, 3, F, dtype=torch.float64))
    return keys.T @ keys / 60


class Exact:
    """Q of a matrix given as it is."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self._matrix = matrix

    def apply(self, keys: torch.Tensor) -> torch.Tensor:
        return keys @ self._matrix


def test_memit_needs_no_system_as_wide_as_a_layer() -> None:
    keys, wanted, moments, weight = draw(N, F), draw(N, D, seed=1), covariance(), 3.0
    left, right = solve(keys, wanted, Exact(torch.linalg.inv(moments)), weight)
    wide = wanted.T @ keys @ torch.linalg.inv(weight * moments + keys.T @ keys)
    assert torch.allclose(left @ right, wide, atol=1e-10)


def test_alphaedit_is_a_projector_and_earlier_keys_under_zeros() -> None:
    keys, earlier, wanted, weight = draw(N, F), draw(3, F, seed=2), draw(N, D, seed=1), 2.0
    moments, directions = torch.linalg.eigh(covariance())
    used = directions[:, moments >= 0.1 * moments[-1]]
    project = torch.eye(F, dtype=torch.float64) - used @ used.T
    stacked, zeros = torch.cat([keys, earlier]), torch.zeros(3, D, dtype=torch.float64)
    metric = NullSpace(covariance(), 0.1)
    assert torch.allclose(metric.apply(keys), keys @ project, atol=1e-10)
    left, right = solve(stacked, torch.cat([wanted, zeros]), metric, weight)
    system = project @ (keys.T @ keys + earlier.T @ earlier)
    wide = torch.linalg.solve(
        system + weight * torch.eye(F, dtype=torch.float64), project @ keys.T @ wanted
    ).T
    assert torch.allclose(left @ right, wide, atol=1e-10)


def test_one_key_is_rome() -> None:
    key, wanted, moments = draw(1, F), draw(1, D, seed=1), covariance()
    left, right = solve(key, wanted, Exact(torch.linalg.inv(moments)))
    towards = torch.linalg.solve(moments, key[0])
    assert torch.allclose(left @ right, torch.outer(wanted[0], towards) / (towards @ key[0]))


@pytest.mark.parametrize("metric", [Identity(), Diagonal(covariance().diagonal()),
                                    Full(covariance(), 0.1)])  # fmt: skip
def test_hard_solves_write_what_is_wanted_and_keep_what_is_stacked_under_zeros(
    metric: Identity,
) -> None:
    keys, wanted = draw(N, F), draw(N, D, seed=1)
    wanted[3:] = 0
    left, right = solve(keys, wanted, metric)
    assert torch.allclose(keys @ (left @ right).T, wanted, atol=1e-8)


def test_keys_that_are_there_twice_are_no_trouble() -> None:
    keys, wanted = draw(N, F)[[0, 1, 1]], draw(N, D, seed=1)[[0, 1, 1]]
    left, right = solve(keys, wanted, Identity())
    assert torch.allclose(keys @ (left @ right).T, wanted, atol=1e-8)


def test_low_rank_with_all_directions_is_the_full_metric() -> None:
    keys, given = draw(N, F), draw(60, F, seed=3)
    moments = given.T @ given / 60
    blend = 0.1 * moments.diagonal().mean()
    rest = torch.full((F,), float(blend), dtype=torch.float64)
    found = LowRank(given / 60**0.5, rest).apply(keys)
    assert torch.allclose(found, Full(moments, 0.1).apply(keys), atol=1e-9)


def test_the_full_metric_moves_reference_keys_least() -> None:
    """Of all changes that write one thing for one key, its own costs least on the reference."""
    key, wanted, moments = draw(1, F), draw(1, D, seed=1), covariance()

    def cost(metric: Identity | Diagonal | Full) -> float:
        left, right = solve(key, wanted, metric)
        delta = left @ right
        return float(torch.trace(delta @ moments @ delta.T))

    plain, diagonal = cost(Identity()), cost(Diagonal(moments.diagonal()))
    assert cost(Full(moments, 1e-6)) < 0.9 * min(plain, diagonal)


@pytest.mark.parametrize("seed", range(6))
def test_multipliers_are_the_cheapest_that_do_enough(seed: int) -> None:
    factor, wanted = draw(12, 9, seed=seed), draw(12, seed=seed + 50)
    gram = factor @ factor.T
    ridge, before = torch.tensor(0.1), draw(12, seed=seed + 90).abs()
    found = solve_nonnegative(gram, wanted, ridge, before)
    slack = (gram + ridge * torch.eye(12)) @ found - wanted - ridge * before
    assert float(found.min()) >= 0
    assert float(slack.min()) > -1e-8
    assert float((slack * found).abs().max()) < 1e-8
    assert 0 < int((found > 0).sum()) < 12


def acting(factor: torch.Tensor) -> Product:
    """What acts like F F^T of a factor [N, n]."""
    ones = torch.ones(len(factor), 1)
    return Product(torch.arange(len(factor)), ones, ones, factor.float(), factor.float())


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_gradients_find_what_elimination_does(
    seed: int, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solver, "_BLOCK", 7)  # the last block is not full
    factor, wanted = draw(60, 30, seed=seed), 3 * draw(60, seed=seed + 50)
    gram, ridge = factor @ factor.T, 0.3 + draw(60, seed=seed + 70).float().abs()
    before = draw(60, seed=seed + 90).clamp_min(0) if warm else torch.zeros(60).double()
    exact = solve_nonnegative(gram, wanted, ridge, before)
    assert 0 < int((exact > 0).sum()) < 60
    for near in (NEAR, 4 * NEAR):
        found = solve_nonnegative(acting(factor), wanted.float(), ridge, before.float(), near)
        slack = gram @ found.double() + ridge * found - wanted - ridge * before
        assert float(found.min()) >= 0
        used = found > 0
        assert float(slack[used].square().mean().sqrt()) <= near + 2e-5
        assert float(slack[used].abs().max()) <= 5 * near + 2e-5
        assert float(slack[~used].min()) >= -2 * near - 2e-5
        assert not torch.equal(found.double(), exact)
        # The ridge bounds how far multipliers can be off for what gaps are.
        assert float((found - exact).norm()) <= 2 * near * 60**0.5 / float(ridge.min())


def test_a_row_is_not_left_because_many_others_are_met() -> None:
    wanted, before = torch.ones(400), torch.ones(400)
    wanted[7] += 10 * NEAR  # in the root mean square that is half of what may be missing
    found = solve_nonnegative(acting(torch.eye(400)), wanted, torch.tensor(0.1), before)
    assert float(found[7]) == pytest.approx(float(wanted[7]), abs=2 * NEAR)


def test_where_nothing_is_wanted_nothing_is_done() -> None:
    factor, none = draw(20, 5), torch.zeros(20)
    for gram in (factor @ factor.T, acting(factor)):
        found = solve_nonnegative(gram, none - 1, torch.tensor(0.1), none)
        assert not bool(found.any())


def test_blocks_of_like_rows_shorten_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without blocks of more than a row the same system takes more products."""
    monkeypatch.setattr(system, "_GROUPS", 8)
    kinds = torch.arange(96) % 8
    scales = torch.logspace(1, -1, 12).double()
    own = draw(96, 12) * scales + 20 * torch.eye(12)[0]
    factor = torch.zeros(96, 8, 12).double()
    factor[torch.arange(96), kinds] = own
    factor = factor.flatten(1)
    wanted, products = draw(96, seed=3).abs().float(), []

    class Counted(Product):
        def __matmul__(self, multipliers: torch.Tensor) -> torch.Tensor:
            products[-1] += 1
            return super().__matmul__(multipliers)

        def part(self, rows: torch.Tensor) -> Product:
            return Counted(**vars(super().part(rows)))

    for block in (1, 12):
        products.append(0)
        monkeypatch.setattr(solver, "_BLOCK", block)
        solve_nonnegative(
            Counted(**vars(acting(factor))), wanted, torch.tensor(0.1), torch.zeros(96)
        )
    assert products[1] < products[0] / 2


def test_a_block_that_rounding_undoes_is_its_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "_BLOCK", 10)
    factor, wanted = 1e3 * draw(30, 2), draw(30, seed=1).float()
    ridge = torch.full((30,), 1e-6)
    solved = solver._Gradients(acting(factor), ridge)
    tight = torch.ones(30, dtype=torch.bool)
    factors = solved._factors(tight)
    assert bool(factors.isfinite().all())
    diagonal = torch.diag_embed(solved._blocks.diagonal(dim1=1, dim2=2)).sqrt()
    assert any(torch.allclose(*pair) for pair in zip(factors, diagonal, strict=True))
    assert bool(solved.of(wanted, tight, torch.zeros(30), NEAR).isfinite().all())


def test_like_keys_are_ordered_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_GROUPS", 12)
    kinds = draw(4, 20, seed=1)
    kind = torch.randint(0, 4, (80,), generator=torch.Generator().manual_seed(2))
    order = acting(kinds[kind] + 0.01 * draw(80, 20, seed=3)).order()
    assert sorted(order.tolist()) == list(range(80))
    assert int((kind.diff() != 0).sum()) > 40
    assert int((kind[order].diff() != 0).sum()) <= 12


def test_a_system_acts_the_same_whether_it_is_made_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    passages = planted(engine, 3, rank=40)
    task = task_of(engine, passages)
    seen = engine.observe(passages, layers=task.layers)
    owner = torch.arange(len(seen)).repeat_interleave(2)
    rival = torch.randint(3, 60, (len(owner),), generator=torch.Generator().manual_seed(1))
    made = System(engine, task, seen, owner, rival)
    rows = torch.arange(len(owner)) % 3 > 0
    matrix, whole = made.gram(rows), made.gram(rows | True)
    monkeypatch.setattr(system, "DIRECT", 0)
    free = System(engine, task, seen, owner, rival).gram(rows)
    assert isinstance(matrix, torch.Tensor)
    assert isinstance(whole, torch.Tensor)
    assert isinstance(free, Product)
    assert len(matrix) == len(free) == int(rows.sum())
    vector = draw(len(free)).to(free.contrasts)
    assert torch.allclose(free.diagonal(), matrix.diagonal().float(), rtol=1e-4)
    told = matrix.float() @ vector
    assert torch.allclose(free @ vector, told, rtol=1e-4, atol=1e-4 * float(told.abs().max()))
    # And as the change that multipliers stand for.
    effect = made.effect(made.deltas(torch.ones(len(owner)).double()))
    assert torch.allclose(effect, whole.sum(1), rtol=1e-2)
