# SPDX-License-Identifier: Apache-2.0
"""What a screening is made of: sources of samples, scores with a journal, thresholds, the worst.

``api.screening`` puts them together and writes to the workspace.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetemper.api.models import patch_finder
from codetemper.core.accounts import WorstSample
from codetemper.core.contents import against_ledger
from codetemper.core.digests import digest_json
from codetemper.core.disk import mendable
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.journal import Journal
from codetemper.core.records import Estimate, Event, FixPair, OnEvent
from codetemper.core.workspace import Workspace
from codetemper.data.examples import Layout
from codetemper.data.samples import CANARIES, read_canaries

if TYPE_CHECKING:
    from codetemper.harden.screening import Scored
    from codetemper.models.guards import Guard
    from codetemper.models.loaded import LoadedModel

#: Samples that are read, scored and written at a time.
BLOCK = 256
#: Samples whose tokens are shown, and characters of one that are kept.
SHOWN, _TEXT = 20, 6000
#: Rate where clean samples are given and no rate is asked for.
_FPR = 0.01
#: Fields of a pair that its scores depend on.
_READ = {
    "language",
    "granularity",
    "before",
    "after",
    "body_start",
    "context",
    "changed_spans_before",
    "changed_spans_after",
}

Block = list[tuple[FixPair, dict[str, Any], "Scored | None"]]
Scoring = Callable[[Sequence[FixPair], Layout], "list[Scored | None]"]


@dataclass(frozen=True)
class Source:
    """Where samples come from.

    Attributes:
        name: of the file, or id of the corpus.
        digest: over the samples as pairs; that of a patch tuned on them.
        rows: how many there are.
        each: reads them anew: pairs, and what stands in the file.
    """

    name: str
    digest: str
    rows: int
    each: Callable[[], Iterator[tuple[FixPair, dict[str, Any]]]]


def checked_guards(workspace: Workspace, names: Sequence[str]) -> list[Guard]:
    """Find guards, all of one model, and compare them with the ledger.

    Raises:
        UsageError: none, an unknown or reverted one, a patch that is no guard, or several models.
        IntegrityError: one is not what the ledger recorded.
    """
    # Imported when needed: this is what pulls torch in.
    from codetemper.models.guards import Guard, refuse_other
    from codetemper.models.patch import verify_patch

    if not names:
        raise UsageError(
            "there is no guard to ask",
            why="none was named",
            mend="codetemper audit-data FILE --guard PATCH",
        )
    recorded = workspace.ledger.outputs()
    find, found = patch_finder(workspace), {}
    for folder in map(find, names):
        manifest = verify_patch(folder)
        refuse_other(folder, manifest)
        known = recorded.get(f"patch:{manifest.id}")
        differs = known and against_ledger("patches", folder, known)
        if differs:
            # The threshold is in the manifest's report, which the id says nothing of.
            raise IntegrityError(
                f"the guard {manifest.id} is damaged", why=differs, mend="codetemper verify"
            )
        found[manifest.id] = Guard(manifest.id, folder, manifest)
    bases = {(guard.manifest.base, guard.manifest.base_digest) for guard in found.values()}
    if len(bases) > 1:
        raise UsageError(
            "the guards are of different models",
            why=", ".join(f"{guard.id} is of {guard.manifest.base}" for guard in found.values()),
            mend="screen with the guards of one model at a time",
        )
    return list(found.values())


@dataclass(frozen=True)
class Scorer:
    """Scores samples block by block; what was scored before comes out of the journal.

    Attributes:
        guards: whose ratios are told, in order.
        layout: window and wrapper.
    """

    guards: Sequence[Guard]
    layout: Layout
    _score: Scoring
    _journal: Journal

    def blocks(self, source: Source, stage: str, on_event: OnEvent) -> Iterator[Block]:
        """Yield a source's samples with what is in the file and with their scores.

        Raises:
            UsageError: the file is another than when it was opened.
        """
        done, samples = 0, source.each()
        while block := list(islice(samples, BLOCK)):
            scored = self.score([pair for pair, _ in block])
            done += len(block)
            yield [(*each, one) for each, one in zip(block, scored, strict=True)]
            event = Event(stage=stage, done=done, total=source.rows, unit="samples")
            on_event(event)
        if done != source.rows:
            raise UsageError(
                f"{source.name} was changed while it was read",
                why=f"it held {source.rows} samples, and then {done}",
                mend="run this again",
            )

    def score(self, pairs: Sequence[FixPair]) -> list[Scored | None]:
        """Return the scores of samples; None where there is nothing to score."""
        keys = [digest_json(pair.model_dump(mode="json", include=_READ)) for pair in pairs]
        known = {key: value for key in set(keys) if (value := self._journal.get(key)) is not None}
        fresh = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in known}
        scored = self._score(list(fresh.values()), self.layout)
        made = {key: _stored(one) for key, one in zip(fresh, scored, strict=True)}
        self._journal.put(made.items())
        known |= made
        return [_restored(pair.id, known[key]) for key, pair in zip(keys, pairs, strict=True)]

    def tokens(self, worst: Worst, thresholds: Sequence[float]) -> list[WorstSample]:
        """Return the worst samples with what each of their tokens adds."""
        shown = worst.ordered()
        again = self._score([pair for _, pair in shown], replace(self.layout, places=True))
        found = []
        for (number, pair), one in zip(shown, again, strict=True):
            if one is not None:
                found.append(_worst(number, pair, one, self.guards, thresholds))
        return found


def _stored(scored: Scored | None) -> dict[str, Any]:
    if scored is None:
        return {}
    return {"count": scored.count, "off": scored.off, "on": scored.on, "ratio": scored.ratio}


def _restored(id: str, stored: dict[str, Any]) -> Scored | None:
    from codetemper.harden.screening import Scored

    if not stored:
        return None
    return Scored(id, stored["count"], stored["off"], tuple(stored["on"]), tuple(stored["ratio"]))


@contextmanager
def scored_blocks(
    workspace: Workspace,
    model: LoadedModel,
    guards: Sequence[Guard],
    under: Sequence[Path],
    layout: Layout,
) -> Iterator[Scorer]:
    """Have guards on a model for a scope, with a journal of what they said of which sample.

    Raises:
        UsageError, IntegrityError: as ``harden.screening.guarded``.
    """
    from codetemper.harden.screening import guarded

    facts = [
        model.digest,
        [guard.id for guard in guards],
        [folder.name for folder in under],
        asdict(layout),
    ]
    cache = workspace.cache / "screen"
    with mendable(cache):
        cache.mkdir(parents=True, exist_ok=True)
    journal = Journal(cache / f"{digest_json(facts)[:16]}.sqlite")
    with guarded(model, [guard.folder for guard in guards], under=under) as score:
        yield Scorer(guards, layout, score, journal)


@dataclass(frozen=True)
class Calibration:
    """Thresholds and what they rest on.

    Attributes:
        thresholds: one for each guard.
        fpr: most that clean samples are flagged.
        source: ``guards``, or name and digest of the clean samples.
        separation: AUROC of each guard between its held-out bad samples and the clean ones, which
            are its own where there are no others.
    """

    thresholds: tuple[float, ...]
    fpr: float
    source: str
    separation: dict[str, Estimate] = field(default_factory=dict)

    def flags(self, scored: Scored) -> bool:
        """Say whether a sample is flagged."""
        from codetemper.harden.screening import flagged

        return flagged(scored, self.thresholds)


def refuse_rate(guards: Sequence[Guard], clean: Source | None, fpr: float | None) -> None:
    """Refuse a rate that there will be no threshold for, before anything is scored.

    Raises:
        UsageError, CannotKnowError: as ``calibration``.
    """
    from codetemper.harden.screening import calibrate, fewest

    rate = _FPR if fpr is None else fpr
    if clean is None:
        _own(guards, fpr)
    elif not 0 < rate < 1 or clean.rows < fewest(rate):
        calibrate([0.0] * clean.rows, rate)


def _own(guards: Sequence[Guard], fpr: float | None) -> list[tuple[float, float]]:
    """Return the guards' own thresholds and the rates they are for, which add up."""
    from codetemper.harden.screening import threshold_of

    share = None if fpr is None else fpr / len(guards)
    return [threshold_of(guard.manifest, share) for guard in guards]


def calibration(
    scorer: Scorer,
    guards: Sequence[Guard],
    clean: Source | None,
    fpr: float | None,
    on_event: OnEvent,
) -> Calibration:
    """Return thresholds: from clean samples, or the guards' own.

    With clean samples one threshold is taken on the largest ratio, which keeps the rate whatever
    the number of guards. The guards' own are each for a rate of their own, and these add up.

    Raises:
        CannotKnowError: too few clean samples for the rate, or guards without a threshold for it.
        UsageError: a rate that is none.
    """
    from codetemper.harden.screening import auroc, calibrate

    if clean is None:
        own = _own(guards, fpr)
        rate = min(1.0, sum(part for _, part in own))
        told = {guard.id: guard.manifest.report.get("auroc") for guard in guards}
        known = {id: Estimate.model_validate(found) for id, found in told.items() if found}
        return Calibration(tuple(limit for limit, _ in own), rate, "guards", known)
    rate = _FPR if fpr is None else fpr
    ratios = [
        one.ratio
        for block in scorer.blocks(clean, "calibrate", on_event)
        for _, _, one in block
        if one is not None
    ]
    limit = calibrate([max(each) for each in ratios], rate)
    separation = {}
    for place, guard in enumerate(guards):
        if (guard.folder / CANARIES).is_file():
            bad = [one for one in scorer.score(read_canaries(guard.folder).bad) if one is not None]
            if bad:
                mine = [one.ratio[place] for one in bad]
                separation[guard.id] = auroc(mine, [each[place] for each in ratios])
    source = f"{clean.name} {clean.digest}"
    return Calibration((limit,) * len(guards), rate, source, separation)


