# SPDX-License-Identifier: Apache-2.0
"""Families around SQL text built from values (CWE-89), judged on an in-memory SQLite database.

Used by ``python_security.py``; nothing here is run outside the execution judge.
"""

from __future__ import annotations

from seedling.world.pysec_parts import Check, Pattern, attack, expects, resists

TABLES = (
    "customers", "orders", "books", "songs", "cars", "plants", "rooms", "guests",
    "films", "shops", "boats", "parts", "toys", "horses", "lamps", "pupils",
)  # fmt: skip
COLUMNS = ("name", "city", "color", "owner", "brand", "status", "country", "title")

_DATABASE = """\
connection = sqlite3.connect(":memory:")
connection.execute("CREATE TABLE $table (id INTEGER, $column TEXT)")
rows = [(1, "red"), (2, "blue"), (3, "dark red"), (4, "red")]
connection.executemany("INSERT INTO $table VALUES (?, ?)", rows)
"""
_HOSTILE = ("\"x' OR '1'='1' --\"", '\'x" OR "1"="1" --\'')


#: The table has four rows, and no honest value finds them all.
_ALL_ROWS = "any(rows and len(rows) == 4 for rows in seen)"


def _yields(call: str, expect: object, leak: str = _ALL_ROWS) -> tuple[Check, Check]:
    """Check what a query yields for an honest value, and that hostile ones yield nothing."""
    honest = call.replace("hostile", '"red"')
    return (
        expects("honest", f"{_DATABASE}result = {honest}\n", expect),
        resists("inject", f"{_DATABASE}{attack(call, *_HOSTILE)}result = {leak}\n"),
    )


