"""Lazy mosaics through stackstac.

stackstac reads, and is told where everything lies. Left to itself it takes grids from `proj:epsg`, which pystac renames
to `proj:code`; without it, it falls back to the lon/lat box and resamples onto a grid that is slightly wrong.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from mage_stac import grid
from mage_stac.errors import AssetError, GridError

ROOM = 2
"""Pixels of the target by which a file's box is widened: windows beside it are not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One raster of a mosaic."""

    what: str
    """How errors name it."""
    path: str
    geobox: GeoBox
    """As the file says."""
    bands: int
    dtype: str
    nodata: float | None
    """As the file says."""


def checked(files: Sequence[File], geobox: GeoBox, nodata: float | None) -> None:
    """Refuse what stackstac cannot read as it is; `nodata` is what the Item states.

    Raises:
        AssetError: it is not installed; a file has several bands, or nodata that only its Item knows of.
        GridError: the grid is not north-up or has no EPSG code.
    """
    if importlib.util.find_spec("stackstac") is None:
        raise AssetError(
            "engine 'stackstac' is not installed: pip install 'mage-stac[stackstac]', or take engine 'odc'"
        )
    affine = geobox.affine
    if geobox.crs.epsg is None or affine.b or affine.d or affine.a < 0 or affine.e > 0:
        raise GridError("stackstac makes north-up grids of an EPSG code only: take engine 'odc'")
    for file in files:
        if file.bands != 1:
            raise AssetError(f"{file.what} has {file.bands} bands, and stackstac reads files of one: take engine 'odc'")
        if file.nodata is None and nodata is not None:
            raise AssetError(
                f"{file.what} has nodata {nodata:g} by its Item alone, unknown to stackstac: take engine 'odc'"
            )


def mosaic(files: Sequence[File], geobox: GeoBox, *, resampling: str, dtype: np.dtype[Any], chunk: int) -> xr.DataArray:
    """DN (y, x), lazy, NaN where not observed: the first file that observed a pixel gives it.

    Args:
        files: that `checked` let pass.
        geobox: the grid.
        resampling: by its name in rasterio.
        dtype: a type of floating point numbers.
        chunk: pixels a side of the lazy pieces.
    """
    from stackstac.ops import mosaic as first_seen
    from stackstac.prepare import ASSET_TABLE_DT
    from stackstac.raster_spec import RasterSpec
    from stackstac.to_dask import items_to_dask

    affine = geobox.affine
    spec = RasterSpec(epsg=geobox.crs.epsg, bounds=tuple(geobox.boundingbox.bbox), resolutions_xy=(affine.a, -affine.e))
    if spec.shape != tuple(geobox.shape):
        raise GridError(f"stackstac would make {spec.shape} pixels of {tuple(geobox.shape)}: take engine 'odc'")
    table = np.empty((len(files), 1), dtype=ASSET_TABLE_DT)
    for number, file in enumerate(files):
        table[number, 0] = (file.path, _box(file.geobox, geobox), (1, 0))
    layers = items_to_dask(
        table,
        spec,
        chunksize=chunk,
        resampling=Resampling[resampling],
        dtype=dtype,
        fill_value=dtype.type("nan"),
        rescale=False,
    )
    found: xr.DataArray = first_seen(
        xr.DataArray(layers[:, 0], dims=("file", "y", "x")), dim="file", reverse=True, nodata=np.nan
    )
    return found


def _box(own: GeoBox, geobox: GeoBox) -> tuple[float, float, float, float]:
    """Bounds of a file in the CRS of a grid, with room."""
    left, top, right, bottom = grid.pixel_box(geobox, own.extent)
    affine = geobox.affine
    west, north = affine @ (left - ROOM, top - ROOM)
    east, south = affine @ (right + ROOM, bottom + ROOM)
    return west, south, east, north
