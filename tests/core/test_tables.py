# SPDX-License-Identifier: Apache-2.0
"""Records as Parquet: what is written comes back, in blocks, under one digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetemper.core.records import Case, Finding, FixPair, Verdict
from codetemper.core.tables import TableWriter, read_table

FINDING = Finding(rule="r", message="m", cwe="CWE-78", line=3)
VERDICTS = [
    Verdict(case=f"c{i}", valid="pass", function="fail", security="unknown", judge="j/1",
            findings=(FINDING,) * (i % 2), failure="wrong" if i else None, seconds=i / 3,
            scores={"bleu": i / 7}, flags=("exit",) * (i % 3))
    for i in range(5)
]  # fmt: skip


def write(path: Path, *blocks: list[Verdict]) -> str:
    with TableWriter(path, Verdict, aside=frozenset({"seconds"})) as table:
        for block in blocks:
            table.add(block)
    assert table.rows == sum(map(len, blocks))
    return table.digest


def test_rows_come_back_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    write(path, VERDICTS)
    blocks = list(read_table(path, Verdict, block=2))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert [row for block in blocks for row in block] == VERDICTS


def test_the_digest_is_of_the_rows_and_not_of_blocks_nor_of_what_is_aside(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    whole = write(path, VERDICTS)
    assert write(path, VERDICTS[:2], [], VERDICTS[2:]) == whole
    assert write(path, [v.model_copy(update={"seconds": 9.0}) for v in VERDICTS]) == whole
    assert write(path, VERDICTS[::-1]) != whole


def test_fields_that_some_rows_leave_out(tmp_path: Path) -> None:
    plain = Case(id="a", prompt="p", language="c", judge="exact", spec={"x": [1, None]})
    asked = plain.model_copy(update={"id": "b", "answer": "program", "stop": ("\n",)})
    with TableWriter(tmp_path / "c.parquet", Case) as table:
        table.add([plain, asked])
    assert [row for block in read_table(tmp_path / "c.parquet", Case) for row in block] == [
        plain, asked,
    ]  # fmt: skip


def test_spans_of_pairs_survive(tmp_path: Path) -> None:
    pair = FixPair(id="0", language="c", before="a", after="b", body_start=0, name="f", path="f.c",
                   repository="r", commit="0" * 40, date="2024-01-01",
                   changed_spans_after=((0, 1), (3, 9)), changed_lines_after=(0, 2))  # fmt: skip
    with TableWriter(tmp_path / "p.parquet", FixPair) as table:
        table.add([pair])
    assert next(read_table(tmp_path / "p.parquet", FixPair)) == [pair]


def test_other_rows_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "v.parquet", VERDICTS)
    with pytest.raises(ValueError, match="prompt"):
        list(read_table(tmp_path / "v.parquet", Case))


def test_a_broken_off_table_is_none(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"

    def break_off() -> None:
        with TableWriter(path, Verdict) as table:
            table.add(VERDICTS)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert not path.exists()
