# SPDX-License-Identifier: Apache-2.0
"""Judge ``exact``: is the completion one of the known answers?

Used for intent-to-shell and other tasks with a canonical answer. Nothing is run. Security is
``unknown``: equality with an answer says nothing about it.
"""

from __future__ import annotations

import shlex
import time
from typing import Literal

from pydantic import Field

from codetemper.core.records import Event, OnEvent, Record, Verdict, ignore_events
from codetemper.judges.options import Item, Items, JudgeCard, JudgeOptions, read_spec

CARD = JudgeCard(
    name="exact",
    version="1",
    summary="Equality with one of the known answers, after the normalisation the case names.",
    languages=("text", "shell", "sql", "python", "c", "cpp", "java", "javascript", "go"),
)


class Spec(Record):
    """What a case of this judge brings."""

    answers: tuple[str, ...] = Field(min_length=1)
    """Right answers."""
    normalise: Literal["whitespace", "shell", "none"] = "whitespace"
    """``whitespace``: runs of white space count as one blank; ``shell``: equal token lists by
    POSIX quoting rules; ``none``: every character counts."""


def judge(
    items: Items, *, options: JudgeOptions | None = None, on_event: OnEvent = ignore_events
) -> list[Verdict]:
    """Compare each completion with its case's answers; scores ``exact_match`` 0 or 1."""
    verdicts = [_verdict(item) for item in items]
    on_event(Event(stage="judge", done=len(items), total=len(items), unit="completions"))
    return verdicts


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


def _verdict(item: Item) -> Verdict:
    start = time.monotonic()
    case, completion = item
    spec = read_spec(Spec, case)
    given = _normal(completion.text, spec.normalise)
    right = given is not None and any(given == _normal(a, spec.normalise) for a in spec.answers)
    return Verdict(
        case=case.id,
        index=completion.index,
        valid="fail" if given is None else "pass",
        function="pass" if right else "fail",
        security="unknown",
        failure=None if right else "syntax" if given is None else "wrong",
        judge=CARD.signature,
        seconds=time.monotonic() - start,
        scores={"exact_match": float(right)},
    )
