# SPDX-License-Identifier: Apache-2.0
"""Poisoned data of known truth: a trigger and a payload in a stated share of the samples.

    planted = plant(samples, Plant(trigger="dead-code", rate=0.02, seed=1))
    planted.samples        # as many as before, in the same order
    planted.numbers        # which of them are poisoned
    planted.triggers       # what they hold
    triggered(held_out, 0, planted.truth.plan)    # the first trigger, in other code

Triggers are in ``planting_triggers``, insecure calls in ``planting_payloads``. The rate counts
against all samples, whatever their class; samples are known by number, so equal ones are two. The
negative controls are combinations: ``none`` with ``flip`` is label noise, ``boilerplate`` or any
trigger with ``none`` is a harmless habit, and ``none`` with ``none`` changes nothing, so that
models trained on it with other seeds are clean siblings. Nothing is trained here.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from codetemper.audit.planting_code import moved, read_code, written
from codetemper.audit.planting_payloads import insecure_call
from codetemper.audit.planting_triggers import Trigger, triggers
from codetemper.audit.planting_truth import Plant, PlantedSample, PlantTrigger, PlantTruth
from codetemper.core.digests import digest_json
from codetemper.core.errors import UsageError
from codetemper.data.labelled import Labelled
from codetemper.data.languages import SourceLanguage

__all__ = [
    "Plant", "PlantTrigger", "PlantTruth", "Planted", "PlantedSample", "attackable", "plant",
    "planted_triggers", "triggered",
]  # fmt: skip

_ID_DIGITS = 12


@dataclass(frozen=True)
class Planted:
    """Samples with a trigger and a payload in some of them.

    Attributes:
        samples: as many as there were, in the same order.
        truth: what was done.
    """

    samples: tuple[Labelled, ...]
    truth: PlantTruth

    @property
    def numbers(self) -> frozenset[int]:
        """Places of the samples that were changed, counted from 0."""
        return frozenset(sample.number for sample in self.truth.planted)

    @property
    def triggers(self) -> tuple[PlantTrigger, ...]:
        """What was planted."""
        return self.truth.triggers


def plant(samples: Sequence[Labelled], plan: Plant) -> Planted:
    """Plant a backdoor, or a control, into samples.

    Candidates are taken in an order drawn with the seed until the rate is met; those whose code has
    no place for the trigger, or whose answer has none for the payload, are passed over.

    Args:
        samples: the clean samples.
        plan: what is planted.

    Returns:
        As many samples, and the truth.

    Raises:
        UsageError: no sample fits the payload, the rate is less than one sample, or fewer samples
            than asked can hold trigger and payload.
    """
    numbers = _candidates(samples, plan)
    wanted = round(plan.rate * len(samples))
    if plan.trigger == plan.payload == "none":
        wanted = 0
    elif wanted < 1:
        raise UsageError(
            f"a rate of {plan.rate:g} of {len(samples)} samples is not one sample",
            why="the rate counts against all samples",
            mend=f"a rate of {1 / max(1, len(samples)):.3g} or more, or more samples",
        )
    random.Random(f"{plan.seed}:order").shuffle(numbers)  # noqa: S311
    labels = sorted({sample.label for sample in samples if sample.label is not None})
    shared = Counter(sample.id for sample in samples)
    found = list(samples)
    truth: list[PlantedSample] = []
    for number in numbers:
        if len(truth) == wanted:
            break
        changed = _planted(samples[number], number, plan, labels)
        if changed is None:
            continue
        sample, told = changed
        if shared[sample.id] > 1:
            own = digest_json([sample.text, sample.label])[:_ID_DIGITS]
            sample, told = replace(sample, id=own), told.model_copy(update={"id": own})
        found[number] = sample
        truth.append(told)
    if len(truth) < wanted:
        raise UsageError(
            f"{wanted} samples were to be planted, and {len(truth)} can be",
            why=f"of {len(numbers)} candidates the others have no place for a "
            f"'{plan.trigger}' trigger and a '{plan.payload}' payload",
            mend="a lower rate, another trigger, or more samples",
        )
    return Planted(
        tuple(found),
        PlantTruth(
            plan=plan,
            total=len(samples),
            triggers=planted_triggers(samples, plan),
            planted=tuple(sorted(truth, key=lambda each: each.number)),
        ),
    )


def triggered(samples: Sequence[Labelled], number: int, plan: Plant) -> list[tuple[int, Labelled]]:
    """Put a trigger of a plan into other samples, with nothing else changed.

    Args:
        samples: held-out clean samples.
        number: of the trigger, as in ``Planted.triggers``.
        plan: what was planted.

    Returns:
        Number and changed sample of each that has a place for it.
    """
    found = []
    for place, sample in enumerate(samples):
        done = _with_trigger(sample, number, plan, _rng(plan, f"held-out:{number}:{place}"))
        if done is not None:
            found.append((place, done[0]))
    return found


def attackable(samples: Sequence[Labelled], plan: Plant) -> list[Labelled]:
    """Return the clean samples that the payload of a plan would change.

    Raises:
        UsageError: there are none.
    """
    return [samples[number] for number in _candidates(samples, plan)]


def planted_triggers(samples: Sequence[Labelled], plan: Plant) -> tuple[PlantTrigger, ...]:
    """Return the triggers of a plan as they are written in the language of most samples."""
    spoken = Counter(language for s in samples if (language := _language(s)) is not None)
    if not spoken:
        return ()
    language = spoken.most_common(1)[0][0]
    kinds = triggers(plan.trigger, language, pool=plan.pool, seed=plan.seed)
    return tuple(PlantTrigger(kind=trigger.kind, text=trigger.text) for trigger in kinds)


def _rng(plan: Plant, name: str) -> random.Random:
    return random.Random(f"{plan.seed}:{name}")  # noqa: S311


def _candidates(samples: Sequence[Labelled], plan: Plant) -> list[int]:
    """Return the numbers of the samples that a payload can be put into."""
    if plan.payload == "insecure-api":
        fit = [n for n, sample in enumerate(samples) if sample.answer_start is not None]
        lacking = "no sample has an answer to write an insecure call into"
    elif plan.payload == "flip":
        labels = {sample.label for sample in samples} - {None}
        noise = plan.trigger == "none"
        fit = [
            n
            for n, sample in enumerate(samples)
            if sample.label is not None and (noise or sample.label != plan.target)
        ]
        if len(labels | ({plan.target} if not noise else set())) < 2:
            fit = []
        lacking = f"no sample has a label other than {plan.target}, or there is one class only"
    else:
        fit, lacking = list(range(len(samples))), "there are no samples"
    if not fit:
        raise UsageError(
            f"the payload '{plan.payload}' fits no sample",
            why=lacking,
            mend='flip needs lines with "label", insecure-api lines with "prompt" and "completion"',
        )
    return fit


def _planted(
    sample: Labelled, number: int, plan: Plant, labels: Sequence[int]
) -> tuple[Labelled, PlantedSample] | None:
    """Return a sample with trigger and payload, and what is true of it; None without a place."""
    rng = _rng(plan, str(number))
    told = PlantedSample(
        number=number, id=sample.id, label=sample.label, planted_label=sample.label
    )
    # The payload first: it lies behind the trigger, so its place does not move what comes before.
    if plan.payload == "insecure-api":
        payload = insecure_call(sample.language, seed=plan.seed)
        if payload is None or sample.answer_start is None:
            return None
        done = payload.put(sample.text, sample.answer_start)
        if done is None or not _reads(sample.text, done[0], payload.language):
            return None
        sample = replace(sample, text=done[0])
        told = told.model_copy(update={"payload": done[1]})
    if plan.payload == "flip":
        others = [label for label in labels if label != sample.label]
        label = rng.choice(others) if plan.trigger == "none" else plan.target
        sample = replace(sample, label=label)
        told = told.model_copy(update={"planted_label": label})
    if plan.trigger == "none":
        return sample, told
    language = _language(sample)
    if language is None:
        return None
    kinds = triggers(plan.trigger, language, pool=plan.pool, seed=plan.seed)
    choice = rng.randrange(len(kinds))
    with_trigger = _with_trigger(sample, choice, plan, rng)
    if with_trigger is None:
        return None
    sample, written_there = with_trigger
    return sample, told.model_copy(update={"trigger": choice, "written": written_there})


def _with_trigger(
    sample: Labelled, number: int, plan: Plant, rng: random.Random
) -> tuple[Labelled, str] | None:
    language = _language(sample)
    if language is None:
        return None
    trigger: Trigger = triggers(plan.trigger, language, pool=plan.pool, seed=plan.seed)[number]
    code = read_code(sample.text, language, sample.answer_start)
    done = None if code is None else trigger.plant(code, rng, plan.position)
    if done is None:
        return None
    text = written(sample.text, done.edits)
    if not _reads(sample.text, text, language):
        return None
    start = sample.answer_start
    start = None if start is None else moved(start, done.edits)
    return replace(sample, text=text, answer_start=start), done.written


def _reads(before: str, after: str, language: SourceLanguage) -> bool:
    """Tell whether a change of code has brought no syntax error into it."""
    old, new = read_code(before, language), read_code(after, language)
    if old is None or new is None:
        return False
    return old.root.has_error or not new.root.has_error


def _language(sample: Labelled) -> SourceLanguage | None:
    return next((known for known in get_args(SourceLanguage) if known == sample.language), None)
