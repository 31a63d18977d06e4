"""Fanning out over processes."""

from __future__ import annotations

import importlib
import os
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mage_stac import workers
from mage_stac.errors import MageStacError

SQUARES = '''
import os, signal, time
from contextlib import contextmanager
from functools import partial

@contextmanager
def squarer(folder, number, crew):
    """Squares numbers, some of them with accidents; leaves a file as long as it is open."""
    marker = folder / str(os.getpid())
    marker.touch()
    try:
        yield square
    finally:
        marker.unlink()

@contextmanager
def deaf(folder, number, crew):
    """As squarer, but the first SIGTERM is lost, and closing takes a while."""
    heard = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, heard))
    with squarer(folder, number, crew) as work:
        try:
            yield work
        finally:
            time.sleep(2.5)

def square(number):
    if number == 13:
        raise ValueError("thirteen")
    if number == 66:
        os.kill(os.getpid(), signal.SIGKILL)
    if number >= 100:
        time.sleep(60)
    return number * number, os.getpid()
'''


@pytest.fixture
def opener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`squarer`, in a module that worker processes can import as well; it marks the folder `open`."""
    (tmp_path / "squares_for_workers.py").write_text(SQUARES)
    (tmp_path / "open").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    return partial(importlib.import_module("squares_for_workers").squarer, tmp_path / "open")


def left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "open").iterdir())


@pytest.mark.parametrize("crew", [1, 2])
def test_every_task_is_done_once_and_workers_clean_up(opener: Any, tmp_path: Path, crew: int) -> None:
    results = list(workers.each(opener, range(7), crew))
    assert sorted(value for value, _ in results) == [n * n for n in range(7)]
    assert (os.getpid() in {pid for _, pid in results}) == (crew == 1)
    assert left(tmp_path) == []


def test_closing_early_ends_busy_workers(opener: Any, tmp_path: Path) -> None:
    start = time.monotonic()
    with closing(workers.each(opener, [1, 100, 101], 2)) as results:
        assert next(results)[0] == 1
    assert time.monotonic() - start < 30
    assert left(tmp_path) == []


@pytest.mark.usefixtures("opener")
def test_a_signal_that_is_lost_is_sent_again_and_spares_the_clean_up(tmp_path: Path) -> None:
    deaf = partial(importlib.import_module("squares_for_workers").deaf, tmp_path / "open")
    start = time.monotonic()
    with closing(workers.each(deaf, [1, 100, 101], 2)) as results:
        assert next(results)[0] == 1
    assert time.monotonic() - start < 15
    assert left(tmp_path) == []


def test_an_error_of_the_work_reaches_the_caller(opener: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        list(workers.each(opener, [1, 13, 2], 2))
    assert left(tmp_path) == []


def test_a_killed_worker_ends_the_run_with_one_line(opener: Any) -> None:
    with pytest.raises(MageStacError, match=r"worker process was killed.*fewer --workers"):
        list(workers.each(opener, [66, 1], 2))
