# SPDX-License-Identifier: Apache-2.0
"""The refinement benchmark keeps its cases apart, and both of its sides do the same work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.refine import material, peers, quality, step
from codetemper.evaluate import suites


@pytest.mark.parametrize("name", material.TRACKS)
def test_nothing_is_both_learnt_and_asked(name: str, tmp_path: Path) -> None:
    track = replace(material.TRACKS[name], train=90, validation=30)
    written = material.write(track, 1, tmp_path)
    train, validation, test = (
        suites.load(suite).cases for suite in (written.train, written.validation, track.world)
    )
    assert (len(train), len(validation)) == (track.train, track.validation)
    prompts = [{case.prompt for case in part} for part in (train, validation, test)]
    assert not prompts[0] & prompts[1]
    assert not prompts[2] & (prompts[0] | prompts[1])
    learnt = {case.family for case in (*train, *validation)}
    assert not learnt & written.left_out
    assert len(material.of_families(track.world, written.left_out)) >= 10
    assert {case.family for case in test if case.split == "transfer"}.isdisjoint(learnt)


def test_pooled_prompts_of_functions_are_not_asked_either(tmp_path: Path) -> None:
    track = replace(material.TRACKS["security-python"], train=40, validation=10)
    (pooled,) = material.write(track, 1, tmp_path).also
    cases = suites.load(pooled).cases
    assert len(cases) == 20
    assert not {case.prompt for case in cases} & {
        c.prompt for c in suites.load("world-python").cases
    }
    assert not {case.family for case in cases} & material.left_out("world-python", 1)
    assert material.write(replace(track, also=()), 1, tmp_path).also == ()
    assert quality.POOLED in quality.arms_of("security-python")
    assert quality.POOLED not in quality.arms_of("python")


def test_the_same_seed_writes_the_same_suites(tmp_path: Path) -> None:
    track = replace(material.TRACKS["python"], train=20, validation=10)
    made = [material.write(track, seed, tmp_path / str(n)) for n, seed in enumerate((0, 0, 1))]
    digests = [suites.load(one.train).digest for one in made]
    assert digests[0] == digests[1] != digests[2]


def test_the_peer_judges_as_the_cases_say() -> None:
    cases = suites.load("world-python", limit=3).cases
    answers = [[case.reference or "", "    return object()\n", "    return ((\n"] for case in cases]
    assert peers.verdicts(cases, answers) == [[True, False, False]] * 3


def test_random_pairs_have_exactly_the_tokens_of_a_step(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    step.write_model(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for layout in step.LAYOUTS:
        pairs = step.random_pairs(layout, layout.batch, seed=0)
        counted = sum(
            len(tokenizer(prompt)["input_ids"]) + len(tokenizer(answer)["input_ids"]) + 1
            for prompt, *answers in pairs
            for answer in answers
        )
        assert counted == layout.tokens


def test_arms_are_compared_on_the_cases_that_count() -> None:
    before = [{"a": 0.0, "b": 0.0, "c": 1.0}, {"a": 0.0, "b": 0.5, "c": 1.0}]
    after = [{"a": 1.0, "b": 0.0, "c": 0.0}, {"a": 0.0, "b": 0.5, "c": 0.0}]
    whole = quality.compared(before, after)
    assert whole is not None
    assert whole.difference == pytest.approx((0.5 + 0.0 - 1.0) / 3)
    part = quality.compared(before, after, [frozenset("ab"), frozenset("b")])
    assert part is not None
    assert (part.n, part.difference) == (2, pytest.approx(0.5))
    assert quality.compared(before, after, [frozenset(), frozenset()]) is None
