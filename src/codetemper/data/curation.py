# SPDX-License-Identifier: Apache-2.0
"""From mined pairs to a corpus: copies out, evaluation cases out, splits in, and what it holds.

    curated = curate(result.pairs, CurationConfig(), cases)
    curated.pairs          # re-iterable; reads the source again, so texts are never all in memory
    curated.dropped        # {"pair: near-duplicate": 31, "pair: text of an evaluation case": 2}
    curated.counts         # for the corpus's card: cwe, language, licence, split, quality, ...
    curated.account()      # who was dropped for whom, as JSON data

The order is fixed: duplicates first (else many copies of a case would look like boilerplate), then
contamination, then splits. The result depends on the pairs, the cases and the configuration alone.
Each step's own module says what it does; nothing here mines or writes.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from codetemper.core.errors import UsageError
from codetemper.core.records import Event, FixPair, OnEvent, ignore_events
from codetemper.data.contamination import CaseText, ContaminationScan, Hit
from codetemper.data.duplicates import Copy, DuplicateFinder, groups, timestamp
from codetemper.data.splits import Shares, Split, by_date, by_repository, mend

#: Pairs between two reports of progress.
_STEP = 200

#: Aspects whose largest counts come first; the others have an order of their own.
_BY_SIZE = frozenset({"evidence", "licence", "repository"})

#: Kinds of evidence, by how the reasons for them begin.
_EVIDENCE = (
    ("CVE id", ("CVE-",)),
    ("CWE id", ("CWE-",)),
    ("list", ("listed",)),
    ("merge", ("merge",)),
    ("words of the message", ('"', "message says")),
    ("advisory", ("GHSA", "RHSA", "RHBA", "DSA-", "DLA-", "USN-", "PYSEC", "OSV-", "XSA-", "ZDI-")),
)


class CurationConfig(BaseModel):
    """What may stay in a corpus, and how it is split."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    near_duplicates: float = Field(default=0.8, gt=0, le=1)
    """Jaccard index of fixed side and of change from which two pairs are copies of each other."""
    leak_tokens: int = Field(default=13, ge=5)
    """Tokens of an n-gram in the search for texts of evaluation cases."""
    leak_share: float = Field(default=0.5, gt=0, le=1)
    """Share of n-grams in common from which a pair holds a case."""
    split: Literal["repository", "date", "none"] = "repository"
    """What keeps training, validation and test apart; ``none``: all pairs are for training."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    """Pairs for validation, as a share of all."""
    test_share: float = Field(default=0.1, ge=0, lt=1)
    """Pairs for the test, as a share of all."""
    test_since: str = ""
    """With ``split=date``: pairs from this day on (ISO 8601) are the test, however many."""
    split_seed: int = 0
    """Another seed takes other repositories for validation and test."""


@dataclass(frozen=True)
class Curated:
    """A corpus to be, and the account of it.

    Attributes:
        pairs: those that stay, with their split; can be iterated over again, reads the source.
        dropped: how many pairs fell out, by ``pair: reason``.
        counts: pairs by aspect, for the card: ``cwe``, ``language``, ``granularity``, ``licence``,
            ``split``, ``quality`` (in tenths), ``evidence``, ``repository``, ``year``,
            ``duplicates`` and ``contaminated`` (by suite).
        copies: by id of the pair dropped, the id of the one that stays, and how they are alike.
        hits: by id of the pair dropped, the case that it holds.
    """

    pairs: KeptPairs
    dropped: dict[str, int]
    counts: dict[str, dict[str, int]]
    copies: dict[str, tuple[str, Copy]] = field(repr=False)
    hits: tuple[tuple[str, Hit], ...] = field(repr=False)

    def account(self) -> dict[str, Any]:
        """Return, as plain JSON data, which pair was dropped for which pair or case."""
        return {
            "duplicates": [
                {"pair": pair, "of": of, "likeness": round(copy.likeness, 4), "exact": copy.exact}
                for pair, (of, copy) in self.copies.items()
            ],
            "contaminated": [
                {"pair": pair, "suite": hit.suite, "case": hit.case, "share": round(hit.share, 4),
                 "renamed": hit.renamed}
                for pair, hit in self.hits
            ],
        }  # fmt: skip


class KeptPairs(Iterable[FixPair]):
    """The pairs of a source that stay, each with its split; iterates as often as asked."""

    def __init__(self, source: Sequence[FixPair], splits: Sequence[Split | None]) -> None:
        self._source = source
        self._splits = splits

    def __len__(self) -> int:
        """Pairs that stay."""
        return sum(split is not None for split in self._splits)

    def __iter__(self) -> Iterator[FixPair]:
        """Read them from the source, in its order."""
        for at, split in enumerate(self._splits):
            if split is not None:
                yield self._source[at].model_copy(update={"split": split})


@dataclass(frozen=True, slots=True)
class _Facts:
    """What must be known of a pair after its text is let go."""

    id: str
    repository: str
    commit: str
    cve: str | None
    date: str


def curate(
    pairs: Sequence[FixPair],
    config: CurationConfig,
    cases: Sequence[CaseText] = (),
    *,
    on_event: OnEvent = ignore_events,
) -> Curated:
    """Drop copies and contaminated pairs, split the rest, and count what there is.

    Args:
        pairs: mined pairs; read one at a time, twice, and once more with each iteration over
            ``Curated.pairs``.
        config: settings.
        cases: texts of the evaluation cases that no pair may hold.
        on_event: called with ``Event(stage="curate", unit="pairs")``.

    Raises:
        UsageError: ``test_since`` is no date, or the shares leave nothing for training.
    """
    _check(config)
    facts: list[_Facts] = []
    scan = ContaminationScan(cases, tokens=config.leak_tokens, least_share=config.leak_share)
    with DuplicateFinder(config.near_duplicates) as finder:
        for pair in _counted(pairs, "read", on_event):
            finder.add(pair)
            scan.add(pair)
            facts.append(_Facts(pair.id, pair.repository, pair.commit, pair.cve, pair.date))
        duplicates = finder.find()
    left = [at for at in range(len(facts)) if at not in duplicates.copies]
    hits = scan.hits(keep=left)
    leaks = {hit.position: hit for hit in sorted(hits, key=lambda hit: (-hit.renamed, hit.share))}
    left = [at for at in left if at not in leaks]
    splits = _split(facts, left, duplicates.kin, config)
    kept = KeptPairs(pairs, splits)
    dropped = Counter(
        "pair: duplicate" if copy.exact else "pair: near-duplicate"
        for copy in duplicates.copies.values()
    )
    dropped.update(
        "pair: renamed text of an evaluation case" if hit.renamed else
        "pair: text of an evaluation case"
        for hit in leaks.values()
    )  # fmt: skip
    dropped["pair: belongs to pairs of another split"] = sum(splits[at] is None for at in left)
    counts = _counts(_counted(kept, "count", on_event))
    counts["duplicates"] = {
        "clusters": len({copy.of for copy in duplicates.copies.values()}),
        "exact": sum(copy.exact for copy in duplicates.copies.values()),
        "near": sum(not copy.exact for copy in duplicates.copies.values()),
    }
    counts["contaminated"] = dict(sorted(Counter(hit.suite for hit in hits).items()))
    return Curated(
        kept,
        dict(sorted((+dropped).items())),
        counts,
        {facts[at].id: (facts[copy.of].id, copy) for at, copy in duplicates.copies.items()},
        tuple((facts[hit.position].id, hit) for hit in hits),
    )


def _check(config: CurationConfig) -> None:
    if config.test_since and timestamp(config.test_since) == math.inf:
        raise UsageError(
            f"test_since='{config.test_since}' is no date",
            why="it is not ISO 8601",
            mend="write it as in -o test_since=2023-01-31",
        )
    if config.test_since and config.split != "date":
        raise UsageError(
            "test_since is given, but pairs are not split by date",
            why=f"split={config.split}",
            mend="add -o split=date, or leave test_since out",
        )
    if config.validation_share + config.test_share >= 1:
        raise UsageError(
            "nothing would be left for training",
            why=f"validation_share={config.validation_share:g}, test_share={config.test_share:g}",
            mend="ask for shares that sum to less than 1",
        )


def _counted(pairs: Any, note: str, on_event: OnEvent) -> Iterator[FixPair]:
    total = len(pairs)
    for done, pair in enumerate(pairs):
        if done % _STEP == 0:
            on_event(Event(stage="curate", done=done, total=total, unit="pairs", note=note))
        yield pair
    on_event(Event(stage="curate", done=total, total=total, unit="pairs", note=note))


def _split(
    facts: Sequence[_Facts],
    left: Sequence[int],
    kin: Sequence[Sequence[int]],
    config: CurationConfig,
) -> list[Split | None]:
    """Return the split of every pair of the source, None where it does not stay."""
    splits: list[Split | None] = [None] * len(facts)
    shares = Shares(config.validation_share, config.test_share)
    if config.split == "repository":
        names = [facts[at].repository for at in left]
        found = by_repository(names, shares, seed=config.split_seed)
    elif config.split == "date":
        found = by_date([facts[at].date for at in left], shares, test_since=config.test_since)
    else:
        found = ["train"] * len(left)
    places = {at: place for place, at in enumerate(left)}
    links: list[tuple[int, int]] = []
    for group in kin:
        links.extend(itertools.pairwise(places[at] for at in group if at in places))
    first: dict[tuple[str, str], int] = {}
    for place, at in enumerate(left):
        for key in (("commit", facts[at].commit), ("cve", facts[at].cve or "")):
            if key[1]:
                links.append((first.setdefault(key, place), place))
    for at, split in zip(left, mend(found, groups(links)), strict=True):
        splits[at] = split
    return splits


def _counts(pairs: Iterator[FixPair]) -> dict[str, dict[str, int]]:
    aspects: dict[str, Counter[str]] = {
        name: Counter()
        for name in ("cwe", "language", "granularity", "licence", "split", "quality", "evidence",
                     "repository", "year")
    }  # fmt: skip
    for pair in pairs:
        aspects["cwe"][pair.cwe or "unknown"] += 1
        aspects["language"][pair.language] += 1
        aspects["granularity"][pair.granularity] += 1
        aspects["licence"][pair.licence or "unknown"] += 1
        aspects["split"][pair.split] += 1
        aspects["quality"][_tenth(pair.quality)] += 1
        aspects["evidence"].update(set(_kinds(pair)))
        aspects["repository"][pair.repository] += 1
        aspects["year"][pair.date[:4] or "unknown"] += 1
    return {
        name: dict(
            sorted(
                counter.items(), key=(lambda one: (-one[1], one[0])) if name in _BY_SIZE else None
            )
        )
        for name, counter in aspects.items()
    }


def _tenth(quality: float | None) -> str:
    """Return the tenth of the scale that a quality lies in."""
    if quality is None:
        return "not scored"
    low = min(9, int(quality * 10))
    return f"{low / 10:.1f}-{(low + 1) / 10:.1f}"


def _kinds(pair: FixPair) -> Iterator[str]:
    """Yield what kinds of evidence a pair has, told from how mining words its reasons."""
    reasons = [reason.strip() for reason in pair.evidence.split(";") if reason.strip()]
    for kind, begins in _EVIDENCE:
        if any(reason.startswith(begins) for reason in reasons):
            yield kind
    if not reasons:
        yield "none"
