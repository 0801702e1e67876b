# SPDX-License-Identifier: Apache-2.0
"""What a report is made of: plain values that the verbs gather and ``report.render`` shows.

These records are handed over in memory; nothing here touches disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from codetemper.core.accounts import (
    CorpusCard,
    LedgerEntry,
    PatchManifest,
    ScreeningCard,
    StudyCard,
    StudyRow,
    WorstSample,
)
from codetemper.core.audits import AuditCard, AuditMap, AuditSample
from codetemper.core.records import (
    Case,
    Completion,
    Decision,
    Difference,
    Scorecard,
    SuiteCard,
    Verdict,
)
from codetemper.core.refinement import Refinement
from codetemper.core.repairs import Failure, Repair


@dataclass(frozen=True)
class SuiteResult:
    """One suite, before a change and perhaps after it.

    Attributes:
        card: what the suite says of itself.
        cases: the cases that were judged.
        before: scorecard of the first model.
        before_completions: what the first model wrote.
        before_verdicts: what the judges say of it.
        after: scorecard of the second model, or None where only one was measured.
        after_completions: what the second model wrote; empty without ``after``.
        after_verdicts: what the judges say of that; empty without ``after``.
        differences: paired differences by metric name.
    """

    card: SuiteCard
    cases: tuple[Case, ...]
    before: Scorecard
    before_completions: tuple[Completion, ...]
    before_verdicts: tuple[Verdict, ...]
    after: Scorecard | None = None
    after_completions: tuple[Completion, ...] = ()
    after_verdicts: tuple[Verdict, ...] = ()
    differences: dict[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyResult:
    """A study of settings that were tuned on one base.

    Attributes:
        card: what the study says of itself.
        rows: its numbers.
    """

    card: StudyCard
    rows: tuple[StudyRow, ...]


@dataclass(frozen=True)
class ScreeningResult:
    """What guards said of some data.

    Attributes:
        card: what the screening says of itself.
        worst: the samples they say most of, worst first.
    """

    card: ScreeningCard
    worst: tuple[WorstSample, ...]


@dataclass(frozen=True)
class RefinementResult:
    """A refinement and the patch that came of it.

    Attributes:
        patch: id of the patch.
        refinement: what its rounds did.
    """

    patch: str
    refinement: Refinement


@dataclass(frozen=True)
class RepairResult:
    """A repair: its patch, and what it was solved for.

    Attributes:
        patch: id of the patch.
        base: expression of the model it goes on top of.
        repair: what was done and seen.
        failures: what it repairs.
    """

    patch: str
    base: str
    repair: Repair
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class AuditResult:
    """An audit of the model.

    Attributes:
        card: what it says of itself.
        listed: samples that are listed, first those of confirmed triggers, then by rank.
        map: the samples on a plane; None without any.
    """

    card: AuditCard
    listed: tuple[AuditSample, ...]
    map: AuditMap | None


@dataclass(frozen=True)
class ReportInput:
    """Everything one page shows.

    Attributes:
        title: heading of the page.
        model_before: expression of the first model.
        model_after: expression of the second, or None.
        facts: what is known of the model, by name (parameters, architecture, digest, licence).
        suites: what was measured.
        decision: the gate's answer, where it was asked.
        manifests: the patches that make the second model of the first.
        corpora: what those patches learned from.
        ledger: the workspace's account, oldest first.
        revert_command: the exact command that takes the change back, where there is one.
        made: when the page was made, ISO 8601.
        version: version of this package.
        studies: studies of the first model's base.
        screenings: what guards of that base said of data.
        refinements: refinements of that base.
        repairs: repairs of that base.
        audits: audits of the models, newest first.
    """

    title: str
    model_before: str
    model_after: str | None
    facts: dict[str, str]
    suites: tuple[SuiteResult, ...]
    decision: Decision | None
    manifests: tuple[PatchManifest, ...]
    corpora: tuple[CorpusCard, ...]
    ledger: tuple[LedgerEntry, ...]
    revert_command: str | None
    made: str
    version: str
    studies: tuple[StudyResult, ...] = ()
    screenings: tuple[ScreeningResult, ...] = ()
    refinements: tuple[RefinementResult, ...] = ()
    repairs: tuple[RepairResult, ...] = ()
    audits: tuple[AuditResult, ...] = ()
