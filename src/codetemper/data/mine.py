# SPDX-License-Identifier: Apache-2.0
"""From histories, lists and patch files to one stream of fix pairs, on disk as they come.

    result = mine(Sources((Path("libexpat"),)), MineConfig(), folder)
    result.pairs        # a sequence of FixPair that lies in the folder's journal
    result.dropped      # {"commit: revert": 12, "file: test, vendored or generated path": 90, ...}

``plan.py`` says which commits are candidates, ``harvest.py`` cuts them into pairs batch by batch,
``crew.py`` does that in several processes. Each batch's pairs and counts go into the journal in one
step: a killed run loses the batches under way, and the same call goes on after the last one.
Fixes that make the same change as another (back-ports, cherry-picks) count once, the youngest.
Everything that falls out is counted under a reason. Finding nothing is a result, not an error.
The pairs and their order depend only on the sources and the configuration. Likeness of pairs,
overlap with suites and splits are judged later, over the whole corpus (``curation.py``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, overload

from filelock import FileLock, Timeout

from codetemper import __version__
from codetemper.core.digests import digest_file, digest_json, short
from codetemper.core.errors import UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import Event, FixPair, OnEvent, ignore_events
from codetemper.data.choice import MineConfig
from codetemper.data.crew import Batch, harvests
from codetemper.data.harvest import Harvest
from codetemper.data.history import History
from codetemper.data.patches import harvest_patches, patch_files
from codetemper.data.plan import Plan
from codetemper.data.sources import Listed, Listing, matching, read_list

__all__ = ["MineConfig", "MineResult", "Sources", "mine"]

#: Candidates cut by one process at a time: what ``kill -9`` loses, and the step of progress.
_BATCH = 64


@dataclass(frozen=True)
class Sources:
    """Where fixes are looked for.

    Attributes:
        repositories: top folders of git clones, working trees or bare.
        lists: lists of fixing commits; with any, they choose the commits, else messages do.
        patches: folders of patch files.
    """

    repositories: tuple[Path, ...] = ()
    lists: tuple[Path, ...] = ()
    patches: tuple[Path, ...] = ()


class Pairs(Sequence[FixPair]):
    """Mined pairs that lie on the disk; each is read when it is asked for."""

    def __init__(self, journal: Journal, count: int) -> None:
        self._journal = journal
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> FixPair: ...

    @overload
    def __getitem__(self, index: slice) -> list[FixPair]: ...

    def __getitem__(self, index: int | slice) -> FixPair | list[FixPair]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        place = range(self._count)[index]
        return FixPair.model_validate(self._journal.get(_place(place)))


@dataclass(frozen=True)
class MineResult:
    """What came out of the sources.

    Attributes:
        pairs: one record for each piece kept, source by source, the youngest commit first.
        granularities: how many pairs there are of each.
        commits_seen: commits whose message was read, and patch files.
        commits_kept: those that gave at least one pair.
        dropped: how many commits, files, functions, hunks and rows of lists fell out, by
            ``kind: reason``. The commits of all ``commit:`` reasons and ``commits_kept`` add up to
            ``commits_seen``.
        by_cwe: pairs by weakness; ``unknown`` where nothing tells.
        notes: what was survived on the way: files that are not UTF-8 or do not parse cleanly.
        sources: where the pairs come from, without credentials.
        seconds: wall seconds of this call; a resumed run's earlier ones are not known.
    """

    pairs: Sequence[FixPair]
    granularities: dict[str, int]
    commits_seen: int
    commits_kept: int
    dropped: dict[str, int]
    by_cwe: dict[str, int]
    notes: dict[str, int]
    sources: tuple[str, ...]
    seconds: float


def mine(
    sources: Sources,
    config: MineConfig,
    folder: Path,
    *,
    processes: int = 1,
    on_event: OnEvent = ignore_events,
) -> MineResult:
    """Read fix pairs out of histories and patch files.

    Args:
        sources: where to look.
        config: what to keep.
        folder: an existing folder for the journal; a call with the same sources and configuration
            goes on from it. ``result.pairs`` is read from it.
        processes: how many work at a time; the result does not depend on it.
        on_event: called with ``Event(stage="mine", unit="commits")`` as batches are done.

    Returns:
        Pairs and counts; no pairs at all is a valid answer.

    Raises:
        UsageError: a source is missing or is not what it was given as, the revision is not known,
            or another process mines the same at this moment.
        CannotKnowError: a worker was killed.
    """
    begun = time.monotonic()
    listings = [read_list(path) for path in sources.lists]
    with _Opened(sources.repositories, config) as opened:
        listed, dropped = opened.told(listings)
        key = opened.key(listings, sources.patches)
        journal = folder / f"mine-{key}.sqlite"
        try:
            with FileLock(journal.with_suffix(".lock"), timeout=0):
                run = _Run(Journal(journal), on_event)
                run.state.dropped.update(dropped)
                for listing in listings:
                    run.state.dropped.update(listing.dropped)
                for n, history in enumerate(opened.histories):
                    plan = Plan(history, config, listed[n] if listings else None)
                    run.history(sources.repositories[n], config, plan, n, processes)
                for n, patches in enumerate(sources.patches):
                    run.patches(patches, config, n)
        except Timeout as error:
            raise UsageError(
                "the same sources are being mined already",
                why=f"another process holds {journal.with_suffix('.lock')}",
                mend="wait for it to end; its corpus will be this one",
            ) from error
    names = (*opened.origins, *(f"list:{x.name}" for x in listings),
             *(f"patches:{p.resolve().name}" for p in sources.patches))  # fmt: skip
    return run.result(names, time.monotonic() - begun)


class _Opened:
    """The histories of a run, open for planning; a context manager."""

    def __init__(self, repositories: Sequence[Path], config: MineConfig) -> None:
        self._config = config
        self._folders = [path.resolve() for path in repositories]
        self.histories: list[History] = []
        for path in repositories:
            self.histories.append(History(path, max_file_bytes=config.max_file_bytes))
        self.origins = [history.origin() for history in self.histories]

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        for history in self.histories:
            history.close()

    def key(self, listings: Sequence[Listing], patches: Sequence[Path]) -> str:
        """Return the name of a run: everything that its pairs depend on, in short form."""
        tips = [history.tip(self._config.revision) for history in self.histories]
        facts = {
            "version": __version__,
            "config": self._config.model_dump(mode="json"),
            "repositories": [
                [str(folder), origin, tip]
                for folder, origin, tip in zip(self._folders, self.origins, tips, strict=True)
            ],
            "lists": [[asdict(entry) for entry in listing.entries] for listing in listings],
            "patches": [
                [path.resolve().name, [digest_file(file) for file in patch_files(path)]]
                for path in patches
            ],
        }
        return short(digest_json(facts))

    def told(self, listings: Sequence[Listing]) -> tuple[list[dict[str, Listed]], Counter[str]]:
        """Return what lists say of the commits of each history, and which entries have none."""
        entries = [entry for listing in listings for entry in listing.entries]
        clones = {
            str(n): (origin, folder.parent.name if folder.name == ".git" else folder.name)
            for n, (origin, folder) in enumerate(zip(self.origins, self._folders, strict=True))
        }
        clone_of = matching({entry.repository for entry in entries}, clones)
        dropped: Counter[str] = Counter()
        here: list[dict[str, Listed]] = [{} for _ in self.histories]
        for n, history in enumerate(self.histories):
            mine = [e for e in entries if clone_of.get(e.repository) == str(n)]
            hashes = history.resolve(dict.fromkeys(entry.commit for entry in mine))
            for entry in mine:
                full = hashes.get(entry.commit)
                if full is None:
                    dropped["list: commit that its clone does not have"] += 1
                elif full in here[n]:
                    dropped["list: commit listed more than once"] += 1
                else:
                    here[n][full] = entry
        if strangers := sum(entry.repository not in clone_of for entry in entries):
            dropped["list: repository without a clone among those given"] += strangers
        return here, dropped


@dataclass
class _State:
    """Counts of a run so far."""

    pairs: int = 0
    seen: int = 0
    kept: int = 0
    granularities: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    by_cwe: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    patch_ids: set[str] = field(default_factory=set)


class _Run:
    """A run and its journal."""

    def __init__(self, journal: Journal, on_event: OnEvent) -> None:
        self._journal = journal
        self._on_event = on_event
        self.state = _State()

    def history(
        self, repository: Path, config: MineConfig, plan: Plan, number: int, processes: int
    ) -> None:
        """Mine one history, going on after the last batch that the journal has."""
        total = plan.count()
        batches = _batches(plan, number)
        fresh: Batch | None = None
        for batch in batches:
            known = self._journal.get(batch.key)
            if known is None:
                fresh = batch
                break
            self._apply(known)
        rest = iter(()) if fresh is None else _chained(fresh, batches)
        for batch, harvest in harvests(repository, config, rest, processes):
            self._take(batch.key, harvest)
            self._tell(batch.seen, total)
        self.state.seen += plan.seen
        self.state.dropped.update(plan.dropped)
        self.state.notes.update(plan.notes)
        self._tell(plan.seen, total)

    def patches(self, folder: Path, config: MineConfig, number: int) -> None:
        """Mine a folder of patch files; each counts as a commit."""
        files = patch_files(folder)
        for begin in range(0, len(files), _BATCH):
            key = f"patches:{number}:{begin}"
            known = self._journal.get(key)
            if known is None:
                harvest = harvest_patches(folder, files[begin : begin + _BATCH], config)
                known = self._take(key, harvest)
            else:
                self._apply(known)
            self.state.seen += known["outcomes"]
            self._tell(min(begin + _BATCH, len(files)), len(files))

    def _take(self, key: str, harvest: Harvest) -> Mapping[str, Any]:
        """Write a batch's pairs and counts in one step; return the counts."""
        dropped, patch_ids = Counter(harvest.dropped), set[str]()
        kept: list[Mapping[str, Any]] = []
        commits = 0
        for outcome in harvest.outcomes:
            if outcome.reason:
                dropped[outcome.reason] += 1
            elif outcome.patch_id and outcome.patch_id in self.state.patch_ids | patch_ids:
                dropped["commit: the same change as a younger one (back-port, cherry-pick)"] += 1
            else:
                patch_ids |= {outcome.patch_id} - {""}
                kept.extend(outcome.pairs)
                commits += 1
        entry = {
            "outcomes": len(harvest.outcomes),
            "pairs": len(kept),
            "kept": commits,
            "granularities": Counter(pair["granularity"] for pair in kept),
            "dropped": dropped,
            "by_cwe": Counter(pair["cwe"] or "unknown" for pair in kept),
            "notes": harvest.notes,
            "patch_ids": sorted(patch_ids),
        }
        rows = [(_place(self.state.pairs + i), pair) for i, pair in enumerate(kept)]
        self._journal.put([*rows, (key, entry)])
        self._apply(entry)
        return entry

    def _apply(self, entry: Mapping[str, Any]) -> None:
        state = self.state
        state.pairs += entry["pairs"]
        state.kept += entry["kept"]
        for name in ("granularities", "dropped", "by_cwe", "notes"):
            getattr(state, name).update(entry[name])
        state.patch_ids.update(entry["patch_ids"])

    def _tell(self, done: int, total: int | None) -> None:
        note = f"{self.state.pairs} pairs"
        self._on_event(Event(stage="mine", done=done, total=total, unit="commits", note=note))

    def result(self, sources: tuple[str, ...], seconds: float) -> MineResult:
        """Return what there is; ``dropped`` without reasons that dropped nothing."""
        state = self.state
        return MineResult(
            pairs=Pairs(self._journal, state.pairs),
            granularities=dict(sorted(state.granularities.items())),
            commits_seen=state.seen,
            commits_kept=state.kept,
            dropped=dict(sorted((+state.dropped).items())),
            by_cwe=dict(sorted(state.by_cwe.items())),
            notes=dict(sorted(state.notes.items())),
            sources=sources,
            seconds=seconds,
        )


def _place(number: int) -> str:
    return f"pair:{number}"


def _batches(plan: Plan, number: int) -> Iterator[Batch]:
    candidates = plan.candidates()
    part = 0
    while chosen := tuple(islice(candidates, _BATCH)):
        yield Batch(f"history:{number}:{part}", plan.seen, chosen)
        part += 1


def _chained(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest
