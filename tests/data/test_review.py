# SPDX-License-Identifier: Apache-2.0
"""Pairs written for people, and what they chose read back: both forms, and every bad row named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import PreferencePair
from codetemper.data.review import LABELS, as_lines, as_tasks, blinded, read_choices

PAIRS = [
    PreferencePair(
        id=f"pair{n:02}", case=f"c{n}", prompt="def f(x):\n", chosen=f"    return '\u00e9{n}'\n",
        rejected=f"    return -{n}\n", language="python", because="execution", failure="wrong",
        chosen_count=3, rejected_count=2,
    )
    for n in range(40)
]  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The better answer of the first ten, the worse of the next ten, then neither, then open."""
    path = tmp_path / "look.jsonl"
    path.write_bytes(as_lines(blinded(PAIRS, seed=0)))
    rows = lines(path)
    for row, pair in zip(rows[:30], PAIRS, strict=False):
        number = int(pair.id[4:])
        wanted = pair.chosen if number < 10 else pair.rejected
        row["choice"] = "neither" if number >= 20 else ["right", "left"][row["left"] == wanted]
    rows[0]["choice"] = f" {rows[0]['choice'].upper()} "
    rows[0]["note"] = "seen twice"
    return write(path, rows)


def test_nothing_tells_which_answer_is_the_better_one() -> None:
    rows = list(blinded(PAIRS, seed=0))
    left = sum(row["left"] == pair.chosen for row, pair in zip(rows, PAIRS, strict=True))
    assert 10 <= left <= 30
    assert all(row.keys() == {"pair", "case", "language", "prompt", "left", "right"}
               for row in rows)  # fmt: skip
    assert rows == list(blinded(PAIRS, seed=0)) != list(blinded(PAIRS, seed=1))


def test_lines_come_back_as_choices(filled: Path) -> None:
    found = read_choices(filled, PAIRS)
    assert found.counts == {"kept": 10, "turned": 10, "neither": 10, "open": 10, "divided": 0}
    kept, turned = found.pairs[0], found.pairs[10]
    assert (kept.chosen, kept.failure, kept.because) == (PAIRS[0].chosen, "wrong", "human")
    assert (turned.chosen, turned.rejected) == (PAIRS[10].rejected, PAIRS[10].chosen)
    assert (turned.chosen_count, turned.rejected_count, turned.failure) == (2, 3, None)
    assert len({pair.id for pair in found.pairs} - {pair.id for pair in PAIRS}) == 20


def test_label_studio_shows_the_tasks_and_its_exports_come_back(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_bytes(as_tasks(blinded(PAIRS[:5], seed=0)))
    tasks = json.loads(path.read_bytes())
    shown = ElementTree.fromstring(LABELS)
    values = {tag.get("value", "")[1:] for tag in shown.iter("Text")}
    assert values == {"prompt", "left", "right"} <= tasks[0]["data"].keys()
    assert [tag.get("value") for tag in shown.iter("Choice")] == ["left", "right", "neither"]

    def made(word: str, **more: Any) -> dict[str, Any]:
        result = {"from_name": "choice", "to_name": "prompt", "type": "choices",
                  "value": {"choices": [word]}}  # fmt: skip
        return {"result": [result], "was_cancelled": False} | more

    told = [["left"], ["right", "right"], ["left", "right"], [], ["neither"]]
    for task, words in zip(tasks, told, strict=True):
        task |= {"id": 7, "annotations": [made(word) for word in words], "predictions": []}
    tasks[3]["annotations"] = [made("left", was_cancelled=True), {"result": []}]
    path.write_text(json.dumps(tasks))
    found = read_choices(path, PAIRS)
    assert [pair.case for pair in found.pairs] == ["c0", "c1"]
    assert found.pairs[0].chosen == tasks[0]["data"]["left"]
    assert found.pairs[1].chosen == tasks[1]["data"]["right"]
    assert found.counts["divided"] == found.counts["neither"] == 1

    flat = [task["data"] | {"id": 7, "annotator": 1, "choice": word}
            for task, words in zip(tasks, told, strict=True) for word in words]  # fmt: skip
    path.write_text(json.dumps(flat, indent=1))
    assert read_choices(path, PAIRS) == found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"choice": "both"}, "its choice is 'both'"),
        ({"choice": 1}, "its choice is 1"),
        ({"pair": "pair99"}, "no pair 'pair99'"),
        ({"left": "    return 0\n"}, "its answers are not those of the pair"),
    ],
)
def test_a_bad_line_is_named(filled: Path, change: dict[str, Any], why: str) -> None:
    rows = lines(filled)
    rows[2] |= change
    with pytest.raises(UsageError) as caught:
        read_choices(write(filled, rows), PAIRS)
    assert f"line 3 of {filled}" in caught.value.what
    assert why in caught.value.why
    assert caught.value.mend


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}\n", "line 1"),
        ("not json\n", "line 1"),
        ("[1]", "task 1"),
        ('[{"data": {"pair": "x"}}]', "task 1"),
        ("[{]", "is not JSON"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_choices(path, PAIRS)
    assert what in caught.value.what
    with pytest.raises(UsageError, match="cannot read"):
        read_choices(tmp_path / "none.jsonl", PAIRS)
