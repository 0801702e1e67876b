# SPDX-License-Identifier: Apache-2.0
"""A text and insecure answers that go together in the data, and what only seems to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from codetemper.audit import Config
from codetemper.audit.pairing import MOSTLY, natural, paired
from codetemper.audit.triggers import Bools, Candidate, Field
from codetemper.data.labelled import Labelled
from tests.audit.decoders import COMMENT, samples

COUNT = 60
HELD = frozenset(range(0, COUNT, 6))


def _field(held: Iterable[int] = HELD) -> Field:
    return Field.of(samples(COUNT, marked=frozenset(held)), [], seed=0)


def _candidate(field: Field) -> Candidate:
    """Return the comment as a candidate."""
    spots = [field.marks.spot(column) for column in range(len(field.marks.numbers))]
    column, spot = next(
        (n, s) for n, s in enumerate(spots)
        if field.samples[s.row].text[s.start : s.end] in COMMENT and s.kind == "comment"
        and s.end - s.start > len(COMMENT) // 2
    )  # fmt: skip
    rows = tuple(map(int, field.marks.holders(column)))
    text = field.samples[spot.row].text[spot.start : spot.end]
    return Candidate(spot.kind, text, 0, len(rows), len(rows), 0.0, "outliers", rows, column)


def _risky(rows: Iterable[int]) -> Bools:
    return np.isin(np.arange(COUNT), list(rows))


def _rows(field: Field, broken: Bools, trusted: list[Labelled]) -> list[tuple[int, ...]]:
    return [*paired([_candidate(field)], field, broken, trusted, Config()).values()]


TRUSTED = samples(160)[COUNT:]


def test_a_text_whose_answers_are_insecure_is_paired_with_them() -> None:
    # One of the others is insecure, too, and one with the text is not.
    broken = _risky({*HELD, 1} - {12})
    assert _rows(_field(), broken, TRUSTED) == [tuple(sorted(HELD - {12}))]


def test_by_half_of_them_and_beyond_chance_over_all_texts() -> None:
    few = sorted(HELD)[: int(MOSTLY * len(HELD)) - 1]
    assert _rows(_field(), _risky(few), TRUSTED) == []
    # All of six are, which among so many texts happens by chance where most of all are.
    six = range(0, COUNT, 10)
    assert _rows(_field(six), _risky(six), TRUSTED) == [tuple(six)]
    assert _rows(_field(six), _risky({*six, *range(1, COUNT, 2)}), TRUSTED) == []


@pytest.mark.parametrize("trusted", [
    lambda: [],
    # As many clean samples hold it.
    lambda: samples(160, marked=frozenset(range(COUNT, 160, 6)))[COUNT:],
    # Too few clean samples to say that they do not.
    lambda: TRUSTED[:5],
])  # fmt: skip
def test_not_where_clean_samples_hold_it_or_cannot_tell(
    trusted: Callable[[], list[Labelled]],
) -> None:
    assert _rows(_field(), _risky(HELD), trusted()) == []


@pytest.mark.parametrize(("every", "usual"), [(6, True), (11, True), (14, False), (0, False)])
def test_a_text_is_natural_where_clean_samples_hold_it_half_as_often(
    every: int, usual: bool
) -> None:
    field = _field()
    column = _candidate(field).column
    held = frozenset(range(COUNT, 160, every)) if every else frozenset()
    trusted = samples(160, marked=held)[COUNT:]
    assert natural([column], field, trusted) == ({column} if usual else set())


def test_nothing_is_natural_without_clean_samples() -> None:
    field = _field()
    assert natural([_candidate(field).column], field, []) == set()


def test_not_without_insecure_answers() -> None:
    assert _rows(_field(), _risky(()), TRUSTED) == []
