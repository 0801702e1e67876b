# SPDX-License-Identifier: Apache-2.0
"""Spider, BIRD and text2sql-data with their SQLite files, read by path.

The prompt is the database's own CREATE statements and the question, as SQL comments; the answer is
the whole query. Spider and text2sql-data compare bags of rows, in order only where the right query
orders them; BIRD compares sets. Several SQLite files of one database (test suites) all count.
Databases are named by their full paths, so a suite's digest holds only where they lie.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError
from codetemper.core.records import Case
from codetemper.evaluate.formats.form import Form
from codetemper.evaluate.formats.rows import Row, read_rows

_STOPS = (";", "\n--", "\n\n", "\n```")
_QUESTIONS = ("dev.json", "test.json", "train_spider.json", "train.json")
_FOLDERS = ("database", "databases", "dev_databases", "test_database", "test_databases",
            "train_databases")  # fmt: skip
_LONGEST_SCHEMA = 200_000


def spider(path: Path) -> Iterator[Case]:
    """Yield one case a question of Spider; names of files count from the question's file."""
    home, questions = _questions(path)
    for number, row in enumerate(read_rows(questions)):
        gold = row.text("query")
        files = _databases(row, home)
        yield _case(f"{questions.stem}/{number}", row.text("db_id"), files, row.text("question"),
                    {"gold": gold, "ordered": _ordered(gold), "semantics": "bag"})  # fmt: skip


def bird(path: Path) -> Iterator[Case]:
    """Yield one case a question of BIRD, with its evidence in the prompt."""
    home, questions = _questions(path)
    for number, row in enumerate(read_rows(questions)):
        files = _databases(row, home)
        asked = row.text("question")
        if evidence := row.text_or("evidence").strip():
            asked = f"{asked}\nknown: {evidence}"
        given = row.id("question_id") if "question_id" in row else str(number)
        yield _case(f"{questions.stem}/{given}", row.text("db_id"), files, asked,
                    {"gold": row.text("SQL"), "ordered": False, "semantics": "set"})  # fmt: skip


def _questions(path: Path) -> tuple[Path, Path]:
    """Return the folder that holds the databases' folder, and the file of questions."""
    if path.is_file():
        return path.parent, path
    found = [path / name for name in _QUESTIONS if (path / name).is_file()]
    if not found:
        raise UsageError(
            f"there are no questions in {path}",
            why=f"it has none of {', '.join(_QUESTIONS)}",
            mend="name the file of questions; its databases lie beside it",
        )
    return path, found[0]


def _databases(row: Row, home: Path) -> list[Path]:
    name = row.text("db_id")
    if not re.fullmatch(r"[\w.&+ -]+", name) or name in (".", ".."):
        raise row.error(f"the field 'db_id' is no name: {name!r}")
    for folder in _FOLDERS:
        place = home / folder / name
        files = sorted(place.glob("*.sqlite")) or sorted(place.glob("*.db"))
        if files:
            return [file.resolve() for file in files]
    raise row.error(
        f"there is no SQLite file for the database '{name}'",
        f"put it at {home / _FOLDERS[0] / name / (name + '.sqlite')}",
    )


def text2sql(path: Path) -> Iterator[Case]:
    """Yield one case a sentence of a text2sql-data file, its variables filled in."""
    if not path.is_file():
        raise UsageError(
            f"{path} is no file", why="text2sql-data has one JSON file a data set",
            mend="name it, e.g. text2sql:data/geography.json",
        )  # fmt: skip
    files = sorted(path.parent.glob(f"{path.stem}-db*.sqlite"))
    script = path.parent / f"{path.stem}-db.sql"
    if not files and not script.is_file():
        raise UsageError(
            f"there is no database for {path}",
            why=f"neither {path.stem}-db*.sqlite nor {script.name} lies beside it",
            mend="put the data set's database beside its JSON file",
        )
    given: dict[str, Any] = {"files": [file.resolve() for file in files[:1]]}
    if not files:
        given = {"script": _script(script)}
    for number, row in enumerate(read_rows(path)):
        yield from _sentences(row, f"{path.stem}/{number}", given)


