# SPDX-License-Identifier: Apache-2.0
"""What repairs of the embedded model do to programs that are run.

Failures are tasks of the world's part ``repository`` that the seedling answers wrongly when its
greedy answer is run, with a reference of which a few tokens are wrong; they are repaired together,
by ``joint`` and one on top of the other by ``star`` at its own step. Then the world's shipped
suite, which holds none of them, is answered greedily and judged, before and after; values of a case
are means over the seeds.

Of HumanEval the seedling solves nothing, so nothing of it can break; some of its shortest solutions
are repaired all the same, however many of their tokens are wrong, and what that does is read on the
rest of HumanEval and on ``world-python``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import torch

from benchmarks.figures import Figure
from benchmarks.refine.material import case_of
from benchmarks.repair.bench import WRONG, Size, failing
from benchmarks.repair.cells import Cells
from benchmarks.repair.subject import Problem, Subject, sources
from codetemper.backends.generation import generate
from codetemper.backends.hf_load import load_base
from codetemper.core import stats
from codetemper.core.records import Case, Sampling
from codetemper.core.repairs import Failure
from codetemper.evaluate import suites
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.monitor import put
from codetemper.judges import judge_all
from codetemper.models.expression import parse
from seedling.world.corpus import WORLDS, tasks

HUMANEVAL: Final = "HumanEval"
SUITES: Final = ("world-shell", "world-python", HUMANEVAL)
DATA: Final = Path(__file__).parents[3] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
#: Suite on which it is read what repairs of HumanEval do elsewhere.
BESIDE: Final = "world-python"
#: Of how many tasks of HumanEval, those of shortest solutions, some are repaired.
SHORTEST: Final = 36
#: Most failures of each suite that are repaired, and reference texts of each.
REPAIRED: Final = 12
TEXTS: Final = 300
#: Largest loss of the pass rate that is asked for.
LOSS: Final = 0.01


class World:
    """The seedling, its failures in one world, and the suite that side effects are read on.

    Args:
        home: folder that keeps statistics.
        world: name of a shipped world, or ``HUMANEVAL``.
        seed: of which tasks fail and which texts are known.
    """

    def __init__(self, home: Path, world: str, seed: int) -> None:
        self.suite = suites.load(BESIDE if world == HUMANEVAL else world)
        rng = random.Random(f"{seed}/repair/{world}")  # noqa: S311
        known = WORLDS[BESIDE if world == HUMANEVAL else world]
        found = [case_of(task) for task in tasks(known, "repository", 3 * TEXTS, rng)]
        rng.shuffle(found)
        self.cases, self.others, self._wrong = found[TEXTS:], list[Case](), WRONG
        if world == HUMANEVAL:
            self.others = list(suites.load(f"humaneval:{DATA}").cases)
            self.cases = sorted(self.others, key=lambda case: len(case.reference or ""))[:SHORTEST]
            rng.shuffle(self.cases)
            self._wrong = (1, 1000)
        self.loaded = load_base(parse("seedling"), dtype="float32", device="cpu")
        texts = [(case.prompt, case.reference or "") for case in found[:TEXTS]]
        self.subject = Subject(self.loaded, texts, texts[:1], home / "cache", guards=TEXTS)

    def failures(self, count: int) -> list[Problem]:
        """Return tasks that are answered wrongly when run, with few tokens to put right."""
        made = {
            case.id: Problem(
                Failure(id=case.id, prompt=case.prompt, reference=case.reference or "")
            )
            for case in self.cases
        }
        few = failing(self.subject, made.values(), 4 * count, self._wrong)
        chosen = [case for case in self.cases if case.id in {p.failure.id for p in few}]
        passed = self.run(chosen)
        return [made[case.id] for case in chosen if not passed[case.id]][:count]

    def run(self, cases: Sequence[Case], tokens: int = 128) -> dict[str, bool]:
        """Answer cases greedily and judge what is written, as the model is."""
        sampling = Sampling(n=1, temperature=0.0, max_new_tokens=tokens)
        drawn = generate(
            self.loaded.module, self.loaded.tokenizer, [case.prompt for case in cases], sampling,
            [case.stop for case in cases],
        )  # fmt: skip
        items = [
            (case, row[0].model_copy(update={"case": case.id}))
            for case, row in zip(cases, drawn, strict=True)
        ]
        return {verdict.case: verdict.function == "pass" for verdict in judge_all(items)}

    def repaired(self, method: str, problems: Sequence[Problem]) -> dict[int, Delta]:
        """Return the change by which failures are repaired."""
        passages = self.subject.passages(problems)
        if method == "joint":
            return self.subject.solve(method, passages)[0].deltas
        total: dict[int, torch.Tensor] = {}
        with self.subject.engine.drafting() as draft:
            for passage in passages:
                edit, _, _ = self.subject.solve(method, [passage])
                for layer, delta in edit.deltas.items():
                    total[layer] = total.get(layer, torch.zeros(())) + delta.dense()
                put(draft, {layer: Delta(left=change) for layer, change in total.items()})
        return {layer: Delta(left=change) for layer, change in total.items()}


def measure(home: Path, world: str, seed: int) -> dict[str, Any]:
    """Repair one world's failures; return passed cases by suite and method, and failures'."""
    opened = World(home, world, seed)
    problems = opened.failures(REPAIRED)
    cases = {case.id: case for case in opened.cases}
    mine = [cases[problem.failure.id] for problem in problems]
    left = [case for case in opened.others if case.id not in {one.id for one in mine}]

    def run() -> dict[str, Any]:
        asked = opened.run(opened.suite.cases, opened.suite.card.max_new_tokens)
        return {"suite": asked, "repaired": opened.run(mine), "rest": opened.run(left)}

    found: dict[str, Any] = {"before": run()}
    for method in ("joint", "star"):
        with opened.subject.engine.drafting() as draft:
            put(draft, opened.repaired(method, problems))
            found[method] = run()
    return found


def figures(home: Path, size: Size) -> dict[str, Figure]:
    """Measure both worlds on all seeds, and HumanEval where it is there."""
    cells, found = Cells(home / "cells"), dict[str, Figure]()
    for world in SUITES:
        if world == HUMANEVAL and not DATA.is_file():
            sys.stderr.write(f"{DATA} is not there: left out\n")
            continue
        runs = []
        for seed in size.seeds:
            facts = {"what": "executed", "world": world, "seed": seed, "count": REPAIRED}
            runs.append(
                cells.of(facts, lambda w=world, s=seed: measure(home, w, s), *sources("joint"))
            )  # type: ignore[misc]
        for method in ("joint", "star"):
            for part, words in (
                ("repaired", "repaired answers that work when run"),
                ("rest", "other answers that work when run"),
            ):
                shares = [sum(run[method][part].values()) / max(1, len(run[method][part]))
                          for run in runs]  # fmt: skip
                if part == "repaired" or world == HUMANEVAL:
                    found[f"{world}: {method}: {words}"] = Figure(
                        sorted(shares)[len(shares) // 2], min(shares), max(shares), "shown", True
                    )
            before, after = (
                [fmean(run[arm]["suite"][case] for run in runs) for case in runs[0][arm]["suite"]]
                for arm in ("before", method)
            )
            told = stats.paired_bootstrap(before, after)
            asked = method == "joint" and world != HUMANEVAL
            on = BESIDE if world == HUMANEVAL else "the suite"
            found[f"{world}: {method}: pass rate of {on} against before"] = Figure(
                told.difference, told.low, told.high,
                f"at least {-LOSS:+.2f}" if asked else "shown",
                not asked or told.difference >= -LOSS, told.before,
            )  # fmt: skip
    return found
