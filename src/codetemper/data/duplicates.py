# SPDX-License-Identifier: Apache-2.0
"""Which pairs of a corpus say the same: copies to drop, and kin that one split must hold.

    with DuplicateFinder(0.8) as finder:
        for pair in pairs:
            finder.add(pair)
        found = finder.find()
    found.copies[7]        # Copy(of=3, likeness=0.93): pair 7 is dropped, pair 3 says it better
    found.kin              # ((3, 12), ...): fixed sides alike, but not the fix

Two pairs of one granularity are **copies** where their normalised texts (no white space, comments
or docstrings) are the same on both sides, or where the fixed sides *and* the changes are alike:
Jaccard index of their 3-grams of tokens at or above the threshold. The change is the set of 3-grams
that one side has and the other lacks, with a sign. So two fixes of one function, one after the
other, are no copies; they are **kin**, as are all pairs whose fixed sides are alike. The two sides
of one pair are never compared.

Of copies the one of the best quality stays, then the oldest, then the first by id: pairs are looked
at in that order, and every pair dropped is alike to one that stays. Candidates come from MinHash
signatures (datasketch, 128 permutations) in bands that datasketch chooses for the threshold with
nearly all weight on missing none. Each candidate is verified on the true sets, so nothing is
dropped by chance; of pairs at a threshold of 0.8 about 1 in 50 is missed, at 0.85 1 in 700. Buckets
are sorted arrays: datasketch's own tables would take 5 kB a pair.

Memory: about 1 kB a pair; the sets lie in a temporary file. Broder 1997, "On the resemblance and
containment of documents".
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from codetemper.core.records import FixPair
from codetemper.data.ngrams import ngrams, words

#: Words in a shingle: short, since a fixed function may have as few as twenty.
_SHINGLE = 3
_PERMUTATIONS = 128
#: Five standard deviations of a signature's estimate: what lies further off is not verified.
_MARGIN = 5 * 0.5 / math.sqrt(_PERMUTATIONS)

Shingles = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Copy:
    """Why a pair is dropped.

    Attributes:
        of: position of the pair that stays.
        likeness: the lesser of the Jaccard indices of fixed side and change; 1 for an exact copy.
        exact: whether the normalised texts are the same.
    """

    of: int
    likeness: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found among pairs, by their position.

    Attributes:
        copies: by position, in order, the pairs to drop.
        kin: groups of pairs that stay and whose fixed sides are alike, directly or by others.
    """

    copies: dict[int, Copy]
    kin: tuple[tuple[int, ...], ...]


def timestamp(date: str) -> float:
    """Return seconds since 1970 of an ISO date; infinity where it cannot be read."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return math.inf
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def jaccard(left: Shingles, right: Shingles) -> float:
    """Return the Jaccard index of two sets given as sorted arrays; 1 where both are empty."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    union = len(left) + len(right) - common
    return common / union if union else 1.0


