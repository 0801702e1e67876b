# SPDX-License-Identifier: Apache-2.0
"""The harness asks once, judges equal texts once, goes on after a kill, and counts right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from codetemper.core.journal import Journal
from codetemper.core.records import (
    Case,
    Completion,
    Event,
    Sampling,
    SuiteCard,
    Verdict,
    ignore_events,
)
from codetemper.evaluate import harness
from codetemper.evaluate.suites import Suite

SUITE = Suite(
    SuiteCard(
        name="toy", summary="Toy.", language="python", metrics=("secure@1", "pass@1", "valid@1"),
        cases="toy.sqlite",
    ),
    tuple(
        Case(id=f"c{i}", prompt=f"p{i}", language="python", judge="toy", cwe="CWE-78",
             split="combination")
        for i in range(harness.PROMPTS + 5)
    ),
)  # fmt: skip


class Parrot:
    """A model that says its prompt back, each sample with its index; it counts its calls."""

    digest = "d" * 64

    def __init__(self, die_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.die_after = die_after

    def generate(
        self,
        prompts: Sequence[str],
        sampling: Sampling,
        *,
        stops: Sequence[tuple[str, ...]] | None = None,
        on_event: Any = ignore_events,
    ) -> list[list[Completion]]:
        if self.die_after is not None and len(self.asked) >= self.die_after:
            raise KeyboardInterrupt
        self.asked += prompts
        return [
            [Completion(case="?", index=i, text=f"{p}:{i}") for i in range(sampling.n)]
            for p in prompts
        ]


def _verdict(case: Case, text: str) -> Verdict:
    odd = text.endswith("1")
    return Verdict(case=case.id, valid="pass", function="pass" if odd else "fail",
                   security="unknown" if odd else "pass", judge="toy/1",
                   failure=None if odd else "wrong")  # fmt: skip


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    path, sampling = tmp_path / "j.sqlite", Sampling(n=2)
    model = Parrot(die_after=harness.PROMPTS)
    with pytest.raises(KeyboardInterrupt):
        list(harness.complete(model, SUITE, sampling, Journal(path)))
    second = Parrot()
    done = list(harness.complete(second, SUITE, sampling, Journal(path)))
    assert len(second.asked) == 5
    assert [c.text for c in done] == [f"{c.prompt}:{i}" for c in SUITE.cases for i in range(2)]
    third = Parrot()
    assert list(harness.complete(third, SUITE, sampling, Journal(path))) == done
    assert third.asked == []


def test_another_seed_or_model_asks_again(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    list(harness.complete(Parrot(), SUITE, Sampling(n=1), Journal(path)))
    model = Parrot()
    list(harness.complete(model, SUITE, Sampling(n=1, seed=1), Journal(path)))
    assert len(model.asked) == len(SUITE.cases)
    changed = Parrot()
    changed.digest = "e" * 64
    list(harness.complete(changed, SUITE, Sampling(n=1), Journal(path)))
    assert len(changed.asked) == len(SUITE.cases)


def decide(completions: list[Completion], *rest: Any, **more: Any) -> list[Verdict]:
    blocks = harness.decide(SUITE, completions, *rest, total=len(completions), **more)
    found = [pair for block in blocks for pair in block]
    assert [completion for completion, _ in found] == completions
    return [verdict for _, verdict in found]


def test_equal_texts_are_judged_once_and_counted_each_time(tmp_path: Path) -> None:
    judged: list[str] = []

    def judge(items: Any, *, on_event: Any) -> list[Verdict]:
        judged.extend(completion.text for _, completion in items)
        on_event(Event(stage="judge", done=len(items), total=len(items)))
        return [_verdict(case, completion.text) for case, completion in items]

    completions = [Completion(case="c0", index=i, text="same1") for i in range(6)]
    events: list[Event] = []
    journal = Journal(tmp_path / "v.sqlite")
    verdicts = decide(completions, judge, journal, on_event=events.append)
    assert judged == ["same1"]
    assert [v.index for v in verdicts] == list(range(6))
    assert {v.function for v in verdicts} == {"pass"}
    assert events[-1].done == events[-1].total == 6
    decide(completions, judge, journal, salt="other judge version")
    assert judged == ["same1", "same1"]


def test_quick_blocks_grow_and_slow_ones_shrink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, sizes = [0.0], []
    monkeypatch.setattr(harness.time, "monotonic", lambda: now[0])

    def judge(items: Any, *, on_event: Any) -> list[Verdict]:
        sizes.append(len(items))
        now[0] += 60.0 if len(sizes) == 3 else 1.0
        return [_verdict(case, completion.text) for case, completion in items]

    completions = [Completion(case="c0", index=i, text=f"t{i}") for i in range(2000)]
    verdicts = decide(completions, judge, Journal(tmp_path / "v.sqlite"))
    first = harness.JUDGED
    assert sizes[:4] == [first, 2 * first, 4 * first, 2 * first]
    assert sum(sizes) == 2000
    assert [v.index for v in verdicts] == list(range(2000))
