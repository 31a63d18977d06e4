"""Worker processes: tasks fanned out over fresh interpreters that clean up after themselves however they end."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from mage_stac.errors import MageStacError

Work = Callable[[Any], Any]
Opener = Callable[[], AbstractContextManager[Work]]
"""Sets a worker up: what it yields does one task; leaving the context ends what the worker started. Picklable."""

_WORK: list[Work] = []
"""What this worker process does; empty in the main process."""


def each(opener: Opener, tasks: Sequence[Any], workers: int) -> Generator[Any]:
    """Results of the tasks, in the order they come, from `workers` processes (with one, from this process itself).

    Close the generator (contextlib.closing) to end the workers early; each leaves its context then.

    Raises:
        MageStacError: a worker was killed from outside.
    """
    if min(workers, len(tasks)) <= 1:
        with opener() as work:
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
        for _ in tasks:
            yield _next(results, crew)


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


def _start(opener: Opener, counter: Any, crew_size: int) -> None:
    """Set this process up. Ctrl-C is for the main process, which ends us by SIGTERM: an exception then, to clean up."""
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    _keep_to_own_processors(number, crew_size)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    stack = ExitStack()
    _WORK.append(stack.enter_context(opener()))
    multiprocessing.util.Finalize(None, stack.close, exitpriority=10)


def _keep_to_own_processors(number: int, crew_size: int) -> None:
    """Give worker `number` of a crew its share of the processors; what it starts inherits that.

    Cycles' thread pool (TBB) otherwise makes a thread for every processor in every worker, and they wait for one
    another by spinning: half of the time on two processors.
    """
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        mine = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, mine[number % len(mine) :: crew_size])


def _do(task: Any) -> Any:
    return _WORK[0](task)
