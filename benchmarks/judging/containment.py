# SPDX-License-Identifier: Apache-2.0
"""Attacks on the sandbox: how many achieved something, cost a worker, or were seen by the next.

The attacks and the program that looks afterwards are those of ``tests/judges/attacks``; here they
follow each other in one sandbox, as they would in a batch. Peers are not measured: they isolate
nothing, and most of these attacks would reach the machine.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure
from codetemper.judges._sandbox.worker import Worker
from tests.judges import test_containment as suite


def figures(quick: bool) -> dict[str, Figure]:
    """Return holes, lost workers and traces, each of which must be none."""
    attacks = suite.ALL[::6] if quick else suite.ALL
    workers: list[Worker] = []
    enter = Worker.__enter__

    def counted(self: Worker) -> Worker:
        workers.append(self)
        return enter(self)

    with tempfile.TemporaryDirectory() as folder:
        host = suite.Host(Path(folder) / "host")
        texts = [
            text for attack in attacks for text in (attack.program(**host.places()), suite.LOOK)
        ]
        # Equal texts are judged once, so each look gets a name.
        texts = [f"{text}\n# {number}\n" for number, text in enumerate([suite.LOOK, *texts])]
        Worker.__enter__ = counted  # type: ignore[method-assign]
        try:
            first, *rest = suite.judged(*texts)
        finally:
            Worker.__enter__ = enter  # type: ignore[method-assign]
        clean = suite.seen([first])
        achieved, traces = [], []
        for attack, verdict, look in zip(attacks, rest[::2], rest[1::2], strict=True):
            if suite.achieved(verdict):
                achieved.append(attack.name)
            if look.failure != "timeout" and suite.seen([look]) != clean:
                traces.append(attack.name)
        harm = host.harm()
        host.close()
    lost = sum(worker.starts for worker in workers) - len(workers)
    sys.stderr.write(f"achieved: {achieved}; seen: {traces}; lost: {lost}; harm: {harm}\n")
    holes = len(achieved) + len(harm)
    words = f"0 of {len(attacks)} attacks"
    return {
        "containment_holes": Figure(holes, holes, holes, words, holes == 0),
        "containment_workers_lost": Figure(lost, lost, lost, words, lost == 0),
        "containment_seen_by_the_next": Figure(
            len(traces), len(traces), len(traces), words, not traces
        ),
    }
