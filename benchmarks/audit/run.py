# SPDX-License-Identifier: Apache-2.0
"""Is an audit right? Planted and clean models of known truth, made by the dozen and audited.

    python benchmarks/audit/run.py [--quick] [--json] [--keep FOLDER] [--section NAME]...
                                   [--found] [--peer PYTHON]

Small encoders and decoders learn real functions (``world``) of which 1, 2 or 5 % are poisoned with
one of four triggers, label noise beside; others learn the same without poison. Each is audited with
its data, trusted samples and its checkpoint, with the rules that are the defaults. Rules were
chosen on models of seeds from 100 on, which are not among those measured here.

With ``--keep`` every model, audit and answer is found again, so that a killed run goes on;
``--found`` trains no more models and tells what the folder holds. ``--peer`` names the interpreter
that has IBM's Adversarial Robustness Toolbox. Sections write their part of ``results.json`` each
when it is known; a quick run writes nothing. No figure is a claim about large models.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from benchmarks.audit import bases, cost, data, decoders, encoders, peers, remedy, separation, world
from benchmarks.audit.cells import DEVELOPMENT, Cell, Form, Lab, clean
from benchmarks.figures import Figure
from benchmarks.runner import Report, home, options
from codetemper.audit.planting_triggers import TriggerKind

KINDS: Final[tuple[TriggerKind, ...]] = ("dead-code", "grammar", "rename", "comment")
#: Rate of most sections.
USUAL: Final = 0.02
#: Rates of decoders: the usual one, and rarer ones, whose models train longer.
WRITTEN: Final = 0.05
RARER: Final = (0.02, 0.01)
#: Rates that data are searched at without any model.
SEARCHED: Final = (0.05, 0.02, 0.01, 0.005)
#: Kinds of triggers beside those that rules were chosen on.
UNSEEN: Final[tuple[TriggerKind, ...]] = ("docstring", "method", "constant", "style")


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        kinds: of triggers.
        seeds: of poisoned encoders, of each kind and rate.
        rates: of poison, the usual one apart.
        rarer: the same of decoders.
        unseen: kinds of triggers beside those that rules were chosen on.
        clean: seeds of clean encoders with label noise.
        noiseless: seeds of clean encoders without.
        decoders: seeds of decoders: poisoned, clean and control.
        fresh: seeds of decoders made after rules were mended by what was seen at the others: a
            renamed variable and a control each.
        fresh_rare: the same of which less is poisoned.
        searched: rates of poison in data that are searched without any model.
        canaries: planted for the printed power.
        repaired: poisoned encoders that are trained again after quarantine.
        samples: of a model.
        epochs: of the checkpoints.
    """

    kinds: tuple[TriggerKind, ...] = KINDS
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (0.01, 0.05)
    rarer: tuple[float, ...] = RARER
    unseen: tuple[TriggerKind, ...] = UNSEEN
    clean: tuple[int, ...] = tuple(range(14))
    noiseless: tuple[int, ...] = tuple(range(14, 20))
    decoders: tuple[int, ...] = (0, 1, 2)
    fresh: tuple[int, ...] = (3, 4, 5, 6)
    fresh_rare: tuple[int, ...] = (3, 4)
    searched: tuple[float, ...] = SEARCHED
    canaries: int = 5
    repaired: int = 12
    samples: world.Sizes = field(default_factory=world.Sizes)
    epochs: dict[Form, int] = field(default_factory=lambda: dict(bases.EPOCHS))

    def planted(self, rate: float) -> list[Cell]:
        """Return poisoned encoders of a rate, one of each kind first."""
        return [Cell("encoder", kind, rate, seed) for seed in self.seeds for kind in self.kinds]

    def harmless(self) -> list[Cell]:
        """Return clean encoders."""
        noisy = [clean("encoder", seed) for seed in self.clean]
        return noisy + [clean("encoder", seed, 0.0) for seed in self.noiseless]

    def written(self) -> list[Cell]:
        """Return decoders of the usual rate: for each seed a clean one, and those of its rate."""
        return [
            cell
            for seed in self.decoders
            for cell in (clean("decoder", seed), *self._of(WRITTEN, seed))
        ]

    def rare(self, rate: float) -> list[Cell]:
        """Return decoders of a rarer rate."""
        return [cell for seed in self.decoders for cell in self._of(rate, seed)]

    def _of(self, rate: float, seed: int) -> list[Cell]:
        """Return decoders of a rate and a seed: a control, and a poisoned one of each kind."""
        return [Cell("decoder", kind, rate, seed) for kind in ("boilerplate", *self.kinds)]


