"""Zion's hollows filled by mage-stac and by three others: how many cells differ, and by how much.

    uv pip install pysheds whitebox-workflows scikit-image     # beside shapely and pydantic, in a scratch environment
    PYTHONPATH=. python benchmarks/fills.py [../shared/data]

scikit-image rebuilds greys from the rim inwards and knows nothing of water; pysheds fills pits, then depressions, in
Numba; WhiteboxTools fills by Wang and Liu (2006) and by planes, in Rust. Each that is absent is passed over.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from mage_stac.hazards import depressions

Floats = NDArray[np.float64]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def reconstruction(path: Path) -> Floats:
    from skimage.morphology import reconstruction as rebuilt

    ground = read(path)
    seed = np.full(ground.shape, ground.max())
    seed[[0, -1], :], seed[:, [0, -1]] = ground[[0, -1], :], ground[:, [0, -1]]
    return np.asarray(rebuilt(seed, ground, method="erosion", footprint=np.ones((3, 3))), np.float64)


def pysheds(path: Path) -> Floats:
    from pysheds.grid import Grid

    grid = Grid.from_raster(str(path))
    pits = grid.fill_pits(grid.read_raster(str(path)).astype(np.float64))
    return np.asarray(grid.fill_depressions(pits), np.float64)


def whitebox(path: Path) -> Floats:
    from whitebox_workflows import WbEnvironment

    tools = WbEnvironment()
    ground = tools.read_raster(str(path))
    filled = tools.hydrology.depressions_storage.fill_depressions_wang_and_liu(dem=ground, fix_flats=False)
    with tempfile.TemporaryDirectory() as folder:
        tools.write_raster(filled, f"{folder}/filled.tif")
        return read(Path(folder) / "filled.tif")


OTHERS: dict[str, Callable[[Path], Floats]] = {
    "scikit-image reconstruction": reconstruction,
    "pysheds": pysheds,
    "WhiteboxTools": whitebox,
}


def read(path: Path) -> Floats:
    with rasterio.open(path) as file:
        return np.asarray(file.read(1), np.float64)


def main() -> None:
    shared = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED
    path = shared / "twins/zion/srtm.tif"
    ground = read(path)
    start = time.process_time()
    ours = depressions.fill(ground)
    took = time.process_time() - start
    raised = ours - ground
    print(
        f"Zion SRTM, {ground.shape[1]} x {ground.shape[0]} cells: {took:.2f} CPU s, {100 * (raised > 0).mean():.2f} % "
        f"raised, to {raised.max():.0f} m, {raised.sum():.0f} m in all"
    )
    for name, fill in OTHERS.items():
        try:
            other = fill(path)
        except ImportError as error:
            print(f"  {name:28s} not installed ({error.name})")
            continue
        apart = np.abs(other - ours)
        print(f"  {name:28s} differs on {np.count_nonzero(apart > 1e-6)} cells, at most {apart.max():g} m")


if __name__ == "__main__":
    main()
