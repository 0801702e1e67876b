# SPDX-License-Identifier: Apache-2.0
"""Texts of evaluation cases are found in pairs, copied or renamed, and boilerplate is not."""

from __future__ import annotations

import re

import pytest

from codetemper.core.records import FixPair
from codetemper.data.contamination import CaseText, ContaminationScan, Hit
from tests.data.fixes import fix, function

CASE = """\
int parse_port(const char *text, unsigned short *port) {
  char *end = NULL;
  long value = strtol(text, &end, 10);
  if (end == text || *end != '\\0') return -1;
  if (value < 1 || value > 65535) return -1;
  *port = (unsigned short)value;
  return 0;
}
"""
SHORT = "int half(int n) { return n / 2; }\n"
CASES = [CaseText("net", "port", "c", (CASE,)), CaseText("net", "half", "c", (SHORT,)),
         CaseText("other", "far", "c", (function(77),))]  # fmt: skip


def hits(pairs: list[FixPair], cases: list[CaseText] | None = None) -> list[Hit]:
    scan = ContaminationScan(CASES if cases is None else cases)
    for pair in pairs:
        scan.add(pair)
    return scan.hits()


def renamed(text: str) -> str:
    names = {"text": "s", "port": "out", "end": "tail", "value": "n", "parse_port": "read_it"}
    return re.sub(r"\w+", lambda match: names.get(match[0], match[0]), text)


def test_a_copy_is_found_on_either_side_and_named() -> None:
    commented = CASE.replace(";\n", "; /* why */\n", 3)
    found = hits([fix(1), fix(2, after=commented), fix(3, before=CASE)])
    assert [(hit.position, hit.suite, hit.case) for hit in found] == [
        (1, "net", "port"), (2, "net", "port")]  # fmt: skip
    assert all(hit.share == 1.0 and not hit.renamed for hit in found)


def test_a_renamed_copy_is_found_in_the_middle_of_a_file() -> None:
    text = function(5, 100) + renamed(CASE) + function(6, 100)
    found = hits([fix(1, after=text, granularity="file")])
    assert [(hit.case, hit.renamed) for hit in found] == [("port", True)]


def test_a_case_with_a_long_prompt_is_found_by_its_answer() -> None:
    long = [CaseText("net", "long", "c", (function(9, 200) + CASE,))]
    assert [hit.case for hit in hits([fix(1, after=CASE)], long)] == ["long"]


def test_what_stands_before_a_piece_counts_with_it() -> None:
    head, tail = CASE[:150], CASE[150:]
    piece = fix(1, granularity="block", before="", context=head, after=tail)
    assert hits([piece])[0].share == 1.0


def test_a_few_lines_in_common_are_no_hit() -> None:
    lines = CASE.splitlines(keepends=True)
    text = function(5).replace("}\n", "".join(lines[1:3]) + "}\n")
    assert hits([fix(1, after=text)]) == []


def test_short_texts_hit_only_as_a_whole() -> None:
    assert [hit.case for hit in hits([fix(1, after=SHORT)])] == ["half"]
    assert [hit.renamed for hit in hits([fix(1, after=re.sub(r"\bn\b", "k", SHORT))])] == [True]
    assert hits([fix(1, after=function(3) + SHORT)]) == []
    assert hits([fix(1, after=SHORT.replace("2", "3"))]) == []
    assert hits([fix(1, after="")]) == []


def test_boilerplate_does_not_count_but_only_where_it_is_common() -> None:
    head = "".join(f"#include <sys/part{i}.h>\n" for i in range(8))
    cases = [CaseText("net", "port", "c", (head + "int x;\n",))]
    few = [fix(i, after=head + function(i)) for i in range(5)]
    assert len(hits(few, cases)) == 5
    many = [fix(i, after=head + function(i)) for i in range(40)]
    assert hits(many, cases) == []
    # A copied case is still found among them.
    assert [hit.position for hit in hits([*many, fix(99, after=head + CASE)])] == [40]


def test_pairs_that_are_gone_do_not_make_boilerplate() -> None:
    scan = ContaminationScan(CASES)
    for _ in range(30):
        scan.add(fix(1, after=CASE))
    assert scan.hits() == []
    assert [hit.position for hit in scan.hits(keep=[3])] == [3]


def test_one_hit_a_suite_with_its_closest_case() -> None:
    cases = [CaseText("net", "part", "c", (CASE + function(8, 12),)), *CASES]
    assert [hit.case for hit in hits([fix(1, after=CASE + function(8, 3))], cases)] == ["port"]
    twice = [*CASES, CaseText("copy", "port", "c", (CASE,))]
    assert [hit.suite for hit in hits([fix(1, after=CASE)], twice)] == ["copy", "net"]


@pytest.mark.parametrize("cases", [[], [CaseText("s", "c", "text", ("", "a b"))]])
def test_nothing_to_look_for(cases: list[CaseText]) -> None:
    assert hits([fix(1)], cases) == []
