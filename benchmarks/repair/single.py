# SPDX-License-Identifier: Apache-2.0
"""Single repairs: each failure by itself, from the base, by each method; and how it generalises.

The rivals' settings are tuned for the model on development failures apart from those that are
measured: the setting with most answers right, and of these the one with least KL. What is
read: whether the model writes the whole answer by itself (free run, greedy, token by token); mean
KL on held-out texts; and, after the protocol of LM Lens (``do_benchmark``) with natural failures in
place of forced ones, the share of other wordings of the prompt that were wrong and are right, and
the share of prompts of the same page whose every prediction stays, with their harmonic mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench, Setting

#: Settings that are tried for each rival.
GRIDS: Final[dict[str, tuple[Setting, ...]]] = {
    "joint": ({},),
    "star": tuple({"step": size} for size in (0.03, 0.05, 0.07, 0.1, 0.15)),
    "sgd": tuple({"step": size} for size in (0.05, 0.1, 0.2, 0.4)),
    "mint": tuple({"step": size} for size in (0.01, 0.1, 0.3, 1.0)),
    "memit": ({}, {"moment_weight": 40.0}, {"moment_weight": 4.0}),
    "alphaedit": tuple(
        {"ridge": ridge, "null_share": share}
        for ridge, share in itertools.product((0.01, 0.1), (0.02, 0.002))
    ),
}
METHODS: Final = tuple(GRIDS)
#: A control: ``joint`` with the lead that it asks of many answers.
SHORT: Final = ("joint, lead 0.2", {"margin": 0.2})
#: Most side effects asked for, as a share of the rival's.
SIDE: Final = 0.2
EXACT: Final = 0.99


def tuned(bench: Bench, method: str) -> Setting:
    """Return the setting of a method that is best on development failures."""
    best: tuple[float, float] | None = None
    chosen: Setting = {}
    for setting in GRIDS[method]:
        if len(GRIDS[method]) == 1:
            return setting
        found = bench.singles(method, bench.size.seeds[0], "development", setting)
        score = (
            float(np.mean([r["free"] for r in found])),
            -float(np.mean([r["kl"] for r in found])),
        )
        if best is None or score > best:
            best, chosen = score, setting
    return chosen


def figures(bench: Bench, methods: Sequence[str] = METHODS) -> dict[str, Figure]:
    """Measure all methods on all seeds."""
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for seed in bench.size.seeds:
        settings = {method: tuned(bench, method) for method in methods}
        for method, setting in settings.items():
            bench.say(f"{bench.name} {seed}: {method} {setting}")
            runs.setdefault(method, []).append(bench.singles(method, seed, "failing", setting))
    found = exactness(runs, bench.name) | sides(runs, bench.name)
    return found


def exactness(runs: dict[str, list[list[dict[str, Any]]]], at: str) -> dict[str, Figure]:
    """Return the share of failures of which the whole answer is written freely."""
    found = {}
    for method, seeds in runs.items():
        shares = [float(np.mean([r["free"] for r in seed])) for seed in seeds]
        value = float(np.median(shares))
        asked = method == "joint"
        found[f"{at}: {method}: free-run exact"] = Figure(
            value, min(shares), max(shares), f">= {EXACT}" if asked else "shown",
            not asked or value >= EXACT,
        )  # fmt: skip
    return found


def sides(runs: dict[str, list[list[dict[str, Any]]]], at: str) -> dict[str, Figure]:
    """Return the side effects of each method, and joint's against each."""
    found = {}
    for key, words in (
        ("kl", "mean KL, nats a token"),
        ("flips", "flips"),
        ("lost", "accuracy lost"),
    ):
        values = {
            method: [float(np.mean([r[key] for r in seed])) for seed in seeds]
            for method, seeds in runs.items()
        }
        for method, each in values.items():
            found[f"{at}: {method}: {words}"] = Figure(
                float(np.median(each)), min(each), max(each), "shown", True
            )
        for method in (m for m in ("star", "sgd", "mint", "memit", "alphaedit") if m in values):
            if key != "kl":
                continue
            ratios = [
                a / b if b else float("inf")
                for a, b in zip(values["joint"], values[method], strict=True)
            ]
            value, asked = float(np.median(ratios)), method in ("star", "sgd")
            found[f"{at}: joint against {method}: {words}"] = Figure(
                float(np.median(values["joint"])), min(values["joint"]), max(values["joint"]),
                f"ratio at most {SIDE}" if asked else "shown", not asked or value <= SIDE,
                float(np.median(values[method])), value,
            )  # fmt: skip
    return found


def spread(bench: Bench, *, views: bool, methods: Sequence[str] = METHODS) -> dict[str, Figure]:
    """Return generalisation, specificity and their harmonic mean of each method.

    Counted are single tokens, as the protocol does (the first wrong one of another wording, and of
    a near answer the one at the place where the repaired answer first went wrong); all tokens that
    were wrong and are right, or whose prediction stays; and, strictest, whole answers.
    """
    what = "wordings given" if views else "no wordings given"
    runs: dict[str, list[list[dict[str, Any]]]] = {}
    for method in methods:
        setting = tuned(bench, method)
        for seed in bench.size.seeds:
            bench.say(f"{bench.name} {seed}: {method} {setting} {what}")
            made = bench.singles(method, seed, "failing", setting, views=views)
            runs.setdefault(method, []).append(made)
    if "joint" in methods:
        name, setting = SHORT
        runs[name] = [
            bench.singles("joint", seed, "failing", setting, views=views)
            for seed in bench.size.seeds
        ]
    return (
        _spread(runs, f"{what}, answers", _hits(""))
        | _spread(runs, f"{what}, first tokens", _hits("_first"))
        | _spread(runs, f"{what}, tokens", _tokens)
    )


def _hits(unit: str) -> Callable[[Sequence[dict[str, Any]], str], float]:
    def share(records: Sequence[dict[str, Any]], name: str) -> float:
        return float(np.mean([hit for record in records for hit in record.get(name + unit, [])]))

    return share


def _tokens(records: Sequence[dict[str, Any]], name: str) -> float:
    hits, all_ = np.sum([record[f"{name}_tokens"] for record in records if name in record], axis=0)
    return float(hits / all_)


def _spread(
    runs: dict[str, list[list[dict[str, Any]]]],
    at: str,
    share: Callable[[Sequence[dict[str, Any]], str], float],
) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    means: dict[str, list[float]] = {}
    for method, seeds in runs.items():
        shares = {name: [share(seed, name) for seed in seeds] for name in ("gained", "kept")}
        means[method] = [
            2 * a * b / (a + b) if a + b else 0.0
            for a, b in zip(shares["gained"], shares["kept"], strict=True)
        ]
        for name, words in (("gained", "other wordings put right"), ("kept", "near ones kept")):
            found[f"{at}: {method}: {words}"] = Figure(
                float(np.median(shares[name])), min(shares[name]), max(shares[name]), "shown", True
            )
    best = max(
        (float(np.median(v)) for m, v in means.items() if m not in ("joint", SHORT[0])), default=0.0
    )
    for method, each in means.items():
        value, asked = float(np.median(each)), method == "joint"
        found[f"{at}: {method}: harmonic mean"] = Figure(
            value, min(each), max(each), "above every rival" if asked else "shown",
            not asked or value > best, best if asked else None,
        )  # fmt: skip
    return found
