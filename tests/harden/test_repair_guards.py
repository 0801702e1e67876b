# SPDX-License-Identifier: Apache-2.0
"""Guards of the joint repair: what they keep, and when rounds go on without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codetemper.harden.repair import Config, joint
from codetemper.harden.repair.settings import MANY
from codetemper.harden.repair.task import reference_passages
from tests.harden.repairing import planted, task_of, texts, tiny_engine


def test_guards_keep_what_the_repair_would_flip() -> None:
    engine = tiny_engine()
    passages = planted(engine, MANY, rank=150)
    reference = reference_passages(engine, texts(24, seed=11))
    free = task_of(engine, passages)
    edits = [joint.solve(engine, task) for task in (free, replace(free, reference=reference))]
    flips = []
    for edit in edits:
        assert edit.solved
        with engine.drafting() as draft:
            for layer, delta in edit.deltas.items():
                draft.put(layer, delta)
            flips.append(int(engine.observe(reference).wrong.sum()))
    assert flips[0] > 0
    assert flips[1] < flips[0] / 2
    assert edits[1].notes["guards"] > 0
    few = replace(task_of(engine, passages[:2]), reference=reference)
    assert joint.solve(engine, few).notes["guards"] == 0


def test_of_longer_leads_alone_few_rounds_are(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    reference = reference_passages(engine, texts(24, seed=11))
    task = replace(task_of(engine, planted(engine, MANY, rank=150)), reference=reference)
    # No lead is ever enough, so nothing else ends it.
    monkeypatch.setattr(joint, "_ENOUGH", 5.0)
    found = joint.solve(engine, task)
    assert found.solved
    assert found.notes["guards"] > 0
    patient = property(lambda state: state.idle >= joint._PATIENCE)
    monkeypatch.setattr(joint._State, "spent", patient)
    assert len(joint.solve(engine, task).rounds) == len(found.rounds) + 7


def test_guards_do_not_wait_for_what_cannot_be_solved() -> None:
    engine = tiny_engine()
    passages = planted(engine, MANY, rank=150)
    other = replace(passages[0], failure="other", answer=planted(engine, 1, rank=9)[0].answer)
    reference = reference_passages(engine, texts(24, seed=11))
    task = task_of(engine, [*passages, other])
    free, kept = (joint.solve(engine, one) for one in (task, replace(task, reference=reference)))
    assert not free.solved
    assert not kept.solved
    assert kept.notes["guards"] > 0
    flips = []
    for edit in (free, kept):
        right = [max(gaps) < 0 for gaps in edit.gaps_after.values()]
        assert sum(right) >= MANY - 1
        with engine.drafting() as draft:
            for layer, delta in edit.deltas.items():
                draft.put(layer, delta)
            flips.append(int(engine.observe(reference).wrong.sum()))
    assert flips[1] < flips[0]


@pytest.mark.parametrize(
    ("unmet", "wrong", "left", "hopeless"),
    [
        # As measured: of a thousand answers, of four hundred, and late in the latter.
        (0, [3230, 2598, 2092, 1681], 23, True),
        (0, [862, 502, 205, 67], 27, False),
        (0, [862, 502, 205, 67, 18, 12, 12, 12], 19, False),
        # More rounds would do, fewer are no pace, and few answers are waited for.
        (0, [3230, 2598, 2092, 1681], 60, False),
        (0, [3230, 2598, 2092], 2, False),
        (0, [8, 8, 8, 8, 8], 30, False),
        (0, [9, 9, 9, 9, 9], 30, True),
        # What could not be solved before there were guards is not their doing.
        (400, [3230, 1240, 640, 405], 2, False),
        (0, [0, 0, 20, 20], 30, False),
    ],
)  # fmt: skip
def test_guards_are_given_up_where_rounds_will_not_do(
    unmet: int, wrong: list[int], left: int, hopeless: bool
) -> None:
    state = object.__new__(joint._State)
    state._unmet, state._wrong = unmet, wrong
    assert state.hopeless(left) is hopeless


def test_rounds_end_where_guards_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine()
    reference = reference_passages(engine, texts(24, seed=11))
    task = replace(task_of(engine, planted(engine, MANY, rank=150)), reference=reference)
    whole = joint.solve(engine, task)
    assert whole.solved
    assert whole.notes["guards missed"] == 0
    asked: list[tuple[int, int]] = []

    def hopeless(state: Any, left: int) -> bool:
        asked.append((len(state._wrong), left))
        return len(state._wrong) == 1

    monkeypatch.setattr(joint._State, "hopeless", hopeless)
    edit = joint.solve(engine, task)
    assert [rounds for rounds, _ in asked[-3:]] == [0, 0, 1]
    assert asked[-1][1] == Config().most_rounds - len(edit.rounds)
    assert len(edit.rounds) < len(whole.rounds)
    assert edit.solved
    assert edit.notes["guards missed"] > 0
