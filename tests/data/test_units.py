# SPDX-License-Identifier: Apache-2.0
"""Top-level units of C and C++: where they end, and what is blanked to read one by itself."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.data.functions import functions
from codetemper.data.languages import SourceLanguage
from codetemper.data.units import one_branch, readable, units


def names(source: str, language: SourceLanguage = "c") -> list[str]:
    return [f.name for f in functions(textwrap.dedent(source), language).functions]


def test_a_unit_ends_with_a_closing_brace_at_the_start_of_a_line() -> None:
    source = "int a;\nint f(void)\n{\n  g();\n}\n\nstruct s {\n  int b;\n};\nint c;\n"
    assert units(source) == [
        "int a;\nint f(void)\n{\n  g();\n}\n",
        "\nstruct s {\n  int b;\n};\n",
        "int c;\n",
    ]


@pytest.mark.parametrize(
    "inside",
    [
        "/*\n}\n*/",
        '  {\n  x = "}";\n}\n',
        "  if (a) {\n    b();\n}\n",
        "#define M(x) \\\n  { x; \\\n}\n",
        "#if A\n  if (a) {\n#elif B\n  if (b) {\n#else\n  {\n#endif\n}\n",
        "  // {\n  c('{');\n  /* { */\n#define OPEN {\n  /* }\n}\n */\n",
    ],
)
def test_braces_that_close_no_function_end_no_unit(inside: str) -> None:
    source = f"int f(void)\n{{\n{inside}\n}}\nint g(void)\n{{\n}}\n"
    assert [unit.count("\nint ") + unit.startswith("int ") for unit in units(source)] == [1, 1]
    assert names(source) == ["f", "g"]


def test_branches_that_open_a_brace_each_leave_one_function() -> None:
    source = """\
        static int f(int a)
        {
        #ifdef A
          if (a) {
        #else
          if (!a) {
        #endif
            b();
          }
        }
        #ifdef B
        int g(int a) {
        #else
        int g(long a) {
        #endif
          return 1;
        }
        int h(void)
        {
        }
        """
    assert names(source) == ["f", "g", "h"]
    f = functions(textwrap.dedent(source), "c").functions[0]
    assert "#else\n  if (!a) {\n#endif\n" in f.text


def test_conditions_around_functions_and_containers_do_not_matter() -> None:
    source = """\
        #ifdef __cplusplus
        extern "C" {
        #endif
        #if A
        int f(void)
        {
        }
        #else
        int f(void)
        {
          return 1;
        }
        #endif
        #ifdef __cplusplus
        }
        #endif
        int g(void)
        {
        }
        """
    assert names(source) == ["f", "f", "g"]
    assert functions(textwrap.dedent(source), "c").clean


def test_what_is_broken_in_one_function_spoils_no_other() -> None:
    source = """\
        int f(void)
        {
          DECLARE(x, {) @@ (;
        }

        int g(void)
        {
          return 1;
        }
        """
    assert names(source)[-1] == "g"


def test_namespaces_and_classes_behind_macros() -> None:
    source = """\
        namespace a { namespace {
        class API Shape final : public Base {
          int area() { return 1; }
        };
        class EXPORT(a) Line {
          int length() { return 2; }
        };
        int Shape::sides() {
          return 4;
        }
        }
        }
        void last() {
        }
        """
    assert names(source, "cpp") == ["Shape::area", "Line::length", "Shape::sides", "last"]


def test_a_macro_alone_above_a_function_is_no_part_of_it() -> None:
    source = "PRAGMA_POP\n#endif\n\nchar *f(int a)\n{\n  return 0;\n}\n"
    (found,) = functions(source, "c").functions
    assert found.signature == "char *f(int a)"
    assert found.text.startswith("char *f")


def test_what_is_blanked_keeps_its_bytes() -> None:
    unit = "#endif // größer\n}\nint f(void)\n{\n#if A // ß\n  x = 'é';\n#else\n  ü();\n#endif\n}\n"
    assert readable(unit).split("\n")[:3] == [
        " " * len("#endif // größer".encode()),
        " ",
        "int f(void)",
    ]
    for changed in (readable(unit), one_branch(unit)):
        assert len(changed.encode()) == len(unit.encode())
        assert changed.count("\n") == unit.count("\n")
    assert "'é'" in one_branch(unit)
    assert "ü" not in one_branch(unit)
    assert "#" not in one_branch(unit)


LINES = st.lists(
    st.sampled_from(
        ["{", "}", "};", "int f(void)", "/*", "*/", "//", '"', "'", "#if A", "#else", "#elif B",
         "#endif", "#define X {\\", "namespace a {", 'extern "C" {', "class A B {", "  }", "é", ""]
    ),
    max_size=30,
).map("\n".join)  # fmt: skip


@given(LINES)
def test_units_joined_are_the_text_and_blanking_keeps_offsets(source: str) -> None:
    assert "".join(units(source)) == source
    for unit in units(source):
        for changed in (readable(unit), one_branch(unit)):
            assert [len(line) for line in changed.encode().split(b"\n")] == [
                len(line) for line in unit.encode().split(b"\n")
            ]


def test_large_files_that_never_close_are_cut_at_once() -> None:
    source = "int f(void) {\n" + "x = {\n}\n{\n}\n" * 20_000
    assert units(source) == [source]
    assert len(units("/*\n" + "}\n" * 20_000)) == 1
