"""Mesh: triangles with their labels, and the few ways to make many at once: quads, polygons, copies of a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mage_stac.scene.scene import SEMANTIC

Points = NDArray[np.float64]
"""(..., 2) or (..., 3), m."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """The face arrays of Geometry, of a part of a scene."""

    vertices: NDArray[np.float32]
    """(V, 3) local metres."""
    triangles: NDArray[np.int32]
    """(T, 3) counter-clockwise seen from outside."""
    colour: NDArray[np.float32]
    """(T, 3) linear reflectance."""
    grain: NDArray[np.float32]
    """(T,) 0..1."""
    semantic: NDArray[np.uint8]
    """(T,)."""
    instance: NDArray[np.uint32]
    """(T,)."""

    @property
    def centroids(self) -> Points:
        """(T, 3) middles of the triangles."""
        middles: Points = self.vertices[self.triangles].astype(np.float64).mean(axis=1)
        return middles


def join(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of all, in order; of none, an empty one."""
    meshes = [mesh for mesh in meshes if len(mesh.triangles)]
    if not meshes:
        return _empty()
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=True)]
        ),
        colour=np.concatenate([mesh.colour for mesh in meshes]),
        grain=np.concatenate([mesh.grain for mesh in meshes]),
        semantic=np.concatenate([mesh.semantic for mesh in meshes]),
        instance=np.concatenate([mesh.instance for mesh in meshes]),
    )


def faces(
    corners: ArrayLike,
    colour: ArrayLike,
    *,
    grain: ArrayLike = 0.0,
    semantic: str = "object",
    instance: ArrayLike = 0,
) -> Mesh:
    """Mesh of N separate triangles (N, 3, 3) or planar quads (N, 4, 3), corners counter-clockwise from outside.

    `colour` (3,) or (N, 3); `grain` and `instance` () or (N,).
    """
    corners = np.asarray(corners, np.float32)
    count, sides = corners.shape[:2]
    fan = np.array([[0, 1, 2]] if sides == 3 else [[0, 1, 2], [0, 2, 3]], np.int32)
    triangles = (np.arange(count, dtype=np.int32)[:, None, None] * sides + fan).reshape(-1, 3)
    return Mesh(
        vertices=corners.reshape(-1, 3),
        triangles=triangles,
        colour=np.repeat(_rows(colour, count, 3), len(fan), axis=0),
        grain=np.repeat(np.broadcast_to(np.asarray(grain, np.float32), count), len(fan)),
        semantic=np.full(len(triangles), SEMANTIC[semantic], np.uint8),
        instance=np.repeat(np.broadcast_to(np.asarray(instance, np.uint32), count), len(fan)),
    )


def copies(template: Mesh, origin: ArrayLike, frame: ArrayLike, tint: ArrayLike, *, instance: ArrayLike = 0) -> Mesh:
    """N copies of a template: vertex v goes to frame @ v + origin, face colours are multiplied by tint.

    `origin` (N, 3); `frame` (N, 3, 3) with positive determinant; `tint` (3,) or (N, 3); `instance` () or (N,).
    """
    origin = np.asarray(origin, np.float64).reshape(-1, 3)
    count, size = len(origin), len(template.vertices)
    vertices = np.matmul(template.vertices[None], np.swapaxes(np.asarray(frame, np.float32), 1, 2))
    vertices += origin[:, None].astype(np.float32)
    offsets = (np.arange(count, dtype=np.int32) * size)[:, None, None]
    colour = template.colour[None] * _rows(tint, count, 3)[:, None]
    number = np.broadcast_to(np.asarray(instance, np.uint32), count)
    return Mesh(
        vertices=vertices.reshape(-1, 3).astype(np.float32),
        triangles=(template.triangles[None] + offsets).reshape(-1, 3),
        colour=colour.reshape(-1, 3).clip(0.0, 1.0),
        grain=np.tile(template.grain, count),
        semantic=np.tile(template.semantic, count),
        instance=np.repeat(number, len(template.triangles)),
    )


def frames(yaw: ArrayLike, size: ArrayLike, *, pitch: ArrayLike = 0.0, roll: ArrayLike = 0.0) -> Points:
    """(N, 3, 3) scale, then roll about x, pitch (x upwards), yaw (counter-clockwise); radians; `size` (N, 3)."""
    size = np.asarray(size, np.float64).reshape(-1, 3)
    yaw, pitch, roll = (np.broadcast_to(np.asarray(angle, np.float64), len(size)) for angle in (yaw, pitch, roll))
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rows = [
        [cy * cp, -sy * cr - cy * sp * sr, sy * sr - cy * sp * cr],
        [sy * cp, cy * cr - sy * sp * sr, -cy * sr - sy * sp * cr],
        [sp, cp * sr, cp * cr],
    ]
    rotation = np.moveaxis(np.array(rows), 2, 0)
    return rotation * size[:, None, :]