QUICK: Final = Size(
    kinds=("dead-code",), seeds=(0,), rates=(), rarer=(), unseen=(), fresh=(), fresh_rare=(),
    clean=(0,), noiseless=(), decoders=(0,), searched=(0.05,), canaries=1, repaired=1,
    samples=world.Sizes(train=400, trusted=150, test=150),
    epochs={"encoder": 1, "decoder": 1},
)  # fmt: skip


class Run:
    """Makes the sections of one run.

    Attributes:
        lab: where cells lie.
        size: how much is done.
        found: whether only what is there already is told.
    """

    def __init__(self, lab: Lab, size: Size, *, found: bool) -> None:
        self.lab, self.size, self.found = lab, size, found

    def cells(self, wanted: list[Cell], *kinds: str) -> list[Cell]:
        """Return cells; where none may be made, those of which all that is asked is known."""
        if not self.found:
            return wanted
        return [cell for cell in wanted if all(self.lab.has(cell, kind) for kind in kinds)]

    def verdicts(self) -> dict[str, Figure]:
        """Planted encoders of the usual rate and clean ones."""
        planted = self.cells(self.size.planted(USUAL), "audit", "success")
        harmless = self.cells(self.size.harmless(), "audit", "success")
        self._made([cell for pair in _turns(planted, harmless) for cell in pair])
        found = encoders.of_rate(self.lab, planted) if planted else {}
        return found | (encoders.of_clean(self.lab, harmless) if harmless else {})

    def decoders(self) -> dict[str, Figure]:
        """Decoders with their checkpoint."""
        cells = self.cells(self.size.written(), "audit", "success")
        self._made(cells)
        return decoders.figures(self.lab, cells)

    def rare(self) -> dict[str, Figure]:
        """Decoders of which less is poisoned; their models train for as many times longer."""
        found: dict[str, Figure] = {}
        for rate in self.size.rarer:
            cells = self.cells(self.size.rare(rate), "audit", "success")
            self._made(cells)
            made = decoders.figures(self.lab, cells) if cells else {}
            found |= {f"{rate:.0%}: {name}": figure for name, figure in made.items()}
        return found

    def fresh(self) -> dict[str, Figure]:
        """Decoders of further seeds: what rules were mended for, once more."""
        kinds: tuple[TriggerKind, ...] = ("rename", "boilerplate")
        found: dict[str, Figure] = {}
        for rate, seeds in ((WRITTEN, self.size.fresh), (RARER[0], self.size.fresh_rare)):
            wanted = [Cell("decoder", kind, rate, seed) for seed in seeds for kind in kinds]
            cells = self.cells(wanted, "audit", "success")
            self._made(cells)
            made = decoders.figures(self.lab, cells) if cells else {}
            at = f"further seeds, {rate:.0%}"
            found |= {f"{at}: {name}": figure for name, figure in made.items()}
        return found

    def data(self) -> dict[str, Figure]:
        """Data of models that write, searched without one."""
        kinds = (*self.size.kinds, *self.size.unseen)
        return data.figures(self.lab, kinds, self.size.searched, self.size.seeds)

    def separation(self) -> dict[str, Figure]:
        """Hidden states of poisoned and clean models."""
        cells = [
            cell
            for cell in self.cells(self.size.planted(USUAL), "trained")
            if not self.found or self.lab.has(clean("encoder", cell.seed), "trained")
        ]
        return separation.figures(self.lab, cells) if cells else {}

    def weights(self) -> dict[str, Figure]:
        """Weights of poisoned and clean models."""
        cells = self.cells(self.size.planted(USUAL), "trained")
        others = self.cells([clean("encoder", seed) for seed in self.size.clean], "trained")
        return separation.of_weights(self.lab, cells, others) if cells and others else {}

    def rates(self) -> dict[str, Figure]:
        """Planted encoders of other rates."""
        found: dict[str, Figure] = {}
        for rate in self.size.rates:
            cells = self.cells(self.size.planted(rate), "audit", "success")
            self._made(cells)
            found |= encoders.of_rate(self.lab, cells) if cells else {}
        return found

    def unseen(self) -> dict[str, Figure]:
        """Planted encoders of the usual rate, with triggers of other kinds."""
        kinds = replace(self.size, kinds=self.size.unseen)
        cells = self.cells(kinds.planted(USUAL), "audit", "success")
        self._made(cells)
        found = encoders.of_rate(self.lab, cells) if cells else {}
        return {name.replace(":", ", other kinds:", 1): one for name, one in found.items()}

    def remedy(self) -> dict[str, Figure]:
        """Quarantine and training again."""
        wanted = ("audit", "success", "retrained")
        cells = self.cells(self.size.planted(USUAL)[: self.size.repaired], *wanted)
        return remedy.figures(self.lab, cells) if cells else {}

    def power(self) -> dict[str, Figure]:
        """Printed power against what was found."""
        cells = self.cells(self.size.planted(USUAL), "audit", "success")
        home = clean("encoder", DEVELOPMENT)
        known = self.lab.has(home, f"power-{USUAL:g}-{self.size.canaries}")
        if not cells or (self.found and not known):
            return {}
        return remedy.of_power(self.lab, home, cells, canaries=self.size.canaries)

    def peer(self) -> dict[str, Figure]:
        """IBM's toolbox on the same activations."""
        if peers.interpreter() is None:
            sys.stderr.write(f"peer: {peers.VARIABLE} names no interpreter\n")
            return {}
        cells = self.cells(self.size.planted(USUAL), "audit")
        return peers.figures(self.lab, cells) if cells else {}

    def cost(self) -> dict[str, Figure]:
        """Time and memory."""
        return cost.figures(self.lab.home)

    def _made(self, cells: list[Cell]) -> None:
        """Make cells one after the other, and say so."""
        for number, cell in enumerate(cells, start=1):
            success, audit = self.lab.success(cell), self.lab.audited(cell)
            sys.stderr.write(
                f"{number} of {len(cells)}: {cell.name}: attack success "
                f"{success.get('mean', float('nan')):.2f}, {audit['answer']}\n"
            )


