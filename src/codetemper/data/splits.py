# SPDX-License-Identifier: Apache-2.0
"""Which pairs are for training, validation and test, so that no test is half known already.

    splits = by_repository([pair.repository for pair in pairs], shares, seed=0)
    splits = by_date([pair.date for pair in pairs], shares)
    splits = mend(splits, clusters)        # None where a pair must go

By repository, a repository goes to one split as a whole: first the test, then the validation set is
filled, in the order of the repositories' digests, with those that fit into its share; the rest is
for training. Where none fits, the smallest one goes, as long as half of the pairs stay for
training. By date, the youngest pairs are the test, the next younger ones the validation set, or
those from a given day on; pairs of one moment stay together.

Clusters are pairs that belong together: of one commit, of one CVE, alike in their fixed sides.
Where a cluster would straddle splits, the split that holds most of it keeps its pairs (of equal
ones the earlier: train, validation, test), and the others must go. Moving them instead would break
up repositories, or put the future into training.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from codetemper.data.duplicates import timestamp

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the pairs each split besides training is to have, 0 to 1."""

    validation: float
    test: float


def by_repository(repositories: Sequence[str], shares: Shares, *, seed: int = 0) -> list[Split]:
    """Split by whole repositories.

    Args:
        repositories: of each pair.
        shares: sizes asked for.
        seed: other seeds, other orders of the digests.

    Returns:
        The split of each pair; it depends on the repositories' names and sizes alone.
    """
    sizes = Counter(repositories)
    order = sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    place: dict[str, Split] = {}
    total = len(repositories)
    asked: tuple[tuple[Split, float], ...] = (("test", shares.test),
                                              ("validation", shares.validation))  # fmt: skip
    for split, share in asked:
        room = share * total
        taken = []
        for name in order:
            if name not in place and sizes[name] <= room:
                taken.append(name)
                room -= sizes[name]
        if not taken and share > 0:
            free = [name for name in order if name not in place]
            smallest = min(free, key=lambda name: sizes[name], default=None)
            used = sum(sizes[name] for name in place)
            if smallest is not None and used + sizes[smallest] <= total / 2:
                taken = [smallest]
        place.update(dict.fromkeys(taken, split))
    return [place.get(name, "train") for name in repositories]


def by_date(dates: Sequence[str], shares: Shares, *, test_since: str = "") -> list[Split]:
    """Split by age.

    Args:
        dates: of each pair, ISO 8601; what cannot be read counts as the oldest.
        shares: sizes asked for; that of the test set is not read where ``test_since`` is given.
        test_since: the day, ISO 8601, from which on pairs are for the test.
    """
    moments = [-math.inf if m == math.inf else m for m in map(timestamp, dates)]
    total = len(moments)
    test = timestamp(test_since) if test_since else _youngest(moments, shares.test * total)
    older = [moment for moment in moments if moment < test]
    validation = _youngest(older, shares.validation * total)
    return [
        "test" if moment >= test else "validation" if moment >= validation else "train"
        for moment in moments
    ]


def _youngest(moments: Iterable[float], room: float) -> float:
    """Return the moment from which on at most ``room`` of the moments lie."""
    start = math.inf
    for moment, count in sorted(Counter(moments).items(), reverse=True):
        room -= count
        if room < 0:
            break
        start = moment
    return start


def mend(splits: Sequence[Split], clusters: Iterable[Sequence[int]]) -> list[Split | None]:
    """Take out what would let a cluster straddle splits.

    Args:
        splits: of each pair.
        clusters: positions of pairs that belong together; no pair is in two clusters.

    Returns:
        The split of each pair, None for those that must go.
    """
    mended: list[Split | None] = list(splits)
    for cluster in clusters:
        held = Counter(splits[at] for at in cluster)
        keeps = max(SPLITS, key=lambda split: held[split])
        for at in cluster:
            if splits[at] != keeps:
                mended[at] = None
    return mended
