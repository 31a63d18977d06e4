"""Measured buildings: the faces of LoD2 city models as roof planes and wall triangles."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.scene import mesh
from mage_stac.scene.plans import Plane, polygons
from mage_stac.scene.scene import Building, Face, Ring3

Array = NDArray[np.float64]

STEEPEST = 0.05
"""Roof faces whose normal rises less than this share of its length are left out: they show nothing from above."""


def planes(building: Building) -> list[Plane]:
    """The roof faces of a measured building, z above its base; the highest one where faces overlap in plan."""
    found = []
    for face in building.faces:
        normal = _normal(face.ring)
        if face.kind == "roof" and normal[2] > STEEPEST:
            point = np.mean(face.ring, axis=0)
            a, b = -normal[0] / normal[2], -normal[1] / normal[2]
            slope = (float(a), float(b), float(point[2] - a * point[0] - b * point[1] - building.base))
            plan = Polygon([p[:2] for p in face.ring], [[p[:2] for p in hole] for hole in face.holes])
            found += [Plane(plan=part, slope=slope) for part in polygons(shapely.make_valid(plan))]
    return found


def triangles(face: Face) -> Array:
    """(T, 3, 3) triangles of a face in any position, absolute z, counter-clockwise from outside; none if degenerate."""
    normal = _normal(face.ring)
    if not normal.any():
        return np.zeros((0, 3, 3))
    one = np.cross(normal, [0.0, 0.0, 1.0] if abs(normal[2]) < 0.9 else [1.0, 0.0, 0.0])
    one /= np.linalg.norm(one)
    basis = np.stack([one, np.cross(normal, one), normal])
    origin = np.mean(face.ring, axis=0)
    flat = Polygon(_turned(face.ring, origin, basis), [_turned(hole, origin, basis) for hole in face.holes])
    corners, _ = mesh.triangulate(np.array([shapely.make_valid(flat)], dtype=object))
    lifted: Array = np.concatenate([corners, np.zeros((len(corners), 3, 1))], axis=2) @ basis + origin
    return lifted


def _normal(ring: Ring3) -> Array:
    """Unit normal by Newell's method; zeros for a ring without area."""
    points = np.asarray(ring, np.float64)
    points = points - points.mean(axis=0)
    total = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
    length = float(np.linalg.norm(total))
    return total / length if length > 1e-9 else np.zeros(3)


def _turned(ring: Ring3, origin: Array, basis: Array) -> Array:
    turned: Array = ((np.asarray(ring, np.float64) - origin) @ basis.T)[:, :2]
    return turned
