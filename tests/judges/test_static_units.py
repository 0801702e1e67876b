# SPDX-License-Identifier: Apache-2.0
"""Many C programs in one translation unit: every program is seen as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from codetemper.core.records import Finding, Language
from codetemper.evaluate import suites
from codetemper.judges import _static, qualify
from codetemper.judges._static import batch, unit
from codetemper.judges._static.batch import Source
from codetemper.judges._static.form import Limits, Look, ScanFailedError
from codetemper.judges._static.names import Library
from codetemper.judges._static.programs import program

SLOW = Limits(workers=1, file_s=600)
HEADERS = {
    "stdio": "int puts(const char *s);\nextern FILE *stdin;\n#define EOF (-1)\n",
    "stdlib": "void free(void *p);\nvoid *malloc(size_t n);\ntypedef struct { int quot; } div_t;\n",
}


def preprocess(text: str) -> str:
    if "nothere" in text:
        raise ScanFailedError("no such header")
    return "".join(body for name, body in HEADERS.items() if f"<{name}.h>" in text)


def gathered(*texts: str) -> tuple[list[unit.Unit], list[str]]:
    return unit.gather({f"f{i}.c": t for i, t in enumerate(texts)}, Library(preprocess))


def alone(texts: Sequence[str], name: str) -> list[Look]:
    analyser = _static.analyser(name)
    return [batch.scan([Source(t, "c")], [analyser], limits=SLOW)[0][name] for t in texts]


def together(texts: Sequence[str], name: str) -> list[Look]:
    looks = batch.scan([Source(t, "c") for t in texts], [_static.analyser(name)], limits=SLOW)
    return [look[name] for look in looks]


@pytest.mark.parametrize(("name", "sides"), [("gcc", ("reference", "vulnerable")),
                                             ("clang", ("vulnerable",))])  # fmt: skip
def test_all_scenarios_together_read_as_each_alone(name: str, sides: Sequence[str]) -> None:
    if _static.analyser(name).version() is None:
        pytest.skip(f"{name} is not installed; it is optional")
    cases = qualify.pairs_of(suites.load("secure-c").cases)
    texts = [program(case, getattr(case, side))[0].text for case in cases for side in sides]
    numbered = {f"f{i}.c": text for i, text in enumerate(texts)}
    _, rest = unit.gather(numbered, _static.analyser(name)._library)  # type: ignore[attr-defined]
    assert len(rest) < len(texts) / 20
    singly = alone(texts, name)
    assert sum(len(look.findings) for look in singly) >= 5
    assert together(texts, name) == singly


NEIGHBOURS = [
    f"#include <stdlib.h>\nstatic int size;\nstruct box {{ int size; }};\n"
    f"int get{i % 2}(struct box *box) {{ size += {i}; return box->size; }}\n"
    for i in range(10)
]


@pytest.mark.parametrize("name", ["gcc", "clang"])
@pytest.mark.parametrize(
    "broken",
    [
        "int f(void) { return 1;\n",  # open to the end
        "#define BEGIN {\nint f(void) BEGIN return 1;\n",
        "#define BEGIN {\nint f(void) BEGIN if (1) {}\n",
        "int undeclared(void) { return nowhere; }\n",
        "int f(a) int a;\n",
        "struct s { int a; }\n",
        "int f(void) { return puts; }\n",  # only a neighbour's header declares it
    ],
)
def test_a_program_that_does_not_compile_spoils_no_other(name: str, broken: str) -> None:
    if _static.analyser(name).version() is None:
        pytest.skip(f"{name} is not installed; it is optional")
    weak = "#include <stdlib.h>\nint size(int *size) { free(size); return *size; }\n"
    io = '#include <stdio.h>\nint say(void) { return puts(""); }\n'
    looks = together([*NEIGHBOURS[:5], broken, weak, io, *NEIGHBOURS[5:]], name)
    assert [look.read for look in looks] == [True] * 5 + [False] + [True] * 7
    assert {(found.cwe, found.line) for found in looks[6].findings} == {("CWE-416", 2)}
    assert looks[6] == alone([weak], name)[0]


def test_private_names_and_only_those_get_a_suffix() -> None:
    text = (
        "void judge_arm(void);\n#include <stdlib.h>\n#define TWICE(x) ((x) * 2)\n"
        "/* size */ static int size = 0x1f; int f(char *s) { free(s); return TWICE(size) + 'a'; }\n"
    )
    (made,), rest = gathered(text, "int g;")
    assert rest == []
    lines = made.parts["f0.c"].split("\n")
    assert lines[1].strip() == ""
    assert lines[2] == "#define TWICE$0(x$0) ((x$0) * 2)"
    assert lines[3] == (
        "/* size */ static int size$0 = 0x1f; int f$0(char *s$0) "
        "{ free(s$0); return TWICE$0(size$0) + 'a'; }"
    )
    assert made.parts["f1.c"].startswith("int g$1;\n")
    column = lines[3].index("TWICE") + 1
    found = Finding(rule="r", message="use of 'size$0' in 'f$0'", line=4, column=column)
    own = made.original("f0.c", found)
    assert own.column == text.split("\n")[3].index("TWICE") + 1
    assert own.message == "use of 'size' in 'f'"


@pytest.mark.parametrize(
    "text",
    [
        "int main(void) { return 0; }",
        "#if 1\nint x;\n#endif",
        "#pragma pack(1)\nint x;",
        '#include "f1.c"\nint x;',
        "#include <nothere.h>\nint x;",
        "#define A 1\n#include <stdlib.h>\nint x;",
        "#define STR(x) #x\nint x;",
        "#define CAT(x) x ## 1\nint x;",
        "#include <stdio.h>\n#define EOF 1\nint x;",
        "#define return\nint x;",
        "int x __attribute__((unused));",
        'void f(void) { asm("nop"); }',
        "int x; const",
        "int x",
        "void f(void) { /* open",
        "void f(void) { g(); ",
        "void f(void) { } }",
        'char *s = "open;\n',
        "int x = 'a;",
        "int a\\\nb;",
        "// comment \\\nint x;\nint y;",
        "int caf\u00e9;",
        "int a$1;",
        "int x; \r int y;",
        "void *s = L\"wide\";",
        'char *s = R"(raw)";',
        "int f(void) <% return 1; %>",
        "#include <stdlib.h>\nvoid free(void *p) { }",
        "#include <stdlib.h>\nstatic int quot;",
        "#include <stdlib.h>\nstruct div_t { int x; };",
        "#include <stdlib.h>\nenum kind { free, other };",
        "#include <stdlib.h>\nvoid f(void) { void *malloc(int); }",
        "#include <stdlib.h>\nvoid f(void) { div_t malloc(int); }",
        "void f(void *p) { free(p); }",  # called, and not declared
        "void panic(void) { }",  # analysers take it for one that never returns
        "int __own;",
        "const char *f(void) { return __func__; }",
        "int free;\n#include <stdlib.h>\n",
    ],
)  # fmt: skip
def test_what_might_not_mean_the_same_goes_alone(text: str) -> None:
    good = "#include <stdlib.h>\nvoid f(char *p) { div_t d; d.quot = 1; free(p); }\n"
    units, rest = unit.gather(
        {"good.c": good, "odd.c": text, "other.c": good}, Library(preprocess_all)
    )
    assert [list(one.parts) for one in units] == [["good.c", "other.c"]]
    assert rest == ["odd.c"]


def test_feature_macros_are_the_heads_and_keep_their_numbers() -> None:
    old = "#define _XOPEN_SOURCE 500\n#include <stdlib.h>\nint x;\n"
    new = old.replace("500", "700 // newer")
    gnu = "#define _GNU_SOURCE\n#include <stdlib.h>\nint x;\n"
    units, rest = gathered(old, gnu, new, old, gnu)
    assert [one.head.split("\n")[0] for one in units] == [
        "#define _XOPEN_SOURCE 500",
        "#define _GNU_SOURCE",
    ]
    assert [list(one.parts) for one in units] == [["f0.c", "f3.c"], ["f1.c", "f4.c"]]
    assert rest == ["f2.c"]


def preprocess_all(text: str) -> str:
    """As a compiler would, also where all headers are asked for at once."""
    return preprocess(text.replace("__has_include(<nothere.h>)", ""))


def test_a_compiler_that_dies_of_a_unit_sees_each_alone(tmp_path: Path) -> None:
    names = [f"f{i}.c" for i in range(12)]
    for name in names:
        (tmp_path / name).write_text("int x;\n")
    seen = []

    def read(
        folder: Path,
        files: Sequence[str],
        programs: Sequence[str],
        language: Language,
        limits: Limits,
    ) -> unit.Reading:
        seen.append(list(files))
        if unit.MAIN in files:
            raise ScanFailedError("it died")
        return {name: [] for name in programs}, {"f3.c"}

    looks = unit.scan(tmp_path, names, "c", SLOW, Library(preprocess), read)
    assert seen == [[unit.MAIN], names]
    assert {name: look.read for name, look in looks.items()} == {n: n != "f3.c" for n in names}