def groups(links: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Return the connected sets of at least two, each sorted, in order of their first."""
    above: dict[int, int] = {}

    def root(one: int) -> int:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for left, right in links:
        first, second = sorted((root(left), root(right)))
        above[second] = first
    found: dict[int, list[int]] = defaultdict(list)
    for one in sorted(above):
        found[root(one)].append(one)
    return tuple(tuple(group) for group in found.values() if len(group) > 1)


class DuplicateFinder:
    """Takes pairs one at a time, keeps their digests and signatures, and tells which are alike."""

    def __init__(self, threshold: float) -> None:
        """Open the temporary file.

        Args:
            threshold: Jaccard index, above 0 and at most 1, from which texts are alike.
        """
        self._threshold = threshold
        self._bands = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, weights=(0.02, 0.98))
        self._permutations = MinHash(num_perm=_PERMUTATIONS, scheme="affine32").permutations
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._lengths: list[tuple[int, int, int]] = []
        self._signatures: list[NDArray[np.uint32]] = []
        self._preference: list[tuple[float, float, str]] = []
        self._digests: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Pairs taken so far."""
        return len(self._digests)

    def add(self, pair: FixPair) -> None:
        """Take the next pair."""
        before, after = (words(text, pair.language) for text in (pair.before, pair.after))
        sha = hashlib.blake2b(pair.granularity.encode(), digest_size=16)
        for side in (before, after):
            sha.update(b"\x1e" + "\x1f".join(side).encode("utf-8", "surrogatepass"))
        self._digests.append(sha.digest())
        fixed, vulnerable = _shingles(after), _shingles(before)
        change = np.union1d(
            np.setdiff1d(fixed, vulnerable, assume_unique=True),
            # The sign: what was taken away is not what was added.
            ~np.setdiff1d(vulnerable, fixed, assume_unique=True),
        )
        place = self._file.seek(0, 2)
        self._file.write(fixed.tobytes() + change.tobytes())
        self._lengths.append((place, len(fixed), len(change)))
        sketch = MinHash(
            num_perm=_PERMUTATIONS,
            hashfunc=int,
            permutations=self._permutations,
            scheme="affine32",
        )
        sketch.update_batch(fixed.tolist())
        # Pieces of different granularity are never compared.
        salt = np.uint32(int.from_bytes(hashlib.blake2b(pair.granularity.encode()).digest()[:4]))
        self._signatures.append(sketch.hashvalues.astype(np.uint32) ^ salt)
        quality = -1.0 if pair.quality is None else pair.quality
        self._preference.append((-quality, timestamp(pair.date), pair.id))

    def find(self) -> Duplicates:
        """Compare the pairs taken."""
        order = sorted(range(len(self)), key=lambda at: (*self._preference[at], at))
        copies: dict[int, Copy] = {}
        links: list[tuple[int, int]] = []
        first: dict[bytes, int] = {}
        for at in order:
            of = first.setdefault(self._digests[at], at)
            if of != at:
                copies[at] = Copy(of, 1.0, True)
        buckets = self._buckets([at for at in order if at not in copies])
        held: dict[int, list[int]] = defaultdict(list)
        for at in order:
            if at in copies or at not in buckets:
                continue
            alike = list(self._alike(at, {one for key in buckets[at] for one in held[key]}))
            near = [(likeness, -of) for of, likeness in alike if likeness >= self._threshold]
            if near:
                likeness, of = max(near)
                copies[at] = Copy(-of, likeness, False)
                continue
            links.extend((of, at) for of, _ in alike)
            for key in buckets[at]:
                held[key].append(at)
        return Duplicates(dict(sorted(copies.items())), groups(links))

    def _alike(self, at: int, candidates: set[int]) -> Iterator[tuple[int, float]]:
        """Yield the candidates whose fixed sides are alike, with the likeness of the pairs."""
        near = np.array(sorted(candidates), np.int64)
        if not len(near):
            return
        others = np.stack([self._signatures[of] for of in near])
        estimates = (others == self._signatures[at]).mean(axis=1)
        fixed, change = self._sets(at)
        for of in near[estimates >= self._threshold - _MARGIN].tolist():
            other_fixed, other_change = self._sets(of)
            likeness = jaccard(fixed, other_fixed)
            if likeness >= self._threshold:
                yield of, min(likeness, jaccard(change, other_change))

    def _sets(self, at: int) -> tuple[Shingles, Shingles]:
        """Read the shingles of a pair's fixed side and of its change."""
        place, fixed, change = self._lengths[at]
        self._file.seek(place)
        both = np.frombuffer(self._file.read(4 * (fixed + change)), np.uint32)
        return both[:fixed], both[fixed:]

    def _buckets(self, members: list[int]) -> dict[int, list[int]]:
        """Return, for each pair that shares a band with another, the numbers of those buckets."""
        found: dict[int, list[int]] = defaultdict(list)
        if not members:
            return found
        signatures = np.stack([self._signatures[at] for at in members])
        number = 0
        for start, end in self._bands.hashranges:
            band = np.ascontiguousarray(signatures[:, start:end])
            rows = band.view(np.dtype((np.void, band.dtype.itemsize * band.shape[1]))).ravel()
            _, bucket, sizes = np.unique(rows, return_inverse=True, return_counts=True)
            for index in np.flatnonzero(sizes[bucket] > 1).tolist():
                found[members[index]].append(number + int(bucket[index]))
            number += len(sizes)
        return found


def _shingles(found: tuple[str, ...]) -> Shingles:
    """Return the set of 3-grams as a sorted array; of a shorter text it is the text itself."""
    numbers = ngrams(found, min(_SHINGLE, max(1, len(found))))
    return np.unique((numbers >> np.uint64(32)).astype(np.uint32))
