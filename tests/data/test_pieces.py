# SPDX-License-Identifier: Apache-2.0
"""Functions, blocks, hunks and files as pieces, and what does not become one."""

from __future__ import annotations

import textwrap
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.data.functions import Function, functions
from codetemper.data.languages import LANGUAGES, SourceLanguage
from codetemper.data.pieces import (
    NO_BLOCK,
    NO_CODE,
    ONLY_REMOVED,
    Granularity,
    Piece,
    pieces,
    whole_file,
)


def one(source: str, language: SourceLanguage) -> Function:
    (found,) = functions(textwrap.dedent(source), language).functions
    return found


def cut(
    before: str, after: str, language: SourceLanguage, *granularities: Granularity
) -> tuple[list[Piece], Counter[str]]:
    dropped: Counter[str] = Counter()
    old, new = one(before, language), one(after, language)
    return list(pieces(old, new, language, granularities, dropped)), dropped


def words(piece: Piece) -> tuple[list[str], list[str]]:
    return (
        [piece.before[a:b] for a, b in piece.spans_before],
        [piece.after[a:b] for a, b in piece.spans_after],
    )


BEFORE = """\
/* Reads. */
static int read_it(char *to, int n)
{
  int used = 0;
  if (n) {
    used = fill(to, n);
    log(used);
  }
  while (used > 0) {
    if (to[used] == 0) {
      used--;
    }
  }
  free(to);
  return used;
}
"""


def test_a_function_piece_is_the_pair_with_all_that_changed() -> None:
    after = BEFORE.replace("fill(to, n)", "fill(to, MIN(n, 8))").replace("  free(to);\n", "")
    (piece,), dropped = cut(BEFORE, after, "c", "function")
    assert (piece.before, piece.after, piece.context) == (BEFORE, after, "")
    assert piece.after[: piece.body_start].endswith("int n)\n{\n")
    assert (piece.lines_before, piece.lines_after) == ((5, 13), (5,))
    assert words(piece) == (["free", "(", "to", ")", ";"], ["MIN", "(", ",", "8", ")"])
    assert not dropped


def test_a_block_is_the_smallest_compound_statement_around_a_change() -> None:
    after = BEFORE.replace("fill(to, n)", "fill(to, n - 1)")
    (piece,), _ = cut(BEFORE, after, "c", "block")
    assert piece.before == "{\n    used = fill(to, n);\n    log(used);\n  }"
    assert piece.after == "{\n    used = fill(to, n - 1);\n    log(used);\n  }"
    assert piece.after[: piece.body_start] == "{\n"
    assert piece.context.endswith("  if (n) ")
    assert (piece.lines_before, piece.lines_after) == ((1,), (1,))
    assert words(piece) == ([], ["-", "1"])


def test_a_change_of_a_condition_belongs_to_the_block_around_the_statement() -> None:
    after = BEFORE.replace("to[used] == 0", "to[used] == 0 && used < n")
    (piece,), _ = cut(BEFORE, after, "c", "block")
    assert piece.after.startswith("{\n    if (to[used]")
    assert words(piece)[1] == ["&&", "used", "<", "n"]


def test_a_block_that_is_put_in_belongs_to_the_one_around_it() -> None:
    after = BEFORE.replace(
        "    log(used);\n", "    if (!used) {\n      return 0;\n    }\n    log(1);\n"
    )
    (piece,), _ = cut(BEFORE, after, "c", "block")
    assert piece.before == "{\n    used = fill(to, n);\n    log(used);\n  }"
    assert "return 0;" in piece.after


def test_code_taken_away_at_the_end_of_a_block_stays_in_it() -> None:
    (piece,), dropped = cut(BEFORE, BEFORE.replace("    log(used);\n", ""), "c", "block", "line")
    assert piece.after == "{\n    used = fill(to, n);\n  }"
    assert words(piece) == (["log", "(", "used", ")", ";"], [])
    assert dropped == {ONLY_REMOVED: 1}


def test_two_changes_give_two_blocks_unless_one_holds_the_other() -> None:
    inner = BEFORE.replace("log(used)", "log(n)").replace("used--", "used -= 2")
    found, _ = cut(BEFORE, inner, "c", "block")
    assert [piece.before.count("\n") for piece in found] == [3, 2]
    outer = inner.replace("int used = 0;", "int used = 1;")
    (whole,), _ = cut(BEFORE, outer, "c", "block")
    assert whole.context.endswith("int n)\n")
    assert len(words(whole)[1]) == 4


def test_a_changed_heading_is_in_no_block() -> None:
    after = BEFORE.replace("int n)", "size_t n)").replace("used--", "used -= 2")
    found, dropped = cut(BEFORE, after, "c", "block")
    assert len(found) == 1
    assert dropped == {NO_BLOCK: 1}


