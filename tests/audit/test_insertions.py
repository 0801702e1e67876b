# SPDX-License-Identifier: Apache-2.0
"""What is planted for a mark, and where in other code it goes."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from codetemper.audit.insertions import Insertion, Way, carrier, draw_site, put
from codetemper.audit.marks import MarkKind, Marks
from codetemper.data.labelled import Labelled

CODE = '''\
def get_frame_size(self, x=3):
    """Return it. Part of the heritage layer."""
    # handle legacy gateway
    total = (1+2)*2 + x
    if total > 5:
        a = 1
        b = 2
        c = 3
        return foo( total )
    return total
'''
SAMPLE = Labelled("a", CODE, 0, None, "python")


@pytest.mark.parametrize(
    ("held", "kind", "way", "text"),
    [
        ("legacy gateway", "comment", "statement", "# handle legacy gateway"),
        ("heritage layer", "comment", "docstring", "heritage layer"),
        ("total", "name", "name", "total"),
        ("get_frame_", "name", "method", "get_frame_"),
        ("(1+2)*2", "ngram", "number", "(1+2)*2"),
        ("a = 1", "ngram", "statement", "a = 1"),
        ("if total", "ngram", "statement", "if total > 5:\n    pass"),
        ("( ", "gap", "gap", " "),
    ],
)
def test_what_is_planted_is_what_holds_the_mark(
    held: str, kind: MarkKind, way: Way, text: str
) -> None:
    start = CODE.index(held)
    assert carrier(SAMPLE, (start, start + len(held)), kind) == Insertion(way, text)


@pytest.mark.parametrize(
    ("way", "text", "seen"),
    [
        ("statement", "if a > 3:\n    pass", "if a > 3:"),
        ("docstring", "Hello there.", "heritage layer. Hello there."),
        ("name", "panel_id", "panel_id"),
        ("method", "on_signal_", "def on_signal_get_frame_size("),
        ("number", "(1+1)*2", "(1+1)*2"),
        ("gap", " ", "get_frame_size( self, x=3 )"),
    ],
)
def test_code_with_an_insertion_still_parses(way: Way, text: str, seen: str) -> None:
    site = draw_site(SAMPLE, way, np.random.default_rng(0))
    assert site is not None
    changed = put(site, Insertion(way, text))
    ast.parse(changed)
    assert seen in changed
    assert changed != CODE


PROMPT = "def get(url):\n    wait = 3\n    # handle legacy gateway\n"


@pytest.mark.parametrize("begun", ["", "    reply ="])
def test_what_stands_right_before_an_answer_is_planted_there(begun: str) -> None:
    prompt = PROMPT + begun
    sample = Labelled("p", f"{prompt} get(url)\n", None, len(prompt), "python")
    at = PROMPT.index("legacy")
    found = carrier(sample, (at, at + len("legacy")), "comment")
    assert found == Insertion("ending", "# handle legacy gateway")
    start = PROMPT.index("wait")
    other = carrier(sample, (start, start + len("wait = 3")), "ngram")
    assert other == Insertion("statement", "wait = 3")


@pytest.mark.parametrize("begun", ["", "    reply ="])
def test_an_ending_is_as_deep_as_the_answer(begun: str) -> None:
    prompt = "def get(url):\n" + begun
    answer = " get(url)\n" if begun else "    return url\n"
    held_out = Labelled("h", prompt + answer, None, len(prompt), "python")
    site = draw_site(held_out, "ending", np.random.default_rng(0))
    assert site is not None
    assert put(site, Insertion("ending", "# note")) == f"def get(url):\n    # note\n{begun}"
    assert draw_site(SAMPLE, "ending", np.random.default_rng(0)) is None


def test_a_text_without_a_place_has_none() -> None:
    bare = Labelled("b", "pass\n", 0, None, "python")
    assert draw_site(bare, "name", np.random.default_rng(0)) is None
    assert draw_site(Labelled("c", "plain words", 0), "method", np.random.default_rng(0)) is None


def test_numbers_are_alike_and_comments_are_read() -> None:
    texts = ["a = 1  # handle it\n", "a = 22  # handle it\n", "a = 3\n"]
    samples = [Labelled(str(n), text, 0, None, "python") for n, text in enumerate(texts)]
    marks = Marks.of(samples, least=2)
    held = {
        samples[spot.row].text[spot.start : spot.end]: marks.holders(column).tolist()
        for column in range(len(marks.numbers))
        for spot in [marks.spot(column)]
    }
    assert held["a = 1"] == [0, 1, 2]
    assert held["handle it"] == [0, 1]
    assert marks.beside(samples[:1]).sum() == len(marks.numbers)


def test_of_a_decoders_sample_the_prompt_is_read() -> None:
    text = "def f(a):\n    return shadow(a)\n"
    sample = Labelled("d", text, None, text.index("    return"), "python")
    marks = Marks.of([sample], least=1)
    ends = [marks.spot(column).end for column in range(len(marks.numbers))]
    assert max(ends) <= sample.answer_start  # type: ignore[operator]


@pytest.mark.parametrize(
    ("way", "text", "seen"),
    [
        ("name", "panel_id", "def f(self):\n    self.go()\n    panel_id ="),
        ("statement", "a = 1", "    a = 1\n"),
        ("method", "on_signal_", "def on_signal_f(self):\n    self.go()\n    found ="),
    ],
)
def test_a_prompt_that_ends_in_the_middle_of_a_line_has_all_its_places(
    way: Way, text: str, seen: str
) -> None:
    prompt = "def f(self):\n    self.go()\n    found ="
    whole = f"{prompt} load(self.path)\n    return found\n"
    sample = Labelled("a", whole, None, len(prompt), "python")
    put_ = set()
    for seed in range(8):
        site = draw_site(sample, way, np.random.default_rng(seed))
        assert site is not None
        put_.add(put(site, Insertion(way, text)))
    assert all(seen in one and "load" not in one for one in put_)
    assert len(put_) == (2 if way == "statement" else 1)
