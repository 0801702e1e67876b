# SPDX-License-Identifier: Apache-2.0
"""Lists of fixing commits that others made: which commit of which repository, which weakness.

    listing = read_list(Path("CVEfixes.db"))
    listing.entries     # (Listed(repository="https://github.com/a/b", commit="0a1b...", ...), ...)

Read by form, not by file name: SQLite with the tables of CVEfixes (``fixes``,
``cwe_classification``), CSV and JSON lines with one commit a row (CVEfixes exports, BigVul's
``MSR_data_cleaned.csv``, DiverseVul, plain lists), JSON (CrossVul and the like: rows in a list or
below keys), and advisories in OSV's form (one file, a folder, a zip). Code in such files is passed
over: what is learnt from is read from a clone. Rows that name no commit are counted, never fatal.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError

#: Columns by what they hold, compared in lower case without spaces, dashes and underscores.
_COLUMNS = {
    "commit": ("commit", "commitid", "commithash", "fixcommit", "fixcommithash", "fixcommitid",
               "hash", "sha"),
    "repository": ("repository", "repourl", "repo", "repositoryurl", "projecturl", "project",
                   "reponame"),
    "link": ("codelink", "commiturl", "commitlink", "refurl", "url"),
    "cwe": ("cwe", "cweid", "cwes", "cweids"),
    "cve": ("cve", "cveid", "cves", "cveids"),
}  # fmt: skip
_LINK = re.compile(
    r"(?P<repository>\S+?)/(?:-/)?(?:commits?|patch)/(?:\?id=)?(?P<commit>[0-9a-fA-F]{7,64})"
)
_QUERY = re.compile(
    r"(?P<repository>\S+?)/?(?:commit/?)?\?(?:\S*[;&])?(?:id|h)=(?P<commit>[0-9a-fA-F]{7,64})"
)
_HASH = re.compile(r"[0-9a-fA-F]{7,64}")
_CWE = re.compile(r"CWE[-_ ]?\d{1,4}", re.IGNORECASE)
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}", re.IGNORECASE)

#: What the libraries raise on files that are not what they look like: torn, encrypted, too deep.
_UNREADABLE = (OSError, ValueError, RuntimeError, csv.Error, sqlite3.Error, zipfile.BadZipFile)

#: BigVul keeps whole functions in its cells.
_LONGEST_CELL = 1 << 28


@dataclass(frozen=True, slots=True)
class Listed:
    """One commit that a list calls a fix.

    Attributes:
        repository: address or name, as the list has it.
        commit: its hash, whole or abbreviated.
        cwe: weakness, e.g. ``CWE-787``, where the list tells.
        cve: id of the vulnerability, likewise.
    """

    repository: str
    commit: str
    cwe: str | None = None
    cve: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a list holds.

    Attributes:
        name: name of the file or folder.
        entries: one a commit, in the order of the list; the first weakness named is kept.
        dropped: rows that name no commit, by reason.
    """

    name: str
    entries: tuple[Listed, ...]
    dropped: dict[str, int]


def read_list(path: Path) -> Listing:
    """Read a list of fixing commits.

    Args:
        path: a SQLite, CSV, JSON, JSON lines or zip file, or a folder of advisories.

    Raises:
        UsageError: no such file, it cannot be read, or nothing in it names a commit.
    """
    if not path.exists():
        raise UsageError(
            f"no such list: {path}",
            why="lists are read from files on this machine",
            mend="name a CVEfixes, BigVul, CrossVul or OSV export, or a CSV of repository,commit",
        )
    dropped: Counter[str] = Counter()
    entries: dict[tuple[str, str], Listed] = {}
    try:
        for one in _rows(path, dropped):
            key = (normalised(one.repository), one.commit)
            known = entries.get(key)
            entries[key] = one if known is None else _joined(known, one)
    except _UNREADABLE as error:
        raise UsageError(
            f"the list {path} cannot be read",
            why=str(error)[:200] or type(error).__name__,
            mend="name a SQLite, CSV, JSON or JSON lines file, or a folder or zip of advisories",
        ) from error
    if not entries:
        raise UsageError(
            f"the list {path} names no commit",
            why=", ".join(f"{n} {reason}" for reason, n in dropped.items()) or "it has no rows",
            mend="a list needs a repository and a commit in each row, or a link to a commit",
        )
    return Listing(path.name, tuple(entries.values()), dict(dropped))


