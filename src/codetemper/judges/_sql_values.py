# SPDX-License-Identifier: Apache-2.0
"""Random rows for a schema, such that a given query has something to choose from.

Used to generate databases. Values come from small pools, so that they repeat; a pool holds the
literals that the query compares its column with, and their neighbours. Columns that the schema, the
query or their names connect share a pool, so that joins find partners. Rows keep to types, primary
and foreign keys; what breaks another constraint is left out by SQLite (``INSERT OR IGNORE``). If
wanted, they also keep to what holds in every database there is already: columns without NULL,
columns that hardly repeat a value, rows without repetition. Queries that mean the same only while
that holds (all with the greatest area, or one of them) then stay the same.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from codetemper.core.sql_text import Token, tokens

_TEXTS = ("Adler", "birch", "Cedar", "delta", "Ember", "fjord", "Grove", "harbor", "Iris", "Juno")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(.*)", re.DOTALL)
_LEAST_ROWS, _MOST_ROWS = 4, 24
#: A column whose values hardly ever repeat shall not repeat them; one with so many has a wide pool.
_HARDLY, _WIDE = 0.9, 12
#: Share of rows that hold a literal of the query, beside those that do by chance.
_FAVOUR = 0.35

Table = dict[str, Any]
"""``name``; ``columns`` as (name, type, never null, place in the primary key, never repeated, of
many values);
``foreign`` as (column, other table, its column or None); ``sets``, whether rows never repeat."""


def with_facts(databases: Sequence[Sequence[dict[str, Any]]], *, keep: bool) -> list[Table]:
    """Join what the schema says with what holds in every database.

    Args:
        databases: the tables of each database, as it describes itself; the first names the schema.
        keep: whether anything but the schema is looked at.
    """
    tables = []
    for first in databases[0]:
        same = [t for tables in databases for t in tables if t["name"] == first["name"]]
        filled = [t for t in same if keep and t["rows"] > 1]
        columns = []
        for place, (name, declared, not_null, key, *_) in enumerate(first["columns"]):
            counts = [(t["rows"], *t["columns"][place][4:6]) for t in filled]
            full = bool(counts) and all(rows == values for rows, values, _ in counts)
            often = [(values, different) for _, values, different in counts if values]
            once = bool(often) and all(d >= _HARDLY * v for v, d in often)
            wide = bool(often) and max(d for _, d in often) >= _WIDE
            once = once or name in first["unique"]
            columns.append((name, declared, not_null or full, key, once, wide))
        sets = bool(filled) and all(t["rows"] == t["different"] for t in filled)
        tables.append({**first, "columns": columns, "sets": sets})
    return tables


def affinity(declared: str) -> str:
    """Return ``int``, ``real``, ``date``, ``bool`` or ``text`` for a declared type."""
    name = declared.upper()
    if "INT" in name:
        return "int"
    if "DATE" in name or "TIME" in name:
        return "date"
    if "BOOL" in name:
        return "bool"
    if any(part in name for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
        return "real"
    return "text"


class Pools:
    """Values for every column, under the lower-case name of the group that shares them."""

    def __init__(self, tables: Sequence[Table], query: str) -> None:
        self.group: dict[str, str] = {}
        self.literals: dict[str, list[Any]] = {}
        self.loose: list[Any] = []
        for table in tables:
            for name, *_ in table["columns"]:
                self.group.setdefault(name.lower(), name.lower())
        for table in tables:
            for column, _, other in table["foreign"]:
                self._join(column, other or column)
        parts = [token for token in tokens(query) if token.kind != "space"]
        self._join_as_in(parts)
        self._take_literals(parts)

    def name_of(self, name: str) -> str:
        """Return the name of the group that a column belongs to."""
        name = name.lower()
        while self.group[name] != name:
            name = self.group[name]
        return name

    def _join(self, one: str, other: str) -> None:
        if one.lower() in self.group and other.lower() in self.group:
            self.group[self.name_of(one)] = self.name_of(other)

    def _column(self, token: Token) -> str | None:
        name = token.text.strip('"`[]').lower()
        return name if token.kind in {"name", "quoted"} and name in self.group else None

    def _join_as_in(self, parts: Sequence[Token]) -> None:
        """Join columns that the query equates, or looks up with IN (SELECT ...)."""
        for place, token in enumerate(parts):
            left = self._column(parts[place - 1]) if place else None
            if left is None or token.word not in {"=", "IN"}:
                continue
            for follower in parts[place + 1 : place + 7]:
                if follower.kind in {"text", "number"}:
                    break
                right = self._column(follower)
                if right is not None:
                    self._join(left, right)
                    break

    def _take_literals(self, parts: Sequence[Token]) -> None:
        """Give each literal to the column that stands before it."""
        column, previous = None, ""
        for token in parts:
            value = _literal(token, self._column(token) is not None)
            if value is None:
                column = self._column(token) or column
            elif previous not in {"LIMIT", "OFFSET"}:
                if column is None:
                    self.loose.append(value)
                else:
                    self.literals.setdefault(self.name_of(column), []).append(value)
            previous = token.word

    def values(self, chance: random.Random, column: str, kind: str) -> list[Any]:
        """Return the pool of a column, drawn anew for each database."""
        found = self._drawn(chance, self.literals.get(self.name_of(column), []), kind)
        if not found:
            found = self._drawn(chance, self.loose, kind)[:3]
        while len(found) < chance.randint(5, 9):
            found.append(_made_up(chance, kind))
        return list(dict.fromkeys(found))

    def favoured(self, column: str, kind: str) -> list[Any]:
        """Return the literals that the query compares a column with, as it would hold them."""
        literals = self.literals.get(self.name_of(column), [])
        return list(dict.fromkeys(_fitting(literal, kind) for literal in literals))

    def _drawn(self, chance: random.Random, literals: Sequence[Any], kind: str) -> list[Any]:
        values = [v for literal in literals for v in _around(literal, kind)]
        # The literals themselves always, their neighbours in part.
        own = [_fitting(literal, kind) for literal in literals]
        kept = [v for v in values if v in own or chance.random() < 0.6]
        return list(dict.fromkeys(kept))


def _literal(token: Token, is_column: bool) -> Any:
    if token.kind == "text" and token.text[0] == "'":
        return token.text[1:-1].replace("''", "'")
    if token.kind == "quoted" and token.text[0] == '"' and not is_column:
        return token.text[1:-1].replace('""', '"')
    if token.kind == "number":
        return int(token.text) if token.text.isdigit() else float(token.text)
    return None


def _fitting(value: Any, kind: str) -> Any:
    """Return a literal as a column of this kind would hold it."""
    if kind in {"int", "bool", "real"}:
        try:
            number = float(value)
        except (TypeError, ValueError):
            return value
        return int(number) if number.is_integer() else number
    text = str(value)
    # A pattern becomes a text that it matches.
    return text.replace("%", "").replace("_", "a") if "%" in text else text


def _around(literal: Any, kind: str) -> Iterator[Any]:
    value = _fitting(literal, kind)
    yield value
    if isinstance(value, int | float):
        yield from (value + 1, value - 1, value * 2)
        if kind == "real":
            yield value + 0.5
        return
    dated = _DATE.fullmatch(value)
    if dated:
        year, month, day, rest = dated.groups()
        yield f"{int(year) + 1:04}-{month}-{day}{rest}"
        yield f"{year}-{int(month) % 12 + 1:02}-{day}{rest}"
        yield f"{year}-{month}-{int(day) % 28 + 1:02}{rest}"
    elif value.isdigit():
        yield from (str(int(value) + 1), str(max(int(value) - 1, 0)))
    else:
        yield from (value.swapcase(), value[:-1], f"{value}s", f"new {value}")


def _made_up(chance: random.Random, kind: str) -> Any:
    if kind == "bool":
        return chance.randint(0, 1)
    if kind == "int":
        return chance.choice((chance.randint(0, 9), chance.randint(10, 99) * 10))
    if kind == "real":
        return chance.choice((chance.randint(0, 40) / 4, float(chance.randint(1, 50) * 10)))
    if kind == "date":
        return f"20{chance.randint(10, 24)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    return chance.choice(_TEXTS)


def script(tables: Sequence[Table], query: str, seed: str) -> str:
    """Return INSERT statements that fill every table.

    Args:
        tables: what the schema says.
        query: the gold query, which literals and joins are taken from.
        seed: the same seed gives the same rows.
    """
    filling = _Filling(random.Random(seed), Pools(tables, query))  # noqa: S311 - test data
    return "\n".join(filling.insert(table) for table in _parents_first(tables))


class _Filling:
    """The rows of one database while they are drawn."""

    def __init__(self, chance: random.Random, pools: Pools) -> None:
        self.chance, self.pools = chance, pools
        self.nulls = chance.choice((0.0, 0.05, 0.15))
        self.drawn: dict[tuple[str, str], list[Any]] = {}
        self.rows: dict[str, dict[str, list[Any]]] = {}

    def insert(self, table: Table) -> str:
        """Draw the rows of one table and return the statement that inserts them."""
        count = self.chance.randint(_LEAST_ROWS, _MOST_ROWS)
        columns = table["columns"]
        drawn = [self._column(table, column, count) for column in columns]
        filled = list(zip(*drawn, strict=True))
        if table["sets"]:
            filled = list(dict.fromkeys(filled))
        self.rows[table["name"].lower()] = {
            column[0].lower(): [row[place] for row in filled]
            for place, column in enumerate(columns)
        }
        names = ", ".join(_quoted(column[0]) for column in columns)
        values = ",\n".join(f"({', '.join(map(_written, row))})" for row in filled)
        own = _quoted(table["name"])
        lines = [f"INSERT OR IGNORE INTO {own} ({names}) VALUES\n{values};"]
        for column, other, target in table["foreign"]:
            # Where a parent was left out, so are its children.
            if target and other.lower() in self.rows and other.lower() != table["name"].lower():
                key, parents = _quoted(column), f"{_quoted(target)} FROM {_quoted(other)}"
                lines.append(f"DELETE FROM {own} WHERE {key} NOT IN (SELECT {parents});")  # noqa: S608
        return "\n".join(lines)

    def _column(self, table: Table, column: Sequence[Any], count: int) -> list[Any]:
        name, declared, not_null, key, once, wide = column
        kind = affinity(declared)
        alone = bool(key) and sum(1 for other in table["columns"] if other[3]) == 1
        values = self._parents(table, name)
        if not values and alone and kind == "int":
            ascending = list(range(1, count + 1))
            if self.chance.random() < 0.5:
                self.chance.shuffle(ascending)
            return ascending
        if not values:
            spot = (self.pools.name_of(name), kind)
            if spot not in self.drawn:
                self.drawn[spot] = self.pools.values(self.chance, name, kind)
            values = self.drawn[spot]
            if once or wide:
                # In place: columns that share the pool draw from the new values too.
                _extend(values, count if once else 2 * count, self.chance, kind)
        if alone or once:
            # Where there are too few, repeated keys are left out when rows are inserted.
            return (self.chance.sample(values, len(values)) * count)[:count]
        share = 0.0 if not_null or key else self.nulls
        favoured = [v for v in self.pools.favoured(name, kind) if v in values]
        return [self._value(values, favoured, share) for _ in range(count)]

    def _value(self, values: Sequence[Any], favoured: Sequence[Any], nulls: float) -> Any:
        if self.chance.random() < nulls:
            return None
        if favoured and self.chance.random() < _FAVOUR:
            return self.chance.choice(favoured)
        return self.chance.choice(values)

    def _parents(self, table: Table, name: str) -> list[Any]:
        """Return the values that a foreign key may take, empty where the column is none."""
        for own, other, target in table["foreign"]:
            held = self.rows.get(other.lower(), {})
            source = held.get((target or "").lower()) or next(iter(held.values()), [])
            if own.lower() == name.lower():
                return [value for value in source if value is not None]
        return []


def _extend(values: list[Any], count: int, chance: random.Random, kind: str) -> None:
    """Add values until there are so many different ones."""
    number = 1
    while len(values) < count:
        value = _made_up(chance, kind)
        if value in values:
            number += 1
            value = f"{value} {number}" if isinstance(value, str) else value + 1000 * number
        if value not in values:
            values.append(value)


def _parents_first(tables: Sequence[Table]) -> list[Table]:
    """Return the tables so that a table comes after those its foreign keys name, if possible."""
    left = list(tables)
    done: list[Table] = []
    while left:
        names = {table["name"].lower() for table in left}
        free = [
            table
            for table in left
            if not {key[1].lower() for key in table["foreign"]} & (names - {table["name"].lower()})
        ]
        taken = free or left[:1]
        done += taken
        left = [table for table in left if table not in taken]
    return done


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _written(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