@cache
def box(*, semantic: str = "object", grain: float = 0.0, bottom: bool = False) -> Mesh:
    """Template of unit size, standing on z = 0 with its middle at x = y = 0; white."""
    low, high = -0.5, 0.5
    square = np.array([[low, low], [high, low], [high, high], [low, high]])
    sides = [
        [[*square[i], 0.0], [*square[(i + 1) % 4], 0.0], [*square[(i + 1) % 4], 1.0], [*square[i], 1.0]]
        for i in range(4)
    ]
    top = [[*corner, 1.0] for corner in square]
    under = [[*corner, 0.0] for corner in square[::-1]]
    return faces([top, *sides, *([under] if bottom else [])], (1.0, 1.0, 1.0), grain=grain, semantic=semantic)


@cache
def sheet(*, semantic: str = "object", grain: float = 0.0) -> Mesh:
    """Template of a level square of unit size around the origin, facing up; white."""
    corners = [[[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]]]
    return faces(corners, (1.0, 1.0, 1.0), grain=grain, semantic=semantic)


def triangulate(polygons: NDArray[np.object_]) -> tuple[Points, NDArray[np.intp]]:
    """Cut plan polygons into triangles.

    Args:
        polygons: (N,) shapely geometries of any kind; what has no area is left out.

    Returns:
        Corners (T, 3, 2), counter-clockwise, and for each triangle the index of its polygon.
    """
    parts, owner = shapely.get_parts(polygons, return_index=True)
    solid = (shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1e-7)
    parts, owner = parts[solid], owner[solid]
    corners, part = _fans(parts)
    area = _cross(corners)
    # A fan is right for convex parts only: there its pieces have one sign and sum up to the whole.
    turned = np.bincount(part, np.abs(area), minlength=len(parts)) / 2 > shapely.area(parts) * (1 + 1e-6) + 1e-9
    simple = ~(turned | (shapely.get_num_interior_rings(parts) > 0))
    pieces, source = shapely.get_parts(shapely.constrained_delaunay_triangles(parts[~simple]), return_index=True)
    # Rings of three corners, the first repeated.
    harder = shapely.get_coordinates(pieces).reshape(-1, 4, 2)[:, :3]
    kept = simple[part] & (np.abs(area) > 1e-9)
    corners = np.concatenate([corners[kept], harder])
    index = np.concatenate([owner[part[kept]], owner[~simple][source]])
    clockwise = _cross(corners) < 0
    corners[clockwise] = corners[clockwise][:, ::-1]
    order = np.argsort(index, kind="stable")
    return corners[order], index[order]


def _fans(parts: NDArray[np.object_]) -> tuple[Points, NDArray[np.intp]]:
    """Triangles (first, i, i + 1) of each polygon's outer ring: (T, 3, 2) and the polygon's index."""
    rings = shapely.get_exterior_ring(parts)
    points = shapely.get_coordinates(rings)
    count = shapely.get_num_coordinates(rings).astype(np.intp)  # the first point is repeated at the end
    start = np.cumsum(count) - count
    triangles = np.maximum(count - 3, 0)
    part = np.repeat(np.arange(len(parts)), triangles)
    step = np.arange(len(part)) - np.repeat(np.cumsum(triangles) - triangles, triangles)
    first = start[part]
    corners = np.stack([points[first], points[first + step + 1], points[first + step + 2]], axis=1)
    return corners.reshape(-1, 3, 2), part


def _cross(corners: Points) -> Points:
    """Twice the signed area of plan triangles (T, 3, 2)."""
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    result: Points = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    return result


def _rows(values: ArrayLike, count: int, width: int) -> NDArray[np.float32]:
    return np.broadcast_to(np.asarray(values, np.float32), (count, width))


def _empty() -> Mesh:
    return Mesh(
        vertices=np.zeros((0, 3), np.float32),
        triangles=np.zeros((0, 3), np.int32),
        colour=np.zeros((0, 3), np.float32),
        grain=np.zeros(0, np.float32),
        semantic=np.zeros(0, np.uint8),
        instance=np.zeros(0, np.uint32),
    )
