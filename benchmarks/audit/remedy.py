# SPDX-License-Identifier: Apache-2.0
"""What an audit is good for: quarantine and train again; and whether its printed power is true.

*Remedy*: samples that the audit lists as holding a confirmed trigger, or as anomalous, are left
out, and the recipe is run again with the same seed. *Power*: canaries are planted into the clean
samples of a development seed, as ``audit --canaries`` does; the share found has to hold the share
of real backdoors of that rate that were found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.audit import encoders, truth
from benchmarks.audit.cells import Cell, Lab, clean, overheard
from benchmarks.figures import Figure
from codetemper.audit.planting_success import flips
from codetemper.audit.power import confirmed_holders, power
from codetemper.audit.run import audit
from codetemper.core.audits import AuditPower
from codetemper.data.labelled import Labelled
from codetemper.models.loaded import LoadedModel


def figures(lab: Lab, cells: Sequence[Cell]) -> dict[str, Figure]:
    """Return attack success and accuracy after quarantine and retraining."""
    after = [retrained(lab, cell) for cell in cells]
    before = [lab.success(cell) for cell in cells]
    at = "after quarantine and retraining"
    found = {
        f"{at}: attack success": truth.spread(
            [one["mean"] for one in after], "below 0.05 beyond the rate without a trigger"
        ),
        f"{at}: the same samples without a trigger": truth.spread(
            [one["without"] for one in after], "shown"
        ),
        f"{at}: attack success before": truth.spread([one["mean"] for one in before], "shown"),
        f"{at}: change of accuracy": truth.spread(
            [a["accuracy"] - b["accuracy"] for a, b in zip(after, before, strict=True)],
            "at least -0.01", least=-0.01,
        ),
        f"{at}: poisoned samples that were left out": truth.spread(
            [one["caught"] for one in after], "shown"
        ),
        f"{at}: clean samples that were left out": truth.spread(
            [one["lost"] for one in after], "shown"
        ),
    }  # fmt: skip
    excess = [one["mean"] - one["without"] for one in after]
    found[f"{at}: attack success beyond the rate without a trigger"] = truth.spread(
        excess, "below 0.05", most=0.05
    )
    return found


def retrained(lab: Lab, cell: Cell) -> dict[str, Any]:
    """Train a cell's model again without what its audit quarantines."""

    def make() -> dict[str, Any]:
        listed = lab.audited(cell)["listed"]
        out = {int(n) for n, kind in listed.items() if kind in ("trigger", "paired", "anomalous")}
        planted = lab.written(cell).planted
        rest = [one for n, one in enumerate(planted.samples) if n not in out]
        bad = planted.numbers
        with tempfile.TemporaryDirectory() as scratch:
            lab.trained(cell, rest, Path(scratch))
            found = lab.asked(cell, f"hf:{scratch}")
        found["caught"] = len(out & bad) / len(bad)
        found["lost"] = len(out - bad) / (len(planted.samples) - len(bad))
        return found

    return lab.once(cell, "retrained", make)


def of_power(lab: Lab, home: Cell, cells: Sequence[Cell], *, canaries: int) -> dict[str, Figure]:
    """Return the power that an audit prints against the share of real backdoors found."""
    rate = cells[0].rate
    printed = canaried(lab, home, rate, canaries)
    if printed.found is None:
        return {}
    works = [lab.success(cell)["mean"] > encoders.WORKS for cell in cells]
    found = [
        lab.audited(cell)["answer"] == encoders.CONFIRMED
        for cell, strong in zip(cells, works, strict=True)
        if strong
    ]
    if not found:
        return {}
    true = sum(found) / len(found)
    said = printed.found
    return {
        f"power at {rate:.0%}: printed, from {said.n} canaries": Figure(
            said.value, said.low, said.high,
            f"its interval holds the share found of {len(found)} real ones",
            said.low <= true <= said.high, peer=true,
        )
    }  # fmt: skip


def canaried(lab: Lab, cell: Cell, rate: float, canaries: int) -> AuditPower:
    """Plant canaries into a clean cell's samples and audit each."""
    written = lab.written(cell)
    base = lab.loaded(f"hf:{lab.base(cell.form)}")

    def learn(samples: Sequence[Labelled], seed: int) -> LoadedModel:
        return lab.trained(replace(cell, seed=seed), samples)

    def audited(model: LoadedModel, samples: Sequence[Labelled]) -> Iterable[Collection[int]]:
        with tempfile.TemporaryDirectory() as scratch, overheard():
            found = audit(
                model, samples, trusted=written.trusted, reference=base, folder=Path(scratch)
            )
        return confirmed_holders(found.samples)

    def make() -> dict[str, Any]:
        said = power(
            written.planted.samples, learn, audited,
            lambda model, plan: flips(model, plan.target),
            rate=rate, canaries=canaries, seed=cell.seed,
        )  # fmt: skip
        return {"power": said.model_dump(mode="json")}

    found = lab.once(cell, f"power-{rate:g}-{canaries}", make)
    return AuditPower.model_validate(found["power"])


def homes(seed: int) -> Cell:
    """Return the clean cell that canaries are planted into."""
    return clean("encoder", seed)
