from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import jobs, mosaic, resumption
from mage_stac.errors import GridError
from mage_stac.mosaic import Finished, Scene, Tiling

GRID = GeoBox((150, 90), Affine(1, 0, 0, 0, -1, 0), "EPSG:32615")
TILING = Tiling(window=48, margin=8, batch=2)
"""Five rows of windows, two batches each."""
IMAGE = np.random.default_rng(0).random((2, 1, *GRID.shape), dtype=np.float32)


def read(rows: slice, columns: slice) -> Scene:
    return IMAGE[:, :, rows, columns], np.ones((2, rows.stop - rows.start, columns.stop - columns.start), bool)


class Counting:
    """Says of a pixel what both dates show, and stops for good after so many batches."""

    def __init__(self, last: int = 1000) -> None:
        self.calls, self.last = 0, last

    def __call__(self, images: np.ndarray, _: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls > self.last:
            raise KeyboardInterrupt
        one, two = images[:, 0, 0] / 2, images[:, 1, 0] / 2
        return np.stack([1 - one - two, one, two / 2, two / 4, two / 4], axis=1)


def made(final: Path, network: jobs.Network, digest: str = "a" * 16) -> list[Finished]:
    with resumption.shelf(final, digest) as kept, jobs.beside(network) as running:
        return list(resumption.resumed(kept, lambda after: mosaic.strips(GRID, TILING, read, running, after=after)))


def shown(strips: list[Finished]) -> np.ndarray:
    """The whole map (6, rows, columns), whatever its strips; a later one replaces what it covers."""
    whole = np.full((6, *GRID.shape), 99, np.uint8)
    for strip in strips:
        rows = slice(strip.row, strip.row + len(strip.damage))
        whole[0, rows], whole[1:, rows] = strip.damage, strip.probability
    return whole


@pytest.mark.parametrize("last", [1, 3, 5, 9])
def test_a_stopped_run_goes_on_below_what_it_finished(tmp_path: Path, last: int) -> None:
    straight, stopped, again = Counting(), Counting(last), Counting()
    wanted = shown(made(tmp_path / "straight", straight))
    assert straight.calls == 10
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "map", stopped)
    assert (shown(made(tmp_path / "map", again)) == wanted).all()
    assert again.calls == 10 - last // 2 * 2
    assert list(tmp_path.iterdir()) == []


def doomed(final: Path) -> None:
    """What the test below runs in a process that it kills."""

    def stuck(images: np.ndarray, observed: np.ndarray) -> np.ndarray:
        if counting.calls == 5:
            time.sleep(600)
        return counting(images, observed)

    counting = Counting()
    made(final, stuck)


def test_a_killed_run_goes_on_below_what_it_finished(tmp_path: Path) -> None:
    here = f"import sys, pathlib; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_resumption"
    code = f"{here}; test_resumption.doomed(pathlib.Path({str(tmp_path / 'map')!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.glob(".map.*.kept/rest-00000056.npy")):  # two rows of windows are finished
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    again = Counting()
    assert (shown(made(tmp_path / "map", again)) == shown(made(tmp_path / "straight", Counting()))).all()
    assert again.calls == 6


@pytest.mark.parametrize("torn", ["strip-*", "rest-*"])
def test_what_a_stopped_machine_tore_is_made_again(tmp_path: Path, torn: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "map", Counting(7))
    path = max(tmp_path.glob(f".map.*.kept/{torn}"))
    path.write_bytes(path.read_bytes()[:-100])
    assert (shown(made(tmp_path / "map", Counting())) == shown(made(tmp_path / "straight", Counting()))).all()


def test_other_inputs_begin_anew_and_bad_input_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "map", Counting(7))
    other = Counting()
    made(tmp_path / "map", other, digest="b" * 16)
    assert other.calls == 10
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "map", Counting(7))
    with pytest.raises(GridError), resumption.shelf(tmp_path / "map", "a" * 16):
        raise GridError("no")
    assert list(tmp_path.iterdir()) == []
