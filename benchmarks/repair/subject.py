# SPDX-License-Identifier: Apache-2.0
"""A model that is repaired, by whichever method, and what is read of it afterwards.

    subject = Subject.of(loaded, references, held_out, cache)
    edit, wall, cpu = subject.solve("star", passages, step=0.05)
    record = subject.measured(edit, problem)             # plain data: right, moved, generalised

Every method gets the same failing tokens, key statistics, Gram factor and guards; those are made
once for a model and are in nobody's time. The model is as before, bit for bit, after each call.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from codetemper.core.repairs import Failure
from codetemper.harden.repair import solve, system
from codetemper.harden.repair.deltas import Edit
from codetemper.harden.repair.engine import Engine
from codetemper.harden.repair.failures import Passage, tokens_of
from codetemper.harden.repair.locate import chosen_columns
from codetemper.harden.repair.monitor import Monitor, put
from codetemper.harden.repair.run import METHODS
from codetemper.harden.repair.semantic import Semantic
from codetemper.harden.repair.settings import Config
from codetemper.harden.repair.statistics import Statistics
from codetemper.harden.repair.task import Task, reference_passages
from codetemper.models.anatomy import anatomy
from codetemper.models.loaded import LoadedModel

Text = tuple[str, str]


@dataclass(frozen=True)
class Problem:
    """A failure and what is asked of its repair.

    Attributes:
        failure: prompt and right answer, without wordings.
        given: wordings that a repair may be given.
        asked: wordings that no repair is given; the answer should be the same.
        near: prompts with answers of their own, which should not move.
    """

    failure: Failure
    given: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    near: tuple[Text, ...] = ()


def solver(method: str) -> ModuleType:
    """Return the module of a method."""
    return importlib.import_module(f"codetemper.harden.repair.{METHODS[method]}")


def sources(method: str) -> tuple[ModuleType, ...]:
    """Return the modules that decide what a method's repairs are."""
    return solver(method), *((solve, system) if method == "joint" else ())


