# SPDX-License-Identifier: Apache-2.0
"""Queries that are nearly the gold query: what a database should tell apart from it.

Used to choose among generated databases, and to say how much a set of databases can see. Each
mutant has one small change of the kind that models make: a condition dropped, another comparison,
another column. Some do not run, some mean the same as the gold query; whoever uses them asks
SQLite. Nothing is run here.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence

from codetemper.core.sql_text import Token, tokens

_SIGNS = {
    "=": ("<>",), "==": ("<>",), "<>": ("=",), "!=": ("=",), "<": ("<=", ">"), "<=": ("<", ">="),
    ">": (">=", "<"), ">=": (">", "<="), "+": ("-",), "-": ("+",),
}  # fmt: skip
_AGGREGATES = {
    "MAX": ("MIN",), "MIN": ("MAX",), "SUM": ("AVG", "COUNT"), "AVG": ("SUM", "MAX"),
    "COUNT": ("SUM",),
}  # fmt: skip
_WORDS = {
    "ASC": ("DESC",), "DESC": ("ASC",), "AND": ("OR",), "OR": ("AND",), "UNION": ("INTERSECT",),
    "INTERSECT": ("UNION", "EXCEPT"), "EXCEPT": ("INTERSECT",), "IN": ("NOT IN",), "NOT": ("",),
    "DISTINCT": ("",), "EXISTS": ("NOT EXISTS",), "LEFT": ("",), "ALL": ("",),
}  # fmt: skip
_ENDS = frozenset(
    {"AND", "OR", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "INTERSECT", "EXCEPT", "WHERE"}
)


def mutants(gold: str, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return queries with one change each, without repetition, in the same order every time.

    Args:
        gold: the query to change.
        columns: names of the columns by table.
    """
    parts = [token for token in tokens(gold) if token.kind != "space"]
    changed = [*_other_words(parts), *_without(parts), *_other_order(parts)]
    changed += [*_other_literals(parts), *_other_columns(parts, columns)]
    plain = _joined(parts)
    return list(dict.fromkeys(text for text in changed if text != plain))


def sample(queries: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the queries, in their order, the same ones every time."""
    if len(queries) <= most:
        return list(queries)
    kept = random.Random(0).sample(range(len(queries)), most)  # noqa: S311 - a choice, no secret
    return [queries[place] for place in sorted(kept)]


def shuffled(query: str) -> str:
    """Return the query with every ORDER BY left to chance where its rows are tied."""
    parts: list[Token | str] = [token for token in tokens(query) if token.kind != "space"]
    place = 0
    while place < len(parts):
        if _word(parts, place) == "BY" and place and _word(parts, place - 1) == "ORDER":
            end = _reach(parts, place + 1)
            parts[end:end] = [", random ( )"]
        place += 1
    return _joined(parts)


def _word(parts: Sequence[Token | str], place: int) -> str:
    part = parts[place]
    return "" if isinstance(part, str) else part.word


def _joined(parts: Iterable[Token | str]) -> str:
    return " ".join(part if isinstance(part, str) else part.text for part in parts)


def _with(parts: Sequence[Token], place: int, text: str, length: int = 1) -> str:
    return _joined([*parts[:place], text, *parts[place + length :]])


def _other_words(parts: Sequence[Token]) -> Iterator[str]:
    for place, token in enumerate(parts):
        after = parts[place + 1].word if place + 1 < len(parts) else ""
        for text in (*_SIGNS.get(token.word, ()), *_WORDS.get(token.word, ())):
            yield _with(parts, place, text)
        if after == "(":
            for text in _AGGREGATES.get(token.word, ()):
                yield _with(parts, place, text)
            argument = parts[place + 2].word if place + 2 < len(parts) else ""
            if token.word in {"COUNT", "SUM", "AVG"} and argument not in {"DISTINCT", "*"}:
                yield _with(parts, place, f"{token.text} ( DISTINCT", 2)
        inner = place > 0 and parts[place - 1].word == "("
        # In a subquery, and for a single aggregate, DISTINCT seldom changes anything.
        if token.word == "SELECT" and not inner and after not in {"DISTINCT", *_AGGREGATES}:
            yield _with(parts, place, "SELECT DISTINCT")
        if token.word == "UNION" and after != "ALL":
            yield _with(parts, place, "UNION ALL")
        if token.word == "JOIN":
            yield _with(parts, place, "LEFT JOIN")
        if token.word == "LIKE":
            yield _with(parts, place, "=")
        if token.word == "BETWEEN":
            yield _with(parts, place, "NOT BETWEEN")


def _without(parts: Sequence[Token]) -> Iterator[str]:
    """Drop conditions, groupings, orders and limits."""
    for place, token in enumerate(parts):
        if token.word in {"AND", "OR", "WHERE", "HAVING", "GROUP", "ORDER", "LIMIT"}:
            yield _with(parts, place, "", _reach(parts, place + 1) - place)
        if token.word == "WHERE":
            end = _reach(parts, place + 1)
            if end < len(parts) and parts[end].word == "AND":
                yield _with(parts, place + 1, "", end - place)


def _reach(parts: Sequence[Token | str], start: int) -> int:
    """Return where the clause that begins at ``start`` ends."""
    depth = 0
    for place in range(start, len(parts)):
        word = _word(parts, place)
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth < 0 or (depth == 0 and word in _ENDS):
            return place
    return len(parts)


def _other_order(parts: Sequence[Token]) -> Iterator[str]:
    """Turn orders that name no direction."""
    for place, token in enumerate(parts):
        if token.word == "BY" and place and parts[place - 1].word == "ORDER":
            end = _reach(parts, place + 1)
            if not {"ASC", "DESC"} & {part.word for part in parts[place:end]}:
                yield _joined([*parts[:end], "DESC", *parts[end:]])


def _other_literals(parts: Sequence[Token]) -> Iterator[str]:
    for place, token in enumerate(parts):
        if token.kind == "number":
            value = float(token.text) if not token.text.isdigit() else int(token.text)
            yield _with(parts, place, str(value + 1))
            yield _with(parts, place, str(max(value - 1, 0)))
        elif token.kind == "text" and token.text[0] == "'":
            yield _with(parts, place, f"'{token.text[1:-1].swapcase()}'")
            yield _with(parts, place, f"'{token.text[1:-1]}x'")


def _other_columns(parts: Sequence[Token], columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Name another column of a table that has a column of that name."""
    for place, token in enumerate(parts):
        if token.kind != "name":
            continue
        if parts[place + 1 : place + 2] and parts[place + 1].word in {".", "("}:
            continue
        for names in columns.values():
            plain = [name.lower() for name in names]
            if token.text.lower() in plain and len(names) > 1:
                own = plain.index(token.text.lower())
                for other in sorted({(own + 1) % len(names), (own - 1) % len(names)}):
                    name = names[other]
                    yield _with(parts, place, name if name.isidentifier() else f'"{name}"')
