# SPDX-License-Identifier: Apache-2.0
"""From git histories to fix pairs: choose commits, cut them into functions, drop what is no fix.

    result = mine([Path("libexpat")], MineConfig())
    result.pairs        # tuple[FixPair, ...]
    result.dropped      # {"function: cosmetic": 12, "file: test or vendored": 90, ...}

A commit is chosen by its message (``labels.py``); only chosen commits are compared and parsed.
Everything that falls out is counted under a reason. Finding nothing is a result, not an error.
The order of the pairs depends only on the histories and the configuration.
"""

from __future__ import annotations

import re
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.digests import digest_json, short
from codetemper.core.records import Event, FixPair, OnEvent, ignore_events
from codetemper.data.alignment import modified
from codetemper.data.changes import changed_lines
from codetemper.data.functions import Extracted, Function, cosmetic, functions
from codetemper.data.history import Change, Commit, History
from codetemper.data.labels import Label, label
from codetemper.data.languages import SourceLanguage, language_of

#: Chosen commits compared by one git process; also the step of progress reports.
_BATCH = 64

#: Parsed files kept; the version before one commit is often the version after an older one.
_CACHED_FILES = 128

_NOT_PRODUCT = re.compile(
    r"(?:^|/)(?:tests?|testing|testsuite|unittests?|fuzz\w*|vendor(?:ed)?|third[-_]?party|3rdparty"
    r"|external|extern|node_modules|examples?|samples?|benchmarks?|doc|docs|generated)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_tests?|conftest|[^/]*_fuzz(?:er)?|[^/]*\.(?:pb|tab|yy))\.\w+$",
    re.IGNORECASE,
)


