# SPDX-License-Identifier: Apache-2.0
"""General data beside fix pairs: what is read, drawn and learnt."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from codetemper.core.errors import UsageError
from codetemper.data.examples import Role
from codetemper.data.mixing import General, encode_general, read_general, sample
from tests.tiny import tiny_tokenizer

ROWS = (
    {"text": "a text"},
    {"instruction": "add", "input": "1 and 2", "output": "3"},
    {"prompt": "say", "completion": "so", "other": 1},
)


def test_rows_of_the_usual_forms_are_read(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in ROWS) + "\n\n"
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    expected = [General("", "a text"), General("add\n\n1 and 2", "3"), General("say", "so")]
    assert read_general(plain) == read_general(packed) == expected


@pytest.mark.parametrize("line", ["{", "[]", '{"instruction": "x"}', '{"text": 3}'])
def test_other_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + line)
    with pytest.raises(UsageError, match="line 2"):
        read_general(path)


def test_no_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_general(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="nothing in"):
        read_general(tmp_path / "empty.jsonl")


def test_the_share_is_of_all_examples() -> None:
    rows = [General("", str(number)) for number in range(100)]
    drawn = sample(rows, 60, share=0.25, seed=1)
    assert len(drawn) == 20
    assert len(set(drawn)) == 20
    assert drawn == sample(rows, 60, share=0.25, seed=1)
    assert drawn != sample(rows, 60, share=0.25, seed=2)
    assert len(sample(rows, 600, share=0.5, seed=1)) == 100


def test_instructions_are_masked_and_texts_are_not() -> None:
    tokenizer = tiny_tokenizer()
    asked, text = encode_general([General("add", "3"), General("", "a text")], tokenizer, 64)
    assert asked.fixed is not None
    assert text.fixed is not None
    learnt = [i for i, role in zip(asked.fixed.ids, asked.fixed.roles, strict=True) if role]
    assert tokenizer.decode(learnt[:-1]) == "3"
    assert learnt[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(text.fixed.ids[:-1]) == "a text"
    assert set(text.fixed.roles) == {Role.UNCHANGED}
    (long,) = encode_general([General("x" * 300, "y" * 300)], tokenizer, 64)
    assert long.fixed is not None
    assert len(long.fixed.ids) == 64
    assert long.fixed.roles.count(Role.PROMPT) == 16
