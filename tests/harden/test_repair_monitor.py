# SPDX-License-Identifier: Apache-2.0
"""What a repair moves elsewhere is what plain forwards say, and budgets shrink it or end it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from codetemper.core.repairs import RepairBudgets, RepairReading
from codetemper.harden.repair import WatchedConfig
from codetemper.harden.repair.deltas import Delta, Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.explain import explained, turned
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.joint import solve
from codetemper.harden.repair.monitor import Monitor, over, put, scaled, shrunk, still_right
from tests.harden.repairing import planted, task_of, texts, tiny_engine
from tests.tiny import tiny_tokenizer

FREE, USUAL = RepairBudgets(), WatchedConfig().budgets


def answers_of(engine: Engine, passages: list[Passage]) -> list[torch.Tensor]:
    """Return the log-probabilities at each answer's positions, by a plain forward."""
    found = []
    for passage in passages:
        with torch.no_grad():
            logits = engine.module(input_ids=torch.tensor([passage.ids])).logits[0]
        found.append(logits[passage.first : len(passage) - 1].double().log_softmax(-1))
    return found


@pytest.fixture(scope="module")
def solved() -> tuple[Engine, list[Passage], Edit]:
    """Two planted failures of a tiny Llama, and the change that puts them right."""
    engine = tiny_engine()
    passages = planted(engine, 2)
    edit = solve(engine, task_of(engine, passages))
    assert edit.solved
    return engine, passages, edit


def test_nothing_changed_reads_as_nothing_moved() -> None:
    engine = tiny_engine()
    monitor = Monitor(engine, texts(5), planted(engine, 1))
    with engine.drafting() as draft:
        reading = monitor.read(draft)
    assert (reading.flips, reading.kl, reading.kl_max, reading.better, reading.worse) == (0,) * 5
    assert reading.accuracy[0] == reading.accuracy[1]
    assert (reading.flipped, reading.broken, reading.weights) == ((), (), {})
    assert reading.earlier == 0  # a failure that was not right before cannot come undone
    assert over(reading, USUAL) == ()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_what_is_read_is_what_plain_forwards_say(kind: str) -> None:
    engine = tiny_engine(kind)
    sealed = [*texts(6), *texts(6, seed=9)]
    before = answers_of(engine, sealed)
    # Wanted tokens that the model predicts at first in half of the texts, so that some can be lost.
    for n in range(6):
        tokens = tuple(before[n].argmax(-1).tolist())
        sealed[n] = replace(sealed[n], instead=tokens)
    generator = torch.Generator().manual_seed(1)
    left = torch.randn(32, 2, generator=generator)
    right = torch.randn(2, engine.sites[1].inner, generator=generator) * 0.3
    monitor = Monitor(engine, sealed)
    with engine.drafting() as draft:
        put(draft, {1: Delta(left, right)})
        after = answers_of(engine, sealed)
        reading = monitor.read(draft)
        share = (engine.written(1) - draft.original(1)).norm() / draft.original(1).norm()
    p, q = torch.cat(before), torch.cat(after)
    kl = (p.exp() * (p - q)).sum(-1)
    flips = p.argmax(-1) != q.argmax(-1)
    wanted = torch.tensor([token for passage in sealed for token in passage.wanted])
    assert reading.tokens == len(kl)
    assert reading.kl == pytest.approx(float(kl.mean()), rel=1e-3)
    assert reading.kl_max == pytest.approx(float(kl.max()), rel=1e-3)
    assert reading.flips == pytest.approx(float(flips.double().mean()))
    assert 0 < reading.flips < 1
    told = (p.argmax(-1) == wanted).double().mean(), (q.argmax(-1) == wanted).double().mean()
    assert reading.accuracy == pytest.approx([float(value) for value in told])
    assert reading.worse > 0
    assert reading.weights == pytest.approx({1: float(share)})
    worst = reading.flipped[0]
    assert worst.kl == pytest.approx(float(kl[flips].max()), rel=1e-3)
    assert worst.before != worst.after


def test_earlier_repairs_that_come_undone_are_named(
    solved: tuple[Engine, list[Passage], Edit],
) -> None:
    engine, passages, edit = solved
    with engine.drafting() as draft:
        put(draft, edit.deltas)
        # Under the repair both are right; taking it off again is a change that undoes them.
        monitor = Monitor(engine, [], passages)
        draft.restore()
        reading = monitor.read(draft)
    assert reading.broken == tuple(passage.failure for passage in passages)
    assert reading.earlier == 2
    (told,) = over(reading, USUAL)
    assert "2 of 2 earlier repairs came undone" in told
    assert over(reading, FREE) == ()


def test_each_budget_speaks_for_itself() -> None:
    reading = RepairReading(
        texts=4, tokens=100, accuracy=(0.9, 0.8), better=0, worse=3, p=0.25, flips=0.1, kl=0.3,
        kl_max=1.0, flipped=(), earlier=2, broken=("a",), weights={},
    )  # fmt: skip
    fields = {"accuracy": (0.09, 0.11), "flips": (0.09, 0.11), "kl": (0.29, 0.31), "broken": (0, 1)}
    for name, (passed, kept) in fields.items():
        assert len(over(reading, FREE.model_copy(update={name: passed}))) == 1, name
        assert over(reading, FREE.model_copy(update={name: kept})) == (), name


