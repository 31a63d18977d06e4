"""Fanning out over a Dask cluster; what is rendered by it is in test_synthesis.py."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mage_stac import cluster
from mage_stac.cluster import Seat
from mage_stac.errors import MageStacError

SQUARES = '''
import os, signal, time
from contextlib import contextmanager
from mage_stac.errors import MageStacError

@contextmanager
def squarer(folder, number, crew):
    """Squares numbers, some of them with accidents; leaves a file as long as it is open."""
    marker = folder / f"{os.getpid()}-{number}-of-{crew}"
    marker.touch()
    try:
        yield square
    finally:
        marker.unlink()

def square(number):
    if number == 13:
        raise MageStacError("thirteen")
    if number == 66:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 100:
        time.sleep(2)
    return number * number, os.getpid()
'''


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler on loopback with two worker processes that can import the module `squares_for_dask`."""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    folder = tmp_path_factory.mktemp("modules")
    (folder / "squares_for_dask.py").write_text(SQUARES)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    once = {"distributed.scheduler.allowed-failures": 0}  # workers that a task may kill before it is given up
    try:
        with (
            dask.config.set(once),
            distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0") as local,
        ):
            yield local.scheduler_address
    finally:
        sys.path.remove(str(folder))
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@pytest.fixture
def opener(address: str, tmp_path: Path) -> Any:  # noqa: ARG001 - writes the module
    return partial(importlib.import_module("squares_for_dask").squarer, tmp_path)


def lost(task: Any, reason: str) -> tuple[int, str]:
    return -task, reason


def test_every_task_is_done_once_and_workers_clean_up(opener: Any, address: str, tmp_path: Path) -> None:
    results = list(cluster.each(opener, range(7), address, lost))
    assert sorted(value for value, _ in results) == [n * n for n in range(7)]
    assert os.getpid() not in {process for _, process in results}
    assert list(tmp_path.iterdir()) == []


def test_closing_early_ends_what_is_open(opener: Any, address: str, tmp_path: Path) -> None:
    with closing(cluster.each(opener, [1, *[100] * 6], address, lost)) as results:
        assert next(results)[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_work_reaches_the_caller(opener: Any, address: str, tmp_path: Path) -> None:
    with pytest.raises(MageStacError, match="thirteen"):
        list(cluster.each(opener, [1, 13, 2], address, lost))
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_kills_its_workers_is_given_up_and_the_rest_done(opener: Any, address: str) -> None:
    results = dict(cluster.each(opener, [66, 3], address, lost))
    assert 9 in results
    assert "no Dask worker survived it" in str(results[-66])


def test_without_a_scheduler_one_line() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(MageStacError, match="no Dask scheduler answers at nonsense://x"):
        list(cluster.each(partial, [1], "nonsense://x", lost))


def test_seats_are_numbered_on_each_machine() -> None:
    seats = cluster.seated(["tcp://10.0.0.2:50", "tcp://10.0.0.1:41", "tcp://10.0.0.1:40"])
    assert seats == {
        "tcp://10.0.0.1:40": Seat(number=0, crew=2),
        "tcp://10.0.0.1:41": Seat(number=1, crew=2),
        "tcp://10.0.0.2:50": Seat(number=0, crew=1),
    }
