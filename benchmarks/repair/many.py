# SPDX-License-Identifier: Apache-2.0
"""Many repairs on one model: which are still right at the end, and what the rest has lost.

Policies: ``joint, solved together``, the product's (``patch resolve``), and the same without
guards; ``joint, piled up`` and ``STAR, piled up`` and ``SGD, piled up``, one failure after the
other on top of those before, as MINT's and STAR's users have it; and ``STAR, together``, one
descent over all failures. An answer counts as right if every token of it is predicted at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from benchmarks.figures import Figure
from benchmarks.repair.bench import Bench, Setting
from benchmarks.repair.single import tuned
from benchmarks.repair.subject import Problem, Subject, solver
from codetemper.harden.repair.deltas import Delta
from codetemper.harden.repair.monitor import Monitor, put

#: Policies by name: method, whether failures are solved together, and settings beside the tuned.
POLICIES: Final[dict[str, tuple[str, bool, Setting]]] = {
    "joint, solved together": ("joint", True, {}),
    "joint, together without guards": ("joint", True, {"guard": False}),
    "joint, piled up": ("joint", False, {"guard": False}),
    "STAR, piled up": ("star", False, {}),
    "STAR, together": ("star", True, {}),
    "SGD, piled up": ("sgd", False, {}),
}
#: Policies that are run with the largest number of failures, too.
LARGE: Final = ("joint, solved together", "STAR, piled up")
#: Accuracy on held-out texts that may be lost.
LOST: Final = 0.005


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

    found: dict[str, Any] = bench.cells.of(facts, make, solver(method))
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


def figures(bench: Bench, count: int, policies: Sequence[str]) -> dict[str, Figure]:
    """Measure policies with so many failures."""
    found: dict[str, Figure] = {}
    for policy in policies:
        runs = [run(bench, policy, seed, count) for seed in bench.size.seeds]
        for key, words, target in (
            ("right", "still right at the end", "1.00"),
            ("lost", "held-out accuracy lost", f"at most {LOST}"),
            ("kl", "mean KL, nats a token", ""), ("flips", "flips", ""),
            ("cpu", "CPU seconds in all", ""),
        ):  # fmt: skip
            each = [one[key] for one in runs]
            value = float(np.median(each))
            counts = policy == LARGE[0] and bool(target)
            found[f"{count} repairs: {policy}: {words}"] = Figure(
                value, min(each), max(each), target if counts else "shown",
                not counts or (value >= 1.0 if key == "right" else value <= LOST),
            )  # fmt: skip
    return found