def _joined(first: Listed, second: Listed) -> Listed:
    return Listed(first.repository, first.commit, first.cwe or second.cwe, first.cve or second.cve)


def _rows(path: Path, dropped: Counter[str]) -> Iterator[Listed]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield from _json(file.read_bytes(), dropped)
        return
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(b"SQLite format 3\0"):
        yield from _sqlite(path, dropped)
    elif head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".json")):
                yield from _json(archive.read(name), dropped)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _json_lines(path, dropped)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        yield from _json_or_lines(path, dropped)
    else:
        yield from _csv(path, dropped)


def _sqlite(path: Path, dropped: Counter[str]) -> Iterator[Listed]:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        known = {
            row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
        }
        if "fixes" not in known:
            raise ValueError(f"no table 'fixes' among {', '.join(sorted(known)) or 'no tables'}")
        weaknesses: dict[str, str] = {}
        # Collections that died half-way lack the table of weaknesses; the commits are good.
        if "cwe_classification" in known:
            rows = database.execute("SELECT cve_id, cwe_id FROM cwe_classification ORDER BY rowid")
            for cve, cwe in rows:
                if _cwe(cwe):
                    weaknesses.setdefault(cve, cwe)
        for cve, commit, repository in database.execute(
            "SELECT cve_id, hash, repo_url FROM fixes ORDER BY rowid"
        ):
            row = {"cve": cve, "commit": commit, "repository": repository}
            yield from _entry(row | {"cwe": weaknesses.get(cve)}, dropped)


def _csv(path: Path, dropped: Counter[str]) -> Iterator[Listed]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        delimiter = max(",;\t", key=first.count)
        for row in csv.DictReader((line.replace("\0", "") for line in stream), delimiter=delimiter):
            yield from _entry(row, dropped)


def _json_or_lines(path: Path, dropped: Counter[str]) -> Iterator[Listed]:
    with path.open("rb") as stream:
        first = stream.readline()
        more = bool(stream.readline().strip())
    with contextlib.suppress(ValueError):
        if more and isinstance(json.loads(first), dict):
            yield from _json_lines(path, dropped)
            return
    yield from _json(path.read_bytes(), dropped)


def _json_lines(path: Path, dropped: Counter[str]) -> Iterator[Listed]:
    with path.open("rb") as stream:
        for line in stream:
            yield from _json(line, dropped)


def _json(text: bytes, dropped: Counter[str]) -> Iterator[Listed]:
    if not text.strip():
        return
    try:
        value = json.loads(text.decode("utf-8-sig", "replace"))
    except ValueError:
        dropped["list: row that is not JSON"] += 1
        return
    yield from _value(value, {}, dropped)


def _value(value: Any, above: Mapping[str, Any], dropped: Counter[str]) -> Iterator[Listed]:
    """Walk JSON down to the rows; keys of the levels above hold for those below."""
    if isinstance(value, list):
        for item in value:
            yield from _value(item, above, dropped)
    elif isinstance(value, dict) and "affected" in value:
        yield from _advisory(value, dropped)
    elif isinstance(value, dict):
        below = {k: v for k, v in value.items() if _nested(v)}
        row = {**above, **{k: v for k, v in value.items() if k not in below}}
        if _pick(row, "commit") or _pick(row, "link") or not below:
            yield from _entry(row, dropped)
        else:
            for key, item in below.items():
                named = {"cwe": key} if _CWE.fullmatch(key) else {}
                named |= {"cve": key} if _CVE.fullmatch(key) else {}
                yield from _value(item, {**row, **named}, dropped)


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    )


