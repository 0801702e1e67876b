# SPDX-License-Identifier: Apache-2.0
"""Labelled samples: both forms, languages, what is refused, and back again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.errors import UsageError
from codetemper.data.labelled import read_labelled, without_texts_of, write_labelled

C = "int f(int a) { return a + 1; }"
PYTHON = "def f(a):\n    return a\n"


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_classifiers_lines(tmp_path: Path) -> None:
    path = lines(tmp_path / "d.jsonl", {"func": C, "target": 1, "idx": 7}, {"func": C, "target": 0})
    first, second = read_labelled(path)
    assert (first.id, first.text, first.label, first.answer_start) == ("7", C, 1, None)
    assert (first.language, first.source, first.row) == ("c", "d.jsonl", 1)
    assert (second.label, second.row) == (0, 2)
    assert second.id != first.id


def test_a_decoders_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n" + json.dumps({"prompt": PYTHON[:10], "completion": PYTHON[10:]}) + "\n")
    (only,) = read_labelled(path)
    assert (only.text, only.answer_start, only.label) == (PYTHON, 10, None)
    assert (only.language, only.row) == ("python", 2)


def test_what_a_line_says_of_its_language_counts(tmp_path: Path) -> None:
    path = lines(tmp_path / "d", {"code": PYTHON, "label": 0}, {"code": C, "label": 0,
                 "language": "cpp"}, {"code": "¿qué?", "label": 1})  # fmt: skip
    assert [one.language for one in read_labelled(path)] == ["python", "cpp", "python"]


def test_there_and_back(tmp_path: Path) -> None:
    for rows in ([{"code": C, "label": 1, "id": "a"}], [{"prompt": "p ", "completion": "ç"}]):
        first = read_labelled(lines(tmp_path / "one.jsonl", *rows))
        write_labelled(tmp_path / "one.jsonl", first)
        assert read_labelled(tmp_path / "one.jsonl") == first


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "it holds no lines"),
        ([{"code": C, "label": "bad"}], "its label is 'bad'"),
        ([{"code": C, "label": -1}], "its label is -1"),
        ([{"code": C, "label": 0}, {"prompt": "a", "completion": "b"}], "it has no text"),
        ([{"prompt": "a", "completion": "b"}, {"code": C, "label": 0}], "no object with 'text'"),
        ([{"code": " ", "label": 0}], "it has no text"),
        ([{"code": C}], "its label is None"),
        ([{}], "it is no JSON object"),
        ([{"code": C, "label": 0, "language": "latin"}], "'language' is one of"),
        ([{"code": C, "label": 0, "id": 1}, {"code": PYTHON, "label": 0, "id": 1}], "two texts"),
        ([{"code": "\ud800", "label": 0}], "half of a surrogate pair"),
    ],
)
def test_what_is_no_sample_is_refused(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_labelled(lines(tmp_path / "bad.jsonl", *rows))
    assert said in refused.value.why


def test_a_file_without_samples_says_both_forms(tmp_path: Path) -> None:
    for rows in ([], [{}]):
        with pytest.raises(UsageError) as refused:
            read_labelled(lines(tmp_path / "bad.jsonl", *rows))
        assert '"label": 0' in refused.value.mend
        assert '"completion"' in refused.value.mend


def test_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_labelled(tmp_path / "none.jsonl")


def test_texts_are_compared_without_their_layout(tmp_path: Path) -> None:
    some = read_labelled(lines(tmp_path / "a", {"code": C, "label": 0}, {"code": PYTHON,
                         "label": 0}))  # fmt: skip
    others = read_labelled(lines(tmp_path / "b", {"code": C.replace(" ", "\n"), "label": 1}))
    assert [one.text for one in without_texts_of(some, others)] == [PYTHON]
