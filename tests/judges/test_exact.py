# SPDX-License-Identifier: Apache-2.0
"""The exact judge: normalisations and their edges."""

from __future__ import annotations

import pytest

from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Verdict
from codetemper.judges import judge_all


def verdict(text: str, *answers: str, normalise: str = "whitespace") -> Verdict:
    spec = {"answers": list(answers), "normalise": normalise}
    case = Case(id="e", prompt="", language="shell", judge="exact", spec=spec)
    return judge_all([(case, Completion(case="e", text=text))])[0]


@pytest.mark.parametrize(
    ("text", "answer", "normalise", "right"),
    [
        (" ls  -l\n", "ls -l", "whitespace", True),
        ("ls -a", "ls -l", "whitespace", False),
        ("ls  -l", "ls -l", "none", False),
        ("ls -l", "ls -l", "none", True),
        ("grep 'a b'  \"c\" f", 'grep "a b" c f', "shell", True),
        ("grep a b c f", 'grep "a b" c f', "shell", False),
    ],
)
def test_normalisation(text: str, answer: str, normalise: str, right: bool) -> None:
    judged = verdict(text, "something else", answer, normalise=normalise)
    assert judged.function == ("pass" if right else "fail")
    assert judged.scores == {"exact_match": float(right)}
    assert judged.failure == (None if right else "wrong")
    assert (judged.valid, judged.security) == ("pass", "unknown")


def test_unbalanced_quotes_are_not_valid() -> None:
    judged = verdict("echo 'a", "echo a", normalise="shell")
    assert (judged.valid, judged.function, judged.failure) == ("fail", "fail", "syntax")


def test_an_answer_is_needed() -> None:
    with pytest.raises(UsageError, match="'e'"):
        verdict("x")
