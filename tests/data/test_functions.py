# SPDX-License-Identifier: Apache-2.0
"""Functions out of source text: C with macros and K&R, C++, Python; pairs; cosmetics."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.data.functions import (
    Function,
    SourceLanguage,
    changed_lines,
    cosmetic,
    functions,
    language_of,
    modified,
)


def one(source: str, language: SourceLanguage) -> Function:
    found = functions(textwrap.dedent(source), language).functions
    assert len(found) == 1
    return found[0]


def split(function: Function) -> tuple[str, str]:
    return function.text[: function.body_start], function.text[function.body_start :]


def test_a_c_function_with_its_comment_splits_after_the_brace() -> None:
    found = one(
        """\
        int unrelated;
        /* Not attached. */

        /* Copy a name.
           At most n bytes. */
        // Really.
        static int copy(char *to, const char *from, int n)
        {
            return 1;
        }
        """,
        "c",
    )
    prompt, body = split(found)
    assert found.name == "copy"
    assert found.signature == "static int copy(char *to, const char *from, int n)"
    assert prompt == (
        "/* Copy a name.\n   At most n bytes. */\n// Really.\n"
        "static int copy(char *to, const char *from, int n)\n{\n"
    )
    assert body == "    return 1;\n}\n"


def test_a_trailing_comment_of_the_line_above_is_not_attached() -> None:
    found = one("int x; /* of x */\nint f(void) {\n  return x;\n}\n", "c")
    assert found.text.startswith("int f(void)")


def test_a_body_on_the_line_of_the_brace_begins_after_the_brace() -> None:
    prompt, body = split(one("int f(void) { return 1; }\n", "c"))
    assert (prompt, body) == ("int f(void) {", " return 1; }\n")


def test_old_style_definitions_are_functions() -> None:
    found = one("int\nadd(a, b)\n    int a;\n    int b;\n{\n    return a + b;\n}\n", "c")
    prompt, body = split(found)
    assert found.name == "add"
    assert prompt == "int\nadd(a, b)\n    int a;\n    int b;\n{\n"
    assert body == "    return a + b;\n}\n"


def test_macros_and_garbage_do_not_hide_the_functions_around_them() -> None:
    source = textwrap.dedent(
        """\
        XMLIMPORT MACRO_WITHOUT_SEMICOLON(x)
        static enum XML_Error PTRCALL
        first(XML_Parser p) {
          return 1;
        }
        #ifdef A
        int *second(int a)
        #else
        int *second(long a)
        #endif
        {
          return 0;
        }
        @@@ }} garbage
        void third(void)
        {
          FOREACH(x, y) { use(x); }
        }
        """
    )
    extracted = functions(source, "c")
    names = [f.name for f in extracted.functions]
    assert not extracted.clean
    assert "first" in names
    assert "third" in names
    first = next(f for f in extracted.functions if f.name == "first")
    assert split(first)[1] == "  return 1;\n}\n"


def test_control_words_are_never_functions() -> None:
    broken = "}\nelse if (x) {\n  y();\n}\nint f(void)\n{\n  return 1;\n}\n"
    assert [f.name for f in functions(broken, "c").functions] == ["f"]


def test_pointers_and_returned_function_pointers_keep_their_names() -> None:
    source = "char **f(void)\n{\n}\nvoid (*g(int n))(int)\n{\n  return 0;\n}\nint (h)(void) {\n}\n"
    assert [f.name for f in functions(source, "c").functions] == ["f", "g", "h"]


def test_cpp_methods_templates_and_namespaces() -> None:
    source = textwrap.dedent(
        """\
        namespace a {
        // Feeds.
        template <class T>
        int Parser<T>::feed(const T &x) {
          auto f = [](int y) { return y; };
          return f(1);
        }
        class B {
         public:
          int size() const { return n_; }
          ~B() { free(p_); }
          bool operator==(const B &b) const { return n_ == b.n_; }
          int operator()(int x) { return x; }
        };
        }
        """
    )
    found = functions(source, "cpp").functions
    assert [f.name for f in found] == ["Parser<T>::feed", "size", "~B", "operator==", "operator()"]
    assert found[0].text.startswith("// Feeds.\ntemplate <class T>\nint Parser")


def test_a_python_function_splits_after_its_docstring() -> None:
    found = one(
        '''\
        @route("/x")
        def show(name, *, size: int = 3) -> str:
            """Show a name.

            At most size letters.
            """
            # cut it
            return name[:size]
        ''',
        "python",
    )
    prompt, body = split(found)
    assert found.name == "show"
    assert prompt.startswith('@route("/x")\ndef show(')
    assert prompt.endswith('    At most size letters.\n    """\n')
    assert body == "    # cut it\n    return name[:size]\n"


