# SPDX-License-Identifier: Apache-2.0
"""What looks on while a repair is made: which failures are tried, and what the change may move.

    watch = Watch(tokenizer, sealed=texts, earlier={"repair-3fa9": failures})
    made = repair(model, failures, Config(), folder, watch=watch)
    made.routes, made.monitor, made.step

``choose`` routes failures before they are solved, ``check`` reads the change before it is
written: within its budgets it is kept, beyond them it is shrunk, and where that undoes the repair
there is no patch: ``BudgetError``. Solving earlier repairs again together with new ones is the
caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from codetemper.core.errors import EXIT_NO, CodetemperError, UsageError
from codetemper.core.records import OnEvent, ignore_events
from codetemper.core.repairs import (
    Failure,
    FreeRuns,
    Repair,
    RepairBudgets,
    RepairExplained,
    RepairReading,
    RepairRoute,
    RepairTurn,
)
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.explain import explained, turned
from codetemper.harden.repair.failures import Passage, tokens_of
from codetemper.harden.repair.monitor import Monitor, over, put, scaled, shrunk, still_right
from codetemper.harden.repair.route import ATTEMPTED, Probe, reworded, route
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.task import gaps_by_failure
from codetemper.harden.repair.wear import Wear

#: Reference texts whose places are compared with failing ones.
_COMPARED = 64


class WatchedConfig(Config):
    """Settings of a repair that is watched."""

    accuracy_budget: float | None = Field(default=0.005, ge=0, le=1)
    """Share of sealed tokens that may be predicted rightly no more, net of those newly right; null:
    any."""
    flips_budget: float | None = Field(default=0.02, ge=0, le=1)
    """Share of predictions in sealed texts that may change; null: any."""
    kl_budget: float | None = Field(default=0.02, ge=0)
    """Mean KL in sealed texts, from before to after, in nats a token; null: any."""
    broken_budget: int | None = Field(default=0, ge=0)
    """Earlier repairs that may come undone; null: any."""
    sealed_share: float = Field(default=0.5, ge=0, lt=1)
    """Share of the reference texts that nothing but the monitor reads."""
    probe: bool = True
    """Try one round on each failure by itself before it is routed."""
    attempt_all: bool = False
    """Repair whatever fails, also where the verdict is retrain or conflict."""
    resolve: bool = True
    """Where earlier repairs come undone, solve them again together with the new failures."""

    @property
    def budgets(self) -> RepairBudgets:
        """What the repair may move."""
        return RepairBudgets(
            accuracy=self.accuracy_budget, flips=self.flips_budget, kl=self.kl_budget,
            broken=self.broken_budget,
        )  # fmt: skip


class BudgetError(CodetemperError):
    """The repair moves more than it may; there is no patch (exit code 1).

    Attributes:
        reading: what it moved.
    """

    exit_code = EXIT_NO

    def __init__(self, reasons: Sequence[str], reading: RepairReading) -> None:
        super().__init__(
            "the repair passes its budgets, and no patch was made",
            why="; ".join(reasons),
            mend="repair fewer failures at once, give more reference texts (--reference), raise "
            "the budget (-o flips_budget=..., kl_budget, accuracy_budget), or retrain instead",
        )
        self.reading = reading


class NotRepairedError(CodetemperError):
    """Not one failure is right under the change; there is no patch (exit code 1)."""

    exit_code = EXIT_NO


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
        where: flipped predictions of ``reading`` in words.
        write: writes answers of at most so many tokens to prompts, greedily, as the model is;
            None: nothing is written.
        measure: measures free runs of a suite as the model is; None: nothing is run.
        written: ids of failures whose answer is written as it should be, token by token, freely.
        measured: what ``measure`` found before and after.
    """

    tokenizer: Any
    sealed: Sequence[tuple[str, str]] = ()
    compared: Sequence[tuple[str, str]] = ()
    earlier: Mapping[str, Sequence[Failure]] = field(default_factory=dict)
    budgets: RepairBudgets = field(default_factory=lambda: WatchedConfig().budgets)
    probe: bool = True
    attempt_all: bool = False
    write: Callable[[Sequence[str], int], Sequence[str]] | None = None
    measure: Callable[[], FreeRuns] | None = None
    on_event: OnEvent = ignore_events
    routes: list[RepairRoute] = field(default_factory=list)
    reading: RepairReading | None = None
    whole: RepairReading | None = None
    step: float = 1.0
    why: list[RepairExplained] = field(default_factory=list)
    where: list[RepairTurn] = field(default_factory=list)
    written: tuple[str, ...] | None = None
    measured: tuple[FreeRuns, FreeRuns] | None = None
    _tried: Sequence[Failure] = ()

    def choose(
        self,
        engine: Engine,
        failures: Sequence[Failure],
        probe: Probe,
        wear: Callable[[Sequence[Passage]], Wear],
    ) -> Sequence[Failure]:
        """Route failures, and return those that are to be solved.

        Args:
            engine: the model.
            failures: all that were given.
            probe: solves one round for some passages.
            wear: makes of reference texts what foretells later repairs.

        Raises:
            UsageError: none is.
        """
        reference = self._passages(self.compared[:_COMPARED])
        self.routes = route(
            engine,
            tokens_of(self.tokenizer, reworded(failures)),
            self.tokenizer,
            probe=probe if self.probe else None,
            reference=reference,
            earlier={name: tokens_of(self.tokenizer, some) for name, some in self.earlier.items()},
            wear=wear(reference) if reference else None,
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
        self._tried = [failure for failure in failures if failure.id in tried]
        return self._tried

    def check(self, engine: Engine, edit: Edit, passages: Sequence[Passage]) -> Edit:
        """Read what a change moves, and return the change that is to be written.

        Raises:
            NotRepairedError: it repairs nothing.
            UndoneError: earlier repairs come undone, and the budget for that is passed.
            BudgetError: another budget is passed, and a smaller step undoes the repair.
        """
        earlier = [p for some in self.earlier.values() for p in tokens_of(self.tokenizer, some)]
        sealed = self._passages(self.sealed)
        monitor = Monitor(engine, sealed, earlier)
        before = None if self.measure is None else self.measure()
        with engine.drafting() as draft:
            put(draft, edit.deltas)
            _refuse_failed(engine, edit, passages)
            self.reading = monitor.read(draft)
            reasons = over(self.reading, self.budgets)
            if reasons:
                found = shrunk(monitor, draft, edit.deltas, passages, self.budgets)
                if found is None:
                    limit = self.budgets.broken
                    undone = limit is not None and len(self.reading.broken) > limit
                    raise (UndoneError if undone else BudgetError)(reasons, self.reading)
                self.whole, (self.step, self.reading) = self.reading, found
                edit = _stepped(engine, edit, passages, self.step)
            if self.write is not None:
                self.written = self._freely(passages)
            if self.measure is not None and before is not None:
                self.measured = before, self.measure()
        self.why = explained(engine, edit, passages, self.tokenizer)
        self.where = turned(self.reading.flipped, sealed, self.tokenizer)
        return edit

    def _freely(self, passages: Sequence[Passage]) -> tuple[str, ...]:
        """Return ids of the failures whose prompt the model answers with the reference."""
        write = self.write
        if write is None:
            return ()
        longest = max(len(passage.answer) for passage in passages)
        texts = write([failure.prompt for failure in self._tried], longest)
        pairs = zip(self._tried, texts, strict=True)
        return tuple(failure.id for failure, text in pairs if text == failure.reference)

    def told(self, made: Repair) -> Repair:
        """Return what a repair says of itself with what was seen while it was made."""
        return made.model_copy(
            update={
                "routes": tuple(self.routes),
                "budgets": self.budgets,
                "monitor": self.reading,
                "whole": self.whole,
                "step": self.step,
                "written": self.written,
                "measured": self.measured,
                "explained": tuple(self.why),
                "turned": tuple(self.where),
            }
        )

    def _passages(self, texts: Sequence[tuple[str, str]]) -> list[Passage]:
        named = [
            Failure(id=f"text {n}", prompt=prompt, reference=text)
            for n, (prompt, text) in enumerate(texts)
        ]
        return tokens_of(self.tokenizer, named)


def _refuse_failed(engine: Engine, edit: Edit, passages: Sequence[Passage]) -> None:
    if not any(still_right(engine, passages).values()):
        raise NotRepairedError(
            "nothing was repaired, and no patch was made",
            why=f"after {len(edit.rounds)} round(s) of {edit.method} every failure still has a "
            "wrong token",
            mend="-o rounds=N for more rounds, fewer failures at once, or retrain instead",
        )


def _stepped(engine: Engine, edit: Edit, passages: Sequence[Passage], step: float) -> Edit:
    """Return an edit as it is with a smaller step, which is on the model."""
    after = engine.observe(passages)
    return replace(
        edit,
        deltas=scaled(edit.deltas, step),
        gaps_after=gaps_by_failure(passages, after.gaps),
        solved=all(after.right),
    )
