"""Plans: pieces of roof as plane and outline seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

Array = NDArray[np.float64]

GRID = 1e-5
"""m: finer than 32-bit floats hold within a scene."""
SLIVER = 1e-4
"""Pieces of a plan smaller than this are dropped, m2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """A flat piece of roof: z = a x + b y + c over `plan`, m above the building's base."""

    plan: Polygon
    slope: tuple[float, float, float]
    """a, b, c."""

    def height(self, xy: Array) -> Array:
        """Heights at points (..., 2)."""
        result: Array = xy[..., 0] * self.slope[0] + xy[..., 1] * self.slope[1] + self.slope[2]
        return result


def to_rim(outline: BaseGeometry, at: Array) -> Array:
    """(N,) distances of points (N, 2) to the rim of a plan of few sides, m."""
    ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(outline)), return_index=True)
    same = ring[1][1:] == ring[1][:-1]
    start, step = ring[0][:-1][same], np.diff(ring[0], axis=0)[same]
    # Written out by axis: a sum over an axis of two takes numpy ten times as long.
    x, y = (at[:, None, axis] - start[:, axis] for axis in (0, 1))
    share = ((x * step[:, 0] + y * step[:, 1]) / np.maximum(np.square(step).sum(axis=1), 1e-12)).clip(0, 1)
    away = np.square(x - share * step[:, 0]) + np.square(y - share * step[:, 1])
    nearest: Array = np.sqrt(away.min(axis=1, initial=np.inf))
    return nearest


def lines(segments: Array) -> NDArray[np.object_]:
    """Line strings from (N, 2, 2)."""
    return np.asarray(shapely.linestrings(segments), dtype=object).reshape(len(segments))


def rings(corners: Array) -> NDArray[np.object_]:
    """Polygons from (N, K, 2)."""
    return np.asarray(shapely.polygons(corners), dtype=object).reshape(len(corners))


def polygons(shape: BaseGeometry) -> list[Polygon]:
    """The parts of a shape that have an area worth keeping, on a grid of GRID: cuts leave slits of rounding errors."""
    parts = shapely.get_parts(shapely.set_precision(shape, GRID))
    return [part for part in parts if isinstance(part, Polygon) and part.area > SLIVER]
