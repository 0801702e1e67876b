# SPDX-License-Identifier: Apache-2.0
r"""Innocent label errors told from poison, among samples that stand out.

    noise = explain(samples, flagged, layers, logits, trusted=trusted, trusted_layers=known)
    noise.fix, noise.suggested      # the "fix labels" list
    noise.poison                    # higher: poison rather than noise

Both have a label that their content contradicts, and innocent errors stand out more. Four things
tell them apart:

* *shared*: poisoned samples hold a text in common that samples labelled rightly do not hold; label
  noise falls on all alike, so errors hold none. Of the samples whose content is of another class
  beyond doubt: do those with this label hold a mark more often (hypergeometric, -log10 p of the
  best mark, the sample itself left out)?
* *agree*: the suspect model's own logits speak for a poisoned label, and against a wrong one;
* *apart*: an error lies among the samples of its true class, poison far from those of every class
  (the least Mahalanobis distance to a class, over layers);
* *depth*: over the layers an error becomes more and more what it truly is, while poison turns
  towards its label (the slope of the evidence for the label, after Mahalanobis).

What errors look like need not be known from labelled errors: a trusted sample under a wrong label
is one. Such *made errors* give every part its null: a part is the sample's value about their
median, in units of their spread and cut at ``LIMIT``, but for *shared*, which is in powers of ten.
A training sample may be learnt by heart, and then the model's own parts say nothing; so ``poison``
is *shared* and, beside it, each other part by as much as it tells samples that share a text from
samples that share none (2 AUROC - 1, lower end of its interval). A sample is explained by noise
where its content contradicts the label and ``poison`` is within what made errors reach (split
conformal, at ``level``). Nothing is fitted to known poison, and it is no verdict: a sample that is
not explained is still only one that stands out. Poison that shares no text is not told from noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit._contrasts import Material, Side, contrast
from codetemper.audit.calibration import Flags, Labels, conformal_by_class
from codetemper.audit.triggers import Field as TextField
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled

__all__ = ["LIMIT", "Config", "Noise", "explain"]

#: Parts are cut here, in units of the spread of made errors, so that none outvotes the others.
LIMIT = 4.0
#: Share of made errors that share as much as a sample has to for being taken as poison's.
_RARE = 0.05
#: Median absolute deviation of a normal distribution, as a share of its standard deviation.
_MAD = 0.6745


class Config(BaseModel):
    """Rules of telling label noise from poison."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    folds: int = Field(default=5, ge=2)
    """Parts of the samples where none are trusted: each part is judged by the others."""
    level: float = Field(default=0.05, gt=0, lt=1)
    """Chance that a label error is not explained by label noise."""
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    """Seed of the folds."""


@dataclass(frozen=True)
class Noise:
    """What label noise explains.

    Attributes:
        error: [n] chance that the label is wrong, by classifiers that did not see the sample.
        poison: [n] how much rather poison than noise, among the flagged; NaN elsewhere.
        p: [n] share of made errors that are as much like poison, among the flagged; NaN elsewhere.
        fix: [n] flagged samples that label noise explains.
        suggested: [n] the label that their kind has; -1 where ``fix`` is False.
        parts: what ``poison`` is a mean of, each [n] with NaN outside the flagged.
        weights: how much each part counts in it.
        field: the samples as they were searched for texts, with the trusted ones where there are.
    """

    error: Floats
    poison: Floats
    p: Floats
    fix: Flags
    suggested: Labels
    parts: dict[str, Floats]
    weights: dict[str, float]
    field: TextField


