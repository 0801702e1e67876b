# SPDX-License-Identifier: Apache-2.0
"""The chain of a screening's rows: whatever is changed, the row is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from codetemper.core.accounts import ScreenedRow, ScreeningCard
from codetemper.core.chain import GENESIS, ROWS, broken_chain, link
from codetemper.core.tables import TableWriter

CARD = ScreeningCard(
    id="screening-0", model="seedling", model_digest="m", guards=("guard-1",), data="d.jsonl",
    data_digest="d", rows=5, scored=5, flagged=0, low=0, high=1, fpr=0.01, thresholds=(1.0,),
    calibrated="guards", head="", files={},
)  # fmt: skip


def chained(count: int) -> list[ScreenedRow]:
    """Return linked rows."""
    rows: list[ScreenedRow] = []
    for number in range(count):
        row = ScreenedRow(number=number, sample=f"s{number}", text="t", ratios=(0.5, number / 7))
        rows.append(link(row, rows[-1].seal if rows else GENESIS))
    return rows


def said(folder: Path, rows: list[ScreenedRow], head: str) -> list[str]:
    with TableWriter(folder / ROWS, ScreenedRow) as table:
        table.add(rows)
    return list(broken_chain(folder, CARD.model_copy(update={"head": head})))


def _relinked(rows: list[ScreenedRow]) -> list[ScreenedRow]:
    """Change a row and mend its own seal: the next row still tells."""
    changed = link(rows[2].model_copy(update={"flagged": True}), rows[2].prev)
    return [*rows[:2], changed, *rows[3:]]


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda r: [*r[:3], r[3].model_copy(update={"ratios": (0.5, 0.1)}), r[4]], "row 3 "),
        (_relinked, "row 3 "),
        (lambda r: [r[0], *r[2:]], "row 1 "),
        (lambda r: [r[0], r[2], r[1], *r[3:]], "row 1 "),
        (lambda r: r[:4], "ends after 4 rows, but 5 were written"),
        (lambda r: [*r, link(r[4].model_copy(update={"number": 5}), r[4].seal)], "ends after 6"),
    ],
)
def test_a_changed_row_is_named(
    tmp_path: Path, harm: Callable[[list[ScreenedRow]], list[ScreenedRow]], what: str
) -> None:
    rows = chained(5)
    assert said(tmp_path, rows, rows[-1].seal) == []
    (problem,) = said(tmp_path, harm(rows), rows[-1].seal)
    assert what in problem


def test_a_file_that_is_no_table_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / ROWS).write_bytes(b"PAR1 nothing PAR1")
    (problem,) = broken_chain(tmp_path, CARD)
    assert "cannot be read" in problem
