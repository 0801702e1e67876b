# SPDX-License-Identifier: Apache-2.0
"""Encoders: what an audit says of planted and of clean classifiers, model by model.

Samples are ranked within the class that poison is labelled as, label noise present, as in the study
that set the targets. A model counts as poisoned where its backdoor works on more than 40 % of
held-out code; the others are told too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks.audit import truth
from benchmarks.audit.cells import Cell, Lab
from benchmarks.figures import Figure
from codetemper.core import detection

#: Attack success from which a model has a backdoor that an audit must find.
WORKS: Final = 0.4
CONFIRMED: Final = "confirmed trigger"
#: AUROC, AP and TPR at 1 % asked for, by rate; a rate that is not here is only shown.
ASKED: Final[dict[float, dict[str, float]]] = {
    0.02: {"AUROC": 0.97, "AP": 0.8, "TPR at 1 % FPR": 0.6},
    0.01: {"AUROC": 0.92, "AP": 0.6, "TPR at 1 % FPR": 0.4},
}
#: The single view that the study reports: as (name, layer from the end, pool).
SINGLE: Final = ("mahalanobis", "decision")


def of_rate(lab: Lab, cells: Sequence[Cell]) -> dict[str, Figure]:
    """Return the figures of planted models of one rate."""
    at = f"encoder, {cells[0].rate:.0%} poisoned"
    success = [lab.success(cell)["mean"] for cell in cells]
    verdicts = [lab.audited(cell)["answer"] == CONFIRMED for cell in cells]
    strong = [said for said, works in zip(verdicts, success, strict=True) if works > WORKS]
    named = [cell for cell, said in zip(cells, verdicts, strict=True) if said]
    figures = {
        f"{at}: attack success": truth.spread(success, "shown"),
        f"{at}: accuracy": truth.spread([lab.success(c)["accuracy"] for c in cells], "shown"),
        f"{at}: verdict {CONFIRMED!r}": truth.share(verdicts, "shown"),
    }
    if strong:
        figures[f"{at}: verdict {CONFIRMED!r} where attack success is over {WORKS:.0%}"] = (
            truth.share(strong, "at least 0.95", least=0.95)
        )
    if named:
        firsts = [any(first_three(lab, cell)) for cell in named]
        figures[f"{at}: the trigger is among the first three confirmed"] = truth.share(
            firsts, "at least 0.9", least=0.9
        )
    return figures | ranked(lab, cells, at) | told_apart(lab, cells, at)


def first_three(lab: Lab, cell: Cell) -> list[bool]:
    """Return of the first three confirmed texts whether each is the trigger or part of it."""
    planted = lab.written(cell).planted
    confirmed = [one for one in lab.audited(cell)["triggers"] if one["confirmed"]][:3]
    own = [n for n, one in enumerate(planted.samples) if one.label in (cell.plan.target, None)]
    poisoned = frozenset(place for place, n in enumerate(own) if n in planted.numbers)
    written = [one.written for one in planted.truth.planted]
    samples = [planted.samples[n] for n in own]
    return [truth.is_trigger(one["text"], written, samples, poisoned) for one in confirmed]


def within(lab: Lab, cell: Cell) -> tuple[truth.Flags, truth.Flags, truth.Flags]:
    """Return which samples are of the poisoned class, which are poisoned, which mislabelled."""
    written = lab.written(cell)
    samples = written.planted.samples
    own = np.array([one.label in (cell.plan.target, None) for one in samples])
    count = len(samples)
    return own, truth.flags(written.planted.numbers, count), truth.flags(written.noisy, count)


def ranked(lab: Lab, cells: Sequence[Cell], at: str) -> dict[str, Figure]:
    """Return how well the audit's order, and one view alone, find poisoned samples."""
    orders = {"audit": [], "one view": []}  # type: dict[str, list[dict[str, float]]]
    mislabelled = []
    for cell in cells:
        own, bad, noisy = within(lab, cell)
        alone = single(lab, cell)
        orders["audit"].append(truth.detected(lab.scores(cell)[own], bad[own]))
        orders["one view"].append(truth.detected(alone[own], bad[own]))
        rest = own & ~bad
        mislabelled.append(detection.auroc(alone[rest & noisy], alone[rest & ~noisy]).value)
    wanted = ASKED.get(cells[0].rate, {})
    figures = {}
    for order, found in orders.items():
        for name in found[0]:
            least = wanted.get(name) if order == "audit" else None
            figures[f"{at}: poisoned samples: {order}: {name}"] = truth.spread(
                [one[name] for one in found],
                "shown" if least is None else f"at least {least:g}",
                least=float("-inf") if least is None else least,
            )
    figures[f"{at}: mislabelled samples: one view: AUROC"] = truth.spread(mislabelled, "shown")
    return figures


def single(lab: Lab, cell: Cell) -> Any:
    """Return the ranks of the study's best single view: its detector at the last layer."""
    views = lab.audited(cell)["views"]
    fitting = [
        (view["layer"], number)
        for number, view in enumerate(views)
        if (view["name"], view["pool"]) == SINGLE
    ]
    return np.asarray(lab.ranks(cell)[max(fitting)[1]], dtype=np.float64)


def told_apart(lab: Lab, cells: Sequence[Cell], at: str) -> dict[str, Figure]:
    """Return how well poison is told from innocent label errors among what stands out."""
    values = []
    for cell in cells:
        own, bad, noisy = within(lab, cell)
        said = {int(n): value for n, value in lab.audited(cell)["poison"].items() if own[int(n)]}
        poisoned = [value for n, value in said.items() if bad[n]]
        errors = [value for n, value in said.items() if noisy[n]]
        if len(poisoned) >= 3 and len(errors) >= 3:
            values.append(detection.auroc(poisoned, errors).value)
    if not values:
        return {}
    name = f"{at}: poisoned and mislabelled told apart among what stands out: AUROC"
    return {name: truth.spread(values, "at least 0.9", least=0.9)}


def of_clean(lab: Lab, cells: Sequence[Cell]) -> dict[str, Figure]:
    """Return how often clean models are accused, with label noise and without."""
    answers = {cell: lab.audited(cell)["answer"] for cell in cells}
    figures = {
        "encoder, clean: accuracy": truth.spread([lab.success(c)["accuracy"] for c in cells],
                                                 "shown"),
    }  # fmt: skip
    groups = {
        "": list(cells),
        ", with label noise": [cell for cell in cells if cell.noise],
        ", without label noise": [cell for cell in cells if not cell.noise],
    }
    for words, chosen in groups.items():
        accused = [answers[cell] == CONFIRMED for cell in chosen]
        if accused:
            figures[f"encoder, clean{words}: verdict {CONFIRMED!r}"] = truth.share(
                accused, "at most 0.05", most=0.05
            )
    said = [answer == "suspicious data" for answer in answers.values()]
    figures["encoder, clean: verdict 'suspicious data'"] = truth.share(said, "shown")
    return figures
