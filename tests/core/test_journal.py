# SPDX-License-Identifier: Apache-2.0
"""A journal keeps whole writes, whoever else writes to it and whenever a writer dies."""

from __future__ import annotations

import os
import signal
import sqlite3
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
    journal.put([(f"{sys.argv[2]}-{number}-{part}", "x" * 1000) for part in range(3)])
    print(number, flush=True)
"""


def writer(path: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True
    )


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    assert journal.count() == 0
    assert journal.get("a") is None
    assert "a" not in journal
    assert bool(journal)
    journal.put([])


def test_what_was_put_is_read_back_and_the_newest_counts(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.put([("a", 1), ("b", {"text": "é\ud800\n"})])
    journal.put([("a", 2)])
    again = Journal(journal.path)
    assert "a" in again
    assert (again.get("a"), again.get("b"), again.count()) == (2, {"text": "é\ud800\n"}, 2)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(key=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20), value=VALUES)
def test_any_key_and_value_come_back(
    key: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal = Journal(tmp_path_factory.getbasetemp() / "any.sqlite")
    journal.put([(key, value)])
    assert journal.get(key) == value


def test_a_killed_writer_leaves_whole_writes(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    process = writer(path, "a")
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "20":
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=60)
    journal = Journal(path)
    kept = [n for n in range(60) if f"a-{n}-0" in journal]
    assert len(kept) >= 21
    assert journal.count() == 3 * len(kept)
    journal.put([("more", 1)])
    assert Journal(path).get("more") == 1


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    writers = [writer(path, name) for name in ("a", "b")]
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    journal = Journal(path)
    assert journal.count() == 360
    assert all(journal.get(f"{name}-{n}-2") == "x" * 1000 for name in "ab" for n in range(60))


def test_a_full_disk_is_an_error_that_says_so_and_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite")
    journal.put([("a", 1)])
    journal._base.execute("PRAGMA max_page_count = 8")
    with pytest.raises(UsageError, match="disk is full"):
        journal.put([("b", 1), ("c", "x" * 100_000)])
    assert journal.get("a") == 1
    assert "b" not in journal


def test_what_is_no_journal_is_told_and_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(b'{"key": "a", "value": 1}\n' * 100)
    with pytest.raises(UsageError, match="damaged") as caught:
        Journal(path)
    assert "delete it" in caught.value.mend
    with pytest.raises(UsageError, match="cannot be used"):
        Journal(tmp_path / "no" / "folder.sqlite")


def test_memory_does_not_grow_with_what_is_kept(tmp_path: Path) -> None:
    """The index is on the disk: what one process holds is SQLite's own cache."""
    program = f"""
import resource
from pathlib import Path
from codetemper.core.journal import Journal
journal = Journal(Path({os.fspath(tmp_path / "j.sqlite")!r}))
def grow(start):
    for n in range(start, start + 20_000, 1000):
        journal.put([(f"{{n + i:064d}}", "x" * 300) for i in range(1000)])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
first = grow(0)
print(grow(20_000) - first, journal.count())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    grown_kb, count = map(int, done.stdout.split())
    assert count == 40_000
    # Twenty thousand such results in a dictionary take more than 8 MB.
    assert grown_kb < 3_000


def test_the_file_is_an_ordinary_database(tmp_path: Path) -> None:
    Journal(tmp_path / "j.sqlite").put([("a", [1])])
    rows = sqlite3.connect(tmp_path / "j.sqlite").execute("SELECT key, value FROM results")
    assert rows.fetchall() == [("a", b"[1]")]
