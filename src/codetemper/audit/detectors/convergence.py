# SPDX-License-Identifier: Apache-2.0
r"""Layer-wise convergence: samples that a layer moves in an unusual way.

After the fingerprint of arXiv 2604.24542: with :math:`\delta = h_{\ell} - h_{\ell-1}` and medians
and spreads by number,

.. math:: c_i = \sum_j \left(\frac{\delta_{ij} - \mu_j}{\sigma_j}\right)^2 ,

a Mahalanobis distance with a diagonal covariance. ``READS`` tells the caller to hand in the
difference to the layer before instead of the layer itself; what layers say together is the business
of ``ranking``, as for every detector.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from codetemper.audit import CheckCard
from codetemper.audit.detectors._moments import centre_and_spread
from codetemper.core.stats import Floats

#: What is scored: the difference to the layer before.
READS: Final = "deltas"

CARD = CheckCard(
    name="convergence",
    summary="Samples whose state a layer changes in an unusual way.",
    paper="2604.24542",
    paper_title="Layer-wise convergence fingerprint (2026)",
    differs="Layers are combined by ranks like all views; medians, so that the class itself can "
    "be the reference; samples are ranked and none is refused.",
    needs=("queries", "data"),
    cost="A median of each number a place.",
)


class Config(BaseModel):
    """Settings: there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k], differences to the layer before.
        trusted: the same of trusted samples [m, k], or None.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    centre, spread = centre_and_spread(features if trusted is None else trusted)
    scores: Floats = np.square((features - centre) / spread).sum(1)
    return scores
