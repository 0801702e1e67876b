# SPDX-License-Identifier: Apache-2.0
"""Which texts suspects share: the tests as they are written down, and what chance finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from codetemper.audit.triggers import Field, candidates, p_values, smallest
from codetemper.audit.triggers import Test as Question
from codetemper.data.labelled import Labelled
from tests.audit.planted import TRIGGER, functions, poisoned

SAMPLES, CHOSEN = poisoned(functions(200, seed=1), rate=0.05)
TRUSTED = functions(200, seed=7)
FIELD = Field.of(SAMPLES, TRUSTED, seed=0)
FLAGS = np.array([number in CHOSEN for number in range(200)])


def column(text: str) -> int:
    """Return the mark that stands for a text."""
    return next(
        number
        for number in range(len(FIELD.marks.numbers))
        for spot in [FIELD.marks.spot(number)]
        if SAMPLES[spot.row].text[spot.start : spot.end] == text
    )


def test_a_mark_is_tested_against_the_outliers_of_its_class() -> None:
    test = next(each for each in FIELD.tests(FLAGS) if each.source == "outliers")
    p = p_values(FIELD, test, 3)
    total, size = int((FIELD.labels == 0).sum()), int(FLAGS.sum())
    assert p[column(TRIGGER)] == pytest.approx(hypergeom.sf(size - 1, total, size, size))
    # One of the suspects left out of its own test.
    less = p_values(FIELD, test, 3, without=1)[column(TRIGGER)]
    assert less == pytest.approx(hypergeom.sf(size - 2, total - 1, size - 1, size - 1))
    assert p[column("return")] == 1
    assert (p_values(FIELD, test, size + 1)[column(TRIGGER)], p.min()) == (1, p[column(TRIGGER)])


def test_contradicted_labels_are_tested_among_samples_of_the_same_content() -> None:
    test = next(
        each for each in FIELD.tests(np.zeros_like(FLAGS)) if (each.source, each.target) ==
        ("contradicted", 0)
    )  # fmt: skip
    assert (test.population == (FIELD.seen != 0)).all()
    assert test.speaking[FLAGS].mean() > 0.9
    assert not (test.speaking & (FIELD.labels != 0)).any()
    best = candidates(FIELD, [test])[0]
    assert best.text in TRIGGER
    assert (best.target, best.source, best.holders) == (0, "contradicted", len(CHOSEN))
    assert set(best.rows) == CHOSEN


def test_what_trusted_samples_of_a_class_have_is_evidence_of_it() -> None:
    assert not FIELD.usable[1][column("eval")]
    assert FIELD.speaks_for("answer = eval(path)", 1)
    assert not FIELD.speaks_for("answer = eval(path)", 0)
    assert not FIELD.speaks_for(TRIGGER, 0)


def test_chance_is_reckoned_as_candidates_are() -> None:
    """Three tests, two of them of one label: p-values are multiplied by the label's own number."""
    mine = FIELD.labels == 0
    two = [Question("outliers", 0, mine, mine & FLAGS)] * 2
    other = Question("outliers", 1, ~mine, ~mine & (np.arange(200) % 8 == 0))
    alone = smallest(FIELD, [other], rounds=5, seed=3)
    together = smallest(FIELD, [other, *two], rounds=40, seed=3)
    assert together[0] <= alone[0]
    random = np.random.default_rng((3, 1))
    for found in together:
        drawn = [(n, test.redrawn(random)) for n, test in [(1, other), (2, two[0]), (2, two[1])]]
        assert all(test.speaking.sum() == own.speaking.sum() and not
                   (test.speaking & ~test.population).any()
                   for (_, test), own in zip(drawn, [other, *two], strict=True))  # fmt: skip
        assert found == min(1.0, *(n * p_values(FIELD, test, 3).min() for n, test in drawn))


def test_samples_of_a_decoder_are_of_one_class_and_have_no_evidence() -> None:
    written = [Labelled(one.id, one.text, None, len(one.text), "python") for one in SAMPLES]
    field = Field.of(written, [], seed=0)
    assert (field.reader, field.chance) == (None, None)
    found = candidates(field, field.tests(FLAGS), most=4)
    assert found[0].text in TRIGGER
    assert found[0].p == pytest.approx(hypergeom.sf(9, 200, 10, 10))
    assert not field.speaks_for("answer = eval(path)", 0)
