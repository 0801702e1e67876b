# SPDX-License-Identifier: Apache-2.0
"""The small schemas the SQL questions are asked about.

A schema is two or three tables in a chain: each table but the first refers to the one before it.
Every table has a category and a number column, so that every kind of question can be asked of
every schema. Rows are made in ``sql_data``; nothing here knows SQL beyond the table definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PEOPLE = [
    "Ada",
    "Ben",
    "Cora",
    "Dan",
    "Eva",
    "Finn",
    "Gina",
    "Hugo",
    "Ida",
    "Jon",
    "Kira",
    "Leo",
    "Mara",
    "Nils",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tara",
    "Udo",
]
PLACES = [
    "Oslo",
    "Rome",
    "Lyon",
    "Bern",
    "Cork",
    "Gent",
    "Porto",
    "Riga",
    "Turku",
    "Malmo",
    "Graz",
    "Split",
    "Varna",
    "Lund",
    "Bonn",
]
TITLES = [
    "Amber",
    "Birch",
    "Comet",
    "Delta",
    "Ember",
    "Forest",
    "Garden",
    "Harbor",
    "Island",
    "Jungle",
    "Lantern",
    "Meadow",
    "North",
    "Ocean",
    "Prairie",
    "River",
    "Shadow",
    "Tower",
    "Valley",
    "Winter",
]
FIRMS = [
    "Acorn",
    "Beacon",
    "Cedar",
    "Dynamo",
    "Eagle",
    "Falcon",
    "Granite",
    "Hazel",
    "Iris",
    "Juniper",
    "Kestrel",
    "Lotus",
    "Maple",
    "Nova",
    "Orbit",
    "Pine",
    "Quartz",
    "Raven",
    "Summit",
    "Tulip",
]
COUNTRIES = ("Norway", "Italy", "France", "Spain", "Chile")
CITIES = ("Oslo", "Rome", "Lyon", "Bern", "Cork")
YEARS = (2019, 2020, 2021, 2022, 2023)

Value = str | int


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: name of the column.
        kind: ``label`` names a row and is unique, ``category`` repeats, ``number`` is unique,
            ``link`` refers to the id of the table before.
        values: what the column may hold; empty for a link.
    """

    name: str
    kind: Literal["label", "category", "number", "link"]
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: its name in the plural, which is also how questions call its rows."""

    name: str
    columns: tuple[Column, ...]

    def of(self, kind: str) -> tuple[Column, ...]:
        """Return the columns of a kind, in order."""
        return tuple(column for column in self.columns if column.kind == kind)

    @property
    def shown(self) -> Column:
        """The column a list of rows shows: the label, or the id where there is none."""
        return (*self.of("label"), Column("id", "label"))[0]

    @property
    def link(self) -> str:
        """Name of the column that refers to the table before."""
        return self.of("link")[0].name


@dataclass(frozen=True)
class Schema:
    """A chain of tables under a name."""

    name: str
    tables: tuple[Table, ...]

    @property
    def pairs(self) -> tuple[tuple[Table, Table], ...]:
        """Each (parent, child) pair of tables."""
        return tuple(zip(self.tables, self.tables[1:], strict=False))

    @property
    def summary(self) -> str:
        """The tables in one line, as prompts give them."""
        return ", ".join(
            f"{table.name}({', '.join(['id', *(c.name for c in table.columns)])})"
            for table in self.tables
        )

    @property
    def definition(self) -> str:
        """The CREATE TABLE statements, in order of reference."""
        lines = []
        for position, table in enumerate(self.tables):
            parts = ["id INTEGER PRIMARY KEY"]
            for column in table.columns:
                if column.kind == "link":
                    before = self.tables[position - 1].name
                    parts.append(f"{column.name} INTEGER REFERENCES {before}(id)")
                else:
                    text = isinstance(column.values[0], str)
                    parts.append(f"{column.name} {'TEXT' if text else 'INTEGER'}")
            lines.append(f"CREATE TABLE {table.name} ({', '.join(parts)});")
        return "\n".join(lines) + "\n"


def _label(name: str, values: list[str]) -> Column:
    return Column(name, "label", tuple(values))


def _category(name: str, *values: Value) -> Column:
    return Column(name, "category", values)


def _number(name: str, start: int, step: int) -> Column:
    return Column(name, "number", tuple(start + step * place for place in range(24)))


def _link(name: str) -> Column:
    return Column(name, "link")


def _table(name: str, *columns: Column) -> Table:
    return Table(name, columns)


YEAR = _category("year", *YEARS)
CITY = _category("city", *CITIES)
COUNTRY = _category("country", *COUNTRIES)

SCHEMAS: tuple[Schema, ...] = (
    Schema(
        "shop",
        (
            _table("customers", _label("name", PEOPLE), CITY, _number("age", 20, 2)),
            _table(
                "orders",
                _link("customer_id"),
                _number("amount", 10, 5),
                YEAR,
                _category("status", "open", "paid", "sent", "lost"),
            ),
        ),
    ),
    Schema(
        "library",
        (
            _table("authors", _label("name", PEOPLE), COUNTRY, _number("age", 30, 2)),
            _table(
                "books",
                _link("author_id"),
                _label("title", TITLES),
                _number("pages", 100, 20),
                _category("genre", "crime", "drama", "poetry", "travel"),
            ),
            _table("loans", _link("book_id"), _number("days", 2, 2), YEAR),
        ),
    ),
    Schema(
        "office",
        (
            _table("departments", _label("name", FIRMS), CITY, _number("budget", 100, 50)),
            _table(
                "employees",
                _link("department_id"),
                _label("name", PEOPLE),
                _number("salary", 2000, 100),
                _category("role", "clerk", "lead", "analyst", "intern"),
            ),
        ),
    ),
    Schema(
        "music",
        (
            _table("bands", _label("name", FIRMS), COUNTRY, _number("fans", 100, 100)),
            _table(
                "albums", _link("band_id"), _label("title", TITLES), _number("price", 5, 1), YEAR
            ),
        ),
    ),
    Schema(
        "travel",
        (
            _table("hotels", _label("name", FIRMS), CITY, _number("rooms", 20, 10)),
            _table(
                "bookings",
                _link("hotel_id"),
                _number("nights", 1, 1),
                _number("cost", 50, 25),
                _category("month", "May", "June", "July", "August"),
            ),
        ),
    ),
    Schema(
        "league",
        (
            _table("teams", _label("name", FIRMS), CITY, _number("points", 10, 3)),
            _table(
                "players",
                _link("team_id"),
                _label("name", PEOPLE),
                _number("goals", 1, 1),
                _category("position", "keeper", "defender", "winger", "striker"),
            ),
        ),
    ),
    Schema(
        "store",
        (
            _table("suppliers", _label("name", FIRMS), COUNTRY, _number("rating", 10, 2)),
            _table(
                "products",
                _link("supplier_id"),
                _label("name", TITLES),
                _number("price", 5, 5),
                _number("stock", 10, 10),
                _category("color", "red", "blue", "green", "black"),
            ),
        ),
    ),
    Schema(
        "airport",
        (
            _table("airlines", _label("name", FIRMS), COUNTRY, _number("planes", 5, 5)),
            _table(
                "flights",
                _link("airline_id"),
                _category("origin", *PLACES[:5]),
                _number("minutes", 40, 10),
                _number("seats", 60, 6),
            ),
        ),
    ),
    Schema(
        "clinic",
        (
            _table(
                "doctors",
                _label("name", PEOPLE),
                _category("field", "eyes", "heart", "bones", "skin"),
                _number("age", 30, 1),
            ),
            _table("visits", _link("doctor_id"), _number("fee", 20, 5), YEAR),
            _table(
                "tests",
                _link("visit_id"),
                _category("result", "good", "bad", "unclear"),
                _number("cost", 10, 4),
            ),
        ),
    ),
    Schema(
        "cinema",
        (
            _table("studios", _label("name", FIRMS), COUNTRY, _number("staff", 50, 25)),
            _table(
                "movies",
                _link("studio_id"),
                _label("title", TITLES),
                _number("length", 80, 4),
                YEAR,
            ),
        ),
    ),
)
