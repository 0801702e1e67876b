# SPDX-License-Identifier: Apache-2.0
"""What the guard benchmark's sections share: data, guards, tunings and answers, each made once.

    bench = Bench(workspace, Size())
    patch = bench.tuned("always", seed=0, share=0.3)
    compared([bench.asked("seedling", 0)], [bench.asked(f"seedling+{patch.id}", 0)], "insecure@1")

What is made lies in a workspace and is found there when it is asked for again, by the digests of
its data and its settings. Values are means over seeds by case, intervals the paired bootstrap over
cases. Which arms there are and what is asked of their figures is for the sections to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.figures import Figure
from benchmarks.guard import material
from codetemper.api import evaluation, guards, screening, treatments
from codetemper.api.defending import Defence
from codetemper.api.models import load_model
from codetemper.core import stats
from codetemper.core.accounts import PatchManifest, ScreenedRow
from codetemper.core.chain import ROWS
from codetemper.core.digests import digest_file, digest_folder, digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.records import Sampling
from codetemper.core.tables import read_table
from codetemper.core.workspace import Workspace
from codetemper.data.samples import read_samples
from codetemper.evaluate.suites import budget
from codetemper.harden.controls import random_guard
from codetemper.harden.defences import DEFENCES, Knobs
from codetemper.harden.guard import Config as GuardConfig
from codetemper.harden.tune import IN_TURNS, Config
from codetemper.models.patch import load_manifest

#: Share of weak samples at which controls are run, and the sections that are about one share.
CONTROL: Final = 0.3
#: Largest difference to clean tuning and to unguarded tuning that is asked for, as a share.
MARGIN: Final = 0.02
#: What is told of every arm, by metric.
MEASURES: Final = {
    "insecure@1": "vulnerable",
    "secure_pass@1": "secure and right",
    "new": "new task",
}

PerCase = dict[str, dict[str, float]]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        worlds: of the security tasks.
        seeds: of data, training and sampling.
        security: security tasks in the user's data.
        bad: samples of a guard.
        every: one case of so many is asked.
        samples: completions of each.
        new: completions of a case of the new task, of which there are few cases.
        epochs: of every tuning.
        controls: guards at ``CONTROL`` that should not help.
        many: weak samples that the guard stands against at the end.
        snippets: bad ones that a guard is grown from.
        steps: of further tuning, where it is looked for what comes back.
        sections: what is measured where nothing is asked for; all where it is empty.
        quick: whether costs are measured with little, too.
    """

    worlds: tuple[str, ...] = ("world-security-python",)
    seeds: tuple[int, ...] = (0, 1, 2)
    security: int = 300
    bad: int = 100
    every: int = 1
    samples: int = 2
    new: int = 16
    epochs: float = 3.0
    controls: tuple[str, ...] = ("random", "wrong")
    many: int = 1000
    snippets: int = 10
    steps: int = 200
    sections: tuple[str, ...] = ()
    quick: bool = False


