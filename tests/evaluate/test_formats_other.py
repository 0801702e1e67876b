# SPDX-License-Identifier: Apache-2.0
"""HumanEval-X, HumanEvalPack, Spider, BIRD, text2sql-data: files of our own in their forms."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from tests.evaluate.formats_material import functions, judged, load, without, write

CPP: dict[str, Any] = {
    "task_id": "CPP/900", "entry_point": "twice", "buggy_solution": "    return number;\n}\n",
    "prompt": "/*\nReturn twice the number.\n*/\n#include<stdio.h>\nusing namespace std;\n"
              "int twice(int number){\n",
    "declaration": "#include<stdio.h>\nusing namespace std;\nint twice(int number){\n",
    "canonical_solution": "    return 2 * number;\n}\n", "example_test": "",
    "test": "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (twice(4) == 8);\n"
            "    assert (twice(-1) == -2);\n}\n",
}  # fmt: skip
PYTHON: dict[str, Any] = {
    "task_id": "Python/900", "entry_point": "twice", "buggy_solution": "    return number\n",
    "prompt": 'from typing import List\n\n\ndef twice(number: int) -> int:\n    """Twice it."""\n',
    "declaration": "from typing import List\n\n\ndef twice(number: int) -> int:\n",
    "canonical_solution": "    return 2 * number\n", "example_test": "",
    "test": "def check(twice):\n    assert twice(4) == 8\n    assert twice(-1) == -2\n\n"
            "check(twice)\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["humanevalpack", "humanevalfix"])
def test_both_languages_tell_right_from_broken(tmp_path: Path, kind: str) -> None:
    cpp, python = load(kind, write(tmp_path / "x.jsonl.gz", [CPP, PYTHON]))
    assert (cpp.judge, python.judge) == ("compiled", "execution")
    for case, row in ((cpp, CPP), (python, PYTHON)):
        assert functions(case, row["canonical_solution"], row["buggy_solution"]) == [
            "pass", "fail"], case.id  # fmt: skip


def test_the_cpp_judge_measures_function_alone_and_believes_no_exit(tmp_path: Path) -> None:
    (case,) = load("humaneval-x", write(tmp_path / "x.jsonl", [CPP]))
    wraps = "    volatile int most = 2147483647;\n    most = most + 1;\n    return 2 * number;\n}\n"
    assert functions(case, wraps, "    exit(0);\n}\n") == ["pass", "fail"]


def test_the_broken_function_is_shown_and_begun_again(tmp_path: Path) -> None:
    cpp, python = load("humanevalfix", write(tmp_path / "x.jsonl", [CPP, PYTHON]))
    assert python.prompt.count("def twice(number: int)") == 2
    assert "# check(twice)" in python.prompt
    assert "\ncheck(twice)" not in python.prompt
    assert cpp.prompt.endswith("\nint twice(int number){\n")
    assert "#if 0" in cpp.prompt


def test_other_languages_and_missing_fields_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="row 1") as error:
        load("humaneval-x", write(tmp_path / "x.jsonl", [CPP | {"task_id": "Go/0"}]))
    assert "'go'" in error.value.why
    with pytest.raises(UsageError, match="row 2") as error:
        load("humanevalfix", write(tmp_path / "y.jsonl", [CPP, without(PYTHON, "buggy_solution")]))
    assert "'buggy_solution'" in error.value.why


def _database(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (id INTEGER, name TEXT)")
        connection.executemany("INSERT INTO people VALUES (?, ?)", enumerate(names))
    connection.close()


ASKED: dict[str, Any] = {
    "db_id": "town", "question": "Which names are there?",
    "query": "SELECT name FROM people ORDER BY id",
}  # fmt: skip


def _town(root: Path, folder: str) -> None:
    _database(root / folder / "town" / "town.sqlite", "Ann", "Bea", "Ann")


def test_spider_counts_duplicates_and_the_order_that_is_asked_for(tmp_path: Path) -> None:
    _town(tmp_path, "database")
    bag = ASKED | {"query": "SELECT name FROM people"}
    write(tmp_path / "dev.json", [ASKED, bag])
    for path in (tmp_path, tmp_path / "dev.json"):
        ordered, loose = load("spider", path)
    assert ordered.prompt.startswith("CREATE TABLE people (id INTEGER, name TEXT);\n")
    assert ordered.prompt.endswith("-- question: Which names are there?\n")
    assert (ordered.id, ordered.family) == ("dev/0", "town")
    texts = (ordered.reference or "", "SELECT name FROM people ORDER BY name",
             "SELECT DISTINCT name FROM people", "DROP TABLE people", "SELEC")  # fmt: skip
    assert functions(ordered, *texts) == ["pass", "fail", "fail", "fail", "fail"]
    assert functions(loose, *texts) == ["pass", "pass", "fail", "fail", "fail"]
    assert judged(loose, "SELEC")[0].valid == "fail"
    with sqlite3.connect(tmp_path / "database" / "town" / "town.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (3,)


def test_spider_asks_every_database_of_a_test_suite(tmp_path: Path) -> None:
    _town(tmp_path, "database")
    write(tmp_path / "dev.json", [ASKED | {"query": "SELECT count(*) FROM people"}])
    assert functions(load("spider", tmp_path)[0], "SELECT 3") == ["pass"]
    _database(tmp_path / "database" / "town" / "other.sqlite", "Eve")
    (case,) = load("spider", tmp_path)
    assert len(case.spec["files"]) == 2
    assert functions(case, "SELECT 3", "SELECT count(*) FROM people") == ["fail", "pass"]


def test_bird_compares_sets_and_shows_the_evidence(tmp_path: Path) -> None:
    _town(tmp_path, "dev_databases")
    row = without(ASKED, "query") | {
        "SQL": "SELECT name FROM people",
        "evidence": "a name is a word",
        "question_id": 12,
    }
    write(tmp_path / "dev.json", [row])
    (case,) = load("bird", tmp_path)
    assert case.id == "dev/12"
    assert "-- known: a name is a word\n" in case.prompt
    assert functions(case, "SELECT DISTINCT name FROM people", "SELECT id FROM people") == [
        "pass", "fail"]  # fmt: skip


TEXT2SQL: dict[str, Any] = {
    "query-split": "train",
    "sentences": [
        {"text": "who is number0 ?", "question-split": "train", "variables": {"number0": "1"}},
        {"text": "tell me number0 of kind0", "question-split": "dev", "variables": {"number0": ""}},
    ],
    "sql": ["SELECT name FROM people WHERE id = number0 AND 'kind0' = 'kind0' ;", "SELECT 1"],
    "variables": [
        {"name": "number0", "example": "0", "location": "both", "type": "number"},
        {"name": "kind0", "example": "x", "location": "sql-only", "type": "kind"},
    ],
}  # fmt: skip


@pytest.mark.parametrize("packed", [True, False])
def test_text2sql_fills_variables_in(tmp_path: Path, packed: bool) -> None:
    path = write(tmp_path / "town.json", [TEXT2SQL])
    if packed:
        _database(tmp_path / "town-db.added-in-2020.sqlite", "Ann", "Bea")
    else:
        (tmp_path / "town-db.sql").write_text(
            "CREATE TABLE people (id INTEGER, name TEXT);\n"
            "INSERT INTO people VALUES (0, 'Ann'), (1, 'Bea');\n"
        )
    first, second = load("text2sql", path)
    assert first.spec["gold"] == "SELECT name FROM people WHERE id = 1 AND 'x' = 'x' ;"
    assert "-- question: who is 1 ?\n" in first.prompt
    assert "-- question: tell me 0 of x\n" in second.prompt
    assert "CREATE TABLE people" in first.prompt
    assert functions(first, "SELECT 'Bea'", "SELECT 'Ann'") == ["pass", "fail"]
    assert functions(second, "SELECT 'Bea'", "SELECT 'Ann'") == ["fail", "pass"]


def test_databases_that_are_missing_or_broken_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "dev.json", [ASKED])
    with pytest.raises(UsageError, match="row 1") as error:
        load("spider", path)
    assert "database/town/town.sqlite" in error.value.mend
    with pytest.raises(UsageError, match="row 1"):
        load("spider", write(tmp_path / "train.json", [ASKED | {"db_id": "../x"}]))
    (tmp_path / "database" / "town").mkdir(parents=True)
    (tmp_path / "database" / "town" / "town.sqlite").write_bytes(
        b"no database, but long enough" * 9
    )
    with pytest.raises(UsageError, match="is not a SQLite database"):
        load("spider", path)
    with pytest.raises(UsageError, match="no database for"):
        load("text2sql", write(tmp_path / "town.json", [TEXT2SQL]))
    (tmp_path / "town-db.sql").write_text("LOCK TABLES x WRITE;")
    with pytest.raises(UsageError, match="SQLite cannot run"):
        load("text2sql", tmp_path / "town.json")
