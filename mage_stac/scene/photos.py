"""Photos: a real image as texture: read at points, laid over the ground, and in the colours of another season."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene import growth, sun
from mage_stac.scene.growth import Growth
from mage_stac.scene.lattice import Canvas, Raster
from mage_stac.scene.scene import Photo

Array = NDArray[np.float64]
RELIT = (0.45, 1.5)
"""Brightness of a sloping roof to level ground that is believed and taken out of its image: the true slope is not
known, only guessed, and beyond these a wrong guess would do more harm than none."""
GREEN = (0.03, 0.2)
"""Relative excess of green over red and blue from which ground begins to count as plants, and wholly does."""


def over(photo: Photo, canvas: Canvas) -> Raster:
    """The ground on a canvas' texels (rows, columns, 3): the nearest pixel, so that what is rendered is as sharp."""
    return _laid(photo.ground, canvas)


def growth_over(photo: Photo, canvas: Canvas) -> Growth:
    """What grows on the ground, on a canvas' texels."""
    found = growth_of(photo, canvas.size)
    return Growth(**{field.name: _laid(getattr(found, field.name), canvas) for field in fields(found)})


def growth_of(photo: Photo, size: tuple[float, float]) -> Growth:
    """What grows on the ground of a scene of `size` metres, on the photo's pixels."""
    return growth.of(photo.ground, size[0] / photo.ground.shape[1])


def _laid(values: NDArray[np.float32], canvas: Canvas) -> Raster:
    rows, columns = canvas.shape
    height, width = values.shape[:2]
    down = np.minimum(((np.arange(rows) + 0.5) * height / rows).astype(int), height - 1)
    across = np.minimum(((np.arange(columns) + 0.5) * width / columns).astype(int), width - 1)
    laid: Raster = np.ascontiguousarray(values[np.ix_(down, across)], np.float32)
    return laid


def roof_colours(photo: Photo, size: tuple[float, float], at: Array, normals: Array) -> NDArray[np.float32]:
    """Reflectance (N, 3) of pieces of roof at points `at` (N, 3; z above ground, m) of a scene of `size` metres.

    The image shows a slope brighter or darker than level ground by its angle to the sun: that is divided out, within
    RELIT, so that the rendered slope looks as photographed in the photo's light, and changes with another.
    """
    rows, columns = photo.roofs.shape[:2]
    x = (at[:, 0] - photo.lean[0] * at[:, 2]) / size[0] * columns - 0.5
    y = (1 - (at[:, 1] - photo.lean[1] * at[:, 2]) / size[1]) * rows - 0.5
    seen = [ndimage.map_coordinates(photo.roofs[..., band], (y, x), order=1, mode="nearest") for band in range(3)]
    lit = slope_light(photo, normals).clip(*RELIT)
    return np.asarray((np.stack(seen, axis=-1) / lit[:, None]).clip(0.01, 0.95), np.float32)


def slope_light(photo: Photo, normals: Array) -> Array:
    """(N,) light on surfaces with unit `normals` (N, 3) over that on level ground, when the image was taken."""
    sky, to_sun = sun.skylight(photo.light), np.array(sun.towards(photo.light))
    direct = np.maximum(normals @ to_sun, 0.0) / to_sun[2]
    light: Array = sky * (1 + normals[:, 2]) / 2 + (1 - sky) * direct
    return light


def tinted(photo: Photo, gain: tuple[float, float, float]) -> Photo:
    """The photo with its plants in the colours of another season: `gain` per band on what is green."""
    share = plants(photo.ground)[..., None]
    painted = photo.ground * (1 + share * (np.asarray(gain, np.float32) - 1))
    return replace(photo, ground=painted.clip(0.005, 0.95).astype(np.float32))


def plants(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share 0..1 of living plants in colours (..., 3), by their excess of green (Woebbecke et al. 1995)."""
    red, green, blue = np.moveaxis(colours, -1, 0)
    excess = (2 * green - red - blue) / np.maximum(red + green + blue, 1e-3)
    low, high = GREEN
    return np.asarray(((excess - low) / (high - low)).clip(0, 1), np.float32)
