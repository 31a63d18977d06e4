"""Cadastre: which surface of a scene shows at each texel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene.lattice import Canvas, Raster, stack
from mage_stac.scene.scene import Ring, Surface

SOFT = {
    "grass", "meadow", "field", "woodland", "bare", "dirt", "mulch", "sand", "vegetable", "crop_soil", "gravel",
    "water", "silty_water",
}  # fmt: skip
"""Materials whose borders wander."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What every texel is: `index` (rows, columns) is 1 + the surface's place in `surfaces`, 0 where there is none."""

    surfaces: tuple[Surface, ...]
    index: NDArray[np.intp]
    """Of the type that tables are looked up by: numpy would convert any other anew at each look."""

    def of(self, values: list[float]) -> Raster:
        """(rows, columns) of a value given per surface; 0 where there is none."""
        return np.array([0.0, *values], np.float32).take(self.index)

    def where(self, kinds: set[str]) -> NDArray[np.bool_]:
        """(rows, columns) True on surfaces of these materials."""
        table = np.array([False, *(surface.kind in kinds for surface in self.surfaces)])
        return table.take(self.index)


def survey(surfaces: tuple[Surface, ...], canvas: Canvas) -> Layer:
    """Which surface shows at each texel: the last one there; borders of natural ground wander by half a metre."""
    return canvas.once("survey", surfaces, lambda: _survey(surfaces, canvas))


def _survey(surfaces: tuple[Surface, ...], canvas: Canvas) -> Layer:
    soft, hard = _burn(surfaces, canvas, soft=True), _burn(surfaces, canvas, soft=False)
    octaves = ((3.0, 0.34), (0.9, 0.2))
    down, right = stack(canvas, octaves, 11), stack(canvas, octaves, 21)
    wandered = np.maximum(soft[_shifted(canvas, down, right)], hard[_shifted(canvas, 0.2 * down, 0.2 * right)])
    return Layer(surfaces=surfaces, index=wandered.astype(np.intp))


def burn(shapes: Iterable[tuple[BaseGeometry, int]], canvas: Canvas) -> NDArray[np.int32]:
    """(rows, columns) the number of the last shape that holds the texel's centre, 0 where none does."""
    listed = [(shape, number) for shape, number in shapes if not shape.is_empty]
    if not listed:
        return np.zeros(canvas.shape, np.int32)
    grid = Affine(canvas.step[1], 0.0, 0.0, 0.0, -canvas.step[0], canvas.size[1])
    return np.asarray(rasterize(listed, out_shape=canvas.shape, transform=grid, dtype="int32"), np.int32)


def window(ring: Ring, canvas: Canvas) -> tuple[slice, slice]:
    """Rows and columns of the canvas around a ring."""
    low, high = np.min(ring, axis=0), np.max(ring, axis=0)
    height, width = canvas.step
    top, bottom = int((canvas.size[1] - high[1]) / height) - 2, int((canvas.size[1] - low[1]) / height) + 3
    rows = slice(max(0, top), max(0, bottom))
    return rows, slice(max(0, int(low[0] / width) - 2), max(0, int(high[0] / width) + 3))


def _burn(surfaces: tuple[Surface, ...], canvas: Canvas, *, soft: bool) -> NDArray[np.int32]:
    chosen = ((one, number) for number, one in enumerate(surfaces, 1) if (one.kind in SOFT) == soft)
    return burn(((_plan(one), number) for one, number in chosen), canvas)


def _plan(surface: Surface) -> BaseGeometry:
    """A fence is thinner than a texel: as a line it stays unbroken."""
    if surface.use == "fence" and len(surface.line) > 1:
        return LineString(surface.line)
    return Polygon(surface.ring, surface.holes).buffer(0)


def _shifted(canvas: Canvas, down: Raster, right: Raster) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the texels `down` and `right` (rows, columns) metres from each."""
    rows, columns = np.indices(canvas.shape, dtype=np.float32, sparse=True)
    return (
        np.clip(np.rint(rows + down / np.float32(canvas.step[0])), 0, canvas.shape[0] - 1).astype(np.intp),
        np.clip(np.rint(columns + right / np.float32(canvas.step[1])), 0, canvas.shape[1] - 1).astype(np.intp),
    )
