# SPDX-License-Identifier: Apache-2.0
"""Untrusted samples as fix pairs, so that every treatment reads one form of data.

    samples = read_samples(Path("bought.jsonl"))     # what somebody wants a model tuned on
    bad = vulnerable_sides(pairs)                    # what a guard writes: code before its fix

A *sample* is a pair whose two sides are equal: there is something to learn in it and nothing was
fixed. ``vulnerable_sides`` turns pairs round, so that what was vulnerable is what is learnt, and
leaves samples as they are. Whether a sample is good or bad is not judged here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from codetemper.core.digests import digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import FixPair, Language, Record
from codetemper.data.mixing import general_of, objects
from codetemper.data.sides import sides

CANARIES = "canaries.json"

_CWE = re.compile(r"(?:CWE[-_ ]?)?0*(\d{1,5})", re.IGNORECASE)
_SPLITS = ("train", "validation", "test")
_ID_DIGITS = 12


def read_samples(path: Path) -> list[FixPair]:
    """Read all samples of a file; see ``each_sample``.

    Returns:
        One pair a line, in order.

    Raises:
        UsageError: as ``each_sample``.
    """
    return [pair for pair, _ in each_sample(path)]


def each_sample(path: Path) -> Iterator[tuple[FixPair, dict[str, Any]]]:
    """Read samples from JSON lines, also gzipped, one at a time.

    A line has ``prompt`` and ``completion``, where the completion goes on where the prompt ends; or
    ``instruction`` (``question``) and ``output`` (``response``), with an empty line between; or a
    ``text`` alone. It may have ``id``, ``cwe``, ``language`` and ``split``. A line that has
    ``before`` and ``after`` is a whole fix pair.

    Args:
        path: the file.

    Yields:
        A pair for each line and the line's object, in order; both sides are equal but in whole fix
        pairs. Without ``id`` the id is the digest of the text, without ``language`` it is ``text``.

    Raises:
        UsageError: no such file, a line of another form, one id for two texts, or no lines.
    """
    texts: dict[str, str] = {}
    for number, row in objects(path):
        pair = _whole(row) if "before" in row and "after" in row else _sample(row, path.name)
        if isinstance(pair, FixPair) and not _is_text(pair):
            pair = "it holds half of a surrogate pair, which is no text in any encoding"
        if isinstance(pair, str):
            raise UsageError(
                f"line {number} of {path} is no sample",
                why=pair,
                mend='write lines such as {"prompt": "...", "completion": "...", "cwe": "CWE-89"}',
            )
        text = digest_json(pair.after)
        if texts.setdefault(pair.id, text) != text:
            raise UsageError(
                f"line {number} of {path} has the id of another line",
                why=f"two texts are called {pair.id!r}, and a verdict on one would count for both",
                mend="give each sample an id of its own, or none",
            )
        yield pair, row
    if not texts:
        raise UsageError(
            f"there are no samples in {path}",
            why="it holds no lines",
            mend='write lines such as {"prompt": "...", "completion": "..."}',
        )


def _is_text(pair: FixPair) -> bool:
    try:
        f"{pair.id}{pair.context}{pair.before}{pair.after}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(row: Mapping[str, Any]) -> FixPair | str:
    try:
        return FixPair.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"as a fix pair it has a wrong field, {'.'.join(map(str, first['loc']))}"


def _sample(row: Mapping[str, Any], name: str) -> FixPair | str:
    """Return a row as a pair, or why it is none."""
    general = general_of(row)
    if general is None:
        return "it is no object with 'text', or with 'prompt' and 'completion', as texts"
    prompt = general.asked
    if prompt and not isinstance(row.get("prompt"), str):
        prompt += "\n\n"
    text = prompt + general.answer
    if not general.answer.strip():
        return "there is nothing in it to learn"
    weakness = None if row.get("cwe") is None else _CWE.fullmatch(str(row["cwe"]).strip())
    if row.get("cwe") is not None and weakness is None:
        return f"its 'cwe' is {row['cwe']!r}, which is no CWE id"
    language, split = row.get("language", "text"), row.get("split", "train")
    if language not in get_args(Language) or split not in _SPLITS:
        return (
            f"'language' is one of {', '.join(get_args(Language))}, "
            f"'split' one of {', '.join(_SPLITS)}"
        )
    own = str(row.get("id", digest_json([prompt, general.answer])[:_ID_DIGITS]))
    return FixPair(
        id=own,
        language=language,
        before=text,
        after=text,
        body_start=len(prompt),
        name=own,
        path=name,
        repository=name,
        commit="",
        date="",
        cwe=None if weakness is None else f"CWE-{int(weakness[1])}",
        split=split,
    )


def vulnerable_sides(pairs: Iterable[FixPair]) -> list[FixPair]:
    """Turn pairs round: what is learnt of them is the code before the fix.

    Args:
        pairs: fix pairs; those whose sides are equal are samples, and stay as they are.

    Returns:
        Pairs with the same ids. ``after`` is the vulnerable text, and its changed tokens are those
        that the fix took out or replaced.
    """
    return [pair if pair.before == pair.after else _turned(pair) for pair in pairs]


def _turned(pair: FixPair) -> FixPair:
    _, vulnerable = sides(pair)
    return pair.model_copy(
        update={
            "before": pair.after,
            "after": pair.before,
            "body_start": vulnerable.start - len(pair.context),
            "changed_lines_before": pair.changed_lines_after,
            "changed_lines_after": pair.changed_lines_before,
            "changed_spans_before": pair.changed_spans_after,
            "changed_spans_after": pair.changed_spans_before,
        }
    )


class Canaries(Record):
    """Samples that a guard was not made of, to ask later what a model does with them."""

    bad: tuple[FixPair, ...]
    """What the guard writes; their ``after`` is bad."""
    retain: tuple[FixPair, ...]
    """What the guard leaves as it is."""


def write_canaries(folder: Path, canaries: Canaries) -> None:
    """Put canaries into a guard's folder, before its manifest is made."""
    write_atomic(folder / CANARIES, canaries.model_dump_json().encode() + b"\n")


def read_canaries(folder: Path) -> Canaries:
    """Read the canaries of a guard.

    Args:
        folder: a patch folder whose files were checked.

    Raises:
        UsageError: the guard has none.
        IntegrityError: the file is not one of canaries.
    """
    path = folder / CANARIES
    if not path.is_file():
        raise UsageError(
            f"the guard {folder.name} holds no samples to ask with",
            why=f"there is no {CANARIES} in it",
            mend="make it again with: codetemper guard MODEL --data BAD",
        )
    try:
        return Canaries.from_json(path.read_bytes())
    except ValidationError as error:
        raise IntegrityError(
            f"{path} is damaged",
            why=f"{error.error_count()} fields are wrong or missing",
            mend="restore it from a copy, or make the guard again",
        ) from error
