# SPDX-License-Identifier: Apache-2.0
"""Does a route's score tell repairs that last from those that do not?

A repair lasts if it is still right when nine others, each solved from the base as it was, are on
the model with it: of ``DRAWS`` piles that it is in, in at least half. Failures of one pool are
drawn into piles together; the pool of development is apart from those that are measured. Signals
are those that ``route`` reads before anything is kept. Beside the shipped score stand logistic
sums of three sets of signals, fitted on development alone: what one look shows; with the probe's;
and with what is foretold of later repairs.
"""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
import torch

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench
from benchmarks.repair.subject import Problem, Subject, sources
from codetemper.core import detection
from codetemper.core.repairs import RepairRoute
from codetemper.harden.repair import route as routing
from codetemper.harden.repair import wear
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.failures import Passage, tokens_of
from codetemper.harden.repair.monitor import put

#: Repairs on the model at once, this one among them, and piles that each is drawn into.
PILE, DRAWS = 10, 20
#: Texts that failing places are compared with, as many as ``watch`` takes.
COMPARED: Final = 64
TARGET: Final = 0.85
SETS: Final = {
    "one look": ("wrong", "share", "gap", "overlap", "close"),
    "and the probe": ("wrong", "share", "gap", "overlap", "close", "progress", "fixed",
                      "views_fixed", "moved"),
    "and later repairs": ("withstood", "close"),
}  # fmt: skip

Row = dict[str, Any]


def rows_of(bench: Bench, seed: int, part: str) -> list[Row]:
    """Return signals, verdict and how often each repair of a pool stood."""
    facts = bench.facts(seed, "joint") | {
        "what": "router",
        "part": part,
        "count": bench.size.routed,
    }
    found: list[Row] = bench.cells.of(
        facts, lambda: _rows(bench, seed, part), wear, *sources("joint")
    )
    return found


def _rows(bench: Bench, seed: int, part: str) -> list[Row]:
    subject = bench.subject(seed)
    problems = bench.problems(seed, part, bench.size.routed)
    routes = _routes(bench, subject, seed, problems)
    stood = stands(subject, subject.passages(problems), seed)
    return [
        {"signals": route.signals, "verdict": route.verdict, "stood": share}
        for route, share in zip(routes, stood, strict=True)
    ]


def _routes(
    bench: Bench, subject: Subject, seed: int, problems: list[Problem]
) -> list[RepairRoute]:
    reference = subject.texts[:COMPARED]
    task = subject.task("joint", subject.passages(problems[:1]))
    foretells = wear.Wear(
        subject.engine, subject.semantic, task.statistics, reference, margin=task.config.lead(1)
    )

    def probe(passages: Any) -> Any:
        return subject.solve("joint", passages, guard=False, rounds=1)[0]

    asked = tokens_of(subject.loaded.tokenizer, routing.reworded([p.failure for p in problems]))
    return routing.route(
        subject.engine,
        asked,
        subject.loaded.tokenizer,
        probe=probe,
        reference=reference,
        wear=foretells,
    )


def stands(subject: Subject, passages: list[Passage], seed: int) -> list[float]:
    """Return the share of piles under which each repair is right."""
    changes = []
    for passage in passages:
        edit, _, _ = subject.solve("joint", [passage], guard=False)
        changes.append({layer: delta.dense() for layer, delta in edit.deltas.items()})
    rng = random.Random(f"{seed}/piles")  # noqa: S311
    right = [0] * len(passages)
    drawn = [0] * len(passages)
    for _ in range(DRAWS):
        order = rng.sample(range(len(passages)), len(passages))
        for begin in range(0, len(order) - PILE + 1, PILE):
            pile = order[begin : begin + PILE]
            layers = {layer for n in pile for layer in changes[n]}
            total = {
                layer: Delta(left=torch.stack(
                    [changes[n][layer] for n in pile if layer in changes[n]]).sum(0))
                for layer in layers
            }  # fmt: skip
            with subject.engine.drafting() as draft:
                put(draft, total)
                hits = subject.engine.observe([passages[n] for n in pile], margin=0.0).right
            for n, hit in zip(pile, hits, strict=True):
                right[n] += hit
                drawn[n] += 1
    return [hit / max(1, count) for hit, count in zip(right, drawn, strict=True)]


def fitted(rows: list[Row], names: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return weights of a logistic sum of signals and 1, by Newton's steps with little decay."""
    x, y = features(rows, names), np.array([lasts(row) for row in rows], float)
    weights = np.zeros(x.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (p - y) + 1e-2 * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + 1e-2 * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return weights


def features(rows: list[Row], names: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return signals by row, counts as logarithms, and a column of ones."""

    def value(row: Row, name: str) -> float:
        found = float(row["signals"].get(name, 0.0))
        return float(np.log1p(found)) if name in ("wrong", "close") else found

    return np.array([[*(value(row, name) for name in names), 1.0] for row in rows])


def lasts(row: Row) -> bool:
    """Whether a repair lasts."""
    return bool(row["stood"] >= 0.5)


def figures(bench: Bench) -> dict[str, Figure]:
    """Return the AUROC of the shipped score and of each set of signals."""
    seeds = bench.size.seeds
    development = _tried(rows_of(bench, seeds[0], "development"))
    measured = {seed: _tried(rows_of(bench, seed, "failing")) for seed in seeds}
    each = [_auroc(rows, _scores(rows)) for rows in measured.values()]
    every = [row for rows in measured.values() for row in rows]
    pooled = _auroc(every, _scores(every))
    found = {
        "score: AUROC, median of seeds": Figure(
            float(np.median([e.value for e in each])), min(e.value for e in each),
            max(e.value for e in each), f">= {TARGET}",
            float(np.median([e.value for e in each])) >= TARGET,
        ),
        "score: AUROC, all held-out failures": Figure(
            pooled.value, pooled.low, pooled.high, "shown", True
        ),
        "share of repairs that last": Figure(
            float(np.mean([lasts(row) for row in every])), 0.0, 1.0, "shown", True
        ),
    }  # fmt: skip
    for name, signals in SETS.items():
        weights = fitted(development, signals)
        bench.say(f"{name}: {dict(zip((*signals, '1'), weights.round(3), strict=True))}")
        made = [_auroc(rows, features(rows, signals) @ weights) for rows in measured.values()]
        found[f"{name}: AUROC, median of seeds"] = Figure(
            float(np.median([e.value for e in made])), min(e.value for e in made),
            max(e.value for e in made), "shown", True,
        )  # fmt: skip
    return found


def _tried(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["verdict"] not in ("reject", "conflict")]


def _scores(rows: list[Row]) -> list[float]:
    return [routing.score_of(row["signals"]) for row in rows]


def _auroc(rows: list[Row], scores: Any) -> Any:
    told = [(float(score), lasts(row)) for score, row in zip(scores, rows, strict=True)]
    return detection.auroc([s for s, good in told if good], [s for s, good in told if not good])