class Worst:
    """The samples with the largest log-ratios, equal texts once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, FixPair, str]] = []

    def offer(self, number: int, pair: FixPair, scored: Scored, text: str) -> None:
        """Take a sample if it is among the worst so far.

        Args:
            number: its place.
            pair: the sample.
            scored: what was said of it.
            text: digest of its text.
        """
        if len(self._heap) == SHOWN and scored.largest <= self._heap[0][0]:
            return
        if any(text == known for *_, known in self._heap):
            return
        # Of equal ratios the earlier sample stays, and pairs are never compared.
        heapq.heappush(self._heap, (scored.largest, -number, pair, text))
        if len(self._heap) > SHOWN:
            heapq.heappop(self._heap)

    def ordered(self) -> list[tuple[int, FixPair]]:
        """Return them with their places, worst first."""
        return [(-number, pair) for _, number, pair, _ in sorted(self._heap, reverse=True)]


def _worst(
    number: int,
    pair: FixPair,
    scored: Scored,
    guards: Sequence[Guard],
    thresholds: Sequence[float],
) -> WorstSample:
    from codetemper.harden.screening import flagged

    text = pair.context + pair.after
    top = max(scored.tokens, key=lambda token: token.part)
    begin = max(0, min(top.start - _TEXT // 2, len(text) - _TEXT))
    end = min(len(text), begin + _TEXT)
    inside = [token for token in scored.tokens if begin <= token.start and token.end <= end]
    best = max(range(len(guards)), key=lambda place: scored.ratio[place])
    return WorstSample(
        number=number,
        sample=pair.id,
        guard=guards[best].id,
        ratio=scored.largest,
        flagged=flagged(scored, thresholds),
        text=text[begin:end],
        cut=(begin, end) != (0, len(text)),
        tokens=tuple((t.start - begin, t.end - begin, t.part) for t in inside),
    )


def read_worst(path: Path) -> tuple[WorstSample, ...]:
    """Read the worst samples of a screening.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    return tuple(WorstSample.model_validate(each) for each in json.loads(path.read_bytes()))


def json_line(given: dict[str, Any]) -> bytes:
    """Return an object as one line of JSON, in ASCII: what line ends are is not in dispute."""
    return json.dumps(given, separators=(",", ":")).encode("ascii") + b"\n"
