# SPDX-License-Identifier: Apache-2.0
"""Lists of fixing commits in the forms they come in; addresses and clones that belong together."""

from __future__ import annotations

import csv
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.data.sources import Listed, matching, normalised, read_list

REPOSITORY = "https://github.com/ada/engine"
COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
ENTRY = Listed(REPOSITORY, COMMIT, "CWE-787", "CVE-2024-0001")


def cvefixes(path: Path, *, weaknesses: bool = True) -> Path:
    """Write a database with the tables and columns of CVEfixes that count here."""
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE fixes (cve_id TEXT, hash TEXT, repo_url TEXT)")
        base.execute("INSERT INTO fixes VALUES (?, ?, ?)", ("CVE-2024-0001", COMMIT, REPOSITORY))
        base.execute("INSERT INTO fixes VALUES (?, ?, ?)", ("CVE-2024-0002", "f" * 40, REPOSITORY))
        base.execute("INSERT INTO fixes VALUES (?, ?, ?)", ("CVE-2024-0003", None, REPOSITORY))
        if weaknesses:
            base.execute("CREATE TABLE cwe_classification (cve_id TEXT, cwe_id TEXT)")
            rows = [("CVE-2024-0001", "NVD-CWE-noinfo"), ("CVE-2024-0001", "CWE-787"),
                    ("CVE-2024-0001", "CWE-20"), ("CVE-2024-0002", "NVD-CWE-Other")]  # fmt: skip
            base.executemany("INSERT INTO cwe_classification VALUES (?, ?)", rows)
    return path


def test_cvefixes_database(tmp_path: Path) -> None:
    listing = read_list(cvefixes(tmp_path / "CVEfixes.db"))
    assert listing.entries == (ENTRY, Listed(REPOSITORY, "f" * 40, None, "CVE-2024-0002"))
    assert listing.dropped == {"list: row without a commit": 1}
    assert listing.name == "CVEfixes.db"


def test_a_collection_that_died_before_the_weaknesses_is_still_a_list(tmp_path: Path) -> None:
    listing = read_list(cvefixes(tmp_path / "CVEfixes.sqlite", weaknesses=False))
    assert [entry.cwe for entry in listing.entries] == [None, None]


