# SPDX-License-Identifier: Apache-2.0
r"""Beatrix: how unusual the products of a sample's own features are.

Ma et al. (2023, section IV): the Gram matrix of order p of a sample's features,

.. math:: G^p = \bigl(F^p (F^p)^\top\bigr)^{1/p}

(powers by entry, of either sign), says how features go together within the sample; an entry that
deviates from its median over clean samples counts with its deviation in median absolute deviations.
F has rows of channels and columns of positions. A pooled state has no positions any more, so its
numbers, taken in order, make up ``channels`` rows.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from codetemper.audit import CheckCard
from codetemper.audit.detectors._moments import centre_and_spread
from codetemper.core.stats import Floats

CARD = CheckCard(
    name="beatrix",
    summary="Samples whose features go together in an unusual way.",
    paper="2209.11715",
    paper_title="Ma et al. (2023)",
    differs="Rows of a pooled state stand for channels; deviations count from the median on, not "
    "beyond ten times their median, so that few samples score alike.",
    needs=("queries", "data"),
    cost="n k channels multiplications for each order a place.",
)
#: Samples whose Gram matrices are in memory at a time.
_BLOCK = 1 << 12


class Config(BaseModel):
    """Settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    channels: int = Field(default=8, ge=2)
    """Rows that the numbers of a state are laid out in."""
    orders: tuple[int, ...] = (1, 2, 4)
    """Orders p of the Gram matrices."""
    reference: int = Field(default=4000, ge=10)
    """Most samples that medians are taken of, evenly spaced where there are more."""


def score(features: Floats, trusted: Floats | None, config: Config) -> Floats:
    """Score samples of one class.

    Args:
        features: [n, k].
        trusted: [m, k], or None: medians are then those of the class.
        config: settings.

    Returns:
        [n], higher is stranger.
    """
    known = features if trusted is None else trusted
    step = -(-len(known) // config.reference)
    centre, spread = centre_and_spread(_grams(known[::step], config))
    scores = np.zeros(len(features))
    for begin in range(0, len(features), _BLOCK):
        found = _grams(features[begin : begin + _BLOCK], config)
        scores[begin : begin + _BLOCK] = np.abs((found - centre) / spread).mean(1)
    return scores


def _grams(features: Floats, config: Config) -> Floats:
    """Return the entries of all Gram matrices of each sample, [n, entries]."""
    channels = min(config.channels, features.shape[1])
    columns = -(-features.shape[1] // channels)
    padded = np.zeros((len(features), channels * columns))
    padded[:, : features.shape[1]] = features
    rows = padded.reshape(len(features), channels, columns)
    upper = np.triu_indices(channels)
    found = []
    for order in config.orders:
        powers = rows**order
        gram = (powers @ powers.transpose(0, 2, 1))[:, upper[0], upper[1]]
        found.append(np.sign(gram) * np.abs(gram) ** (1 / order))
    return np.concatenate(found, axis=1)
