"""Pictures of imagery and of classes for people: visual.tif (an RGB COG) and thumbnail.png."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import MaskFlags, Resampling

from mage_stac import grid
from mage_stac.classes import Classes, colour_table
from mage_stac.cog import stream_cog, write_cog, writing
from mage_stac.raster import opened, thinned
from mage_stac.sensors import Sensor

THUMBNAIL = 512
"""Pixels along the longer side; STAC's best practices ask for less than 600."""

STRETCH = (2.0, 98.0)
"""Percentiles of the valid pixels that become black and white where DN are not a picture already."""

PACKING = 1
"""Level of zlib for thumbnails: a quarter of the time of Pillow's 6, for an eighth more bytes at most (renders)."""

STRIP = 1024
"""Pixels a side of the pieces that are turned into a picture at once."""

Stretch = tuple[NDArray[np.float64], NDArray[np.float64]]
"""DN that become black and white, each (3,)."""


def make_pictures(image: Path, sensor: Sensor, folder: Path) -> int | None:
    """Make folder/visual.tif and folder/thumbnail.png from an image and the sensor's red, green and blue.

    Eight-bit imagery with a tone curve is a picture already: its values stay. All else is stretched linearly between
    percentiles. Pixels not observed are 0 in the COG, its nodata value, and transparent in the thumbnail. That is north
    up, however the image runs.

    Returns:
        The nodata value of visual.tif; None if the image marks no pixel as not observed.

    Raises:
        AssetError: the image cannot be read.
        CatalogueError: the disk refuses.
    """
    with opened(image) as source:
        bands = list(sensor.picture())
        small, seen = _thinned(source, bands)
        levels = None if sensor.dtype == "uint8" and sensor.gamma != 1 else stretch(small, seen)
        nodata = None if _all_valid(source) else 0
        geobox = grid.of_dataset(source)
        if levels is None and nodata is None and bands == list(source.indexes):
            _copy(image, folder / "visual.tif")
        else:
            _draw(source, bands, levels, nodata, folder / "visual.tif")
    alpha = np.where(seen, 255, 0).astype("uint8")
    with writing(folder / "thumbnail.png"):
        rgba = np.concatenate([picture(small, seen, levels, 0), alpha[np.newaxis]])[:, *grid.turning(geobox.affine)]
        Image.fromarray(np.moveaxis(rgba if nodata == 0 else rgba[:3], 0, -1)).save(
            folder / "thumbnail.png", compress_level=PACKING
        )
    return nodata


def _copy(image: Path, path: Path) -> None:
    """The picture of an image that is one, with all its pixels: the same file."""
    with writing(path):
        shutil.copyfile(image, path)


def _draw(source: Any, bands: list[int], levels: Stretch | None, nodata: int | None, path: Path) -> None:
    geobox = grid.of_dataset(source)
    with stream_cog(path, geobox, dtype="uint8", count=3, nodata=nodata) as writer:
        for window in grid.windows(geobox, STRIP):
            rows, columns = window.core
            box = ((rows.start, rows.stop), (columns.start, columns.stop))
            valid = source.dataset_mask(window=box) > 0
            writer.write(picture(source.read(bands, window=box), valid, levels, nodata), rows.start, columns.start)


def draw_classes(raster: Path, classes: Classes, folder: Path) -> None:
    """Make folder/visual.tif and folder/thumbnail.png of a raster of classes (uint8), which is read whole.

    Raises:
        AssetError: the raster cannot be read.
        CatalogueError: the disk refuses.
    """
    with opened(raster) as source:
        write_cog(folder / "visual.tif", coloured(source.read(1), classes), grid.of_dataset(source))
    class_thumbnail(raster, classes, folder / "thumbnail.png")


def class_thumbnail(raster: Path, classes: Classes, path: Path) -> None:
    """Draw a raster of classes (uint8) as a small PNG, see-through where not observed.

    Raises:
        AssetError: the raster cannot be read.
        CatalogueError: the disk refuses.
    """
    with opened(raster) as source:
        small = source.read(1, out_shape=thinned(source.shape, THUMBNAIL))
        small = small[grid.turning(source.transform)]
    unseen = [entry.value for entry in classes if entry.nodata]
    alpha = np.where(np.isin(small, unseen), 0, 255).astype(np.uint8)
    with writing(path):
        rgba = np.concatenate([coloured(small, classes), alpha[None]])
        Image.fromarray(np.moveaxis(rgba, 0, -1)).save(path, compress_level=PACKING)


def coloured(values: NDArray[np.uint8], classes: Classes) -> NDArray[np.uint8]:
    """Classes (y, x) in their colours, (3, y, x)."""
    table = np.zeros((3, 256), np.uint8)
    for value, colour in colour_table(classes).items():
        table[:, value] = colour
    return table.take(values, axis=1)


def picture(
    values: NDArray[Any], valid: NDArray[np.bool_], levels: Stretch | None, nodata: int | None
) -> NDArray[np.uint8]:
    """DN (3, y, x) to a picture (3, y, x) of uint8, stretched unless `levels` is None.

    With a nodata value, valid pixels keep clear of it by one.
    """
    if levels is None:
        scaled = values.astype("float32")
    else:
        low, high = (level[:, np.newaxis, np.newaxis] for level in levels)
        scaled = np.clip((np.nan_to_num(values.astype("float32")) - low) / np.maximum(high - low, 1e-12), 0, 1) * 255
    whole: NDArray[np.uint8] = np.rint(scaled).astype("uint8")
    if nodata is not None:
        whole = np.where(valid, np.maximum(whole, 1), np.uint8(nodata))
    return whole


def stretch(values: NDArray[Any], valid: NDArray[np.bool_]) -> Stretch:
    """The DN of an image (3, y, x) that become black and white, by its valid pixels (y, x), or all if none is."""
    seen = values[:, valid] if valid.any() else values.reshape(len(values), -1)
    low, high = np.nanpercentile(seen.astype("float64"), STRETCH, axis=1)
    return low, high


def _thinned(source: Any, bands: list[int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    shape = thinned(source.shape, THUMBNAIL)
    values = source.read(bands, out_shape=(len(bands), *shape), resampling=Resampling.average)
    return values, source.dataset_mask(out_shape=shape) > 0


def _all_valid(source: Any) -> bool:
    """Whether the file marks no pixels at all, so that its picture needs no nodata value."""
    return source.nodata is None and all(MaskFlags.all_valid in flags for flags in source.mask_flag_enums)
