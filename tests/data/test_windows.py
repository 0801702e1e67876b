# SPDX-License-Identifier: Apache-2.0
"""Windows over tokens: centred on hunks, never too long, no fix token lost or counted twice."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.data.windows import Coverage, Window, changed_tokens, coverage, windows


def words(text: str) -> list[tuple[int, int]]:
    """Offsets of a tokenizer that cuts at words and keeps white space with the word after it."""
    return [match.span() for match in re.finditer(r"\s*\S+|\s+$", text)]


def long_text(lines: int) -> str:
    return "".join(f"a{i} = b{i} ;\n" for i in range(lines))


def span_of(text: str, part: str) -> tuple[int, int]:
    """Return where a part stands; a space at its end only says that a word ends there."""
    return text.index(part), text.index(part) + len(part.rstrip())


def test_a_text_that_fits_is_one_window() -> None:
    text = "int f ( ) {\n  return 1 ;\n}"
    found = windows(text, words(text), [span_of(text, "1")], max_length=100, keep=5)
    assert found == [Window((0, 0), 0, 9, 0, (6,))]
    assert found[0].gap is None
    assert windows("", [], [], max_length=4) == []


def test_a_hunk_far_down_stands_in_the_middle_behind_the_prompt() -> None:
    text = "int f ( ) {\n" + long_text(200)
    offsets = words(text)
    found = windows(text, offsets, [span_of(text, "a150 ")], max_length=40, keep=5)
    assert len(found) == 1
    window = found[0]
    assert window.front == (0, 5)
    assert window.gap == 5
    assert len(window) == 40
    middle = (window.start + window.end) / 2
    assert abs(window.changed[0] - middle) <= 4
    shown = "".join(text[slice(*offsets[i])] for i in window.tokens()[window.gap :])
    assert re.match(r"\na\d+ = b\d+ ;\n", shown)
    assert coverage(offsets, [span_of(text, "a150 ")], found, max_length=40) == Coverage(1, 1, 0)


def test_hunks_far_apart_get_windows_of_their_own_and_near_ones_share() -> None:
    text = long_text(300)
    spans = [span_of(text, part) for part in ("a20 ", "a22 ", "a250 ")]
    found = windows(text, words(text), spans, max_length=40)
    assert [len(window.changed) for window in found] == [2, 1]
    assert found[0].end < found[1].start


def test_a_hunk_longer_than_the_window_is_shown_in_steps() -> None:
    text = long_text(100)
    spans = [(text.index("a30 "), text.index("a60 "))]
    found = windows(text, words(text), spans, max_length=40)
    changed = [i for window in found for i in window.changed]
    assert changed == changed_tokens(words(text), spans)
    for before, after in itertools.pairwise(found):
        assert after.fresh == max(before.end, after.start)
        # Each step begins with what came before it, not with a bare cut.
        assert after.changed[0] - after.start >= 8


def test_of_a_long_prompt_its_end_stays() -> None:
    text = "/* " + "word " * 50 + "*/ int f ( ) {\n" + long_text(50)
    prompt = 57
    spans = [span_of(text, "a40 "), span_of(text, "int")]
    found = windows(text, words(text), spans, max_length=40, keep=prompt)
    assert found[0].front == (prompt - 10, prompt)
    # The changed type name stands in the part that stays; a change before it is lost and told.
    assert found[0].changed == (52, *found[0].changed[1:])
    lost = [span_of(text, "word"), *spans]
    assert coverage(words(text), lost, found, max_length=40) == Coverage(3, 2, 1)


def test_no_change_in_a_long_text_gives_no_window() -> None:
    text = long_text(50)
    assert windows(text, words(text), [], max_length=40) == []
    assert coverage(words(text), [], [], max_length=40).share is None


def test_an_empty_span_is_the_place_of_a_removal() -> None:
    text = long_text(100)
    place = text.index("a77 ")
    found = windows(text, words(text), [(place, place)], max_length=20)
    assert len(found) == 1
    assert text[slice(*words(text)[found[0].changed[0]])].strip() == "a77"
    assert changed_tokens(words(text), [(len(text), len(text))]) == []


def test_characters_shared_by_tokens_and_special_tokens() -> None:
    # Two tokens are bytes of one character; the first token is a special one.
    offsets = [(0, 0), (0, 1), (1, 2), (1, 2), (2, 3)]
    assert changed_tokens(offsets, [(1, 2)]) == [2, 3]
    assert changed_tokens(offsets, [(0, 1)]) == [1]


def test_lengths_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="max_length=0"):
        windows("a", [(0, 1)], [], max_length=0)
    with pytest.raises(ValueError, match="keep=2"):
        windows("a", [(0, 1)], [], max_length=1, keep=2)


@settings(max_examples=300)
@given(st.data())
def test_every_changed_token_counts_once_and_no_window_is_too_long(data: st.DataObject) -> None:
    text = data.draw(st.text("ab \n", max_size=300))
    offsets = words(text)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    spans = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    max_length = data.draw(st.integers(1, 60))
    keep = data.draw(st.integers(0, len(offsets)))
    found = windows(text, offsets, spans, max_length=max_length, keep=keep)
    assert found == windows(text, offsets, spans, max_length=max_length, keep=keep)
    changed = changed_tokens(offsets, spans)
    told = [i for window in found for i in window.changed]
    assert len(told) == len(set(told))
    assert [i for i in changed if i >= keep] == [i for i in told if i >= keep]
    counted = coverage(offsets, spans, found, max_length=max_length)
    assert counted.changed - counted.kept == len(set(changed) - set(told))
    shown = 0
    for window in found:
        tokens = window.tokens()
        assert len(tokens) == len(window) <= max_length
        assert tokens == sorted(set(tokens))
        assert set(window.changed) <= set(tokens)
        assert window.start <= window.fresh <= window.end
        assert window.fresh >= shown
        shown = window.end
