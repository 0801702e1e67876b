# SPDX-License-Identifier: Apache-2.0
"""The verb ``study tune``: the tables of a study of tuning, as one command that can be resumed.

Methods, granularities, sizes and seeds make cells; each is tuned and evaluated once, whatever
happens in between. What they add up to (``evaluate.study_rows``) is settled as a study: Parquet
with one row a number, a card, and a line in the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from codetemper.api.models import load_model, refuse_required
from codetemper.api.runs import read_rows
from codetemper.api.settling import read_settled, settle_card
from codetemper.api.study_cells import Cells
from codetemper.api.study_parts import StudyConfig
from codetemper.core.accounts import StudyCard, StudyRow
from codetemper.core.records import Event, OnEvent, ignore_events
from codetemper.core.tables import TableWriter
from codetemper.core.workspace import Workspace
from codetemper.evaluate.study_rows import Cell, Setting, Table
from codetemper.judges import JudgeOptions

__all__ = ["Studied", "StudyConfig", "plan_study", "read_studies", "study_tuning"]

_DATA = "data.parquet"


@dataclass(frozen=True)
class Studied:
    """A study and where it lies.

    Attributes:
        card: what it says of itself.
        rows: its numbers.
        folder: where it lies.
    """

    card: StudyCard
    rows: tuple[StudyRow, ...]
    folder: Path


def study_tuning(
    workspace: Workspace,
    model: str,
    corpus: str,
    config: StudyConfig,
    *,
    options: JudgeOptions | None = None,
    device: str = "cpu",
    on_event: OnEvent = ignore_events,
) -> Studied:
    """Tune and evaluate every cell of a study that is not there yet, and write its table.

    Args:
        workspace: holds the corpus; gets patches, runs, the study, and their ledger entries.
        model: expression of the base, without patches.
        corpus: id of the corpus of fix pairs, or its beginning, or a folder.
        config: what is compared.
        options: of the judges.
        device: torch device name.
        on_event: progress; ``stage="study"`` events count cells.

    Raises:
        UsageError: a base with patches, an unknown corpus or suite, settings that cannot be.
        CannotKnowError: a judge cannot work here.
    """
    start = time.monotonic()
    refuse_required(workspace, "study tune")
    cells = Cells(
        workspace,
        model,
        corpus,
        config,
        options=options or JudgeOptions(),
        device=device,
        on_event=on_event,
    )
    order = list(_cells(cells))
    made: list[Cell] = []
    with load_model(workspace, cells.model, device=device) as cells.handle:
        for number, (setting, seed) in enumerate(order):
            note = f"{setting.label}, seed {seed}"
            on_event(Event(stage="study", done=number, total=len(order), unit="cells", note=note))
            made.append(cells.make(setting, seed))
        on_event(Event(stage="study", done=len(order), total=len(order), unit="cells"))
        digest = cells.handle.loaded.digest
    table = Table(made, cells.families, config.margin)
    card = StudyCard(
        id="study",
        model=cells.model,
        model_digest=digest,
        corpus=cells.card.id,
        corpus_digest=cells.card.data_digest,
        rows=0,
        config=config.model_dump(mode="json", exclude={"schema_version"}),
        enough=table.enough(),
        files={},
        seconds=round(time.monotonic() - start, 3),
    )
    return _write(workspace, card, table.rows())


def plan_study(
    workspace: Workspace, model: str, corpus: str, config: StudyConfig
) -> dict[str, Any]:
    """Return the cells of a study and which of them are tuned already; writes nothing.

    Raises:
        UsageError: as ``study_tuning``.
    """
    refuse_required(workspace, "study tune")
    options = JudgeOptions()
    cells = Cells(
        workspace, model, corpus, config, options=options, device="cpu", on_event=ignore_events
    )
    shown = []
    for setting, seed in _cells(cells):
        if not setting.method and not setting.then:
            continue
        manifest, noted = cells.settled(setting, seed)
        state = manifest.id if manifest else "failed" if "failed" in noted else "to do"
        pairs = cells.taught(setting, seed)
        shown.append({"setting": setting.label, "seed": seed, "pairs": pairs, "patch": state})
    return {
        "model": cells.model,
        "corpus": cells.card.id,
        "cells": len(shown),
        "tuned": sum(cell["patch"] not in ("to do", "failed") for cell in shown),
        "evaluations": sum(len(cells.asked(setting)) for setting, _ in _cells(cells)),
        "config": config.model_dump(mode="json", exclude={"schema_version"}),
        "plan": shown,
    }


def read_studies(workspace: Workspace) -> list[Studied]:
    """Return the studies of a workspace, in the order the ledger knows them.

    Raises:
        IntegrityError: one cannot be read.
    """

    def read(card: StudyCard, folder: Path) -> Studied:
        return Studied(card, tuple(read_rows(folder / _DATA, StudyRow)), folder)

    return read_settled(workspace, "studies", read)


def _cells(cells: Cells) -> Iterator[tuple[Setting, int]]:
    """Yield settings and seeds in the order they are made: the base first, whole data next."""
    config = cells.config
    plain = [
        Setting(method, granularity, size)
        for size in sorted(set(config.sizes), reverse=True)
        for granularity in dict.fromkeys(config.granularities)
        for method in dict.fromkeys(config.methods)
    ]
    settings = [Setting("", "", 0), *plain]
    whole = [setting for setting in plain if setting.size == max(config.sizes)]
    if config.leave_one_out:
        families = sorted({f for found in cells.families.values() for f in found})
        settings += [replace(s, without=family) for family in families for s in whole]
    if config.then:
        settings += [Setting("", "", 0, then=True), *(replace(s, then=True) for s in whole)]
    for setting in settings:
        for seed in dict.fromkeys(config.seeds):
            yield setting, seed


def _write(workspace: Workspace, card: StudyCard, rows: list[StudyRow]) -> Studied:
    with workspace.staged("studies") as folder:
        with TableWriter(folder / _DATA, StudyRow) as table:
            table.add(rows)
        card, home = settle_card(
            workspace,
            folder,
            "studies",
            card.model_copy(update={"rows": len(rows)}),
            "study",
            inputs={
                "model": card.model,
                "model_digest": card.model_digest,
                "corpus": card.corpus,
                "corpus_digest": card.corpus_digest,
            },
            note=f"{len(rows)} numbers",
        )
    return Studied(card, tuple(rows), home)
