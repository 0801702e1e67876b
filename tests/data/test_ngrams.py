# SPDX-License-Identifier: Apache-2.0
"""Words and their n-grams: comments do not count, names count by place where asked."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codetemper.data.ngrams import ngrams, words

CODE = list(words("int sum(int a, int b) { int c = a + b; return c; }", "c"))


def test_comments_docstrings_and_layout_are_no_words() -> None:
    assert words("/* licence */ int f(void) // x\n{ }", "c") == words("int f( void ){}", "c")
    plain = 'def f(a):\n    """Text."""\n    b = """kept"""\n    return b # c\n'
    assert words(plain, "python") == words('def f(a):\n  b = """kept"""\n  return b', "python")
    assert '"""kept"""' in words(plain, "python")
    assert words("select a -- b", "sql")[:2] == ("select", "a")


def test_a_quote_that_closes_a_text_does_not_open_a_docstring() -> None:
    text = 'a = """\nx\n"""\nf(1)\nb = """\ny\n"""\n'
    assert "f" in words(text, "python")


def test_one_number_for_each_run() -> None:
    found = ngrams(CODE, 5)
    assert len(found) == len(CODE) - 4
    assert len(ngrams(CODE, len(CODE))) == 1
    assert len(ngrams(CODE, len(CODE) + 1)) == 0
    assert len(np.unique(found)) == len(found)


def test_renamed_runs_are_equal_blind_wherever_they_stand() -> None:
    names = {"sum": "add", "a": "x", "b": "y", "c": "z"}
    renamed = ["x", "=", "c", ";", *(names.get(word, word) for word in CODE)]
    assert not np.isin(ngrams(CODE, 6), ngrams(renamed, 6)).all()
    blind = ngrams(CODE, 6, blind="c")
    assert np.isin(blind, ngrams(renamed, 6, blind="c")).all()
    # Not one to one: a and b become one name.
    merged = ["a" if word == "b" else word for word in CODE]
    assert not np.isin(blind, ngrams(merged, 6, blind="c")).all()


def test_keywords_and_literals_stay() -> None:
    texts = ("if (a > 1)", "while (a > 1)", "if (a > 2)", "if (a < 1)")
    assert len({int(ngrams(words(text, "c"), 6, blind="c")[0]) for text in texts}) == len(texts)
    # A keyword of one language is a name in another.
    assert ngrams(["char"], 1, blind="python") == ngrams(["x"], 1, blind="python")
    assert ngrams(["char"], 1, blind="c") != ngrams(["x"], 1, blind="c")


def test_numbers_do_not_depend_on_the_process() -> None:
    program = "from codetemper.data.ngrams import ngrams; print(ngrams(list('abc'), 2).tolist())"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "7"},
    ).stdout  # fmt: skip
    assert told.strip() == str(ngrams(list("abc"), 2).tolist())


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["a", "b", "cc", "if", "(", "1"]), max_size=40), st.integers(1, 8))
def test_equal_numbers_are_equal_runs(found: list[str], length: int) -> None:
    def place(run: list[str]) -> tuple[object, ...]:
        names = {"a", "b", "cc"}
        return tuple(run.index(word) if word in names else word for word in run)

    runs = [found[i : i + length] for i in range(len(found) - length + 1)]
    verbatim, blind = ngrams(found, length), ngrams(found, length, blind="c")
    assert len(verbatim) == len(blind) == len(runs)
    for i, run in enumerate(runs):
        for j in range(i):
            assert (verbatim[i] == verbatim[j]) == (run == runs[j])
            assert (blind[i] == blind[j]) == (place(run) == place(runs[j]))
