# SPDX-License-Identifier: Apache-2.0
"""Corpora on disk: round trip, determinism, every changed byte found."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.core.digests import digest_folder
from codetemper.core.errors import IntegrityError, UsageError
from codetemper.core.records import Completion, Event, FixPair, Record, Verdict
from codetemper.core.tables import rows_digest
from codetemper.core.workspace import Workspace
from codetemper.data.corpus import CARD, DATA, read_corpus, verify_corpus, write_corpus


def pair(number: int = 0, **changes: object) -> FixPair:
    plain = {
        "id": f"pair-{number}",
        "language": "c",
        "before": "int f(void) {\n}\n",
        "after": f"int f(void) {{\n  return {number};\n}}\n",
        "body_start": 14,
        "changed_lines_after": (1, 2),
        "name": "f",
        "path": "ü.c",
        "repository": "project",
        "commit": "0" * 40,
        "date": "2024-01-01T00:00:00+00:00",
    }
    return FixPair.model_validate({**plain, **changes})


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [pair(0), pair(1, cwe="CWE-787"), pair(2, changed_lines_after=())]
    card = write_corpus(
        tmp_path,
        rows,
        verb="mine",
        sources=("https://example.org/p",),
        counts={"cwe": {"CWE-787": 1}},
        config={"languages": ("c",)},
        seconds=1.5,
    )
    found, back = read_corpus(tmp_path)
    assert back == rows
    assert found == card == verify_corpus(tmp_path)
    assert card.id.startswith("mine-")
    assert (card.rows, card.record) == (3, "FixPair")


def test_columns_are_real_ones(tmp_path: Path) -> None:
    write_corpus(tmp_path, [pair(0)])
    schema = pq.read_schema(tmp_path / DATA)
    assert str(schema.field("body_start").type) == "int64"
    assert str(schema.field("changed_lines_after").type).startswith("list<")
    assert set(schema.names) == set(FixPair.model_fields)


def test_records_with_nested_fields_round_trip(tmp_path: Path) -> None:
    rows: list[Record] = [
        Verdict.model_validate(
            {
                "case": "a", "valid": "pass", "function": "fail", "security": "unknown",
                "judge": "x", "scores": {"bleu": 0.5}, "failure": "wrong",
                "findings": [{"rule": "asan:x", "message": "m", "line": 3}],
            }
        )
    ]  # fmt: skip
    write_corpus(tmp_path, rows, verb="eval")
    assert read_corpus(tmp_path)[1] == rows


def test_the_same_rows_have_the_same_id_whatever_it_took(tmp_path: Path) -> None:
    cards = []
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        cards.append(write_corpus(tmp_path / name, [pair(0), pair(1)], seconds=seconds))
    assert cards[0].id == cards[1].id
    assert (tmp_path / "a" / DATA).read_bytes() == (tmp_path / "b" / DATA).read_bytes()
    other = write_corpus(tmp_path / "b", [pair(1), pair(0)])
    assert other.data_digest != cards[0].data_digest


@settings(max_examples=25)
@given(texts=st.lists(st.text(), min_size=1, max_size=4))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    rows = [pair(i, after=text, body_start=0) for i, text in enumerate(texts)]
    write_corpus(folder, rows)
    assert read_corpus(folder)[1] == rows


def test_rows_come_from_a_stream_in_groups(tmp_path: Path) -> None:
    rows = [pair(i) for i in range(2500)]
    card = write_corpus(tmp_path, iter(rows), beside={"curation.json": b"{}"})
    assert pq.ParquetFile(tmp_path / DATA).num_row_groups == 3
    assert read_corpus(tmp_path)[1] == rows
    assert (card.rows, card.data_digest) == (2500, rows_digest(rows))
    (tmp_path / "curation.json").write_bytes(b"[]")
    with pytest.raises(IntegrityError, match="damaged"):
        verify_corpus(tmp_path)


def test_a_foreign_row_far_down_the_stream_leaves_nothing(tmp_path: Path) -> None:
    rows = [*(pair(i) for i in range(1100)), Completion(case="a", text="b")]
    with pytest.raises(UsageError, match="do not make a corpus"):
        write_corpus(tmp_path, rows)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_or_mixed_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        write_corpus(tmp_path, [])
    with pytest.raises(UsageError, match="do not make a corpus"):
        write_corpus(tmp_path, [pair(0), Completion(case="a", text="b")])
    with pytest.raises(UsageError, match="do not make a corpus"):
        write_corpus(tmp_path, [Event(stage="x")])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_every_changed_byte_of_the_data_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: float, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, [pair(0), pair(1)])
    content = bytearray((folder / DATA).read_bytes())
    content[int(place * len(content))] ^= flip
    (folder / DATA).write_bytes(bytes(content))
    with pytest.raises(IntegrityError):
        verify_corpus(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "mine-000000000000"), ("rows", 3), ("record", "Verdict"), ("data_digest", "0" * 64),
     ("sources", ["else"]), ("counts", {"cwe": {"CWE-1": 1}}), ("config", {"a": 2}),
     ("files", {}), ("surplus", 1)],
)  # fmt: skip
def test_every_changed_statement_of_the_card_is_found(
    tmp_path: Path, field: str, value: object
) -> None:
    write_corpus(tmp_path, [pair(0), pair(1)], config={"a": 1})
    card = json.loads((tmp_path / CARD).read_bytes())
    (tmp_path / CARD).write_text(json.dumps({**card, field: value}))
    with pytest.raises(IntegrityError):
        verify_corpus(tmp_path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a corpus"):
        read_corpus(tmp_path / "nowhere")
    write_corpus(tmp_path, [pair(0)])
    (tmp_path / "extra").write_text("x")
    with pytest.raises(IntegrityError, match="damaged"):
        read_corpus(tmp_path)
    (tmp_path / "extra").unlink()
    (tmp_path / DATA).unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        read_corpus(tmp_path)


def test_a_settled_corpus_verifies_in_its_workspace(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path)
    with workspace.staged("corpora") as staged:
        card = write_corpus(staged, [pair(0)])
        place = workspace.settle(staged, "corpora", card.id)
    workspace.ledger.append("mine", outputs={f"corpus:{card.id}": digest_folder(place)})
    assert read_corpus(place)[0].id == card.id
    assert workspace.verify() == []
    (place / DATA).write_bytes(b"PAR1")
    assert workspace.verify() != []
