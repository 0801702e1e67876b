# SPDX-License-Identifier: Apache-2.0
"""Families that make a list from a list: order, windows, parts, places. Data only."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from seedling.world.python_recipe import Parts, Recipe, loop, table
from seedling.world.python_words import CONSTANTS, NUMBERS, ROWS, SMALL

_N = {"noun": NUMBERS}
_K = {"noun": NUMBERS, "k": CONSTANTS}
_S = {"noun": NUMBERS, "k": SMALL}


def _samples(parts: Parts) -> list[tuple[Any, ...]]:
    """Lists with repeats, negatives, order both ways, and the constant and its neighbours."""
    k = parts.get("k", 3)
    return [
        ([],),
        ([k],),
        ([5, 3, 5, 9, -2, 5, k, 3],),
        ([k - 1, k, k + 1, 40, k],),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],),
        ([9, 7, 4, 4, 0, -6, -8],),
    ]


def _dedupe(xs: list[int]) -> list[int]:
    return list(dict.fromkeys(xs))


LIST_FAMILIES = table(
    Recipe(
        name="scale_all",
        names=("${p}_times_$k", "scale_${p}_by_$k"),
        docs=("Return $p with each number multiplied by $k.", "Multiply each of $p by $k."),
        params="$p",
        parts=_K,
        good={
            "comprehension": "return [$x * $k for $x in $p]",
            "loop": loop("result = []", "result.append($x * $k)"),
        },
        bad={"repeats": "return $p * $k", "power": "return [$x ** $k for $x in $p]"},
        share=0.27,
        trusted=lambda q, xs: [x * q["k"] for x in xs],
        inputs=_samples,
    ),
    Recipe(
        name="shift_all",
        names=("${p}_plus_$k", "raise_${p}_by_$k", "add_${k}_to_$p"),
        docs=("Return $p with $k added to each number.", "Add $k to each of $p."),
        params="$p",
        parts=_K,
        good={
            "comprehension": "return [$x + $k for $x in $p]",
            "loop": loop("result = []", "result.append($x + $k)"),
        },
        bad={"appends": "return $p + [$k]", "adds-to-sum": "return sum($p) + $k"},
        share=0.29,
        trusted=lambda q, xs: [x + q["k"] for x in xs],
        inputs=_samples,
    ),
    Recipe(
        name="cap_all",
        names=("cap_${p}_at_$k", "limit_${p}_to_$k"),
        docs=("Return $p with numbers above $k replaced by $k.", "Cut each of $p down to $k."),
        params="$p",
        parts=_K,
        good={
            "min": "return [min($x, $k) for $x in $p]",
            "loop": loop(
                "result = []", "if $x > $k:\n    result.append($k)\nelse:\n    result.append($x)"
            ),
        },
        bad={
            "max": "return [max($x, $k) for $x in $p]",
            "drops": "return [$x for $x in $p if $x <= $k]",
        },
        share=0.46,
        trusted=lambda q, xs: [min(x, q["k"]) for x in xs],
        inputs=_samples,
    ),
    Recipe(
        name="running_total",
        names=("running_total", "running_${p}", "totals_of_$p", "cumulative_$p"),
        docs=(
            "Return the running total of $p after each number.",
            "List the sums of the first 1, 2, 3, ... numbers of $p.",
        ),
        params="$p",
        parts=_N,
        good={
            "loop": "total = 0\nresult = []\nfor $x in $p:\n    total += $x\n"
            "    result.append(total)\nreturn result",
            "slices": "return [sum($p[: i + 1]) for i in range(len($p))]",
        },
        bad={
            "before-adding": "total = 0\nresult = []\nfor $x in $p:\n    result.append(total)\n"
            "    total += $x\nreturn result",
            "slice-short": "return [sum($p[:i]) for i in range(len($p))]",
        },
        share=0.44,
        trusted=lambda q, xs: [sum(xs[: i + 1]) for i in range(len(xs))],
        inputs=_samples,
    ),
    Recipe(
        name="rotate_left",
        names=("rotate_$p", "rotate_${p}_left", "turn_$p"),
        docs=(
            "Return $p rotated left by $k places; an empty list stays empty.",
            "Move the first number of $p to the end, $k times.",
        ),
        params="$p",
        parts={"noun": NUMBERS, "k": (3, 4, 5, 6, 7)},
        good={
            "modulo": "if not $p:\n    return []\nk = $k % len($p)\nreturn $p[k:] + $p[:k]",
        },
        bad={
            "no-modulo": "return $p[$k:] + $p[:$k]",
            "rotates-right": "if not $p:\n    return []\nk = $k % len($p)\n"
            "return $p[-k:] + $p[:-k]",
            "empty-fails": "k = $k % len($p)\nreturn $p[k:] + $p[:k]",
        },
        share=0.54,
        trusted=lambda q, xs: xs[q["k"] % len(xs) :] + xs[: q["k"] % len(xs)] if xs else [],
        inputs=lambda q: [
            ([],),
            ([1],),
            (list(range(q["k"] - 1)),),
            (list(range(q["k"])),),
            ([1, 2, 3, 4, 5, 6, 7, 8, 9],),
        ],
    ),
    Recipe(
        name="chunks",
        names=("chunks_of_$k", "split_${p}_by_$k", "groups_of_$k"),
        docs=(
            "Return $p in lists of $k; the last may be shorter.",
            "Cut $p into parts of $k numbers; keep a shorter last part.",
        ),
        params="$p",
        parts=_S,
        good={"slices": "return [$p[i : i + $k] for i in range(0, len($p), $k)]"},
        bad={
            "slides": "return [$p[i : i + $k] for i in range(len($p))]",
            "drops-last": "return [$p[i : i + $k] for i in range(0, len($p) - $k, $k)]",
        },
        share=0.41,
        trusted=lambda q, xs: [xs[i : i + q["k"]] for i in range(0, len(xs), q["k"])],
        inputs=_samples,
    ),
    Recipe(
        name="window_sums",
        names=("sums_of_$k", "window_sums_$k", "moving_sum_of_$k"),
        docs=(
            "Return the sum of every $k neighbors in $p, from left to right.",
            "List the sums of all windows of $k numbers in $p.",
        ),
        params="$p",
        parts=_S,
        good={"slices": "return [sum($p[i : i + $k]) for i in range(len($p) - $k + 1)]"},
        bad={
            "one-short": "return [sum($p[i : i + $k]) for i in range(len($p) - $k)]",
            "too-many": "return [sum($p[i : i + $k]) for i in range(len($p))]",
            "steps": "return [sum($p[i : i + $k]) for i in range(0, len($p), $k)]",
        },
        share=0.5,
        trusted=lambda q, xs: [sum(xs[i : i + q["k"]]) for i in range(len(xs) - q["k"] + 1)],
        inputs=_samples,
    ),
    Recipe(
        name="flatten",
        names=("flatten_$p", "join_$p", "flat_list_of_$p"),
        docs=(
            "Return one list of the numbers in all lists of $p.",
            "Join the lists in $p into one list.",
            "Flatten $p, a list of lists, by one level.",
        ),
        params="$p",
        parts={"noun": ROWS},
        good={
            "comprehension": "return [item for $x in $p for item in $x]",
            "extend": loop("result = []", "result.extend($x)"),
        },
        bad={
            "append": loop("result = []", "result.append($x)"),
            "first-only": "return [$x[0] for $x in $p]",
        },
        share=0.36,
        trusted=lambda q, xss: [x for xs in xss for x in xs],
        inputs=lambda q: [([],), ([[1], [2, 3]],), ([[], [4]],), ([[5, 6, 7]],), ([[], []],)],
    ),
    Recipe(
        name="dedupe",
        names=("unique_$p", "dedupe_$p", "distinct_$p"),
        docs=(
            "Return $p without repeats, in order of first appearance.",
            "Remove repeated numbers from $p; keep the order.",
        ),
        params="$p",
        parts=_N,
        good={
            "not-in": loop("result = []", "if $x not in result:\n    result.append($x)"),
            "dict": "return list(dict.fromkeys($p))",
        },
        bad={
            "sorted": "return sorted(set($p))",
            "only-neighbors": loop(
                "result = []", "if not result or result[-1] != $x:\n    result.append($x)"
            ),
            "only-single": "return [$x for $x in $p if $p.count($x) == 1]",
        },
        share=0.47,
        trusted=lambda q, xs: _dedupe(xs),
        inputs=_samples,
    ),
    Recipe(
        name="largest_few",
        names=("top_${k}_$p", "largest_${k}_$p", "best_${k}_$p"),
        docs=(
            "Return the $k largest numbers of $p, largest first.",
            "Return up to $k of the highest $p in falling order.",
        ),
        params="$p",
        parts=_S,
        good={
            "reverse": "return sorted($p, reverse=True)[:$k]",
            "steps": "result = sorted($p)\nresult.reverse()\nreturn result[:$k]",
        },
        bad={
            "smallest": "return sorted($p)[:$k]",
            "rising": "return sorted($p)[-$k:]",
            "unsorted": "return $p[:$k]",
        },
        share=0.39,
        trusted=lambda q, xs: sorted(xs, reverse=True)[: q["k"]],
        inputs=_samples,
    ),
    Recipe(
        name="every_nth",
        names=("every_${k}th_of_$p", "${p}_step_$k"),
        docs=(
            "Return every ${k}th number of $p, starting with the first.",
            "Return the numbers of $p at positions 0, $k, 2 * $k and so on.",
        ),
        params="$p",
        parts={"noun": NUMBERS, "k": (4, 5, 6, 7, 8, 9)},
        good={
            "slice": "return $p[::$k]",
            "range": "return [$p[i] for i in range(0, len($p), $k)]",
        },
        bad={
            "starts-late": "return $p[$k::$k]",
            "first-few": "return $p[:$k]",
            "starts-before": "return $p[${k} - 1::$k]",
        },
        share=0.4,
        trusted=lambda q, xs: xs[:: q["k"]],
        inputs=_samples,
    ),
    Recipe(
        name="last_few",
        names=("last_${k}_$p", "latest_${k}_$p", "final_${k}_$p"),
        docs=("Return the last $k of $p, or all if there are fewer.", "Keep the last $k of $p."),
        params="$p",
        parts=_K,
        good={"slice": "return $p[-$k:]"},
        bad={
            "first": "return $p[:$k]",
            "one-less": "return $p[-$k + 1:]",
            "drops-them": "return $p[:-$k]",
        },
        share=0.31,
        trusted=lambda q, xs: xs[-q["k"] :],
        inputs=lambda q: [*_samples(q), (list(range(20)),)],
    ),
    Recipe(
        name="differences",
        names=("differences", "changes_in_$p", "steps_of_$p", "${p}_changes"),
        docs=(
            "Return the difference of each of $p to the one before.",
            "List by how much each number of $p is above the one before it.",
        ),
        params="$p",
        parts=_N,
        good={
            "index": "return [$p[i] - $p[i - 1] for i in range(1, len($p))]",
            "zip": "return [b - a for a, b in zip($p, $p[1:])]",
        },
        bad={
            "wrong-sign": "return [a - b for a, b in zip($p, $p[1:])]",
            "wraps-around": "return [$p[i] - $p[i - 1] for i in range(len($p))]",
            "past-the-end": "return [$p[i + 1] - $p[i] for i in range(len($p))]",
        },
        share=0.48,
        trusted=lambda q, xs: [b - a for a, b in pairwise(xs)],
        inputs=_samples,
    ),
    Recipe(
        name="replace_value",
        names=("replace_${k}_in_$p", "swap_${k}_for_$m", "change_${k}_to_$m"),
        docs=(
            "Return $p with each $k replaced by $m.",
            "Return a list of $p where every $k has become $m.",
        ),
        params="$p",
        parts={**_K, "m": (0, 1, 20, 30, 50, 100)},
        good={
            "expression": "return [$m if $x == $k else $x for $x in $p]",
            "loop": loop(
                "result = []", "if $x == $k:\n    result.append($m)\nelse:\n    result.append($x)"
            ),
        },
        bad={
            "swapped": "return [$k if $x == $m else $x for $x in $p]",
            "drops-others": "return [$m for $x in $p if $x == $k]",
        },
        share=0.35,
        trusted=lambda q, xs: [q["m"] if x == q["k"] else x for x in xs],
        inputs=_samples,
    ),
    Recipe(
        name="reversed_copy",
        names=("reverse_$p", "${p}_backwards", "flip_$p"),
        docs=(
            "Return $p in reverse order.",
            "Return a list of $p from last to first.",
            "Return the numbers of $p backwards.",
        ),
        params="$p",
        parts=_N,
        good={"slice": "return $p[::-1]", "reversed": "return list(reversed($p))"},
        bad={
            "returns-none": "return $p.reverse()",
            "sorts": "return sorted($p, reverse=True)",
            "drops-first": "return [$p[i] for i in range(len($p) - 1, 0, -1)]",
        },
        share=0.38,
        trusted=lambda q, xs: xs[::-1],
        inputs=_samples,
    ),
)
