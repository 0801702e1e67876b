# SPDX-License-Identifier: Apache-2.0
"""Families on dicts and lists of dicts. Data only."""

from __future__ import annotations

from typing import Any

from seedling.world.python_recipe import Parts, Recipe, table
from seedling.world.python_words import CONSTANTS, FIELDS, LABELS, MAPS, PAIRS, RECORDS, WORDS

_M = {"p": MAPS}
_MK = {"p": MAPS, "k": CONSTANTS}
_F = {"noun": RECORDS, "field": FIELDS}
_L = {"noun": RECORDS, "label": LABELS}


def _maps(parts: Parts) -> list[tuple[Any, ...]]:
    """Dicts of numbers with the constant, its neighbours and equal values."""
    k = int(parts.get("k", 3))
    return [
        ({},),
        ({"a": k},),
        ({"x": k - 1, "y": k, "z": k + 1},),
        ({"pen": 4, "cup": 9, "hat": 20, "box": 1},),
        ({"b": 2, "a": -1, "c": 5},),
    ]


def _records(parts: Parts) -> list[tuple[Any, ...]]:
    """Lists of records with the drawn field, label or both."""
    k = int(parts.get("k", 3))
    field, label = str(parts.get("field", "size")), str(parts.get("label", "name"))

    def rows(*pairs: tuple[str, int]) -> tuple[list[dict[str, Any]]]:
        return ([{label: text, field: number} for text, number in pairs],)

    return [
        rows(),
        rows(("ann", k)),
        rows(("bob", k + 1), ("ann", k), ("cat", k - 1)),
        rows(("x", 5), ("y", 20), ("x", 1), ("z", 14)),
        rows(("d", 40), ("c", 30), ("c", -2)),
    ]


