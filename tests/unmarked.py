"""One raster twice: as a file that states its nodata, and as one whose nodata only its Item states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pystac
import rasterio
from imagery import box, write_raster
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from shapely.geometry import mapping

GAP = 7
"""Nodata. No average of VALUES comes near it."""
VALUES = 1000, 3000


@dataclass(frozen=True, kw_only=True)
class Twice:
    """The same pixels (bands, y, x)."""

    marked: Path
    """States GAP itself; without overviews."""
    item: pystac.Item
    """Its asset `image`, and the older overviews of it, do not know of GAP; the asset's nodata field does."""
    geobox: GeoBox
    pixels: NDArray[np.generic]

    def averaged(self, step: int) -> NDArray[np.float64]:
        """Means (bands, y / step, x / step) of the valid pixels of each cell, NaN where there is none: by numpy."""
        bands, rows, columns = self.pixels.shape
        cells = np.where(self.pixels == GAP, np.nan, self.pixels.astype(float))
        cells = cells.reshape(bands, rows // step, step, columns // step, step).swapaxes(2, 3)
        valid = ~np.isnan(cells)
        total, number = np.where(valid, cells, 0).sum(axis=(3, 4)), valid.sum(axis=(3, 4))
        return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def twice(folder: Path, *, rows: int = 64, columns: int = 96, bands: int = 3, dtype: str = "uint16") -> Twice:
    """A ragged half of the pixels is GAP in all bands: whole cells of 16 of them, and parts of others."""
    rng = np.random.default_rng(4)
    geobox = box(rows, columns)
    pixels = rng.integers(*VALUES, (bands, rows, columns)).astype(dtype)
    gap = rng.random((rows, columns)) < 0.3
    gap[:, : columns // 3] = True
    pixels[:, gap] = GAP
    marked = write_raster(folder / "marked.tif", pixels, geobox, nodata=GAP, tiled=True, blockxsize=32, blockysize=32)
    plain = write_raster(folder / "plain.tif", pixels, geobox, tiled=True, blockxsize=32, blockysize=32)
    with rasterio.open(plain, "r+") as source:
        source.build_overviews([2, 4, 8], Resampling.average)
    item = pystac.Item(
        "x", mapping(geobox.geographic_extent.geom), None, pystac.utils.str_to_datetime("2020-01-01"), {}
    )
    names = [{"name": f"b{band}"} for band in range(1, bands + 1)]
    item.add_asset("image", pystac.Asset(str(plain), extra_fields={"bands": names, "nodata": GAP, "raster:scale": 1.0}))
    return Twice(marked=marked, item=item, geobox=geobox, pixels=pixels)
