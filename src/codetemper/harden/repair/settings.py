# SPDX-License-Identifier: Apache-2.0
"""Settings of a repair. A setting that names a method is read by that method only."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from codetemper.core.records import Record

Method = Literal["joint", "star", "mint", "sgd", "memit", "pmet", "alphaedit", "rome"]
MetricKind = Literal["auto", "identity", "diagonal", "low-rank", "full", "null-space"]
Pattern = Literal["dense", "global", "even", "layer-wise"]
Scores = Literal["contrast", "gradient", "random"]

#: Answers from which a repair is one of many.
MANY: Final = 8
#: Most rounds of joint, and steps of the others, where nothing is said.
_ROUNDS: Final = 40
_STEPS: Final = 10
#: Leads of few answers, of few with wordings, and of many: what other wordings need is asked of
#: them where they are given, and more would flip more near prompts.
_LEAD: Final = 1.0
_WORDED: Final = 0.35
_SHORT: Final = 0.2


class Config(Record):
    """Settings of one repair."""

    method: Method = "joint"
    """``joint``: closed form over all failing tokens at once. ``star``, ``mint``, ``sgd``: steps
    per failure. ``memit``, ``pmet``, ``alphaedit``, ``rome``: locate-then-edit with code's keys."""

    rounds: int | None = Field(default=None, ge=1)
    """Most rounds of solving and looking again (joint), or of optimiser steps (star, sgd). None: 40
    of joint, which also ends after ten that brought nothing, and 10 of the others."""
    margin: float | None = Field(default=None, ge=0)
    """joint: lead in logits that the wanted token is to have over the best other one. None: 1 of
    few answers, so that other wordings follow; 0.35 where each failure has wordings; 0.2 of many,
    which cost the rest as little as can be (docs/repair.md)."""
    ridge: float = Field(default=0.01, ge=0)
    """Softness of the solve, as a share of the system's mean diagonal (joint: in the last rounds of
    each row's own, where that is less)."""
    guard: bool = True
    """joint: keep what the model predicts in reference texts, wherever the repair would flip it."""

    metric: MetricKind = "auto"
    """What a change costs by direction of the key: nothing known, second moments, low rank plus
    diagonal, all of the covariance, or only what reference texts do not use. ``auto``: ``full`` up
    to 4,096 neurons a layer, ``low-rank`` beyond; for alphaedit ``null-space``."""
    rho: float = Field(default=0.03, gt=0)
    """Share of the mean second moment that is added to each of a covariance's."""
    rank: int = Field(default=256, ge=1)
    """Directions that a low-rank metric keeps."""
    null_share: float = Field(default=0.02, gt=0, lt=1)
    """null-space: directions with less than this share of the largest second moment are free."""
    reference_tokens: int = Field(default=100_000, ge=1)
    """Most tokens of reference texts that statistics are taken of."""

    layers: Literal["all", "quarter", "half"] = "all"
    """Which layers may change: all, or the share of them whose removal hurts the answers most."""
    pattern: Pattern = "dense"
    """Which neurons may change: all; the best over all layers; the best of each; the best of the
    one layer whose removal hurts most. All but ``dense`` have one budget: ratio of a layer."""
    ratio: float = Field(default=1.0, gt=0, le=1)
    """Budget of neurons, as a share of one layer's."""
    scores: Scores = "contrast"
    """What neurons are chosen by: direct contribution to wanted against other token, gradient times
    activation, or chance."""

    iterative: bool = False
    """star, sgd: one failing token after the other instead of all together."""
    step: float | None = Field(default=None, gt=0)
    """star, sgd, mint: step size; None takes the method's own."""
    candidates: int = Field(default=10, ge=1)
    """mint: neurons tried for each edit."""
    edits: int = Field(default=10, ge=1)
    """mint: most edits for a token."""

    edit_layers: int = Field(default=5, ge=1)
    """memit, pmet, alphaedit: layers that a change is spread over."""
    value_steps: int = Field(default=25, ge=1)
    """memit, pmet, alphaedit, rome: steps of the search for what a layer should write."""
    value_rate: float = Field(default=0.5, gt=0)
    """Its learning rate."""
    value_clamp: float = Field(default=4.0, gt=0)
    """Longest change of what is written, in lengths of what was."""
    value_kl: float = Field(default=0.0625, ge=0)
    """Weight of keeping the predictions of the answer's right tokens while searching."""
    moment_weight: float | None = Field(default=None, gt=0)
    """memit, pmet, alphaedit: weight of reference keys against those edited; None: the number of a
    layer's neurons; for alphaedit, ``ridge``."""

    batch_size: int = Field(default=8, ge=1)
    """Texts computed together."""
    seed: int = 0
    """Seed of whatever is drawn."""

    @property
    def most_rounds(self) -> int:
        """Rounds after which the method ends."""
        return self.rounds or (_ROUNDS if self.method == "joint" else _STEPS)

    def lead(self, answers: int, *, worded: bool = False) -> float:
        """Return the lead in logits that is asked for.

        Args:
            answers: how many are repaired, those to other wordings counted.
            worded: whether each failure has further wordings among them.
        """
        if self.margin is not None:
            return self.margin
        if answers >= MANY:
            return _SHORT
        return _WORDED if worded else _LEAD
