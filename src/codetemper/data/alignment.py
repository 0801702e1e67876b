# SPDX-License-Identifier: Apache-2.0
"""Which function before a change is which one after it, within a file and between files.

    alignment = align([(functions_before, functions_after), ...])     # the files of one commit
    alignment.pairs      # functions on both sides whose text differs
    alignment.deleted    # (file, function) without a counterpart after
    alignment.added      # (file, function) without a counterpart before

In this order: equal texts belong together; then equal names in one file, overloads by likeness of
signature and text; then equal names in two files; then the likest texts, for functions that were
renamed or moved. What is equal in text is unchanged, wherever it stands, and is left out. The
result depends on the order of the input only where likeness ties.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from codetemper.data._definitions import Function

#: Functions of different names are the same one when their bodies have this share of words, in
#: their order, in common.
_RENAMED = 0.65
#: Functions of one name in two files need less.
_MOVED = 0.35
#: A body of fewer words is like too many others to be known again without its name.
_FEWEST_WORDS = 12
#: With more candidates than this, names alone decide: an import of foreign code, not a fix.
_MOST_COMPARED = 4096

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Place:
    """One function of the files aligned: the number of its file, its number in it, itself."""

    file: int
    index: int
    function: Function


@dataclass(frozen=True, slots=True)
class Aligned:
    """A function before and after a change that modified it."""

    before: Place
    after: Place


@dataclass(frozen=True, slots=True)
class Alignment:
    """The functions of the files of one commit.

    Attributes:
        pairs: modified functions, in the order of the files and functions after the change.
        deleted: functions that have no counterpart after it.
        added: functions that have no counterpart before it.
        moved: how many functions stand in another file, unchanged.
    """

    pairs: tuple[Aligned, ...]
    deleted: tuple[Place, ...]
    added: tuple[Place, ...]
    moved: int


def align(files: Sequence[tuple[Sequence[Function], Sequence[Function]]]) -> Alignment:
    """Align the functions of several files.

    Args:
        files: functions before and after, file by file; an added or deleted file has none on
            one side.
    """
    old = [Place(n, i, f) for n, (before, _) in enumerate(files) for i, f in enumerate(before)]
    new = [Place(n, i, f) for n, (_, after) in enumerate(files) for i, f in enumerate(after)]
    old, new = _without_equal(old, new, lambda p: (p.file, p.function.name, p.function.text))
    old, new = _without_equal(old, new, lambda p: (p.file, p.function.text))
    pairs: list[Aligned] = []
    old, new = _paired(old, new, pairs, lambda p: (p.file, p.function.name), 0.0)
    moved = len(old)
    old, new = _without_equal(old, new, lambda p: p.function.text)
    moved -= len(old)
    old, new = _paired(old, new, pairs, lambda p: p.function.name, _MOVED)
    if len(old) * len(new) <= _MOST_COMPARED:
        old, new = _paired(old, new, pairs, lambda p: None, _RENAMED)
    pairs.sort(key=lambda pair: (pair.after.file, pair.after.index))
    return Alignment(tuple(pairs), tuple(old), tuple(new), moved)


def modified(
    before: Sequence[Function], after: Sequence[Function]
) -> list[tuple[Function, Function]]:
    """Pair the functions of two versions of one file and return the pairs that differ.

    Returns:
        (before, after) in the order of ``after``.
    """
    return [(p.before.function, p.after.function) for p in align([(before, after)]).pairs]


_Key = Callable[[Place], Hashable]


def _without_equal(
    old: list[Place], new: list[Place], key: _Key
) -> tuple[list[Place], list[Place]]:
    """Take away one of ``old`` for one of ``new`` where the keys are equal, first come first."""
    if not old or not new:
        return old, new
    keys_old, keys_new = [key(p) for p in old], [key(p) for p in new]
    equal = Counter(keys_old) & Counter(keys_new)
    if not equal:
        return old, new
    return _rest(old, keys_old, equal.copy()), _rest(new, keys_new, equal)


def _rest(places: list[Place], keys: list[Hashable], equal: Counter[Hashable]) -> list[Place]:
    rest = []
    for place, its in zip(places, keys, strict=True):
        if equal[its] > 0:
            equal[its] -= 1
        else:
            rest.append(place)
    return rest


def _paired(
    old: list[Place], new: list[Place], pairs: list[Aligned], key: _Key, least: float
) -> tuple[list[Place], list[Place]]:
    """Pair places of equal key, the likest first, and return those left over.

    Args:
        old: places before.
        new: places after.
        pairs: gets the pairs.
        key: only places of equal key are paired.
        least: likeness below which two are not paired.
    """
    if not old or not new:
        return old, new
    groups: dict[Hashable, tuple[list[Place], list[Place]]] = defaultdict(lambda: ([], []))
    for side, places in enumerate((old, new)):
        for place in places:
            groups[key(place)][side].append(place)
    gone: set[tuple[int, int, int]] = set()
    for left, right in groups.values():
        alone = least == 0.0 and len(left) == len(right) == 1
        scored = [
            (-1.0 if alone else -_likeness(a.function, b.function, least), i, j)
            for i, a in enumerate(left)
            for j, b in enumerate(right)
        ]
        for score, i, j in sorted(scored):
            a, b = left[i], right[j]
            here, there = (0, a.file, a.index), (1, b.file, b.index)
            if -score >= least and here not in gone and there not in gone:
                gone |= {here, there}
                pairs.append(Aligned(a, b))
    return (
        [p for p in old if (0, p.file, p.index) not in gone],
        [p for p in new if (1, p.file, p.index) not in gone],
    )


def _likeness(old: Function, new: Function, least: float) -> float:
    """Return how much of the bodies' words two functions share, in order; 0 to 1.

    Equal signatures count as a little more, so that of two equal bodies the right one is taken.
    Where names differ, bodies of a few words are alike by chance and count as not alike.
    """
    left, right = (_WORDS.findall(f.text, f.body_start) for f in (old, new))
    if least == _RENAMED and min(len(left), len(right)) < _FEWEST_WORDS:
        return 0.0
    alike = Indel.normalized_similarity(left, right)
    if alike < least:
        return 0.0
    return alike + 0.5 * Indel.normalized_similarity(old.signature, new.signature)
