# SPDX-License-Identifier: Apache-2.0
"""From cases to completions to verdicts, resumable at any point.

``complete`` asks a model, ``decide`` asks the judges; both keep what they have in a journal, so
the same call after a kill goes on where it was and a second run costs nothing. What the verdicts
add up to is for ``scorecards``. Nothing here writes to a workspace or prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from codetemper.core.digests import digest_bytes, digest_json
from codetemper.core.journal import Journal
from codetemper.core.records import (
    Completion,
    Event,
    OnEvent,
    Sampling,
    Verdict,
    ignore_events,
)
from codetemper.evaluate.suites import Suite

#: Prompts handed to the model, and completions to the judges at first, between two journal writes.
PROMPTS, JUDGED = 48, 192
#: Judges start sandboxes anew for every block, so quick blocks grow, and slow ones shrink again.
_LARGEST, _QUICK_S, _SLOW_S = 6144, 8.0, 30.0

Judge = Callable[..., list[Verdict]]


class Generator(Protocol):
    """What the harness needs of a model."""

    @property
    def digest(self) -> str:
        """Digest of the weights as they act now."""

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        *,
        stops: Sequence[tuple[str, ...]] | None = None,
        on_event: OnEvent = ignore_events,
    ) -> list[list[Completion]]:
        """Return ``sampling.n`` completions for each prompt."""


def complete(
    model: Generator,
    suite: Suite,
    sampling: Sampling,
    journal: Journal,
    *,
    on_event: OnEvent = ignore_events,
) -> list[Completion]:
    """Draw completions for every case, case by case in the suite's order.

    Args:
        model: its ``digest`` is part of the journal's key, so a changed model starts anew.
        suite: what to ask.
        sampling: how to draw; ``n`` completions a case.
        journal: holds finished cases; new ones are added block by block.
        on_event: told after every block.
    """
    salt = digest_json([model.digest, sampling.model_dump(mode="json")])
    keys = {case.id: digest_json([salt, case.prompt, list(case.stop)]) for case in suite.cases}
    missing = [case for case in suite.cases if keys[case.id] not in journal]
    total = len(suite.cases) * sampling.n
    done = total - len(missing) * sampling.n
    on_event(Event(stage="generate", done=done, total=total, unit="completions"))
    for start in range(0, len(missing), PROMPTS):
        block = missing[start : start + PROMPTS]
        drawn = model.generate(
            [case.prompt for case in block],
            sampling,
            stops=[case.stop for case in block],
            on_event=_shifted(on_event, done, total),
        )
        journal.put(
            (keys[case.id], [c.model_dump(mode="json") for c in row])
            for case, row in zip(block, drawn, strict=True)
        )
        done += len(block) * sampling.n
        on_event(Event(stage="generate", done=done, total=total, unit="completions"))
    return [
        Completion.model_validate(row | {"case": case.id, "index": index})
        for case in suite.cases
        for index, row in enumerate(journal.get(keys[case.id]) or [])
    ]


def decide(
    suite: Suite,
    completions: Sequence[Completion],
    judge: Judge,
    journal: Journal,
    *,
    salt: str = "",
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Judge every completion; equal texts of a case are judged once and counted each time.

    Args:
        suite: holds the cases that the completions name.
        completions: what to judge.
        judge: ``judge(items, on_event=...) -> verdicts`` over pairs of case and completion.
        journal: holds verdicts by case and text.
        salt: names what else a verdict depends on (judge options and versions).
        on_event: told after every block.
    """
    cases = {case.id: case for case in suite.cases}
    marks = {name: case.digest() for name, case in cases.items()}

    def key(completion: Completion) -> str:
        text = digest_bytes(completion.text.encode("utf-8", "surrogatepass"))
        whole = ["whole"] if completion.whole else []
        return digest_json([salt, marks[completion.case], text, *whole])

    keys = [key(completion) for completion in completions]
    missing = {k: c for k, c in zip(keys, completions, strict=True) if k not in journal}
    waiting = list(missing.items())
    done, total = len(keys) - len(waiting), len(keys)
    on_event(Event(stage="judge", done=done, total=total, unit="completions"))
    start, size = 0, JUDGED
    while start < len(waiting):
        block = waiting[start : start + size]
        relay, begin = _shifted(on_event, done + start, total), time.monotonic()
        verdicts = judge([(cases[c.case], c) for _, c in block], on_event=relay)
        journal.put(
            (k, v.model_dump(mode="json")) for (k, _), v in zip(block, verdicts, strict=True)
        )
        start += len(block)
        took = time.monotonic() - begin
        if took < _QUICK_S:
            size = min(2 * size, _LARGEST)
        elif took > _SLOW_S:
            size = max(size // 2, JUDGED)
    on_event(Event(stage="judge", done=total, total=total, unit="completions"))
    return [
        Verdict.model_validate((journal.get(k) or {}) | {"case": c.case, "index": c.index})
        for k, c in zip(keys, completions, strict=True)
    ]


def _shifted(on_event: OnEvent, before: int, total: int) -> OnEvent:
    """Return ``on_event`` for a block of a longer stretch of work."""

    def relay(event: Event) -> None:
        on_event(event.model_copy(update={"done": before + event.done, "total": total}))

    return relay
