# SPDX-License-Identifier: Apache-2.0
"""Many verdicts: does memory stay flat, and does a killed run go on without losing or doubling one?

A child judges distinct trivial programs through ``evaluate.harness.decide`` and its journal, block
by block. This process notes the resident memory of the child and its workers every few thousand
verdicts, kills it with signal 9 in the middle, starts it again, and reads the journal afterwards:
every program once, every verdict right. The growth is a line fitted after a warm-up; a million is
the line's value there.

    python -m benchmarks.judging.million JOURNAL COUNT      (the child)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.figures import Figure
from codetemper.core.journal import Journal
from codetemper.core.records import Case, Completion, Event, OnEvent, SuiteCard, Verdict
from codetemper.evaluate.harness import decide
from codetemper.evaluate.suites import Suite
from codetemper.judges import JudgeOptions, judge_all

ROOT = Path(__file__).parents[2]
BLOCK = 5_000


def suite() -> Suite:
    """Return a suite of one case: add one."""
    check = {"name": "one", "kind": "function", "code": "result = more(1)", "expect": 2}
    case = Case(id="more", prompt="def more(n):\n", language="python", judge="execution",
                spec={"checks": [check]})  # fmt: skip
    card = SuiteCard(name="million", summary="One trivial case.", language="python",
                     metrics=("pass@1",), cases="none")  # fmt: skip
    return Suite(card, (case,))


def text(number: int) -> str:
    """Return the program of a number; every third is wrong."""
    return f"    return n + {1 if number % 3 else 2}  # {number}\n"


def judge(path: str, count: int) -> None:
    """Judge the programs from 0 to ``count``, printing how far it got."""
    journal, one = Journal(Path(path)), suite()
    options = JudgeOptions(workers=2, timeout_s=10.0)

    def judges(items: list[tuple[Case, Completion]], *, on_event: OnEvent) -> list[Verdict]:
        return judge_all(items, options=options, on_event=on_event)

    for start in range(0, count, BLOCK):
        block = [Completion(case="more", index=i, text=text(i))
                 for i in range(start, min(count, start + BLOCK))]  # fmt: skip

        def tell(event: Event, start: int = start) -> None:
            if event.done % 100 == 0:
                sys.stdout.write(f"{start + event.done}\n")
                sys.stdout.flush()

        decide(one, block, judges, journal, on_event=tell)


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


def watch(path: str, count: int, every: int, kill_at: int | None) -> list[tuple[int, float, float]]:
    """Start the child, note its memory, and kill it when it has come to ``kill_at``."""
    line = [sys.executable, "-m", "benchmarks.judging.million", path, str(count)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    curve: list[tuple[int, float, float]] = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                          env=environment) as child:  # fmt: skip
        if child.stdout is None:
            raise OSError("no pipe to the child")
        for told in child.stdout:
            done = int(told)
            # In the middle of a stretch: at its end, the sandboxes of a block may be gone already.
            if done >= (len(curve) + 0.5) * every:
                curve.append((done, *resident_mb(child.pid)))
            if kill_at is not None and done >= kill_at:
                child.send_signal(signal.SIGKILL)
                break
    if kill_at is None and child.returncode != 0:
        raise OSError(f"the child ended with {child.returncode}")
    return curve


def read(path: str, count: int) -> tuple[int, int, int]:
    """Return how many verdicts are missing, doubled and not right in the journal."""
    seen: dict[str, int] = {}
    for line in Path(path).read_bytes().splitlines():
        try:
            key = json.loads(line)["key"]
        except ValueError:
            continue
        seen[key] = seen.get(key, 0) + 1
    journal, wrong = Journal(Path(path)), 0

    def refuse(items: object, **more: object) -> list[object]:
        raise AssertionError("a verdict was lost")

    block = [Completion(case="more", index=i, text=text(i)) for i in range(count)]
    for start in range(0, count, BLOCK):
        try:
            found = decide(suite(), block[start : start + BLOCK], refuse, journal)  # type: ignore[arg-type]
        except AssertionError:
            continue
        wrong += sum((v.function == "pass") != bool(v.index % 3) for v in found)
    return count - len(seen), sum(n - 1 for n in seen.values()), wrong


def slope(curve: list[tuple[int, float, float]], which: int) -> tuple[float, float, float]:
    """Return MiB a million verdicts, fitted without the first fifth, with a 95 % interval."""
    part = curve[len(curve) // 5 :]
    line = stats.linregress([p[0] for p in part], [p[which] for p in part])
    width = stats.t.ppf(0.975, max(1, len(part) - 2)) * line.stderr
    return tuple(1e6 * float(x) for x in (line.slope, line.slope - width, line.slope + width))


def figures(quick: bool) -> dict[str, Figure]:
    """Return growth of memory and what a kill in the middle cost."""
    count, every = (2_000, 200) if quick else (100_000, 5_000)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "journal.jsonl")
        first = watch(path, count, every, count // 2)
        second = watch(path, count, every, None)
        missing, doubled, wrong = read(path, count)
    for done, own, below in (*first, *second):
        sys.stderr.write(f"{done}: {own:.0f} MiB, workers {below:.0f} MiB\n")
    # Beyond the kill both runs are one curve of the verdicts judged; only new work is fitted.
    half = [point for point in second if point[0] >= count // 2]
    own, workers = slope(half, 1), slope(half, 2)
    level = float(np.median([point[1] for point in half]))
    bad = missing + doubled + wrong
    return {
        "million_growth_judge_mb": Figure(
            *own, f"flat: at most half of {level:.0f} MiB more at a million verdicts",
            own[0] <= level / 2,
        ),
        "million_growth_workers_mb": Figure(
            *workers, "flat: at most 64 MiB more at a million verdicts", workers[0] <= 64
        ),
        "million_lost_doubled_wrong": Figure(
            bad, bad, bad, f"0 of {count} after kill -9 in the middle", bad == 0
        ),
    }  # fmt: skip


if __name__ == "__main__":
    judge(sys.argv[1], int(sys.argv[2]))
