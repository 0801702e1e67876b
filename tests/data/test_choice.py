# SPDX-License-Identifier: Apache-2.0
"""Which commits and which of their functions belong to a fix, and how sure that is."""

from __future__ import annotations

import pytest

from codetemper.data.changes import compare
from codetemper.data.choice import (
    Candidate,
    Part,
    candidate,
    is_product,
    part,
    quality,
    speaks_of,
    untangled,
    words_of,
)
from codetemper.data.history import Commit
from codetemper.data.labels import label
from codetemper.data.sources import Listed


def commit(message: str) -> Commit:
    return Commit("c" * 40, ("p" * 40,), "2024-01-01T00:00:00+00:00", message)


def told(message: str, **more: object) -> Candidate:
    return candidate(commit(message), label(message), **more)  # type: ignore[arg-type]


def change(name: str, before: str, after: str, path: str = "src/a.c") -> Part:
    return part(path, name, before, after, compare(before, after, "c"))


def many(count: int) -> list[Part]:
    return [change(f"work_{i}", f"x = {i};\n", f"x = other({i});\n") for i in range(count)]


def test_a_list_goes_before_a_message_and_a_message_before_its_merge() -> None:
    said = told(
        "Fix use after free (CWE-416)",
        listed=Listed("r", "c", "CWE-415", "CVE-2024-0001"),
        merge=("m" * 40, label("Fix CVE-2024-0002 (CWE-120)")),
    )
    assert (said.cwe, said.cve, said.strength) == ("CWE-415", "CVE-2024-0001", 1.0)
    assert "the list's CWE-415 goes before CWE-416" in said.evidence
    merged = told("Look at the size", merge=("m" * 40, label("Fix CVE-2024-0002 (CWE-120)")))
    assert (merged.cwe, merged.cve, merged.strength) == ("CWE-120", "CVE-2024-0002", 1.0)
    assert f"merge {'m' * 12} brought it in CVE-2024-0002" in merged.evidence


@pytest.mark.parametrize(
    ("message", "strength"),
    [
        ("Fix CVE-2024-0001", 1.0),
        ("Fix GHSA-aaaa-bbbb-cccc", 0.9),
        ("Fix CWE-120", 0.9),
        ("Fix a heap buffer overflow with crafted input, found by oss-fuzz", 0.8),
        ("Avoid a segfault in the fuzzer", 0.3),
    ],
)
def test_strength_of_the_evidence(message: str, strength: float) -> None:
    assert told(message).strength == pytest.approx(strength)


def test_few_functions_are_all_kept() -> None:
    found = untangled(many(3), "Fix overflow", 10)
    assert [i for i, _ in found.kept] == [0, 1, 2]
    assert found.dropped == {}


def test_of_many_functions_those_are_kept_that_the_message_speaks_of() -> None:
    parts = [*many(12), change("Parser::read_name", "a;\n", "b;\n", "lib/other.c")]
    found = untangled(parts, "Fix overflow in read_name, tidy up", 10)
    assert found.kept == ((12, 1.0),)
    assert found.dropped == {"function: cut off a tangled commit that does not speak of it": 12}
    assert untangled(parts, "Fix overflow", 10).reason == "commit: tangled, too many functions"
    # The identifier that changed, written as code, speaks for a function too.
    checked = change("f", "x = 1;\n", "x = safe_size(1);\n")
    assert untangled([*many(12), checked], "Use safe_size()", 10).kept == ((12, 0.6),)


def test_a_rename_made_everywhere_is_cut_off() -> None:
    renames = [change(f"f{i}", f"y = old_name({i});\n", f"y = new_name({i});\n") for i in range(3)]
    fix = change("g", "strcpy(a, b);\n", "if (n < 8) strcpy(a, b);\n")
    found = untangled([*renames, fix], "Fix overflow", 10)
    assert found.kept == ((3, 1.0),)
    assert found.dropped == {"function: only a rename that the commit makes elsewhere too": 3}
    assert untangled(renames, "Fix overflow", 10).reason == "commit: only renames identifiers"
    # Two calls made safer in the same way are a fix, not a rename.
    assert len(untangled(renames[:2], "Fix overflow", 10).kept) == 2


def test_quality_falls_with_everything_that_speaks_against_it() -> None:
    sure = told("Fix CVE-2024-0001")
    best = quality(sure, 1, 1.0, 4, True)
    assert best == 1.0
    worse = [
        quality(told("Avoid a crash, fuzzer"), 1, 1.0, 4, True),
        quality(sure, 4, 1.0, 4, True),
        quality(sure, 1, 0.0, 4, True),
        quality(sure, 1, 1.0, 400, True),
        quality(sure, 1, 1.0, 4, False),
    ]
    assert all(0 <= one < best for one in worse)
    assert quality(sure, 4, 0.6, 40, True) == pytest.approx(0.40 + 0.125 + 0.12 + 0.075)


@pytest.mark.parametrize(
    ("path", "product"),
    [
        ("src/a.c", True), ("src/contest.c", True), ("Latest.java", True), ("src/attest/b.c", True),
        ("test/a.c", False), ("Tests/a.c", False), ("src/ParserTest.java", False),
        ("a.min.js", False), ("x_test.go", False), ("lib/a.spec.js", False),
        ("node_modules/m/i.js", False),
    ],
)  # fmt: skip
def test_paths_of_the_product(path: str, product: bool) -> None:
    assert is_product(path) is product


def test_messages_speak_of_files() -> None:
    assert speaks_of(words_of("(for 4.9.3) BGP: fix over-read"), "print-bgp.c")
    assert not speaks_of(words_of("fix over-read"), "print-bgp.c")
