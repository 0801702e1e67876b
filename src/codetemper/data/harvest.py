# SPDX-License-Identifier: Apache-2.0
"""From a batch of candidate commits to fix pairs: read both sides, align, untangle, cut, score.

    with Harvester(Path("libexpat"), config) as harvester:
        harvest = harvester.harvest(candidates)

Every commit of the batch has an outcome: its pairs, or the reason why it gave none. What else fell
out (files, functions, hunks) is counted by reason, what was survived (files that are not UTF-8 or
do not parse) as notes. Batches are independent of each other, so several processes may work on
one history; what holds across batches is ``mine.py``'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

from codetemper.core.digests import digest_json, short
from codetemper.core.records import FixPair
from codetemper.data.alignment import align
from codetemper.data.changes import compare
from codetemper.data.choice import (
    Candidate,
    MineConfig,
    is_product,
    part,
    quality,
    speaks_of,
    untangled,
    words_of,
)
from codetemper.data.functions import Function, cosmetic
from codetemper.data.history import Change, History
from codetemper.data.languages import SourceLanguage, language_of
from codetemper.data.pieces import Piece, pieces, whole_file
from codetemper.data.readings import Reading, Readings, unshared

_COSMETIC = "function: only white space or comments changed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a commit.

    Attributes:
        commit: its hash.
        reason: why it gave nothing; empty where it gave pairs.
        pairs: its pairs, as JSON data.
        patch_id: git's patch id of its change to source files; empty where it is not known.
    """

    commit: str
    reason: str = ""
    pairs: tuple[dict[str, Any], ...] = ()
    patch_id: str = ""


