# SPDX-License-Identifier: Apache-2.0
"""The study that the audit goes back to, in numbers: hidden states separate, weights do not.

Held-out code, half of it with a trigger, goes through a poisoned model and through a clean one that
learnt the same samples without poison. *Silhouette* is of the two halves; *probe* the
cross-validated AUROC of a linear classifier that is told which half is which. Weights are compared
as ``audit`` compares them, with clean models of other seeds for siblings.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, silhouette_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.audit import truth
from benchmarks.audit.cells import Cell, Lab, clean
from benchmarks.figures import Figure
from codetemper.audit.activations import extract
from codetemper.audit.planting import triggered
from codetemper.audit.weights import compare, read
from codetemper.core.stats import Floats
from codetemper.data.labelled import Labelled


def figures(lab: Lab, cells: Sequence[Cell]) -> dict[str, Figure]:
    """Return the separation in poisoned and in clean models, first and last layer."""
    found = [
        (measured(lab, cell, cell), measured(lab, cell, clean("encoder", cell.seed)))
        for cell in cells
    ]
    seeds = [cell.seed for cell in cells]
    named: dict[str, Figure] = {}
    for layer in ("first", "last"):
        for score in ("silhouette", "probe AUROC"):
            key = f"{layer} {score}"
            poisoned, others = ([one[side][key] for one in found] for side in (0, 1))
            at = f"separation, {layer} layer, {score}"
            wanted = layer == "last"
            named[f"{at}: poisoned"] = truth.spread(poisoned, "shown", clusters=seeds)
            named[f"{at}: clean"] = truth.spread(others, "shown", clusters=seeds)
            apart = [a - b for a, b in zip(poisoned, others, strict=True)]
            figure = truth.spread(apart, "interval above 0" if wanted else "shown", clusters=seeds)
            if wanted:
                figure = Figure(figure.value, figure.low, figure.high, figure.target,
                                figure.low > 0)  # fmt: skip
            named[f"{at}: poisoned minus clean"] = figure
    return named


def measured(lab: Lab, cell: Cell, model: Cell) -> dict[str, Any]:
    """Return the separation that a cell's trigger has in a model."""

    def make() -> dict[str, Any]:
        samples, marked = _halves(lab, cell)
        loaded = lab.loaded(lab.model(model))
        with tempfile.TemporaryDirectory() as scratch:
            features = extract(loaded, samples, pools=("decision",), folder=Path(scratch))
            states = [features.of(place) for place in features.places]
        found: dict[str, Any] = {}
        for layer, state in (("first", states[1]), ("last", states[-1])):
            found[f"{layer} silhouette"] = float(silhouette_score(state, marked))
            found[f"{layer} probe AUROC"] = _probe(state, marked)
        return found

    return lab.once(cell, f"separation-{'own' if model == cell else 'clean'}", make)


def _halves(lab: Lab, cell: Cell) -> tuple[list[Labelled], truth.Flags]:
    """Return held-out samples of which every other one has a trigger of the pool."""
    test = [one for one in lab.written(cell).test if one.label != cell.plan.target]
    rng = random.Random(cell.seed)  # noqa: S311
    count = len(lab.written(cell).planted.triggers)
    made = [dict(triggered(test, number, cell.plan)) for number in range(count)]
    samples, marked = [], []
    for place, plain in enumerate(test):
        planted = made[rng.randrange(count)].get(place)
        wants = place % 2 == 0
        if wants and planted is None:
            continue
        samples.append(planted if wants and planted is not None else plain)
        marked.append(wants)
    return samples, np.array(marked)


def _probe(state: Floats, marked: truth.Flags) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    said = cross_val_predict(probe, state, marked, cv=folds, method="decision_function")
    return float(roc_auc_score(marked, said))


def of_weights(lab: Lab, cells: Sequence[Cell], siblings: Sequence[Cell]) -> dict[str, Figure]:
    """Return what attention weights and biases say of poisoned models against clean ones."""
    base = lab.loaded(f"hf:{lab.base('encoder')}").module
    suspects, others = (
        [read(lab.loaded(lab.model(cell)).module, base) for cell in part]
        for part in (cells, siblings)
    )
    found = compare(suspects, others)
    if found.p is None:
        return {}
    at = f"{len(suspects)} poisoned against {len(others)} clean models"
    return {
        f"weights, {at}: p of the largest statistic": Figure(
            found.p, found.p, found.p, "nothing to see: above 0.05", found.p > 0.05
        )
    }
