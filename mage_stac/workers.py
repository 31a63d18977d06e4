"""Worker processes: tasks fanned out over fresh interpreters that clean up after themselves however they end."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import connection
from typing import Any

from mage_stac.errors import MageStacError

Work = Callable[[Any], Any]
Opener = Callable[[int, int], AbstractContextManager[Work]]
"""Sets a worker up, given its number, from 0, and how many there are on its machine: what it yields does one task;
leaving the context ends what the worker started. Picklable."""

NUDGE = 1.0
"""Seconds."""
_WORK: list[Work] = []
"""What this worker process does; empty in the main process."""


def each(opener: Opener, tasks: Sequence[Any], workers: int) -> Generator[Any]:
    """Results of the tasks, in the order they come, from `workers` processes (with one, from this process itself).

    Close the generator (contextlib.closing) to end the workers early; each leaves its context then.

    Raises:
        MageStacError: a worker was killed from outside.
    """
    if min(workers, len(tasks)) <= 1:
        with opener(0, 1) as work:
            for task in tasks:
                yield work(task)
        return
    # Fresh interpreters: forked ones would share GDAL's and OpenMP's locks.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    crew_size = min(workers, len(tasks))
    counter = context.Value("i", 0)
    with context.Pool(crew_size, initializer=_start, initargs=(opener, counter, crew_size)) as pool:
        crew = set(multiprocessing.active_children()) - others
        results = pool.imap_unordered(_do, tasks)
        try:
            for _ in tasks:
                yield _next(results, crew)
        finally:
            threading.Thread(target=_insist, args=(crew,), daemon=True).start()


def _next(results: Any, crew: set[Any]) -> Any:
    """The next result. A pool replaces a worker that was killed, but its task is lost: stop then, rather than wait."""
    while True:
        try:
            return results.next(timeout=1.0)
        except multiprocessing.TimeoutError:
            if not all(child.is_alive() for child in crew):
                raise MageStacError(
                    "a worker process was killed, perhaps for want of memory: run the same command again with fewer"
                    " --workers; what was complete is kept"
                ) from None


def _insist(crew: set[Any]) -> None:
    """Send SIGTERM again, each NUDGE, to those that are still there.

    A pool sends it once and waits for ever. But a signal that comes after Python last looked for one and before the
    worker sleeps on the queue's semaphore is noticed only when another wakes it.
    """
    waiting = {child.sentinel: child for child in crew}
    while waiting:
        for ended in connection.wait(list(waiting), NUDGE):
            del waiting[ended]
        for child in waiting.values():
            child.terminate()


def _start(opener: Opener, counter: Any, crew_size: int) -> None:
    """Set this process up. Ctrl-C is for the main process, which ends us by SIGTERM: an exception then, to clean up."""
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    _keep_to(_share(number, crew_size))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    stack = ExitStack()
    _WORK.append(stack.enter_context(opener(number, crew_size)))
    multiprocessing.util.Finalize(None, stack.close, exitpriority=10)


def _leave(*_: object) -> None:
    """End this process by way of its clean-up, which no further SIGTERM disturbs."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)


@contextmanager
def own_processors(number: int, crew_size: int) -> Iterator[None]:
    """Keep this thread, and processes that it starts, to worker `number`'s share of the processors.

    Cycles' thread pool (TBB) otherwise makes a thread for every processor in every worker, and they wait for one
    another by spinning: half of the time on two processors.
    """
    before = _share(0, 1)
    _keep_to(_share(number, crew_size))
    try:
        yield
    finally:
        _keep_to(before)


def _share(number: int, crew_size: int) -> set[int]:
    """Processors for worker `number` of a crew; none where the system cannot say (macOS, Windows)."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    all_of_them = sorted(os.sched_getaffinity(0))
    return set(all_of_them[number % len(all_of_them) :: crew_size])


def _keep_to(processors: set[int]) -> None:
    if processors:
        os.sched_setaffinity(0, processors)


def _do(task: Any) -> Any:
    return _WORK[0](task)