@dataclass
class Harvest:
    """What became of a batch.

    Attributes:
        outcomes: one for each commit, in the order of the batch.
        dropped: files, functions and hunks that fell out, by reason.
        notes: what was survived.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _File:
    """A source file that a commit touched, read on both sides."""

    change: Change
    language: SourceLanguage
    before: Reading
    after: Reading


@dataclass(frozen=True, slots=True)
class _Modified:
    """A function that a commit modified, and the file it came from."""

    file: _File
    origin: _File
    old: Function
    new: Function


class Harvester:
    """One history, opened for cutting commits into pairs; a context manager."""

    def __init__(self, repository: Path, config: MineConfig) -> None:
        """Open the history.

        Raises:
            UsageError: the folder is missing or no git repository.
        """
        self._config = config
        self._history = History(repository, max_file_bytes=config.max_file_bytes)
        self._source = self._history.origin()
        self._readings = Readings(self._history)
        self._now = Harvest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._history.close()

    def harvest(self, batch: Sequence[Candidate]) -> Harvest:
        """Return what becomes of each commit of a batch; all of them have a parent."""
        self._now = Harvest()
        compared = self._history.changes([one.commit for one in batch])
        found: dict[str, tuple[FixPair, ...] | str] = {
            one.commit.hash: self._commit(one, compared[one.commit.hash]) for one in batch
        }
        kept = [one.commit for one in batch if not isinstance(found[one.commit.hash], str)]
        endings = {
            PurePosixPath(pair.path).suffix
            for pairs in found.values()
            if not isinstance(pairs, str)
            for pair in pairs
        }
        patches = self._history.patch_ids(kept, sorted(endings))
        for one in batch:
            name, pairs = one.commit.hash, found[one.commit.hash]
            if isinstance(pairs, str):
                self._now.outcomes.append(Outcome(name, pairs))
            else:
                rows = tuple(pair.model_dump(mode="json") for pair in pairs)
                self._now.outcomes.append(Outcome(name, "", rows, patches.get(name, "")))
        return self._now

    def _commit(self, one: Candidate, changes: list[Change] | None) -> tuple[FixPair, ...] | str:
        """Return the pairs of a commit, or why it has none."""
        if changes is None:
            return "commit: objects are missing"
        if not changes:
            return "commit: empty, no contents changed"
        chosen = self._sources(changes, one.commit.message)
        if isinstance(chosen, str):
            return chosen
        files = [f for f in map(self._read, chosen) if f is not None]
        if not files:
            return "commit: contents missing, binary or too large"
        alignment = align([unshared(f.before, f.after, f.language, self._now.notes) for f in files])
        modified: list[_Modified] = []
        unfit: Counter[str] = Counter()
        for pair in alignment.pairs:
            file, origin = files[pair.after.file], files[pair.before.file]
            found = _Modified(file, origin, pair.before.function, pair.after.function)
            if reason := self._unfit(found):
                unfit[reason] += 1
            else:
                modified.append(found)
        self._now.dropped += unfit
        made = self._pairs(one, files, modified)
        if made:
            return made
        if unfit:
            if set(unfit) == {_COSMETIC}:
                return "commit: only white space or comments changed"
            return "commit: its functions are too long"
        return _unmodified(bool(alignment.deleted), bool(alignment.added))

    def _pairs(
        self, one: Candidate, files: Sequence[_File], modified: Sequence[_Modified]
    ) -> tuple[FixPair, ...] | str:
        """Return the pairs of what a commit modified in substance, or why there are none."""
        parts = [
            part(m.file.change.path, m.new.name, m.old.text, m.new.text,
                 compare(m.old.text, m.new.text, m.file.language))
            for m in modified
        ]  # fmt: skip
        found = untangled(parts, one.commit.message, self._config.max_functions_per_commit)
        if found.reason:
            return found.reason
        self._now.dropped += Counter(found.dropped)
        scored = [
            (modified[i], quality(one, len(parts), relevance, parts[i].lines,
                                  is_product(parts[i].path)))
            for i, relevance in found.kept
        ]  # fmt: skip
        made = tuple(self._records(one, files, scored, {id(m.file) for m in modified}))
        return made or ("commit: no piece of the granularities asked for" if scored else ())

    def _sources(self, changes: Sequence[Change], message: str) -> list[Change] | str:
        """Return the changes of source files of the product, or why there are none to look at."""
        now, config = self._now, self._config
        links = sum(c.kind == "other" for c in changes)
        files = [
            c for c in changes if c.kind != "other" and language_of(c.path) in config.languages
        ]
        if links:
            now.dropped["file: submodule or symbolic link"] += links
        if not files:
            if links == len(changes):
                return "commit: only submodules or symbolic links changed"
            return "commit: no source file changed"
        if not config.keep_tests:
            product = [c for c in files if is_product(c.path)]
            if len(product) < len(files):
                now.dropped["file: test, vendored or generated path"] += len(files) - len(product)
            files = product
            if not files:
                return "commit: only tests, vendored or generated code changed"
        if all(c.kind == "deleted" for c in files):
            return _unmodified(True, False)
        if all(c.kind == "added" for c in files):
            return _unmodified(False, True)
        if len(files) > config.max_files_per_commit:
            words = words_of(message)
            spoken = [c for c in files if speaks_of(words, c.path)]
            if not 0 < len(spoken) <= config.max_files_per_commit:
                return "commit: tangled, too many files"
            now.dropped["file: cut off a tangled commit that does not speak of it"] += len(
                files
            ) - len(spoken)
            files = spoken
        return files

    def _unfit(self, found: _Modified) -> str:
        old, new = found.old.text, found.new.text
        if max(len(old), len(new)) > self._config.max_function_chars:
            return "function: too long"
        return _COSMETIC if cosmetic(old, new, found.file.language) else ""

    def _read(self, change: Change) -> _File | None:
        language = language_of(change.path)
        if language is None:
            return None
        # A file may change its language with its name; both sides are read as what it became.
        before = self._readings.read(change.before, language, self._now.notes)
        after = self._readings.read(change.after, language, self._now.notes)
        if before is None or after is None:
            self._now.dropped["file: contents missing, binary or too large"] += 1
            return None
        return _File(change, language, before, after)

    def _records(
        self,
        one: Candidate,
        files: Sequence[_File],
        scored: Sequence[tuple[_Modified, float]],
        modified: set[int],
    ) -> Iterator[FixPair]:
        """Yield the pairs of a commit, file by file: the file, then the pieces of its functions."""
        wanted = self._config.granularities
        places: Counter[tuple[str, str, str]] = Counter()
        for file in files:
            inside = [(m, sure) for m, sure in scored if m.file is file]
            cut: list[tuple[Piece, float, str]] = []
            if "file" in wanted and (inside or id(file) not in modified):
                cut.extend(self._whole(one, file, [sure for _, sure in inside]))
            for m, sure in inside:
                moved = m.origin.change.path if m.origin is not file else file.change.path_before
                for piece in pieces(m.old, m.new, file.language, wanted, self._now.dropped):
                    cut.append((piece, sure, moved))
            licence = self._readings.licence(one.commit.hash, file.after.text) if cut else None
            for piece, sure, moved in cut:
                key = (file.change.path, piece.name, piece.granularity)
                places[key] += 1
                place = [self._source, one.commit.hash, *key, places[key]]
                yield fix_pair(
                    one, piece, place, language=file.language, repository=self._source,
                    path=file.change.path, path_before=moved, licence=licence, quality=sure,
                )  # fmt: skip

    def _whole(
        self, one: Candidate, file: _File, inside: Sequence[float]
    ) -> Iterator[tuple[Piece, float, str]]:
        """Yield a modified file as a piece, as sure as the surest of its functions."""
        old, new, change = file.before.text, file.after.text, file.change
        if change.kind != "modified" or cosmetic(old, new, file.language):
            return
        piece = whole_file(old, new, file.language, change.path)
        lines = len(piece.lines_before) + len(piece.lines_after)
        sure = max(inside, default=quality(one, 1, 0.0, lines, is_product(change.path)))
        yield piece, sure, change.path_before


def fix_pair(
    one: Candidate, piece: Piece, place: Sequence[Any], *, language: SourceLanguage, **more: Any
) -> FixPair:
    """Return the record of a piece.

    Args:
        one: the commit.
        piece: what was cut out of it.
        place: what tells the piece from all others; its id is made of it.
        language: what it is written in.
        more: the fields of ``FixPair`` that neither commit nor piece know.
    """
    return FixPair(
        id=short(digest_json(list(place))),
        language=language,
        granularity=piece.granularity,
        before=piece.before,
        after=piece.after,
        body_start=piece.body_start,
        context=piece.context,
        changed_lines_before=piece.lines_before,
        changed_lines_after=piece.lines_after,
        changed_spans_before=piece.spans_before,
        changed_spans_after=piece.spans_after,
        name=piece.name,
        commit=one.commit.hash,
        date=one.commit.date,
        message=one.commit.subject,
        cwe=one.cwe,
        cve=one.cve,
        evidence=one.evidence,
        **more,
    )


def _unmodified(deleted: bool, added: bool) -> str:
    if deleted and added:
        return "commit: only adds and deletes functions or files"
    if deleted:
        return "commit: only deletes functions or files"
    return "commit: only adds functions or files" if added else "commit: no function modified"
