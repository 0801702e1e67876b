# SPDX-License-Identifier: Apache-2.0
"""Shared word lists and predicates of the Python families.

A part is a tuple of choices; a choice is a plain value or a dict of template fields whose first
value names it in the key. This file holds words only; ``python_recipe.py`` turns them into tasks.
"""

from __future__ import annotations

from typing import Any

Choice = dict[str, Any]


def _nouns(text: str) -> tuple[Choice, ...]:
    """Turn ``plural/singular`` pairs into choices with the fields ``p`` and ``x``."""
    pairs = [word.split("/") for word in text.split()]
    return tuple({"p": plural, "x": single} for plural, single in pairs)


NUMBERS = _nouns(
    "values/value prices/price scores/score numbers/number items/item counts/count_ "
    "ages/age sizes/size costs/cost points/point weights/weight totals/amount"
)
NUMBERS = tuple(noun for noun in NUMBERS if noun["x"].isalpha())
WORDS = _nouns(
    "words/word names/name tags/tag labels/label titles/title cities/city users/user "
    "colors/color keys/key lines/line"
)
RECORDS = _nouns(
    "records/record rows/row items/item orders/order entries/entry products/product "
    "people/person events/event users/user"
)
ROWS = _nouns("rows/row lists/part groups/group lines/line blocks/block tables/table parts/part")
TEXTS = ("text", "line", "message", "name", "title", "note", "label", "content", "phrase", "entry")
INTEGERS = ("number", "value", "n", "amount", "level", "size", "height", "score", "limit", "width")
MAPS = ("data", "table", "prices", "scores", "counts", "stock", "settings", "options", "ages")
FIELDS = ("price", "age", "score", "size", "count", "cost", "weight", "level")
LABELS = ("name", "city", "color", "kind", "team", "group", "status", "owner")
PAIRS = tuple(
    {"a": pair.split("/")[0], "b": pair.split("/")[1]}
    for pair in ("a/b", "left/right", "first/second", "x/y", "one/other", "start/end")
)
SMALL = tuple(range(2, 7))
CONSTANTS = tuple(range(2, 13))


def _adjective(word: str, test: str, wrong: str, near: int) -> Choice:
    """A predicate that stands before its noun."""
    fields = {"said": word, "pre": f"{word}_", "post": "", "adj": f"{word} ", "rel": ""}
    return {**fields, "test": test, "wrong": wrong, "k": near}


def _relative(words: str, name: str, test: str, wrong: str, k: int) -> Choice:
    """A predicate that stands after its noun, with the constant ``k``."""
    fields = {"said": f"{name} {k}", "pre": "", "post": f"_{name}_{k}", "adj": ""}
    return {**fields, "rel": f" that are {words} {k}", "test": test, "wrong": wrong, "k": k}


_PLAIN = (
    _adjective("even", "$x % 2 == 0", "$x % 2 == 1", 2),
    _adjective("odd", "$x % 2 == 1", "$x % 2 == 0", 3),
    _adjective("positive", "$x > 0", "$x > 1", 1),
    _adjective("negative", "$x < 0", "$x < -1", -1),
)
_MEASURED = tuple(
    choice
    for k in CONSTANTS
    for choice in (
        _relative("greater than", "above", f"$x > {k}", f"$x >= {k}", k),
        _relative("less than", "below", f"$x < {k}", f"$x <= {k}", k),
        _relative("at least", "at_least", f"$x >= {k}", f"$x > {k}", k),
        _relative("divisible by", "divisible_by", f"$x % {k} == 0", f"$x // {k} == 0", k),
    )
)
# The plain ones are as frequent, taken together, as about a third of the measured ones.
PREDICATES: tuple[Choice, ...] = _PLAIN * 4 + _MEASURED


def holds(parts: dict[str, Any], number: int) -> bool:
    """Decide the predicate drawn into ``parts`` for one number."""
    said, k = str(parts["said"]), int(parts["k"])
    kind = said.split(" ")[0]
    answers = {
        "even": number % 2 == 0,
        "odd": number % 2 != 0,
        "positive": number > 0,
        "negative": number < 0,
        "above": number > k,
        "below": number < k,
        "at_least": number >= k,
        "divisible_by": number % k == 0,
    }
    return answers[kind]


def probes(parts: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Lists of numbers that tell the drawn predicate from its neighbours."""
    k = int(parts.get("k", 3))
    return [
        ([],),
        ([k],),
        ([k - 1, k, k + 1],),
        ([2 * k + 1, 7, 4, -3, k, 9, 1],),
        ([1, 2, 3, 4, 5, 6, 24, 36],),
        ([-1, -2, 0, 13, 40, k],),
        ([-4, -7, -6],),
    ]