class MineConfig(BaseModel):
    """What counts as a fix worth learning from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    languages: tuple[SourceLanguage, ...] = ("c", "cpp", "python")
    """Languages to read, by file extension; ``.h`` counts as C."""
    min_score: int = Field(default=4, ge=1)
    """Points a message needs: a CVE or CWE id gives 10, clear security words 3 to 6."""
    max_functions_per_commit: int = Field(default=10, ge=1)
    """A commit that changes more functions than this mixes other work in and is dropped whole."""
    max_files_per_commit: int = Field(default=20, ge=1)
    """Likewise for source files."""
    max_file_bytes: int = Field(default=2_000_000, ge=1)
    """Larger files are not parsed."""
    max_function_chars: int = Field(default=60_000, ge=1)
    """Longer functions are dropped (generated tables, misread braces)."""
    keep_tests: bool = False
    """Keep changes under test, fuzzing, vendored, example and generated paths."""
    revision: str = "HEAD"
    """Branch, tag or hash whose history is read."""
    since: str = ""
    """Only commits younger than this date, in any form git reads."""
    until: str = ""
    """Only commits older than this date."""
    limit: int | None = Field(default=None, ge=1)
    """Read at most this many commits of each history, newest first."""


@dataclass(frozen=True)
class MineResult:
    """What came out of the histories.

    Attributes:
        pairs: one record for each modified function kept, newest commit first.
        commits_seen: commits whose message was read.
        commits_kept: commits that gave at least one pair.
        dropped: how many commits, files and functions fell out, by ``kind: reason``. The commits
            of all ``commit:`` reasons and ``commits_kept`` add up to ``commits_seen``.
        by_cwe: pairs by weakness; ``unknown`` where the message does not tell.
        notes: what was survived on the way: files that are not UTF-8 or do not parse cleanly.
        sources: where the histories come from, without credentials.
        seconds: wall seconds.
    """

    pairs: tuple[FixPair, ...]
    commits_seen: int
    commits_kept: int
    dropped: dict[str, int]
    by_cwe: dict[str, int]
    notes: dict[str, int]
    sources: tuple[str, ...]
    seconds: float


@dataclass
class _Tally:
    """Counters and memory of one mining run."""

    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    seen_pairs: set[str] = field(default_factory=set)
    covered: set[str] = field(default_factory=set)
    commits_seen: int = 0
    commits_kept: int = 0


def mine(
    repositories: Sequence[Path], config: MineConfig, *, on_event: OnEvent = ignore_events
) -> MineResult:
    """Read fix pairs out of local git histories.

    Args:
        repositories: top folders of git clones, working trees or bare.
        config: what to keep.
        on_event: called with ``Event(stage="mine", unit="commits")`` as commits are read.

    Returns:
        Pairs and counts; no pairs at all is a valid answer.

    Raises:
        UsageError: a folder is missing or no git repository, or the revision is not known.
    """
    begun = time.monotonic()
    tally = _Tally()
    pairs: list[FixPair] = []
    sources: list[str] = []
    for repository in repositories:
        with History(repository, max_file_bytes=config.max_file_bytes) as history:
            sources.append(history.origin())
            miner = _Miner(history, sources[-1], config, tally)
            pairs.extend(miner.pairs(on_event))
    by_cwe = Counter(pair.cwe or "unknown" for pair in pairs)
    return MineResult(
        pairs=tuple(pairs),
        commits_seen=tally.commits_seen,
        commits_kept=tally.commits_kept,
        dropped=dict(sorted(tally.dropped.items())),
        by_cwe=dict(sorted(by_cwe.items())),
        notes=dict(sorted(tally.notes.items())),
        sources=tuple(sources),
        seconds=time.monotonic() - begun,
    )


class _Miner:
    """One history on its way through the filters."""

    def __init__(self, history: History, source: str, config: MineConfig, tally: _Tally) -> None:
        self._history = history
        self._source = source
        self._config = config
        self._tally = tally
        self._parsed: OrderedDict[tuple[str, SourceLanguage], Extracted | None] = OrderedDict()

    def pairs(self, on_event: OnEvent) -> Iterator[FixPair]:
        config, tally = self._config, self._tally
        total = self._history.count(config.revision, since=config.since, until=config.until)
        total = min(total, config.limit) if config.limit else total
        already, found = tally.commits_seen, 0
        chosen = self._chosen()
        while batch := list(islice(chosen, _BATCH)):
            compared = self._history.changes([commit for commit, _ in batch])
            for commit, why in batch:
                for pair in self._commit(commit, why, compared[commit.hash]):
                    found += 1
                    yield pair
            on_event(_progress(tally.commits_seen - already, total, found))
        on_event(_progress(tally.commits_seen - already, total, found))

    def _chosen(self) -> Iterator[tuple[Commit, Label]]:
        """Yield the commits whose message speaks for a fix; count the rest."""
        config, tally = self._config, self._tally
        commits = self._history.commits(config.revision, since=config.since, until=config.until)
        for commit in islice(commits, config.limit):
            tally.commits_seen += 1
            why = label(commit.message)
            if why.score < config.min_score:
                tally.dropped["commit: no security reason in the message"] += 1
            elif why.revert:
                tally.dropped["commit: revert"] += 1
            elif not commit.parents:
                tally.dropped["commit: no parent to compare with"] += 1
            elif len(commit.parents) > 1 and not why.cves:
                tally.dropped["commit: merge that names no CVE"] += 1
            else:
                yield commit, why

    def _commit(
        self, commit: Commit, why: Label, changes: list[Change] | None
    ) -> Iterator[FixPair]:
        tally = self._tally
        if commit.hash in tally.covered:
            tally.dropped["commit: part of a merge that names the CVE"] += 1
            return
        if changes is None:
            tally.dropped["commit: objects are missing"] += 1
            return
        files = [c for c in changes if language_of(c.path) in self._config.languages]
        if not self._config.keep_tests:
            product = [c for c in files if not _NOT_PRODUCT.search(c.path)]
            tally.dropped["file: test, vendored or generated path"] += len(files) - len(product)
            tally.dropped += Counter()  # takes zero counts out
            files = product
        if not files:
            tally.dropped["commit: no source file modified"] += 1
            return
        if len(files) > self._config.max_files_per_commit:
            tally.dropped["commit: tangled, too many files"] += 1
            return
        pieces = [piece for change in files for piece in self._file(change)]
        if len(pieces) > self._config.max_functions_per_commit:
            tally.dropped["commit: tangled, too many functions"] += 1
            return
        pairs = list(self._records(commit, why, pieces))
        if not pairs:
            tally.dropped["commit: no function modified"] += 1
            return
        tally.commits_kept += 1
        if len(commit.parents) > 1:
            tally.covered.update(self._history.brought_in(commit))
        yield from pairs

    def _file(self, change: Change) -> list[tuple[Change, Function, Function]]:
        """Return the functions of one file that a commit modified in substance."""
        tally = self._tally
        language = language_of(change.path)
        if language is None:
            return []
        before, after = self._parse(change.before, language), self._parse(change.after, language)
        if before is None or after is None:
            tally.dropped["file: contents missing, binary or too large"] += 1
            return []
        kept = []
        for old, new in modified(before.functions, after.functions):
            if max(len(old.text), len(new.text)) > self._config.max_function_chars:
                tally.dropped["function: too long"] += 1
            elif cosmetic(old.text, new.text, language):
                tally.dropped["function: only white space or comments changed"] += 1
            else:
                kept.append((change, old, new))
        return kept

    def _parse(self, blob_id: str, language: SourceLanguage) -> Extracted | None:
        key = (blob_id, language)
        if key in self._parsed:
            self._parsed.move_to_end(key)
            return self._parsed[key]
        data = self._history.blob(blob_id)
        result = None
        if data is not None and b"\0" not in data:
            text = data.decode("utf-8", "replace")
            if "\ufffd" in text and "\ufffd".encode() not in data:
                self._tally.notes["files that are not UTF-8"] += 1
            text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
            result = functions(text, language)
            self._tally.notes["files parsed"] += 1
            if not result.clean:
                self._tally.notes["files with parse errors"] += 1
        self._parsed[key] = result
        if len(self._parsed) > _CACHED_FILES:
            self._parsed.popitem(last=False)
        return result

    def _records(
        self, commit: Commit, why: Label, pieces: Sequence[tuple[Change, Function, Function]]
    ) -> Iterator[FixPair]:
        names: Counter[tuple[str, str]] = Counter()
        for change, old, new in pieces:
            content = digest_json([old.text, new.text])
            if content in self._tally.seen_pairs:
                self._tally.dropped["function: duplicate"] += 1
                continue
            self._tally.seen_pairs.add(content)
            names[(change.path, new.name)] += 1
            place = [self._source, commit.hash, change.path, new.name]
            lines_before, lines_after = changed_lines(old.text, new.text)
            language = language_of(change.path)
            yield FixPair(
                id=short(digest_json([*place, names[(change.path, new.name)]])),
                language=language or "text",
                before=old.text,
                after=new.text,
                body_start=new.body_start,
                changed_lines_before=lines_before,
                changed_lines_after=lines_after,
                name=new.name,
                path=change.path,
                repository=self._source,
                commit=commit.hash,
                date=commit.date,
                message=commit.subject,
                cwe=why.cwe,
                cve=why.cves[0] if why.cves else None,
                evidence="; ".join([*why.reasons, *([why.evidence] if why.evidence else [])]),
            )


def _progress(done: int, total: int, found: int) -> Event:
    return Event(stage="mine", done=done, total=total, unit="commits", note=f"{found} pairs")
