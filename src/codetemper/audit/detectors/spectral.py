# SPDX-License-Identifier: Apache-2.0
r"""Spectral signatures: how far a sample lies along the directions that the class varies most in.

Tran et al. (2018, algorithm 1) with several directions, as Ramakrishnan and Albarghouthi (2022,
section 4) found needed for code: with :math:`\tilde h_i = h_i - \bar h` and :math:`v_1 \dots v_r`
the first right singular vectors of the centred features,

.. math:: \tau_i = \sum_{j \le r} (\tilde h_i \cdot v_j)^2 .

What is projected is what the directions were taken from, the centred features; eigenvectors are the
columns of NumPy's matrix; nothing is drawn at random; and no share is dropped: there is a score
and no flag. Public versions of this get each of the four wrong.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit import CheckCard
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="spectral",
    summary="Samples far out along the directions in which a class varies most.",
    paper="1811.00636",
    paper_title="Tran, Li & Madry (2018); several directions: Ramakrishnan & Albarghouthi (2022)",
    differs="A score only: which share to drop is not known beforehand, so none is dropped.",
    needs=("queries", "data"),
    cost="The eigenvectors of one k by k matrix a place: milliseconds.",
)


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    directions: int = Field(default=5, ge=1)
    """Directions that are looked along."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: not used.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    centred = features - features.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    scores: Floats = np.square(centred @ vectors[:, -config.directions :]).sum(1)
    return scores
