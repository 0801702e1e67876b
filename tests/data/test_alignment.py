# SPDX-License-Identifier: Apache-2.0
"""Which function before a change is which after it: overloads, renames, moves, and none."""

from __future__ import annotations

import random

from codetemper.data.alignment import Alignment, align, modified
from codetemper.data.functions import Function, functions

BODY = """\
{
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    if (source[i] == 0)
      break;
    target[used++] = source[i];
  }
  return used;
}
"""


def c(*texts: str) -> tuple[Function, ...]:
    return functions("\n".join(texts), "c").functions


def named(alignment: Alignment) -> list[tuple[str, str]]:
    return [(p.before.function.name, p.after.function.name) for p in alignment.pairs]


def test_only_functions_on_both_sides_that_differ_are_paired() -> None:
    before = c("int a(void) {\n}\nint b(void) {\n  x;\n}\nint gone(void) {\n}\n")
    after = c("int b(void) {\n  y;\n}\nint a(void) {\n}\nint added(void) {\n}\n")
    found = align([(before, after)])
    assert named(found) == [("b", "b")]
    assert [p.function.name for p in found.deleted] == ["gone"]
    assert [p.function.name for p in found.added] == ["added"]
    assert [(old.name, new.text) for old, new in modified(before, after)] == [
        ("b", "int b(void) {\n  y;\n}\n")
    ]


def test_overloads_are_paired_by_signature() -> None:
    before = functions(
        "int f(int a) {\n  return 1;\n}\nint f(char *s, int n) {\n  return 2;\n}\n", "cpp"
    )
    after = functions(
        "int f(char *s, size_t n) {\n  return 3;\n}\nint f(int a) {\n  return 1;\n}\n", "cpp"
    )
    ((old, new),) = modified(before.functions, after.functions)
    assert "return 2" in old.text
    assert "return 3" in new.text


def test_an_overload_that_was_split_keeps_the_likest_and_adds_the_other() -> None:
    wide = "size_t copy(char *target, char *source, size_t count)\n" + BODY
    before = functions(wide, "cpp").functions
    after = functions(
        "size_t copy(char *target, char *source)\n{\n  return copy(target, source, LIMIT);\n}\n"
        + wide.replace("count; i++", "count && i < LIMIT; i++"),
        "cpp",
    ).functions
    found = align([(before, after)])
    assert [p.after.index for p in found.pairs] == [1]
    assert [p.index for p in found.added] == [0]


def test_a_renamed_function_is_known_by_its_body() -> None:
    before = c("int other(int a)\n{\n  return a;\n}", "size_t copy(size_t count)\n" + BODY)
    after = c(
        "int other(int a)\n{\n  return a;\n}",
        "size_t copy_checked(size_t count)\n" + BODY.replace("i < count", "i < count && i < 9"),
    )
    found = align([(before, after)])
    assert named(found) == [("copy", "copy_checked")]
    assert not found.deleted
    assert not found.added


def test_functions_move_between_the_files_of_a_commit() -> None:
    copy = "size_t copy(size_t count)\n" + BODY
    keep = "int keep(void)\n{\n  return 0;\n}"
    changed = copy.replace("i < count", "i < count && i < 9")
    found = align([(c(keep, copy), c(keep)), ((), c(changed))])
    (pair,) = found.pairs
    assert (pair.before.file, pair.before.index, pair.after.file) == (0, 1, 1)
    unchanged = align([(c(keep, copy), c(keep)), ((), c(copy))])
    assert (unchanged.pairs, unchanged.deleted, unchanged.added) == ((), (), ())
    assert unchanged.moved == 1


def test_one_name_in_two_files_is_not_enough_without_likeness() -> None:
    before = c("int main(void)\n{\n  return parse(stdin, stdout, stderr);\n}")
    after = c("int main(void)\n" + BODY)
    found = align([(before, ()), ((), after)])
    assert not found.pairs
    assert len(found.deleted) == len(found.added) == 1


def test_functions_with_one_text_and_two_classes_keep_their_classes() -> None:
    source = "class {}:\n    def f(self):\n        return {}\n"
    one, two = source.format("A", 1), source.format("B", 1)
    before = functions(one + two, "python").functions
    after = functions(source.format("A", 2) + two, "python").functions
    ((old, new),) = modified(before, after)
    assert (old.name, new.name) == ("A.f", "A.f")


def test_the_order_of_the_input_decides_nothing_but_the_order_of_the_output() -> None:
    before = [Function(f"f{i}", f"f{i}()", f"f{i}() {{ {'x y z ' * i} }}\n", 0) for i in range(9)]
    after = [Function(f"g{i}", f"g{i}()", f"g{i}() {{ {'x y z ' * i}w }}\n", 0) for i in range(9)]
    expected = set(named(align([(before, after)])))
    assert len(expected) >= 4
    shuffled = random.Random(0)
    for _ in range(5):
        shuffled.shuffle(before)
        shuffled.shuffle(after)
        assert set(named(align([(before, after)]))) == expected
