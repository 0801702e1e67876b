# SPDX-License-Identifier: Apache-2.0
"""The main job on a real history: mine, tune, evaluate, gate, report, verify.

    python benchmarks/history/run.py --repository ../libexpat [--model hf:PATH] [--quick] [--json]

Nothing is claimed about the quality of the patch: real fixes of one project are not the world the
seedling knows. The figures say that the job runs, how fast histories are read, and what came out.
``--model`` takes any expression; without it a copy of the seedling is loaded by path, as any
Hugging Face folder would be.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, finish
from codetemper.api import evaluation, reporting, treatments
from codetemper.api.models import SEEDLING, load_model
from codetemper.core.records import Difference, Sampling
from codetemper.core.workspace import Workspace
from codetemper.evaluate.suites import budget

SUITES = ("world-security-c", "world-python")


def shown(value: float, low: float | None = None, high: float | None = None) -> Figure:
    """Return a figure without a target."""
    return Figure(value, value if low is None else low, value if high is None else high,
                  "shown", True)  # fmt: skip


def measure(workspace: Workspace, repository: Path, model: str, limit: int) -> dict[str, Figure]:
    """Run the whole job and return what it did."""
    mined = treatments.mine(workspace, [repository])
    patch = treatments.tune(workspace, model, mined.card.id)
    patched = f"{model}+{patch.id}"
    for expression in (model, patched):
        with load_model(workspace, expression) as handle:
            for suite in SUITES:
                sampling = Sampling(n=2, max_new_tokens=budget(suite))
                evaluation.evaluate(
                    workspace, expression, suite, sampling, limit=limit, loaded=handle
                )
    decision = evaluation.gate(workspace, model, patched)
    page = reporting.report(workspace, model, patched)
    result = mined.result
    figures = {
        "commits read": shown(result.commits_seen),
        "commits a second": shown(result.commits_seen / result.seconds),
        "commits kept": shown(result.commits_kept),
        "fix pairs": shown(len(result.pairs)),
        "pairs with a weakness told": shown(len(result.pairs) - result.by_cwe.get("unknown", 0)),
        "tuning seconds": shown(patch.seconds),
        "share of body tokens the window lost": shown(patch.report["tokens_lost"]),
        f"gate said {decision.decision}": shown(1.0),
        "report bytes": shown(page.path.stat().st_size),
    }
    for name, difference in decision.metrics.items():
        figures[f"{name}: change"] = changed(difference)
    problems = workspace.verify()
    figures["problems found by verify"] = Figure(
        len(problems), len(problems), len(problems), "0", not problems
    )
    return figures


def changed(difference: Difference) -> Figure:
    """Return a paired difference as a figure."""
    return shown(difference.difference, difference.low, difference.high)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repository", type=Path, required=True, help="a git clone with CVE fixes")
    parser.add_argument("--model", help="model expression; a copy of the seedling if not given")
    parser.add_argument("--quick", action="store_true", help="30 cases a suite instead of 120")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model
        if model is None:
            shutil.copytree(SEEDLING, Path(scratch, "model"))
            model = f"hf:{scratch}/model"
        workspace = Workspace.create(Path(scratch, "project"))
        figures = measure(workspace, given.repository, model, 30 if given.quick else 120)
    finish(__file__, figures, quick=given.quick, as_json=given.json)


if __name__ == "__main__":
    main()
