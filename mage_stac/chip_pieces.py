"""Pieces: windows of stacks, decoded once and resampled where grids differ, from which many chips are cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import grid, warp
from mage_stac.classes import NOT_OBSERVED
from mage_stac.hiding import Hiding
from mage_stac.plane import Floats, Plane
from mage_stac.raster import float_kind
from mage_stac.stack import Mosaic, Raster, Stack

ROOM = 2
"""Pixels read around a window that is resampled."""

Points = NDArray[np.float64]


class Planes(Protocol):
    """What decodes windows of one raster."""

    def plane(self, raster: Raster, rows: slice, columns: slice, shape: tuple[int, int] | None = None) -> Plane:
        """A window that lies inside the raster, thinned to a shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A decoded window of a stack."""

    row: int
    column: int
    """Of its first pixel on the stack's grid."""
    planes: tuple[Plane, ...]
    """One for each date."""
    mask: NDArray[np.uint8] | None
    """(h, w) classes, 255 where not observed."""

    def cut(
        self, row: int, column: int, image: NDArray[np.float32], mask: NDArray[np.int64], valid: NDArray[np.bool_]
    ) -> None:
        """Write the chip at (row, column) of the grid into image (T, C, H, W), mask and valid (H, W), wholly.

        What lies outside of the piece becomes 0, 255 and False. Without a label the mask is left as it is. A pixel that
        the label leaves open (255) is valid where the images show it: what surrounds a graded house must be seen.
        """
        height, width = self.planes[0].values.shape[1:]
        y, inside_y = _overlap(row - self.row, valid.shape[0], height)
        x, inside_x = _overlap(column - self.column, valid.shape[1], width)
        if inside_y.stop - inside_y.start < len(valid) or inside_x.stop - inside_x.start < valid.shape[1]:
            image.fill(0)
            valid.fill(False)
            if self.mask is not None:
                mask.fill(NOT_OBSERVED)
        place = (inside_y, inside_x)
        valid[place] = True
        for date, plane in zip(image, self.planes, strict=True):
            plane.write(y, x, date[(slice(None), *place)], valid[place])
        if self.mask is not None:
            mask[place] = self.mask[y, x]


def _overlap(start: int, size: int, length: int) -> tuple[slice, slice]:
    """The part of [start, start + size) inside [0, length), there and counted from start."""
    low, high = max(0, start), max(0, start, min(length, start + size))
    return slice(low, high), slice(low - start, high - start)


def read(stack: Stack, rows: slice, columns: slice, source: Planes) -> Piece:
    """Decode a window that lies inside a stack's grid.

    Raises:
        AssetError: a file cannot be read, or contradicts its Item.
    """
    place = rows, columns
    label = _on_grid(stack.mask, stack.geobox, place, source) if stack.mask else None
    return Piece(
        row=rows.start,
        column=columns.start,
        planes=tuple(_on_grid(mosaic, stack.geobox, place, source) for mosaic in stack.dates),
        mask=None if label is None else _classes(label),
    )


def _classes(label: Plane) -> NDArray[np.uint8]:
    """The first band as classes; what a byte cannot hold is not observed."""
    values = label.values[0]
    if values.dtype != np.uint8:
        values = np.where((values >= 0) & (values < NOT_OBSERVED), values, NOT_OBSERVED).astype(np.uint8)
    return values if label.seen is None else np.where(label.seen, values, np.uint8(NOT_OBSERVED))


def _on_grid(mosaic: Mosaic, geobox: GeoBox, place: tuple[slice, slice], source: Planes) -> Plane:
    """A window of a mosaic: the first raster that observed a pixel gives it."""
    first = mosaic[0]
    files = first, *first.beside
    if len(mosaic) == 1 and first.mask is None and all(_same(one, geobox) for one in files):
        return _together([source.plane(one, *place) for one in files])
    target = grid.crop(geobox, *place)
    values = np.zeros((first.count, *target.shape), np.float32)
    seen = np.zeros(target.shape, bool)
    for raster in mosaic:
        parts = [_resampled(one, target, source) for one in (raster, *raster.beside)]
        shown = [part for part in parts if part is not None]
        if len(shown) == len(parts):
            found = _together(shown)
            fresh = found.seen & ~seen if found.seen is not None else ~seen
            if raster.mask and raster.hiding and fresh.any():
                fresh &= _clear(raster.mask, raster.hiding, target, source)
            np.copyto(values, found.values, where=fresh)
            seen |= fresh
        if seen.all():
            break
    return Plane(values=values, seen=None if seen.all() else seen)


def _same(raster: Raster, geobox: GeoBox) -> bool:
    return _shift(raster, geobox) == (0, 0) and raster.geobox.shape == geobox.shape


