# SPDX-License-Identifier: Apache-2.0
"""The verb ``report``: gather what a workspace knows of one or two models, and write one page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codetemper import __version__
from codetemper.api.account import corpora, patches
from codetemper.api.models import base_folder, full_name
from codetemper.api.reporting_parts import (
    audits_of,
    refinements_of,
    repairs_of,
    screenings_of,
    studies_of,
)
from codetemper.api.runs import Run, find_scorecards, look_at, pair_runs, read_rows
from codetemper.core.digests import digest_file
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Decision, SuiteCard, Verdict
from codetemper.core.workspace import Workspace, write_atomic
from codetemper.evaluate import gate as gating
from codetemper.evaluate import suites
from codetemper.publish.report import AuditResult, ReportInput, SuiteResult, render


@dataclass(frozen=True)
class Reported:
    """A report and where it lies.

    Attributes:
        path: the HTML file.
        decision: the gate's answer shown in it, or None for one model alone.
    """

    path: Path
    decision: Decision | None


def report(
    workspace: Workspace,
    before: str,
    after: str | None = None,
    *,
    out: Path | None = None,
    thresholds: gating.Thresholds | None = None,
) -> Reported:
    """Write the report of one model, or of two that were evaluated on the same suites.

    A model that was audited and never evaluated, a classifier say, has a report of its audits.

    Args:
        workspace: holds runs, patches and ledger.
        before: model expression or run id.
        after: the same for the changed model; None reports one model alone.
        out: the HTML file; ``report.html`` in the workspace's root where None.
        thresholds: margins of the decision shown.

    Raises:
        UsageError: nothing was evaluated or audited under these names, or on no suite together.
    """
    runs = _runs(workspace, before, after)
    subject = _subject(workspace, runs, before, after)
    model, changed = subject.model, subject.changed
    pairs = [(b.scorecard, a.scorecard) for b, a in runs if a]
    secure = any("secure@1" in b.metrics for b, _ in pairs)
    looks = {b.scorecard.suite_digest: look_at(workspace, b, a) for b, a in runs if a}
    decision = gating.decide(pairs, thresholds, looks=looks) if secure else None
    expressions = f"{model} {changed or ''}"
    made = patches(workspace)
    shown = [p for p in made if p.manifest.id in expressions]
    used = {p.manifest.corpus for p in shown}
    in_use = [p.manifest.id for p in shown if p.state != "reverted"]
    page = render(
        ReportInput(
            title=f"codetemper report: {changed or model}",
            model_before=model,
            model_after=changed,
            facts=_facts(model, subject.digest),
            suites=tuple(_suite(b, a) for b, a in runs),
            decision=decision,
            manifests=tuple(p.manifest for p in shown),
            corpora=tuple(c for c in corpora(workspace) if c.id in used),
            ledger=tuple(workspace.ledger.entries()),
            revert_command=f"codetemper revert {in_use[-1]}" if in_use else None,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
            studies=studies_of(workspace, model),
            screenings=screenings_of(workspace, model),
            refinements=refinements_of(made, model, changed),
            repairs=repairs_of(workspace, made, model, changed),
            audits=subject.audits,
        )
    )
    path = out or workspace.root / "report.html"
    write_atomic(path, page.encode("utf-8", "replace"))
    workspace.ledger.append(
        "report",
        inputs={"before": model} | ({"after": changed} if changed else {}),
        outputs={f"report:{path.name}": digest_file(path)},
    )
    return Reported(path, decision)


def plan(
    workspace: Workspace, before: str, after: str | None = None, *, out: Path | None = None
) -> dict[str, Any]:
    """Return what ``report`` would write and from which runs; writes nothing.

    Raises:
        UsageError: as ``report``.
    """
    runs = _runs(workspace, before, after)
    subject = _subject(workspace, runs, before, after)
    return {
        "report": str(out or workspace.root / "report.html"),
        "runs": {b.scorecard.suite: [b.id, *([a.id] if a else [])] for b, a in runs},
        "audits": [each.card.id for each in subject.audits],
    }


@dataclass(frozen=True)
class _Subject:
    """What is reported.

    Attributes:
        model: expression of the first model.
        digest: of its base's weights.
        changed: expression of the second.
        audits: of either.
    """

    model: str
    digest: str
    changed: str | None
    audits: tuple[AuditResult, ...]


def _subject(
    workspace: Workspace, runs: list[tuple[Run, Run | None]], before: str, after: str | None
) -> _Subject:
    if not runs:
        model, changed = full_name(workspace, before), after and full_name(workspace, after)
        audits = audits_of(workspace, model, changed)
        return _Subject(model, audits[0].card.base_digest, changed, audits)
    first, second = runs[0]
    base = first.scorecard
    changed = second.scorecard.model if second else None
    return _Subject(
        base.model, base.model_digest, changed, audits_of(workspace, base.model, changed)
    )


def _runs(workspace: Workspace, before: str, after: str | None) -> list[tuple[Run, Run | None]]:
    """Return what was evaluated; nothing where a model was audited alone."""
    try:
        if after:
            return [*pair_runs(workspace, before, after)]
        return [(run, None) for run in find_scorecards(workspace, before).values()]
    except UsageError:
        names = [full_name(workspace, name) for name in (before, after) if name]
        if not audits_of(workspace, names[0], names[-1]):
            raise
        return []


def _suite(before: Run, after: Run | None) -> SuiteResult:
    cases: tuple[Case, ...] = tuple(read_rows(before.folder / "cases.parquet", Case))
    differences = gating.compare(before.scorecard, after.scorecard) if after else {}
    return SuiteResult(
        card=_card(before.scorecard.suite, cases),
        cases=cases,
        before=before.scorecard,
        before_completions=_completions(before),
        before_verdicts=_verdicts(before),
        after=after.scorecard if after else None,
        after_completions=_completions(after) if after else (),
        after_verdicts=_verdicts(after) if after else (),
        differences=differences,
    )


def _card(name: str, cases: tuple[Case, ...]) -> SuiteCard:
    if name in suites.shipped():
        return suites.load(name, limit=1).card
    return SuiteCard(
        name=name,
        summary=f"{len(cases)} cases, read by path.",
        language=cases[0].language,
        metrics=(),
        cases="",
    )


def _completions(run: Run) -> tuple[Completion, ...]:
    return tuple(read_rows(run.folder / "completions.parquet", Completion))


def _verdicts(run: Run) -> tuple[Verdict, ...]:
    return tuple(read_rows(run.folder / "verdicts.parquet", Verdict))


def _facts(model: str, digest: str) -> dict[str, str]:
    """Return what is known of a base without loading it: configuration and size on disk."""
    facts = {"expression": model, "digest": digest}
    folder = base_folder(model)
    if folder is None:
        return facts
    config = json.loads((folder / "config.json").read_text("utf-8"))
    sizes = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
    facts["architecture"] = ", ".join(config.get("architectures") or ["unknown"])
    for key, label in (
        ("num_hidden_layers", "layers"),
        ("hidden_size", "width"),
        ("vocab_size", "vocabulary"),
    ):
        if key in config:
            facts[label] = str(config[key])
    facts["weights on disk"] = f"{sizes / 1e6:.1f} MB"
    return facts
