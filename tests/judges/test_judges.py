# SPDX-License-Identifier: Apache-2.0
"""Dispatch: the right judge for each case, each text judged once, every copy counted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codetemper.core import plugins
from codetemper.core.errors import UsageError
from codetemper.core.records import Case, Completion, Event
from codetemper.judges import BUILTIN, JudgeCard, JudgeOptions, exact, judge_all, signature


def case(name: str, judge: str = "exact") -> Case:
    if judge == "exact":
        spec: dict[str, object] = {"answers": [name]}
    else:
        spec = {"checks": [{"name": "c", "kind": "function", "code": "result = x", "expect": 1}]}
    return Case(id=name, prompt="", language="python", judge=judge, spec=spec)


def test_order_is_kept_and_copies_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    judge = exact.judge

    def counting(items, **rest):  # type: ignore[no-untyped-def]
        seen.extend(completion.text for _, completion in items)
        return judge(items, **rest)

    monkeypatch.setattr(exact, "judge", counting)
    a, b, run = case("a"), case("b"), case("run", "execution")
    texts = [(a, "a"), (run, "x = 1"), (b, "a"), (a, "a"), (a, "z"), (run, "x = 2"), (run, "x = 1")]
    items = [(c, Completion(case=c.id, index=i, text=t)) for i, (c, t) in enumerate(texts)]
    events: list[Event] = []
    judged = judge_all(items, options=JudgeOptions(workers=1), on_event=events.append)
    assert [v.case for v in judged] == ["a", "run", "b", "a", "a", "run", "run"]
    assert [v.index for v in judged] == list(range(7))
    assert [v.function for v in judged] == ["pass", "pass", "fail", "pass", "fail", "fail", "pass"]
    assert sorted(seen) == ["a", "a", "z"]
    assert judged[3].seconds == judged[6].seconds == 0.0
    assert judged[1].seconds > 0
    done = [event.done for event in events]
    assert done == sorted(done)
    assert done[-1] == 7
    assert {event.total for event in events} == {7}


def test_nothing_to_judge() -> None:
    assert judge_all([]) == []


def test_unknown_judge_is_pointed_at_the_right_one() -> None:
    with pytest.raises(UsageError) as caught:
        judge_all(
            [(case("a").model_copy(update={"judge": "exakt"}), Completion(case="a", text=""))]
        )
    assert "exact" in str(caught.value)


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_judge_says_what_it_is(name: str) -> None:
    module = plugins.resolve("judges", name, BUILTIN)
    assert isinstance(module.CARD, JudgeCard)
    assert module.CARD.name == name
    assert signature(name) == f"{name}/{module.CARD.version}"
    assert callable(module.judge)
    assert module.Spec.model_config["extra"] == "forbid"


def test_importing_judges_is_light() -> None:
    code = (
        "import sys, codetemper.judges\n"
        "print([m for m in ('torch', 'sqlite3', 'codetemper.judges.sql') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": ":".join(p for p in sys.path if p)})  # fmt: skip
    assert done.stdout.strip() == "[]"
