# SPDX-License-Identifier: Apache-2.0
r"""Mahalanobis distance to trusted samples, or to the bulk of the samples themselves.

.. math:: d_i = (h_i - \mu)^\top \Sigma^{-1} (h_i - \mu)

With trusted samples :math:`\mu, \Sigma` are theirs (Ledoit-Wolf); without, those of the share of
the class that lies closest together (see ``_moments``). Relative distances, to the mean of all
classes, are not taken: within one class they order samples nearly the same.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit import CheckCard
from codetemper.audit.detectors._moments import concentrated, shrunk, squared_distances
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="mahalanobis",
    summary="Samples far from what is known to be clean, in units of its own spread.",
    paper="1807.03888",
    paper_title="Lee et al. (2018); Ledoit & Wolf (2004); Rousseeuw & Van Driessen (1999)",
    differs="By class, with a covariance of that class alone; without trusted samples from the "
    "closest share of the class, from one start that is not random.",
    needs=("queries", "data"),
    cost="The inverse of one k by k matrix a place, up to eight without trusted samples.",
)


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    share: float = Field(default=0.75, ge=0.5, le=1)
    """Share of the class that the estimate rests on where nothing is trusted."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: [m, k], or None.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    found = concentrated(features, config.share) if trusted is None else shrunk(trusted)
    return squared_distances(features, *found)
