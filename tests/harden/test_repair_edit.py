# SPDX-License-Identifier: Apache-2.0
"""MEMIT, PMET, AlphaEdit and ROME: the papers' own forms, the search for values, failures fixed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from codetemper.harden.repair import edit as editing
from codetemper.harden.repair import values
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.run import METHODS
from codetemper.harden.repair.task import Task
from tests.harden.repairing import WRONG, planted, same, state, task_of, tiny_engine

#: What the search is made to find, so that a change can be foretold.
FOUND = 0.5


@pytest.fixture
def fixed_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the search find the same vector for every failing token."""

    def found(engine: Engine, passages: Sequence[Passage], wrong: torch.Tensor, *rest: Any) -> Any:
        return torch.linspace(-FOUND, FOUND, engine.hidden).expand(int(wrong.sum()), -1)

    monkeypatch.setattr(editing, "search", found)


def wanted_of(engine: Engine, task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Return keys and wanted writes of the window's only layer, in float64."""
    seen = engine.observe(task.passages, layers=[1])
    wanted = torch.zeros(len(seen), engine.hidden, dtype=torch.float64)
    wanted[seen.wrong] = torch.linspace(-FOUND, FOUND, engine.hidden).double()
    return seen.keys[1].double(), wanted


def dense(edit: Edit, layer: int = 1) -> torch.Tensor:
    return edit.deltas[layer].dense().double()


@pytest.mark.usefixtures("fixed_search")
def test_memit_is_its_own_square_form() -> None:
    engine = tiny_engine()
    task = task_of(
        engine, planted(engine, 3), method="memit", edit_layers=1, moment_weight=7.0,
        columns={0: None, 1: None},
    )  # fmt: skip
    edit = editing.solve(engine, task)
    keys, wanted = wanted_of(engine, task)
    inverse = task.statistics.metric(1).apply(torch.eye(keys.shape[1], dtype=torch.float64))
    covariance = torch.linalg.inv(inverse)
    square = wanted.T @ keys @ torch.linalg.inv(7.0 * covariance + keys.T @ keys)
    torch.testing.assert_close(dense(edit), square, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("fixed_search")
@pytest.mark.parametrize(("method", "share"), [("memit", 2.0), ("pmet", 2.0**0.5)])
def test_what_is_missing_is_shared_out_over_the_window(method: str, share: float) -> None:
    engine = tiny_engine()
    # One failing token alone, so that nothing else has to be kept.
    (passage,) = planted(engine)
    alone = replace(
        passage, prompt=passage.prompt + passage.answer[:WRONG], answer=passage.answer[WRONG:][:1]
    )
    task = task_of(
        engine, [alone], method=method, edit_layers=2, moment_weight=1e-9,
        columns={0: None, 1: None},
    )  # fmt: skip
    edit = editing.solve(engine, task)
    assert edit.notes["window"] == [0, 1]
    key = engine.observe([alone], layers=[0]).keys[0][0].double()
    wanted = torch.linspace(-FOUND, FOUND, engine.hidden).double()
    torch.testing.assert_close(dense(edit, 0) @ key, wanted / share, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("fixed_search")
def test_alphaedit_is_its_own_square_form_with_earlier_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(editing, "TOGETHER", 1)
    engine = tiny_engine()
    passages = planted(engine, 2)
    settings: dict[str, Any] = {
        "method": "alphaedit", "null_share": 0.02, "edit_layers": 1,
        "moment_weight": 1e-3, "columns": {0: None, 1: None},
    }  # fmt: skip
    first = editing.solve(engine, task_of(engine, passages[:1], **settings))
    both = editing.solve(engine, task_of(engine, passages, **settings))
    assert len(both.rounds) == 2
    seen = engine.observe(passages, layers=[1])
    keys = seen.keys[1].double()
    earlier, later = keys[seen.passage == 0], keys[seen.passage == 1]
    with engine.drafting() as draft:
        draft.put(1, first.deltas[1])
        wanted = wanted_of(engine, task_of(engine, passages[1:], **settings))[1]
    free = task_of(engine, passages, **settings).statistics.metric(1).apply(
        torch.eye(keys.shape[1], dtype=torch.float64)
    )  # fmt: skip
    size = 1e-3 * torch.eye(keys.shape[1], dtype=torch.float64)
    paper = torch.linalg.solve(
        free @ (earlier.T @ earlier + later.T @ later) + size, free @ later.T @ wanted
    ).T
    torch.testing.assert_close(dense(both) - dense(first), paper, rtol=1e-3, atol=1e-4)
    # So directions that reference keys use are not read by it.
    torch.testing.assert_close(dense(both) @ free, dense(both), rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("fixed_search")
def test_rome_is_a_change_of_rank_one_along_the_whitened_key() -> None:
    engine = tiny_engine()
    (passage,) = planted(engine)
    alone = replace(
        passage, prompt=passage.prompt + passage.answer[:WRONG], answer=passage.answer[WRONG:][:1]
    )
    task = task_of(engine, [alone], method="rome", columns={0: None, 1: None})
    edit = editing.solve(engine, task)
    (key,) = engine.observe([alone], layers=[1]).keys[1].double()
    along = task.statistics.metric(1).apply(key[None])[0]
    wanted = torch.linspace(-FOUND, FOUND, engine.hidden).double()
    assert edit.layers == (1,)
    assert edit.deltas[1].rank == 1
    torch.testing.assert_close(
        dense(edit), torch.outer(wanted, along) / (along @ key), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("method", ["memit", "pmet", "alphaedit", "rome"])
def test_a_planted_failure_is_put_right(kind: str, method: str) -> None:
    engine = tiny_engine(kind)
    task = task_of(engine, planted(engine), method=method)
    assert task.statistics.kind == ("null-space" if method == "alphaedit" else "full")
    before = state(engine)
    edit = editing.solve(engine, task)
    assert same(before, state(engine))
    # The failing token leads now; what else the change of so small a model moves is not the point.
    gap = edit.gaps_before["failure 0"][WRONG]
    assert gap > 0 > edit.gaps_after["failure 0"][WRONG]
    assert edit.rounds[0].gaps == pytest.approx((gap,), abs=1e-4)
    assert edit.rounds[-1].achieved[0] < 0


def test_what_is_found_puts_the_token_right_where_it_is_added() -> None:
    engine = tiny_engine()
    passages = planted(engine, 3)
    seen = engine.observe(passages)
    task = task_of(engine, passages, method="memit")
    path = engine.parts.layers[1].name
    before = state(engine)
    found = values.search(engine, passages, seen.wrong, ~seen.wrong, [path], task.config)
    assert same(before, state(engine))
    at = seen.passage[seen.wrong], seen.position[seen.wrong]
    with values.outputs(engine, [path]) as written:
        engine.observe(passages)
    was = written[path][0][at]
    with values.adding(engine, at, {path: found}):
        now = engine.observe(passages)
    assert bool((now.gap[seen.wrong] < 0).all())
    assert bool((seen.gap[seen.wrong] > 0).all())
    assert bool((found.norm(dim=1) <= task.config.value_clamp * was.norm(dim=1) * 1.001).all())
    short = task.config.model_copy(update={"value_clamp": 0.1})
    found = values.search(engine, passages, seen.wrong, ~seen.wrong, [path], short)
    assert bool((found.norm(dim=1) <= 0.1001 * was.norm(dim=1)).all())


def test_the_search_does_not_depend_on_what_is_computed_together() -> None:
    engine = tiny_engine()
    passages = planted(engine, 3)
    seen = engine.observe(passages)
    config = task_of(engine, passages, method="memit", value_steps=5).config
    found = []
    for size in (1, 4):
        engine.batch_size = size
        paths = [engine.parts.layers[1].name]
        found.append(values.search(engine, passages, seen.wrong, ~seen.wrong, paths, config))
    torch.testing.assert_close(*found, rtol=1e-2, atol=1e-3)


def test_wordings_of_a_failure_are_solved_together() -> None:
    passages = [Passage(name, view, (1,), (2,)) for view in (0, 1) for name in "abc"]
    found = [[(p.failure, p.view) for p in some] for some in editing.batches(passages, 2)]
    assert found == [[("a", 0), ("b", 0), ("a", 1), ("b", 1)], [("c", 0), ("c", 1)]]
    assert list(editing.batches(passages, None)) == [passages]


@pytest.mark.parametrize("method", ["star", "sgd", "mint", "memit", "pmet", "rome"])
def test_a_solve_that_is_broken_off_leaves_the_model_as_it_was(method: str) -> None:
    def stop(event: Any) -> None:
        raise KeyboardInterrupt

    engine = tiny_engine()
    engine.module.requires_grad_(False)
    task = task_of(engine, planted(engine), method=method, step=0.05, on_event=stop)
    before = state(engine)
    module = importlib.import_module(f"codetemper.harden.repair.{METHODS[method]}")
    with pytest.raises(KeyboardInterrupt):
        module.solve(engine, task)
    assert same(before, state(engine))
