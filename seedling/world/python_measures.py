# SPDX-License-Identifier: Apache-2.0
"""Families that make one answer from a list, or join two lists. Data only."""

from __future__ import annotations

import math
from typing import Any

from seedling.world.python_recipe import Parts, Recipe, loop, table
from seedling.world.python_words import NUMBERS, PAIRS, ROWS

_N = {"noun": NUMBERS}
_PARTS_OF = {
    "a": ("part", "done", "passed", "used", "hits"),
    "b": ("whole", "total", "limit", "size", "capacity"),
}
_SQUARE = [
    ([],),
    ([[7]],),
    ([[1, 2], [3, 4]],),
    ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],),
    ([[0, -1, 5], [2, 2, 8], [6, 1, 3]],),
]


def _samples(parts: Parts) -> list[tuple[Any, ...]]:
    """Lists with repeats, negatives and order both ways."""
    return [
        ([4],),
        ([5, 3, 5, 9, -2, 5, 3],),
        ([1, 2, 4, 8],),
        ([8, 6, 3, 1],),
        ([-7, -3, -5, -3],),
        ([2, 2, 2, 2],),
    ]


def _second(xs: list[int]) -> int | None:
    found = sorted(set(xs))
    return found[-2] if len(found) > 1 else None


MEASURE_FAMILIES = table(
    Recipe(
        name="percentage",
        names=("percentage", "percent_of_$b", "share_of_$b"),
        docs=(
            "Return $a as a percentage of $b; 0.0 if $b is 0.",
            "Return 100 times $a divided by $b, or 0.0 when $b is 0.",
        ),
        params="$a, $b",
        parts=_PARTS_OF,
        good={
            "guard": "if $b == 0:\n    return 0.0\nreturn 100 * $a / $b",
            "expression": "return 100 * $a / $b if $b else 0.0",
        },
        bad={
            "no-guard": "return 100 * $a / $b",
            "whole-division": "if $b == 0:\n    return 0.0\nreturn 100 * $a // $b",
        },
        share=0.58,
        trusted=lambda q, a, b: 100 * a / b if b else 0.0,
        inputs=lambda q: [(1, 2), (0, 5), (3, 0), (1, 8), (4, 4)],
    ),
    Recipe(
        name="average",
        names=("average_$x", "mean_$x", "average_of_$p"),
        docs=(
            "Return the average of $p, or 0.0 if $p is empty.",
            "Return the mean of $p; 0.0 for an empty list.",
        ),
        params="$p",
        parts=_N,
        good={
            "guard": "if not $p:\n    return 0.0\nreturn sum($p) / len($p)",
            "expression": "return sum($p) / len($p) if $p else 0.0",
        },
        bad={
            "forgets-empty": "return sum($p) / len($p)",
            "whole-division": "if not $p:\n    return 0.0\nreturn sum($p) // len($p)",
            "off-by-one": "if not $p:\n    return 0.0\nreturn sum($p) / (len($p) + 1)",
        },
        share=0.6,
        trusted=lambda q, xs: sum(xs) / len(xs) if xs else 0.0,
        inputs=lambda q: [([],), ([3],), ([1, 2],), ([4, 4, 1, 0],), ([-1, 1],), ([2, 4, 6],)],
    ),
    Recipe(
        name="second_largest",
        names=("second_largest_$x", "second_highest_$x", "second_best_of_$p"),
        docs=(
            "Return the second largest distinct number of $p, or None.",
            "Return the largest of $p below the maximum; None if there is none.",
        ),
        params="$p",
        parts=_N,
        good={
            "sorted-set": "found = sorted(set($p))\nif len(found) < 2:\n    return None\n"
            "return found[-2]",
        },
        bad={
            "keeps-repeats": "found = sorted($p)\nif len(found) < 2:\n    return None\n"
            "return found[-2]",
            "no-guard": "return sorted(set($p))[-2]",
            "from-start": "found = sorted(set($p))\nif len(found) < 2:\n    return None\n"
            "return found[1]",
        },
        share=0.56,
        trusted=lambda q, xs: _second(xs),
        inputs=lambda q: [([],), *_samples(q), ([9, 1, 5, 9],)][:7],
    ),
    Recipe(
        name="spread",
        names=("spread_of_$p", "range_of_$p", "${x}_spread"),
        docs=(
            "Return the largest minus the smallest of $p; 0 if empty.",
            "Return the distance from the lowest to the highest of $p, or 0 without any.",
        ),
        params="$p",
        parts=_N,
        good={
            "guard": "if not $p:\n    return 0\nreturn max($p) - min($p)",
            "expression": "return max($p) - min($p) if $p else 0",
        },
        bad={
            "forgets-empty": "return max($p) - min($p)",
            "first-to-last": "if not $p:\n    return 0\nreturn $p[-1] - $p[0]",
            "wrong-order": "if not $p:\n    return 0\nreturn min($p) - max($p)",
        },
        share=0.42,
        trusted=lambda q, xs: max(xs) - min(xs) if xs else 0,
        inputs=lambda q: [([],), *_samples(q)],
    ),
    Recipe(
        name="largest_position",
        names=("position_of_largest", "index_of_max_$x", "where_is_best_$x"),
        docs=(
            "Return the index of the first largest number in $p, or -1 if empty.",
            "Return where in $p the maximum first is; -1 for an empty list.",
        ),
        params="$p",
        parts=_N,
        good={
            "index": "if not $p:\n    return -1\nreturn $p.index(max($p))",
            "loop": "best = -1\nfor i in range(len($p)):\n    if best < 0 or $p[i] > $p[best]:\n"
            "        best = i\nreturn best",
        },
        bad={
            "forgets-empty": "return $p.index(max($p))",
            "last-largest": "best = -1\nfor i in range(len($p)):\n"
            "    if best < 0 or $p[i] >= $p[best]:\n        best = i\nreturn best",
            "value-instead": "if not $p:\n    return -1\nreturn max($p)",
        },
        share=0.5,
        trusted=lambda q, xs: xs.index(max(xs)) if xs else -1,
        inputs=lambda q: [([],), *_samples(q)],
    ),
    Recipe(
        name="largest_loop",
        names=("largest_$x", "highest_$x", "biggest_of_$p"),
        docs=("Return the largest of $p, or None if empty.", "Return the maximum of $p or None."),
        params="$p",
        parts=_N,
        good={
            "default": "return max($p, default=None)",
            "loop": loop("best = None", "if best is None or $x > best:\n    best = $x"),
        },
        bad={
            "zero-start": loop("best = 0", "if $x > best:\n    best = $x"),
            "wrong-comparison": loop("best = None", "if best is None or $x < best:\n    best = $x"),
            "forgets-empty": "return max($p)",
        },
        share=0.43,
        trusted=lambda q, xs: max(xs, default=None),
        inputs=lambda q: [([],), *_samples(q)],
    ),
    Recipe(
        name="is_rising",
        names=("is_sorted", "is_rising", "${p}_are_sorted", "${p}_in_order"),
        docs=(
            "Return True if no number of $p is smaller than the one before.",
            "Tell whether $p is sorted from low to high; repeats are fine.",
        ),
        params="$p",
        parts=_N,
        good={
            "sorted": "return $p == sorted($p)",
            "all": "return all(a <= b for a, b in zip($p, $p[1:]))",
        },
        bad={
            "no-repeats": "return all(a < b for a, b in zip($p, $p[1:]))",
            "compares-none": "return $p == $p.sort()",
            "falling": "return all(a >= b for a, b in zip($p, $p[1:]))",
        },
        share=0.37,
        trusted=lambda q, xs: xs == sorted(xs),
        inputs=lambda q: [([],), *_samples(q)],
    ),
    Recipe(
        name="product_of_all",
        names=("product_of_$p", "multiply_$p", "${x}_product"),
        docs=(
            "Return the product of $p; 1 for an empty list.",
            "Multiply all of $p together, starting from 1.",
        ),
        params="$p",
        parts=_N,
        good={"loop": loop("result = 1", "result *= $x")},
        bad={
            "zero-start": loop("result = 0", "result *= $x"),
            "adds": loop("result = 1", "result += $x"),
        },
        share=0.3,
        trusted=lambda q, xs: math.prod(xs),
        inputs=lambda q: [([4],), ([2, 3],), ([5, -1, 2],), ([0, 9],), ([1, 1, 7],)],
    ),
    Recipe(
        name="count_between",
        names=("count_${low}_to_$high", "${p}_from_${low}_to_$high"),
        docs=(
            "Return how many of $p are from $low to $high, both included.",
            "Count the numbers in $p that are at least $low and at most $high.",
        ),
        params="$p",
        parts={**_N, "low": (0, 1, 2, 5), "high": (8, 10, 12, 20)},
        good={
            "generator": "return sum(1 for $x in $p if $low <= $x <= $high)",
            "loop": loop("count = 0", "if $low <= $x and $x <= $high:\n    count += 1"),
        },
        bad={
            "open-end": "return sum(1 for $x in $p if $low <= $x < $high)",
            "open-start": loop("count = 0", "if $low < $x and $x <= $high:\n    count += 1"),
            "range-end": "return sum(1 for $x in $p if $x in range($low, $high))",
        },
        share=0.51,
        trusted=lambda q, xs: sum(q["low"] <= x <= q["high"] for x in xs),
        inputs=lambda q: [
            ([],),
            ([q["low"]],),
            ([q["high"], q["high"] + 1],),
            ([q["low"] - 1, 6, 7, 30],),
            ([q["low"], q["high"], 3, -4],),
        ],
    ),
    Recipe(
        name="dot_product",
        names=("dot_product", "sum_of_products", "weighted_sum"),
        docs=(
            "Return the sum of the products of numbers at the same place in $a and $b.",
            "Multiply the lists $a and $b number by number and add up the results.",
        ),
        params="$a, $b",
        parts={
            "a": ("prices", "values", "scores", "left", "costs"),
            "b": ("weights", "counts", "amounts", "right"),
        },
        good={
            "zip": "return sum(x * y for x, y in zip($a, $b))",
            "index": "total = 0\nfor i in range(len($a)):\n    total += $a[i] * $b[i]\n"
            "return total",
        },
        bad={
            "all-pairs": "return sum(x * y for x in $a for y in $b)",
            "skips-first": "total = 0\nfor i in range(1, len($a)):\n    total += $a[i] * $b[i]\n"
            "return total",
            "adds": "return sum(x + y for x, y in zip($a, $b))",
        },
        share=0.34,
        trusted=lambda q, a, b: sum(x * y for x, y in zip(a, b, strict=True)),
        inputs=lambda q: [([], []), ([2], [3]), ([1, 2], [3, 4]), ([0, 5, -1], [7, 2, 3])],
    ),
    Recipe(
        name="common_items",
        names=("common_items", "items_in_both", "shared_items", "overlap"),
        docs=(
            "Return the items of $a that are also in $b, in the order of $a.",
            "Keep those items of $a that $b has too.",
            "List what $a has in common with $b, keeping the order of $a.",
        ),
        params="$a, $b",
        parts={"pair": PAIRS},
        good={"comprehension": "return [item for item in $a if item in $b]"},
        bad={
            "wrong-order": "return [item for item in $b if item in $a]",
            "not-in": "return [item for item in $a if item not in $b]",
            "joins": "return $a + $b",
        },
        share=0.33,
        trusted=lambda q, a, b: [x for x in a if x in b],
        inputs=lambda q: [([], [1]), ([3, 1, 2], [1, 2, 3]), ([5, 6], [7]), ([4, 4, 2], [4, 9])],
    ),
    Recipe(
        name="interleave",
        names=("interleave", "mix_lists", "zip_flat", "merge_by_turns"),
        docs=(
            "Return the items of $a and $b in turns, $a first; both are equally long.",
            "Mix $a and $b of the same length: one item of $a, then one of $b.",
            "Take one item of $a, one of $b and so on; the lists have equal length.",
        ),
        params="$a, $b",
        parts={"pair": PAIRS},
        good={
            "comprehension": "return [item for pair in zip($a, $b) for item in pair]",
            "loop": "result = []\nfor i in range(len($a)):\n    result.append($a[i])\n"
            "    result.append($b[i])\nreturn result",
        },
        bad={
            "joins": "return $a + $b",
            "pairs": "return [[x, y] for x, y in zip($a, $b)]",
            "wrong-order": "result = []\nfor i in range(len($a)):\n    result.append($b[i])\n"
            "    result.append($a[i])\nreturn result",
        },
        share=0.4,
        trusted=lambda q, a, b: [x for pair in zip(a, b, strict=True) for x in pair],
        inputs=lambda q: [([], []), ([1], [2]), ([1, 2], [3, 4]), ([5, 5, 6], [0, 1, 2])],
    ),
    Recipe(
        name="transpose",
        names=("transpose", "transpose_$p", "columns_of_$p", "flip_$p"),
        docs=(
            "Return the columns of $p, a list of equally long lists.",
            "Turn the lists in $p into columns.",
            "Swap rows and columns of $p.",
        ),
        params="$p",
        parts={"noun": ROWS},
        good={"zip": "return [list(column) for column in zip(*$p)]"},
        bad={
            "copies": "return [list($x) for $x in $p]",
            "reverses": "return [$x[::-1] for $x in $p]",
            "no-star": "return [list(column) for column in zip($p)]",
        },
        share=0.37,
        trusted=lambda q, xss: [list(column) for column in zip(*xss, strict=True)],
        inputs=lambda q: [*_SQUARE, ([[1, 2, 3]],), ([[1, 2], [3, 4], [5, 6]],)],
    ),
    Recipe(
        name="diagonal",
        names=("diagonal", "diagonal_of_$p", "main_diagonal"),
        docs=(
            "Return the numbers of square $p from top left to bottom right.",
            "Return the main diagonal of the square list of lists $p.",
            "List item i of list i in $p, for every i.",
        ),
        params="$p",
        parts={"noun": ROWS},
        good={
            "range": "return [$p[i][i] for i in range(len($p))]",
            "enumerate": "return [$x[i] for i, $x in enumerate($p)]",
        },
        bad={
            "other-diagonal": "return [$x[-1 - i] for i, $x in enumerate($p)]",
            "first-column": "return [$x[0] for $x in $p]",
            "one-short": "return [$p[i][i] for i in range(len($p) - 1)]",
        },
        share=0.45,
        trusted=lambda q, xss: [xs[i] for i, xs in enumerate(xss)],
        inputs=lambda q: list(_SQUARE),
    ),
    Recipe(
        name="row_sums",
        names=("sum_each_$x", "sums_of_$p", "totals_of_$p"),
        docs=(
            "Return the sum of each list in $p.",
            "Return a list with the total of every list in $p.",
            "Add up each list in $p by itself.",
        ),
        params="$p",
        parts={"noun": ROWS},
        good={
            "comprehension": "return [sum($x) for $x in $p]",
            "loop": loop("result = []", "result.append(sum($x))"),
        },
        bad={
            "grand-total": "return sum(sum($x) for $x in $p)",
            "columns": "return [sum(column) for column in zip(*$p)]",
            "lengths": "return [len($x) for $x in $p]",
        },
        share=0.32,
        trusted=lambda q, xss: [sum(xs) for xs in xss],
        inputs=lambda q: list(_SQUARE),
    ),
)
