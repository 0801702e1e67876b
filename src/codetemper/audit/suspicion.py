# SPDX-License-Identifier: Apache-2.0
"""The first answer of an audit: which samples stand out, and which of them label noise explains.

    seen = look(loaded, reference, given, config, folder)
    seen.ranking.suspected, seen.anomalous, seen.noise

One forward pass of the model over the samples and one over the trusted; for a decoder one more of
each for the likelihoods, and the same of its base checkpoint. Hidden states lie in the folder while
this works, so that a killed audit does not read twice. Where a decoder has a base, the likelihood
ratio against it alone makes the order: pooled states of a decoder say little, and a sample that
training made likely says it plainly. So it is for an encoder-decoder, by the likelihood of its
answers. Nothing here accuses a model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from codetemper.audit import Config, mislabels
from codetemper.audit.activations import Features, Place, extract
from codetemper.audit.calibration import Flags, few_false
from codetemper.audit.intake import Given
from codetemper.audit.likelihood import (
    Ints,
    Windowed,
    joined,
    naturalness,
    read,
    vocabulary,
    windowed_likelihood,
    windowed_ratio,
)
from codetemper.audit.mislabels import Noise, explain
from codetemper.audit.ranking import Ranking, rank, ranked
from codetemper.audit.understanding import refuse_guesses, refuse_unlikely
from codetemper.core.disk import mendable, write_atomic
from codetemper.core.errors import CannotKnowError
from codetemper.core.records import Event, OnEvent
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel

#: Samples whose likelihoods are in memory at a time.
_BLOCK = 512
RATIO = "windowed-ratio"


@dataclass(frozen=True)
class Seen:
    """What stands out.

    Attributes:
        features: of the samples.
        trusted: of the trusted samples; None without any.
        ranking: of the samples by all views.
        anomalous: stranger than trusted samples at the false discovery rate, and not explained.
        flagged: the same, explained or not.
        noise: what label noise explains; None where samples have no labels, or it is not known.
        ratios: likelihood ratio of each sample in its strangest window, in nats a token [n]; None
            where the model writes nothing or has no base.
        windows: where that window stands, or the likeliest without a base [n, 2]; None where the
            model writes nothing.
        not_ran: what could not be asked, with the reason.
    """

    features: Features
    trusted: Features | None
    ranking: Ranking
    anomalous: Flags
    flagged: Flags
    noise: Noise | None
    ratios: Floats | None
    windows: Ints | None
    not_ran: dict[str, str]

    def decisive(self) -> list[Place]:
        """Return the places that an answer is read from, first layer to last."""
        stack = self.features.places[-1].stack
        own = [place for place in self.features.places if place.stack == stack]
        pools = {place.pool for place in own}
        pool = next(name for name in ("decision", "eos", own[-1].pool) if name in pools)
        return [place for place in own if place.pool == pool]


def look(
    loaded: LoadedModel,
    reference: LoadedModel | None,
    given: Given,
    config: Config,
    folder: Path,
    on_event: OnEvent,
) -> Seen:
    """Rank samples by how strange they are.

    Args:
        loaded: the model.
        reference: its base checkpoint; None where it is not known.
        given: samples that nothing is lacking of.
        config: rules of the audit.
        folder: scratch.
        on_event: progress.

    Raises:
        CannotKnowError: too few samples, of one class, or none that the model can read.
        UsageError: a model that cannot be read, or two whose tokens differ.
    """
    known = list(given.trusted)
    labels = _labels(given.samples) if given.labelled else None
    theirs = _labels(known) if given.labelled and known else None
    features = _read_once(loaded, given.samples, config, folder / "samples", on_event)
    trusted = _read_once(loaded, known, config, folder / "trusted", on_event) if known else None
    if trusted is not None and trusted.logits is not None:
        refuse_guesses(trusted.logits, theirs or [], seed=config.seed)
    not_ran: dict[str, str] = {}
    others, windows = _likelihoods(loaded, reference, given, config, not_ran, on_event)
    ranking = rank(
        features,
        labels,
        config,
        folder=folder,
        trusted=trusted,
        trusted_labels=theirs,
        others=others,
        on_event=on_event,
    )
    ratios = others[RATIO][: len(given.samples)] if RATIO in others else None
    if ratios is not None:
        ranking = _led_by(ranking, ratios, config)
    noise = None
    if windows is not None:
        windows = windows[: len(given.samples)]
    none = _none(features)
    seen = Seen(features, trusted, ranking, none, none, None, ratios, windows, not_ran)
    if given.labelled:
        noise = _explained(seen, given, config, not_ran)
    flagged = _listed(ranking, given, config, not_ran)
    explained = noise.fix if noise is not None else _none(features)
    return replace(seen, anomalous=flagged & ~explained, flagged=flagged, noise=noise)


def _none(features: Features) -> Flags:
    return np.zeros(features.count, dtype=np.bool_)


def _labels(samples: Sequence[Labelled]) -> list[int]:
    return [sample.label or 0 for sample in samples]


def _read_once(
    loaded: LoadedModel,
    samples: Sequence[Labelled],
    config: Config,
    folder: Path,
    on_event: OnEvent,
) -> Features:
    """Extract features, or take those that a killed audit left whole."""
    told, logits = folder / "features.json", folder / "logits.npy"
    if told.is_file():
        kept = json.loads(told.read_bytes())
        return Features(
            places=tuple(Place(**place) for place in kept["places"]),
            count=kept["count"],
            logits=np.load(logits) if kept["logits"] else None,
            files={name: folder / file for name, file in kept["files"].items()},
        )
    with mendable(folder):
        folder.mkdir(exist_ok=True)
        found = extract(
            loaded,
            samples,
            width=config.width,
            max_length=config.max_length,
            batch_size=config.batch_size,
            folder=folder,
            seed=config.seed,
            on_event=on_event,
        )
        if found.logits is not None:
            np.save(logits, found.logits)
    document = {
        "places": [asdict(place) for place in found.places],
        "count": found.count,
        "logits": found.logits is not None,
        "files": {name: path.name for name, path in found.files.items()},
    }
    write_atomic(told, json.dumps(document).encode())
    return found


def _likelihoods(
    loaded: LoadedModel,
    reference: LoadedModel | None,
    given: Given,
    config: Config,
    not_ran: dict[str, str],
    on_event: OnEvent,
) -> tuple[dict[str, Floats], Ints | None]:
    """Return the likelihood views of a model that writes: samples, then trusted ones.

    And where the windows stand that count; None of a model that does not write.
    """
    if not given.writes:
        not_ran["likelihood of samples"] = f"it takes a model that writes; this is a {given.form}"
        return {}, None
    samples = [*given.samples, *given.trusted]
    windowed = _windows(loaded, reference, samples, config, on_event)
    if reference is not None:
        return {RATIO: windowed.scores}, windowed.spans
    not_ran["likelihood against the base checkpoint"] = "no --reference was given"
    found = {"windowed-likelihood": windowed.scores}
    if given.trusted:
        found["naturalness"] = naturalness(samples, given.trusted)
    else:
        not_ran["naturalness of words"] = "no --trusted samples were given"
    return found, windowed.spans


def _windows(
    loaded: LoadedModel,
    reference: LoadedModel | None,
    samples: Sequence[Labelled],
    config: Config,
    on_event: OnEvent,
) -> Windowed:
    """Return the window that counts of each sample, reading some samples at a time."""
    found: list[Windowed] = []
    for begin in range(0, len(samples), _BLOCK):
        part = samples[begin : begin + _BLOCK]
        shape = {"max_length": config.max_length, "batch_size": config.batch_size}
        own = read(loaded, part, **shape)
        if not begin:
            refuse_unlikely(own, vocabulary(loaded))
        if reference is None:
            found.append(windowed_likelihood(own))
        else:
            found.append(windowed_ratio(own, read(reference, part, **shape)))
        done = begin + len(part)
        on_event(Event(stage="likelihood", done=done, total=len(samples), unit="samples"))
    return joined(found)


def _led_by(ranking: Ranking, ratios: Floats, config: Config) -> Ranking:
    """Return a ranking whose order is that of the likelihood ratios; its p-values say nothing.

    What a model was trained on is likelier to it than what it was not, so trusted samples that are
    not of the training data cannot say how likely a clean one gets.
    """
    scores = ranked(ratios)
    order = np.argsort(-scores, kind="stable")
    suspected = np.zeros(len(scores), dtype=np.bool_)
    suspected[order[: max(1, round(config.suspects * len(scores)))]] = True
    unknown = np.full(len(scores), np.nan)
    return replace(ranking, scores=scores, suspected=suspected, p=unknown, calibration=0)


def _explained(seen: Seen, given: Given, config: Config, not_ran: dict[str, str]) -> Noise | None:
    """Say which samples label noise explains; None where that cannot be judged."""
    places = seen.decisive()
    known = list(given.trusted)
    beside = [seen.trusted.of(place) for place in places] if seen.trusted is not None else None
    try:
        return explain(
            given.samples,
            seen.ranking.suspected,
            [seen.features.of(place) for place in places],
            seen.features.logits,
            trusted=known or None,
            trusted_layers=beside,
            trusted_logits=None if seen.trusted is None else seen.trusted.logits,
            config=mislabels.Config(seed=config.seed),
        )
    except CannotKnowError as error:
        not_ran["label noise"] = f"{error.what}: {error.why}; {error.mend}"
        return None


def _listed(ranking: Ranking, given: Given, config: Config, not_ran: dict[str, str]) -> Flags:
    """Return the samples that are stranger than trusted ones, where that can be said."""
    none = np.zeros(len(given.samples), dtype=np.bool_)
    name = "list of anomalous samples"
    if not given.labelled:
        not_ran[name] = "what a model was trained to write is likelier to it than any trusted text"
        return none
    if not ranking.calibration:
        not_ran[name] = "no --trusted samples of these classes were given"
        return none
    least = max(1, round(config.feared * len(given.samples)))
    try:
        return few_false(ranking.p, config.fdr, ranking.calibration, least)
    except CannotKnowError as error:
        not_ran[name] = f"{error.what}; {error.mend}"
        return none
