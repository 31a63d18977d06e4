"""Jobs: where a network runs, in a thread of this process or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mage_stac import cluster
from mage_stac.errors import MageStacError

Network = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]
"""Images (B, 2, C, S, S) 0..1 and where they are observed (B, 2, S, S) -> probabilities (B, 5, S, S)."""


class Answer(Protocol):
    """Probabilities that may still be on their way."""

    def result(self) -> NDArray[np.float32]:
        """Wait for them: (B, 5, S, S)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Where a network runs."""

    submit: Callable[[NDArray[np.float32], NDArray[np.bool_]], Answer]
    """Ask for the probabilities of a batch, see `Network`; returns before they are there if it runs elsewhere."""
    ahead: int = 0
    """Batches that are asked for before the first answer is waited for."""


@contextmanager
def beside(network: Network) -> Iterator[Jobs]:
    """A network in a thread of its own, so that windows are cut, blended and written while it computes."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="network")
    try:
        yield Jobs(submit=lambda images, observed: pool.submit(network, images, observed), ahead=2)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def on_cluster(network: Network, address: str) -> Iterator[Jobs]:
    """A network on all workers of a Dask cluster; they need mage-stac installed, but none of the files.

    Args:
        network: can be pickled; each worker gets it once.
        address: of the scheduler, such as tcp://10.0.0.1:8786.

    Raises:
        MageStacError: distributed is not installed, no scheduler answers there, it has no workers, or they are lost.
    """
    with cluster.connected(address) as client:
        workers = len(client.nthreads())
        there = client.scatter(network, broadcast=True, hash=False)

        def submit(images: NDArray[np.float32], observed: NDArray[np.bool_]) -> Answer:
            # Scattered, as arrays within a task's graph would be copied by the scheduler.
            windows = client.scatter((images, observed), hash=False)
            return _Remote(client.submit(_answer, there, windows, pure=False), address)

        yield Jobs(submit=submit, ahead=2 * workers)


@dataclass(frozen=True, slots=True)
class _Remote:
    """An answer that a worker will send."""

    future: Any
    address: str

    def result(self) -> NDArray[np.float32]:
        from distributed import CancelledError, KilledWorker

        try:
            shares: NDArray[np.float32] = self.future.result()
        except (KilledWorker, CancelledError) as error:
            raise MageStacError(
                f"the workers at {self.address} were lost: run the same command again, finished rows are kept"
            ) from error
        return shares


def _answer(network: Network, windows: tuple[NDArray[np.float32], NDArray[np.bool_]]) -> NDArray[np.float32]:
    return network(*windows)