def _sentences(row: Row, id: str, given: dict[str, Any]) -> Iterator[Case]:
    queries = row.texts("sql")
    if not queries:
        raise row.error("the field 'sql' is empty")
    examples = {}
    for variable in row.items("variables"):
        if not isinstance(variable, dict) or not isinstance(variable.get("name"), str):
            raise row.error("the field 'variables' holds something without a name")
        examples[variable["name"]] = str(variable.get("example", ""))
    for number, sentence in enumerate(row.items("sentences")):
        if not isinstance(sentence, dict) or not isinstance(sentence.get("text"), str):
            raise row.error("the field 'sentences' holds something without a text")
        values = sentence.get("variables") or {}
        filled = {name: str(values.get(name) or example) for name, example in examples.items()}
        filled |= {name: str(value) for name, value in values.items() if value}
        gold = _filled(queries[0], filled)
        spec = {"gold": gold, "ordered": _ordered(gold), "semantics": "bag"}
        text = _filled(sentence["text"], filled)
        if "script" in given:
            yield _scripted(f"{id}/{number}", given["script"], text, spec)
        else:
            yield _case(f"{id}/{number}", id.split("/")[0], given["files"], text, spec)


def _filled(text: str, values: dict[str, str]) -> str:
    if not values:
        return text
    # Longer names first, and only once: a value may look like another variable's name.
    names = sorted(map(re.escape, values), key=len, reverse=True)
    return re.sub("|".join(names), lambda found: values[found[0]], text)


def _script(path: Path) -> str:
    try:
        script = path.read_text("utf-8")
        with sqlite3.connect(":memory:") as connection:
            connection.executescript(script)
    except (OSError, UnicodeDecodeError, sqlite3.Error) as error:
        raise UsageError(
            f"SQLite cannot run {path}", why=str(error),
            mend=f"convert it to SQLite as {path.stem}.sqlite beside it",
        ) from error  # fmt: skip
    return script


def _ordered(query: str) -> bool:
    """Tell whether the order of rows is part of the answer, as test-suite-sql-eval does."""
    return "order by" in " ".join(query.lower().split())


@lru_cache(maxsize=512)
def schema(path: Path) -> str:
    """Return the CREATE statements of a SQLite file, opened read-only.

    Raises:
        UsageError: it is no SQLite file.
    """
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            rows = connection.execute(
                "SELECT sql FROM sqlite_master WHERE type IN ('table', 'view') AND sql IS NOT NULL"
                " AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            ).fetchall()
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not a SQLite database", why=str(error), mend="check the file"
        ) from error
    text = "".join(f"{row[0].strip()};\n" for row in rows)
    if not text or len(text) > _LONGEST_SCHEMA:
        raise UsageError(
            f"the schema of {path} cannot be shown to a model",
            why="it has no tables" if not text else f"it is longer than {_LONGEST_SCHEMA} letters",
            mend="check the file",
        )
    return text


def _case(id: str, family: str, files: list[Path], asked: str, spec: dict[str, Any]) -> Case:
    paths = [str(file) for file in files]
    return _asked(id, family, schema(files[0]), asked, {"files": paths, **spec})


def _scripted(id: str, script: str, asked: str, spec: dict[str, Any]) -> Case:
    creates = re.findall(r"CREATE TABLE[^;]*;", script, re.IGNORECASE)
    shown = "".join(f"{create}\n" for create in creates)
    return _asked(id, id.split("/")[0], shown, asked, {"databases": [script], **spec})


def _asked(id: str, family: str, shown: str, asked: str, spec: dict[str, Any]) -> Case:
    question = "".join(f"-- {line}\n" for line in f"question: {asked.strip()}".split("\n"))
    return Case(
        id=id, prompt=f"{shown}{question}", language="sql", judge="sql", spec=spec, stop=_STOPS,
        reference=spec["gold"], family=family,
    )  # fmt: skip


_METRICS = ("exec_match", "valid@1")
FORMS = (
    Form("spider", spider, _METRICS, "CC-BY-SA-4.0", 256,
         "dev.json (db_id, question, query) and database/DB/*.sqlite beside it"),
    Form("bird", bird, _METRICS, "CC-BY-SA-4.0", 384,
         "dev.json (db_id, question, evidence, SQL) and dev_databases/DB/DB.sqlite beside it"),
    Form("text2sql", text2sql, _METRICS, "CC-BY-4.0", 384,
         "NAME.json (sql, sentences, variables) and NAME-db*.sqlite or NAME-db.sql beside it"),
)  # fmt: skip
