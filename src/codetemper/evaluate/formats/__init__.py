# SPDX-License-Identifier: Apache-2.0
"""Readers of other projects' benchmark files, named as ``FORMAT:PATH``.

Each reader turns files into cases for our judges. The files themselves are never shipped, and
reading them runs nothing that they hold. One file a family of formats; ``READERS`` holds them all,
and ``docs/formats.md`` says what each needs and how a number differs from its project's own.

    >>> card, cases = read("humaneval", "HumanEval.jsonl.gz")
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from codetemper.core.errors import UsageError
from codetemper.core.plugins import did_you_mean
from codetemper.core.records import Case, SuiteCard
from codetemper.evaluate.formats import (
    cweval,
    cyberseceval,
    ds1000,
    humaneval,
    humanevalx,
    study,
    sven,
    text2sql,
)
from codetemper.evaluate.formats.form import Form, LeftOut, card, distinct
from codetemper.evaluate.formats.rows import read_lines

__all__ = ["READERS", "Form", "Read", "read", "read_lines"]

Read = tuple[SuiteCard, tuple[Case, ...]]
#: Every format by its name, in the order of the documentation.
READERS: dict[str, Form] = {
    form.name: form
    for module in (humaneval, humanevalx, cweval, sven, study, cyberseceval, ds1000, text2sql)
    for form in module.FORMS
}


def read(kind: str, path: str) -> Read:
    """Read ``path`` in the format ``kind``.

    Raises:
        UsageError: unknown format, missing or broken file, a row without the fields it needs, two
            cases of one name.
    """
    if kind not in READERS:
        raise UsageError(
            f"there is no suite format '{kind}'",
            why=did_you_mean(kind, [*READERS, "suite"]) or "no reader of that name",
            mend=f"formats: suite, {', '.join(READERS)}",
        )
    form, place = READERS[kind], Path(path)
    if not place.exists():
        raise UsageError(
            f"cannot read {path}", why="there is no such file or folder",
            mend=f"{kind} reads {form.holds}",
        )  # fmt: skip
    try:
        left_out: Counter[str] = Counter()
        cases = tuple(distinct(_decidable(form, place, left_out), place))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{path} is not in the format '{kind}'",
            why=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            mend=f"{kind} reads {form.holds}",
        ) from error
    if not cases and left_out:
        raise UsageError(
            f"no judge here decides a case of {path}",
            why=", ".join(f"{count} {why}" for why, count in sorted(left_out.items())),
            mend=f"{kind} reads {form.holds}",
        )
    return card(form, place, cases, left_out), cases


def _decidable(form: Form, place: Path, left_out: Counter[str]) -> Iterator[Case]:
    for found in form.read(place):
        if isinstance(found, LeftOut):
            left_out[found.why] += 1
        else:
            yield found
