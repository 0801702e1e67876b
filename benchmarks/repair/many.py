# SPDX-License-Identifier: Apache-2.0
"""Many repairs on one model: which are still right at the end, and what the rest has lost.

Policies: ``joint, solved together``, the product's (``patch resolve``), the same with fewer guards,
without any, and with the lead of few answers; ``joint, piled up`` and ``STAR, piled up`` and
``SGD, piled up``, one failure after the other on top of those before, as MINT's and STAR's users
have it; and ``STAR, together``, one descent over all failures. An answer counts as right if every
token of it is predicted at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench, Setting
from benchmarks.repair.single import tuned
from benchmarks.repair.subject import Problem, Subject, sources
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.monitor import Monitor, put

#: Policies by name: method, whether failures are solved together, and settings beside the tuned.
POLICIES: Final[dict[str, tuple[str, bool, Setting]]] = {
    "joint, solved together": ("joint", True, {}),
    "joint, together without guards": ("joint", True, {"guard": False}),
    "joint, together without guards, lead 1": ("joint", True, {"guard": False, "margin": 1.0}),
    "joint, piled up": ("joint", False, {"guard": False}),
    "STAR, piled up": ("star", False, {}),
    "STAR, together": ("star", True, {}),
    "SGD, piled up": ("sgd", False, {}),
}
#: Policies that are run with the largest number of failures, too.
LARGE: Final = ("joint, solved together", "joint, together without guards", "STAR, piled up")
#: Guarded texts with which the first policy is shown beside.
FEWER: Final = 400
#: Accuracy on held-out texts that may be lost over so many repairs.
LOST: Final = {40: 0.005}


def run(bench: Bench, policy: str, seed: int, count: int) -> dict[str, Any]:
    """Repair the first failures of a seed by a policy; return what is left of it at the end."""
    method, together, extra = POLICIES[policy]
    setting = {**tuned(bench, method), **extra}
    facts = bench.facts(seed, method) | {
        "what": "many", "policy": policy, "count": count, "setting": setting,
        "texts": bench.size.texts,
    }  # fmt: skip

    def make() -> dict[str, Any]:
        bench.say(f"{count} repairs, {seed}: {policy}")
        subject, problems = bench.subject(seed), bench.problems(seed, "failing", count)
        return _run(subject, problems, bench.held_out(seed), method, together, setting)

    found: dict[str, Any] = bench.cells.of(facts, make, *sources(method))
    return found


def _run(
    subject: Subject,
    problems: Sequence[Problem],
    texts: Any,
    method: str,
    together: bool,
    setting: Setting,
) -> dict[str, Any]:
    passages = subject.passages(problems)
    monitor = Monitor(subject.engine, texts)
    wall = cpu = 0.0
    with subject.engine.drafting() as draft:
        if together:
            edit, wall, cpu = subject.solve(method, passages, **setting)
            put(draft, edit.deltas)
        else:
            total: dict[int, torch.Tensor] = {}
            for passage in passages:
                edit, one, busy = subject.solve(method, [passage], **setting)
                wall, cpu = wall + one, cpu + busy
                for layer, delta in edit.deltas.items():
                    total[layer] = total.get(layer, torch.zeros(())) + _whole(subject, layer, delta)
                put(draft, {layer: Delta(left=change) for layer, change in total.items()})
        right = subject.engine.observe(passages, margin=0.0).right
        reading = monitor.read(draft)
    return {
        "right": float(np.mean(right)), "kl": reading.kl, "flips": reading.flips,
        "lost": reading.accuracy[0] - reading.accuracy[1], "wall": wall, "cpu": cpu,
    }  # fmt: skip


def _whole(subject: Subject, layer: int, delta: Delta) -> torch.Tensor:
    """Return a change as a change of all columns, [d, f]."""
    if delta.columns is None:
        return delta.dense()
    width = subject.engine.sites[layer].inner
    return torch.zeros(subject.engine.hidden, width).index_add(1, delta.columns, delta.dense())


def with_fewer(bench: Bench, count: int) -> dict[str, Figure]:
    """Measure the product's policy with ``FEWER`` guarded texts; nothing is asked of it."""
    fewer = Bench(bench.home, replace(bench.size, guards=FEWER))
    found = figures(fewer, count, (next(iter(POLICIES)),))
    return {
        name.replace("together", f"together, {FEWER} guarded texts"): replace(
            figure, target="shown", holds=True
        )
        for name, figure in found.items()
    }


def figures(bench: Bench, count: int, policies: Sequence[str]) -> dict[str, Figure]:
    """Measure policies with so many failures; of the first, something is asked."""
    most = LOST.get(count)
    found: dict[str, Figure] = {}
    for policy in policies:
        runs = [run(bench, policy, seed, count) for seed in bench.size.seeds]
        for key, words, target in (
            ("right", "still right at the end", "1.00"),
            ("lost", "held-out accuracy lost", "" if most is None else f"at most {most}"),
            ("kl", "mean KL, nats a token", ""), ("flips", "flips", ""),
            ("cpu", "CPU seconds in all", ""),
        ):  # fmt: skip
            each = [one[key] for one in runs]
            value = float(np.median(each))
            counts = policy == policies[0] and bool(target)
            found[f"{count} repairs: {policy}: {words}"] = Figure(
                value, min(each), max(each), target if counts else "shown",
                not counts or (value >= 1.0 if key == "right" else value <= (most or 0.0)),
            )  # fmt: skip
    return found
