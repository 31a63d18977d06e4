"""Reading windows of rasters as arrays, from several threads at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags, Resampling
from rasterio.windows import Window

from mage_stac import grid, hrefs
from mage_stac.errors import AssetError
from mage_stac.pairs import IMAGE, Layer
from mage_stac.plane import Plane, column, observed
from mage_stac.raster import BROKEN, DRIVERS, EIGHT_BITS, REMOTE_OPTIONS, can_hold, said, with_nodata
from mage_stac.stack import Raster

OPEN_FILES = 512
"""Handles kept by all threads of a reader together, half of what Linux allows a process: with a file that is closed
GDAL forgets what it decoded of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Handle:
    """An open file and what need be asked only once."""

    dataset: Any
    dtype: str
    nodata: float | None
    """A value that a pixel can have, else None."""
    masked: bool
    """A mask or an alpha band hides pixels."""


class Reader:
    """Reads windows with one dataset handle per file and thread: shared handles give corrupt reads (GDAL 3.10)."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._counter = count(1)
        self._threads = 0

    def plane(self, raster: Raster, rows: slice, columns: slice, shape: tuple[int, int] | None = None) -> Plane:
        """A window inside a raster; thinned to a `shape`: averaged over what was observed, classes not.

        Overviews serve where there are any, unless nodata is stated by the Item alone: they were made without it.

        Raises:
            AssetError: the file cannot be opened or read, lies elsewhere than its Item says, or lacks a band.
        """
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        size = shape or (window.height, window.width)
        try:
            with rasterio.Env(**(REMOTE_OPTIONS if hrefs.is_remote(raster.path) else {})):
                handle = self._handle(raster.path, raster.what, raster)
                averaged = size != (window.height, window.width) and not raster.classes
                with with_nodata(handle.dataset, raster.nodata if averaged else None) as source:
                    values = source.read(
                        raster.bands,
                        window=window,
                        out_shape=(len(raster.bands), *size),
                        resampling=Resampling.nearest if raster.classes else Resampling.average,
                    )
                mask = handle.dataset.dataset_mask(window=window, out_shape=size) > 0 if handle.masked else None
        except BROKEN as error:
            raise unreadable(raster.what, raster.path, error) from error
        return decoded(raster, values, handle.dtype, raster.nodata if handle.nodata is None else handle.nodata, mask)

    def blocks(self, raster: Raster) -> tuple[int, int]:
        """Rows and columns of the file's blocks."""
        rows, columns = self._handle(raster.path, raster.what, raster).dataset.block_shapes[0]
        return int(rows), int(columns)

    def image(
        self, layer: Layer, window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels (C, H, W) 0..1 of a window inside the file, and whether they were observed (H, W).

        A `shape` (H, W) other than the window's own resamples it bilinearly.

        Raises:
            AssetError: the file cannot be opened or read.
        """
        what = f"asset {IMAGE!r} of Item {layer.item_id}"
        dataset = self._handle(layer.path, what).dataset
        size = shape or (window.height, window.width)
        nodata = layer.nodata if dataset.nodata is None else dataset.nodata
        try:
            with with_nodata(dataset, nodata if size != (window.height, window.width) else None) as source:
                raw = source.read(
                    layer.bands, window=window, out_shape=(len(layer.bands), *size), resampling=Resampling.bilinear
                ).astype(np.float32)
            valid = np.isfinite(raw).all(axis=0)
            if nodata is not None:
                valid &= (raw != nodata).any(axis=0)
            elif MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
                valid &= dataset.dataset_mask(window=window, out_shape=size) > 0
        except BROKEN as error:
            raise unreadable(what, layer.path, error) from error
        return np.where(valid, raw * layer.scale + layer.offset, 0).astype(np.float32), valid

    def shape(self, layer: Layer) -> tuple[int, int]:
        """Rows and columns of an image."""
        height, width = self._handle(layer.path, f"asset {IMAGE!r} of Item {layer.item_id}").dataset.shape
        return int(height), int(width)

    def _handle(self, path: str, what: str, raster: Raster | None = None) -> Handle:
        handles: OrderedDict[str, Handle] | None = getattr(self._local, "handles", None)
        if handles is None:
            handles = self._local.handles = OrderedDict()
            self._threads = next(self._counter)
        if path not in handles:
            driver = DRIVERS.get(Path(urlsplit(path).path).suffix.lower(), "GTiff")
            try:
                handles[path] = _facts(rasterio.open(path, driver=driver))
            except BROKEN as error:
                raise unreadable(what, path, error) from error
            if raster is not None:
                agreed(raster, grid.of_dataset(handles[path].dataset), handles[path].dataset.count)
        handles.move_to_end(path)
        while len(handles) > max(1, OPEN_FILES // self._threads):
            handles.popitem(last=False)[1].dataset.close()
        return handles[path]


def _facts(dataset: Any) -> Handle:
    dtype, nodata = dataset.dtypes[0], dataset.nodata
    flags = dataset.mask_flag_enums[0]
    return Handle(
        dataset=dataset,
        dtype=dtype,
        nodata=None if nodata is None or not can_hold(dtype, nodata) else float(nodata),
        masked=MaskFlags.per_dataset in flags or MaskFlags.alpha in flags,
    )


def unreadable(what: str, path: str, error: BaseException) -> AssetError:
    """The error of an asset (`what` names it) whose file cannot be opened or read."""
    return AssetError(f"{what} ({hrefs.without_query(path)}) cannot be read: {said(error, path)}", asset=what)


def agreed(raster: Raster, file: GeoBox, count: int) -> None:
    """Refuse an Item that says of its file what is not so.

    Raises:
        AssetError: its grid or bands contradict the file's.
    """
    what, path = raster.what, hrefs.without_query(raster.path)
    if max(raster.bands) > count:
        raise AssetError(f"{what} lists band {max(raster.bands)}, but {path} has {count}", asset=what)
    problem = grid.contradiction(raster.geobox, file)
    if problem:
        raise AssetError(f"{what} contradicts its file {path}: {problem}; correct the Item", asset=what)


def decoded(
    raster: Raster, values: NDArray[Any], dtype: str, nodata: float | None, mask: NDArray[np.bool_] | None
) -> Plane:
    """Decoded bands (C, h, w) as a Plane: what marks missing pixels, and the scale that the Item states."""
    default = EIGHT_BITS if dtype == "uint8" and not raster.classes else 1.0
    fits = nodata is not None and can_hold(dtype, nodata)
    seen = observed(values, nodata if fits else None)
    if mask is not None and not mask.all():
        seen = mask if seen is None else seen & mask
    return Plane(
        values=values,
        scale=None if raster.classes else column(tuple(default if s is None else s for s in raster.scale), 1.0),
        offset=None if raster.classes else column(raster.offset, 0.0),
        seen=seen,
    )