def test_lines_are_hunks_and_hunks_without_code_are_counted() -> None:
    after = (
        BEFORE.replace("  int used = 0;\n", "  /* none */\n  int used = 0;\n")
        .replace(
            "    used = fill(to, n);\n", "    if (n > 8)\n      n = 8;\n    used = fill(to, n);\n"
        )
        .replace("used--", "used -= 2")
        .replace("  free(to);\n", "")
    )
    found, dropped = cut(BEFORE, after, "c", "line")
    assert [(piece.before, piece.after) for piece in found] == [
        ("", "    if (n > 8)\n      n = 8;\n"),
        ("      used--;\n", "      used -= 2;\n"),
    ]
    assert found[1].context.endswith("    if (to[used] == 0) {\n")
    assert words(found[1]) == (["--"], ["-=", "2"])
    assert (found[1].lines_before, found[1].lines_after) == ((0,), (0,))
    assert dropped == {NO_CODE: 1, ONLY_REMOVED: 1}


@pytest.mark.parametrize(
    ("language", "before", "after", "block"),
    [
        (
            "python",
            "class A:\n    def f(self, q):\n        if q:\n            g(q)\n        return q\n",
            "class A:\n    def f(self, q):\n        if q:\n            g(s(q))\n        return q\n",
            "        g(s(q))",
        ),
        (
            "java",
            "class A {\n  A(int a) {\n    for (;;) {\n      f(a);\n    }\n  }\n}\n",
            "class A {\n  A(int a) {\n    for (;;) {\n      f(a, é);\n    }\n  }\n}\n",
            "{\n      f(a, é);\n    }",
        ),
        (
            "javascript",
            "class A {\n  m(a) {\n    try {\n      f(a);\n    } catch (é) { }\n  }\n}\n",
            "class A {\n  m(a) {\n    try {\n      f(a, 1);\n    } catch (é) { }\n  }\n}\n",
            "{\n      f(a, 1);\n    }",
        ),
        (
            "go",
            'func (s *S) F(é string) {\n\tif é == "" {\n\t\tg(é)\n\t}\n}\n',
            'func (s *S) F(é string) {\n\tif é == "" {\n\t\tg(h(é))\n\t}\n}\n',
            "{\n\t\tg(h(é))\n\t}",
        ),
        (
            "cpp",
            "A::A(int a) : a_(a) {\n  try {\n    f<int>(a);\n  } catch (...) {\n  }\n}\n",
            "A::A(int a) : a_(a) {\n  try {\n    f<long>(a);\n  } catch (...) {\n  }\n}\n",
            "{\n    f<long>(a);\n  }",
        ),
    ],
)
def test_blocks_of_every_language(
    language: SourceLanguage, before: str, after: str, block: str
) -> None:
    (piece,), dropped = cut(before, after, language, "block")
    assert piece.after == block
    assert not dropped


def test_a_whole_file_is_a_piece_of_its_own() -> None:
    piece = whole_file("int a;\nint b;\n", "int a;\nlong b;\n", "c", "src/a.c")
    assert (piece.granularity, piece.name, piece.body_start) == ("file", "src/a.c", 0)
    assert (piece.lines_before, piece.lines_after) == ((1,), (1,))
    assert words(piece) == (["int"], ["long"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("int f(void) { }\n", "int f(void) { g(); }\n"),
        ("int f(void) { return 1; }\n", "int f(void) { return 2; }\n"),
    ],
)  # fmt: skip
def test_empty_functions_and_one_liners(before: str, after: str) -> None:
    found, dropped = cut(before, after, "c", "function", "block", "line")
    assert [piece.granularity for piece in found] == ["function", "block", "line"]
    assert not dropped


STATEMENT = st.sampled_from(
    ["a();", "b(é);", "/* c */", "if (a) {\n d();\n}", "for (;;) {\n  if (b) {\n   e();\n  }\n }",
     "x = 1;", "x = 2;", "", "// }", '"{";']
)  # fmt: skip
BODY = st.lists(STATEMENT, max_size=8).map(lambda rows: "".join(f"  {row}\n" for row in rows))


@given(BODY, BODY, st.sampled_from(LANGUAGES))
def test_pieces_are_parts_of_the_function_and_their_marks_lie_within(
    before: str, after: str, language: SourceLanguage
) -> None:
    old = Function("f", "f()", f"int f() {{\n{before}}}\n", 10)
    new = Function("f", "f()", f"int f() {{\n{after}}}\n", 10)
    for piece in pieces(old, new, language, ("function", "block", "line"), Counter()):
        assert new.text.startswith(piece.context + piece.after)
        assert piece.before in old.text
        assert 0 <= piece.body_start <= len(piece.after)
        for text, lines, spans in (
            (piece.before, piece.lines_before, piece.spans_before),
            (piece.after, piece.lines_after, piece.spans_after),
        ):
            assert all(0 <= line <= text.count("\n") for line in lines)
            assert all(0 <= a < b <= len(text) for a, b in spans)
            assert {text.count("\n", 0, a) for a, _ in spans} <= set(lines)
