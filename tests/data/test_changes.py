# SPDX-License-Identifier: Apache-2.0
"""Changed lines and changed tokens: right, minimal where it matters, fast on large texts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codetemper.data.changes import (
    changed_lines,
    changed_spans,
    compare,
    line_runs,
    line_starts,
    lines_of,
)
from codetemper.data.languages import LANGUAGES, SourceLanguage
from codetemper.data.tokens import Tokens, tokens, tokens_of_lines

SOURCE = st.lists(
    st.sampled_from(
        ["a", "b1", "if", "return", "(", ")", "{", "}", ";", "=", "==", " ", "\n", "\n    ", "/*",
         "*/", "//", "#", '"', "'", '"""', "`", "\\", "é", "\f", "0x1F", "->", "\t"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


def words(before: str, after: str, language: SourceLanguage) -> tuple[list[str], list[str]]:
    left, right = changed_spans(before, after, language)
    return [before[a:b] for a, b in left], [after[a:b] for a, b in right]


def test_changed_lines_count_from_zero() -> None:
    assert changed_lines("a\nb\nc\n", "a\nB\nc\nd\n") == ((1,), (1, 3))
    assert changed_lines("a\nb\n", "a\n") == ((1,), ())
    assert changed_lines("", "a\n") == ((), (0,))
    assert changed_lines("a", "a\n") == ((), ())


@pytest.mark.parametrize(
    ("text", "starts"),
    [("", (0,)), ("\n", (0, 1)), ("a", (0, 1)), ("a\nb\n", (0, 2, 4)), ("a\n\nb", (0, 2, 3, 4))],
)
def test_line_starts(text: str, starts: tuple[int, ...]) -> None:
    assert line_starts(text) == starts


def test_a_form_feed_ends_no_line() -> None:
    assert changed_lines("a\fb\nc\n", "a\fb\nd\n") == ((1,), (1,))


@pytest.mark.parametrize(
    ("before", "after", "language", "removed", "added"),
    [
        ("if (n < 4)", "if (n <= 4)", "c", ["<"], ["<="]),
        ("memcpy(a, b, n);", "memcpy(a, b, MIN(n, 4));", "c", [], ["MIN", "(", ",", "4", ")"]),
        ("x = 1; /* a */", "x = 1; // b", "c", [], []),
        ("int f() {\n  return 1; }", "int f()\n{\n\treturn 1;\n}", "c", [], []),
        ('p("a b")', 'p("a c")', "c", ['"a b"'], ['"a c"']),
        ("#if A\nx;\n#endif", "#if B\nx;\n#endif", "c", ["A"], ["B"]),
        ("x = 1'000;", "x = 1'001;", "cpp", ["1'000"], ["1'001"]),
        ('x = R"(a)b)";', 'x = R"(a)c)";', "cpp", ['R"(a)b)"'], ['R"(a)c)"']),
        ("x //= 2  # a", "x //= 3  # b", "python", ["2"], ["3"]),
        ("f(a,\n  b)", "f(a, b)", "python", [], []),
        ("def f():\n  x()", "def f():\n    x()", "python", [], []),
        ("if a:\n    b\n    c\n", "if a:\n    b\nc\n", "python", [], []),
        ("a(f'{x}')", "a(f'{y}')", "python", ["f'{x}'"], ["f'{y}'"]),
        ("s = /a\\/b/g;", "s = /a\\/c/g;", "javascript", ["/a\\/b/g"], ["/a\\/c/g"]),
        ("x = a / b / c", "x = a / d / c", "javascript", ["b"], ["d"]),
        ("x := `a\nb`", "x := `a\nc`", "go", ["b`"], ["c`"]),
        ('s = """\n a\n b"""', 's = """\n a\n c"""', "java", [' b"""'], [' c"""']),
    ],
)
def test_changed_tokens(
    before: str, after: str, language: SourceLanguage, removed: list[str], added: list[str]
) -> None:
    assert words(before, after, language) == (removed, added)


def test_a_block_that_python_opens_is_a_change_of_its_indentation_once() -> None:
    before = "def f():\n    x()\n    y()\n    z()\n"
    after = "def f():\n    if a:\n        x()\n        y()\n    z()\n"
    assert words(before, after, "python") == ([], ["if", "a", ":", "        "])
    closed = "def f():\n    if a:\n        x()\n    y()\n    z()\n"
    removed, added = words(after, closed, "python")
    assert (removed, added) == ([], ["    "])


