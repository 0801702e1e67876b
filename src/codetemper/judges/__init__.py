# SPDX-License-Identifier: Apache-2.0
"""Judges: decide what a completion is worth, by running it in isolation.

``judge_all`` sends each completion to the judge its case names. A judge is one file with ``CARD``,
``Spec`` and ``judge``; others come from the entry point group ``codetemper.judges``. Judges are
imported when first needed. Nothing here stores or caches verdicts.

    >>> judge_all([(case, completion)], options=JudgeOptions(workers=2))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from codetemper.core import plugins
from codetemper.core.errors import CannotKnowError, CodetemperError
from codetemper.core.records import Case, Completion, Event, OnEvent, Verdict, ignore_events
from codetemper.judges._answers import as_program
from codetemper.judges._sandbox import filter_available, sandbox_available
from codetemper.judges.options import JudgeCard, JudgeOptions

__all__ = [
    "BUILTIN",
    "JudgeCard",
    "JudgeOptions",
    "filter_available",
    "judge_all",
    "sandbox_available",
    "signature",
]

#: Judges of this package: name to module.
BUILTIN = {
    "execution": "codetemper.judges.execution",
    "compiled": "codetemper.judges.compiled",
    "sql": "codetemper.judges.sql",
    "exact": "codetemper.judges.exact",
    "static": "codetemper.judges.static",
}


def signature(name: str) -> str:
    """Return ``name/version`` of a judge, as its verdicts carry it and cache keys should.

    Raises:
        UsageError: no judge has that name.
    """
    card: JudgeCard = plugins.resolve("judges", name, BUILTIN).CARD
    return card.signature


def judge_all(
    items: Sequence[tuple[Case, Completion]],
    *,
    options: JudgeOptions | None = None,
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Judge completions, each by the judge its case names.

    The same text for the same case is judged once; every copy gets the verdict under its own index,
    with ``seconds`` 0, so that counts stay what they were.

    Args:
        items: cases with completions, in any order and mixture.
        options: isolation and limits.
        on_event: progress over all items, in completions.

    Returns:
        One verdict per item, in order.

    Raises:
        UsageError: an unknown judge, or a spec its judge does not understand.
        CannotKnowError: a tool or the sandbox a judge needs is missing, or a judge broke down
            (exit code 3).
    """
    options = options or JudgeOptions()
    first: dict[tuple[str, str, bool], int] = {}
    owner = [
        first.setdefault((case.id, done.text, done.whole), i)
        for i, (case, done) in enumerate(items)
    ]
    by_judge: dict[str, list[int]] = {}
    for position in first.values():
        by_judge.setdefault(items[position][0].judge, []).append(position)
    copies = len(items) - len(first)
    verdicts: dict[int, Verdict] = {}
    for name, positions in by_judge.items():
        module = plugins.resolve("judges", name, BUILTIN)
        shown = _shifted(on_event, copies + len(verdicts), len(items))
        asked = [as_program(items[i]) for i in positions]
        judged = _judged(module, name, asked, options, shown)
        verdicts.update(zip(positions, judged, strict=True))
    return [
        verdicts[position]
        if position == own
        else verdicts[position].model_copy(update={"index": items[own][1].index, "seconds": 0.0})
        for own, position in enumerate(owner)
    ]


def _judged(
    module: ModuleType,
    name: str,
    items: Sequence[tuple[Case, Completion]],
    options: JudgeOptions,
    on_event: OnEvent,
) -> list[Verdict]:
    try:
        verdicts: list[Verdict] = module.judge(items, options=options, on_event=on_event)
    except (CodetemperError, OSError):
        raise
    except Exception as error:  # a judge may be anybody's
        raise CannotKnowError(
            f"the judge '{name}' broke down",
            why=f"{type(error).__name__}: {error}",
            mend="mend it and give the command again: verdicts that were made are kept",
        ) from error
    if len(verdicts) != len(items):
        raise CannotKnowError(
            f"the judge '{name}' broke down",
            why=f"it was asked about {len(items)} completions and gave {len(verdicts)} verdicts",
            mend="mend it and give the command again: verdicts that were made are kept",
        )
    return verdicts


def _shifted(on_event: OnEvent, before: int, total: int) -> Callable[[Event], None]:
    """Turn one judge's progress into progress over all judges."""

    def show(event: Event) -> None:
        if event.note:
            on_event(event)
        else:
            on_event(event.model_copy(update={"done": event.done + before, "total": total}))

    return show
