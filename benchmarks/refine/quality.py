# SPDX-License-Identifier: Apache-2.0
"""What a refinement gains: the seedling on each track, against controls and against the base.

Arms: ``full``, the default; ``winners only``, the better answers without the worse ones;
``no likelihood``, DPO alone; ``one round``, what the full arm's first round made. On the security
tracks the control is ``blind``, pairs that know nothing of security, and ``with functions`` pools
half as many prompts of the world that must not lose. Every seed has its own
training and validation cases, draws and training; all seeds are asked the same shipped suite, four
samples a case at temperature 0.8, and greedily once, since sharpening alone raises the former.
Differences are paired over cases, of means over the seeds, as ``codetemper.core.stats`` has them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.figures import Figure
from benchmarks.refine import material
from codetemper.api import evaluation, refining
from codetemper.api.models import load_model
from codetemper.core import stats
from codetemper.core.digests import digest_json
from codetemper.core.disk import write_atomic
from codetemper.core.records import Difference, Event, Sampling
from codetemper.core.refinement import Refinement
from codetemper.core.workspace import Workspace
from codetemper.evaluate.suites import budget
from codetemper.harden.refine import Config
from codetemper.models.patch import load_manifest

#: Gain asked for, and the lower end of its interval.
GAIN: Final = {"pass@1": (0.20, 0.12), "exec_match": (0.20, 0.12), "secure_pass@1": (0.15, 0.0)}
#: Largest loss of a suite that was not trained for.
LOSS: Final = 0.02
GREEDY: Final = "greedy"
#: What each control has other than the full arm.
CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "winners only": {"loss": "sft"},
    "no likelihood": {"nll": 0.0},
    "blind": {"security": False},
}
ONE: Final = "one round"
#: The arm that also learns from prompts of the suites that must not lose.
POOLED: Final = "with functions"

PerCase = dict[str, float]
#: Metric by case, by suite and by how it was asked.
Asked = dict[tuple[str, str], PerCase]


@dataclass(frozen=True)
class Size:
    """How much is done.

    Attributes:
        seeds: of cases, draws and training.
        train: training prompts; None: the track's.
        validation: cases that rounds are compared on; None: the track's.
        samples: completions of each test case.
        limit: test cases, drawn by the seed; None: all.
        changes: settings of every arm other than the defaults.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    train: int | None = 400
    validation: int | None = 100
    samples: int = 4
    limit: int | None = None
    changes: dict[str, Any] = field(
        default_factory=lambda: {"samples": 6, "pairs_per_prompt": 2, "rounds": 3}
    )


QUICK: Final = Size(
    seeds=(0,), train=60, validation=40, samples=2, limit=80, changes={"rounds": 2, "samples": 4}
)


def arms_of(name: str) -> tuple[str, ...]:
    """Return the arms of a track beside the base."""
    if material.TRACKS[name].also:
        return ("full", "blind", POOLED)
    return ("full", ONE, "winners only", "no likelihood")


