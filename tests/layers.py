"""Rasters and stacks for the tests of the chip loader, made without a catalogue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import cog
from mage_stac.stack import Raster, Stack

UTM = "EPSG:32631"


def geobox(shape: tuple[int, int], *, x: float = 600_000, y: float = 5_100_000, step: float = 10.0) -> GeoBox:
    return GeoBox(shape, Affine(step, 0, x, 0, -step, y), UTM)


def raster(
    path: str | Path, grid: GeoBox, *, bands: int = 1, scale: float | None = 1.0, classes: bool = False
) -> Raster:
    return Raster(
        item_id=Path(path).stem,
        asset="image",
        path=str(path),
        bands=tuple(range(1, bands + 1)),
        geobox=grid,
        scale=(scale,) * bands,
        offset=(0.0,) * bands,
        nodata=None,
        classes=classes,
    )


def made(shape: tuple[int, int], *, event: str = "e", name: str = "s") -> Stack:
    """A stack whose file does not exist: its place is all that is asked of it."""
    grid = geobox(shape)
    return Stack(id=name, event=event, geobox=grid, dates=((raster(f"{name}.tif", grid),),))


def written(
    path: Path, array: NDArray[np.generic], grid: GeoBox, *, nodata: float | None = None, classes: bool = False
) -> Raster:
    """A COG (bands, y, x) on disk."""
    cog.write_cog(path, array, grid, nodata=nodata)
    return raster(path, grid, bands=len(array), classes=classes)


def stacked(*dates: Raster, grid: GeoBox | None = None, mask: Raster | None = None, name: str = "s") -> Stack:
    """One raster a date, on a grid (that of the first)."""
    return Stack(
        id=name,
        event="e",
        geobox=grid or dates[0].geobox,
        dates=tuple((one,) for one in dates),
        mask=() if mask is None else (mask,),
    )


def waves(grid: GeoBox, *, bands: int = 1, dtype: str = "uint16", length: float = 400.0) -> NDArray[np.generic]:
    """A smooth picture (bands, y, x) that follows the place in the grid's CRS: any resampling of it can be checked."""
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    affine = grid.affine
    x, y = affine.a * columns + affine.b * rows + affine.c, affine.d * columns + affine.e * rows + affine.f
    planes = [np.sin(x / length + band) + np.cos(y / length - band) for band in range(bands)]
    return (100 + 40 * np.stack(planes)).astype(dtype)
