# SPDX-License-Identifier: Apache-2.0
"""Is the embedded model as imperfect as it should be?

    python benchmarks/seedling/run.py [--quick] [--json] [--model EXPRESSION]

Evaluates the base at temperature 0.8 on the suites of its world and holds it against the ranges it
was made for. ``--model`` measures another training run, e.g. the same seed trained again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.figures import Figure, finish
from benchmarks.runner import options
from codetemper.api import evaluation
from codetemper.api.models import load_model
from codetemper.core.records import Estimate, Sampling
from codetemper.core.workspace import Workspace
from codetemper.evaluate import suites
from codetemper.evaluate.suites import budget

HALF = (0.35, 0.65)


def held(name: str, estimate: Estimate, low: float, high: float) -> tuple[str, Figure]:
    """Hold an estimate against a range."""
    inside = low <= estimate.value <= high
    figure = Figure(estimate.value, estimate.low, estimate.high, f"{low:g} to {high:g}", inside)
    return name, figure


def measure(model: str, samples: int, limit: int | None) -> dict[str, Figure]:
    """Evaluate every suite and return the figures."""
    found: list[tuple[str, Figure]] = []
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder))
        with load_model(workspace, model) as handle:
            for suite in (name for name in suites.shipped() if name.startswith("world-")):
                sampling = Sampling(n=samples, max_new_tokens=budget(suite))
                card = evaluation.evaluate(
                    workspace, model, suite, sampling, limit=limit, loaded=handle
                ).scorecard
                found += figures_of(suite, card.metrics)
                found += [
                    (f"{suite} {split} {metric}", Figure(e.value, e.low, e.high, "shown", True))
                    for split, metrics in card.by_split.items()
                    for metric, e in metrics.items()
                ]
    return dict(found)


def figures_of(suite: str, metrics: dict[str, Estimate]) -> list[tuple[str, Figure]]:
    """Return what is asked of one suite."""
    found = []
    for metric, estimate in metrics.items():
        if metric == "valid@1":
            found.append(held(f"{suite} valid@1", estimate, 0.90, 1.0))
        elif metric == "secure_of_valid":
            share = Estimate(
                value=1 - estimate.value, low=1 - estimate.high, high=1 - estimate.low, n=estimate.n
            )
            found.append(held(f"{suite} vulnerable share of valid", share, *HALF))
        elif (suite, metric) in {("world-python", "pass@1"), ("world-sql", "exec_match")}:
            found.append(held(f"{suite} {metric}", estimate, *HALF))
        else:
            found.append(
                (
                    f"{suite} {metric}",
                    Figure(estimate.value, estimate.low, estimate.high, "shown", True),
                )
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = options(__doc__, quick="60 cases a suite, 2 samples")
    parser.add_argument("--model", default="seedling")
    given = parser.parse_args()
    samples, limit = (2, 60) if given.quick else (5, None)
    figures = measure(given.model, samples, limit)
    finish(__file__, figures, quick=given.quick or given.model != "seedling", as_json=given.json)


if __name__ == "__main__":
    main()
