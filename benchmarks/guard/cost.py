# SPDX-License-Identifier: Apache-2.0
"""What a guarded training step costs, against the same step without the guard.

    python benchmarks/guard/cost.py [--quick] [--json]

The embedded model learns one share of weak code with LoRA of rank 16 and with all its weights:
without a guard, with one of rank 8 always on, and with it on for the flagged samples only. All
three learn the same samples in the same batches of 8, and alternate within one run, so that what
else the machine does falls on all of them. A step's time is the median of a training's steps, in
CPU seconds of all threads and in wall seconds; a figure is the median over repeats of the ratio to
the unguarded training of the same repeat, with the least and the greatest. Meters are read between
steps and do not count.

Memory is the most that a process of its own held while it trained, readings of meters included: all
of it, and what is above the loaded model. It says nothing of accelerators, and no time is a claim
about real LLMs.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Figure, finish
from benchmarks.guard import material
from benchmarks.runner import home, options
from codetemper.api import guards
from codetemper.api.study_parts import memory
from codetemper.backends.hf_load import load_base
from codetemper.core.records import Event, FixPair
from codetemper.core.workspace import Workspace
from codetemper.data.samples import read_samples
from codetemper.harden._guarding import set_aside
from codetemper.harden.guard import Config as GuardConfig
from codetemper.harden.tune import Config, tune
from codetemper.models.expression import parse

METHODS: Final = ("lora", "full")
#: Arms that are compared with training without a guard.
MODES: Final = ("always", "selective")
#: Most time that a guarded step may take, against an unguarded one.
TIME: Final = 1.35
#: Most memory, likewise.
MEMORY: Final = 1.1
#: Share of weak samples among the security tasks; all of them are flagged.
SHARE: Final = 0.3
#: Steps at the beginning of a training that are not timed.
WARM: Final = 2
#: Samples in a batch.
BATCH: Final = 8


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        method: of ``tune``.
        mode: where the guard is on; empty without a guard.
        guard: its folder.
        data: file of samples, of which the weak ones are told by ``weak``.
        weak: ids.
    """

    method: str
    mode: str
    guard: Path
    data: Path
    weak: frozenset[str]


def seconds_a_step(model: Any, job: Job) -> tuple[float, float]:
    """Train once; return CPU and wall seconds of its median step."""
    config = Config(
        method=job.method, guard_mode=job.mode or "always", epochs=1.0, batch_size=BATCH,
        max_length=512, threads=1, meter_every=1_000_000,
    )  # fmt: skip
    pairs = read_samples(job.data)
    if not job.mode:
        pairs = without_metered(pairs, job.weak, config)
    marks: list[tuple[float, float]] = []

    def mark(event: Event) -> None:
        if event.stage == "train":
            marks.append((time.process_time(), time.perf_counter()))

    guarded: dict[str, Any] = {"guards": [job.guard], "flagged": job.weak} if job.mode else {}
    with tempfile.TemporaryDirectory() as scratch:
        tune(model, pairs, config, Path(scratch), **guarded, on_event=mark)
    # Meters are read once before the first step and once after the last.
    timed = marks[WARM:-1]
    cpu, wall = (
        statistics.median(after[clock] - before[clock] for before, after in pairwise(timed))
        for clock in (0, 1)
    )
    return cpu, wall


def without_metered(
    pairs: Sequence[FixPair], weak: frozenset[str], config: Config
) -> list[FixPair]:
    """Leave out what a guarded training sets aside to meter by, so that all learn the same."""
    aside = {pair.id for pair in set_aside(pairs, weak, config.meter_share, config.seed)}
    return [pair for pair in pairs if pair.id not in aside]


def bytes_held(job: Job) -> tuple[int, int]:
    """Train once; return the most bytes this process held, and the same above the loaded model."""
    model = load_base(parse("seedling"), dtype="auto", device="cpu")
    with memory("cpu") as before:
        pass
    with memory("cpu") as found:
        seconds_a_step(model, job)
    return found["bytes"], found["bytes"] - before["bytes"]


def measure(workspace: Workspace, *, quick: bool) -> dict[str, Figure]:
    """Make a guard and data, train all arms in turn, and compare them."""
    methods, repeats, steps = (METHODS[:1], 2, 4) if quick else (METHODS, 7, 20)
    made = _material(workspace, steps + WARM + 1)
    model = load_base(parse("seedling"), dtype="auto", device="cpu")
    figures: dict[str, Figure] = {}
    for method in methods:
        jobs = {mode: Job(method, mode, *made) for mode in ("", *MODES)}
        taken = [
            {mode: seconds_a_step(model, job) for mode, job in jobs.items()} for _ in range(repeats)
        ]
        for mode in MODES:
            for place, what in enumerate(("CPU seconds", "wall seconds")):
                figures[f"cost: {method}, {mode}: {what} of a step"] = _ratio(
                    [run[mode][place] for run in taken], [run[""][place] for run in taken], TIME
                )
        held = {mode: [_apart(job) for _ in range(1 if quick else 3)] for mode, job in jobs.items()}
        for mode in MODES:
            for place, what in enumerate(("peak memory", "peak memory above the loaded model")):
                figures[f"cost: {method}, {mode}: {what}"] = _ratio(
                    [found[place] / 1e6 for found in held[mode]],
                    [found[place] / 1e6 for found in held[""]],
                    MEMORY,
                )
    return figures


def _material(workspace: Workspace, steps: int) -> tuple[Path, Path, frozenset[str]]:
    """Make a guard, which need not be good, and a user's data for so many steps."""
    world = ("world-security-python",)
    home = workspace.home / "cost"
    bad = material.bad_samples(world, material.GUARDED, 40, 0)
    path = material.write_samples(home / "bad.jsonl", bad, labelled=True)
    config = GuardConfig(rank=8, epochs=1, own_texts=0, max_length=512)
    made = guards.guard(workspace, "seedling", path, config).manifests[0]
    # Half of it are security tasks. A twentieth is set aside to meter by.
    found = material.user_samples(world, steps * BATCH, SHARE, 0)[: round(1.1 * steps * BATCH)]
    data = Path(material.write_samples(home / "user.jsonl", found))
    weak = {pair.id for pair, one in zip(read_samples(data), found, strict=True) if one.bad}
    return workspace.patches / made.id, data, frozenset(weak)


def _apart(job: Job) -> tuple[int, int]:
    """Measure memory in a process that does nothing else, and did nothing before."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return alone.submit(bytes_held, job).result()


def _ratio(guarded: Sequence[float], plain: Sequence[float], most: float) -> Figure:
    """Return the median ratio of runs that belong together, with the least and the greatest.

    The figure's peer is the median without a guard: in seconds, or in MB.
    """
    ratios = [after / before for after, before in zip(guarded, plain, strict=True)]
    value = statistics.median(ratios)
    return Figure(
        value, min(ratios), max(ratios), f"at most {most}", value <= most,
        peer=statistics.median(plain), ratio=value,
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    given = options(__doc__, quick="LoRA, two repeats of four steps").parse_args()
    with home(None) as folder:
        figures = measure(Workspace.create(folder), quick=given.quick)
    finish(__file__, figures, quick=given.quick, as_json=given.json, results="cost.json")


if __name__ == "__main__":
    main()
