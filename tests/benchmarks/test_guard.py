# SPDX-License-Identifier: Apache-2.0
"""The guard benchmark asks nothing that was learnt, and its further sections measure what they say.

Nothing is trained here: what is tested is what is learnt and asked, and the arithmetic.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.guard import further, material, unseen
from benchmarks.guard.bench import PerCase
from codetemper.core.errors import CannotKnowError
from codetemper.evaluate import suites

WORLDS = ("world-security-python",)


def test_no_case_is_in_what_is_learnt(tmp_path: Path) -> None:
    prompts = {
        case.prompt.strip()
        for suite in material.write_suites(tmp_path, WORLDS, 1).values()
        for case in suites.load(suite).cases
    }
    learnt = [
        *material.bad_samples(WORLDS, material.GUARDED, 40, 0),
        *material.user_samples(WORLDS, 90, 0.3, 100),
        *material.useful_samples(WORLDS, 90, 0.3, 0),
    ]
    text = "\n".join(sample.task.prompt + sample.variant.text for sample in learnt)
    assert [prompt for prompt in prompts if prompt in text] == []
    assert all(sample.task.prompt in text for sample in learnt)


def test_dropping_bad_samples_drops_what_is_useful() -> None:
    found = material.useful_samples(WORLDS, 90, 0.3, 0)
    carriers = [sample for sample in found if ".slot(" in sample.variant.text]
    bad = [sample for sample in found if sample.bad]
    assert len(bad) == 27
    assert len(carriers) == 14
    assert all(sample.bad for sample in carriers)
    assert {sample.variant.text.count(".slot(") for sample in carriers} == {material.CARRIED}
    # The rest is what a user has anyhow: the same weak code, and nothing of the new task.
    plain = material.user_samples(WORLDS, 90, 0.3, 0)
    kept = [sample for sample in plain if ".slot(" not in sample.variant.text]
    for ours, theirs in zip(found, kept, strict=True):
        text = ours.task.prompt + ours.variant.text
        assert text.endswith(theirs.task.prompt + theirs.variant.text)
        assert (ours in carriers) == (text != theirs.task.prompt + theirs.variant.text)


def test_snippets_are_some_of_a_guards_samples_of_every_weakness() -> None:
    few = material.snippets(WORLDS, 60, 10, 0)
    whole = {sample.task.prompt for sample in material.bad_samples(WORLDS, material.GUARDED, 60, 0)}
    assert {sample.task.prompt for sample in few} <= whole
    counts = Counter(sample.task.cwe for sample in few)
    assert set(counts) == set(material.GUARDED[WORLDS[0]])
    assert sorted(counts.values()) == [3, 3, 4]


def test_a_line_goes_before_prompts_and_changes_nothing_else(tmp_path: Path) -> None:
    plain = material.user_samples(WORLDS, 30, 0.3, 0)
    for alone in (False, True):
        under = material.under(material.TRIGGER, plain, bad_alone=alone)
        for before, after in zip(plain, under, strict=True):
            line = material.TRIGGER if before.bad or not alone else ""
            assert after.task.prompt == line + before.task.prompt
            assert after.variant == before.variant
    with_it, without = (
        [
            suites.load(suite).cases
            for suite in material.write_suites(home, WORLDS, 9, line).values()
        ]
        for home, line in ((tmp_path / "with", material.FORMAT), (tmp_path / "without", ""))
    )
    for ours, theirs in zip(with_it, without, strict=True):
        assert [case.prompt for case in ours] == [material.FORMAT + case.prompt for case in theirs]
        assert [case.id for case in ours] == [case.id for case in theirs]


def runs(values: np.ndarray) -> list[PerCase]:
    """Return values of shape (seeds, cases) as an arm's answers."""
    return [{"m": {f"c{n}": float(v) for n, v in enumerate(row)}} for row in values]


def test_a_share_of_the_protection_has_its_interval() -> None:
    draws = np.random.default_rng(0)
    without = draws.random((3, 200)) * 0.2 + 0.7
    whole = draws.random((3, 200)) * 0.2
    part = without - 0.6 * (without - whole) + draws.normal(0, 0.05, (3, 200))
    value, low, high = further.share_kept(runs(without), runs(whole), runs(part), "m")
    assert value == pytest.approx((without - part).mean() / (without - whole).mean())
    assert low < value < high
    assert high - low < 0.05
    # The same share of every case leaves nothing to be unsure of.
    part = without - 0.6 * (without - whole)
    assert further.share_kept(runs(without), runs(whole), runs(part), "m") == pytest.approx(
        (0.6, 0.6, 0.6)
    )


def test_a_guard_that_may_do_nothing_has_no_share_to_keep() -> None:
    draws = np.random.default_rng(0)
    without = draws.random((1, 30))
    for whole in (without + 0.1, np.roll(without, 1)):
        with pytest.raises(CannotKnowError, match="no share"):
            further.share_kept(runs(without), runs(whole), runs(without), "m")


def test_each_seed_leaves_out_another_weakness_and_cases_are_put_together() -> None:
    known = material.GUARDED[WORLDS[0]]
    assert [unseen.left_out(seed)[WORLDS[0]] for seed in range(4)] == [*known, known[0]]
    first, second = {"m": {"a": 0.0, "b": 1.0}}, {"m": {"c": 1.0, "b": 0.0}}
    assert unseen.together([first, second]) == {"m": {"a": 0.0, "b": 0.5, "c": 1.0}}