class Subject:
    """A model opened for repair.

    Args:
        loaded: the model.
        references: texts that statistics are taken of.
        guards: how many of them are guards of ``joint``.
        held_out: texts that show what else moves.
        cache: folder for statistics.
        batch_size: passages computed together.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        references: Sequence[Text],
        held_out: Sequence[Text],
        cache: Path,
        *,
        guards: int = 200,
        batch_size: int = 32,
    ) -> None:
        self.loaded = loaded
        self.engine = Engine(loaded.module, anatomy(loaded.module), batch_size=batch_size)
        self.batch_size = batch_size
        self.semantic = Semantic.of(self.engine, digest=loaded.digest, cache=cache)
        self.texts = texts = self.passages_of(references)
        self._statistics = {
            method: Statistics.of(
                self.engine, texts, Config(method=method), state=loaded.digest, cache=cache
            )
            for method in ("joint", "alphaedit")
        }
        self._guards = reference_passages(self.engine, sorted(texts[:guards], key=len))
        # Texts of like length together: less is computed for nothing.
        self.held_out = sorted(self.passages_of(held_out), key=len)
        self.monitor = Monitor(self.engine, self.held_out)

    def passages_of(self, texts: Sequence[Text]) -> list[Passage]:
        """Return texts as passages, one each."""
        named = [
            Failure(id=f"text {n}", prompt=prompt, reference=text)
            for n, (prompt, text) in enumerate(texts)
        ]
        return tokens_of(self.loaded.tokenizer, named)

    def passages(self, problems: Sequence[Problem], *, views: bool = False) -> list[Passage]:
        """Return the failing answers of problems, with the given wordings where asked for."""
        failures = [
            p.failure.model_copy(update={"views": p.given if views else ()}) for p in problems
        ]
        return tokens_of(self.loaded.tokenizer, failures)

    def task(self, method: str, passages: Sequence[Passage], **settings: Any) -> Task:
        """Return what a method is handed."""
        config = Config(method=method, batch_size=self.batch_size, **settings)  # type: ignore[arg-type]
        guarded = config.guard and method == "joint"
        return Task(
            passages=tuple(passages),
            reference=self._guards if guarded else (),
            columns=chosen_columns(self.engine, passages, config),
            statistics=self._statistics["alphaedit" if method == "alphaedit" else "joint"],
            semantic=self.semantic,
            config=config,
        )

    def solve(
        self, method: str, passages: Sequence[Passage], **settings: Any
    ) -> tuple[Edit, float, float]:
        """Repair passages; return the edit with seconds of clock and of CPU."""
        task = self.task(method, passages, **settings)
        wall, cpu = time.perf_counter(), time.process_time()
        edit: Edit = solver(method).solve(self.engine, task)
        return edit, time.perf_counter() - wall, time.process_time() - cpu

    def measured(self, edit: Edit, problem: Problem) -> dict[str, Any]:
        """Return what one repair achieved and what else it moved, as plain data."""
        (own,) = self.passages([problem])
        asked = [Passage(own.failure, 0, p.prompt, p.answer) for p in self.passages_of(
            [(prompt, problem.failure.reference) for prompt in problem.asked])]  # fmt: skip
        near = self.passages_of(problem.near)
        others = [*asked, *near]
        before = self.engine.observe(others) if others else None
        with self.engine.drafting() as draft:
            put(draft, edit.deltas)
            mine = self.engine.observe([own])
            reading = self.monitor.read(draft)
            after = self.engine.observe(others) if others else None
            free = self.free_run(own)
        found = {
            "exact": mine.right[0],
            "free": free,
            "tokens": float((~mine.wrong).double().mean()),
            "kl": reading.kl,
            "kl_max": reading.kl_max,
            "flips": reading.flips,
            "lost": reading.accuracy[0] - reading.accuracy[1],
            "moved": max(reading.weights.values(), default=0.0),
        }
        if before is not None and after is not None:
            found |= _spread(before, after, len(asked), first=_first_wrong(self.engine, own))
        return found

    def free_run(self, passage: Passage) -> bool:
        """Whether the model writes the answer, end token included, greedily by itself."""
        ids = torch.tensor([passage.prompt], device=self.engine.device)
        with torch.no_grad():
            made = self.loaded.module.generate(  # type: ignore[operator]
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
                max_new_tokens=len(passage.answer),
                pad_token_id=self.loaded.tokenizer.eos_token_id,
            )  # fmt: skip
        return tuple(made[0, len(passage.prompt) :].tolist()) == passage.answer


def _first_wrong(engine: Engine, passage: Passage) -> int:
    """Return which token of an answer is the first that is not predicted."""
    return int(engine.observe([passage]).wrong.int().argmax())


def _spread(before: Any, after: Any, asked: int, *, first: int) -> dict[str, Any]:
    """Return which asked wordings were wrong and are right, and which near answers stayed.

    Args:
        before: asked wordings, then near prompts, without the repair.
        after: the same with it.
        asked: how many are wordings.
        first: which token of the repaired answer was the first wrong one; a near answer is looked
            at there where one token of it counts, or at its end.
    """
    stayed = before.predicted == after.predicted
    tokens = {"gained": [0, 0], "kept": [0, 0]}
    answers: dict[str, list[bool]] = {"gained": [], "kept": []}
    probes: dict[str, list[bool]] = {"gained": [], "kept": []}
    for number, was in enumerate(before.right):
        mine = before.passage == number
        if number >= asked:
            same = stayed[mine]
            answers["kept"].append(bool(same.all()))
            probes["kept"].append(bool(same[min(first, len(same) - 1)]))
            hit, all_ = int(stayed[mine].sum()), int(mine.sum())
            name = "kept"
        elif was:
            continue
        else:
            failing = mine & before.wrong
            answers["gained"].append(after.right[number])
            probes["gained"].append(not bool(after.wrong[failing][0]))
            hit, all_ = int((~after.wrong)[failing].sum()), int(failing.sum())
            name = "gained"
        tokens[name][0] += hit
        tokens[name][1] += all_
    single = {f"{name}_first": hits for name, hits in probes.items()}
    return {**answers, **single, **{f"{name}_tokens": pair for name, pair in tokens.items()}}
