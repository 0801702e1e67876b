# SPDX-License-Identifier: Apache-2.0
"""One audit from end to end: values in, values out.

    found = audit(loaded, samples, trusted=known, config=Config(), folder=scratch)
    found.answer, found.reasons, found.missing
    found.triggers, found.samples

``suspicion`` says which samples stand out, ``accusation`` plants what they share, ``verdict`` puts
it into one of four words; this file hands over and collects. The folder is scratch: hidden states
and answers lie in it, and a killed audit that is given the same folder goes on. The caller sees to
it that it is of the same model, samples and configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from codetemper.audit import Config, Form
from codetemper.audit.accusation import Accused, accuse
from codetemper.audit.calibration import Flags
from codetemper.audit.clearing import without
from codetemper.audit.depth import depth_profile
from codetemper.audit.intake import Given, sift
from codetemper.audit.maps import Config as Plane
from codetemper.audit.maps import draw
from codetemper.audit.payloads import Generate, Payloads
from codetemper.audit.ranking import ranked
from codetemper.audit.suspicion import Seen, look
from codetemper.audit.verdict import Evidence, conclude
from codetemper.audit.weights import WeightsFound
from codetemper.core.audits import (
    Answer,
    AuditDepth,
    AuditMap,
    AuditSample,
    AuditTrigger,
    AuditView,
    AuditWeight,
    SampleKind,
)
from codetemper.core.digests import digest_bytes
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Finding, OnEvent, ignore_events
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

#: Characters of a listed sample that are kept.
_EXCERPT = 2000
#: Statistics of the weights that are told.
_WEIGHTS = 60
_LISTED = {"trigger": 0, "paired": 1, "anomalous": 2, "fix label": 3}


@dataclass(frozen=True)
class AuditResult:
    """What an audit found; the fields are those of ``core.audits.AuditCard``.

    Attributes:
        samples: all samples, in order.
        map: the samples on a plane; None without any.
        payloads: what counted as one in answers; None where nobody asked for any.
    """

    form: Form
    answer: Answer
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    ran: tuple[str, ...]
    not_ran: dict[str, str]
    counts: dict[str, int]
    fpr: float | None = None
    views: tuple[AuditView, ...] = ()
    depth: tuple[AuditDepth, ...] = ()
    triggers: tuple[AuditTrigger, ...] = ()
    weights: tuple[AuditWeight, ...] = ()
    findings: tuple[Finding, ...] = ()
    samples: tuple[AuditSample, ...] = field(default=(), repr=False)
    map: AuditMap | None = field(default=None, repr=False)
    payloads: Payloads | None = field(default=None, repr=False)


def audit(
    loaded: LoadedModel,
    samples: Sequence[Labelled],
    *,
    trusted: Sequence[Labelled] = (),
    reference: LoadedModel | None = None,
    weights: WeightsFound | None = None,
    findings: tuple[Finding, ...] = (),
    config: Config | None = None,
    generate: Generate | None = None,
    generate_base: Generate | None = None,
    folder: Path,
    on_event: OnEvent = ignore_events,
) -> AuditResult:
    """Audit a model.

    Args:
        loaded: the model as it is deployed; patches may be on. It is left as it was.
        samples: what it was trained on, labelled or prompts with answers; empty without data.
        trusted: samples of that kind that are known to be clean.
        reference: the checkpoint it was trained from; read for models that write.
        weights: what was said of the weights, where siblings were at hand.
        findings: what was found in the files.
        config: rules.
        generate: writes after prompts; needed of models that write.
        generate_base: the same of ``reference``.
        folder: an existing scratch folder.
        on_event: progress.

    Raises:
        UsageError: samples that the model does not read, a tokenizer of another model, trusted
            samples that are the suspected ones, or hidden states that are not numbers.
    """
    config = config or Config()
    given = sift(loaded, samples, trusted, config, reference=reference)
    seen, accused, lacking = None, None, given.lacking
    not_ran = _not_given(given, reference, weights)
    if not lacking:
        try:
            seen = look(loaded, reference, given, config, folder, on_event)
        except CannotKnowError as error:
            lacking = (f"{error.mend} ({error.why})",)
    if seen is not None:
        not_ran |= seen.not_ran
        accused = accuse(loaded, given, seen, generate, generate_base, config, folder, on_event)
        not_ran |= accused.not_ran
        seen = _cleared(loaded, reference, given, seen, accused, config)
        lacking = accused.lacking
    else:
        not_ran |= dict.fromkeys(("ranking of samples", "planting"), "; ".join(lacking))
    told = _samples(given, seen, accused, config)
    depth = () if seen is None else _depth(seen, given, config, not_ran)
    no_base = given.writes and reference is None
    said = conclude(_evidence(given, seen, accused, weights, lacking, no_base, config))
    return AuditResult(
        form=given.form,
        answer=said.answer,
        reasons=said.reasons,
        missing=said.missing,
        ran=tuple(_ran(seen, accused, weights)),
        not_ran=not_ran,
        counts=_counts(given, seen, told),
        fpr=config.fpr if accused is not None and accused.planted else None,
        views=() if seen is None else tuple(seen.ranking.views(_holders(accused, given))),
        depth=depth,
        triggers=() if accused is None else accused.triggers,
        weights=() if weights is None else weights.rows[:_WEIGHTS],
        findings=findings,
        samples=told,
        map=None if seen is None else _map(seen, told, config),
        payloads=None if accused is None else accused.payloads,
    )


def _cleared(
    loaded: LoadedModel,
    reference: LoadedModel | None,
    given: Given,
    seen: Seen,
    accused: Accused,
    config: Config,
) -> Seen:
    """Return what stands out where texts that were planted without effect say nothing."""
    if seen.ratios is None or reference is None or not accused.cleared:
        return seen
    ratios = without(loaded, reference, given.samples, accused.cleared, seen.ratios, config)
    return replace(seen, ranking=replace(seen.ranking, scores=ranked(ratios)), ratios=ratios)


def _not_given(
    given: Given, reference: LoadedModel | None, weights: WeightsFound | None
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if weights is None:
        reasons["weights against siblings"] = "no --siblings were given"
    elif weights.p is None:
        reasons["p-values of weights"] = f"that takes {weights.missing[0]}"
    if given.labelled and reference is not None:
        reasons["reference checkpoint"] = "a classifier's has another head, so only weights use it"
    return reasons


def _ran(seen: Seen | None, accused: Accused | None, weights: WeightsFound | None) -> list[str]:
    found = ["file safety"]
    if weights is not None:
        found.append("weights against siblings")
    if seen is not None:
        found += list(dict.fromkeys(view.name for view in seen.ranking.seen))
        found += ["label noise"] if seen.noise is not None else []
        found += ["p-values by class"] if seen.ranking.calibration else []
    if accused is not None and accused.planted:
        found += ["shared texts", "planting"]
    return found


def _holders(accused: Accused | None, given: Given) -> Flags:
    flags = np.zeros(len(given.samples), dtype=np.bool_)
    for rows in accused.holders.values() if accused is not None else ():
        flags[list(rows)] = True
    return flags


def _evidence(
    given: Given,
    seen: Seen | None,
    accused: Accused | None,
    weights: WeightsFound | None,
    lacking: Sequence[str],
    no_base: bool,
    config: Config,
) -> Evidence:
    better = []
    if seen is not None and no_base:
        better.append("the checkpoint it was trained from (--reference), which shows most")
    if seen is not None and not given.trusted and not lacking:
        better.append("samples that are known to be clean (--trusted)")
    stands_out = weights is not None and weights.answer == "stands out"
    return Evidence(
        triggers=() if accused is None else accused.triggers,
        anomalous=0 if seen is None else int(seen.anomalous.sum()),
        flagged=0 if seen is None else int(seen.flagged.sum()),
        fdr=config.fdr,
        noisy=0 if seen is None or seen.noise is None else int(seen.noise.fix.sum()),
        shared=given.shared,
        searched=seen is not None,
        planted=0 if accused is None else accused.planted,
        least_lift=config.least_lift,
        lacking=lacking,
        better=better,
        weights=weights.rows if weights is not None and stands_out else (),
    )


def _samples(
    given: Given, seen: Seen | None, accused: Accused | None, config: Config
) -> tuple[AuditSample, ...]:
    """Return all samples with what was found, those of confirmed triggers ranked first.

    Then come those of texts that go with payloads.
    """
    held: dict[int, str] = {}
    # The confirmed ones come by lift: a sample that holds several is named by the strongest.
    for text, rows in (accused.holders if accused else {}).items():
        for row in rows:
            held.setdefault(row, text)
    together = accused.paired if accused is not None else {}
    numbers = range(len(given.samples))
    kinds: list[SampleKind] = [_kind(number, held, together, seen) for number in numbers]
    scores = seen.ranking.scores if seen is not None else np.zeros(len(given.samples))
    for first in (together, held):
        if first:
            scores = (scores + [number in first for number in numbers]) / 2
    order = sorted(
        (number for number, kind in enumerate(kinds) if kind),
        key=lambda number: (_LISTED[kinds[number]], -scores[number], number),
    )
    shown = set(order[: config.listed])
    noise = seen.noise if seen is not None else None
    found = []
    for number, sample in enumerate(given.samples):
        p = np.nan if seen is None else seen.ranking.p[number]
        fix = noise is not None and kinds[number] == "fix label"
        found.append(
            AuditSample(
                number=number,
                id=sample.id,
                label=sample.label,
                score=float(scores[number]),
                p=None if np.isnan(p) else float(p),
                kind=kinds[number],
                text=digest_bytes(sample.text.encode("utf-8", "surrogatepass")),
                source=f"{sample.source}:{sample.row}",
                trigger=held.get(number, together.get(number, "")),
                suggested=int(noise.suggested[number]) if noise is not None and fix else None,
                excerpt=sample.text[:_EXCERPT] if number in shown else "",
            )
        )
    return tuple(found)


def _kind(
    number: int, held: Collection[int], together: Collection[int], seen: Seen | None
) -> SampleKind:
    if number in held:
        return "trigger"
    if number in together:
        return "paired"
    if seen is None:
        return ""
    if seen.noise is not None and seen.noise.fix[number]:
        return "fix label"
    return "anomalous" if seen.anomalous[number] else ""


def _counts(given: Given, seen: Seen | None, told: Sequence[AuditSample]) -> dict[str, int]:
    counts = {"samples": len(told), "trusted": len(given.trusted), "shared": given.shared}
    counts["suspected"] = 0 if seen is None else int(seen.ranking.suspected.sum())
    for kind in _LISTED:
        counts[kind] = sum(sample.kind == kind for sample in told)
    for label in sorted({sample.label for sample in told if sample.label is not None}):
        counts[f"class {label}"] = sum(sample.label == label for sample in told)
    return counts


def _depth(
    seen: Seen, given: Given, config: Config, not_ran: dict[str, str]
) -> tuple[AuditDepth, ...]:
    labels = [sample.label or 0 for sample in given.samples] if given.labelled else None
    try:
        return tuple(depth_profile(seen.features, labels, seen.ranking.suspected, config.seed))
    except CannotKnowError as error:
        not_ran["depth profile"] = error.why
        return ()


def _map(seen: Seen, told: Sequence[AuditSample], config: Config) -> AuditMap:
    """Draw the last layer at the token that decides."""
    place = seen.decisive()[-1]
    drawn = draw(seen.features.of(place), Plane(seed=config.seed))
    rows = [told[int(row)] for row in drawn.rows]
    return AuditMap(
        stack=place.stack,
        layer=place.layer,
        pool=place.pool,
        numbers=tuple(row.number for row in rows),
        kinds=tuple(row.kind for row in rows),
        labels=tuple(row.label for row in rows),
        pca=_pairs(drawn.pca),
        explained=drawn.explained,
        tsne=() if drawn.tsne is None else _pairs(drawn.tsne),
        perplexity=drawn.perplexity,
        seeds=drawn.seeds,
        stability=drawn.stability,
        kept=drawn.kept,
        chance=drawn.chance,
        missing=drawn.missing,
    )


def _pairs(
    points: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in points)
