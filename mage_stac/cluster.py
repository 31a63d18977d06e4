"""Dask clusters: tasks fanned out over a scheduler's workers, as `workers` does it over processes of this machine."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from mage_stac.errors import MageStacError
from mage_stac.workers import Opener, Work, own_processors

PATIENCE = "10s"
"""For a scheduler that does not answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A worker's place among those of its machine."""

    number: int = 0
    crew: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Opened:
    run: str
    work: Work
    stack: ExitStack


_OPENED: list[_Opened] = []
"""What this worker process keeps open, at most one: a process of another run closes it."""
_OVER: set[str] = set()
"""Runs that have left; a task of theirs may still wait for its turn."""
_ONE_AT_A_TIME = threading.Lock()


def each(opener: Opener, tasks: Sequence[Any], address: str, lost: Callable[[Any, str], Any]) -> Generator[Any]:
    """Results of the tasks, in the order they come, from the workers of the scheduler at `address`.

    A worker process does one task at a time, whatever its threads, and keeps open what `opener` yields until all is
    done. What a worker did not survive is given to others, three times over. Close the generator (contextlib.closing)
    to stop early: what is being done is then ended.

    Args:
        opener: as for workers.each; must be importable on the workers.
        tasks: what to do.
        address: of the scheduler, such as tcp://10.0.0.1:8786.
        lost: makes the result of a task that no worker survived, from it and the reason.

    Raises:
        MageStacError: the package distributed is not installed, no scheduler answers, it has no workers or goes away,
            or they lack mage-stac.
    """
    client = connected(address)
    from distributed import as_completed

    run = uuid.uuid4().hex
    with client:
        seats = seated(client.nthreads())
        futures = client.map(partial(_do, run, opener, seats), tasks, pure=False)
        try:
            done = as_completed(futures, loop=client.loop)
            yield from _results(done, dict(zip(futures, tasks, strict=True)), address, lost)
        finally:
            client.cancel(futures, force=True)
            if client.status == "running":
                client.run(_leave, run, on_error="ignore")


def seated(workers: Iterable[str]) -> dict[str, Seat]:
    """Seats of workers by their addresses (tcp://HOST:PORT): those of one machine are numbered in their order."""
    hosts = {address: address.rpartition(":")[0] for address in sorted(workers)}
    crews = Counter(hosts.values())
    taken: Counter[str] = Counter()
    seats = {}
    for address, host in hosts.items():
        seats[address] = Seat(number=taken[host], crew=crews[host])
        taken[host] += 1
    return seats


def connected(address: str) -> Any:
    """A distributed.Client of a scheduler that has workers; close it.

    Raises:
        MageStacError: the package distributed is not installed, no scheduler answers, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise MageStacError("a Dask scheduler needs `pip install mage-stac[cluster]`") from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise MageStacError(
            f"no Dask scheduler answers at {address}: start one by `dask scheduler` and give the address that it tells,"
            " tcp://HOST:PORT"
        ) from error
    if not client.nthreads():
        client.close()
        raise MageStacError(f"the Dask scheduler at {address} has no workers: start some, `dask worker {address}`")
    return client


def _results(
    done: Iterable[Any], tasks: Mapping[Any, Any], address: str, lost: Callable[[Any, str], Any]
) -> Generator[Any]:
    from distributed import KilledWorker

    for future in done:
        try:
            result = future.result()
        except MageStacError:
            raise
        except KilledWorker as error:
            result = lost(tasks[future], f"no Dask worker survived it: {str(error).splitlines()[0]}")
        except CancelledError as error:
            raise MageStacError(
                f"the Dask scheduler at {address} went away: run the same command again; what was complete is kept"
            ) from error
        except (ImportError, AttributeError) as error:
            raise MageStacError(
                f"the Dask workers of {address} cannot do it: {error}: install the same mage-stac there as here"
            ) from error
        future.release()
        yield result


def _do(run: str, opener: Opener, seats: Mapping[str, Seat], task: Any) -> Any:
    """On a worker: one task, with what the run has open there."""
    from distributed import get_worker

    seat = seats.get(get_worker().address, Seat())  # of one that came later: all processors
    with _ONE_AT_A_TIME, own_processors(seat.number, seat.crew):
        if run in _OVER:
            return None
        if not _OPENED or _OPENED[0].run != run:
            _close()
            stack = ExitStack()
            _OPENED.append(_Opened(run=run, work=stack.enter_context(opener(seat.number, seat.crew)), stack=stack))
        return _OPENED[0].work(task)


def _leave(run: str) -> None:
    """On a worker: the run is over. Does not wait for a task that is being done: it fails, and no one wants it."""
    _OVER.add(run)
    if _OPENED and _OPENED[0].run == run:
        _close()


def _close() -> None:
    while _OPENED:
        _OPENED.pop().stack.close()
