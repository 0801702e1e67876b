# SPDX-License-Identifier: Apache-2.0
"""Two answers beside each other: nothing is lost, what differs is marked, what is long is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codetemper.publish.answers import COLUMNS, LINES, Line, compared, lines

TEXTS = st.text(alphabet="ab =\n\t\u202e(", max_size=60)


def text_of(shown: tuple[Line, ...]) -> str:
    return "\n".join("".join(run.text for run in line.runs) for line in shown)


def changed_of(line: Line) -> list[str]:
    return [run.text for run in line.runs if run.changed]


@given(TEXTS, TEXTS)
def test_nothing_is_lost_and_equal_lines_are_not_marked(before: str, after: str) -> None:
    sides = compared(before, after)
    for text, shown in zip((before, after), sides, strict=True):
        whole = text.removesuffix("\n").replace("\u202e", "U+202E")
        assert text_of(shown) == whole
        assert [line.number for line in shown] == list(range(1, len(shown) + 1))
    kept = [[text_of((line,)) for line in shown if not line.kind] for shown in sides]
    assert kept[0] == kept[1], "what is not marked stands in both"


def test_single_words_are_marked_where_lines_are_alike() -> None:
    old = "SELECT name FROM movies WHERE id = 3\nLIMIT 1\n"
    before, after = compared(old, old.replace("id", "studio_id"))
    assert (before[0].kind, after[0].kind) == ("del", "add")
    assert (changed_of(before[0]), changed_of(after[0])) == (["id"], ["studio_id"])
    assert before[1].kind == after[1].kind == ""


def test_unlike_lines_are_marked_as_a_whole() -> None:
    before, after = compared("return total\n", "raise ValueError(key)\n")
    assert (before[0].kind, after[0].kind) == ("del", "add")
    assert changed_of(before[0]) == changed_of(after[0]) == []


def test_what_cannot_be_seen_is_named_also_inside_a_change() -> None:
    _, after = compared("x = user\n", "x = us\u202eer\n")
    assert [run.text for run in after[0].runs if run.hidden] == ["U+202E"]


def test_a_long_answer_is_cut_and_says_so() -> None:
    before, after = compared("a\n" * 5000, "b" * 5000 + "\n")
    assert len(before) == LINES + 1
    assert (before[-1].number, text_of(before[-1:])) == (0, "4940 more lines")
    assert text_of(after) == "b" * COLUMNS + " [4600 more characters]"


def test_an_empty_answer_has_no_lines() -> None:
    assert lines("") == ()
    assert compared("", "x\n")[1][0].kind == "add"
