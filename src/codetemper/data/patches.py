# SPDX-License-Identifier: Apache-2.0
"""Fix pairs from patch files, where no repository is at hand: what their hunks show.

    harvest = harvest_patches(folder, patch_files(folder), config)

Reads what ``git format-patch`` writes (one message a file, or many), and unified diffs with or
without a description above them; whoever hands a folder of patches over says that they are fixes,
so no score is asked for. A hunk that shows a whole function gives its pieces; else the hunk is the
block, its changed lines are the lines. Whole files are not in a patch. Context is what the hunk
shows, licences are not known.
"""

from __future__ import annotations

import contextlib
import email
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from unidiff import PatchSet, UnidiffParseError

from codetemper.core.errors import UsageError
from codetemper.core.records import FixPair
from codetemper.data.alignment import align
from codetemper.data.changes import compare
from codetemper.data.choice import (
    Candidate,
    MineConfig,
    candidate,
    is_product,
    part,
    quality,
    untangled,
)
from codetemper.data.functions import Function, cosmetic, functions
from codetemper.data.harvest import Harvest, Outcome, fix_pair
from codetemper.data.history import Commit
from codetemper.data.labels import label
from codetemper.data.languages import SourceLanguage, language_of, read_source
from codetemper.data.pieces import Piece, pieces
from codetemper.data.sources import Listed

_ENDINGS = (".patch", ".diff")
_MESSAGE = re.compile(r"^From ([0-9a-f]{40,64}) \w{3} \w{3} ", re.MULTILINE)
_BEGIN = re.compile(r"^(?:---\s*$|diff --git |Index: |--- \S)", re.MULTILINE)
_NAMED = re.compile(r"([\w:.~]+)\s*\(")

_NO_MERIT = "hunk: only white space or comments changed"


@dataclass(frozen=True, slots=True)
class _Hunk:
    """One hunk: its file, the function its heading names, and what both sides show."""

    path: str
    language: SourceLanguage
    name: str
    before: str
    after: str


def patch_files(folder: Path) -> list[Path]:
    """Return the patch files of a folder, in order of their paths.

    Raises:
        UsageError: no such folder, or there are none in it.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix in _ENDINGS and p.is_file())
    if not found:
        raise UsageError(
            f"there are no patches in {folder}",
            why="no file below it ends in .patch or .diff" if folder.is_dir() else "no such folder",
            mend="name a folder that git format-patch or diff -u wrote into",
        )
    return found


def harvest_patches(folder: Path, files: Sequence[Path], config: MineConfig) -> Harvest:
    """Return what becomes of patch files; each message in them counts as a commit.

    Args:
        folder: what they are called by: its name is the repository of the pairs.
        files: patch files below it.
        config: what to keep.
    """
    harvest = Harvest()
    for path in files:
        name = path.relative_to(folder).as_posix()
        source = read_source(path.read_bytes())
        if source is None:
            harvest.outcomes.append(Outcome(name, "commit: patch file that is binary"))
            continue
        if not source.is_utf8:
            harvest.notes["files that are not UTF-8"] += 1
        starts = [found.start() for found in _MESSAGE.finditer(source.text)] or [0]
        for begin, end in zip(starts, [*starts[1:], len(source.text)], strict=True):
            one = _candidate(source.text[begin:end], name)
            pairs = _pairs(one, source.text[begin:end], folder.resolve().name, config, harvest)
            if isinstance(pairs, str):
                harvest.outcomes.append(Outcome(one.commit.hash, pairs))
            else:
                rows = tuple(pair.model_dump(mode="json") for pair in pairs)
                harvest.outcomes.append(Outcome(one.commit.hash, "", rows))
    return harvest


def _candidate(text: str, name: str) -> Candidate:
    """Read what stands above the first diff: a mail's head and body, or a plain description."""
    begin = _BEGIN.search(text)
    head = text[: begin.start()] if begin else text
    mail = _MESSAGE.match(head)
    commit, date, message = name, "", head.strip()
    if mail:
        commit = mail[1]
        date, message = _mail(email.message_from_string(head.partition("\n")[2]))
    # Distributions name their patches after what they fix.
    given = label(f"{name}\n{message}")
    listed = Listed("", commit, given.cwe, next(iter(given.cves), None))
    return candidate(Commit(commit, (), date, message or name), label(message), listed)


def _mail(said: Message) -> tuple[str, str]:
    """Return a mail's date, empty where it has none that can be read, and its message."""
    subject = said["Subject"] or ""
    # Mails are what strangers wrote: unknown character sets, dates that no calendar has.
    with contextlib.suppress(LookupError, ValueError, HeaderParseError):
        subject = str(make_header(decode_header(subject)))
    subject = re.sub(r"^\[[^]]*\]\s*", "", " ".join(subject.split()))
    date = ""
    with contextlib.suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(said["Date"] or "").isoformat()
    body: Any = said.get_payload()
    while isinstance(body, list):
        body = body[0].get_payload() if body else ""
    return date, f"{subject}\n\n{body}"