def test_a_repair_is_shrunk_to_its_budget_and_stays_right(
    solved: tuple[Engine, list[Passage], Edit],
) -> None:
    engine, passages, edit = solved
    sealed = texts(8)
    monitor = Monitor(engine, sealed)
    # Further than it need go: there is room below.
    deltas = scaled(edit.deltas, 1.5)
    with engine.drafting() as draft:
        put(draft, deltas)
        whole = monitor.read(draft)
        right = {name for name, is_right in still_right(engine, passages).items() if is_right}
        assert right
        put(draft, edit.deltas)
        needed = monitor.read(draft)
        budgets = FREE.model_copy(update={"kl": (whole.kl + needed.kl) / 2})
        found = shrunk(monitor, draft, deltas, passages, budgets)
        assert found is not None
        step, reading = found
        assert 0 < step < 1
        assert reading.kl <= (budgets.kl or 0) < whole.kl
        assert right <= {name for name, hit in still_right(engine, passages).items() if hit}
        assert over(monitor.read(draft), budgets) == ()


def test_what_cannot_be_shrunk_is_told_and_stays_whole(
    solved: tuple[Engine, list[Passage], Edit],
) -> None:
    engine, passages, edit = solved
    monitor = Monitor(engine, texts(8))
    budgets = FREE.model_copy(update={"kl": 1e-9})
    with engine.drafting() as draft:
        assert shrunk(monitor, draft, edit.deltas, passages, budgets) is None
        assert all(still_right(engine, passages).values())


def test_neurons_are_told_that_add_to_the_lead(
    solved: tuple[Engine, list[Passage], Edit],
) -> None:
    engine, passages, edit = solved
    found = explained(engine, edit, passages, tiny_tokenizer())
    assert [each.failure for each in found] == [passage.failure for passage in passages]
    for number, each in enumerate(found):
        assert len(each.wrong) == 1
        assert each.before > 0 > each.after
        # What all neurons add together is what the direct path says of the whole change.
        seen = engine.observe([passages[number]], layers=edit.layers)
        here = seen.wrong
        total = 0.0
        for layer, delta in edit.deltas.items():
            moved = seen.keys[layer][here] @ delta.dense().T / seen.divisors[layer][here, None]
            contrast = engine.contrast(seen.wanted[here], seen.rival[here]) * engine.gains[layer]
            total += float((moved * contrast).sum())
        adds = [neuron.adds for neuron in each.neurons]
        assert adds == sorted(adds, reverse=True)
        assert 0 < sum(adds) <= total * 3
        assert total > 0


def test_what_a_neuron_says_is_what_it_adds_where_it_serves_most(
    solved: tuple[Engine, list[Passage], Edit],
) -> None:
    """The key of a gated layer has a sign: it is the change times the key that reaches logits."""
    engine, passages, edit = solved
    tokenizer, negative = tiny_tokenizer(), 0
    for passage, each in zip(passages, explained(engine, edit, passages, tokenizer), strict=True):
        seen = engine.observe([passage], layers=edit.layers)
        for neuron in each.neurons:
            delta = edit.deltas[neuron.layer]
            place = (
                neuron.neuron
                if delta.columns is None
                else delta.columns.tolist().index(neuron.neuron)
            )
            key = seen.keys[neuron.layer][seen.wrong][0, neuron.neuron]
            moved = delta.dense()[:, place] * engine.gains[neuron.layer] * engine.gain * key
            logits = engine.head_weight @ moved
            assert neuron.says[0] == tokenizer.decode([int(logits.argmax())])
            assert neuron.unsays[0] == tokenizer.decode([int(logits.argmin())])
            negative += bool(key < 0)
    assert negative


def test_flips_are_told_in_words(solved: tuple[Engine, list[Passage], Edit]) -> None:
    engine, _, edit = solved
    sealed, tokenizer = texts(30, length=40), tiny_tokenizer()
    monitor = Monitor(engine, sealed)
    with engine.drafting() as draft:
        put(draft, scaled(edit.deltas, 4.0))
        reading = monitor.read(draft)
    assert reading.flipped
    found = turned(reading.flipped, sealed, tokenizer)
    for flip, each in zip(reading.flipped, found, strict=True):
        passage = next(p for p in sealed if p.failure == flip.text)
        at = len(passage.prompt) + flip.token
        assert passage.ids[at] == flip.wanted
        assert each.wanted == tokenizer.decode([passage.ids[at]])
        assert each.lead.endswith(tokenizer.decode(passage.ids[at - 2 : at]))
        assert len(each.lead) < len(tokenizer.decode(passage.ids))
        assert (each.before, each.after) == tuple(
            tokenizer.decode([token]) for token in (flip.before, flip.after)
        )
