# SPDX-License-Identifier: Apache-2.0
"""Several sandboxes at work on one list of jobs, results in the jobs' order.

Each worker belongs to one thread for its whole life: bubblewrap ends with the thread that started
it. Threads only wait on pipes, so Python's lock does not hold them up.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from codetemper.judges._sandbox.worker import Worker

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_pool(
    jobs: Sequence[Job],
    work: Callable[[Worker, Job], Result],
    make_worker: Callable[[], Worker],
    *,
    workers: int,
    on_done: Callable[[int], None],
) -> list[Result]:
    """Work through all jobs.

    Args:
        jobs: what to do.
        work: does one job with one sandbox.
        make_worker: makes a sandbox; called once per thread.
        workers: sandboxes side by side.
        on_done: called in this thread with the number of jobs finished.

    Returns:
        One result a job, in order.

    Raises:
        Exception: whatever the first failing job raised; all sandboxes are ended before.
    """
    todo: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    stop = threading.Event()
    for position in range(len(jobs)):
        todo.put(position)
    count = min(workers, len(jobs))

    def serve() -> None:
        with make_worker() as worker:
            while not stop.is_set():
                position = todo.get()
                if position is None:
                    return
                try:
                    done.put((position, work(worker, jobs[position])))
                except BaseException as error:
                    done.put((position, error))

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
    for thread in threads:
        todo.put(None)
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
