# SPDX-License-Identifier: Apache-2.0
"""What a workspace knows of a model beside its runs: studies, screenings, patches, audits.

Each function returns what one section of the report shows. Nothing here writes or loads a model.
"""

from __future__ import annotations

import json

from codetemper.api.account import PatchState
from codetemper.api.auditing import read_audits
from codetemper.api.screening import read_screenings
from codetemper.api.study import read_studies
from codetemper.core.accounts import PatchManifest
from codetemper.core.errors import IntegrityError
from codetemper.core.refinement import Refinement
from codetemper.core.repairs import FAILURES, Failure, Repair
from codetemper.core.workspace import Workspace
from codetemper.models.expression import parse
from codetemper.publish.inputs import (
    AuditResult,
    RefinementResult,
    RepairResult,
    ScreeningResult,
    StudyResult,
)


def studies_of(workspace: Workspace, model: str) -> tuple[StudyResult, ...]:
    """Return the newest study of a model's base on each corpus."""
    base = str(parse(model).bare)
    found = {
        study.card.corpus: StudyResult(study.card, study.rows)
        for study in read_studies(workspace)
        if study.card.model == base
    }
    return tuple(found.values())


def screenings_of(workspace: Workspace, model: str) -> tuple[ScreeningResult, ...]:
    """Return the newest screening of each data by guards of a model's base."""
    base = parse(model).bare
    found = {
        each.card.data: ScreeningResult(each.card, each.worst)
        for each in read_screenings(workspace)
        if parse(each.card.model).bare == base
    }
    return tuple(found.values())


def refinements_of(
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


def repairs_of(
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
    path = workspace.patches / manifest.id / FAILURES
    try:
        rows = json.loads(path.read_bytes())
        return RepairResult(
            manifest.id,
            manifest.base,
            Repair.model_validate(manifest.report),
            tuple(map(Failure.model_validate, rows)),
        )
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"what {manifest.id} repaired cannot be read",
            why=str(error).splitlines()[0],
            mend="codetemper verify",
        ) from error


def audits_of(workspace: Workspace, model: str, changed: str | None) -> tuple[AuditResult, ...]:
    """Return the newest audit of each of the models on each data, the changed model's first."""
    found = {
        (each.card.model, each.card.data): AuditResult(each.card, each.listed, each.map)
        for each in read_audits(workspace)
        if each.card.model in (model, changed)
    }
    return tuple(sorted(reversed(found.values()), key=lambda each: each.card.model != changed))
