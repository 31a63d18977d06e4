"""Lattice: smooth random fields over a whole raster, cheap however large the raster is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

Raster = NDArray[np.float32]
Made = TypeVar("Made")
Kept = dict[str, tuple[Any, Any]]
"""Of each name what was made last, after what it was made from."""
SPREAD = 151.0 / 315.0
"""Variance that cubic B-spline interpolation of unit noise keeps along one axis, averaged over positions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """Grid of the ground texture: `size` metres (width, height) in square texels, row 0 north."""

    size: tuple[float, float]
    texel: float
    seed: int
    kept: Kept = field(default_factory=dict, compare=False, repr=False)
    """What `once` keeps; canvases of a place's dates share it."""

    def once(self, name: str, given: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """What `make` returns, or did on another date of the place from the same `given`; it must not be changed."""
        source = (self.size, self.texel, self.seed, given)
        if name not in self.kept or self.kept[name][0] != source:
            self.kept[name] = source, make()
        made: Made = self.kept[name][1]
        return made

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns: whole texels that cover the scene."""
        return max(1, round(self.size[1] / self.texel)), max(1, round(self.size[0] / self.texel))

    @property
    def step(self) -> tuple[float, float]:
        """Height and width of a texel, m: `texel` but for the rounding to whole rows and columns."""
        rows, columns = self.shape
        return self.size[1] / rows, self.size[0] / columns

    def resampled(self, values: NDArray[np.float32]) -> Raster:
        """A raster over the scene on this grid, bilinear between cell centres; nothing below 0."""
        down, right = (
            (np.arange(here) + 0.5) * there / here - 0.5 for here, there in zip(self.shape, values.shape, strict=True)
        )
        where = np.meshgrid(down, right, indexing="ij")
        result: Raster = ndimage.map_coordinates(values.astype(np.float32), where, order=1, mode="nearest")
        return result.clip(min=0)

    def rng(self, key: int) -> np.random.Generator:
        """A generator of its own for each `key`."""
        return np.random.default_rng([self.seed, key])

    def x(self) -> Raster:
        """(1, columns) of texel centres, m."""
        return ((np.arange(self.shape[1], dtype=np.float32) + 0.5) * np.float32(self.step[1]))[None, :]

    def y(self) -> Raster:
        """(rows, 1) of texel centres, m, falling."""
        rows = self.size[1] - (np.arange(self.shape[0], dtype=np.float32) + 0.5) * self.step[0]
        return rows.astype(np.float32)[:, None]


def smooth(canvas: Canvas, cell: float, key: int) -> Raster:
    """A field (rows, columns) of mean 0 and about unit variance with features of `cell` metres.

    Random values on a lattice anchored at the north-west corner, joined by cubic B-splines: the same `key` gives the
    same field at every texel size.
    """
    nodes = [int(side / cell) + 4 for side in (canvas.size[1], canvas.size[0])]
    values = canvas.rng(key).standard_normal(nodes).astype(np.float32)
    down, right = (_spline(canvas.shape[axis], canvas.step[axis] / cell, nodes[axis]) for axis in (0, 1))
    across = np.ascontiguousarray((right @ values.T).T)
    field: Raster = np.asarray(down @ across, np.float32)
    field /= np.float32(SPREAD)
    return field


def _spline(count: int, step: float, nodes: int) -> sparse.csr_array:
    """(count, nodes) weights of the cubic B-splines at points `step` nodes apart, half a step from the first."""
    places = (np.arange(count, dtype=np.float64) + 0.5) * step
    first = np.floor(places).astype(np.int32)
    t = places - first
    weights = np.stack(
        [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6], axis=1
    )
    columns = first[:, None] + np.arange(4, dtype=np.int32)
    starts = np.arange(0, 4 * count + 1, 4, dtype=np.int32)
    return sparse.csr_array((weights.astype(np.float32).ravel(), columns.ravel(), starts), shape=(count, nodes))


def stack(canvas: Canvas, octaves: Iterable[tuple[float, float]], key: int) -> Raster:
    """Sum of smooth fields, one per (cell in metres, weight)."""
    total = np.zeros(canvas.shape, np.float32)
    for number, (cell, weight) in enumerate(octaves):
        total += np.float32(weight) * smooth(canvas, cell, key + number)
    return total


def white(canvas: Canvas, key: int) -> Raster:
    """Unit noise, independent from texel to texel."""
    return canvas.rng(key).standard_normal(canvas.shape, dtype=np.float32)
