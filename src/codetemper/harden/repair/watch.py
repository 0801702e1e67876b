# SPDX-License-Identifier: Apache-2.0
"""What looks on while a repair is made: which failures are tried, and what the change may move.

    watch = Watch(sealed=texts, earlier={"repair-3fa9": failures}, budgets=Budgets())
    result = repair(model, failures, Config(), folder, watch=watch)
    watch.routes, watch.reading, watch.step

``choose`` routes failures before they are solved, ``check`` reads the change before it is
written: within its budgets it is kept, beyond them it is shrunk, and where that undoes the repair
there is no patch: ``BudgetError``. Solving earlier repairs again together with new ones is the
caller's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from codetemper.core.errors import EXIT_NO, CodetemperError, UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.explain import Explained, explained
from codetemper.harden.repair.failures import Failure, Passage, tokens_of
from codetemper.harden.repair.monitor import (
    Budgets,
    Monitor,
    Reading,
    over,
    put,
    scaled,
    shrunk,
)
from codetemper.harden.repair.route import ATTEMPTED, Probe, Route, route

#: Reference texts whose places are compared with failing ones.
_COMPARED = 64


class BudgetError(CodetemperError):
    """The repair moves more than it may; there is no patch (exit code 1).

    Attributes:
        reading: what it moved.
    """

    exit_code = EXIT_NO

    def __init__(self, reasons: Sequence[str], reading: Reading) -> None:
        super().__init__(
            "the repair passes its budgets, and no patch was made",
            why="; ".join(reasons),
            mend="repair fewer failures at once, give more reference texts (--reference), raise "
            "the budget (-o flips_budget=..., kl_budget, accuracy_budget), or retrain instead",
        )
        self.reading = reading


class UndoneError(BudgetError):
    """The repair undoes earlier ones: those are to be solved again together with it.

    Attributes:
        reading: what it moved, the broken ones named.
    """


@dataclass
class Watch:
    """Looks on at one repair, and holds what was seen.

    Attributes:
        tokenizer: the model's.
        sealed: prompt and text of what only the monitor reads.
        compared: prompt and text of what failing places are told apart from.
        earlier: failures of patches that are on the model, by patch id.
        budgets: what the repair may move.
        probe: whether each failure is probed by a round of its own before.
        attempt_all: try failures whatever their verdict, but those that are right already.
        routes: verdicts, in the order of the failures.
        reading: what was read under the change that was written.
        whole: what was read under the whole change, where it was shrunk.
        step: share of the whole change that was written.
        why: what neurons do, by failure.
    """

    tokenizer: Any
    sealed: Sequence[tuple[str, str]] = ()
    compared: Sequence[tuple[str, str]] = ()
    earlier: Mapping[str, Sequence[Failure]] = field(default_factory=dict)
    budgets: Budgets = field(default_factory=Budgets)
    probe: bool = True
    attempt_all: bool = False
    on_event: OnEvent = ignore_events
    routes: list[Route] = field(default_factory=list)
    reading: Reading | None = None
    whole: Reading | None = None
    step: float = 1.0
    why: list[Explained] = field(default_factory=list)

    def choose(
        self, engine: Engine, failures: Sequence[Failure], probe: Probe
    ) -> Sequence[Failure]:
        """Route failures, and return those that are to be solved.

        Raises:
            UsageError: none is.
        """
        self.routes = route(
            engine,
            failures,
            self.tokenizer,
            probe=probe if self.probe else None,
            reference=self._passages(self.compared[:_COMPARED]),
            earlier={name: tokens_of(self.tokenizer, some) for name, some in self.earlier.items()},
            on_event=self.on_event,
        )
        tried = {
            each.failure
            for each in self.routes
            if each.verdict in ATTEMPTED or (self.attempt_all and each.verdict != "reject")
        }
        if not tried:
            told = [f"{each.failure}: {each.verdict}, {each.because}" for each in self.routes]
            raise UsageError(
                "there is nothing to repair",
                why="; ".join(told[:5]) + ("; ..." if len(told) > 5 else ""),
                mend="give prompts whose reference the model does not write, or try them "
                "all the same: -o attempt_all=true",
            )
        return [failure for failure in failures if failure.id in tried]

    def check(self, engine: Engine, edit: Edit, passages: Sequence[Passage]) -> Edit:
        """Read what a change moves, and return the change that is to be written.

        Raises:
            UndoneError: earlier repairs come undone, and the budget for that is passed.
            BudgetError: another budget is passed, and a smaller step undoes the repair.
        """
        earlier = [p for some in self.earlier.values() for p in tokens_of(self.tokenizer, some)]
        monitor = Monitor(engine, self._passages(self.sealed), earlier)
        with engine.drafting() as draft:
            put(draft, edit.deltas)
            self.reading = monitor.read(draft)
            reasons = over(self.reading, self.budgets)
            if reasons:
                found = shrunk(monitor, draft, edit.deltas, passages, self.budgets)
                if found is None:
                    broken = len(self.reading.broken) > (self.budgets.broken or 0)
                    kind = UndoneError if broken and self.budgets.broken is not None else None
                    raise (kind or BudgetError)(reasons, self.reading)
                self.whole, (self.step, self.reading) = self.reading, found
                after = engine.observe(passages)
                gaps: dict[str, tuple[float, ...]] = {}
                for passage, each in zip(passages, after.gaps, strict=True):
                    gaps[passage.failure] = gaps.get(passage.failure, ()) + each
                edit = replace(
                    edit, deltas=scaled(edit.deltas, self.step), gaps_after=gaps,
                    solved=all(after.right),
                )  # fmt: skip
        self.why = explained(engine, edit, passages, self.tokenizer)
        return edit

    def report(self) -> dict[str, Any]:
        """Return what was seen as plain JSON data."""
        return {
            "routes": [each.report() for each in self.routes],
            "budgets": self.budgets.model_dump(mode="json", exclude={"schema_version"}),
            "monitor": None if self.reading is None else self.reading.report(),
            "whole": None if self.whole is None else self.whole.report(),
            "step": self.step,
            "explained": [each.report() for each in self.why],
        }

    def _passages(self, texts: Sequence[tuple[str, str]]) -> list[Passage]:
        named = [Failure(f"text {n}", *each) for n, each in enumerate(texts)]
        return tokens_of(self.tokenizer, named)
