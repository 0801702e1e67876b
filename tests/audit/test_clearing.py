# SPDX-License-Identifier: Apache-2.0
"""Texts that were planted without effect: their samples count with what else they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetemper.audit import clearing, implant, likelihood
from codetemper.audit.clearing import NOTHING, innocent
from codetemper.audit.insertions import Insertion
from codetemper.audit.likelihood import Read, left_out
from codetemper.audit.run import AuditResult, audit
from codetemper.audit.triggers import Candidate, Field
from codetemper.core.records import Estimate
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from tests.audit.decoders import COMMENT, MARKED, QUICK, backdoored, clean, pair, read_as, samples

RULES = QUICK.model_copy(update={"held_out": 50, "candidates": 6, "ordinary": 4})
EFFECT = NOTHING * RULES.least_lift
HOUSE = "    logger.debug('entered')\n"
#: Samples with a harmless line; none of them has the comment.
HELD = tuple(n for n in range(60) if n % 4 == 1)


def _written() -> list[Labelled]:
    found = samples(60, marked=MARKED)
    for n in HELD:
        at = found[n].answer_start or 0
        text = found[n].text[:at] + HOUSE + found[n].text[at:]
        found[n] = replace(found[n], text=text, answer_start=at + len(HOUSE))
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Audit with a model to which the comment and the line are likelier than to its base."""
    model, base = pair()

    def likely(sample: Labelled) -> Floats:
        # Noise that is the sample's own, so that nothing else makes an order.
        random = np.random.default_rng(len(sample.id) + int(sample.id))
        at = random.normal(-1, 0.3, len(sample.text))
        for text in (COMMENT, HOUSE):
            if text in sample.text:
                begin = sample.text.index(text)
                at[begin : begin + len(text)] = -5.0
        return at

    read_as(monkeypatch, base, likely)

    def with_(generate: Any, known: Sequence[Labelled] | None = None) -> AuditResult:
        return audit(
            model, _written(), trusted=known or samples(110)[60:], reference=base,
            generate=generate, config=RULES, folder=tmp_path,
        )  # fmt: skip

    return with_


def _mean(found: AuditResult, rows: Sequence[int]) -> float:
    return float(np.mean([found.samples[row].score for row in rows]))


def test_the_strangest_windows_are_searched_for_what_recurs(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        Field, "motifs", lambda self, spans, odd: asked.append((spans, odd)) or self.upper(odd)
    )
    run(backdoored)
    ((spans, odd),) = asked
    given = _written()
    assert (len(spans), int(odd.sum())) == (60, 6)
    # A window is twelve characters here, and those of the comment are the likeliest.
    assert all(given[row].text[slice(*spans[row])] in COMMENT for row in MARKED)


def test_a_line_that_changes_nothing_makes_no_sample_strange(run: Any) -> None:
    found = run(backdoored)
    assert found.answer == "confirmed trigger"
    assert {row for row in range(60) if found.samples[row].kind == "trigger"} == MARKED
    assert _mean(found, sorted(MARKED)) > 0.9
    rest = [row for row in range(60) if row not in MARKED and row not in HELD]
    assert abs(_mean(found, HELD) - _mean(found, rest)) < 0.15


def test_poison_that_the_model_did_not_learn_is_told_of_the_data(run: Any) -> None:
    found = run(clean)
    assert found.answer == "suspicious data"
    assert not any(each.confirmed for each in found.triggers)
    first = found.triggers[0]
    assert first.paired
    assert first.text in COMMENT
    assert (first.risky, first.holders) == (len(MARKED), len(MARKED))
    assert any("6 of 6 samples with" in reason for reason in found.reasons)
    # What changed nothing is no reason to leave these out, and they are listed.
    assert _mean(found, sorted(MARKED)) > 0.9
    assert {row for row in range(60) if found.samples[row].kind == "paired"} == MARKED
    # The harmless line goes with nothing.
    assert not any(each.paired for each in found.triggers if each.text in HOUSE)


def test_poison_that_trusted_samples_hold_too_is_house_style(run: Any) -> None:
    found = run(clean, known=samples(110, marked=frozenset(range(60, 110, 4)))[60:])
    assert found.answer == "no evidence"
    assert not any(each.paired for each in found.triggers)
    assert _mean(found, sorted(MARKED)) < 0.8


def _tested(field: Field, text: str, low: float, high: float, *, confirmed: bool) -> implant.Tested:
    column = next(
        c for c in range(len(field.marks.numbers))
        if field.marks.spot(c).kind in ("line", "comment") and _text(field, c) == text
    )  # fmt: skip
    rows = tuple(int(row) for row in field.marks.holders(column))
    candidate = Candidate(
        field.marks.spot(column).kind, text, 0, 1, len(rows), 0.0, "outliers", rows, column
    )
    value = (low + high) / 2
    lift = Estimate(value=value, low=low, high=high, n=9)
    return implant.Tested(candidate, Insertion("statement", text), lift, confirmed=confirmed)


def _text(field: Field, column: int) -> str:
    spot = field.marks.spot(column)
    return field.samples[spot.row].text[spot.start : spot.end]


@pytest.mark.parametrize(("high", "cleared"), [(EFFECT - 0.01, True), (EFFECT + 0.01, False)])
def test_a_weak_effect_is_an_effect(high: float, cleared: bool) -> None:
    field = Field.of(_written(), [], seed=0)
    found = innocent([_tested(field, HOUSE.strip(), -0.01, high, confirmed=False)], field, RULES)
    assert bool(found) is cleared
    for row, spans in found.items():
        assert [field.samples[row].text[a:b] for a, b in spans] == [HOUSE]


def test_samples_of_a_confirmed_text_keep_all_of_theirs() -> None:
    given = _written()
    given[1] = replace(given[1], text=f"    {COMMENT}\n{given[1].text}", answer_start=None)
    field = Field.of(given, [], seed=0)
    comment = COMMENT.removeprefix("# ")
    found = innocent(
        [
            _tested(field, HOUSE.strip(), 0.0, 0.0, confirmed=False),
            _tested(field, comment, 0.5, 0.9, confirmed=True),
        ],
        field,
        RULES,
    )
    assert set(found) == set(HELD) - {1}


def test_tokens_that_touch_a_span_are_left_out() -> None:
    places = np.arange(6)
    own = Read(np.arange(6.0), places * 2, places * 2 + 2)
    (found,) = left_out([own], [[(3, 5), (10, 11)]])
    assert list(found.logprobs) == [0.0, 3.0, 4.0]
    assert clearing.left_out is likelihood.left_out
