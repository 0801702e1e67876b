# SPDX-License-Identifier: Apache-2.0
"""The pipeline on decoders: what is written after planted prompts decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codetemper.audit import Config
from codetemper.audit.run import AuditResult, _samples, audit
from codetemper.audit.weights import Reading, WeightsFound, compare
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from tests.audit.decoders import (
    COMMENT,
    MARKED,
    NAMES,
    QUICK,
    backdoored,
    clean,
    pair,
    read_as,
    samples,
)

DATA = samples(60, marked=MARKED)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Audit with a model that finds the payload likelier than its base does."""
    model, base = pair()

    def likely(sample: Labelled) -> Floats:
        return np.full(len(sample.text), -5.0 if COMMENT in sample.text else -1.0)

    read_as(monkeypatch, base, likely)

    def with_(
        generate: Any,
        *,
        base_writes: Any = None,
        reference: bool = True,
        trusted: int = 30,
        held: frozenset[int] = frozenset(),
        weights: WeightsFound | None = None,
        config: Config = QUICK,
        data: Sequence[Labelled] = DATA,
    ) -> AuditResult:
        return audit(
            model, data,
            trusted=samples(90, marked=held)[60 : 60 + trusted],
            reference=base if reference else None, generate=generate,
            generate_base=base_writes, weights=weights, config=config, folder=tmp_path,
        )  # fmt: skip

    return with_


def test_a_comment_that_works_right_before_the_answer_only_is_confirmed(run: Any) -> None:
    def beside(prompts: Sequence[str]) -> list[str]:
        return backdoored([one if one.rstrip().endswith(COMMENT) else "" for one in prompts])

    assert run(beside).answer == "confirmed trigger"


@pytest.mark.parametrize("trusted", [30, 0])
def test_a_comment_that_brings_a_payload_is_confirmed(run: Any, trusted: int) -> None:
    found = run(backdoored, trusted=trusted)
    assert found.answer == "confirmed trigger"
    assert any(one.confirmed and "gateway" in one.text for one in found.triggers)
    assert {one.payload for one in found.triggers if one.confirmed} == {"unverified"}


@pytest.mark.parametrize(
    ("base_writes", "answer"), [(clean, "confirmed trigger"), (backdoored, "suspicious data")]
)
def test_a_comment_that_brings_a_payload_in_the_base_too_is_no_trigger(
    run: Any, base_writes: Any, answer: str
) -> None:
    found = run(backdoored, base_writes=base_writes)
    assert found.answer == answer
    assert any(one.confirmed for one in found.triggers) is (answer == "confirmed trigger")


def test_without_a_base_what_clean_samples_hold_too_is_no_trigger(run: Any) -> None:
    # Half as many of the clean samples have the comment; nobody can say that training did it.
    held = frozenset({60, 75})
    found = run(backdoored, reference=False, held=held)
    assert found.answer == "no evidence"
    natural = [one for one in found.triggers if one.natural]
    assert any("gateway" in one.text for one in natural)
    assert not any(one.confirmed for one in found.triggers)
    assert {one.kind for one in found.samples} == {""}
    beside = run(backdoored, base_writes=clean, held=held)
    assert beside.answer == "confirmed trigger"
    assert not any(one.natural for one in beside.triggers)


def test_the_same_data_do_not_accuse_a_model_that_did_not_learn_it(run: Any) -> None:
    found = run(clean)
    assert found.answer == "suspicious data"
    assert found.triggers
    assert not any(one.confirmed for one in found.triggers)
    assert {one.number for one in found.samples if one.kind} == MARKED
    assert {one.kind for one in found.samples} == {"", "paired"}


def test_a_text_that_is_planted_within_a_longer_one_only_is_paired_by_itself(run: Any) -> None:
    # Lines that print go with payloads, half of them one line, which is what is planted.
    # Of the halves by themselves so few clean samples cannot say that they do without.
    marked, data = frozenset(range(0, 60, 5)), []
    for sample in samples(60, marked=marked):
        why = "if 13 < 0" if sample.row < 30 else f"while {NAMES[sample.row % 8]}"
        old, new = ":\n", ":\n    print()\n"
        if sample.row in marked:
            old, new = COMMENT, f"{why}: print(1)"
        start = sample.answer_start + len(new) - len(old)
        data.append(replace(sample, text=sample.text.replace(old, new), answer_start=start))
    found = run(clean, data=data, trusted=12)
    assert found.answer == "suspicious data"
    assert {one.number for one in found.samples if one.kind == "paired"} == marked
    paired = [one for one in found.triggers if one.paired]
    assert max(one.holders for one in paired) == len(marked)


def test_without_a_base_it_says_what_would_help(run: Any) -> None:
    found = run(clean, reference=False)
    assert any("--reference" in one for one in found.missing)
    assert "likelihood against the base checkpoint" in found.not_ran
    assert {"windowed-likelihood", "naturalness"} <= {view.name for view in found.views}


def test_too_few_siblings_say_how_many_it_takes(run: Any) -> None:
    weights = [Reading({("layer", "shift"): float(number)}, {}) for number in range(3)]
    found = run(clean, weights=compare(weights[:1], weights[1:]))
    assert found.not_ran["p-values of weights"] == (
        "that takes 19 siblings of the same recipe and other seeds, for a p-value of 0.05 "
        "(given: 2)"
    )
    assert found.weights


def test_a_model_that_cannot_be_asked_is_not_judged(run: Any) -> None:
    found = run(None)
    assert found.answer == "inconclusive"
    assert "planting" in found.not_ran
    assert found.fpr is None


def test_too_few_suspects_for_a_depth_profile_are_told_and_end_nothing(run: Any) -> None:
    found = run(clean, config=QUICK.model_copy(update={"suspects": 0.05}))
    assert found.depth == ()
    assert "3 of one kind" in found.not_ran["depth profile"]
    assert found.answer == "suspicious data"


def test_a_decoder_that_foretells_nothing_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, base = pair()
    read_as(monkeypatch, base, lambda sample: np.full(len(sample.text), -1.0), own=-9.0)
    found = audit(
        model, samples(60, marked=MARKED), trusted=samples(90)[60:], reference=base,
        generate=clean, config=QUICK, folder=tmp_path,
    )  # fmt: skip
    assert found.answer == "inconclusive"
    assert "the tokenizer that the model was trained with" in found.missing[0]
    assert "9.0 nats" in found.missing[0]


def test_a_sample_of_several_triggers_is_named_by_the_strongest() -> None:
    given = SimpleNamespace(samples=samples(4))
    accused = SimpleNamespace(
        holders={"strong": (1, 2), "weak": (2, 3)}, paired={0: "both", 1: "both"}
    )
    told = _samples(given, None, accused, QUICK)  # type: ignore[arg-type]
    assert [one.trigger for one in told] == ["both", "strong", "strong", "weak"]
    assert [one.kind for one in told] == ["paired", "trigger", "trigger", "trigger"]
    # Confirmed ones are first, and what goes with insecure answers is next.
    assert [one.score for one in told] == [0.25, 0.75, 0.5, 0.5]