def _hunks(text: str, config: MineConfig, harvest: Harvest) -> Iterator[_Hunk]:
    """Yield the hunks of source files of the product.

    Raises:
        UnidiffParseError: a hunk is not as long as its heading says.
    """
    begin = _BEGIN.search(text)
    for file in PatchSet(text[begin.start() :] if begin else text):
        if file.is_added_file or file.is_removed_file:
            harvest.dropped["file: only added or deleted"] += 1
            continue
        path = re.sub(r"^[^/]+/", "", file.target_file)
        language = language_of(path)
        if language is None or language not in config.languages:
            continue
        if not config.keep_tests and not is_product(path):
            harvest.dropped["file: test, vendored or generated path"] += 1
            continue
        for hunk in file:
            named = _NAMED.search(hunk.section_header)
            before, after = (
                "".join(line.value for line in lines)
                for lines in (hunk.source_lines(), hunk.target_lines())
            )
            yield _Hunk(path, language, named[1] if named else path, before, after)


def _pairs(
    one: Candidate, text: str, repository: str, config: MineConfig, harvest: Harvest
) -> list[FixPair] | str:
    """Return the pairs of one patch, or why it has none."""
    try:
        hunks = list(_hunks(text, config, harvest))
    except UnidiffParseError:
        return "commit: patch that is torn"
    if not hunks:
        return "commit: no source file changed"
    if len({hunk.path for hunk in hunks}) > config.max_files_per_commit:
        return "commit: tangled, too many files"
    units: list[tuple[_Hunk, Function, Function]] = []
    for hunk in hunks:
        if cosmetic(hunk.before, hunk.after, hunk.language):
            harvest.dropped[_NO_MERIT] += 1
        else:
            units.extend((hunk, old, new) for old, new in _units(hunk))
    if not units:
        return "commit: only white space or comments changed"
    parts = [
        part(hunk.path, new.name, old.text, new.text, compare(old.text, new.text, hunk.language))
        for hunk, old, new in units
    ]
    found = untangled(parts, one.commit.message, config.max_functions_per_commit)
    if found.reason:
        return found.reason
    harvest.dropped.update(found.dropped)
    made: list[FixPair] = []
    for i, relevance in found.kept:
        hunk, old, new = units[i]
        sure = quality(one, len(parts), relevance, parts[i].lines, is_product(hunk.path))
        for piece in _pieces(old, new, hunk.language, config, harvest):
            place = [repository, one.commit.hash, hunk.path, piece.name, piece.granularity]
            made.append(
                fix_pair(
                    one, piece, [*place, len(made)], language=hunk.language,
                    repository=repository, path=hunk.path, quality=sure,
                )
            )  # fmt: skip
    return made or "commit: no piece of the granularities asked for"


def _units(hunk: _Hunk) -> list[tuple[Function, Function]]:
    """Return the whole functions that a hunk changes; the hunk itself where it shows none."""
    sides = [
        [f for f in functions(text, hunk.language).functions if _is_whole(f, text, hunk.language)]
        for text in (hunk.before, hunk.after)
    ]
    pairs = align([(sides[0], sides[1])]).pairs
    whole = [(pair.before.function, pair.after.function) for pair in pairs]
    return whole or [(_fragment(hunk, hunk.before), _fragment(hunk, hunk.after))]


def _fragment(hunk: _Hunk, text: str) -> Function:
    return Function(hunk.name, "", text, 0)


def _is_whole(function: Function, shown: str, language: SourceLanguage) -> bool:
    """Tell whether a hunk shows all of a function: it goes on after it, or the braces close."""
    if language == "python":
        return not shown.rstrip().endswith(function.text.rstrip())
    return "{" in function.text and function.text.count("{") == function.text.count("}")


def _pieces(
    old: Function, new: Function, language: SourceLanguage, config: MineConfig, harvest: Harvest
) -> Iterator[Piece]:
    wanted = set(config.granularities) - {"file"}
    if new.signature:
        yield from pieces(old, new, language, wanted, harvest.dropped)
        return
    if "function" in wanted:
        harvest.dropped["hunk: does not show the whole function"] += 1
    if "block" in wanted:
        found = compare(old.text, new.text, language)
        yield Piece(
            "block", old.text, new.text, 0, "", new.name,
            found.lines_before, found.lines_after, found.spans_before, found.spans_after,
        )  # fmt: skip
    yield from pieces(old, new, language, wanted & {"line"}, harvest.dropped)