def _advisory(value: Mapping[str, Any], dropped: Counter[str]) -> Iterator[Listed]:
    """Read one advisory in OSV's form: ``affected[].ranges[]`` of type GIT with ``fixed``."""
    said = value.get("database_specific")
    cwe = said.get("cwe_ids") if isinstance(said, dict) else None
    cve = [value.get("id"), *_items(value.get("aliases"))]
    found = False
    for affected in _items(value["affected"]):
        for span in _items(affected.get("ranges")) if isinstance(affected, dict) else ():
            if not isinstance(span, dict) or span.get("type") != "GIT":
                continue
            for event in _items(span.get("events")):
                if isinstance(event, dict) and "fixed" in event:
                    found = True
                    row = {"repository": span.get("repo"), "commit": event["fixed"]}
                    yield from _entry(row | {"cwe": cwe, "cve": cve}, dropped)
    if not found:
        dropped["list: advisory without a fixing commit"] += 1


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pick(row: Mapping[str, Any], what: str) -> Any:
    """Return the first cell that is not empty among the columns that may hold it."""
    cells = {re.sub(r"[\s_-]", "", str(name)).lower(): cell for name, cell in row.items()}
    return next((cells[name] for name in _COLUMNS[what] if cells.get(name)), None)


def _entry(row: Mapping[str, Any], dropped: Counter[str]) -> Iterator[Listed]:
    commit, repository, link = (
        str(_pick(row, what) or "").strip() for what in ("commit", "repository", "link")
    )
    found = next(filter(None, (_linked(cell) for cell in (commit, link, repository))), None)
    if found is not None:
        # A link tells the address; beside it, a project's bare name says less.
        repository = repository if "/" in repository and not _linked(repository) else found[0]
        commit = commit if _HASH.fullmatch(commit) else found[1]
    repository = repository or link
    if not _HASH.fullmatch(commit):
        dropped["list: row without a commit"] += 1
    elif not repository:
        dropped["list: row without a repository"] += 1
    else:
        yield Listed(repository, commit.lower(), _cwe(_pick(row, "cwe")), _cve(_pick(row, "cve")))


def _linked(cell: str) -> tuple[str, str] | None:
    """Return repository and commit of a link to a commit."""
    found = _LINK.search(cell) or _QUERY.search(cell)
    return (found["repository"], found["commit"]) if found else None


def _words(value: Any) -> Iterable[str]:
    return (str(item) for item in value) if isinstance(value, list) else (str(value or ""),)


def _cwe(value: Any) -> str | None:
    """Return the first weakness of a cell; NVD's ``CWE-noinfo`` and ``CWE-Other`` are none."""
    for text in _words(value):
        if found := re.search(r"\bCWE[-_ ]?(\d{1,4})\b|^\s*(\d{1,4})(?:\.0)?\s*$", text, re.I):
            return f"CWE-{int(found[1] or found[2])}"
    return None


def _cve(value: Any) -> str | None:
    for text in _words(value):
        if found := _CVE.search(text):
            return found[0].upper()
    return None


def normalised(address: str) -> str:
    """Return an address in the form that two ways to write it share.

    >>> normalised("git@GitHub.com:Ada/Engine.git") == normalised("https://github.com/ada/engine/")
    True
    """
    text = address.strip().lower()
    text = re.sub(r"^(?:git\+)?[a-z][a-z+]*://", "", text)
    text = re.sub(r"^[^@/]*@", "", text)
    text = re.sub(r"^([\w.-]+):(?!\d+/)", r"\1/", text)
    text = re.sub(r"^([\w.-]+):\d+/", r"\1/", text)
    return text.removeprefix("www.").rstrip("/").removesuffix(".git").rstrip("/")


def matching(listed: Iterable[str], clones: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Find the clone of each repository that a list names.

    Args:
        listed: addresses or names.
        clones: by its key, where each clone comes from and what its folder is called.

    Returns:
        The key of the clone by the address listed: by the whole address where one fits, else by
        the last part of it where one clone alone is called so. Others are left out.
    """
    whole: dict[str, str] = {}
    names: dict[str, set[str]] = {}
    for key, (origin, folder) in clones.items():
        whole.setdefault(normalised(origin), key)
        for name in (normalised(origin).rpartition("/")[2], normalised(folder)):
            names.setdefault(name, set()).add(key)
    found = {}
    for address in listed:
        alike = names.get(normalised(address).rpartition("/")[2], set())
        key = whole.get(normalised(address)) or (next(iter(alike)) if len(alike) == 1 else "")
        if key:
            found[address] = key
    return found
