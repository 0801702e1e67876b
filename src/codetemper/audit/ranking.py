# SPDX-License-Identifier: Apache-2.0
r"""Every detector at every place, and one order of the samples out of all of them.

    found = rank(features, labels, config, folder=folder, trusted=known, trusted_labels=theirs)
    found.scores, found.p, found.suspected     # by sample
    found.views(holders)                       # by view, as records

A *view* is a detector at a place. Within a class its scores become ranks between 0 and 1, so that
views need no common scale and no class is stranger than another. The fixed rule that combines them:

1. the views of the decision token, or of the last token where a stack has none, above the
   embeddings, are averaged as normal scores :math:`\Phi^{-1}(r)`; a poisoned model carries the
   trigger to that token, while pooling over all tokens shows it in any model;
2. views from elsewhere (likelihoods) stand beside that average, each as a rank, and a sample counts
   with the largest of them: what one of them sees plainly the others need not see.

Trusted samples are split by a seeded draw: detectors are fitted to one part, and the other part is
ranked together with the samples, so that it can say how strange clean samples get. A class with too
few trusted samples for that is fitted to itself. Nothing here knows which samples are poisoned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from codetemper.audit import Config
from codetemper.audit._spool import mapped
from codetemper.audit.activations import Features, Place
from codetemper.audit.calibration import TAIL, Flags, Labels, conformal_by_class, tails
from codetemper.audit.detectors import BUILTIN, detector
from codetemper.core.audits import AuditView
from codetemper.core.detection import auroc
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.stats import Floats


@dataclass(frozen=True)
class View:
    """A detector at a place, or a score from elsewhere.

    Attributes:
        name: of the detector or the score.
        place: where it looks; None for a score from elsewhere.
    """

    name: str
    place: Place | None


@dataclass(frozen=True)
class Ranking:
    """How strange each sample is, by one rule over all views.

    Attributes:
        seen: the views.
        scores: rank of each sample in its class, between 0 and 1, [n]; 0 in a class too small.
        p: split-conformal p-value of each, [n]; NaN where no trusted sample of its class is left
            for calibration.
        calibration: fewest trusted samples behind a p-value; 0 where there is none.
        suspected: the strangest share of each class, [n].
        adjusted: p-value of each view, corrected for their number, [views]; None without p.
        file: ranks of all views, [views, samples + trusted samples], float32; NaN for those that
            detectors were fitted to.
    """

    seen: tuple[View, ...]
    scores: Floats
    p: Floats
    calibration: int
    suspected: Flags
    adjusted: Floats | None
    file: Path

    def ranks(self) -> npt.NDArray[np.float32]:
        """Return the ranks of the samples in each view, [views, n], mapped from the disk."""
        stored: npt.NDArray[np.float32] = np.load(self.file, mmap_mode="r")
        return stored[:, : len(self.scores)]

    def views(self, holders: Flags | None = None) -> list[AuditView]:
        """Return what each view says, as records.

        Args:
            holders: samples that hold a confirmed trigger, [n]; None or none where there are none.
        """
        found = []
        for number, (view, ranks) in enumerate(zip(self.seen, self.ranks(), strict=True)):
            ranked = ~np.isnan(ranks)
            bad = None if holders is None else ranks[ranked & holders]
            others = None if holders is None else ranks[ranked & ~holders]
            both = bad is not None and others is not None and len(bad) > 0 and len(others) > 0
            found.append(
                AuditView(
                    name=view.name,
                    stack="" if view.place is None else view.place.stack,
                    layer=-1 if view.place is None else view.place.layer,
                    pool="" if view.place is None else view.place.pool,
                    score=float((ranks[self.suspected] > 1 - TAIL).mean()),
                    p=None if self.adjusted is None else float(self.adjusted[number]),
                    auroc=auroc(bad, others) if both else None,  # type: ignore[arg-type]
                )
            )
        return found


@dataclass(frozen=True)
class _Class:
    """Rows of one class: samples, and trusted samples for fitting and for calibration."""

    samples: Labels
    fitted: Labels
    calibration: Labels


def rank(
    features: Features,
    labels: Sequence[int] | None,
    config: Config,
    *,
    folder: Path,
    trusted: Features | None = None,
    trusted_labels: Sequence[int] | None = None,
    others: Mapping[str, Floats] | None = None,
    detectors: Sequence[str] = tuple(BUILTIN),
    on_event: OnEvent = ignore_events,
) -> Ranking:
    """Score the samples by every detector at every place and combine that by the fixed rule.

    Args:
        features: of the samples.
        labels: class of each; None where samples have no classes.
        config: rules of the audit.
        folder: an existing folder for the ranks.
        trusted: features of trusted samples, of the same model and projection.
        trusted_labels: class of each of those.
        others: scores from elsewhere by name, higher is stranger: of the samples, then of the
            trusted ones where there are any; NaN counts as least strange.
        detectors: names of detectors.
        on_event: called with ``Event(stage="rank", unit="places")`` after each place.

    Returns:
        The ranking.

    Raises:
        CannotKnowError: too few samples, or of one class only.
        UsageError: no such detector, labels or scores of another number than samples, features of
            other places, or a full disk.
    """
    total = features.count + (trusted.count if trusted is not None else 0)
    own = _labels(labels, features.count)
    theirs = _labels(trusted_labels, total - features.count)
    given = dict(others or {})
    _refuse(features, trusted, own, labels is not None, given, total, config)
    classes = _classes(own, theirs, config)
    chosen = {name: detector(name) for name in detectors}
    seen = [
        View(name, place)
        for place in features.places
        for name, module in chosen.items()
        if place.layer > 0 or getattr(module, "READS", "states") == "states"
    ] + [View(name, None) for name in given]
    file = folder / "ranks.npy"
    stored = mapped(file, (len(seen), total))
    stored[:] = np.nan
    numbers = {view: number for number, view in enumerate(seen)}
    for done, place in enumerate(features.places, start=1):
        for each in classes:
            rows = np.concatenate([each.samples, each.calibration + features.count])
            for name, scores in _scores(features, trusted, place, each, chosen, config.seed):
                stored[numbers[View(name, place)], rows] = ranked(scores)
        on_event(Event(stage="rank", done=done, total=len(features.places), unit="places"))
    for name, values in given.items():
        for each in classes:
            rows = np.concatenate([each.samples, each.calibration + features.count])
            scores = np.asarray(values, dtype=np.float64)[rows]
            stored[numbers[View(name, None)], rows] = ranked(np.nan_to_num(scores, nan=-np.inf))
    return _combined(stored, seen, classes, own, theirs, config, file)


def _labels(labels: Sequence[int] | None, count: int) -> Labels:
    return np.zeros(count, np.int64) if labels is None else np.asarray(labels, dtype=np.int64)


def _classes(own: Labels, theirs: Labels, config: Config) -> list[_Class]:
    """Return the classes that are large enough, with their trusted samples split in two."""
    random = np.random.default_rng(config.seed)
    found = []
    for label in np.unique(own):
        samples, known = np.flatnonzero(own == label), np.flatnonzero(theirs == label)
        mixed = random.permutation(known)
        if len(samples) < config.least_class:
            continue
        count = round(config.calibration * len(known))
        if len(known) - count < config.least:
            # Too few to fit detectors to; they can still say how strange clean samples get.
            count = len(known)
        found.append(_Class(samples, np.sort(mixed[count:]), np.sort(mixed[:count])))
    return found


def _scores(
    features: Features,
    trusted: Features | None,
    place: Place,
    rows: _Class,
    detectors: Mapping[str, ModuleType],
    seed: int,
) -> Iterator[tuple[str, Floats]]:
    """Yield the scores of one class at one place: samples, then those for calibration."""

    def states(where: Place) -> tuple[Floats, Floats | None]:
        ranked = features.of(where, rows.samples)
        if trusted is None:
            return ranked, None
        ranked = np.concatenate([ranked, trusted.of(where, rows.calibration)])
        return ranked, trusted.of(where, rows.fitted) if len(rows.fitted) else None

    here, clean = states(place)
    for name, module in detectors.items():
        fields = module.Config.model_fields
        config = module.Config(seed=seed) if "seed" in fields else module.Config()
        if getattr(module, "READS", "states") == "states":
            yield name, module.score(here, clean, config)
        elif place.layer > 0:
            before, known = states(Place(place.stack, place.layer - 1, place.pool))
            moved = None if clean is None or known is None else clean - known
            yield name, module.score(here - before, moved, config)


def ranked(scores: Floats) -> Floats:
    """Return ranks between 0 and 1, ends excluded [n]."""
    return np.asarray((rankdata(scores) - 0.5) / len(scores), dtype=np.float64)


def _combined(
    stored: npt.NDArray[np.float32],
    seen: Sequence[View],
    classes: Sequence[_Class],
    own: Labels,
    theirs: Labels,
    config: Config,
    file: Path,
) -> Ranking:
    n = len(own)
    whole = np.full(n + len(theirs), np.nan)
    scores, suspected = np.zeros(n), np.zeros(n, dtype=np.bool_)
    voting = _voting(seen)
    for each in classes:
        rows = np.concatenate([each.samples, each.calibration + n])
        mean = np.zeros(len(rows))
        for number in voting:
            mean += ndtri(stored[number, rows].astype(np.float64))
        families: list[npt.NDArray[np.floating]] = [ranked(mean)] if voting else []
        families += [stored[k, rows] for k, view in enumerate(seen) if view.place is None]
        whole[rows] = np.max(families, axis=0)
        scores[each.samples] = ranked(whole[each.samples])
        count = max(1, round(config.suspects * len(each.samples)))
        order = np.argsort(-scores[each.samples], kind="stable")
        suspected[each.samples[order[:count]]] = True
    sizes = [len(each.calibration) for each in classes if len(each.calibration)]
    p, adjusted = np.full(n, np.nan), None
    if sizes:
        kept, known = ~np.isnan(whole[:n]), ~np.isnan(whole[n:])
        p[kept] = conformal_by_class(whole[:n][kept], own[kept], whole[n:][known], theirs[known])
        is_trusted = np.arange(len(whole)) >= n
        adjusted = tails(stored, is_trusted, np.concatenate([own, theirs]), config.seed)
    return Ranking(tuple(seen), scores, p, min(sizes, default=0), suspected, adjusted, file)


def _voting(seen: Sequence[View]) -> list[int]:
    """Return the views that the combined rank is made of."""
    places = {view.place for view in seen if view.place is not None}
    chosen = set()
    for stack in {place.stack for place in places}:
        own = [place for place in places if place.stack == stack]
        pools = {place.pool for place in own}
        pool = next((pool for pool in ("decision", "eos") if pool in pools), None)
        chosen |= {
            place for place in own if place.layer > 0 and (pool is None or place.pool == pool)
        }
    return [number for number, view in enumerate(seen) if view.place in chosen]


def _refuse(
    features: Features,
    trusted: Features | None,
    own: Labels,
    labelled: bool,
    others: Mapping[str, Floats],
    total: int,
    config: Config,
) -> None:
    """Refuse what does not fit together, and fewer samples than anything can be said of."""
    lengths = {name: len(values) for name, values in others.items()}
    wrong = next((name for name, length in lengths.items() if length != total), None)
    if len(own) != features.count or wrong is not None:
        raise UsageError(
            "samples, labels and scores do not belong together",
            why=f"there are {features.count} samples and {len(own)} labels"
            if wrong is None
            else f"with trusted ones there are {total} samples, and {lengths[wrong]} of {wrong}",
            mend="give one of each for each sample",
        )
    if trusted is not None and trusted.places != features.places:
        raise UsageError(
            "trusted samples were not read as the samples were",
            why="their features are of other layers or pools",
            mend="read both with the same model and settings",
        )
    if features.count < config.least:
        raise CannotKnowError(
            f"nothing can be said of {features.count} samples",
            why=f"what is strange shows against at least {config.least}",
            mend=f"give {config.least} samples or more, best all that the model was trained on",
        )
    sizes = {int(label): int((own == label).sum()) for label in np.unique(own)}
    large = [label for label, size in sizes.items() if size >= config.least_class]
    if len(large) < (2 if labelled else 1):
        told = ", ".join(f"{size} of class {label}" for label, size in sizes.items())
        raise CannotKnowError(
            "a backdoor cannot be told from what its class has in common",
            why=f"there are {told}, and two classes of {config.least_class} or more are needed",
            mend=f"give at least {config.least_class} samples of a second class",
        )
