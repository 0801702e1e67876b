# SPDX-License-Identifier: Apache-2.0
"""Data of models that write, searched without any model: what is found, and what power is told.

Poisoned data of each kind of trigger, rate and seed are searched for texts that go with insecure
answers; so are data with a harmless line at the same rates, and clean ones. Beside the share that
is found stands the power that an audit of clean data of that size tells (``data_power``). Its
canaries are of one kind, so it need not hold for the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.audit import truth
from benchmarks.audit.cells import Cell, Lab, clean
from benchmarks.figures import Figure
from codetemper.audit import Config
from codetemper.audit.pairing import pairs_in_data
from codetemper.audit.payloads import Payloads
from codetemper.audit.planting_triggers import TriggerKind
from codetemper.audit.power import data_power
from codetemper.core.errors import CannotKnowError, UsageError
from codetemper.core.records import Estimate

#: What is asked of answers: rules on trees, without analysers.
PAYLOADS = Payloads("python", {})


def figures(
    lab: Lab, kinds: Sequence[TriggerKind], rates: Sequence[float], seeds: Sequence[int]
) -> dict[str, Figure]:
    """Return the figures of all rates.

    Args:
        lab: draws samples; no model of it is read.
        kinds: of triggers.
        rates: shares of the samples that are poisoned.
        seeds: of samples and plans.
    """
    found: dict[str, Figure] = {}
    for rate in rates:
        at = f"data alone, {rate:.1%} poisoned"
        every: list[bool] = []
        for kind in kinds:
            cells = [Cell("decoder", kind, rate, seed) for seed in seeds]
            said = [each for cell in cells if (each := _found(lab, cell)) is not None]
            every += said
            if said:
                found[f"{at}: {kind}: a text is paired"] = truth.share(said, "shown")
        if not every:
            continue
        found[f"{at}: all kinds: a text is paired"] = truth.share(every, "shown")
        printed = [_printed(lab, rate, seed) for seed in seeds]
        true = sum(every) / len(every)
        for seed, one in zip(seeds, printed, strict=True):
            found[f"{at}: power printed, clean data of seed {seed}"] = Figure(
                one.value, one.low, one.high,
                f"its interval holds the share found of {len(every)}",
                one.low <= true <= one.high, peer=true,
            )  # fmt: skip
    controls = [Cell("decoder", "boilerplate", rate, seed) for rate in rates for seed in seeds]
    controls += [clean("decoder", seed) for seed in seeds]
    wrong = [bool(_pairs(lab, cell)) for cell in controls]
    found["data alone, clean or with a harmless line: a text is paired"] = truth.share(
        wrong, "at most 0.05", most=0.05
    )
    return found


def _pairs(lab: Lab, cell: Cell) -> list[tuple[int, ...]]:
    written = lab.written(cell)
    return pairs_in_data(written.planted.samples, written.trusted, PAYLOADS, Config())


def _found(lab: Lab, cell: Cell) -> bool | None:
    """Say whether a text is paired that poisoned samples hold; None where none can be planted."""
    try:
        bad = lab.written(cell).planted.numbers
    except (UsageError, CannotKnowError):
        return None
    return any(2 * len(bad.intersection(rows)) >= len(rows) for rows in _pairs(lab, cell))


def _printed(lab: Lab, rate: float, seed: int) -> Estimate:
    """Return the power that is told of clean data."""
    written = lab.written(clean("decoder", seed))
    config = Config(canary_rate=rate, seed=seed)
    said = data_power(written.planted.samples, written.trusted, PAYLOADS, config)
    if said.found is None:
        raise CannotKnowError("no power is told", why=said.missing, mend="plant more samples")
    return said.found
