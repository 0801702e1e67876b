# SPDX-License-Identifier: Apache-2.0
"""Many verdicts: does memory stay flat, and does a killed run go on without losing or doubling one?

A child gives the verb ``judge`` a file of distinct trivial programs. This process notes the
resident memory of the child and of its workers twice a second, kills the child with signal 9 in
the middle, gives the same command again, and reads the run that results: every completion once,
every verdict right, and how many programs were judged a second time. Growth is a line fitted after
a warm-up to memory over verdicts; its slope is given for a million.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.figures import Figure
from codetemper.api import evaluation
from codetemper.core.records import Case, Completion, Event, SuiteCard, Verdict
from codetemper.core.tables import read_table
from codetemper.core.workspace import Workspace
from codetemper.evaluate import suites
from codetemper.judges import JudgeOptions

ROOT = Path(__file__).parents[2]
CASES = 100
LOOK_S = 0.5


@dataclass(frozen=True)
class Look:
    """Resident memory at one moment, in MiB, after so many verdicts."""

    done: int
    judge: float
    workers: float


def prepare(folder: Path, count: int) -> None:
    """Write a workspace, a suite of trivial cases and ``count`` distinct programs.

    Every second program is wrong, so that the findings a run keeps are at their limit in the
    middle of a full run.
    """
    Workspace.create(folder)
    check = {"name": "one", "kind": "function", "code": "result = more(1)", "expect": 2}
    cases = [
        Case(id=f"more-{i}", prompt=f"def more(n):  # {i}\n", language="python",
             judge="execution", spec={"checks": [check]})
        for i in range(CASES)
    ]  # fmt: skip
    card = SuiteCard(name="many", summary="Add one.", language="python", metrics=("pass@1",),
                     cases="many.jsonl.gz")  # fmt: skip
    suites.write(card, cases, folder, by="the benchmark")
    with (folder / "programs.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(count):
            text = f"    return n + {1 if number % 2 else 2}  # {number}\n"
            row = {"case": f"more-{number % CASES}", "completion": text}
            stream.write(json.dumps(row) + "\n")


def judge(folder: Path) -> None:
    """Judge the programs, printing how far it got: what the child does."""

    def tell(event: Event) -> None:
        if event.stage == "judge":
            sys.stdout.write(f"{event.done}\n")
            sys.stdout.flush()

    evaluation.judge_file(
        Workspace.open(folder), f"suite:{folder / 'many.yaml'}",
        folder / "programs.jsonl", options=JudgeOptions(workers=2, timeout_s=10.0), on_event=tell,
    )  # fmt: skip


def resident_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process and of all its descendants, in MiB."""
    children: dict[int, list[int]] = {}
    sizes: dict[int, float] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text("ascii").rpartition(")")[2].split()
                pages = int(Path(f"/proc/{entry}/statm").read_text("ascii").split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(int(stat[1]), []).append(int(entry))
            sizes[int(entry)] = pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    below, todo = 0.0, list(children.get(pid, ()))
    while todo:
        child = todo.pop()
        below += sizes.get(child, 0.0)
        todo += children.get(child, ())
    return sizes.get(pid, 0.0), below


def watch(folder: Path, kill_at: int | None) -> list[Look]:
    """Start the child, note its memory, and kill it when it has come to ``kill_at``."""
    line = [sys.executable, "-m", "benchmarks.judging.million", str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    looks: list[Look] = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                          env=environment) as child:  # fmt: skip
        if child.stdout is None:
            raise OSError("no pipe to the child")
        done, over = [0], threading.Event()

        def look() -> None:
            while not over.wait(LOOK_S):
                own, below = resident_mb(child.pid)
                if own:
                    looks.append(Look(done[0], own, below))

        watcher = threading.Thread(target=look)
        watcher.start()
        for told in child.stdout:
            done[0] = int(told)
            if kill_at is not None and done[0] >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
        child.wait()
        over.set()
        watcher.join()
    if kill_at is None and child.returncode != 0:
        raise OSError(f"the child ended with {child.returncode}")
    return looks


def check(folder: Path, count: int) -> tuple[int, int, int]:
    """Return how many verdicts of the finished run are missing, doubled and not right."""
    workspace = Workspace.open(folder)
    (entry,) = workspace.ledger.entries()
    (name,) = (output.removeprefix("run:") for output in entry.outputs)
    run = workspace.runs / name
    seen: dict[tuple[str, int], int] = {}
    wrong = 0
    blocks = zip(read_table(run / "completions.parquet", Completion),
                 read_table(run / "verdicts.parquet", Verdict), strict=True)  # fmt: skip
    for completions, verdicts in blocks:
        for completion, verdict in zip(completions, verdicts, strict=True):
            place = (verdict.case, verdict.index)
            seen[place] = seen.get(place, 0) + 1
            number = int(completion.text.rpartition("#")[2])
            wrong += place != (completion.case, completion.index)
            wrong += (verdict.function == "pass") != bool(number % 2)
    return count - len(seen), sum(n - 1 for n in seen.values()), wrong


def growth(looks: Sequence[Look], which: str) -> tuple[float, float, float]:
    """Return MiB a million verdicts, fitted without the first third, with a 95 % interval."""
    part = looks[len(looks) // 3 :]
    line = stats.linregress([look.done for look in part], [getattr(look, which) for look in part])
    width = stats.t.ppf(0.975, max(1, len(part) - 2)) * line.stderr
    return tuple(1e6 * float(x) for x in (line.slope, line.slope - width, line.slope + width))


def figures(quick: bool) -> dict[str, Figure]:
    """Return growth of memory and what a kill in the middle cost."""
    count = 4_000 if quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, count)
        before = time.monotonic()
        first = watch(folder, count // 2)
        second = watch(folder, None)
        took = time.monotonic() - before
        missing, doubled, wrong = check(folder, count)
    for look in (*first[:: len(first) // 8 + 1], *second[:: len(second) // 8 + 1]):
        sys.stderr.write(f"{look.done}: {look.judge:.0f} MiB, workers {look.workers:.0f} MiB\n")
    sys.stderr.write(f"{took:.0f} s\n")
    # Beyond the kill both runs are one curve of the verdicts judged; only new work is fitted.
    new = [look for look in second if look.done >= count // 2 and look.workers]
    judging, working = growth(new, "judge"), growth(new, "workers")
    level = float(np.median([look.judge for look in new]))
    bad = missing + doubled + wrong
    return {
        "million_growth_judge_mb": Figure(
            *judging, f"flat: at most a tenth of {level:.0f} MiB more at a million verdicts",
            judging[0] <= level / 10,
        ),
        "million_growth_workers_mb": Figure(
            *working, "flat: at most 64 MiB more at a million verdicts", working[0] <= 64
        ),
        "million_peak_judge_mb": Figure(
            max(look.judge for look in second), level, max(look.judge for look in second),
            "shown, with storing and summing up", True,
        ),
        "million_lost_doubled_wrong": Figure(
            bad, bad, bad, f"0 of {count} after kill -9 in the middle", bad == 0
        ),
    }  # fmt: skip


if __name__ == "__main__":
    judge(Path(sys.argv[1]))