def test_a_database_is_not_written_to(tmp_path: Path) -> None:
    path = cvefixes(tmp_path / "CVEfixes.db")
    path.chmod(0o400)
    before = path.read_bytes()
    read_list(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CVEfixes.db"]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_bigvul_with_functions_in_its_cells(tmp_path: Path) -> None:
    row = {"": "0", "CVE ID": "CVE-2024-0001", "CWE ID": "CWE-787", "commit_id": COMMIT,
           "codeLink": f"{REPOSITORY}/commit/{COMMIT}", "project": "engine",
           "func_before": 'int f(void)\n{\n  return "x, y";\n}\n' * 8000}  # fmt: skip
    other = row | {
        "CWE ID": "",
        "project": "Chrome",
        "commit_id": "e" * 40,
        "codeLink": "https://git.example.org/?p=chromium.git;h=" + "e" * 40,
    }
    listing = read_list(write_csv(tmp_path / "MSR_data_cleaned.csv", [row, row, other]))
    assert listing.entries[0] == ENTRY
    assert len(listing.entries) == 2
    assert (listing.entries[1].commit, listing.entries[1].cwe) == ("e" * 40, None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_plain_rows(tmp_path: Path, delimiter: str) -> None:
    row = {"repository": REPOSITORY, "commit": COMMIT, "cwe": "787", "cve": "cve-2024-0001"}
    path = write_csv(tmp_path / "list.csv", [row, row | {"commit": "x"}], delimiter)
    listing = read_list(path)
    assert listing.entries == (ENTRY,)
    assert listing.dropped == {"list: row without a commit": 1}


def test_cvefixes_rows_exported(tmp_path: Path) -> None:
    row = {"cve_id": "CVE-2024-0001", "hash": COMMIT, "repo_url": REPOSITORY + ".git",
           "cwe_id": "CWE-787"}  # fmt: skip
    (entry,) = read_list(write_csv(tmp_path / "fixes.csv", [row])).entries
    assert entry == Listed(REPOSITORY + ".git", COMMIT, "CWE-787", "CVE-2024-0001")


def test_json_lines(tmp_path: Path) -> None:
    rows = [{"project": "engine", "commit_url": f"{REPOSITORY}/commit/{COMMIT}.patch",
             "cwe": ["CWE-787", "CWE-20"], "cve": "CVE-2024-0001"}]  # fmt: skip
    text = "\n".join([*(json.dumps(row) for row in rows), "{broken", ""])
    (tmp_path / "list.jsonl").write_text(text)
    listing = read_list(tmp_path / "list.jsonl")
    assert listing.entries == (ENTRY,)
    assert listing.dropped == {"list: row that is not JSON": 1}


@pytest.mark.parametrize(
    "value",
    [
        [{"repo": REPOSITORY, "hash": COMMIT, "cwe_id": "CWE-787", "cve_id": "CVE-2024-0001"}],
        {"CWE-787": [{"url": f"{REPOSITORY}/commit/{COMMIT}", "cve": "CVE-2024-0001"}]},
        {"CVE-2024-0001": {"cwe": "CWE-787", "commits": [
            {"commit_url": f"{REPOSITORY}/commit/{COMMIT}", "files": [{"name": "a.c"}]}]}},
    ],
)  # fmt: skip
def test_json_of_several_shapes(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "crossvul.json"
    path.write_text(json.dumps(value, indent=1))
    assert read_list(path).entries == (ENTRY,)


def test_a_year_above_the_rows_is_no_weakness(tmp_path: Path) -> None:
    rows = {"2019": [{"repo": REPOSITORY, "hash": COMMIT, "cve": "CVE-2024-0001"}]}
    (tmp_path / "list.json").write_text(json.dumps(rows))
    assert read_list(tmp_path / "list.json").entries == (
        Listed(REPOSITORY, COMMIT, None, "CVE-2024-0001"),
    )


def test_json_too_deep_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(tmp_path / "deep.json")


def advisory(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2024-0001"],
        "affected": [
            {
                "ranges": [
                    {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]},
                    {"type": "GIT", "repo": REPOSITORY,
                     "events": [{"introduced": "0"}, {"fixed": COMMIT}]},
                ]
            }
        ],
        "database_specific": {"cwe_ids": ["CWE-787"]},
    }  # fmt: skip
    return plain | changes


@pytest.mark.parametrize("form", ["file", "folder", "zip"])
def test_advisories(tmp_path: Path, form: str) -> None:
    texts = {"a.json": json.dumps(advisory()), "b.json": json.dumps(advisory(affected=[]))}
    path = tmp_path / "all.json"
    if form == "file":
        path.write_text(json.dumps([json.loads(text) for text in texts.values()]))
    elif form == "folder":
        (path / "deeper").mkdir(parents=True)
        for name, text in texts.items():
            (path / "deeper" / name).write_text(text)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
    listing = read_list(path)
    assert listing.entries == (ENTRY,)
    assert listing.dropped == {"list: advisory without a fixing commit": 1}


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such list"):
        read_list(tmp_path / "nowhere.csv")
    (tmp_path / "words.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="names no commit"):
        read_list(tmp_path / "words.csv")
    with sqlite3.connect(tmp_path / "other.db") as base:
        base.execute("CREATE TABLE birds (name TEXT)")
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(tmp_path / "other.db")
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(tmp_path / "torn.zip")


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/ada/engine", "http://GitHub.com/Ada/Engine.git/",
        "git@github.com:ada/engine.git", "ssh://git@github.com:22/ada/engine",
        "git://github.com/ada/engine.git", "git+https://user@www.github.com/ada/engine",
    ],
)  # fmt: skip
def test_addresses_that_mean_the_same(address: str) -> None:
    assert normalised(address) == "github.com/ada/engine"


def test_clones_are_matched_by_address_then_by_name() -> None:
    clones = {
        "0": ("git@github.com:ada/engine.git", "engine"),
        "1": ("https://example.org/other/engine", "engine-fork"),
        "2": ("tool", "tool"),
    }
    found = matching(
        [REPOSITORY, "https://example.org/any/tool", "https://x.org/their/engine", "lost"], clones
    )
    # Two clones are called engine, so the name alone says nothing.
    assert found == {REPOSITORY: "0", "https://example.org/any/tool": "2"}
