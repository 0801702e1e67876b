# SPDX-License-Identifier: Apache-2.0
"""Families that go through a list of numbers with a predicate.

Each teaches one way of using a condition (count, sum, keep, find, ...). ``sum_scaled_where`` joins
two of them and is the one that ``python_functions.py`` holds out. Data only.
"""

from __future__ import annotations

from seedling.world.python_recipe import Recipe, hasty, loop, table
from seedling.world.python_words import CONSTANTS, NUMBERS, PREDICATES, holds, probes

_PARTS = {"noun": NUMBERS, "predicate": PREDICATES}
_KEEP = "if $test:\n    "
_KEEP_WRONG = "if $wrong:\n    "

WHERE = table(
    Recipe(
        name="count_where",
        names=("count_${pre}${p}${post}", "number_of_${pre}${p}${post}"),
        docs=(
            "Return how many ${adj}numbers are in $p${rel}.",
            "Count the ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "sum-of-ones": "return sum(1 for $x in $p if $test)",
            "loop": loop("count = 0", _KEEP + "count += 1"),
        },
        bad={
            "wrong-comparison": "return sum(1 for $x in $p if $wrong)",
            "wrong-start": loop("count = 1", _KEEP + "count += 1"),
            "sums-instead": loop("count = 0", _KEEP + "count += $x"),
        },
        share=0.45,
        trusted=lambda q, xs: len([x for x in xs if holds(q, x)]),
        inputs=probes,
    ),
    Recipe(
        name="sum_where",
        names=("sum_of_${pre}${p}${post}", "total_of_${pre}${p}${post}", "add_${pre}${p}${post}"),
        docs=(
            "Return the sum of the ${adj}numbers in $p${rel}.",
            "Add up the ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "generator": "return sum($x for $x in $p if $test)",
            "loop": loop("total = 0", _KEEP + "total += $x"),
        },
        bad={
            "wrong-comparison": "return sum($x for $x in $p if $wrong)",
            "wrong-start": loop("total = 1", _KEEP + "total += $x"),
            "return-in-loop": hasty("total = 0", _KEEP + "total += $x"),
        },
        share=0.4,
        trusted=lambda q, xs: sum(x for x in xs if holds(q, x)),
        inputs=probes,
    ),
    Recipe(
        name="keep_where",
        names=("keep_${pre}${p}${post}", "only_${pre}${p}${post}", "filter_${pre}${p}${post}"),
        docs=(
            "Return a list of the ${adj}numbers in $p${rel}.",
            "Keep only the ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "comprehension": "return [$x for $x in $p if $test]",
            "loop": loop("result = []", _KEEP + "result.append($x)"),
        },
        bad={
            "wrong-comparison": "return [$x for $x in $p if $wrong]",
            "keeps-tests": "return [$test for $x in $p]",
        },
        share=0.35,
        trusted=lambda q, xs: [x for x in xs if holds(q, x)],
        inputs=probes,
    ),
    Recipe(
        name="drop_where",
        names=("drop_${pre}${p}${post}", "remove_${pre}${p}${post}", "without_${pre}${p}${post}"),
        docs=(
            "Return $p without the ${adj}numbers${rel}.",
            "Return a list of $p with the ${adj}numbers${rel} left out.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "comprehension": "return [$x for $x in $p if not $test]",
            "loop": loop("result = []", "if not $test:\n    result.append($x)"),
        },
        bad={
            "keeps-instead": "return [$x for $x in $p if $test]",
            "removes-while-looping": loop("", _KEEP + "$p.remove($x)", "return $p").lstrip("\n"),
            "wrong-comparison": "return [$x for $x in $p if not $wrong]",
        },
        share=0.5,
        trusted=lambda q, xs: [x for x in xs if not holds(q, x)],
        inputs=lambda q: [*probes(q)[:6], ([q["k"] * 4] * 2 + [-5, -5, 7, 7],)],
    ),
    Recipe(
        name="first_where",
        names=("first_${pre}number_in_${p}${post}", "find_first_${pre}${p}${post}"),
        docs=(
            "Return the first of the ${adj}numbers in $p${rel}, or None.",
            "Find the first of the ${adj}numbers in $p${rel}; None if there is none.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "loop": "for $x in $p:\n    if $test:\n        return $x\nreturn None",
            "next": "return next(($x for $x in $p if $test), None)",
        },
        bad={
            "not-found-is-zero": "for $x in $p:\n    if $test:\n        return $x\nreturn 0",
            "forgets-empty": "return [$x for $x in $p if $test][0]",
            "last-instead": loop("found = None", _KEEP + "found = $x"),
        },
        share=0.42,
        trusted=lambda q, xs: next((x for x in xs if holds(q, x)), None),
        inputs=lambda q: [*probes(q)[:5], ([*range(-30, 30)],), ([2 * q["k"], 36, 60],)],
    ),
    Recipe(
        name="any_where",
        names=("has_${pre}${p}${post}", "any_${pre}${p}${post}"),
        docs=(
            "Return True if $p has any ${adj}numbers${rel}.",
            "Tell whether there are any ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "any": "return any($test for $x in $p)",
            "loop": "for $x in $p:\n    if $test:\n        return True\nreturn False",
        },
        bad={
            "all-instead": "return all($test for $x in $p)",
            "decides-early": "for $x in $p:\n    if $test:\n        return True\n"
            "    return False\nreturn False",
        },
        share=0.33,
        trusted=lambda q, xs: any(holds(q, x) for x in xs),
        inputs=lambda q: [
            *probes(q)[:4],
            ([-31, -60, 60, 9, q["k"]],),
            ([61, 60, -60, 9, -7],),
        ],
    ),
    Recipe(
        name="all_where",
        names=("all_${pre}${p}${post}", "only_has_${pre}${p}${post}"),
        docs=(
            "Return True if $p holds only ${adj}numbers${rel}.",
            "Tell whether $p has nothing but ${adj}numbers${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "all": "return all($test for $x in $p)",
            "loop": "for $x in $p:\n    if not $test:\n        return False\nreturn True",
        },
        bad={
            "any-instead": "return any($test for $x in $p)",
            "wrong-empty": "for $x in $p:\n    if not $test:\n        return False\n"
            "return len($p) > 0",
        },
        share=0.37,
        trusted=lambda q, xs: all(holds(q, x) for x in xs),
        inputs=probes,
    ),
    Recipe(
        name="positions_where",
        names=("positions_of_${pre}${p}${post}", "indexes_of_${pre}${p}${post}"),
        docs=(
            "Return the positions of the ${adj}numbers in $p${rel}, from 0.",
            "List the indexes of the ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "enumerate": "return [i for i, $x in enumerate($p) if $test]",
        },
        bad={
            "from-one": "return [i for i, $x in enumerate($p, 1) if $test]",
            "numbers-instead": "return [$x for i, $x in enumerate($p) if $test]",
        },
        share=0.47,
        trusted=lambda q, xs: [i for i, x in enumerate(xs) if holds(q, x)],
        inputs=probes,
    ),
    Recipe(
        name="split_where",
        names=("split_${pre}${p}${post}", "part_${pre}${p}${post}"),
        docs=(
            "Return two lists: the ${adj}numbers in $p${rel}, and the rest.",
            "Split $p into the ${adj}numbers${rel} and all others.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "comprehensions": "yes = [$x for $x in $p if $test]\n"
            "no = [$x for $x in $p if not $test]\nreturn [yes, no]",
            "loop": "yes = []\nno = []\nfor $x in $p:\n    if $test:\n        yes.append($x)\n"
            "    else:\n        no.append($x)\nreturn [yes, no]",
        },
        bad={
            "wrong-order": "yes = [$x for $x in $p if $test]\n"
            "no = [$x for $x in $p if not $test]\nreturn [no, yes]",
            "rest-is-all": "yes = [$x for $x in $p if $test]\nno = $p\nreturn [yes, no]",
        },
        share=0.38,
        trusted=lambda q, xs: [[x for x in xs if holds(q, x)], [x for x in xs if not holds(q, x)]],
        inputs=lambda q: [*probes(q)[:6], ([*range(-15, 16)],)],
    ),
    Recipe(
        name="take_while",
        names=("leading_${pre}${p}${post}", "take_${pre}${p}${post}"),
        docs=(
            "Return the numbers of $p up to the first that is not one of the ${adj}numbers${rel}.",
            "Take from the start of $p only ${adj}numbers${rel}; stop at the first other.",
        ),
        params="$p",
        parts=_PARTS,
        good={
            "break": "result = []\nfor $x in $p:\n    if not $test:\n        break\n"
            "    result.append($x)\nreturn result",
        },
        bad={
            "does-not-stop": "return [$x for $x in $p if $test]",
            "one-too-many": "result = []\nfor $x in $p:\n    result.append($x)\n"
            "    if not $test:\n        break\nreturn result",
        },
        share=0.46,
        trusted=lambda q, xs: next(
            (xs[:i] for i, x in enumerate(xs) if not holds(q, x)),
            xs,
        ),
        inputs=lambda q: [*probes(q)[:6], ([*range(-15, 16), *range(15, -16, -1)],)],
    ),
    Recipe(
        name="sum_scaled_where",
        names=("sum_of_${pre}${p}${post}_times_$m", "total_of_${pre}${p}${post}_times_$m"),
        docs=(
            "Return the sum of the ${adj}numbers in $p${rel}, each multiplied by $m.",
            "Add up $m times each of the ${adj}numbers in $p${rel}.",
        ),
        params="$p",
        parts={**_PARTS, "m": CONSTANTS},
        good={
            "generator": "return sum($x * $m for $x in $p if $test)",
            "loop": loop("total = 0", _KEEP + "total += $x * $m"),
        },
        bad={
            "wrong-comparison": loop("total = 0", _KEEP_WRONG + "total += $x * $m"),
            "forgets-factor": "return sum($x for $x in $p if $test)",
            "forgets-filter": "return sum($x * $m for $x in $p)",
        },
        share=0.42,
        trusted=lambda q, xs: sum(x * q["m"] for x in xs if holds(q, x)),
        inputs=probes,
    ),
)
