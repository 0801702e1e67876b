# SPDX-License-Identifier: Apache-2.0
"""What every section works with: models, failures by seed, and records of single repairs.

    bench = Bench(home, Size())
    bench.singles("star", seed=0, part="failing", setting={"step": 0.05})

Everything measured is kept in cells, everything else is made again from the seed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.repair import material
from benchmarks.repair.cells import Cells
from benchmarks.repair.subject import Problem, Subject, sources
from codetemper.backends.hf_load import load_base
from codetemper.core.repairs import Failure
from codetemper.harden.repair.failures import Passage
from codetemper.harden.repair.settings import Config
from codetemper.models.expression import parse

#: Wrong tokens of a failure, at least and at most.
WRONG: Final = (1, 8)
#: Near prompts of a failure, at most.
NEAR: Final = 6

Setting = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        seeds: of which pages are for what.
        failures: measured one by one, by seed.
        development: failures that settings are tuned on.
        viewed: failures that are repaired with wordings.
        held_out: texts that side effects are read on.
        references: texts of the training part that a user gives.
        guards: of these, what joint keeps.
        routed: failures of each pool of the router.
        many: failures that are repaired on one model.
        large: as ``many``, in a section of its own.
        texts: held-out texts that many repairs are read on.
        timed: failures that every method repairs by turns.
        counts: failures solved together to see what joint takes.
        widths: of random models, for the same.
        recipe: of the small model.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    failures: int = 16
    development: int = 6
    viewed: int = 16
    held_out: int = 50
    references: int = 2000
    guards: int = 1000
    routed: int = 100
    many: int = 40
    large: int = 400
    texts: int = 300
    timed: int = 400
    counts: tuple[int, ...] = (1, 10, 100, 400, 1000)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    recipe: material.Recipe = field(default_factory=material.Recipe)


class Bench:
    """The small model of shell commands, its failures, and what was measured.

    Args:
        home: folder that keeps models, statistics and cells.
        size: how much is done.
    """

    name = "tldr"

    def __init__(self, home: Path, size: Size) -> None:
        self.home, self.size = home, size
        self.cells = Cells(home / "cells")
        rows = material.read_tldr()
        if rows is None:
            raise SystemExit(f"{material.DATA} is not there: this section needs it")
        self._rows = rows
        self._subjects: dict[int, Subject] = {}
        self._problems: dict[tuple[int, str, int], list[Problem]] = {}

    def say(self, text: str) -> None:
        """Tell progress."""
        sys.stderr.write(f"{text}\n")

    @property
    def folder(self) -> Path:
        """The model's folder; trained where it is not there."""
        train = material.split(self._rows, self.size.seeds[0])["train"]
        return material.trained(train, self.home / "models", self.size.recipe)

    def references(self, seed: int) -> list[tuple[str, str]]:
        """Return the texts that a user gives."""
        return [r.text for r in material.split(self._rows, seed)["train"][: self.size.references]]

    def held_out(self, seed: int) -> list[Passage]:
        """Return more held-out texts than those that single repairs are read on."""
        rows = material.split(self._rows, seed)["held_out"][: self.size.texts]
        return sorted(self.subject(seed).passages_of([row.text for row in rows]), key=len)

    def subject(self, seed: int) -> Subject:
        """Return the model with the held-out texts of a seed."""
        if seed not in self._subjects:
            loaded = load_base(parse(f"hf:{self.folder}"), dtype="float32", device="cpu")
            rows = material.split(self._rows, seed)["held_out"][: self.size.held_out]
            self._subjects[seed] = Subject(
                loaded, self.references(seed), [row.text for row in rows], self.home / "cache",
                guards=self.size.guards,
            )  # fmt: skip
        return self._subjects[seed]

    def problems(self, seed: int, part: str, count: int) -> list[Problem]:
        """Return the first failures of a part with as many wrong tokens as are asked for."""
        key = (seed, part, count)
        if key not in self._problems:
            rows = material.split(self._rows, seed)[part]
            made = (self._problem(row, rows) for row in rows)
            self._problems[key] = failing(self.subject(seed), made, count)
        return self._problems[key]

    def _problem(self, row: material.Row, rows: Sequence[material.Row]) -> Problem:
        return Problem(
            Failure(id=row.prompt, prompt=row.prompt, reference=row.command),
            material.given_wordings(row),
            material.asked_wordings(row),
            tuple(other.text for other in material.near(row, rows)[:NEAR]),
        )

    def singles(
        self, method: str, seed: int, part: str, setting: Setting, *, views: bool = False
    ) -> list[dict[str, Any]]:
        """Repair failures one by one, each from the base, and measure each."""
        size = self.size
        count = {"failing": size.viewed if views else size.failures}.get(part, size.development)
        subject = self.subject(seed)

        facts = self.facts(seed, method) | {"what": "single", "setting": setting, "views": views}
        if method == "joint":
            facts["lead"] = Config(**setting).lead(1, worded=views)

        def measure(problem: Problem) -> dict[str, Any]:
            passages = subject.passages([problem], views=views)
            edit, wall, cpu = subject.solve(method, passages, **setting)
            return subject.measured(edit, problem) | {"wall": wall, "cpu": cpu}

        return [
            self.cells.of(
                facts | {"failure": problem.failure.id},
                lambda problem=problem: measure(problem),  # type: ignore[misc]
                *sources(method),
            )
            for problem in self.problems(seed, part, count)
        ]

    def facts(self, seed: int, method: str) -> dict[str, Any]:
        """Return what every cell of a seed and a method depends on."""
        size = self.size
        facts = {
            "model": self.subject(seed).loaded.digest, "seed": seed, "held_out": size.held_out,
            "references": size.references, "method": method,
            "guards": size.guards if method == "joint" else 0,
        }  # fmt: skip
        # Those that know the covariance of keys.
        return facts | ({"rho": Config().rho} if method in ("joint", "memit") else {})


def failing(
    subject: Subject, problems: Any, count: int, wrong: tuple[int, int] = WRONG
) -> list[Problem]:
    """Return the first problems whose answer has so many wrong tokens, at least and at most."""
    found: list[Problem] = []
    block: list[Problem] = []
    for problem in problems:
        block.append(problem)
        if len(block) == 64:
            found += _failing(subject, block, wrong)
            block = []
        if len(found) >= count:
            return found[:count]
    return (found + (_failing(subject, block, wrong) if block else []))[:count]


def _failing(
    subject: Subject, problems: Sequence[Problem], wrong: tuple[int, int]
) -> list[Problem]:
    seen = subject.engine.observe(subject.passages(problems), margin=0.0)
    counts = [0] * len(problems)
    for passage, is_wrong in zip(seen.passage.tolist(), seen.wrong.tolist(), strict=True):
        counts[passage] += is_wrong
    return [p for p, n in zip(problems, counts, strict=True) if wrong[0] <= n <= wrong[1]]


#: What a quick run does.
QUICK: Final = Size(
    seeds=(0,), failures=4, development=2, viewed=2, held_out=20, references=200, guards=50,
    routed=20, many=10, large=20, texts=40, timed=2, counts=(1, 10), widths=(64, 128),
    recipe=material.Recipe(rows=800, epochs=1),
)  # fmt: skip