def explain(
    samples: Sequence[Labelled],
    flagged: Flags,
    layers: Sequence[Floats],
    logits: Floats | None,
    *,
    trusted: Sequence[Labelled] | None = None,
    trusted_layers: Sequence[Floats] | None = None,
    trusted_logits: Floats | None = None,
    config: Config | None = None,
) -> Noise:
    """Say which of the samples that stand out are label errors.

    Args:
        samples: n labelled samples.
        flagged: [n] those that stand out.
        layers: features [n, k] of one pool (the decision token's, where there is one), first
            layer to last.
        logits: [n, C] of the suspect model; None where it has none.
        trusted: m samples with labels that are known to be right. Without them those that are not
            flagged take their place, which poison that was not flagged blunts.
        trusted_layers: their features, each [m, k], as ``layers``; needed with ``trusted``.
        trusted_logits: theirs [m, C]; needed with ``trusted`` and ``logits``.
        config: rules.

    Returns:
        What label noise explains of the flagged samples.

    Raises:
        CannotKnowError: samples without labels or all of one, too few to learn the classes from,
            or nothing that sees a class in them.
    """
    config = config or Config()
    labels = _labels(samples)
    known = None
    if trusted is not None and trusted_layers is not None:
        known = Material(trusted, _labels(trusted), trusted_layers, trusted_logits)
    view = contrast(
        Material(samples, labels, layers, logits),
        flagged, known, folds=config.folds, seed=config.seed,
    )  # fmt: skip
    made, real = view.made, view.real
    parts = {name: _standard(real, made, name) for name in real.parts}
    null = {name: _standard(made, made, name) for name in made.parts}
    wrong = view.error > 0.5
    weights = _weights(parts, null, wrong)
    poison = np.where(flagged, _weighed(parts, weights), np.nan)
    p = np.full(len(samples), np.nan)
    p[flagged] = conformal_by_class(
        poison[flagged], labels[flagged], _weighed(null, weights), made.labels
    )
    fix = flagged & wrong & (p > config.level)
    return Noise(
        error=view.error,
        poison=poison,
        p=p,
        fix=fix,
        suggested=np.where(fix, view.seen, -1),
        parts={name: np.where(flagged, values, np.nan) for name, values in parts.items()},
        weights=weights,
        field=view.field,
    )


def _labels(samples: Sequence[Labelled]) -> Labels:
    labels = np.array([-1 if sample.label is None else sample.label for sample in samples])
    if len(labels) == 0 or labels.min() < 0 or len(np.unique(labels)) < 2:
        raise CannotKnowError(
            "label errors cannot be told",
            why="there are samples without a label" if (labels < 0).any() else
            f"all {len(labels)} samples have the same label",
            mend="give a classifier's samples, of two classes or more",
        )  # fmt: skip
    return labels.astype(np.int64)


def _standard(side: Side, made: Side, name: str) -> Floats:
    """Return a part about the median of made errors of the label, in the spread of all of them.

    Only ``shared`` keeps its unit, powers of ten of a p-value, and its length.
    """
    null, values = made.parts[name], side.parts[name].copy()
    left = np.empty(len(null))
    for label in np.unique(made.labels):
        own = made.labels == label
        middle = float(np.median(null[own]))
        left[own] = null[own] - middle
        values[side.labels == label] -= middle
    if name == "shared":
        return values
    # Where most made errors are equal, their standard deviation tells the scale.
    spread = float(np.median(np.abs(left))) / _MAD or float(left.std()) or 1.0
    return np.clip(values / spread, -LIMIT, LIMIT)


def _weights(parts: dict[str, Floats], null: dict[str, Floats], wrong: Flags) -> dict[str, float]:
    """Say how much each part counts: ``shared`` one, the others as far as they bear it out.

    Of the samples whose content contradicts the label, those that share a text as no made error in
    twenty does are set against those that share no more than the median made error.
    """
    shared = parts["shared"]
    many = wrong & (shared > np.quantile(null["shared"], 1 - _RARE))
    few = wrong & (shared <= 0)
    weights = {"shared": 1.0}
    for name in sorted(parts.keys() - {"shared"}):
        values = parts[name]
        skill = auroc(list(values[many]), list(values[few])).low if many.any() and few.any() else 0
        weights[name] = max(0.0, 2 * skill - 1)
    return weights


def _weighed(parts: dict[str, Floats], weights: dict[str, float]) -> Floats:
    total = sum(weight * parts[name] for name, weight in weights.items())
    return np.asarray(total / sum(weights.values()), dtype=np.float64)