def test_lines_of_a_docstring_are_no_lines_of_code() -> None:
    before = 'def f():\n    """A\n  B\n    """\n    x()\n'
    assert words(before, before.replace("  B", "  C"), "python") == (["  B"], ["  C"])


def test_a_hunk_stands_where_its_braces_close() -> None:
    before = "{\n  a();\n  if (x) {\n    b();\n  }\n}\n"
    after = "{\n  a();\n  if (x) {\n    c();\n  }\n  if (x) {\n    b();\n  }\n}\n"
    assert line_runs(before, after) == [(2, 2, 2, 5)]


def test_lines_that_are_unique_hold_a_rewrite_together() -> None:
    before = "one\n}\n\ntwo\n}\n\nthree\n}\n"
    after = "zero\n}\n\none\n}\n\nTWO\n}\n\nthree\n}\n"
    assert changed_lines(before, after) == ((3,), (0, 1, 2, 6))


def test_large_files_are_compared_at_once() -> None:
    before = "".join(f"line {i}\n}}\n" for i in range(30_000))
    lines = before.split("\n")
    lines[10] = lines[40_001] = lines[-20] = "changed"
    removed, added = changed_lines(before, "\n".join(lines))
    assert removed == added == (10, 40_001, len(lines) - 20)


@given(SOURCE, SOURCE, st.sampled_from(LANGUAGES))
def test_lines_and_spans_agree_and_what_is_outside_them_is_equal(
    before: str, after: str, language: SourceLanguage
) -> None:
    found = compare(before, after, language)
    assert (found.lines_before, found.lines_after) == changed_lines(before, after)
    for text, lines, spans in (
        (before, found.lines_before, found.spans_before),
        (after, found.lines_after, found.spans_after),
    ):
        assert list(spans) == sorted(spans)
        assert all(0 <= a < b <= len(text) for a, b in spans)
        assert all(text.count("\n", 0, a) in lines for a, _ in spans)
        assert all("\n" not in text[a:b] for a, b in spans)
    left, right = lines_of(before), lines_of(after)
    assert [x for i, x in enumerate(left) if i not in found.lines_before] == [
        x for i, x in enumerate(right) if i not in found.lines_after
    ]
    for hunk in found.hunks:
        assert _kept(hunk.tokens_before, hunk.spans_before) == _kept(
            hunk.tokens_after, hunk.spans_after
        )


def _kept(found: Tokens, spans: tuple[tuple[int, int], ...]) -> list[str]:
    """The visible words of a hunk that did not change."""
    columns = zip(found.words, found.starts, found.ends, strict=True)
    return [
        word for word, start, end in columns if (start, end) not in spans and word.strip("\x01\x02")
    ]


@example("/*\na", "cpp", [0, 0, 1, 2])
@example('x = R"(\n// a', "cpp", [0, 0, 1, 2])
@given(SOURCE, st.sampled_from(LANGUAGES), st.lists(st.integers(0, 50), min_size=4, max_size=4))
def test_some_lines_give_the_tokens_they_give_in_the_whole(
    text: str, language: SourceLanguage, numbers: list[int]
) -> None:
    lines = line_starts(text)
    places = sorted(lines[number % len(lines)] for number in numbers)
    ranges = [(places[0], places[1]), (places[2], places[3])]
    whole = tokens(text, language)
    for (begin, end), found in zip(ranges, tokens_of_lines(text, ranges, language), strict=True):
        columns = zip(whole.words, whole.starts, whole.ends, strict=True)
        expected = [row for row in columns if begin <= row[1] < end]
        assert list(zip(found.words, found.starts, found.ends, strict=True)) == expected


@given(st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_a_text_does_not_differ_from_itself_and_tokens_say_what_stands_there(
    text: str, language: SourceLanguage
) -> None:
    assert changed_spans(text, text, language) == ((), ())
    found = tokens(text, language)
    for word, start, end in zip(found.words, found.starts, found.ends, strict=True):
        assert text[start:end] == word or not text[start:end].strip()