class Bench:
    """Makes patches of one track in a workspace, each once, and asks them."""

    def __init__(self, workspace: Workspace, name: str, size: Size) -> None:
        found = material.TRACKS[name]
        self.name, self.workspace, self.size = name, workspace, size
        self.track = replace(
            found, train=size.train or found.train, validation=size.validation or found.validation
        )
        self.home = workspace.home / "bench"
        self._written: dict[int, material.Material] = {}

    def material(self, seed: int) -> material.Material:
        """Write a seed's suites, once."""
        if seed not in self._written:
            folder = self.home / f"{self.name}-{seed}"
            self._written[seed] = material.write(self.track, seed, folder)
        return self._written[seed]

    def refined(self, arm: str, seed: int) -> Refinement:
        """Refine one arm, or find what was refined before; a killed one goes on."""
        return Refinement.model_validate(load_manifest(self._folder(arm, seed)).report)

    def model(self, arm: str, seed: int) -> str:
        """Return the expression of an arm's model."""
        if arm == "base":
            return "seedling"
        if arm == ONE:
            rounds = self.refined("full", seed).rounds
            return f"seedling+{rounds[0].patch}" if rounds else "seedling"
        return f"seedling+{load_manifest(self._folder(arm, seed)).id}"

    def _folder(self, arm: str, seed: int) -> Path:
        given = self.material(seed)
        config = Config(seed=seed, **(self.size.changes | CONTROLS.get(arm, {})))
        facts = [self.name, self.track.train, self.track.validation, config.model_dump(mode="json")]
        pooled = given.also if arm == POOLED else ()
        facts += [POOLED] if pooled else []
        note = self.home / f"{digest_json(facts)[:16]}.id"
        if not note.is_file():
            made = refining.refine(
                self.workspace,
                "seedling",
                [given.train, *pooled],
                config,
                validate_on=given.validation,
                test_on=material.few(self.track.world, self.home),
                on_event=_progress(f"{self.name} {arm} {seed}"),
            )
            write_atomic(note, made.id.encode())
        return self.workspace.resolve("patches", note.read_text("ascii"))

    def asked(self, arm: str, seed: int) -> Asked:
        """Ask an arm's model all suites of the track; return each metric by case."""
        found: Asked = {}
        model, size = self.model(arm, seed), self.size
        with load_model(self.workspace, model) as handle:
            for suite in (self.track.world, *self.track.also):
                drawn = Sampling(n=size.samples, seed=seed, max_new_tokens=budget(suite))
                greedy = drawn.model_copy(update={"n": 1, "temperature": 0.0, "seed": 0})
                for how, sampling in (("", drawn), (GREEDY, greedy)):
                    run = evaluation.evaluate(
                        self.workspace, model, suite, sampling, limit=size.limit, loaded=handle
                    )
                    for metric, values in run.scorecard.per_case.items():
                        found[suite, f"{how} {metric}".strip()] = dict(values)
        sys.stderr.write(f"{self.name} {arm} {seed}: asked\n")
        return found


def _progress(what: str) -> Callable[[Event], None]:
    said: list[tuple[str, str]] = []

    def tell(event: Event) -> None:
        if said[-1:] != [(event.stage, event.unit)]:
            said.append((event.stage, event.unit))
            sys.stderr.write(f"{what}: {event.stage}\n")

    return tell


def compared(
    before: Sequence[PerCase], after: Sequence[PerCase], cases: Sequence[frozenset[str]] = ()
) -> Difference | None:
    """Compare two arms, paired over cases.

    Args:
        before: metric by case of the first arm, by seed.
        after: of the second.
        cases: by seed, those that count; none given: all.

    Returns:
        The difference of means over the seeds that have a case, or None where none has one.
    """
    first: dict[str, list[float]] = {}
    second: dict[str, list[float]] = {}
    for number, (left, right) in enumerate(zip(before, after, strict=True)):
        counted = left.keys() & right.keys()
        for case in counted & cases[number] if cases else counted:
            first.setdefault(case, []).append(left[case])
            second.setdefault(case, []).append(right[case])
    names = sorted(first)
    if not names:
        return None
    sides = ([float(np.mean(side[name])) for name in names] for side in (first, second))
    return stats.paired_bootstrap(*sides)


def _figure(found: Difference, target: str, holds: bool) -> Figure:
    return Figure(found.difference, found.low, found.high, target, holds, found.before)


def figures(workspace: Workspace, name: str, size: Size) -> dict[str, Figure]:
    """Run all arms of one track.

    Args:
        workspace: keeps what is made; a second run with it makes nothing twice.
        name: of the track.
        size: how much is done.
    """
    bench = Bench(workspace, name, size)
    arms = {
        arm: [bench.asked(arm, seed) for seed in size.seeds] for arm in ("base", *arms_of(name))
    }
    found = _values(bench, arms)
    found |= _gains(bench, arms)
    for arm in arms_of(name):
        if arm != ONE:
            found |= _rounds(bench, arm)
    return found


