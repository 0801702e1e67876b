# SPDX-License-Identifier: Apache-2.0
"""The verb ``report``: gather what a workspace knows of one or two models, and write one page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from codetemper import __version__
from codetemper.api.account import PatchState, corpora, patches
from codetemper.api.models import base_folder
from codetemper.api.runs import Run, find_scorecards, look_at, pair_runs, read_rows
from codetemper.api.screening import read_screenings
from codetemper.api.study import read_studies
from codetemper.core.accounts import PatchManifest
from codetemper.core.digests import digest_file
from codetemper.core.errors import IntegrityError
from codetemper.core.records import Case, Completion, Decision, SuiteCard, Verdict
from codetemper.core.refinement import Refinement
from codetemper.core.repairs import Repair, RepairedFailure
from codetemper.core.workspace import Workspace, write_atomic
from codetemper.evaluate import gate as gating
from codetemper.evaluate import suites
from codetemper.models.expression import parse
from codetemper.publish.report import (
    RefinementResult,
    RepairResult,
    ReportInput,
    ScreeningResult,
    StudyResult,
    SuiteResult,
    render,
)


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

    Args:
        workspace: holds runs, patches and ledger.
        before: model expression or run id.
        after: the same for the changed model; None reports one model alone.
        out: the HTML file; ``report.html`` in the workspace's root where None.
        thresholds: margins of the decision shown.

    Raises:
        UsageError: nothing was evaluated under these names, or on no suite together.
    """
    runs = _runs(workspace, before, after)
    pairs = [(b.scorecard, a.scorecard) for b, a in runs if a]
    secure = any("secure@1" in b.metrics for b, _ in pairs)
    looks = {b.scorecard.suite_digest: look_at(workspace, b, a) for b, a in runs if a}
    decision = gating.decide(pairs, thresholds, looks=looks) if secure else None
    base = runs[0][0].scorecard
    changed = pairs[0][1].model if pairs else None
    expressions = f"{base.model} {changed or ''}"
    made = patches(workspace)
    shown = [p for p in made if p.manifest.id in expressions]
    used = {p.manifest.corpus for p in shown}
    in_use = [p.manifest.id for p in shown if p.state != "reverted"]
    page = render(
        ReportInput(
            title=f"codetemper report: {changed or base.model}",
            model_before=base.model,
            model_after=changed,
            facts=_facts(base.model, base.model_digest),
            suites=tuple(_suite(b, a) for b, a in runs),
            decision=decision,
            manifests=tuple(p.manifest for p in shown),
            corpora=tuple(c for c in corpora(workspace) if c.id in used),
            ledger=tuple(workspace.ledger.entries()),
            revert_command=f"codetemper revert {in_use[-1]}" if in_use else None,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
            studies=_studies(workspace, base.model),
            screenings=_screenings(workspace, base.model),
            refinements=_refinements(made, base.model, changed),
            repairs=_repairs(workspace, made, base.model, changed),
        )
    )
    path = out or workspace.root / "report.html"
    write_atomic(path, page.encode("utf-8", "replace"))
    workspace.ledger.append(
        "report",
        inputs={"before": base.model} | ({"after": changed} if changed else {}),
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
    return {
        "report": str(out or workspace.root / "report.html"),
        "runs": {b.scorecard.suite: [b.id, *([a.id] if a else [])] for b, a in runs},
    }


def _studies(workspace: Workspace, model: str) -> tuple[StudyResult, ...]:
    """Return the newest study of a model's base on each corpus."""
    base = str(parse(model).bare)
    found = {
        study.card.corpus: StudyResult(study.card, study.rows)
        for study in read_studies(workspace)
        if study.card.model == base
    }
    return tuple(found.values())


def _screenings(workspace: Workspace, model: str) -> tuple[ScreeningResult, ...]:
    """Return the newest screening of each data by guards of a model's base."""
    base = parse(model).bare
    found = {
        each.card.data: ScreeningResult(each.card, each.worst)
        for each in read_screenings(workspace)
        if parse(each.card.model).bare == base
    }
    return tuple(found.values())


def _refinements(
    made: list[PatchState], model: str, changed: str | None
) -> tuple[RefinementResult, ...]:
    """Return the refinements behind what is reported; of a base alone the newest on each suites."""
    base = parse(model).bare
    found = [
        RefinementResult(each.manifest.id, _refinement(each.manifest))
        for each in made
        if "chosen_round" in each.manifest.report and parse(each.manifest.base).bare == base
    ]
    worn = {*parse(model).patches, *parse(changed or model).patches}
    if not worn:
        return tuple({frozenset(each.refinement.suites): each for each in found}.values())
    return tuple(
        each
        for each in found
        if worn & {each.patch, *(round.patch for round in each.refinement.rounds)}
    )


def _refinement(manifest: PatchManifest) -> Refinement:
    try:
        return Refinement.model_validate(manifest.report)
    except ValueError as error:
        raise IntegrityError(
            f"the account of the rounds of {manifest.id} cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error


def _repairs(
    workspace: Workspace, made: list[PatchState], model: str, changed: str | None
) -> tuple[RepairResult, ...]:
    """Return the repairs that are reported; of a base alone those in use, newest by their data."""
    base = parse(model).bare
    worn = {*parse(model).patches, *parse(changed or model).patches}
    found = [
        each.manifest
        for each in made
        if each.manifest.verb == "repair"
        and parse(each.manifest.base).bare == base
        and (each.manifest.id in worn if worn else each.state != "reverted")
    ]
    if not worn:
        found = [*{manifest.corpus: manifest for manifest in found}.values()]
    return tuple(_repair(workspace, manifest) for manifest in found)


def _repair(workspace: Workspace, manifest: PatchManifest) -> RepairResult:
    path = workspace.patches / manifest.id / "failures.json"
    try:
        rows = json.loads(path.read_bytes())
        return RepairResult(
            manifest.id,
            manifest.base,
            Repair.model_validate(manifest.report),
            tuple(map(RepairedFailure.model_validate, rows)),
        )
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"what {manifest.id} repaired cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error


def _runs(workspace: Workspace, before: str, after: str | None) -> list[tuple[Run, Run | None]]:
    if after:
        return [*pair_runs(workspace, before, after)]
    return [(run, None) for run in find_scorecards(workspace, before).values()]


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
