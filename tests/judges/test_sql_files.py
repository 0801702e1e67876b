# SPDX-License-Identifier: Apache-2.0
"""Databases in files, semantics and DISTINCT: what formats of other projects need."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import _sql_sandbox as sandbox
from codetemper.judges import judge_all


@pytest.fixture
def path(tmp_path: Path) -> str:
    name = tmp_path / "a city?.sqlite"
    connection = sqlite3.connect(name)
    connection.execute("CREATE TABLE city (name TEXT, people INTEGER)")
    connection.executemany("INSERT INTO city VALUES (?, ?)", [("a", 1), ("b", 2), ("b", 3)])
    connection.commit()
    connection.close()
    return str(name)


def verdict(query: str, gold: str, **spec: Any) -> Verdict:
    case = Case(id="q", prompt="", language="sql", judge="sql", spec={"gold": gold, **spec})
    return judge_all([(case, Completion(case="q", text=query))])[0]


def test_a_file_is_asked_and_stays_as_it_is(path: str) -> None:
    before = Path(path).read_bytes()
    gold = "SELECT name FROM city"
    assert verdict("SELECT name FROM city;", gold, files=[path]).function == "pass"
    assert verdict("SELECT people FROM city", gold, files=[path]).function == "fail"
    assert verdict("DROP TABLE city", gold, files=[path]).failure == "wrong"
    assert Path(path).read_bytes() == before
    assert os.listdir(Path(path).parent) == [Path(path).name]


def test_a_private_file_is_read_and_a_large_one_opened_in_its_place(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = "SELECT name FROM city"
    os.chmod(path, 0o600)
    assert verdict(gold, gold, files=[path]).function == "pass"
    monkeypatch.setattr(sandbox, "COPY_MB", 0)
    os.chmod(path, 0o644)
    assert verdict(gold, gold, files=[path]).function == "pass"
    assert verdict("SELECT people FROM city", gold, files=[path]).function == "fail"
    assert verdict("DELETE FROM city", gold, files=[path]).failure == "wrong"


def test_files_and_generated_databases_go_together(path: str) -> None:
    gold = "SELECT name FROM city WHERE people > 2"
    wrong = "SELECT name FROM city WHERE people = 3"
    assert verdict(wrong, gold, files=[path]).function == "pass"
    judged = verdict(wrong, gold, files=[path], generated=4)
    assert judged.function == "fail"
    assert "generated" in judged.findings[0].message
    assert verdict(gold, gold, files=[path], generated=4).function == "pass"


def test_a_log_beside_a_file_is_read_only_once_it_is_in_it(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("INSERT INTO city VALUES ('c', 4)")
    connection.commit()
    with pytest.raises(UsageError, match="changes that are not in it"):
        verdict("SELECT 1", "SELECT 1", files=[path])
    connection.close()
    judged = verdict("SELECT count(*) FROM city", "SELECT 4", files=[path])
    assert judged.function == "pass"


def test_what_is_no_database_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database file"):
        verdict("SELECT 1", "SELECT 1", files=[str(tmp_path / "none.sqlite")])
    (tmp_path / "text.sqlite").write_text("this is no database, but long enough to look" * 40)
    with pytest.raises(UsageError, match="cannot be made"):
        verdict("SELECT 1", "SELECT 1", files=[str(tmp_path / "text.sqlite")])
    with pytest.raises(UsageError, match="one of databases, files and generated"):
        verdict("SELECT 1", "SELECT 1")


def test_the_semantics_decide_and_are_told(path: str) -> None:
    gold, once = "SELECT name FROM city", "SELECT DISTINCT name FROM city"
    assert verdict(once, gold, files=[path]).scores == {"exec_match": 0, "exec_match_bag": 0}
    as_set = verdict(once, gold, files=[path], semantics="set")
    assert as_set.scores == {"exec_match": 1.0, "exec_match_set": 1.0}
    stripped = verdict(once, gold, files=[path], distinct="strip")
    assert stripped.scores == {"exec_match": 1.0, "exec_match_bag_nodistinct": 1.0}


def test_columns_may_be_swapped_as_in_the_projects_that_semantics_come_from(path: str) -> None:
    gold, swapped = "SELECT name, people FROM city", "SELECT people, name FROM city"
    assert verdict(swapped, gold, files=[path]).function == "pass"
    assert verdict(swapped, gold, files=[path], columns="fixed").function == "fail"
    assert verdict(swapped, gold, files=[path], semantics="set").function == "fail"
    assert verdict(swapped, gold, files=[path], semantics="set", columns="any").function == "pass"


def test_empty_results_have_columns_too(path: str) -> None:
    gold = "SELECT name FROM city WHERE people > 9"
    wider = "SELECT name, people FROM city WHERE people > 9"
    assert verdict(wider, gold, files=[path]).function == "fail"
    assert verdict(wider, gold, files=[path], semantics="set").function == "pass"


def test_a_set_has_any_number_of_equal_rows(path: str) -> None:
    many = "SELECT a.name FROM city a, city b, city c, city d, city e"
    assert verdict(many, "SELECT name FROM city", files=[path], semantics="set").function == "pass"
    other = "SELECT a.people * 10 + b.people FROM city a, city b"
    judged = verdict(other, "SELECT name FROM city", files=[path], semantics="set")
    assert judged.failure == "wrong"