def _group(rows: list[Any], key: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _tally(items: list[Any]) -> dict[str, int]:
    return {item: items.count(item) for item in items}


RECORD_FAMILIES = table(
    Recipe(
        name="merge_dicts",
        names=("merge", "merge_dicts", "combine", "join_dicts"),
        docs=(
            "Return a dict of $a and $b; for equal keys $b wins.",
            "Merge $a and $b into one dict, with $b over $a.",
            "Return $a updated with the values of $b.",
        ),
        params="$a, $b",
        parts={"pair": PAIRS},
        good={
            "stars": "return {**$a, **$b}",
            "copy": "result = dict($a)\nresult.update($b)\nreturn result",
        },
        bad={
            "wrong-order": "return {**$b, **$a}",
            "returns-none": "return $a.update($b)",
        },
        share=0.36,
        trusted=lambda q, a, b: {**a, **b},
        inputs=lambda q: [
            ({}, {}),
            ({"x": 1}, {"x": 2}),
            ({"x": 1, "y": 2}, {"y": 5, "z": 3}),
            ({"k": 0}, {}),
        ],
    ),
    Recipe(
        name="keep_entries",
        names=("${p}_above_$k", "keep_${p}_above_$k", "filter_${p}_over_$k"),
        docs=(
            "Return the entries of dict $p with a value greater than $k.",
            "Keep those keys of dict $p whose value is above $k.",
        ),
        params="$p",
        parts=_MK,
        good={
            "comprehension": "return {key: value for key, value in $p.items() if value > $k}",
            "loop": "result = {}\nfor key, value in $p.items():\n    if value > $k:\n"
            "        result[key] = value\nreturn result",
        },
        bad={
            "or-equal": "return {key: value for key, value in $p.items() if value >= $k}",
            "no-items": "return {key: value for key, value in $p if value > $k}",
            "keys-only": "return [key for key in $p if $p[key] > $k]",
        },
        share=0.43,
        trusted=lambda q, d: {key: value for key, value in d.items() if value > q["k"]},
        inputs=_maps,
    ),
    Recipe(
        name="scale_entries",
        names=("${p}_times_$k", "multiply_${p}_by_$k", "scale_${p}_by_$k"),
        docs=(
            "Return dict $p with every value multiplied by $k.",
            "Return a dict like $p with each value $k times as large.",
        ),
        params="$p",
        parts=_MK,
        good={"comprehension": "return {key: value * $k for key, value in $p.items()}"},
        bad={
            "keys": "return {key * $k: value for key, value in $p.items()}",
            "list": "return [value * $k for value in $p.values()]",
            "adds": "return {key: value + $k for key, value in $p.items()}",
        },
        share=0.32,
        trusted=lambda q, d: {key: value * q["k"] for key, value in d.items()},
        inputs=_maps,
    ),
    Recipe(
        name="best_key",
        names=("best_of_$p", "key_of_largest", "top_key", "largest_in_$p"),
        docs=(
            "Return the key with the largest value in dict $p, or None.",
            "Return which key of dict $p has the highest value; None if empty.",
        ),
        params="$p",
        parts=_M,
        good={
            "guard": "if not $p:\n    return None\nreturn max($p, key=$p.get)",
            "default": "return max($p, key=$p.get, default=None)",
        },
        bad={
            "largest-key": "return max($p, default=None)",
            "value-instead": "return max($p.values(), default=None)",
            "forgets-empty": "return max($p, key=$p.get)",
        },
        share=0.57,
        trusted=lambda q, d: max(d, key=d.get, default=None),
        inputs=_maps,
    ),
    Recipe(
        name="get_or_default",
        names=("get_$word", "read_$word", "${word}_of_$p"),
        docs=(
            "Return the '$word' of dict $p, or $k if it is missing.",
            "Look up '$word' in dict $p; $k if there is none.",
        ),
        params="$p",
        parts={"p": MAPS, "word": FIELDS, "k": (1, 2, 3, 5, 10, 100)},
        good={
            "get": "return $p.get('$word', $k)",
            "branch": "if '$word' in $p:\n    return $p['$word']\nreturn $k",
        },
        bad={
            "no-default": "return $p.get('$word')",
            "index": "return $p['$word']",
            "or": "return $p.get('$word') or $k",
        },
        share=0.41,
        trusted=lambda q, d: d.get(q["word"], q["k"]),
        inputs=lambda q: [({},), ({q["word"]: 7},), ({q["word"]: 0},), ({"other": 3},)],
    ),
    Recipe(
        name="invert_dict",
        names=("invert_$p", "invert", "swap_$p", "flip_$p"),
        docs=(
            "Return dict $p with keys and values swapped.",
            "Return a dict from each value of $p to its key.",
        ),
        params="$p",
        parts=_M,
        good={
            "comprehension": "return {value: key for key, value in $p.items()}",
            "loop": "result = {}\nfor key in $p:\n    result[$p[key]] = key\nreturn result",
        },
        bad={
            "copies": "return {key: value for key, value in $p.items()}",
            "no-items": "return {value: key for key, value in $p}",
        },
        share=0.33,
        trusted=lambda q, d: {value: key for key, value in d.items()},
        inputs=lambda q: [({},), ({"a": "x"},), ({"a": "x", "b": "y"},), ({"up": "down"},)],
    ),
    Recipe(
        name="zip_to_dict",
        names=("make_$p", "build_$p", "${p}_from_lists"),
        docs=(
            "Return a dict from the items of $a to those of $b at the same place.",
            "Pair the keys in $a with the values in $b in a dict.",
        ),
        params="$a, $b",
        parts={"p": MAPS[:6], "a": ("keys", "names", "words"), "b": ("values", "numbers")},
        good={
            "zip": "return dict(zip($a, $b))",
            "comprehension": "return {$a[i]: $b[i] for i in range(len($a))}",
        },
        bad={
            "swapped": "return dict(zip($b, $a))",
            "all-to-all": "return {key: $b for key in $a}",
            "skips-first": "return {$a[i]: $b[i] for i in range(1, len($a))}",
        },
        share=0.35,
        trusted=lambda q, a, b: dict(zip(a, b, strict=True)),
        inputs=lambda q: [
            ([], []),
            (["a"], [1]),
            (["x", "y"], [5, 6]),
            (["p", "q", "r"], [3, 1, 2]),
        ],
    ),
    Recipe(
        name="tally",
        names=("count_$p", "tally_$p", "${x}_counts"),
        docs=(
            "Return a dict from each of $p to how often it is there.",
            "Count how many times each string is in $p.",
            "Return a dict with the number of times each of $p appears.",
        ),
        params="$p",
        parts={"noun": WORDS},
        good={
            "get": "result = {}\nfor $x in $p:\n    result[$x] = result.get($x, 0) + 1\n"
            "return result",
            "count": "return {$x: $p.count($x) for $x in $p}",
        },
        bad={
            "from-one": "result = {}\nfor $x in $p:\n    result[$x] = result.get($x, 1) + 1\n"
            "return result",
            "no-start": "result = {}\nfor $x in $p:\n    result[$x] += 1\nreturn result",
            "lengths": "return {$x: len($x) for $x in $p}",
        },
        share=0.46,
        trusted=lambda q, xs: _tally(xs),
        inputs=lambda q: [([],), (["red"],), (["a", "b", "a"],), (["x", "x", "x", "y"],)],
    ),
    Recipe(
        name="most_common",
        names=("most_common_$x", "most_frequent_$x", "usual_$x"),
        docs=(
            "Return the most frequent of $p, the first if equal, or None.",
            "Return which of $p appears most often, the earliest of equals; None if empty.",
        ),
        params="$p",
        parts={"noun": (*WORDS, *RECORDS[:3])},
        good={"count": "if not $p:\n    return None\nreturn max($p, key=$p.count)"},
        bad={
            "forgets-empty": "return max($p, key=$p.count)",
            "largest": "if not $p:\n    return None\nreturn max($p)",
            "least": "if not $p:\n    return None\nreturn min($p, key=$p.count)",
        },
        share=0.5,
        trusted=lambda q, xs: max(xs, key=xs.count) if xs else None,
        inputs=lambda q: [
            ([],),
            (["a"],),
            (["b", "a", "b"],),
            (["x", "y"],),
            (["c", "d", "c", "z"],),
        ],
    ),
    Recipe(
        name="group_by_field",
        names=("${p}_by_$label", "group_by_$label", "group_${p}_by_$label"),
        docs=(
            "Return a dict from each '$label' to the list of $p with it.",
            "Group the dicts in $p by their '$label'.",
        ),
        params="$p",
        parts=_L,
        good={
            "setdefault": "result = {}\nfor $x in $p:\n"
            "    result.setdefault($x['$label'], []).append($x)\nreturn result",
        },
        bad={
            "keeps-last": "return {$x['$label']: $x for $x in $p}",
            "no-start": "result = {}\nfor $x in $p:\n    result[$x['$label']].append($x)\n"
            "return result",
        },
        share=0.44,
        trusted=lambda q, rows: _group(rows, lambda row: row[q["label"]]),
        inputs=_records,
    ),
    Recipe(
        name="sum_field",
        names=("total_$field", "sum_of_$field", "${field}_of_$p"),
        docs=(
            "Return the sum of the '$field' of all $p.",
            "Add up the '$field' of the dicts in $p.",
        ),
        params="$p",
        parts=_F,
        good={
            "generator": "return sum($x['$field'] for $x in $p)",
            "loop": "total = 0\nfor $x in $p:\n    total += $x['$field']\nreturn total",
        },
        bad={
            "last-only": "total = 0\nfor $x in $p:\n    total = $x['$field']\nreturn total",
            "counts": "return sum(1 for $x in $p)",
            "wrong-start": "total = 1\nfor $x in $p:\n    total += $x['$field']\nreturn total",
        },
        share=0.3,
        trusted=lambda q, rows: sum(row[q["field"]] for row in rows),
        inputs=_records,
    ),
    Recipe(
        name="field_above",
        names=("${p}_with_${field}_above_$k", "${field}_above_$k"),
        docs=(
            "Return the $p whose '$field' is greater than $k.",
            "Keep the dicts in $p with a '$field' above $k.",
        ),
        params="$p",
        parts={**_F, "k": CONSTANTS},
        good={"comprehension": "return [$x for $x in $p if $x['$field'] > $k]"},
        bad={
            "or-equal": "return [$x for $x in $p if $x['$field'] >= $k]",
            "field-only": "return [$x['$field'] for $x in $p if $x['$field'] > $k]",
            "below": "return [$x for $x in $p if $x['$field'] < $k]",
        },
        share=0.42,
        trusted=lambda q, rows: [row for row in rows if row[q["field"]] > q["k"]],
        inputs=_records,
    ),
    Recipe(
        name="sort_by_field",
        names=("sort_${p}_by_$field", "${p}_sorted_by_$field", "sort_by_$field"),
        docs=(
            "Return $p sorted by '$field', largest first.",
            "Sort the dicts in $p by '$field' from high to low.",
        ),
        params="$p",
        parts=_F,
        good={"reverse": "return sorted($p, key=lambda $x: $x['$field'], reverse=True)"},
        bad={
            "rising": "return sorted($p, key=lambda $x: $x['$field'])",
            "returns-none": "return $p.sort(key=lambda $x: $x['$field'], reverse=True)",
            "no-key": "return sorted($p, reverse=True)",
        },
        share=0.49,
        trusted=lambda q, rows: sorted(rows, key=lambda row: -row[q["field"]]),
        inputs=_records,
    ),
    Recipe(
        name="list_field",
        names=("all_${label}s", "list_${label}_of_$p", "${label}_list"),
        docs=(
            "Return the '$label' of each of $p in a list.",
            "List the '$label' of the dicts in $p, in order.",
        ),
        params="$p",
        parts=_L,
        good={"comprehension": "return [$x['$label'] for $x in $p]"},
        bad={
            "sorted": "return sorted($x['$label'] for $x in $p)",
            "no-repeats": "return list(dict.fromkeys($x['$label'] for $x in $p))",
            "attribute": "return [$x.$label for $x in $p]",
        },
        share=0.26,
        trusted=lambda q, rows: [row[q["label"]] for row in rows],
        inputs=_records,
    ),
)
