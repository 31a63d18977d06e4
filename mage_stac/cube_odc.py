"""Lazy mosaics through odc-stac, which is told of the nodata that only an Item states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import odc.stac
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.loader import RioDriver, RioReader

from mage_stac import band_fields
from mage_stac.cube_stackstac import File


class Reader(RioReader):  # type: ignore[misc] # odc-loader has no types
    """odc-loader's, of one file: left to itself it takes no word of nodata but the file's."""

    def read(self, cfg: Any, dst_geobox: GeoBox, **options: Any) -> Any:
        """A window; see `RioReader.read`."""
        meta = self._src.meta
        return super().read(cfg.patch(src_nodata_fallback=meta.nodata if meta else None), dst_geobox, **options)


class Driver(RioDriver):  # type: ignore[misc]
    """Opens every file with `Reader`."""

    def open(self, src: Any, ctx: Any) -> Reader:
        """A file; see `RioDriver.open`."""
        return Reader(src, ctx)


def mosaic(
    items: Sequence[pystac.Item],
    files: Mapping[str, Sequence[File]],
    geobox: GeoBox,
    *,
    resampling: Mapping[str, str],
    dtype: np.dtype[Any],
    chunk: int,
) -> xr.Dataset:
    """DN (time 1, y, x), lazy, NaN where not observed: the first Item that observed a pixel gives it.

    Args:
        items: of one mosaic.
        files: asset key -> its file of each Item.
        geobox: the grid.
        resampling: name of a band in odc-stac ("image.2", or the key of an asset of one band) -> how, by rasterio's
            name; the variables are called so.
        dtype: a type of floating point numbers (one for all: odc-stac 0.5.3 fails for several, if asked for chunks).
        chunk: pixels a side of the lazy pieces.
    """
    found: xr.Dataset = odc.stac.load(
        items,
        bands=list(resampling),
        geobox=geobox,
        dtype=str(dtype),
        nodata=float("nan"),
        groupby=_together,
        preserve_original_order=True,
        resampling=dict(resampling),
        use_overviews=not any(_unknown(items, key, of) for key, of in files.items()),
        driver=Driver(),
        chunks={"y": chunk, "x": chunk},
    )
    return found


def _unknown(items: Sequence[pystac.Item], key: str, files: Sequence[File]) -> bool:
    """Whether a file does not know of the nodata that its Item states: its overviews were averaged over it."""
    told = (band_fields.nodata(item.assets[key], [1]) for item in items)
    return any(file.nodata is None and nodata is not None for file, nodata in zip(files, told, strict=True))


def _together(item: pystac.Item, parsed: Any, index: int) -> int:  # noqa: ARG001 - odc-stac's signature
    """Every Item belongs to the one mosaic."""
    return 0