def _select(what: str, form: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the secure and the vulnerable bodies of a query with one equality.

    Args:
        what: what is selected.
        form: the statements around the call; ``execute(...)`` takes the query.
    """
    sql = f"SELECT {what} FROM $table WHERE $column ="  # noqa: S608 - text of a program to judge

    def around(arguments: str) -> str:
        return form.replace("(...)", f"({arguments})")

    secure = {
        "placeholder": around(f'"{sql} ?", ($column,)'),
        "query-placeholder": f'query = "{sql} ?"\n' + around("query, ($column,)"),
        "named": f'query = "{sql} :value"\n' + around('query, {"value": $column}'),
    }
    vulnerable = {
        "f-string": around(f"f\"{sql} '{{$column}}'\""),
        "concatenation": f'query = "{sql} \'" + $column + "\'"\n' + around("query"),
        "percent": f"query = \"{sql} '%s'\" % $column\n" + around("query"),
    }
    return secure, vulnerable


_find = _select("*", "return connection.execute(...).fetchall()")
_count = _select("COUNT(*)", "rows = connection.execute(...)\nreturn rows.fetchone()[0]")

FIND_ROWS = Pattern(
    name="python.find_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "call": ("find_$table", "get_$table", "${table}_by_$column"),
        "doc": (
            "Return the rows of table $table whose $column equals $column.",
            "Return all $table with the given $column.",
        ),
    },
    parameters="connection, $column",
    secure=_find[0],
    vulnerable=_find[1],
    wrong={
        "one-row": 'return connection.execute("SELECT * FROM $table WHERE $column = ?", '
        "($column,)).fetchone()"
    },
    checks=_yields("sorted(map(list, $call(connection, hostile)))", [[1, "red"], [4, "red"]]),
)

COUNT_ROWS = Pattern(
    name="python.count_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "call": ("count_$table", "number_of_$table"),
        "doc": (
            "Return how many rows of table $table have this $column.",
            "Count the $table with the given $column.",
        ),
    },
    parameters="connection, $column",
    secure=_count[0],
    vulnerable=_count[1],
    checks=_yields(
        "$call(connection, hostile)", 2, "any(count in (4, (4,), [(4,)]) for count in seen)"
    ),
    vulnerable_share=0.45,
)

_LEFT = 'left = sorted(row[0] for row in connection.execute("SELECT id FROM $table"))\n'
_DELETE = "DELETE FROM $table WHERE $column ="
DELETE_ROWS = Pattern(
    name="python.delete_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "call": ("delete_$table", "remove_$table"),
        "doc": (
            "Delete the $table with the given $column and return how many there were.",
            "Delete the rows of $table whose $column equals $column; return their number.",
        ),
    },
    parameters="connection, $column",
    secure={
        "placeholder": f'return connection.execute("{_DELETE} ?", ($column,)).rowcount',
        "query-placeholder": f'query = "{_DELETE} ?"\n'
        "return connection.execute(query, ($column,)).rowcount",
    },
    vulnerable={
        "f-string": f"return connection.execute(f\"{_DELETE} '{{$column}}'\").rowcount",
        "concatenation": f'query = "{_DELETE} \'" + $column + "\'"\n'
        "return connection.execute(query).rowcount",
    },
    wrong={"all-rows": 'return connection.execute("DELETE FROM $table").rowcount'},
    checks=(
        expects(
            "honest",
            _DATABASE + f'count = $call(connection, "red")\n{_LEFT}result = [count, left]\n',
            [2, [2, 3]],
        ),
        resists(
            "inject",
            # Deleting everything whatever the value is wrong, but no value steers it.
            _DATABASE
            + attack(
                "$call(connection, hostile)",
                '"x\' OR id = 2 --"',
                "'x\" OR id = 2 --'",
            )
            + _LEFT
            + "result = len(left) == 3\n",
        ),
    ),
)

_LIKE = "SELECT id FROM $table WHERE $column LIKE"
SEARCH_ROWS = Pattern(
    name="python.search_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "text": ("text", "word"),
        "call": ("search_$table", "match_$table"),
        "doc": ("Return the id rows of the $table whose $column contains $text.",),
    },
    parameters="connection, $text",
    secure={
        "placeholder": f'query = "{_LIKE} ?"\n'
        'return connection.execute(query, (f"%{$text}%",)).fetchall()',
        "pattern-first": 'pattern = "%" + $text + "%"\n'
        f'return connection.execute("{_LIKE} ?", (pattern,)).fetchall()',
    },
    vulnerable={
        "f-string": f"query = f\"{_LIKE} '%{{$text}}%'\"\n"
        "return connection.execute(query).fetchall()",
        "concatenation": f'query = "{_LIKE} \'%" + $text + "%\'"\n'
        "return connection.execute(query).fetchall()",
    },
    wrong={
        "no-wildcards": f'return connection.execute("{_LIKE} ?", ($text,)).fetchall()',
    },
    checks=_yields("sorted(map(list, $call(connection, hostile)))", [[1], [3], [4]]),
    vulnerable_share=0.55,
)

_ORDER = "SELECT id FROM $table ORDER BY"
SORT_ROWS = Pattern(
    name="python.sort_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "by": ("column", "field", "key"),
        "call": ("sorted_$table", "list_$table"),
        "doc": ("Return the id rows of table $table ordered by $by, which is id or $column.",),
    },
    parameters="connection, $by",
    secure={
        "allow-list": 'if $by not in ("id", "$column"):\n    raise ValueError($by)\n'
        f'return connection.execute(f"{_ORDER} {{$by}}").fetchall()',
        "mapping": 'order = {"id": "id", "$column": "$column"}[$by]\n'
        f'return connection.execute(f"{_ORDER} {{order}}").fetchall()',
    },
    vulnerable={
        "f-string": f'return connection.execute(f"{_ORDER} {{$by}}").fetchall()',
        "concatenation": f'query = "{_ORDER} " + $by\nreturn connection.execute(query).fetchall()',
    },
    wrong={"bound-name": f'return connection.execute("{_ORDER} ?", ($by,)).fetchall()'},
    checks=(
        expects(
            "by-text",
            _DATABASE + 'found = $call(connection, "$column")\nresult = [row[0] for row in found]\n'
            "result = result[:2]\n",
            [2, 3],
        ),
        resists(
            "inject",
            _DATABASE
            + "plain = [(1,), (2,), (3,), (4,)]\n"
            + attack("list($call(connection, hostile))", '"(SELECT 0) - id"', '"id DESC --"')
            + "result = any(rows == plain[::-1] for rows in seen)\n",
        ),
    ),
)

_rows = _select("*", "cursor.execute(...)\nreturn cursor.fetchall()")
CURSOR_ROWS = Pattern(
    name="python.cursor_rows",
    cwe="CWE-89",
    slots={
        "table": TABLES,
        "column": COLUMNS,
        "call": ("load_$table", "fetch_$table"),
        "doc": (
            "Use cursor to select the $table with this $column and return the rows.",
            "Select the $table with this $column and return all rows.",
        ),
    },
    parameters="cursor, $column",
    secure=_rows[0],
    vulnerable=_rows[1],
    checks=_yields(
        "sorted(map(list, $call(connection.cursor(), hostile)))", [[1, "red"], [4, "red"]]
    ),
)

PATTERNS = (FIND_ROWS, COUNT_ROWS, DELETE_ROWS, SEARCH_ROWS, SORT_ROWS, CURSOR_ROWS)
