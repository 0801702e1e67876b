# SPDX-License-Identifier: Apache-2.0
"""Which commits of a history are candidates for a fix, in order, and why the others are not.

    plan = Plan(history, config)                    # messages choose
    plan = Plan(history, config, listed)            # a list chooses
    for candidate in plan.candidates(): ...
    plan.dropped, plan.notes, plan.seen

One pass from the youngest commit to the oldest, nothing kept but what later commits need: merges
that name a CVE are met before the commits they brought in, reverts before what they take back.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice

from codetemper.data.choice import Candidate, MineConfig, candidate
from codetemper.data.history import Commit, History
from codetemper.data.labels import Label, label
from codetemper.data.sources import Listed

#: Longer messages are lists of changes; their beginning says what the commit is.
_MESSAGE_CHARS = 4_000
#: Digits that an abbreviated hash has at least.
_ABBREVIATED = 7

_BY_HASH = re.compile(r"This reverts commit ([0-9a-f]{7,64})", re.IGNORECASE)
_BY_SUBJECT = re.compile(r'\s*Revert "(.*)"\s*(?:\n|$)', re.IGNORECASE)


class Reverts:
    """What has been taken back, told while commits are met from the youngest on."""

    def __init__(self) -> None:
        self._hashes: dict[str, set[str]] = defaultdict(set)
        self._subjects: Counter[str] = Counter()

    def note(self, commit: Commit) -> None:
        """Remember what a commit takes back, unless it has been taken back itself."""
        if "revert" not in commit.message.lower() or self.hold(commit):
            return
        hashes = _BY_HASH.findall(commit.message)
        for name in hashes:
            self._hashes[name[:_ABBREVIATED].lower()].add(name.lower())
        if not hashes and (subject := _BY_SUBJECT.match(commit.message)):
            self._subjects[subject[1]] += 1

    def hold(self, commit: Commit) -> bool:
        """Tell, once for each commit, whether a younger commit took it back."""
        names = self._hashes.get(commit.hash[:_ABBREVIATED], ())
        if any(commit.hash.startswith(name) for name in names):
            return True
        by_subject = self._subjects[commit.subject] > 0
        self._subjects.subtract([commit.subject] if by_subject else [])
        return by_subject


class Plan:
    """The candidates of one history.

    Attributes:
        seen: commits looked at so far.
        dropped: commits that are no candidates, by reason.
        notes: what was survived.
    """

    def __init__(
        self, history: History, config: MineConfig, listed: Mapping[str, Listed] | None = None
    ) -> None:
        """Plan a history.

        Args:
            history: an open history.
            config: what counts as a fix.
            listed: what lists say of commits, by their full hashes; None where messages choose.
        """
        self._history = history
        self._config = config
        self._listed = listed
        self._cut = history.cut()
        self._reverts = Reverts()
        self._merged: dict[str, tuple[str, Label, Listed | None]] = {}
        self.seen = 0
        self.dropped: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()

    def count(self) -> int | None:
        """Return how many commits there are to look at, where that can be told beforehand."""
        config = self._config
        if self._listed is not None:
            return len(self._listed)
        total = self._history.count(config.revision, since=config.since, until=config.until)
        return total if total is None or config.limit is None else min(total, config.limit)

    def candidates(self) -> Iterator[Candidate]:
        """Yield the commits worth a look, the youngest first, and count the rest.

        Raises:
            UsageError: the repository does not know the revision.
        """
        for commit in islice(self._commits(), self._config.limit):
            self.seen += 1
            found = self._look(commit)
            if isinstance(found, str):
                self.dropped[found] += 1
            else:
                yield found
        if self._history.broken:
            self.notes["histories that end at a missing commit"] += 1

    def _commits(self) -> Iterator[Commit]:
        config, history = self._config, self._history
        if self._listed is None:
            yield from history.commits(config.revision, since=config.since, until=config.until)
            return
        for commit in history.reverts(config.revision):
            self._reverts.note(commit)
        yield from history.named(self._listed)
        # What listed merges brought in and no list names itself.
        yield from history.named([name for name in self._merged if name not in self._listed])

    def _look(self, commit: Commit) -> Candidate | str:
        """Return a candidate, or why the commit is none."""
        self._reverts.note(commit)
        said = label(commit.message)
        listed = (self._listed or {}).get(commit.hash)
        merge = self._merged.pop(commit.hash, None)
        if merge is not None:
            listed = listed or merge[2]
        if listed is None and merge is None and said.score < self._config.min_score:
            return "commit: no security reason in the message"
        if listed is None and said.revert:
            return "commit: revert"
        if listed is None and merge is not None and said.score < 0:
            return "commit: part of a merge that fixes, and speaks of other work"
        if self._reverts.hold(commit):
            return "commit: reverted later"
        if not commit.parents:
            shallow = commit.hash in self._cut
            return ("commit: where a shallow clone was cut off" if shallow
                    else "commit: no parent to compare with")  # fmt: skip
        if len(commit.parents) > 1:
            return self._expand(commit, said, listed)
        brief = replace(commit, message=commit.message[:_MESSAGE_CHARS])
        return candidate(brief, said, listed, merge[:2] if merge is not None else None)

    def _expand(self, merge: Commit, said: Label, listed: Listed | None) -> str:
        """Give the commits that a fixing merge brought in its label; return what becomes of it."""
        if listed is None and not said.cves:
            return "commit: merge that names no CVE"
        members = self._history.brought_in(merge)
        if len(members) > self._config.max_commits_per_merge:
            return "commit: merge that brings in more than one fix"
        for name in members:
            self._merged.setdefault(name, (merge.hash, said, listed))
        if self._history.resolved_by_hand(merge):
            self.notes["merges with lines of their own, which are not mined"] += 1
        return "commit: merge, whose commits are looked at one by one"