def _together(planes: list[Plane]) -> Plane:
    """The bands of one date's files after each other; what one of them lacks was not observed."""
    if len(planes) == 1:
        return planes[0]

    def columns(given: list[NDArray[np.float32] | None], neutral: float) -> NDArray[np.float32] | None:
        if all(one is None for one in given):
            return None
        blank = (np.full((len(plane.values), 1, 1), neutral, np.float32) for plane in planes)
        return np.concatenate([other if one is None else one for one, other in zip(given, blank, strict=True)])

    masks = [plane.seen for plane in planes if plane.seen is not None]
    return Plane(
        values=np.concatenate([plane.values for plane in planes]),
        scale=columns([plane.scale for plane in planes], 1.0),
        offset=columns([plane.offset for plane in planes], 0.0),
        seen=np.logical_and.reduce(masks) if masks else None,
    )


def _clear(mask: Raster, hiding: Hiding, target: GeoBox, source: Planes) -> NDArray[np.bool_]:
    """Where a mask shows the ground: not beyond the mask."""
    codes = _resampled(mask, target, source)
    if codes is None:
        return np.zeros((target.shape[0], target.shape[1]), bool)
    clear = ~hiding.hidden(codes.values[0])
    return clear if codes.seen is None else clear & codes.seen


def _shift(raster: Raster, geobox: GeoBox) -> tuple[int, int] | None:
    """Row and column of the grid's first pixel in a raster that shares its pixels; None if it does not."""
    own = raster.geobox
    if own.crs != geobox.crs:
        return None
    between = ~own.affine @ geobox.affine
    row, column = round(between.f), round(between.c)
    moved = GeoBox(geobox.shape, own.affine @ Affine.translation(column, row), own.crs)
    return (row, column) if grid.apart(geobox, moved) < grid.AGREE else None


def _resampled(raster: Raster, target: GeoBox, source: Planes) -> Plane | None:
    """What a raster shows of a grid, in its units; None if nothing."""
    shift = _shift(raster, target)
    if shift is not None:
        return _moved(raster, target, shift, source)
    points = warp.lattice(target, raster.geobox)
    window = _window(points, raster.geobox.shape)
    if window is None:
        return None
    shrink = _shrink(points, target)
    shape = tuple(max(1, math.ceil((part.stop - part.start) / shrink)) for part in window)
    plane = source.plane(raster, *window, (shape[0], shape[1]))
    scale = [(part.stop - part.start) / size for part, size in zip(window, shape, strict=True)]
    local = np.stack([(points[0] - window[1].start) / scale[1], (points[1] - window[0].start) / scale[0]])
    seen = plane.seen
    if seen is None and not _inside(local, shape):
        seen = np.ones(shape, bool)
    values, valid = warp.resampled(
        _units(raster, plane), seen, local, (target.shape[0], target.shape[1]), nearest=raster.classes
    )
    return Plane(values=values, seen=valid)


def _moved(raster: Raster, target: GeoBox, shift: tuple[int, int], source: Planes) -> Plane | None:
    """A raster that shares the grid's pixels."""
    parts = [
        _overlap(start, size, length)
        for start, size, length in zip(shift, target.shape, raster.geobox.shape, strict=True)
    ]
    (rows, y), (columns, x) = parts
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    plane = source.plane(raster, rows, columns)
    found = _units(raster, plane)
    values = np.zeros((len(raster.bands), *target.shape), found.dtype)
    seen = np.zeros(target.shape, bool)
    values[:, y, x] = found
    seen[y, x] = True if plane.seen is None else plane.seen
    return Plane(values=values, seen=seen)


def _units(raster: Raster, plane: Plane) -> Floats:
    """What a raster's plane shows; bits stay as they are."""
    return plane.units(float_kind(plane.values.dtype, classes=raster.classes))


def _window(points: Points, shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a raster around those points that it shows; None if it shows none."""
    known = (points > warp.OUTSIDE).all(axis=0)
    if not known.any():
        return None
    parts = []
    for axis, size in zip((1, 0), shape, strict=True):
        along = points[axis][known]
        start = max(0, math.floor(along.min()) - ROOM)
        stop = min(size, math.ceil(along.max()) + ROOM)
        if start >= stop:
            return None
        parts.append(slice(start, stop))
    return parts[0], parts[1]


def _shrink(points: Points, target: GeoBox) -> int:
    """Whole pixels of the raster that fall into one of the grid, along the axis where they are fewest; at least 1."""
    down, across = (np.hypot(*np.diff(points, axis=axis)) for axis in (1, 2))
    steps = (
        np.median(down) * down.shape[0] / max(1, target.shape[0] - 1),
        np.median(across) * across.shape[1] / max(1, target.shape[1] - 1),
    )
    least = min(float(step) for step in steps)
    return max(1, math.floor(least + grid.AGREE)) if math.isfinite(least) else 1


def _inside(points: Points, shape: tuple[int, ...]) -> bool:
    """Whether bilinear weights of all points fall on the window's pixels."""
    x, y = points
    return bool(x.min() >= 0.5 and y.min() >= 0.5 and x.max() <= shape[1] - 0.5 and y.max() <= shape[0] - 0.5)
