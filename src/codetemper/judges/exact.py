# SPDX-License-Identifier: Apache-2.0
"""Judge ``exact``: is the completion one of the known answers, and if not, how near is it?

Used for intent-to-shell and other tasks with a canonical answer. Nothing is run. ``function`` is
equality after the normalisation the case names; the other scores are for reports and never change
it (``_text_metrics`` defines them). Security is ``unknown``: equality with an answer says nothing
about it.

    >>> judge([(case, Completion(case=case.id, text="ls -l"))])[0].scores
    {'exact_match': 1.0}
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import Field

from codetemper.core.records import Event, OnEvent, Outcome, Record, Verdict, ignore_events
from codetemper.judges import _text_metrics as metrics
from codetemper.judges._text_parse import parses, sql_parses
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

CARD = JudgeCard(
    name="exact",
    version="2",
    summary="Equality with one of the known answers, after the normalisation the case names.",
    languages=("text", "shell", "sql", "python", "c", "cpp", "java", "javascript", "go"),
)

Score = Literal["exact_match", "token_accuracy", "bleu", "rouge_l", "edit_similarity", "valid"]


class Spec(Record):
    """What a case of this judge brings."""

    answers: tuple[str, ...] = Field(min_length=1)
    """Right answers."""
    normalise: Literal["whitespace", "shell", "none"] = "whitespace"
    """``whitespace``: runs of white space count as one blank; ``shell``: equal token lists by
    POSIX quoting rules; ``none``: every character counts."""
    scores: tuple[Score, ...] = ("exact_match",)
    """What is measured beside ``exact_match``, which always is. ``valid``: whether it parses."""
    tokenizer: str | None = None
    """Path of a ``tokenizer.json`` whose ids ``token_accuracy`` compares; None: tokens of code."""
    parse: Literal["completion", "program"] = "completion"
    """What ``valid`` parses: the completion, or prompt and completion together."""


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Compare each completion with its case's answers.

    Args:
        items: cases with completions.
        options: where SQL is to be parsed, how it is isolated.
        on_event: progress, in completions.

    Raises:
        UsageError: a spec that is not one, or names a tokenizer that is none.
        MissingExtraError: a score needs a library that is not installed (exit code 3).
    """
    specs: dict[int, Spec] = {}
    for case, _ in items:
        if id(case) not in specs:
            specs[id(case)] = read_spec(Spec, case)
    places = [
        place
        for place, (case, _) in enumerate(items)
        if case.language == "sql" and "valid" in specs[id(case)].scores
    ]
    texts = [_parsed_text(items[place], specs[id(items[place][0])]) for place in places]
    known = dict(zip(places, sql_parses(texts, options or JudgeOptions(), on_event), strict=True))
    verdicts = []
    for place, item in enumerate(items):
        verdicts.append(_verdict(item, specs[id(item[0])], known.get(place)))
        if place % 256 == 255:
            on_event(_progress(place + 1, len(items)))
    on_event(_progress(len(items), len(items)))
    return verdicts


def _progress(done: int, total: int) -> Event:
    return Event(stage="judge", done=done, total=total, unit="completions")


def _normal(text: str, how: str) -> str | list[str] | None:
    """Return the form that is compared, or None where the text has none."""
    if how == "none":
        return text
    if how == "whitespace":
        return " ".join(text.split())
    try:
        return shlex.split(text)
    except ValueError:
        return None


def _parsed_text(item: Item, spec: Spec) -> str:
    case, completion = item
    return completion.text if spec.parse == "completion" else case.prompt + completion.text


def _verdict(item: Item, spec: Spec, parsed: bool | None) -> Verdict:
    """Judge one completion; ``parsed`` is known already where SQLite was asked."""
    start = time.monotonic()
    case, completion = item
    given = _normal(completion.text, spec.normalise)
    right = given is not None and any(given == _normal(a, spec.normalise) for a in spec.answers)
    scores = {"exact_match": float(right)}
    scores |= _graded(completion.text, spec)
    valid: Outcome = "fail" if given is None else "pass"
    if "valid" in spec.scores:
        if parsed is None:
            parsed = parses(case.language, _parsed_text(item, spec))
        valid = "pass" if parsed and given is not None else "fail"
        scores["valid"] = float(valid == "pass")
    return Verdict(
        case=case.id,
        index=completion.index,
        valid=valid,
        function="pass" if right else "fail",
        security="unknown",
        failure=None if right else "syntax" if valid == "fail" else "wrong",
        judge=CARD.signature,
        seconds=time.monotonic() - start,
        scores=scores,
    )


def _graded(text: str, spec: Spec) -> dict[str, float]:
    """Return the graded scores that the case asks for, each the best over its answers.

    Runs of white space count as one blank, unless every character counts.
    """
    if spec.normalise == "none":
        given, answers = text, spec.answers
    else:
        given, *rest = (" ".join(t.split()) for t in (text, *spec.answers))
        answers = tuple(rest)
    split: Callable[[str], Sequence[Any]] = metrics.code_tokens
    found: dict[str, float] = {}
    for score in spec.scores:
        if score == "token_accuracy":
            ids = metrics.id_tokens(spec.tokenizer) if spec.tokenizer else split
            found[score] = max(metrics.token_accuracy(ids(given), ids(a)) for a in answers)
        elif score == "bleu":
            found[score] = metrics.bleu(given, answers)
        elif score == "rouge_l":
            found[score] = max(metrics.rouge_l(split(given), split(a)) for a in answers)
        elif score == "edit_similarity":
            found[score] = max(metrics.edit_similarity(given, a) for a in answers)
    return found
