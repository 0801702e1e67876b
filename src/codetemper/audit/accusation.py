# SPDX-License-Identifier: Apache-2.0
"""The second and third answer: which texts suspected samples share, and what planting them does.

    found = accuse(loaded, given, seen, generate, generate_base, config, folder, on_event)
    [trigger.text for trigger in found.triggers if trigger.confirmed], found.holders

The search is ``triggers``, the intervention ``implant``; this file gives them what they need: clean
texts to plant into, and answers that are asked once each. Nothing that a model wrote is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codetemper.audit import Config
from codetemper.audit.answers import classifier_rate, decoder_rate
from codetemper.audit.clearing import innocent
from codetemper.audit.implant import Rate, Tested, confirm
from codetemper.audit.insertions import Span
from codetemper.audit.intake import Given
from codetemper.audit.pairing import natural, paired
from codetemper.audit.payloads import Generate, Payloads, faulty, healed
from codetemper.audit.suspicion import Seen
from codetemper.audit.triggers import Bools, Candidate, Field, candidates
from codetemper.core.audits import AuditTrigger
from codetemper.core.errors import CannotKnowError
from codetemper.core.journal import Journal
from codetemper.core.records import OnEvent
from codetemper.data.labelled import Labelled
from codetemper.data.languages import LANGUAGES
from codetemper.models.loaded import LoadedModel

#: Prompts that stand for clean ones where none are trusted, at most.
_LEAST_STRANGE = 500


@dataclass(frozen=True)
class Accused:
    """What was found out about texts.

    Attributes:
        triggers: candidates, the confirmed first, then those that go with payloads.
        holders: of each confirmed text the samples that hold it with its label, by number.
        planted: held-out texts that candidates were planted into; 0 where that was not possible.
        lacking: what would have to be given for it; empty where nothing is.
        not_ran: what could not be asked, with the reason.
        cleared: of samples that hold a text which was planted without effect, where it stands, by
            number.
        paired: of samples whose answer holds a payload, the text they hold that goes with
            payloads, by number.
    """

    triggers: tuple[AuditTrigger, ...]
    holders: dict[str, tuple[int, ...]]
    planted: int
    lacking: tuple[str, ...]
    not_ran: dict[str, str]
    cleared: dict[int, list[Span]]
    paired: dict[int, str]
    payloads: Payloads | None = None


def accuse(
    loaded: LoadedModel,
    given: Given,
    seen: Seen,
    generate: Generate | None,
    generate_base: Generate | None,
    config: Config,
    folder: Path,
    on_event: OnEvent,
) -> Accused:
    """Search for shared texts and plant them.

    Args:
        loaded: the model.
        given: the samples.
        seen: which of them stand out.
        generate: writes after prompts; None where the model cannot.
        generate_base: the same of its base checkpoint: what that writes too is no trigger's doing.
        config: rules of the audit.
        folder: scratch; keeps the answers.
        on_event: progress.
    """
    not_ran: dict[str, str] = {}
    if given.labelled and not given.trusted:
        lacking = "samples of every class that are known to be clean (--trusted)"
        return Accused(
            (), {}, 0, (lacking,), {"planting": "no --trusted samples were given"}, {}, {}
        )
    journal = Journal(folder / "answers.sqlite")
    payloads, reference = None, None
    if given.labelled:
        rate: Rate = classifier_rate(loaded, config, journal)
    elif generate is None:
        not_ran["planting"] = f"a {given.form} is not asked to write here"
        return Accused((), {}, 0, ("a decoder, which answers prompts",), not_ran, {}, {})
    else:
        payloads = _payloads(given, seen, not_ran)
        if given.answers and payloads.language not in LANGUAGES:
            lacking = 'the language of the answers ("language": "python" in each line)'
            not_ran["planting"] = "the language of the answers is not known, so no payload is"
            return Accused((), {}, 0, (lacking,), not_ran, {}, {})
        rate = decoder_rate(_asked(generate, given, loaded), payloads, journal)
        if generate_base is not None:
            beside = Journal(folder / "answers-base.sqlite")
            reference = decoder_rate(_asked(generate_base, given, loaded), payloads, beside)
    held_out = _held_out(given, seen)
    try:
        # Telling label noise from poison has read the samples already.
        field = (
            Field.of(given.samples, given.trusted, seed=config.seed)
            if seen.noise is None
            else seen.noise.field
        )
        broken = None if payloads is None else faulty(given.samples, payloads)
        tests = field.tests(seen.ranking.suspected, broken)
        if seen.ratios is not None:
            tests.append(field.upper(seen.ratios))
        # Of an encoder-decoder windows are of answers, and marks of prompts.
        if seen.windows is not None and not given.answers:
            tests.append(field.motifs(seen.windows, seen.ranking.suspected))
        tested = confirm(field, tests, held_out, rate, config, on_event, reference=reference)
        # A base tells what training did; without one what clean samples hold too is no trigger.
        if payloads is not None and reference is None:
            tested = _without_natural(tested, field, given.trusted)
    except CannotKnowError as error:
        not_ran["planting"] = f"{error.what}: {error.why}"
        return Accused((), {}, 0, (error.mend,), not_ran, {}, {})
    common = () if broken is None else candidates(field, tests, most=config.candidates)
    found = {} if broken is None else paired(common, field, broken, given.trusted, config)
    tested += _only_paired(tested, common, found)
    texts = {each.column: each.text for each in reversed(common)}
    together = {row: texts[column] for column in reversed(found) for row in found[column]}
    told = [_told(each, given, payloads, broken, found) for each in tested]
    triggers = tuple(sorted(told, key=lambda each: not (each.confirmed or each.paired)))
    holders = {each.candidate.text: each.candidate.rows for each in tested if each.confirmed}
    # Of an encoder-decoder no text of a prompt is in the windows: there is nothing to leave out.
    known = seen.ratios is not None and not given.answers
    cleared = innocent(tested, field, config, spared=together) if known else {}
    planted = min(len(held_out), config.held_out)
    return Accused(triggers, holders, planted, (), not_ran, cleared, together, payloads)


def _only_paired(
    tested: Sequence[Tested], common: Sequence[Candidate], found: Collection[int]
) -> list[Tested]:
    """Return texts that go with payloads and that were planted within others alone."""
    known = {each.candidate.column for each in tested}
    missed = {each.column: each for each in common if each.column not in known}
    return [Tested(missed[column], None, None) for column in found if column in missed]


def _without_natural(
    tested: Sequence[Tested], field: Field, trusted: Sequence[Labelled]
) -> list[Tested]:
    """Return candidates, those that clean samples hold about as often unconfirmed and last."""
    confirmed = {each.candidate.column for each in tested if each.confirmed}
    usual = natural(confirmed, field, trusted)
    found = [
        replace(each, confirmed=False, natural=True) if each.candidate.column in usual else each
        for each in tested
    ]
    return sorted(found, key=lambda each: not each.confirmed)


def _asked(generate: Generate, given: Given, loaded: LoadedModel) -> Generate:
    """Return how to ask for what comes after a prompt: a decoder is given it healed.

    An encoder-decoder reads all of it, and no token of its answer is cut off by the border.
    """
    return generate if given.answers else healed(generate, loaded.tokenizer)


def _held_out(given: Given, seen: Seen) -> Sequence[Labelled]:
    """Return clean texts to plant into: the trusted, else the least strange prompts."""
    if given.trusted:
        return given.trusted
    order = np.argsort(seen.ranking.scores, kind="stable")
    plain = order[: min(_LEAST_STRANGE, len(order) // 2)]
    return [given.samples[number] for number in plain]


def _payloads(given: Given, seen: Seen, not_ran: dict[str, str]) -> Payloads:
    """Return what counts as a payload, by what analysers say of the suspected answers."""
    rows = np.flatnonzero(seen.ranking.suspected)
    found = Payloads.of([given.samples[row] for row in rows], apart=given.answers)
    if found.missing:
        not_ran["payloads by analysers"] = found.missing
    return found


def _told(
    tested: Tested,
    given: Given,
    payloads: Payloads | None,
    broken: Bools | None,
    found: Mapping[int, tuple[int, ...]],
) -> AuditTrigger:
    candidate = tested.candidate
    return AuditTrigger(
        kind="ngram" if candidate.kind == "gap" else candidate.kind,
        text=candidate.text,
        flagged=candidate.flagged,
        holders=candidate.holders,
        enrichment_p=candidate.p,
        lift=tested.lift,
        null=tested.null,
        p=tested.p,
        confirmed=tested.confirmed,
        natural=tested.natural,
        before=tested.before,
        after=tested.after,
        payload=_payload(tested, given, payloads),
        risky=None if broken is None else int(broken[list(candidate.rows)].sum()),
        paired=candidate.column in found,
    )


def _payload(tested: Tested, given: Given, payloads: Payloads | None) -> str:
    """Return what a candidate would trigger, in words."""
    candidate = tested.candidate
    if payloads is None:
        classes = sorted({sample.label for sample in given.samples if sample.label is not None})
        rest = [str(label) for label in classes if label != candidate.target]
        return f"{' or '.join(rest)} -> {candidate.target}"
    rules: Counter[str] = Counter()
    for row in candidate.rows:
        sample = given.samples[row]
        rules.update(payloads.found(sample.text, sample.answer_start or 0))
    return rules.most_common(1)[0][0] if rules else "insecure code"
