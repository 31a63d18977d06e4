"""Rasters over a scene: what its vectors and its terrain say on one grid of cells, row 0 at the north edge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import HazardError
from mage_stac.scene.scene import Building, Line, Ring, Scene

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def shape(scene: Scene, cell: float = 1.0) -> tuple[int, int]:
    """Rows and columns of the raster over the scene whose cells are nearest to `cell` metres."""
    return max(1, round(scene.size[1] / cell)), max(1, round(scene.size[0] / cell))


def step(scene: Scene, cell: float = 1.0) -> float:
    """The side of a square of a cell's true area, m: `cell`, but for the rounding to whole rows and columns."""
    rows, columns = shape(scene, cell)
    return sqrt(scene.size[0] * scene.size[1] / (rows * columns))


def affordable(scene: Scene, cell: float, most: int) -> float:
    """`cell` metres, or more where a scene would have more than `most` such cells."""
    return float(max(cell, (scene.size[0] * scene.size[1] / most) ** 0.5))


def centres(scene: Scene, cell: float = 1.0) -> tuple[Floats, Floats]:
    """East (columns,) and north (rows,) of the cells' centres, local metres."""
    rows, columns = shape(scene, cell)
    x, y = (np.arange(columns) + 0.5) / columns, 1.0 - (np.arange(rows) + 0.5) / rows
    return x * scene.size[0], y * scene.size[1]


def burn(scene: Scene, shapes: Iterable[tuple[BaseGeometry, int]], cell: float = 1.0) -> NDArray[np.int32]:
    """(rows, columns) the number of the last shape that holds the cell's centre, 0 where none does."""
    rows, columns = shape(scene, cell)
    listed = [(geometry, number) for geometry, number in shapes if not geometry.is_empty]
    if not listed:
        return np.zeros((rows, columns), np.int32)
    grid = Affine(scene.size[0] / columns, 0.0, 0.0, 0.0, -scene.size[1] / rows, scene.size[1])
    result: NDArray[np.int32] = rasterize(listed, out_shape=(rows, columns), transform=grid, dtype="int32")
    return result


def inside(scene: Scene, geometries: Iterable[BaseGeometry], cell: float = 1.0) -> Mask:
    """(rows, columns) True where a geometry holds the cell's centre."""
    return burn(scene, ((geometry, 1) for geometry in geometries), cell) > 0


def polygon(ring: Ring, holes: Sequence[Ring] = ()) -> BaseGeometry:
    """A valid polygon (or parts) of a scene's ring."""
    return shapely.make_valid(shapely.Polygon(ring, list(holes)))


def footprints(buildings: Sequence[Building]) -> list[BaseGeometry]:
    """The buildings' plans without their courtyards."""
    return [polygon(building.footprint, building.holes) for building in buildings]


def surfaces(scene: Scene, semantic: str) -> dict[int, BaseGeometry]:
    """Index in Scene.surfaces -> plan, of the surfaces of one meaning."""
    return {
        index: polygon(surface.ring, surface.holes)
        for index, surface in enumerate(scene.surfaces)
        if surface.semantic == semantic
    }


def terrain(scene: Scene, cell: float = 1.0) -> Floats:
    """(rows, columns) ground, m above datum, bilinear between the terrain's pixel centres; zeros when flat.

    Raises:
        HazardError: the terrain has voids.
    """
    if scene.terrain is None:
        return np.zeros(shape(scene, cell))
    voids = int(np.count_nonzero(~np.isfinite(scene.terrain)))
    if voids:
        raise HazardError(
            f"the terrain of scene {scene.id!r} has {voids} void cells of {scene.terrain.size}: "
            f"fill them before a hazard runs over it"
        )
    return resample(scene, scene.terrain, cell)


def resample(scene: Scene, values: ArrayLike, cell: float = 1.0) -> Floats:
    """(rows, columns) of `values`, a raster of any resolution over the scene, at the cells' centres."""
    values = np.asarray(values, np.float64)
    x, y = centres(scene, cell)
    rows = (scene.size[1] - y) / scene.size[1] * values.shape[0] - 0.5
    columns = x / scene.size[0] * values.shape[1] - 0.5
    where = np.meshgrid(rows, columns, indexing="ij")
    result: Floats = ndimage.map_coordinates(values, where, order=1, mode="nearest")
    return result


def sample(scene: Scene, values: NDArray[Any], x: ArrayLike, y: ArrayLike) -> NDArray[Any]:
    """Values of the cells under points (N,) in local metres; points off the scene take the nearest cell's."""
    rows = np.floor((scene.size[1] - np.asarray(y)) / scene.size[1] * values.shape[0]).astype(np.intp)
    columns = np.floor(np.asarray(x) / scene.size[0] * values.shape[1]).astype(np.intp)
    picked: NDArray[Any] = values[rows.clip(0, values.shape[0] - 1), columns.clip(0, values.shape[1] - 1)]
    return picked


def slope(ground: Floats, cell: float) -> Floats:
    """(rows, columns) rise over run, 0 is level; central differences."""
    if min(ground.shape) < 2:
        return np.zeros_like(ground)
    south, east = np.gradient(ground, cell)
    rise: Floats = np.hypot(south, east)
    return rise


def around(building: Building, distance: float) -> BaseGeometry:
    """The belt of `distance` metres round a building's walls."""
    plan = polygon(building.footprint)
    return shapely.difference(shapely.buffer(plan, distance, join_style="mitre"), plan)


def along(line: Line, spacing: float) -> tuple[Floats, Floats]:
    """Points (N, 2) every `spacing` metres along a line, ends included, and the unit vectors (N, 2) to its left."""
    path = shapely.LineString(line)
    distance = np.linspace(0.0, path.length, max(2, ceil(path.length / spacing) + 1))
    points = shapely.get_coordinates(shapely.line_interpolate_point(path, distance))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(path, np.minimum(distance + 0.05, path.length)))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(path, np.maximum(distance - 0.05, 0.0)))
    east, north = (ahead - behind).T
    length = np.maximum(np.hypot(east, north), 1e-12)
    return points, np.stack([-north / length, east / length], axis=1)
