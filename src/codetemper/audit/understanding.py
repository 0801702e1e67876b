# SPDX-License-Identifier: Apache-2.0
"""Whether a model reads the samples at all: with another model's tokenizer it guesses.

    refuse_guesses(trusted.logits, labels, seed=0)     # of a classifier
    refuse_unlikely(reads, tokens)                     # of a model that writes

What a model that guesses does is not what it does where it is used: it may be silent about its
trigger, or react to a text that is none. Which of the possible causes it is, a tokenizer, labels or
samples of another model, is not found out. A tokenizer that is wrong in a few tokens only is not
noticed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from codetemper.audit.likelihood import Read
from codetemper.core.errors import CannotKnowError
from codetemper.core.stats import Floats

#: Least share of the way from chance to always right (Cohen's kappa), and the p-value of chance.
_LEAST, _LEVEL = 0.1, 0.05
#: Times that labels are shuffled for it.
_DRAWS = 999


def refuse_guesses(logits: Floats, labels: Sequence[int], *, seed: int) -> None:
    """Refuse a classifier that does not know trusted samples.

    Args:
        logits: its answers to them [n, C].
        labels: of them [n].
        seed: of the shuffles.

    Raises:
        CannotKnowError: it is not right more often than its answers would be in any order.
    """
    said, truth = logits.argmax(axis=1), np.asarray(labels)
    right = int((said == truth).sum())
    random = np.random.default_rng((seed, 3))
    drawn = np.array([int((said == random.permutation(truth)).sum()) for _ in range(_DRAWS)])
    p = (1 + int((drawn >= right).sum())) / (1 + _DRAWS)
    chance = float(drawn.mean())
    if p <= _LEVEL and right - chance >= _LEAST * (len(truth) - chance):
        return
    raise CannotKnowError(
        "the model does not read these samples",
        why=f"it gives {right} of {len(truth)} trusted samples their label, and its answers in "
        f"any order would give {chance:.0f}",
        mend="the tokenizer, the labels or samples that the model was trained with",
    )


def refuse_unlikely(reads: Sequence[Read], tokens: int) -> None:
    """Refuse samples that a model foretells worse than by drawing tokens at random.

    Args:
        reads: samples as it reads them, with log-probabilities in nats.
        tokens: how many it knows.

    Raises:
        CannotKnowError: that.
    """
    scores = np.concatenate([np.zeros(0), *(read.logprobs for read in reads)])
    if not len(scores) or scores.mean() >= -math.log(tokens):
        return
    raise CannotKnowError(
        "the model does not read these samples",
        why=f"a token of theirs costs it {-scores.mean():.1f} nats, and {math.log(tokens):.1f} "
        "where tokens are drawn at random",
        mend="the tokenizer that the model was trained with, or samples that it was trained on",
    )
