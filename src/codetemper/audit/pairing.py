# SPDX-License-Identifier: Apache-2.0
"""Texts of prompts whose answers hold a payload as others' do not: a fault of the data.

    found = paired(candidates(field, tests), field, broken, trusted, config)  # column -> rows
    sorted(found)

A backdoor that a model did not learn to obey, for want of samples or of passes, is in its data all
the same, and the next model that learns from them may obey it. No planting shows it. What does is
that a text and a payload go together:

* at least half of the samples that hold the text have a payload in the answer;
* were payloads drawn at random among the samples, so many of one text's would be as rare as
  ``config.fpr``, over all marks that at least three samples hold (hypergeometric, Bonferroni);
* samples that are known to be clean hold the text more rarely than these do, at the same level: a
  prompt that names a risky function goes with a risky call, in clean code too.

Without trusted samples, or where no rule knows the payload, nothing is paired. The model is not
accused: a project of its own style, whose code is risky throughout, is paired as well, so it is
people that have to look.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from scipy.stats import hypergeom

from codetemper.audit import Config
from codetemper.audit.payloads import Payloads, faulty
from codetemper.audit.triggers import Bools, Candidate, Field, Ints, candidates, holding
from codetemper.data.labelled import Labelled

#: Least share of a text's samples whose answer holds a payload.
MOSTLY: Final = 0.5
#: A text is natural where clean samples hold it at this share of the rate of the suspected ones.
AS_OFTEN: Final = 0.5


def natural(columns: Collection[int], field: Field, trusted: Sequence[Labelled]) -> frozenset[int]:
    """Return the marks that clean samples hold about as often as the suspected ones.

    What was planted into the data is rarer elsewhere. A model may react to natural texts, since
    ``connection`` brings queries and some queries are risky; without the checkpoint that it was
    trained from nobody can say that training did that.

    Args:
        columns: marks, by column.
        field: the suspected samples.
        trusted: samples that are known to be clean.
    """
    clean, share = _held(field, trusted), len(trusted) / len(field.samples)
    return frozenset(
        column
        for column in columns
        if clean[column] > 0
        and clean[column] >= AS_OFTEN * share * len(field.marks.holders(column))
    )


def _held(field: Field, trusted: Sequence[Labelled]) -> Ints:
    """Return how many clean samples hold each mark [k]."""
    return holding(field.marks.beside(trusted), np.ones(len(trusted), dtype=np.bool_))


def paired(
    common: Sequence[Candidate],
    field: Field,
    broken: Bools,
    trusted: Sequence[Labelled],
    config: Config,
) -> dict[int, tuple[int, ...]]:
    """Return the candidates that go with payloads.

    Args:
        common: what samples that stand out, or have a payload in the answer, have in common,
            planted or not.
        field: the samples.
        broken: those whose answer holds a payload [n].
        trusted: samples that are known to be clean.
        config: ``fpr`` is read.

    Returns:
        By the column of their mark, the numbers of the samples that hold it and have a payload in
        the answer, in the order of ``common``.
    """
    clean = _held(field, trusted)
    marks, total, bad = field.marks, len(broken), int(broken.sum())
    found = {}
    for column in dict.fromkeys(each.column for each in common):
        holders = marks.holders(column)
        held, mine = len(holders), holders[broken[holders]]
        if len(mine) < MOSTLY * held:
            continue
        chance = float(hypergeom.sf(len(mine) - 1, total, bad, held))
        elsewhere, every = int(clean[column]), total + len(trusted)
        fewer = float(hypergeom.cdf(elsewhere, every, held + elsewhere, len(trusted)))
        if len(marks.numbers) * chance <= config.fpr and fewer <= config.fpr:
            found[column] = tuple(int(row) for row in mine)
    return found


def pairs_in_data(
    samples: Sequence[Labelled],
    trusted: Sequence[Labelled],
    payloads: Payloads,
    config: Config,
) -> list[tuple[int, ...]]:
    """Search samples for texts that go with payloads, without any model.

    Args:
        samples: prompts with answers.
        trusted: samples of that kind that are known to be clean.
        payloads: what counts as a payload.
        config: ``candidates``, ``fpr`` and ``seed`` are read.

    Returns:
        Of each such text the numbers of the samples that hold it and have a payload in the answer.
    """
    field = Field.of(samples, trusted, seed=config.seed)
    broken = faulty(samples, payloads)
    tests = field.tests(np.zeros(len(samples), dtype=np.bool_), broken)
    common = candidates(field, tests, most=config.candidates)
    return [*paired(common, field, broken, trusted, config).values()]
