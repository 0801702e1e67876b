# SPDX-License-Identifier: Apache-2.0
"""Functions out of source text in six languages, macros and K&R included; cosmetic changes."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetemper.data.functions import Function, cosmetic, functions
from codetemper.data.languages import LANGUAGES, SourceLanguage


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
    assert [f.name for f in found] == [
        "Parser<T>::feed", "B::size", "B::~B", "B::operator==", "B::operator()",
    ]  # fmt: skip
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


@given(st.text(max_size=200), st.sampled_from(LANGUAGES))
def test_any_text_is_read_without_an_error(source: str, language: SourceLanguage) -> None:
    for function in functions(source, language).functions:
        assert 0 <= function.body_start <= len(function.text)


def names(source: str, language: SourceLanguage) -> list[str]:
    return [f.name for f in functions(textwrap.dedent(source), language).functions]


def test_java_methods_constructors_initialisers_and_nested_types() -> None:
    source = """\
        package a;
        public class A extends B {
            private int x = 1;

            /** Doubles. */
            @Override
            public int twice(final int x) throws IOException {
                Runnable r = new Runnable() { public void run() { go(); } };
                return 2 * x;
            }
            A() { this(1); }
            static { init(); }
            abstract int none();
            static class Inner { void g() { } }
            enum E { X; int h() { return 1; } }
            record R(int a) { R { check(a); } }
            interface I { default void d() { x(); } void e(); }
        }
        """
    assert names(source, "java") == [
        "A.twice", "A.A", "A.static", "A.Inner.g", "A.E.h", "A.R.R", "A.I.d",
    ]  # fmt: skip
    twice = functions(textwrap.dedent(source), "java").functions[0]
    prompt, body = split(twice)
    assert prompt.startswith("    /** Doubles. */\n    @Override\n    public int twice(")
    assert prompt.endswith(" throws IOException {\n")
    assert body.startswith("        Runnable r")
    assert twice.signature == "@Override public int twice(final int x) throws IOException"


def test_javascript_functions_under_all_their_names() -> None:
    source = """\
        // Gives it back.
        export const same = (a) => { return a; };
        const half = a => a / 2;
        module.exports = { g() { return 1; }, h: function (q) { return q; } };
        Shape.prototype.area = function () { return 0; };
        class Square extends Shape {
          constructor() { super(); }
          static of(a) { return new Square(a); }
          #side = () => 1;
          get side() { return this.#side(); }
        }
        function* count() { yield 1; }
        async function wait() { await x; }
        export default function () { return 3; }
        """
    assert names(source, "javascript") == [
        "same", "half", "module.exports.g", "module.exports.h", "Shape.prototype.area",
        "Square.constructor", "Square.of", "Square.#side", "Square.side", "count", "wait",
        "default",
    ]  # fmt: skip
    same, half = functions(textwrap.dedent(source), "javascript").functions[:2]
    assert split(same) == ("// Gives it back.\nexport const same = (a) => {", " return a; };\n")
    assert split(half) == ("const half = a => ", "a / 2;\n")


def test_javascript_wrappers_are_looked_through_and_handlers_named_by_their_call() -> None:
    source = """\
        (function ($) {
          function inner() { return 1; }
          $.fn.x = function () { return inner(); };
        })(jQuery);
        define(['a'], function (a) { return { run: function () { a(); } }; });
        app.get('/x', async (req, res) => { res.send(1); });
        """
    assert names(source, "javascript") == ["inner", "$.fn.x", "run", "app.get('/x')"]


def test_go_functions_and_methods_by_their_receivers() -> None:
    source = """\
        package a

        // F does.
        func F(a int) int {
        \tg := func() int { return a }
        \treturn g()
        }
        func (s *Server[T]) Serve() error { return nil }
        func (Server) Stop() {}
        """
    assert names(source, "go") == ["F", "Server.Serve", "Server.Stop"]
    prompt, body = split(functions(textwrap.dedent(source), "go").functions[0])
    assert prompt == "// F does.\nfunc F(a int) int {\n"
    assert body == "\tg := func() int { return a }\n\treturn g()\n}\n"


@pytest.mark.parametrize(
    ("before", "after", "language", "same"),
    [
        ("a := `x // y`", "a := `x // z`", "go", False),
        ("a = `x ${b}` // 1", "a = `x ${b}`", "javascript", True),
        ("a = /[/*]/.test(b)", "a = /[/+]/.test(b)", "javascript", False),
        ("a();\nb();\n/* c();\n*/", "a();\n/* b();\n   c(); */", "c", False),
        ("f(a,\n  b\n);\ng(\n  c);", "f(\n  a,\n  b);\ng(c\n);", "c", True),
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
