"""Outlines: footprints that are larger or rounder than the roofs in an image, cut back to what shows as roof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
import shapely.affinity
from affine import Affine
from numpy.typing import NDArray
from rasterio import features as rasters
from scipy import ndimage
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import footprints, photos, wings
from mage_stac.scene.features import Features

Mask = NDArray[np.bool_]

FITS = 0.82
"""A footprint of which at least this share shows as roof, and which has right angles, stays as it is."""
DARK = 0.45
"""Pixels darker than this share of the outline's median are shadow, unless most of the outline is dark."""
LEAST = 16.0
"""Smaller pieces of roof are left out, m2; a footprint smaller than it stays as it is."""
PART = 0.3
"""Pieces smaller than this share of the footprint's largest are roof seen between branches, or no roof."""
NARROW = 3.0
"""Narrower pieces of roof are none, m."""
STEP = 1.8
"""Rectangular outlines are cut in steps of this, m: finer ones are the image's pixels, not the house's walls."""
ROOF = 4.5
"""Height above ground of the middle of a roof that is not told, m: of one storey and attic."""
RECTANGLE = 0.72
"""Share of its smallest rectangle from which a piece of roof is taken for that rectangle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """An image of the place."""

    image: NDArray[np.float32]
    """(rows, columns, 3) reflectance; NaN where nothing was observed."""
    affine: Affine
    """Pixel corners -> the footprints' CRS; square north-up pixels."""
    lean: tuple[float, float] = (0.0, 0.0)
    """Towards the sensor, m (east, north) per metre of height: as `Photo.lean`."""


def fitted(found: Features, view: View) -> Features:
    """Building features with outlines as the image shows them, unchanged if they fit or it does not show them wholly.

    Outlines made by a network follow roofs loosely: they are round, a pixel too wide, take shadows in, and join
    neighbours across a lawn. What is green or shadow is cut away, and what remains is squared.
    """
    straight = footprints.straightened(shapely.force_2d(found.geometry))
    shapes = [_fit_roof(shape, view, height) for shape, height in zip(straight, _heights(found), strict=True)]
    counts = np.array([len(shape) for shape in shapes], np.intp)
    picked = found.pick(np.repeat(np.arange(len(found)), counts))
    flat = np.empty(len(picked), dtype=object)
    flat[:] = [one for shape in shapes for one in shape]
    return replace(picked, geometry=flat)


def _heights(found: Features) -> NDArray[np.float64]:
    """(N,) above ground of the roofs, m: their heights as far as they are told."""
    told = found.table.numbers["height"]
    return np.where(np.isnan(told), ROOF, told)


def _fit_roof(shape: BaseGeometry, view: View, height: float) -> Sequence[BaseGeometry]:
    """One or several outlines for a footprint, compared with the image where its roof leans to."""
    if view.lean == (0.0, 0.0):
        return _fit(shape, view)
    east, north = (-height * part for part in view.lean)
    made = _fit(shapely.affinity.translate(shape, east, north), view)
    return [shapely.affinity.translate(one, -east, -north) for one in made]


def _fit(shape: BaseGeometry, view: View) -> Sequence[BaseGeometry]:
    """One or several outlines for a roof."""
    gsd = view.affine.a
    window = _window(shape, view)
    if shape.area < LEAST or window is None:
        return (shape,)
    rows, columns = window
    local = view.affine @ Affine.translation(columns.start, rows.start)
    image = view.image[rows, columns]
    inside = rasters.rasterize([shape.buffer(-gsd)], image.shape[:2], transform=local).astype(bool)
    if inside.sum() * gsd**2 < LEAST or np.isnan(image[inside]).any():
        return (shape,)
    roof = _opened(inside & ~_not_roof(image, inside), max(2, round(NARROW / gsd)))
    squared = isinstance(shape, Polygon) and bool(wings.of(shape))
    if squared and roof.sum() >= FITS * inside.sum():
        return (shape,)
    numbers, count = ndimage.label(roof)
    pieces = [_squared(numbers == number, local, gsd) for number in range(1, count + 1)]
    found = [piece for piece in pieces if piece is not None]
    largest = max((piece.area for piece in found), default=0.0)
    return [piece for piece in found if piece.area >= PART * largest] or (shape,)


def _window(shape: BaseGeometry, view: View) -> tuple[slice, slice] | None:
    """Rows and columns around a shape; None unless it lies wholly inside the image."""
    west, south, east, north = shape.bounds
    left, top = ~view.affine @ (west, north)
    right, bottom = ~view.affine @ (east, south)
    rows, columns = view.image.shape[:2]
    if min(left, top) < 2 or right > columns - 2 or bottom > rows - 2:
        return None
    return slice(int(top) - 2, int(bottom) + 3), slice(int(left) - 2, int(right) + 3)


def _not_roof(image: NDArray[np.float32], inside: Mask) -> Mask:
    """Plants, and shadow unless the whole outline is dark."""
    light = image.mean(axis=-1)
    dark = light < DARK * np.median(light[inside])
    green = photos.plants(ndimage.gaussian_filter(image, (0.7, 0.7, 0))) > 0.5
    dark = dark if dark[inside].mean() < 0.4 else np.zeros_like(dark)
    green = green if green[inside].mean() < 0.9 else np.zeros_like(green)
    return np.asarray(green | dark, bool)


def _opened(mask: Mask, narrow: int) -> Mask:
    """Without specks and what is narrower than so many pixels, holes filled."""
    closed = ndimage.binary_closing(np.pad(mask, 4), iterations=2)[4:-4, 4:-4]
    filled = ndimage.binary_fill_holes(closed)
    return np.asarray(ndimage.binary_opening(filled, np.ones((narrow, narrow))), bool)


def _squared(piece: Mask, affine: Affine, gsd: float) -> Polygon | None:
    """A piece of roof as a polygon with right angles; None for one that is too small."""
    if piece.sum() * gsd**2 < LEAST:
        return None
    rough = _largest(piece, affine)
    # By its own edges the main angle of a pixel outline is always the grid's: take that of the rectangle around it.
    around = Polygon(shapely.get_coordinates(shapely.oriented_envelope(rough)))
    if rough.area >= RECTANGLE * around.area:
        scale = float(np.sqrt(rough.area / around.area))
        return shapely.affinity.scale(around, scale, scale)
    angle = wings.main_angle(around)
    turned = shapely.affinity.rotate(rough, -angle, origin=(0, 0), use_radians=True)
    west, south, east, north = turned.bounds
    shape = (int(np.ceil((north - south) / STEP)) + 1, int(np.ceil((east - west) / STEP)) + 1)
    grid = Affine(STEP, 0, west - STEP / 2, 0, -STEP, south + (shape[0] - 0.5) * STEP)
    cells = rasters.rasterize([turned], shape, transform=grid).astype(bool)
    if not cells.any():
        return None
    back = shapely.affinity.rotate(_largest(cells, grid), angle, origin=(0, 0), use_radians=True)
    return back if back.area >= LEAST else None


def _largest(mask: Mask, affine: Affine) -> Polygon:
    """The outline, without holes, of the largest connected part of a mask."""
    outlines = [ring["coordinates"][0] for ring, _ in rasters.shapes(mask.astype(np.uint8), mask, 4, affine)]
    return max((Polygon(outline) for outline in outlines), key=lambda one: one.area)
