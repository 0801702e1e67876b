# SPDX-License-Identifier: Apache-2.0
"""Are two results the same? Bags or sets of rows, in order or not, columns in any order or not.

Used by the judge ``sql`` in its own process, on plain rows. Numbers are compared by value (1 is
1.0, and never '1'); floats that differ by less than one part in 10^12 are one number, since sums
in another order differ in their last bits; NULL is NULL. What the rows mean is not looked at.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

Rows = Sequence[tuple[Any, ...]]

#: Relative distance below which two numbers, one of them a float, are one.
_NEAR = 1e-12
#: Attempts to put the columns of one result in the order of the other's.
_ATTEMPTS = 2_000


def same_rows(
    given: Rows, gold: Rows, *, ordered: bool, semantics: str = "bag", columns: str = "fixed"
) -> bool:
    """Tell whether two results are the same.

    Args:
        given: rows of the query.
        gold: rows of the gold query.
        ordered: whether the order of rows counts.
        semantics: ``bag`` (duplicates count) or ``set``.
        columns: ``fixed``, or ``any`` where one order of columns for all rows may be found.
    """
    if _same(given, gold, ordered, semantics, columns):
        return True
    if not (_has_float(given) or _has_float(gold)):
        return False
    given, gold = _merged(given, gold)
    return _same(given, gold, ordered, semantics, columns)


def _same(given: Rows, gold: Rows, ordered: bool, semantics: str, columns: str) -> bool:
    if semantics == "set":
        # The first of equal rows keeps its place.
        given, gold = list(dict.fromkeys(given)), list(dict.fromkeys(gold))
    if len(given) != len(gold):
        return False
    if not gold or given == gold:
        return True
    if len(given[0]) != len(gold[0]):
        return False
    if ordered:
        if list(given) == list(gold):
            return True
        # With the rows in place, columns are the same lists, or there is no order for them.
        return columns == "any" and Counter(zip(*given, strict=True)) == Counter(
            zip(*gold, strict=True)
        )
    if Counter(given) == Counter(gold):
        return True
    return columns == "any" and len(gold[0]) > 1 and _permuted(given, gold)


def _permuted(given: Rows, gold: Rows) -> bool:
    """Look for an order of columns that makes two bags of rows the same.

    Columns are matched one after the other, those with the fewest partners first; after each, the
    rows cut down to the matched columns must already be the same bag.
    """
    left = [list(column) for column in zip(*given, strict=True)]
    right = [list(column) for column in zip(*gold, strict=True)]
    left_colours, right_colours = _colours(left), _colours(right)
    if Counter(left_colours) != Counter(right_colours):
        return False
    counts = Counter(right_colours)
    order = sorted(range(len(right)), key=lambda c: (counts[right_colours[c]], c))
    budget = itertools.count()

    def extend(chosen: list[int]) -> bool:
        if len(chosen) == len(order):
            return True
        target = order[len(chosen)]
        wanted = Counter(zip(*(right[c] for c in order[: len(chosen) + 1]), strict=True))
        tried: set[tuple[Any, ...]] = set()
        for column in range(len(left)):
            if column in chosen or left_colours[column] != right_colours[target]:
                continue
            values = tuple(left[column])
            if values in tried:  # a column like one that did not fit
                continue
            tried.add(values)
            if next(budget) >= _ATTEMPTS:
                return False
            cut = [*(left[c] for c in chosen), left[column]]
            if Counter(zip(*cut, strict=True)) == wanted and extend([*chosen, column]):
                return True
        return False

    return extend([])


def _colours(columns: Sequence[Sequence[Any]]) -> list[int]:
    """Give columns that could stand for each other the same number.

    Rows are told apart by what stands in them, then columns by the rows their values stand in.
    Equal numbers may still be an accident; different ones never are.
    """
    colours = [hash(frozenset(Counter(column).items())) for column in columns]
    for _ in range(2):
        if len(set(colours)) == len(colours):
            break
        rows = [
            hash(frozenset(Counter(zip(colours, row, strict=True)).items()))
            for row in zip(*columns, strict=True)
        ]
        colours = [
            hash(frozenset(Counter(zip(rows, column, strict=True)).items())) for column in columns
        ]
    return colours


def _has_float(rows: Rows) -> bool:
    return any(type(value) is float for row in rows for value in row)


def _merged(*results: Rows) -> list[list[tuple[Any, ...]]]:
    """Replace every number by one that stands for all numbers near it."""
    found = {
        value for rows in results for row in rows for value in row if isinstance(value, int | float)
    }
    stands: dict[Any, Any] = {}
    last: Any = None
    for value in sorted(found):
        near = (
            last is not None
            and math.isfinite(value)
            and math.isfinite(last)
            and (type(value) is float or type(last) is float)
            and abs(value - last) <= _NEAR * max(abs(value), abs(last))
        )
        stands[value] = stands[last] if near else value
        last = value
    return [[tuple(_stand_in(row, stands)) for row in rows] for rows in results]


def _stand_in(row: Iterable[Any], stands: dict[Any, Any]) -> Iterable[Any]:
    return (stands[v] if isinstance(v, int | float) else v for v in row)
