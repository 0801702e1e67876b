# SPDX-License-Identifier: Apache-2.0
"""A suite that a random tiny model answers both rightly and wrongly, and the judge it needs.

    write_suite(folder, "letters", range(20))          # suite:FOLDER/letters.yaml
    monkeypatch.setitem(judges.BUILTIN, "letters", "tests.letters")

An answer is right where it holds one of some letters. A case may say otherwise of all answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from codetemper.core.records import (
    Case,
    Completion,
    Event,
    OnEvent,
    SuiteCard,
    Verdict,
    ignore_events,
)
from codetemper.evaluate.suites import write
from codetemper.judges.options import JudgeCard, JudgeOptions

CARD = JudgeCard(name="letters", version="1", summary="Looks for letters.", languages=("text",))
RIGHT = frozenset("aeiou")


def judge(
    items: Sequence[tuple[Case, Completion]],
    *,
    options: JudgeOptions | None = None,
    on_event: OnEvent = ignore_events,
) -> list[Verdict]:
    """Say of each completion whether it holds a letter, or what its case says."""
    found = [_verdict(case, completion) for case, completion in items]
    on_event(Event(stage="judge", done=len(items), total=len(items), unit="completions"))
    return found


def _verdict(case: Case, completion: Completion) -> Verdict:
    said = case.spec.get("says", "letters")
    if said == "crash":
        raise RuntimeError("the tests of this case cannot be read")
    if said == "letters":
        said = "pass" if RIGHT & set(completion.text) else "fail"
    return Verdict(
        case=case.id, index=completion.index, valid="pass", function=said, security="unknown",
        failure="wrong" if said == "fail" else None, judge=CARD.signature,
    )  # fmt: skip


def write_suite(
    folder: Path, name: str, numbers: Iterable[int], *, says: str = "letters", **changes: Any
) -> str:
    """Write a suite of short prompts; return the name it is evaluated under."""
    cases = [
        Case(
            id=f"{name}-{number}",
            prompt=f"for item in items_{number}:\n",
            language="text",
            judge="letters",
            spec={"says": says},
            family=f"family-{number % 7}",
            **changes.get("case", {}),
        )
        for number in numbers
    ]
    card = SuiteCard(
        name=name, summary="Letters.", language="text", cases=f"{name}.jsonl.gz",
        metrics=changes.get("metrics", ("pass@1",)), max_new_tokens=4,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write(card, cases, folder, by="a test")
    return f"suite:{folder / name}.yaml"
