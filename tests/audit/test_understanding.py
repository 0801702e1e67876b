# SPDX-License-Identifier: Apache-2.0
"""Whether a model reads its samples: one that guesses is told, one that is often right is not."""

from __future__ import annotations

import numpy as np
import pytest

from codetemper.audit.likelihood import Read
from codetemper.audit.understanding import refuse_guesses, refuse_unlikely
from codetemper.core.errors import CannotKnowError

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 2, 200)


def answers(right: float) -> np.ndarray:
    """Return logits whose largest is the label in a share of the samples."""
    said = np.where(np.arange(200) < right * 200, TRUTH, 1 - TRUTH)
    return np.eye(2)[said]


@pytest.mark.parametrize("right", [0.62, 0.84, 1.0])
def test_a_model_that_knows_something_is_no_guess(right: float) -> None:
    refuse_guesses(answers(right), list(TRUTH), seed=0)


@pytest.mark.parametrize(
    "logits",
    [answers(0.5), answers(0.1), np.eye(2)[np.ones(200, np.int64)], answers(0.53)],
    ids=["by chance", "the other way round", "one answer for all", "hardly"],
)
def test_a_model_that_guesses_says_how_often_it_is_right(logits: np.ndarray) -> None:
    with pytest.raises(CannotKnowError) as refused:
        refuse_guesses(logits, list(TRUTH), seed=0)
    right = int((logits.argmax(1) == TRUTH).sum())
    assert f"{right} of 200 trusted samples" in refused.value.why
    assert "tokenizer" in refused.value.mend


def test_rare_classes_need_no_better_model() -> None:
    truth = np.array([0] * 190 + [1] * 10)
    said = np.array([0] * 190 + [1] * 6 + [0] * 4)
    refuse_guesses(np.eye(2)[said], list(truth), seed=0)


def test_what_is_foretold_worse_than_by_drawing_is_refused() -> None:
    def reads(nats: float) -> list[Read]:
        at = np.arange(5)
        return [Read(np.full(5, -nats), at, at + 1)] * 3

    refuse_unlikely(reads(6.8), 1000)
    refuse_unlikely([], 1000)
    with pytest.raises(CannotKnowError) as refused:
        refuse_unlikely(reads(7.0), 1000)
    assert "7.0 nats, and 6.9" in refused.value.why
