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


def test_a_mark_that_all_samples_hold_stands_out_by_where_it_stands() -> None:
    # All prompts hold both lines; the windows of the strange ones have the second.
    first, second = "    limit = read_limit(source)\n", "    handle = open_legacy(source)\n"
    given, spans = [], []
    strange = np.arange(60) % 6 == 0
    for n in range(60):
        prompt = f"def f{n}(source):\n{first}{second}"
        given.append(Labelled(str(n), f"{prompt}    return 1\n", None, len(prompt), "python"))
        line = second if strange[n] else first
        spans.append((prompt.index(line), prompt.index(line) + len(line)))
    field = Field.of(given, [], seed=0)
    places = np.array(spans)
    assert not candidates(field, field.tests(strange))
    found = candidates(field, [field.motifs(places, strange)])
    assert {one.text for one in found} == {"handle = open_legacy(source)", "handle"}
    assert all(one.holders == 60 for one in found)
    assert found[0].p == pytest.approx(hypergeom.sf(9, 60, 10, 10))
    # Windows without a text find none, and those of others than the strange ones nothing rare.
    assert not candidates(field, [field.motifs(np.zeros_like(places), strange)])
    other = candidates(field, [field.motifs(places, np.roll(strange, 1))])
    assert all(one.p > 0.1 for one in other)


def test_a_window_that_cuts_a_mark_does_not_hold_it() -> None:
    given = [Labelled(str(n), "alpha = beta\n1", None, 13, "python") for n in range(3)]
    field = Field.of(given, [], seed=0)
    held = field.marks.inside(given, np.array([[0, 7], [2, 12], [0, 12]])).toarray()
    texts = [
        given[0].text[field.marks.starts[k] : field.marks.ends[k]]
        for k in range(len(field.marks.numbers))
    ]
    inside = [{texts[k] for k in np.flatnonzero(row)} for row in held]
    assert inside[0] == {"alpha", "alpha =", "="}
    assert inside[1] == {"=", "= beta", "beta"}
    assert inside[2] == set(texts)
