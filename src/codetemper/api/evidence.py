# SPDX-License-Identifier: Apache-2.0
"""What the qualification of this machine's judges means for an evaluation.

``codetemper doctor --qualify`` measures analysers and judges on pairs and keeps a card. Findings of
analysers that qualified for a weakness make completions insecure; a weakness on which a behavioural
judge failed its own pairs gets no security metric. Without a card behaviour alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codetemper.core.records import Case, Completion, OnEvent, Verdict, ignore_events
from codetemper.evaluate.suites import Suite
from codetemper.judges import JudgeOptions, qualify, static


@dataclass(frozen=True)
class Evidence:
    """What the card says of one suite.

    Attributes:
        card: the card in force, or None.
        analysers: those qualified for a weakness of the suite in its language.
        unqualified: weaknesses whose behavioural judge failed its pairs.
    """

    card: qualify.Qualification | None
    analysers: tuple[str, ...]
    unqualified: tuple[str, ...]

    @property
    def state(self) -> str:
        """What the evidence depends on beside the texts; empty where nothing is asked."""
        return static.state(self.analysers, self.card) if self.analysers else ""


def evidence_for(suite: Suite, options: JudgeOptions) -> Evidence:
    """Return what the stored card says of a suite; nothing where options ask for behaviour alone.

    Args:
        suite: only cases that try an exploit are looked at; suites of judge ``static`` ask the
            analysers themselves.
        options: ``static=False`` leaves all analysers out.
    """
    card = qualify.stored() if options.static else None
    if card is None:
        return Evidence(None, (), ())
    cases = [case for case in suite.cases if case.cwe and case.judge != static.CARD.name]
    rows = [row for row in card.rows for case in cases if _about(row, case)]
    analysers = {row.judge for row in rows if row.kind == "static" and row.qualified}
    failed = {row.family for row in rows if row.kind == "behaviour" and not row.qualified}
    return Evidence(card, tuple(sorted(analysers)), tuple(sorted(failed)))


def _about(row: qualify.Row, case: Case) -> bool:
    if row.language != case.language:
        return False
    if row.kind == "static":
        return qualify.agree(row.family, case.cwe)
    return row.family == case.cwe and row.judge == case.judge


def add_evidence(
    found: Evidence,
    suite: Suite,
    completions: Sequence[Completion],
    verdicts: Sequence[Verdict],
    options: JudgeOptions,
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Add what qualified analysers found to verdicts; see ``judges.static.evidence``.

    Args:
        found: of the same suite.
        suite: holds the cases.
        completions: what was judged.
        verdicts: of the completions, in the same order.
        options: workers, and the folder of cached scans.
        on_event: progress.
    """
    if not found.analysers:
        return list(verdicts)
    cases = {case.id: case for case in suite.cases}
    items = [(cases[completion.case], completion) for completion in completions]
    asked = [place for place, (case, _) in enumerate(items) if case.cwe]
    added = static.evidence(
        [items[place] for place in asked],
        [verdicts[place] for place in asked],
        qualification=found.card,
        options=options,
        analysers=found.analysers,
        on_event=on_event,
    )
    joined = list(verdicts)
    for place, verdict in zip(asked, added, strict=True):
        joined[place] = verdict
    return joined
