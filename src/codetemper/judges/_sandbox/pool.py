# SPDX-License-Identifier: Apache-2.0
"""Several sandboxes at work on one list of jobs, results in the jobs' order.

Each worker belongs to one thread for its whole life: bubblewrap ends with the thread that started
it. Threads only wait on pipes, so Python's lock does not hold them up. Jobs that are alike go to
one worker while there are others for the rest: what it compiled for one of them serves the next.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from codetemper.judges._sandbox.worker import Worker

Job = TypeVar("Job")
Result = TypeVar("Result")


class Shares:
    """Deals out positions, those of one group to one worker as long as there are other groups.

    Args:
        groups: the group of each position.
        workers: how many there are.
    """

    def __init__(self, groups: Iterable[Hashable], workers: int) -> None:
        alike: dict[Hashable, deque[int]] = {}
        for position, group in enumerate(groups):
            alike.setdefault(group, deque()).append(position)
        self._lock = threading.Lock()
        self._waiting = deque(alike.values())
        self._held: list[deque[int]] = [deque() for _ in range(workers)]

    def take(self, worker: int) -> int | None:
        """Return what a worker does next, in the end out of another's share, or None."""
        with self._lock:
            if not self._held[worker] and self._waiting:
                self._held[worker] = self._waiting.popleft()
            share = self._held[worker] or max(self._held, key=len)
            return share.popleft() if share else None


def run_pool(
    jobs: Sequence[Job],
    work: Callable[[Worker, Job], Result],
    make_worker: Callable[[], Worker],
    *,
    workers: int,
    on_done: Callable[[int], None],
    group: Callable[[Job], Hashable] = id,
) -> list[Result]:
    """Work through all jobs.

    Args:
        jobs: what to do.
        work: does one job with one sandbox.
        make_worker: makes a sandbox; called once per thread.
        workers: sandboxes side by side.
        on_done: called in this thread with the number of jobs finished.
        group: of a job, the same for those that are alike; default: none are.

    Returns:
        One result a job, in order.

    Raises:
        Exception: whatever the first failing job raised; all sandboxes are ended before.
    """
    done: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()
    count = min(workers, len(jobs))
    shares = Shares(map(group, jobs), count)

    def serve(number: int) -> None:
        with make_worker() as worker:
            while not stop.is_set():
                position = shares.take(number)
                if position is None:
                    return
                try:
                    done.put((position, work(worker, jobs[position])))
                except BaseException as error:
                    done.put((position, error))

    threads = [threading.Thread(target=serve, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    results: dict[int, Result] = {}
    try:
        while len(results) < len(jobs):
            position, result = done.get()
            if isinstance(result, BaseException):
                raise result
            results[position] = result
            on_done(len(results))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return [results[position] for position in range(len(jobs))]
