# SPDX-License-Identifier: Apache-2.0
"""The depth profile: how far suspected samples are from the others of their class, layer by layer.

    profile = depth_profile(features, labels, ranking.suspected, seed=0)
    [(line.layer, line.pool, line.gap) for line in profile]

A trigger is visible at the input of any model. What is particular to a poisoned one is that it
survives: the gap at the decision token grows with depth, and in a clean model it fades. A profile
is to be looked at; no verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codetemper.audit.activations import Features
from codetemper.audit.calibration import Flags
from codetemper.core.audits import AuditDepth
from codetemper.core.errors import CannotKnowError
from codetemper.core.stats import Floats


def depth_profile(
    features: Features, labels: Sequence[int] | None, suspected: Flags, seed: int = 0
) -> list[AuditDepth]:
    """Return how far the suspected samples are from the rest of their class, by place.

    The line through the two means is fitted to one half of the samples and the distance measured
    along it on the other, both ways. The samples were chosen for being far away, so the size of
    a gap says nothing by itself.

    Args:
        features: of the samples.
        labels: class of each; None where samples have no classes.
        suspected: which ones are suspected, [n].
        seed: of the halves.

    Returns:
        A gap for each place; 0 where nothing varies.

    Raises:
        CannotKnowError: fewer than four samples of one kind.
    """
    few = min(int(suspected.sum()), int((~suspected).sum()))
    if few < 4:
        raise CannotKnowError(
            "a depth profile needs samples of both kinds",
            why=f"there are {few} of one kind, and four are needed",
            mend="suspect a larger share",
        )
    own = np.zeros(features.count, np.int64) if labels is None else np.asarray(labels)
    half = np.zeros(features.count, dtype=np.bool_)
    random = np.random.default_rng(seed)
    for kind in (suspected, ~suspected):
        rows = random.permutation(np.flatnonzero(kind))
        half[rows[: len(rows) // 2]] = True
    found = []
    for place in features.places:
        states = features.of(place)
        for label in np.unique(own):
            rest = own == label
            states[rest] -= states[rest].mean(0)
        gaps = [_gap(states, suspected, part) for part in (half, ~half)]
        found.append(
            AuditDepth(
                stack=place.stack, layer=place.layer, pool=place.pool, gap=float(np.mean(gaps))
            )
        )
    return found


def _gap(states: Floats, suspected: Flags, fitted: Flags) -> float:
    """Return the distance of two means in standard deviations, along a line fitted elsewhere."""
    line = states[fitted & suspected].mean(0) - states[fitted & ~suspected].mean(0)
    first = states[~fitted & suspected] @ line
    second = states[~fitted & ~suspected] @ line
    counts = len(first) - 1, len(second) - 1
    variance = (counts[0] * first.var(ddof=1) + counts[1] * second.var(ddof=1)) / sum(counts)
    return float((first.mean() - second.mean()) / np.sqrt(variance)) if variance > 0 else 0.0
