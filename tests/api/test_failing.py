# SPDX-License-Identifier: Apache-2.0
"""Failures come out of files and runs, each case once, with a reason for every one left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from codetemper.api.failing import _reference, failing
from codetemper.api.repairing import _References, _together, _without
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.core.repairs import Failure
from codetemper.core.workspace import Workspace


def case(**changes: object) -> Case:
    fields = {"id": "c", "prompt": "# list\n", "language": "shell", "judge": "exact",
              "reference": "ls -a\n"} | changes  # fmt: skip
    return Case.model_validate(fields)


def drawn(*samples: tuple[str, str], whole: bool = False) -> list[tuple[Completion, Verdict]]:
    found = []
    for index, (text, said) in enumerate(samples):
        verdict = Verdict.model_validate(
            {"case": "c", "index": index, "valid": "pass", "function": said, "judge": "exact/1",
             "security": "unknown", "failure": "wrong" if said == "fail" else None}
        )  # fmt: skip
        found.append((Completion(case="c", index=index, text=text, whole=whole), verdict))
    return found


def test_a_failing_case_gets_the_answer_that_passed_or_its_own() -> None:
    mixed = drawn(("ls\n", "fail"), ("ls -A\n", "pass"), ("ls -A\n", "pass"))
    assert _reference(case(), mixed) == ("ls -A\n", "")
    assert _reference(case(), drawn(("ls\n", "fail"))) == ("ls -a\n", "")


@pytest.mark.parametrize(
    ("changes", "samples", "reason"),
    [
        ({}, [("ls -a\n", "pass")], "right already"),
        ({}, [("ls\n", "unknown")], "of which nobody can tell"),
        ({"reference": None}, [("ls\n", "fail")], "without a right answer"),
        ({"reference": "ls   -a"}, [("ls -a\n", "fail")], "wrong in layout alone"),
        ({"answer": "program"}, [("ls\n", "fail")], "answered with whole programs"),
    ],
)
def test_cases_are_left_out_for_a_reason(
    changes: dict[str, object], samples: Sequence[tuple[str, str]], reason: str
) -> None:
    assert _reference(case(**changes), drawn(*samples)) == ("", reason)


def test_a_file_of_failures(tmp_path: Path) -> None:
    home = Workspace.create(tmp_path / "project")
    path = tmp_path / "failures.jsonl"
    rows = [{"prompt": "a", "completion": "b", "views": ["c"]}, {"prompt": "d", "reference": "e"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = failing(home, str(path), limit=1)
    assert [(f.prompts, f.reference) for f in found.failures] == [(("a", "c"), "b")]
    path.write_text("\n")
    with pytest.raises(UsageError, match="nothing to repair") as refused:
        failing(home, str(path))
    assert "no lines" in refused.value.why
    with pytest.raises(UsageError, match="names nothing to repair"):
        failing(home, "eval-00")


def test_failures_of_several_patches_are_one_set() -> None:
    one = [
        Failure(id="a", prompt="p", reference="r", views=("v",)),
        Failure(id="b", prompt="q", reference="r"),
    ]
    two = [
        Failure(id="x", prompt="p", reference="r", views=("w",)),
        Failure(id="b", prompt="other", reference="r"),
    ]
    merged = _together({"repair-1": one, "repair-2": two})
    assert [(f.id, f.prompts) for f in merged] == [
        ("a", ("p", "v", "w")), ("b", ("q",)), ("b (repair-2)", ("other",)),
    ]  # fmt: skip
    assert _without("seedling+tune-1+repair-1", ["repair-1"]) == "seedling+tune-1"


def test_what_the_monitor_reads_is_used_for_nothing_else() -> None:
    texts = tuple((f"p{n}", f"t{n}") for n in range(9))
    references = _References("ours", "0", (*texts, *texts[:3]))
    repaired = Failure(id="a", prompt="p4", reference="r", views=("p5",))
    kept, sealed = references.shared(0.5, [repaired])
    assert (len(kept), len(sealed)) == (3, 4)
    assert not set(kept) & set(sealed)
    assert {*kept, *sealed} == set(texts) - {texts[4], texts[5]}
    again, _ = _References("ours", "0", tuple(reversed(texts))).shared(0.5, [])
    assert len(again) == 5
    assert references.shared(0.0, [])[1] == []
