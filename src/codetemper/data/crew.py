# SPDX-License-Identifier: Apache-2.0
"""Several processes that harvest one history together; results come in the order of the batches.

    for batch, harvest in harvests(repository, config, batches, processes=2): ...

A worker opens the history itself and has one batch at a time, so that a pipe is never full on both
ends. Batches are asked for as workers come free, results that come early wait. A worker ends when
its parent does, however that ended. Scripts that ask for more than one process need the usual
``if __name__ == "__main__":``, because workers import the main module.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from codetemper.core.errors import CannotKnowError
from codetemper.data.choice import Candidate, MineConfig
from codetemper.data.harvest import Harvest, Harvester

#: Batches that may be under way or wait for an earlier one, for each worker.
_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Batch:
    """Some candidates of a history.

    Attributes:
        key: names the batch within the run.
        seen: commits looked at when it was full.
        candidates: in order.
    """

    key: str
    seen: int
    candidates: tuple[Candidate, ...]


def harvests(
    repository: Path, config: MineConfig, batches: Iterator[Batch], processes: int
) -> Iterator[tuple[Batch, Harvest]]:
    """Harvest batches of one history.

    Args:
        repository: its folder.
        config: what counts as a fix.
        batches: asked for one by one, as there is room.
        processes: how many work at a time; with one, nothing is started.

    Yields:
        Each batch with what became of it, in the order given.

    Raises:
        CannotKnowError: a worker was killed.
    """
    if processes == 1:
        with Harvester(repository, config) as harvester:
            for batch in batches:
                yield batch, harvester.harvest(batch.candidates)
        return
    crew = [_Worker(repository, config) for _ in range(processes)]
    try:
        yield from _together(crew, batches)
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """One process and the end of the pipe to it."""

    def __init__(self, repository: Path, config: MineConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_work, args=(theirs, repository, config), daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, candidates: tuple[Candidate, ...]) -> None:
        try:
            self.pipe.send(candidates)
        except OSError as error:
            raise self._gone() from error

    def receive(self) -> Harvest:
        try:
            harvest = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        if isinstance(harvest, Exception):
            raise harvest
        if not isinstance(harvest, Harvest):
            raise TypeError(f"a worker sent {type(harvest).__name__}")
        return harvest

    def _gone(self) -> CannotKnowError:
        self._process.join()
        return CannotKnowError(
            "a mining process ended before its work was done",
            why=f"its exit status is {self._process.exitcode}",
            mend="give the command again: it goes on where it was; with fewer --processes where "
            "memory is short",
        )

    def end(self) -> None:
        self.pipe.close()
        self._process.terminate()
        self._process.join()


def _work(pipe: Connection, repository: Path, config: MineConfig) -> None:
    # Ctrl-C reaches every process of a terminal; the parent is the one that answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Harvester(repository, config) as harvester:
        while True:
            try:
                candidates = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(harvester.harvest(candidates))
            except BrokenPipeError:
                return
            except Exception as error:  # the parent raises it
                pipe.send(error)


def _together(crew: list[_Worker], batches: Iterator[Batch]) -> Iterator[tuple[Batch, Harvest]]:
    waiting: deque[Batch] = deque()
    done: dict[str, Harvest] = {}
    at_work: dict[Connection, tuple[_Worker, Batch]] = {}
    free = list(crew)
    room = _AHEAD * len(crew)
    more = True
    while more or waiting:
        while more and free and len(waiting) < room:
            batch = next(batches, None)
            more = batch is not None
            if batch is not None:
                waiting.append(batch)
                worker = free.pop()
                worker.send(batch.candidates)
                at_work[worker.pipe] = (worker, batch)
        known = bool(waiting) and waiting[0].key in done
        # What came back meanwhile is fetched before a result is handed on, so that nobody idles
        # while the caller works on it.
        for pipe in wait(list(at_work), timeout=0 if known else None) if at_work else ():
            worker, batch = at_work.pop(pipe)  # type: ignore[call-overload]
            done[batch.key] = worker.receive()
            free.append(worker)
        if known and not (more and free and len(waiting) < room):
            first = waiting.popleft()
            yield first, done.pop(first.key)