class Bench:
    """Makes data, guards and patches of a workspace, each once, and asks them."""

    def __init__(self, workspace: Workspace, size: Size) -> None:
        self.workspace, self.size = workspace, size
        self.home = workspace.home / "bench"
        self.suites = material.write_suites(self.home, size.worlds, size.every)
        self.security = {name: s for name, s in self.suites.items() if name != material.NEW}

    def user(self, seed: int, share: float) -> tuple[str, list[bool]]:
        """Write a user's data; return the file, and of each sample whether it is weak."""
        found = material.user_samples(self.size.worlds, self.size.security, share, seed)
        path = self.home / f"user-{self.size.security}-{seed}-{share:g}.jsonl"
        return material.write_samples(path, found), [sample.bad for sample in found]

    def guard(self, seed: int, share: float, kind: str = "right") -> str:
        """Return the id of a guard: the ``right`` one, or ``wrong`` or ``random``."""
        if kind == "random":
            like = self.workspace.resolve("patches", self.guard(seed, share))
            with self.workspace.staged("patches") as folder:
                made = random_guard(like, folder, seed)
                home = self.workspace.settle(folder, "patches", made.id)
            outputs = {f"patch:{made.id}": digest_folder(home)}
            self.workspace.ledger.append("guard", outputs=outputs, note="a control: random")
            return made.id
        return self.guard_of(self.bad(seed, kind), self.user(seed, share)[0], seed)

    def bad(self, seed: int, kind: str = "right") -> str:
        """Write what a guard is made of; return the file."""
        weaknesses = material.GUARDED if kind == "right" else material.OTHERS
        bad = material.bad_samples(self.size.worlds, weaknesses, self.size.bad, seed)
        return material.write_samples(self.home / f"{kind}-{seed}.jsonl", bad, labelled=True)

    def guard_of(self, data: str, user: str, seed: int, retain: str | None = None) -> str:
        """Return the id of a guard of a file of bad samples, made for a user's data."""
        if retain is None:
            clean = material.retain_samples(2 * self.size.bad, seed)
            retain = material.write_samples(self.home / f"retain-{seed}.jsonl", clean)
        given = {"retain": retain, "user_data": user}
        config = GuardConfig(seed=seed, max_length=512)

        def make() -> PatchManifest:
            return guards.guard(self.workspace, "seedling", data, config, **given).manifests[0]

        return self._once(make, [data, *given.values()], config).id

    def tuned(self, arm: str, seed: int, share: float) -> PatchManifest:
        """Tune one arm on a user's data."""
        data, bad = self.user(seed, share)
        return self.tuned_on(arm, data, bad, seed, lambda kind: [self.guard(seed, share, kind)])

    def tuned_on(
        self,
        arm: str,
        data: str,
        bad: Sequence[bool],
        seed: int,
        guards_of: Callable[[str], list[str]],
    ) -> PatchManifest:
        """Tune one arm on a file.

        Args:
            arm: its name, with ``+`` and a defence's where one gets secure samples beside, or with
                ``:`` and a share of the opposed.
            data: file of samples.
            bad: of each whether it is weak; only ``clean`` may know.
            seed: of the tuning.
            guards_of: gives ids of the guards of a kind, which are made where they are not.
        """
        config = Config(seed=seed, epochs=self.size.epochs, max_length=512)
        used: list[str] = []
        arm, _, name = arm.partition("+")
        arm, _, opposed = arm.partition(":")
        if opposed:
            config = config.model_copy(update={"opposed_share": float(opposed)})
        if arm == "clean":
            data, config = self._known(data, bad, config)
        elif arm == "drop":
            data = self._kept(data, guards_of("right"))
        elif arm != "unguarded":
            used = guards_of(arm if arm in self.size.controls else "right")
            mode = "selective" if arm == "selective" else "always"
            config = config.model_copy(update={"guard_mode": mode})
        defence = Defence(name, secure=self._secure(seed)) if name else None
        return self._tune(data, config, used, defence=defence)

    def tuned_further(self, patch: PatchManifest, data: str, seed: int) -> str:
        """Tune a tuned model for ``size.steps`` more, without a guard; return its expression."""
        config = Config(seed=seed, max_length=512)
        epochs = self.size.steps * config.batch_size / len(read_samples(Path(data)))
        model = f"seedling+{patch.id}"
        made = self._tune(data, config.model_copy(update={"epochs": epochs}), [], model=model)
        return f"{model}+{made.id}"

    def _tune(
        self,
        data: str,
        config: Config,
        used: Sequence[str],
        *,
        defence: Defence | None = None,
        model: str = "seedling",
    ) -> PatchManifest:
        def make() -> PatchManifest:
            return treatments.tune(
                self.workspace, model, data, config, guards=used, defence=defence
            )

        files = [data, *([defence.secure] if defence and defence.secure else [])]
        facts = [*used, *([defence.name] if defence else [])]
        facts += [] if model == "seedling" else [model]
        # What says nothing in this run is no fact: files of older runs are found again.
        silent = () if defence and defence.name == "lisa" else IN_TURNS
        silent += () if used and config.guard_mode == "selective" else ("opposed_share",)
        return self._once(make, files, config, *facts, silent=silent)

    def _secure(self, seed: int) -> str:
        """Write secure answers to a guard's tasks, to be mixed in; a guard of fixes has such."""
        found = material.secure_samples(self.size.worlds, self.size.bad, seed)
        return material.write_samples(self.home / f"secure-{seed}.jsonl", found)

    def _known(self, data: str, bad: Sequence[bool], config: Config) -> tuple[str, Config]:
        """Leave out what is known to be weak, and take as many steps."""
        pairs = read_samples(Path(data))
        weak = {pair.id for pair, is_bad in zip(pairs, bad, strict=True) if is_bad}
        found = DEFENCES["oracle"](pairs, weak, Knobs(config))
        kept = {pair.id for pair in found.pairs}
        path = Path(data).with_suffix(".clean.jsonl")
        chosen = [pair.id in kept for pair in pairs]
        return material.write_some(path, data, chosen), found.config

    def _kept(self, data: str, used: Sequence[str]) -> str:
        """Leave out what guards flag."""
        path = Path(data).with_suffix(".kept.jsonl")
        screening.audit_data(self.workspace, data, used, keep=path)
        return str(path)

    def _once(
        self,
        make: Callable[[], PatchManifest],
        data: Sequence[str],
        config: Any,
        *more: str,
        silent: Sequence[str] = (),
    ) -> PatchManifest:
        """Make a patch, or find the one that was made of the same before."""
        settings = config.model_dump(mode="json", exclude=set(silent))
        facts = [type(config).__module__, settings, *more]
        note = self.home / f"{digest_json([*facts, *(digest_file(Path(d)) for d in data)])[:16]}.id"
        if note.is_file():
            return load_manifest(self.workspace.resolve("patches", note.read_text("ascii")))
        made = make()
        write_atomic(note, made.id.encode())
        return made

    def ratios(self, data: str, guard: str) -> list[float | None]:
        """Return what a guard says of each sample of a file."""
        return [row.ratios[0] if row.ratios else None for row in self._screened(data, [guard])]

    def flags(self, data: str, used: Sequence[str]) -> list[bool]:
        """Return of each sample of a file whether one of some guards flags it."""
        return [bool(row.flagged) for row in self._screened(data, used)]

    def _screened(self, data: str, used: Sequence[str]) -> list[ScreenedRow]:
        found = screening.audit_data(self.workspace, data, used)
        return [row for block in read_table(found.folder / ROWS, ScreenedRow) for row in block]

    def answered(self, patch: PatchManifest, seed: int) -> PerCase:
        """Evaluate the model with a patch."""
        return self.asked(f"seedling+{patch.id}", seed)

    def asked(self, model: str, seed: int, suites: Mapping[str, str] | None = None) -> PerCase:
        """Evaluate a model; return each metric by case, security suites together.

        Args:
            model: expression.
            seed: of the sampling.
            suites: by their short names; all of ``self.suites`` where None.
        """
        found: PerCase = {}
        for name, suite in (self.suites if suites is None else suites).items():
            count, tokens = self.size.samples, budget(suite)
            if name == material.NEW:
                count, tokens = self.size.new, 32
            drawn = Sampling(n=count, seed=seed, max_new_tokens=tokens)
            with load_model(self.workspace, model) as handle:
                run = evaluation.evaluate(self.workspace, model, suite, drawn, loaded=handle)
            for metric, values in run.scorecard.per_case.items():
                label = "new" if name == material.NEW else metric
                found.setdefault(label, {}).update({f"{name}/{c}": v for c, v in values.items()})
        return found


def by_case(arms: Sequence[Sequence[PerCase]], metric: str) -> list[Values]:
    """Return of each arm the means over seeds by case, of the cases that all have, in one order."""
    found = [[run[metric] for run in arm] for arm in arms]
    cases = sorted(set.intersection(*(set(run) for arm in found for run in arm)))
    return [np.array([np.mean([run[c] for run in arm]) for c in cases]) for arm in found]


def compared(
    before: Sequence[PerCase], after: Sequence[PerCase], metric: str
) -> tuple[float, float, float, float]:
    """Return difference, interval and the first value of two arms: means over seeds, by case."""
    first, second = by_case([before, after], metric)
    found = stats.paired_bootstrap(first, second)
    return found.difference, found.low, found.high, found.before


def shown(arm: Sequence[PerCase], metric: str) -> Figure:
    """Return an arm's value with its interval."""
    found = stats.cluster_bootstrap(by_case([arm], metric)[0])
    return Figure(found.value, found.low, found.high, "shown", True)
