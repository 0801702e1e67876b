# SPDX-License-Identifier: Apache-2.0
"""One side of a comparison: a runner in a process of its own, its wall time and its CPU time.

CPU time counts all descendants, also those nobody waits for: by a cgroup where one can be made,
else by what the kernel adds up for children that were waited for (``meter`` says which). Imports
are over before the clock starts; sandboxes are started within it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_V1, _V2 = Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Run:
    """What one side did.

    Attributes:
        results: what it said of each job.
        seconds: wall time.
        cpu: processor seconds of the runner and all it started.
        meter: ``cgroup`` or ``rusage``.
    """

    results: list[str]
    seconds: float
    cpu: float
    meter: str


class Meter:
    """Counts the processor time of a process and its descendants."""

    def __init__(self) -> None:
        self.kind, self._folder = "rusage", None
        name = f"codetemper-bench-{os.getpid()}-{time.monotonic_ns()}"
        base = _V1 if _V1.is_dir() else _V2
        try:
            (base / name).mkdir()
            self._folder, self.kind = base / name, "cgroup"
            self._count()
        except (OSError, StopIteration, ValueError):
            self.close()
            self.kind, self._folder = "rusage", None

    def join(self, pid: int) -> None:
        """Take a process in, before it starts others."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(pid), "ascii")

    def _count(self) -> float:
        if self._folder is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        usage = self._folder / "cpuacct.usage"
        if usage.exists():
            return int(usage.read_text("ascii")) / 1e9
        lines = (self._folder / "cpu.stat").read_text("ascii").splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec"))

    def read(self) -> float:
        """Return the seconds used so far."""
        return self._count()

    def close(self) -> None:
        """Give the group back; it is empty once the processes are gone."""
        for _ in range(50):
            if self._folder is None:
                return
            try:
                self._folder.rmdir()
                self._folder = None
            except OSError:
                time.sleep(0.1)


def peers() -> str | None:
    """Return the interpreter that has the peers, or None."""
    named = os.environ.get("CODETEMPER_PEERS")
    return named if named and Path(named).exists() else None


def command(side: str, before: Sequence[str] = ()) -> list[str]:
    """Return the start of a side's command line.

    Args:
        side: ``ours`` or a mode of ``peer_runner``.
        before: what to put in front, e.g. a sandbox.
    """
    if side == "ours":
        return [*before, sys.executable, "-m", "benchmarks.judging.our_runner", side]
    interpreter = peers()
    if interpreter is None:
        raise LookupError("CODETEMPER_PEERS names no interpreter")
    return [*before, interpreter, str(Path(__file__).with_name("peer_runner.py")), side]


def run(
    side: str,
    jobs: Sequence[dict[str, Any]],
    *,
    workers: int = 2,
    before: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Run:
    """Judge jobs with one side and measure it.

    Raises:
        LookupError: the peers are not installed.
        TimeoutError: the runner did not answer in ``timeout_s``, or ended without a result.
    """
    meter = Meter()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    # Compiled code is kept, as installed packages have it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as stream:
        json.dump(list(jobs), stream)
        stream.flush()
        line = [*command(side, before), str(workers), stream.name]
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, env=environment,
                                   cwd=ROOT, errors="replace", start_new_session=True)  # fmt: skip
        try:
            meter.join(process.pid)
            return _measured(process, meter, timeout_s)
        finally:
            process.kill()
            process.wait()
            meter.close()


def _measured(process: subprocess.Popen[str], meter: Meter, timeout_s: float | None) -> Run:
    if process.stdin is None or process.stdout is None:
        raise TimeoutError("the runner has no pipes")
    if process.stdout.readline() != "ready\n":
        raise TimeoutError("the runner did not start")
    start = meter.read()
    process.stdin.write("go\n")
    process.stdin.flush()
    if timeout_s is not None:
        _end_later(process, timeout_s)
    for line in process.stdout:
        if line.startswith("RESULT "):
            used = meter.read() - start
            answer = json.loads(line.removeprefix("RESULT "))
            if meter.kind == "rusage":  # known only once the process was waited for
                process.communicate("end\n")
                used = meter.read() - start
            return Run(answer["results"], answer["seconds"], used, meter.kind)
    raise TimeoutError("the runner ended without a result")


def _end_later(process: subprocess.Popen[str], seconds: float) -> None:
    import threading

    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
