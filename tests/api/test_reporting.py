# SPDX-License-Identifier: Apache-2.0
"""What the report gathers of a workspace: audits of a model that was never evaluated."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.api import reporting
from codetemper.api.settling import settle_card
from codetemper.core.audits import AuditCard, AuditSample
from codetemper.core.chain import ROWS
from codetemper.core.disk import write_atomic
from codetemper.core.errors import UsageError
from codetemper.core.tables import TableWriter
from codetemper.core.workspace import Workspace
from tests.publish.audited import audit

MODEL = "hf:./defects"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "project")


def settled(workspace: Workspace, **changes: object) -> str:
    """Keep the audit of the page's tests in a workspace; return its id."""
    result = audit()
    card = AuditCard.model_validate(result.card.model_dump() | changes)
    quiet = result.listed[0].model_copy(update={"number": 1, "kind": "", "id": "not-listed"})
    with workspace.staged("audits") as folder:
        with TableWriter(folder / ROWS, AuditSample) as table:
            table.add([*result.listed, quiet])
        if result.map is not None:
            write_atomic(folder / "map.json", result.map.model_dump_json().encode())
        card, _ = settle_card(
            workspace, folder, "audits", card, "audit", inputs={"model": card.model}, note=""
        )
    return card.id


def test_a_model_that_was_audited_alone_has_a_report(workspace: Workspace) -> None:
    id = settled(workspace)
    assert reporting.plan(workspace, MODEL)["audits"] == [id]
    assert reporting.plan(workspace, MODEL)["runs"] == {}
    made = reporting.report(workspace, MODEL)
    page = made.path.read_text("utf-8")
    section = page[page.index('id="audit-title"') : page.index('id="able-title"')]
    assert id in section
    assert section.count('<tr id="audit-0-') == len(audit().listed)
    assert "not-listed" not in section
    assert 'class="map"' in section
    assert "No suite was run" in page
    assert made.decision is None
    assert workspace.verify() == []


def test_of_several_audits_the_newest_on_each_data_is_shown(workspace: Workspace) -> None:
    first = settled(workspace)
    second = settled(workspace, seconds=9.0, data_digest="a" * 64)
    other = settled(workspace, data="more.jsonl")
    settled(workspace, model="hf:./another")
    shown = reporting.plan(workspace, MODEL)["audits"]
    assert shown == [other, second]
    assert first not in shown


def test_what_was_neither_evaluated_nor_audited_has_none(workspace: Workspace) -> None:
    settled(workspace)
    with pytest.raises(UsageError, match="another"):
        reporting.report(workspace, "hf:./another")
    with pytest.raises(UsageError):
        reporting.report(workspace, "eval-000000")
