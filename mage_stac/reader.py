"""Reading windows of rasters as arrays, from several threads at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from mage_stac.classes import NOT_OBSERVED
from mage_stac.errors import AssetError
from mage_stac.pairs import IMAGE, LABEL, Layer, Pair
from mage_stac.raster import DRIVERS

OPEN_FILES = 96
"""Handles kept by each thread."""
DESTROYED = 4
"""The highest damage class."""
BROKEN = (RasterioError, CPLE_BaseError, OSError)
"""What GDAL raises for a missing or truncated file."""


class Reader:
    """Reads windows with one dataset handle per file and thread: shared handles give corrupt reads (GDAL 3.10)."""

    def __init__(self) -> None:
        self._local = threading.local()

    def image(
        self, layer: Layer, window: Window, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Pixels (C, H, W) 0..1 of a window inside the file, and whether they were observed (H, W).

        A `shape` (H, W) other than the window's own resamples it bilinearly.

        Raises:
            AssetError: the file cannot be opened or read.
        """
        what = f"asset {IMAGE!r} of Item {layer.item_id}"
        dataset = self._dataset(layer.path, what)
        size = shape or (window.height, window.width)
        try:
            raw = dataset.read(
                layer.bands, window=window, out_shape=(len(layer.bands), *size), resampling=Resampling.bilinear
            ).astype(np.float32)
            valid = np.isfinite(raw).all(axis=0)
            if dataset.nodata is not None:
                valid &= (raw != dataset.nodata).all(axis=0)
            elif MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
                valid &= dataset.dataset_mask(window=window, out_shape=size) > 0
        except BROKEN as error:
            raise AssetError(f"{what} ({layer.path}) cannot be read: {error}") from error
        return np.where(valid, raw * layer.scale + layer.offset, 0).astype(np.float32), valid

    def shape(self, layer: Layer) -> tuple[int, int]:
        """Rows and columns of an image."""
        height, width = self._dataset(layer.path, f"asset {IMAGE!r} of Item {layer.item_id}").shape
        return int(height), int(width)

    def label(self, pair: Pair, window: Window) -> NDArray[np.uint8]:
        """Damage classes of a window inside the label.

        Raises:
            AssetError: the file cannot be opened or read, or holds values that are no damage class.
        """
        what = f"asset {LABEL!r} of Item {pair.items[2].id}"
        try:
            label: NDArray[np.uint8] = self._dataset(pair.label, what).read(1, window=window)
        except BROKEN as error:
            raise AssetError(f"{what} ({pair.label}) cannot be read: {error}") from error
        strange = label[(label > DESTROYED) & (label != NOT_OBSERVED)]
        if strange.size:
            raise AssetError(f"{what} holds {strange[0]}, which is no damage class: 0 to 4, or 255 where not observed")
        return label

    def _dataset(self, path: str, what: str) -> Any:
        handles: OrderedDict[str, Any] = self._local.__dict__.setdefault("handles", OrderedDict())
        if path not in handles:
            driver = DRIVERS.get(Path(urlsplit(path).path).suffix.lower(), "GTiff")
            try:
                handles[path] = rasterio.open(path, driver=driver)
            except BROKEN as error:
                raise AssetError(f"{what} cannot be opened: {error}") from error
        handles.move_to_end(path)
        while len(handles) > OPEN_FILES:
            handles.popitem(last=False)[1].close()
        return handles[path]
