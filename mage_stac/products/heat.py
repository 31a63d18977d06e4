"""Heat map: what was counted in each unit as a raster, a picture and a thumbnail."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rasterio.features
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from mage_stac.classes import DAMAGE_CLASSES, colour_table
from mage_stac.cog import write_cog, writing
from mage_stac.products.units import Units
from mage_stac.quicklook import THUMBNAIL

SIDE = 1024
"""Pixels along the longer side where units are no grid."""

BANDS = ("damaged-per-km2", "damaged-share")

_COLOURS = colour_table(DAMAGE_CLASSES)
RAMP = np.array([_COLOURS[2], _COLOURS[3], _COLOURS[4], (103, 0, 13)], np.float64)
"""From the least to the most damaged: yellow, orange, red, dark red."""


def grid_of(units: Units, bounds: tuple[float, float, float, float]) -> GeoBox:
    """The grid to draw on: a pixel a cell of a grid, else SIDE pixels along the longer side of the bounds."""
    crs = str(units.frame.crs)
    if units.cell is not None:
        left, bottom, right, top = units.frame.total_bounds
        step = units.cell
    else:
        left, bottom, right, top = bounds
        step = max(right - left, top - bottom) / SIDE
    shape = (max(1, math.ceil((top - bottom) / step - 1e-6)), max(1, math.ceil((right - left) / step - 1e-6)))
    return GeoBox(shape, Affine(step, 0, left, 0, -step, top), crs)


def drawn(units: Units, values: NDArray[np.float64], geobox: GeoBox) -> NDArray[np.float32]:
    """Values of the units (bands, n) in the pixels whose centres they hold, (bands, y, x); NaN elsewhere."""
    shapes = zip(units.frame.geometry, range(len(units.frame)), strict=True)
    owner = rasterio.features.rasterize(shapes, geobox.shape, fill=-1, transform=geobox.affine, dtype="int32")
    held = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    picked: NDArray[np.float32] = held[:, owner].astype(np.float32)  # -1 takes the NaN at the end
    return picked


def write(folder: Path, heat: NDArray[np.float32], geobox: GeoBox) -> None:
    """Write heat.tif, visual.tif and thumbnail.png of values (2, y, x) as `drawn` gives them.

    Raises:
        CatalogueError: the disk refuses.
    """
    write_cog(folder / "heat.tif", heat, geobox, nodata=float("nan"), descriptions=BANDS)
    picture = coloured(heat[0])
    write_cog(folder / "visual.tif", picture, geobox)
    factor = THUMBNAIL / max(geobox.shape)
    size = [max(1, round(side * factor)) for side in geobox.shape[::-1]]
    opaque = np.where(np.isnan(heat[:1]), 0, 255).astype(np.uint8)
    image = Image.fromarray(np.moveaxis(np.concatenate([picture, opaque]), 0, -1))
    with writing(folder / "thumbnail.png"):
        image.resize((size[0], size[1]), Image.Resampling.NEAREST).save(folder / "thumbnail.png")


def coloured(density: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A density (y, x) in colours, (3, y, x): none dark grey, then RAMP up to the largest, not observed white."""
    seen = ~np.isnan(density)
    top = float(density[seen].max(initial=0)) or 1.0
    place = np.where(seen, density, 0) / top * (len(RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(RAMP)), RAMP[:, channel]) for channel in range(3)])
    colours = np.where(density > 0, colours, np.array(_COLOURS[0])[:, None, None])
    return np.where(seen, np.rint(colours), 255).astype(np.uint8)
