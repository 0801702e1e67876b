# SPDX-License-Identifier: Apache-2.0
"""Readers of other projects' benchmark files, named as ``FORMAT:PATH``.

Each reader turns a file into a card and cases for our judges. The files themselves are never
shipped. Adding a format is adding one function to ``READERS``.
"""

from __future__ import annotations

import gzip
import json
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import Case, SuiteCard

Read = tuple[SuiteCard, tuple[Case, ...]]
_STOPS = ("\ndef ", "\nclass ", "\nif __name__", "\n#", "\nprint(", "\n```")


def read(kind: str, path: str) -> Read:
    """Read ``path`` in the format ``kind``.

    Raises:
        UsageError: unknown format, missing or broken file, a row without the fields it needs.
    """
    if kind not in READERS:
        raise UsageError(
            f"there is no suite format '{kind}'",
            why=did_you_mean(kind, [*READERS, "suite"]) or "no reader of that name",
            mend=f"formats: suite, {', '.join(READERS)}",
        )
    try:
        rows = [json.loads(line) for line in read_lines(Path(path))]
        cases = tuple(READERS[kind](row) for row in rows)
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not in the format '{kind}'",
            why=f"a row lacks {error}",
            mend="check that the file belongs to that benchmark",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{path} is not JSON Lines", why=str(error), mend="check path and file"
        ) from error
    card = SuiteCard(
        name=f"{kind}:{Path(path).name}",
        summary=f"{len(cases)} cases of {kind}, read by path.",
        language="python",
        metrics=("pass@1", "valid@1"),
        cases=Path(path).name,
        licence="see source",
        source=kind,
        max_new_tokens=384,
    )
    return card, cases


def read_lines(path: Path) -> list[str]:
    """Return the non-empty lines of a text file that may be gzipped.

    Raises:
        UsageError: the file is missing, is not UTF-8, or is a broken gzip file.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return [line for line in data.decode("utf-8").split("\n") if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UsageError(
            f"cannot read {path}", why=str(error), mend="check path and file"
        ) from error


def _assert_check(before: str, asserting: str) -> list[dict[str, Any]]:
    """Return a check of assert-style tests: a failed assertion is wrong, other errors are errors.

    Args:
        before: definitions the tests need.
        asserting: statements that assert.
    """
    code = (
        f"{before}\ntry:\n{textwrap.indent(asserting, '    ')}\n    result = True\n"
        "except AssertionError:\n    result = False\n"
    )
    return [{"name": "tests", "kind": "function", "code": code, "expect": True}]


def _humaneval(row: dict[str, Any]) -> Case:
    return Case(
        id=row["task_id"],
        prompt=row["prompt"],
        language="python",
        judge="execution",
        spec={"setup": "", "checks": _assert_check(row["test"], f"check({row['entry_point']})")},
        stop=_STOPS,
        reference=row.get("canonical_solution"),
        family=row["task_id"],
    )


def _mbpp(row: dict[str, Any]) -> Case:
    before = "\n".join([*row.get("test_imports", []), row.get("test_setup_code", "")])
    text = row.get("text") or row["prompt"]
    return Case(
        id=f"mbpp/{row['task_id']}",
        prompt=f'"""\n{text}\n{row["test_list"][0]}\n"""\n',
        language="python",
        judge="execution",
        spec={"setup": "", "checks": _assert_check(before, "\n".join(row["test_list"]))},
        stop=('\n"""', "\nif __name__", "\nprint(", "\nassert", "\n```"),
        reference=row.get("code"),
        family=str(row["task_id"]),
    )


READERS: dict[str, Callable[[dict[str, Any]], Case]] = {"humaneval": _humaneval, "mbpp": _mbpp}
