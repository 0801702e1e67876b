# SPDX-License-Identifier: Apache-2.0
"""Pairs that hold the text of an evaluation case, copied or renamed: nothing to be trained on.

    scan = ContaminationScan(cases)
    for pair in pairs:
        scan.add(pair)
    for hit in scan.hits(keep=positions):
        hit.position, hit.suite, hit.case, hit.share, hit.renamed

Texts are compared as sets of n-grams of code tokens (``ngrams.py``): verbatim, with 13 tokens, and
blind to names, with half as many again, which finds copies whose names were changed one to one,
wherever they stand. A case and one side of a pair overlap by

    share = |case and side| / min(|case|, |side|)

so a whole case within a long file counts as much as a short function within a long case. It is a
hit from a share of ``least_share`` on, with at least three n-grams in common. Shorter texts say too
little to be told apart by parts: they hit where side and case are the same from end to end.

**Boilerplate does not count.** Comments (licence heads) are no tokens at all. An n-gram of a case
that occurs in more than ten pairs and more than one in a hundred (include lists, ``main``) is taken
out of both sets before the share is formed. Duplicates must be dropped before, else many copies of
one case would look like boilerplate; ``hits(keep=...)`` is told which pairs remain.

Memory: the n-grams of the cases, and of each pair the numbers of those it shares with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetemper.core.records import FixPair, Language
from codetemper.data.ngrams import Hashes, ngrams, words

#: Fewest n-grams in common that are evidence.
_FEWEST = 3
#: Pairs in which an n-gram may occur before it is boilerplate: as a number, and as a share.
_COMMON, _COMMON_SHARE = 10, 0.01


@dataclass(frozen=True, slots=True)
class CaseText:
    """The texts of one evaluation case.

    Attributes:
        suite: name of its suite.
        case: id in the suite.
        language: what the texts are written in.
        texts: programs that are not to be learnt: prompt with reference, reference alone, ...
    """

    suite: str
    case: str
    language: Language
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A pair that holds (part of) a case.

    Attributes:
        position: of the pair, counted from 0 in the order they were added.
        suite: name of the suite.
        case: the case of the suite with the largest share.
        share: see the module.
        renamed: whether the overlap shows only where names count by place alone.
    """

    position: int
    suite: str
    case: str
    share: float
    renamed: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one side of a pair has in common with the cases."""

    position: int
    grams: NDArray[np.int64]
    size: int


class ContaminationScan:
    """Takes pairs one at a time and tells which hold a case."""

    def __init__(
        self, cases: Iterable[CaseText], *, tokens: int = 13, least_share: float = 0.5
    ) -> None:
        """Read the cases.

        Args:
            cases: whose texts must not be in a corpus.
            tokens: length of a verbatim n-gram; blind ones are half as long again.
            least_share: from which share on a pair is contaminated, above 0 and at most 1.
        """
        self._cases = list(cases)
        self._least_share = least_share
        found = [
            [_Text(words(text, case.language), case.language) for text in case.texts]
            for case in self._cases
        ]
        self._verbatim = _Index(found, tokens, blind=False)
        self._blind = _Index(found, tokens * 3 // 2, blind=True)
        self._pairs = 0

    def add(self, pair: FixPair) -> None:
        """Take the next pair: both sides, each with what stands before it in its function."""
        for side in {pair.after: 0, pair.before: 0}:
            found = _Text(words(pair.context + side, pair.language), pair.language)
            self._verbatim.look(self._pairs, found)
            self._blind.look(self._pairs, found)
        self._pairs += 1

    def hits(self, *, keep: Collection[int] | None = None) -> list[Hit]:
        """Tell which pairs hold a case: of each suite its closest case, verbatim before renamed.

        Args:
            keep: positions of the pairs that count; all where None.
        """
        kept = np.ones(self._pairs, bool)
        if keep is not None:
            kept[:] = False
            kept[list(keep)] = True
        best: dict[tuple[int, str], Hit] = {}
        for renamed, index in ((False, self._verbatim), (True, self._blind)):
            for position, number, share in index.overlaps(kept, self._least_share):
                self._note(best, Hit(position, *self._name(number), share, renamed))
        return [best[key] for key in sorted(best)]

    def _name(self, number: int) -> tuple[str, str]:
        return self._cases[number].suite, self._cases[number].case

    @staticmethod
    def _note(best: dict[tuple[int, str], Hit], hit: Hit) -> None:
        key = (hit.position, hit.suite)
        old = best.get(key)
        if old is None or (hit.renamed, -hit.share) < (old.renamed, -old.share):
            best[key] = hit


@dataclass(frozen=True, slots=True)
class _Text:
    words: tuple[str, ...]
    language: Language


class _Index:
    """The n-grams of all cases, and what the pairs have of them."""

    def __init__(self, cases: Sequence[Sequence[_Text]], length: int, *, blind: bool) -> None:
        self._length, self._blind = length, blind
        sets = [self._set(*texts) for texts in cases]
        self._sizes = np.array([len(one) for one in sets], np.int64)
        every = np.concatenate([np.empty(0, np.uint64), *sets])
        owner = np.repeat(np.arange(len(sets)), self._sizes)
        order = np.argsort(every, kind="stable")
        self._owner = owner[order]
        # Cases of n-gram ``i``: ``owner[first[i]:first[i + 1]]``.
        self._grams, first = np.unique(every[order], return_index=True)
        self._first = np.append(first, len(every))
        self._seen: list[_Seen] = []
        self._whole: dict[int, int] = {}
        for number, texts in enumerate(cases):
            for text in filter(self._is_short, texts):
                self._whole.setdefault(self._as_one(text), number)
        self._same: list[tuple[int, int]] = []

    def _is_short(self, text: _Text) -> bool:
        return 0 < len(text.words) < self._length + _FEWEST - 1

    def _as_one(self, text: _Text) -> int:
        return int(self._grams_of(text, len(text.words))[0])

    def _grams_of(self, text: _Text, length: int) -> Hashes:
        return ngrams(text.words, length, blind=text.language if self._blind else None)

    def _set(self, *texts: _Text) -> Hashes:
        runs = [self._grams_of(text, self._length) for text in texts]
        return np.unique(np.concatenate([np.empty(0, np.uint64), *runs]))

    def look(self, position: int, found: _Text) -> None:
        """Keep what one side of a pair shares with any case."""
        if self._is_short(found):
            number = self._whole.get(self._as_one(found))
            if number is not None:
                self._same.append((position, number))
        own = self._set(found)
        if not len(own) or not len(self._grams):
            return
        at = np.minimum(np.searchsorted(self._grams, own), len(self._grams) - 1)
        shared = at[self._grams[at] == own]
        if len(shared):
            self._seen.append(_Seen(position, shared, len(own)))

    def overlaps(
        self, kept: NDArray[np.bool_], least_share: float
    ) -> Iterator[tuple[int, int, float]]:
        """Yield (pair, case, share) of all that overlap enough."""
        for position, number in self._same:
            if kept[position]:
                yield position, number, 1.0
        common = self._common(kept)
        sizes = self._sizes - self._by_case(np.flatnonzero(common))
        for seen in self._seen:
            if not kept[seen.position] or len(seen.grams) < _FEWEST:
                continue
            counting = seen.grams[~common[seen.grams]]
            size = seen.size - (len(seen.grams) - len(counting))
            overlap = self._by_case(counting)
            for number in np.flatnonzero(overlap >= _FEWEST).tolist():
                share = float(overlap[number] / min(sizes[number], size))
                if share >= least_share:
                    yield seen.position, number, share

    def _common(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which n-grams of cases are boilerplate of the pairs."""
        by_pair: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
        for seen in self._seen:
            if kept[seen.position]:
                by_pair[seen.position].append(seen.grams)
        counts = np.zeros(len(self._grams), np.int64)
        for grams in by_pair.values():
            counts[np.unique(np.concatenate(grams))] += 1
        return counts > max(_COMMON, _COMMON_SHARE * int(kept.sum()))

    def _by_case(self, grams: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the given n-grams by case."""
        parts = [self._owner[self._first[g] : self._first[g + 1]] for g in grams]
        owners = np.concatenate([np.empty(0, np.int64), *parts])
        return np.bincount(owners, minlength=len(self._sizes))
