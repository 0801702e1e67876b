# SPDX-License-Identifier: Apache-2.0
"""How many of SVEN's hand-checked functions mining finds again, given their commits.

    python -m benchmarks.mining.sven owner/name=FOLDER ...

For the rows of ``../shared/data/sven`` whose commit link names a repository that is given, the
files of that commit are read with git, cut into functions and aligned. A row is found where one
aligned pair has its text before and its text after, identical but for white space. SVEN leaves out
the comment above a function, and the return type where that stands on a line of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, write_table
from codetemper.data.alignment import align
from codetemper.data.functions import Function, functions
from codetemper.data.languages import language_of, read_source

DATA = Path(__file__).parents[3] / "shared" / "data" / "sven"
LEAST = 0.98


def figures(repositories: Mapping[str, Path]) -> dict[str, Figure]:
    """Return which share of the rows of the given repositories is found.

    Args:
        repositories: git folders by ``owner/name`` as in the commit links.
    """
    found, missed = look(repositories)
    total = len(found) + len(missed)
    value = len(found) / total if total else 0.0
    target = f"at least {LEAST:.0%} of {total} identical but for white space"
    return {"sven_found": Figure(value, value, value, target, value >= LEAST)}


def look(repositories: Mapping[str, Path]) -> tuple[list[str], list[str]]:
    """Return the rows found and the rows missed, as ``repository commit file function``."""
    found: list[str] = []
    missed: list[str] = []
    for (repository, commit), rows in _rows(repositories).items():
        pairs = list(_pairs(repositories[repository], commit))
        for row in rows:
            name = f"{repository} {commit[:12]} {row['file_name']} {row['func_name']}"
            wanted = _bare(row["func_src_before"]), _bare(row["func_src_after"])
            same = any(_same(old, wanted[0]) and _same(new, wanted[1]) for old, new in pairs)
            (found if same else missed).append(name)
    return found, missed


def _rows(repositories: Mapping[str, Path]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    by_commit: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(DATA.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            _, owner, name, _, commit = row["commit_link"].split("/")[:5]
            if f"{owner}/{name}" in repositories:
                by_commit[f"{owner}/{name}", commit.split("?")[0].split("#")[0]].append(row)
    return by_commit


def _pairs(repository: Path, commit: str) -> Iterator[tuple[Function, Function]]:
    """Yield the functions that a commit modified."""
    files = []
    listed = _git(repository, "diff-tree", "-r", "-M", "-z", "--raw", "--no-abbrev", "-m",
                  "--first-parent", "--no-commit-id", commit).split(b"\0")  # fmt: skip
    fields = iter(listed)
    for entry in fields:
        if not entry.startswith(b":"):
            continue
        _, _, before, after, kind = entry.decode().split()
        path = next(fields)
        path = next(fields) if kind[0] in "RC" else path
        if (language := language_of(path.decode("utf-8", "replace"))) is not None:
            sides = []
            for blob in (before, after):
                data = b"" if not blob.strip("0") else _git(repository, "cat-file", "blob", blob)
                source = read_source(data)
                sides.append(functions(source.text, language).functions if source else ())
            files.append((sides[0], sides[1]))
    for pair in align(files).pairs:
        yield pair.before.function, pair.after.function


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], check=True, capture_output=True
    ).stdout


def _bare(text: str) -> str:
    return "".join(text.split())


def _same(function: Function, wanted: str) -> bool:
    """Tell whether a function is the wanted text, but for what SVEN leaves out above its name."""
    text = _bare(function.text)
    if not text.endswith(wanted):
        return False
    heading = text.rindex(_bare(function.text[function.body_start :]))
    name = text.rfind(function.name.split("::")[-1].split(".")[-1], 0, heading)
    return len(text) - len(wanted) <= name


def main() -> int:
    """Run from the command line; the exit code is 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repository", nargs="+", help="owner/name=FOLDER")
    given = dict(text.split("=", 1) for text in parser.parse_args().repository)
    repositories = {name: Path(folder) for name, folder in given.items()}
    figure = figures(repositories)
    for row in look(repositories)[1]:
        sys.stdout.write(f"missed: {row}\n")
    write_table(figure)
    return 0 if all(one.holds for one in figure.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
