# SPDX-License-Identifier: Apache-2.0
"""A journal keeps whole lines, whoever else writes to it and whenever a writer dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.core.errors import UsageError
from codetemper.core.journal import Journal

WRITER = """
import sys
from pathlib import Path
from codetemper.core.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(60):
    journal.put([(f"{sys.argv[2]}-{number}", "x" * 3000)])
"""


def test_a_missing_file_is_an_empty_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    assert len(journal) == 0
    assert journal.get("a") is None
    journal.put([])
    assert not (tmp_path / "j.jsonl").exists()


def test_what_was_put_is_read_back_and_the_newest_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    journal.put([("a", 1), ("b", {"text": "é\ud800\n"})])
    journal.put([("a", 2)])
    again = Journal(journal.path)
    assert "a" in again
    assert (again.get("a"), again.get("b"), len(again)) == (2, {"text": "é\ud800\n"}, 2)


@given(cut=st.integers(min_value=0))
def test_a_torn_line_costs_that_line_only(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "j.jsonl"
    Journal(path).put([("first", "é"), ("second", [1, 2])])
    data = path.read_bytes()
    end_of_first = data.index(b"\n") + 1
    path.write_bytes(data[: end_of_first + cut % (len(data) - end_of_first)])
    torn = Journal(path)
    assert torn.get("first") == "é"
    torn.put([("third", 3)])
    again = Journal(path)
    assert (again.get("first"), again.get("third")) == ("é", 3)


def test_lines_that_are_no_entries_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(
        b'\xff\n[]\n3\n{"key": []}\n{"key": [], "value": 1}\n{"key": "a", "value": 1}\n'
    )
    journal = Journal(path)
    assert (len(journal), journal.get("a")) == (1, 1)


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    journal = Journal(path)
    assert len(journal) == 120
    assert all(journal.get(f"{name}-{n}") == "x" * 3000 for name in "ab" for n in range(60))


def test_a_full_disk_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "j.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path / "missing.jsonl")
    journal.path = tmp_path / "j.jsonl"
    with pytest.raises(UsageError, match="disk is full"):
        journal.put([("a", 1)])
    assert "a" not in journal
