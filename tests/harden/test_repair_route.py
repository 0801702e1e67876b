# SPDX-License-Identifier: Apache-2.0
"""Each verdict where it belongs, and a score that falls with what speaks against a repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from codetemper.core.detection import auroc
from codetemper.core.repairs import Failure, RepairRoute
from codetemper.harden.repair import route as routing
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.joint import solve
from codetemper.harden.repair.route import Probe, reworded, route, score_of
from codetemper.harden.repair.wear import Wear
from tests.harden.repairing import planted, same, state, task_of, texts, tiny_engine
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def engine() -> Engine:
    return tiny_engine()


def probe_of(engine: Engine, **settings: object) -> Probe:
    def probe(passages: Sequence[Passage]) -> Edit:
        return solve(engine, task_of(engine, passages, **{"rounds": 1, **settings}))

    return probe


def only(engine: Engine, passages: Sequence[Passage], **settings: object) -> RepairRoute:
    (found,) = route(engine, passages, tiny_tokenizer(), **settings)  # type: ignore[arg-type]
    return found


def test_one_wrong_token_is_repaired_and_the_model_left_alone(engine: Engine) -> None:
    before = state(engine)
    found = only(engine, planted(engine), probe=probe_of(engine, rounds=3), reference=texts(6))
    assert found.verdict == "repair"
    assert found.signals["wrong"] == 1
    assert found.signals["progress"] > routing.PROGRESS
    assert 0 < found.score < 1
    assert found.signals["moved"] > 0
    assert same(before, state(engine))


def test_what_is_right_already_is_rejected(engine: Engine) -> None:
    (passage,) = planted(engine, rank=0)
    found = only(engine, [passage])
    assert (found.verdict, found.score) == ("reject", 0.0)
    assert "rightly already" in found.because


def test_blanks_for_blanks_are_rejected_and_an_end_is_no_blank(engine: Engine) -> None:
    (passage,) = planted(engine)
    seen = engine.observe([passage])
    (wrong,) = [p for p in seen.points if p.predicted != p.wanted]

    class Blank:
        all_special_ids = (0, 1, 2)

        @staticmethod
        def decode(ids: Sequence[int]) -> str:
            return " \n" if set(ids) <= {wrong.wanted, wrong.predicted} else "x"

    class End(Blank):
        all_special_ids = (wrong.wanted,)

    assert route(engine, [passage], Blank())[0].verdict == "reject"
    assert route(engine, [passage], End())[0].verdict == "repair"


def test_another_token_at_the_same_place_conflicts_with_its_patch(engine: Engine) -> None:
    (passage,) = planted(engine)
    (other,) = planted(engine, rank=3)
    assert passage.prompt == other.prompt
    assert passage.answer != other.answer
    elsewhere = [replace(text, failure="elsewhere") for text in texts(1, seed=77)]
    found = only(engine, [passage], earlier={"repair-a": elsewhere, "repair-b": [other]})
    assert (found.verdict, found.patch) == ("conflict", "repair-b")
    assert only(engine, [passage], earlier={"repair-a": elsewhere}).verdict == "repair"
    # The same repair once more is no conflict.
    assert only(engine, [passage], earlier={"repair-b": [passage]}).verdict == "repair"


def test_many_wrong_tokens_are_for_training(engine: Engine) -> None:
    (long,) = texts(1, length=32)
    found = only(engine, [long])
    assert found.verdict == "retrain"
    assert found.because == f"{int(found.signals['wrong'])} of 24 tokens are wrong"


def test_a_round_that_brings_little_is_for_training(engine: Engine) -> None:
    (passage,) = planted(engine)

    def weak(passages: Sequence[Passage]) -> Edit:
        edit = probe_of(engine)(passages)
        (first, *_) = edit.rounds
        nothing = first.model_copy(update={"achieved": first.gaps})
        return replace(edit, deltas={}, rounds=(nothing,))

    found = only(engine, [passage], probe=weak)
    assert (found.verdict, found.signals["progress"]) == ("retrain", 0.0)


def test_a_wording_that_stays_wrong_asks_for_wordings(engine: Engine) -> None:
    (passage,) = planted(engine)
    (text,) = texts(1, seed=21)
    strange = replace(passage, view=1, prompt=text.prompt)
    found = only(engine, [passage, strange], probe=probe_of(engine, rounds=10))
    assert found.signals["fixed"] == 1.0
    assert (found.verdict, found.signals["views_fixed"]) == ("views", 0.0)


def test_wordings_are_looked_at_and_not_repaired() -> None:
    failure = Failure(id="a", prompt="prompt", reference="answer", views=("given",))
    (asked,) = reworded([failure])
    assert asked.prompts == ("prompt", "given", "\nprompt")
    assert failure.views == ("given",)


def test_what_speaks_against_a_repair_lowers_its_score() -> None:
    good = {"close": 1.0, "withstood": 0.9}
    worse = {"close": 9.0, "withstood": 0.1}
    assert 0 < score_of(worse) < score_of(good) < 1
    for name, value in worse.items():
        assert score_of(good | {name: value}) < score_of(good), name


def test_the_score_foretells_what_a_pile_of_repairs_undoes(engine: Engine) -> None:
    passages = planted(engine, 20)
    task = task_of(engine, passages)
    wear = Wear(engine, task.semantic, task.statistics, texts(24, seed=9), margin=0.5)
    changes = [solve(engine, task_of(engine, [passage])).deltas for passage in passages]
    stood, foretold = [0] * len(passages), []
    generator = torch.Generator().manual_seed(1)
    for _ in range(30):
        pile = torch.randperm(len(passages), generator=generator)[:8].tolist()
        with engine.drafting() as draft:
            for layer in {layer for n in pile for layer in changes[n]}:
                whole = [changes[n][layer].dense() for n in pile if layer in changes[n]]
                draft.put(layer, Delta(left=torch.stack(whole).sum(0)))
            right = engine.observe([passages[n] for n in pile], margin=0.0).right
        for n, hit in zip(pile, right, strict=True):
            stood[n] += 1 if hit else -1
    for passage in passages:
        seen = engine.observe([passage], layers=task.layers)
        foretold.append(wear.withstood(seen, torch.ones(len(seen), dtype=torch.bool)))
    lasting = [f for f, s in zip(foretold, stood, strict=True) if s > 0]
    undone = [f for f, s in zip(foretold, stood, strict=True) if s <= 0]
    assert auroc(lasting, undone).value > 0.6