def test_without_docstring_the_body_begins_after_the_signature() -> None:
    prompt, body = split(one("async def f(a,\n            b):\n    # x\n    return a\n", "python"))
    assert prompt == "async def f(a,\n            b):\n"
    assert body == "    # x\n    return a\n"


def test_one_liners_and_bare_docstrings() -> None:
    assert split(one("def f(): return 1\n", "python")) == ("def f(): ", "return 1\n")
    assert split(one('def f():\n    """Only this."""\n', "python"))[1] == ""


def test_methods_are_dedented_and_qualified_and_inner_functions_stay_inside() -> None:
    found = one(
        '''\
        class Outer:
            class Inner:
                @property
                def size(self):
                    """Size."""
                    def inner():
                        return 1

                    return inner()
        ''',
        "python",
    )
    prompt, body = split(found)
    assert found.name == "Outer.Inner.size"
    assert prompt == '@property\ndef size(self):\n    """Size."""\n'
    assert body == "    def inner():\n        return 1\n\n    return inner()\n"
    compile(found.text.replace("@property\n", ""), "<method>", "exec")


def test_offsets_are_characters_not_bytes() -> None:
    found = functions("/* é ü 漢字 */\nint f(void)\n{\n  return 'ß';\n}\n", "c").functions[0]
    assert split(found) == ("/* é ü 漢字 */\nint f(void)\n{\n", "  return 'ß';\n}\n")


@given(st.text(max_size=200), st.sampled_from(["c", "cpp", "python"]))
def test_any_text_is_read_without_an_error(source: str, language: SourceLanguage) -> None:
    for function in functions(source, language).functions:
        assert 0 <= function.body_start <= len(function.text)


def test_language_by_extension() -> None:
    assert language_of("src/a.C") == "c"
    assert language_of("a/b.h") == "c"
    assert language_of("x.hpp") == "cpp"
    assert language_of("setup.py") == "python"
    assert language_of("README.md") is None


def test_only_functions_on_both_sides_that_differ_are_paired() -> None:
    before = functions("int a(void) {\n}\nint b(void) {\n  x;\n}\nint gone(void) {\n}\n", "c")
    after = functions("int b(void) {\n  y;\n}\nint a(void) {\n}\nint added(void) {\n}\n", "c")
    pairs = modified(before.functions, after.functions)
    assert [(old.name, new.text) for old, new in pairs] == [("b", "int b(void) {\n  y;\n}\n")]


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


def test_changed_lines_count_from_zero() -> None:
    assert changed_lines("a\nb\nc\n", "a\nB\nc\nd\n") == ((1,), (1, 3))
    assert changed_lines("a\nb\n", "a\n") == ((1,), ())


@pytest.mark.parametrize(
    ("before", "after", "language", "same"),
    [
        ("int f() { return 1; } /* a */", "int f()\n{\n  return 1; // b\n}", "c", True),
        ('puts("/* a */");', 'puts("/* b */");', "c", False),
        ("a // b\n;", "a ; // b", "c", True),
        ("x = a b;", "x = ab;", "c", False),
        (
            "def f():\n    return g(1, 2)",
            "def f():\n    # why\n    return g(1,\n  2)",
            "python",
            True,
        ),
        (
            'def f():\n    """A."""\n    return 1',
            'def f():\n    """B."""\n    return 1',
            "python",
            True,
        ),
        ("def f():\n  if a:\n    b\n    c", "def f():\n  if a:\n    b\n  c", "python", False),
        ("def f():\n    print 1 # x", "def f():\n\n    print 1", "python", True),
        ("def f():\n    print '# x'", "def f():\n    print '# y'", "python", False),
    ],
)
def test_cosmetic(before: str, after: str, language: SourceLanguage, same: bool) -> None:
    assert cosmetic(before, after, language) is same