def _values(bench: Bench, arms: dict[str, list[Asked]]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for arm, runs in arms.items():
        for suite, metric in runs[0]:
            values = [run[suite, metric] for run in runs]
            cases = sorted(set.intersection(*(set(value) for value in values)))
            if cases:
                estimate = stats.cluster_bootstrap(
                    [float(np.mean([value[case] for value in values])) for case in cases]
                )
                found[f"{bench.name}: {arm}: {suite} {metric}"] = Figure(
                    estimate.value, estimate.low, estimate.high, "shown", True
                )
    return found


def _gains(bench: Bench, arms: dict[str, list[Asked]]) -> dict[str, Figure]:
    track, size, found = bench.track, bench.size, dict[str, Figure]()
    gain, floor = GAIN[track.metric]

    def against(first: str, second: str, suite: str, metric: str, *cases: Any) -> Difference | None:
        sides = ([run[suite, metric] for run in arms[arm]] for arm in (first, second))
        return compared(*sides, *cases)

    def add(words: str, one: Difference | None, target: str, holds: Callable[..., bool]) -> None:
        if one is not None:
            found[f"{bench.name}: {words}"] = _figure(one, target, holds(one))

    main = (track.world, track.metric)
    add(f"full against base: {' '.join(main)}", against("base", "full", *main),
        f"gain >= {gain:+.2f}, interval above {floor:+.2f}",
        lambda d: d.difference >= gain and d.low > floor)  # fmt: skip
    add(f"full against base: {track.world} {GREEDY} {track.metric}",
        against("base", "full", track.world, f"{GREEDY} {track.metric}"),
        "interval above 0", lambda d: d.low > 0)  # fmt: skip
    for number, seed in enumerate(size.seeds):
        one = compared([arms["base"][number][main]], [arms["full"][number][main]])
        add(f"full against base, seed {seed}: {' '.join(main)}", one, "shown", lambda d: True)
    left_out = [material.of_families(track.world, bench.material(s).left_out) for s in size.seeds]
    for words, cases in (
        ("families not trained on", left_out),
        ("family the base never saw", [material.never_seen(track.world)] * len(size.seeds)),
    ):
        add(f"full against base, {words}: {' '.join(main)}",
            against("base", "full", *main, cases),
            "interval above 0", lambda d: d.low > 0)  # fmt: skip
    for arm in arms_of(bench.name)[1:]:
        if arm == POOLED:
            continue
        add(f"full against {arm}: {' '.join(main)}", against(arm, "full", *main),
            "interval above 0", lambda d: d.low > 0)  # fmt: skip
        add(f"{arm} against base: {' '.join(main)}", against("base", arm, *main),
            "shown", lambda d: True)  # fmt: skip
    for arm in ("full", POOLED) if track.also else ():
        for suite in track.also:
            add(f"{arm} against base: {suite} pass@1", against("base", arm, suite, "pass@1"),
                f"interval above {-LOSS:+.2f}", lambda d: d.low > -LOSS)  # fmt: skip
    if track.also:
        add(f"{POOLED} against base: {' '.join(main)}", against("base", POOLED, *main),
            f"gain >= {gain:+.2f}, interval above {floor:+.2f}",
            lambda d: d.difference >= gain and d.low > floor)  # fmt: skip
    return found


def _rounds(bench: Bench, arm: str) -> dict[str, Figure]:
    """Tell what the rounds of an arm did: means over the seeds, by round where that is of use."""
    made = [bench.refined(arm, seed) for seed in bench.size.seeds]
    found: dict[str, Figure] = {}

    def add(words: str, values: Sequence[float]) -> None:
        if values:
            found[f"{bench.name}: {arm}: {words}"] = Figure(
                float(np.mean(values)), min(values), max(values), "shown", True
            )

    add("rounds", [len(one.rounds) for one in made])
    add("round chosen", [one.chosen_round for one in made])
    add("validation before", [one.start.value for one in made])
    for number in range(max(len(one.rounds) for one in made)):
        rounds = [one.rounds[number] for one in made if len(one.rounds) > number]
        at = f"round {number + 1}"
        add(f"{at}: validation", [one.validation.value for one in rounds])
        add(f"{at}: pairs", [sum(one.pairs.values()) for one in rounds])
        add(f"{at}: share of samples with syntax errors",
            [one.outcomes.get("syntax", 0) / one.samples for one in rounds])  # fmt: skip
        for side in ("chosen", "rejected"):
            moved = [getattr(one, f"{side}_logprob") for one in rounds]
            add(f"{at}: log-probability of a token of the {side}, change",
                [after - before for before, after in moved])  # fmt: skip
        add(f"{at}: seconds", [sum(one.seconds.values()) for one in rounds])
    sys.stderr.write(json.dumps({f"{bench.name} {arm}": [one.stop for one in made]}) + "\n")
    return found