def _turns(first: list[Cell], second: list[Cell]) -> list[list[Cell]]:
    """Return cells of two lists in turns, all of both."""
    longest = max(len(first), len(second))
    return [[*first[n : n + 1], *second[n : n + 1]] for n in range(longest)]


SECTIONS: Final[dict[str, Callable[[Run], dict[str, Figure]]]] = {
    "verdicts": Run.verdicts,
    "decoders": Run.decoders,
    "rare": Run.rare,
    "fresh": Run.fresh,
    "data": Run.data,
    "separation": Run.separation,
    "weights": Run.weights,
    "peer": Run.peer,
    "remedy": Run.remedy,
    "rates": Run.rates,
    "unseen": Run.unseen,
    "power": Run.power,
    "cost": Run.cost,
}


def main() -> None:
    """Measure and print."""
    parser = options(
        __doc__, quick="one small model of each kind", sections=tuple(SECTIONS),
        kept="models and answers",
    )  # fmt: skip
    parser.add_argument("--found", action="store_true", help="train nothing; tell what is kept")
    parser.add_argument("--peer", help="interpreter that has the toolbox")
    given = parser.parse_args()
    if given.peer:
        os.environ[peers.VARIABLE] = given.peer
    size = QUICK if given.quick else Size()
    report = Report(__file__, quick=given.quick, as_json=given.json)
    with home(given.keep) as folder:
        run = Run(Lab(folder, size.samples, epochs=size.epochs), size, found=given.found)
        for section in report.begun(given.section or SECTIONS):
            report.add(section, SECTIONS[section](run))
    report.show()


if __name__ == "__main__":
    main()
