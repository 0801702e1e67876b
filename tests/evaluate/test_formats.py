# SPDX-License-Identifier: Apache-2.0
"""What all formats share: reading rows, telling what is wrong, cards; and the documentation."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.evaluate import formats, suites
from codetemper.evaluate.formats import rows
from codetemper.evaluate.formats.form import cwe_name, language_of
from tests.evaluate.formats_material import load, without, write

ROW: dict[str, Any] = {
    "task_id": "own/0", "prompt": "def one():\n", "entry_point": "one",
    "canonical_solution": "    return 1\n", "test": "def check(f):\n    assert f() == 1\n",
}  # fmt: skip
DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.json.gz"])
def test_lines_and_arrays_plain_and_packed_are_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [ROW, ROW | {"task_id": "own/1"}])
    suite = suites.load(f"humaneval:{path}")
    assert [case.id for case in suite.cases] == ["own/0", "own/1"]
    assert (suite.card.name, suite.card.language) == (f"humaneval:{name}", "python")


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", [ROW | {"task_id": "own/b"}])
    write(tmp_path / "a.jsonl.gz", [ROW | {"task_id": "own/a"}])
    (tmp_path / "LICENSE").write_text("not rows")
    assert [case.id for case in load("humaneval", tmp_path)] == ["own/a", "own/b"]


@pytest.mark.parametrize("field", ["task_id", "prompt", "entry_point", "test"])
def test_a_missing_field_is_told_with_its_row(tmp_path: Path, field: str) -> None:
    path = write(tmp_path / "a.jsonl", [ROW, without(ROW, field) | {"x": 1}])
    with pytest.raises(UsageError) as error:
        load("humaneval", path)
    assert error.value.what == f"row 2 of {path} cannot be read"
    assert error.value.why == f"the field '{field}' is missing"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (json.dumps(ROW) + '\n{"task_id"\n', "row 2"),
        ("[1, 2]", "no object, but int"),
        ("7", "row 1 of"),
        ('[{"task_id": 1},', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (json.dumps(ROW | {"prompt": 7}), "'prompt' is no text, but int"),
        (json.dumps(ROW | {"prompt": "\ud800"}), "not valid Unicode"),
        (json.dumps(ROW) + "\n" + json.dumps(ROW), "two cases named 'own/0'"),
        (json.dumps(ROW | {"entry_point": "os.system('x')"}), "is no name"),
        ("", "no cases"),
    ],
)
def test_broken_files_are_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load("humaneval", path)
    assert told in str(error.value)


def test_a_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 5_000_000))
    monkeypatch.setattr(rows, "LONGEST_LINE", 1 << 20)
    with pytest.raises(UsageError, match="cannot read"):
        load("humaneval", path)


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", [ROW])
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match="cannot read"):
        load("humaneval", path)


@pytest.mark.parametrize("kind", list(formats.READERS))
def test_every_format_tells_what_it_needs(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UsageError) as error:
        load(kind, tmp_path / "missing")
    assert formats.READERS[kind].holds in error.value.mend


@pytest.mark.parametrize("kind", list(formats.READERS))
def test_an_empty_folder_and_a_strange_row_are_errors_not_crashes(
    tmp_path: Path, kind: str
) -> None:
    with pytest.raises(UsageError):
        load(kind, tmp_path)
    with pytest.raises(UsageError):
        load(kind, write(tmp_path / "x.jsonl", [{"strange": 1}]))


@pytest.mark.parametrize("kind", list(formats.READERS))
def test_every_format_is_documented(kind: str) -> None:
    assert f"`{kind}`" in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "name"),
    [("cwe-089", "CWE-89"), ("CWE-022-079", "CWE-22"), ("cwe_120_0_c", "CWE-120"), ("79", "CWE-79"),
     ("476-1-codeql", "CWE-476"), ("1234567", None), ("other", None), ("", None)],
)  # fmt: skip
def test_names_of_weaknesses(text: str, name: str | None) -> None:
    assert cwe_name(text) == name


def test_languages_of_files() -> None:
    assert [language_of(n) for n in ("a/b.cc", "x.py", "C", "cpp", "a.rs")] == [
        "cpp", "python", "c", "cpp", None]  # fmt: skip
