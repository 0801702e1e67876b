# SPDX-License-Identifier: Apache-2.0
r"""Quantum entropy scores (SPECTRE): whiten by clean statistics, then weigh what is still too wide.

Hayase et al. (2021, algorithms 1 and 3): features on their first directions are whitened with a
robust mean and covariance of the class, so that its clean samples have about the identity as
covariance. The covariance :math:`\tilde\Sigma` of all then sticks out where bad ones are, and

.. math:: \tau_i = \frac{x_i^\top Q\, x_i}{\operatorname{tr} Q},
          \qquad Q = \exp\!\left(\alpha\,\frac{\tilde\Sigma - I}{\|\tilde\Sigma\|_2 - 1}\right)

looks along one such direction (large :math:`\alpha`) or along all alike (:math:`\alpha = 0`).
Trusted samples are not whitened with: a model spreads what it was trained on otherwise than what it
was not, and the widest direction would be that difference.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit import CheckCard
from codetemper.audit.detectors._moments import concentrated, whitening
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="que",
    summary="Samples along the directions in which a class is wider than its closest part.",
    paper="2104.11315",
    paper_title="Hayase et al. (2021)",
    differs="The robust estimate is that of the closest share of the class; the paper filters with "
    "the number of poisoned samples known.",
    needs=("queries", "data"),
    cost="Three eigenvalue problems of k by k a place.",
)


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    directions: int = Field(default=32, ge=1)
    """Principal directions of the class that are kept."""
    alpha: float = Field(default=4.0, ge=0)
    """How much one direction counts before the others."""
    share: float = Field(default=0.75, ge=0.5, le=1)
    """Share of the class that the robust estimate rests on."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: not used.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    centre = features.mean(0)
    _, vectors = np.linalg.eigh((features - centre).T @ (features - centre))
    kept = vectors[:, -config.directions :]
    reduced = (features - centre) @ kept
    mean, covariance = concentrated(reduced, config.share)
    white = (reduced - mean) @ whitening(covariance)
    widths, directions = np.linalg.eigh(white.T @ white / len(white))
    # Nowhere wider than what is clean: no direction is before the others.
    sharpness = config.alpha / (widths[-1] - 1) if widths[-1] > 1 else 0.0
    weights = np.exp(sharpness * (widths - widths[-1]))
    return np.asarray(np.square(white @ directions) @ (weights / weights.sum()), dtype=np.float64)
