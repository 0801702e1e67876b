# SPDX-License-Identifier: Apache-2.0
"""From cases to completions to verdicts, resumable at any point.

``complete`` asks a model, ``decide`` asks the judges; both keep what they have in a journal, so
the same call after a kill goes on where it was and a second run costs nothing. Both hand out what
they found one by one, so that memory does not grow with the number of completions. What the
verdicts add up to is for ``scorecards``. Nothing here writes to a workspace or prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
#: Completions held at most, where most of them are judged already.
_HELD = 8192

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
) -> Iterator[Completion]:
    """Draw completions for every case; return them case by case in the suite's order.

    All are drawn before this returns; they are read from the journal as they are asked for.

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
    return (
        Completion.model_validate(row | {"case": case.id, "index": index})
        for case in suite.cases
        for index, row in enumerate(journal.get(keys[case.id]) or [])
    )


def decide(
    suite: Suite,
    completions: Iterable[Completion],
    judge: Judge,
    journal: Journal,
    *,
    total: int,
    salt: str = "",
    on_event: OnEvent = ignore_events,
) -> Iterator[list[tuple[Completion, Verdict]]]:
    """Judge every completion; equal texts of a case are judged once and counted each time.

    Args:
        suite: holds the cases that the completions name.
        completions: what to judge; read as far as the next block needs.
        judge: ``judge(items, on_event=...) -> verdicts`` over pairs of case and completion.
        journal: holds verdicts by case and text.
        total: number of completions, for progress.
        salt: names what else a verdict depends on (judge options and versions).
        on_event: told after every block.

    Yields:
        Blocks of completions with their verdicts, in the order given.
    """
    cases = {case.id: case for case in suite.cases}
    marks = {name: case.digest() for name, case in cases.items()}

    def key(completion: Completion) -> str:
        text = digest_bytes(completion.text.encode("utf-8", "surrogatepass"))
        whole = ["whole"] if completion.whole else []
        return digest_json([salt, marks[completion.case], text, *whole])

    done, size = 0, JUDGED
    on_event(Event(stage="judge", done=0, total=total, unit="completions"))
    unread = iter(completions)
    while held := _held(unread, key, journal, size):
        missing = {k: c for k, c, known in held if not known}
        if missing:
            begin, before = time.monotonic(), done + len(held) - len(missing)
            verdicts = judge(
                [(cases[c.case], c) for c in missing.values()],
                on_event=_shifted(on_event, before, total),
            )
            journal.put(
                (k, v.model_dump(mode="json")) for k, v in zip(missing, verdicts, strict=True)
            )
            size = _next(size, time.monotonic() - begin)
        yield [
            (c, Verdict.model_validate((journal.get(k) or {}) | {"case": c.case, "index": c.index}))
            for k, c, _ in held
        ]
        done += len(held)
        on_event(Event(stage="judge", done=done, total=total, unit="completions"))


def _next(size: int, took: float) -> int:
    """Return how many to judge next, from the seconds that ``size`` took."""
    if took < _QUICK_S:
        return min(2 * size, _LARGEST)
    return max(size // 2, JUDGED) if took > _SLOW_S else size


def _held(
    unread: Iterator[Completion], key: Callable[[Completion], str], journal: Journal, size: int
) -> list[tuple[str, Completion, bool]]:
    """Read on until ``size`` completions wait for a verdict, or as many are held as may be.

    Returns:
        Key, completion, and whether the journal has its verdict.
    """
    held: list[tuple[str, Completion, bool]] = []
    waiting: set[str] = set()
    for completion in unread:
        k = key(completion)
        known = k in journal
        held.append((k, completion, known))
        if not known:
            waiting.add(k)
        if len(waiting) >= size or len(held) >= _HELD:
            break
    return held


def _shifted(on_event: OnEvent, before: int, total: int) -> OnEvent:
    """Return ``on_event`` for a block of a longer stretch of work."""

    def relay(event: Event) -> None:
        on_event(event.model_copy(update={"done": before + event.done, "total": total}))

    return relay
