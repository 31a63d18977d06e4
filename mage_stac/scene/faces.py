"""Faces: measured faces of buildings in space: their plan, their slope, the roof that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from mage_stac.scene.scene import Face, Ring3

Points = NDArray[np.float64]

UPRIGHT = 0.15
"""A face whose unit normal's z is smaller is a wall: it stands steeper than 81 degrees."""
LEVEL = np.cos(np.radians(7.0))
"""A face whose unit normal's z is larger is flat."""


def of_points(rings: Sequence[Points], kind: str = "") -> Face:
    """A face from its rings (each (N, 3), the first the outer one); without a `kind` its slope tells it."""
    if not kind:
        z = normal(rings[0])[2]
        kind = "roof" if z > UPRIGHT else "ground" if z < -UPRIGHT else "wall"
    return Face(ring=_ring(rings[0]), holes=tuple(_ring(ring) for ring in rings[1:]), kind=kind)


def _ring(points: Points) -> Ring3:
    return tuple((float(x), float(y), float(z)) for x, y, z in points)


def shifted(face: Face, east: float, north: float, up: float = 0.0, digits: int = 3) -> Face:
    """The face moved, in metres, and rounded."""

    def move(ring: Ring3) -> Ring3:
        return tuple((round(x + east, digits), round(y + north, digits), round(z + up, digits)) for x, y, z in ring)

    return replace(face, ring=move(face.ring), holes=tuple(move(hole) for hole in face.holes))


def normal(ring: Points | Ring3) -> Points:
    """Unit normal (3,) by Newell's method: right for rings that are not quite plane; zero where there is no area."""
    points = np.asarray(ring, dtype=np.float64)
    x, y, z = (points - points[0]).T
    u, v, w = x[[*range(1, len(x)), 0]], y[[*range(1, len(y)), 0]], z[[*range(1, len(z)), 0]]
    total = np.array([np.dot(y, w) - np.dot(z, v), np.dot(z, u) - np.dot(x, w), np.dot(x, v) - np.dot(y, u)])
    length = float(np.linalg.norm(total))
    return total / length if length > 1e-9 else np.zeros(3)


def plan(face: Face) -> Polygon:
    """The face seen from above; empty where it stands upright or is folded in plan."""
    ring = np.array(face.ring)[:, :2]
    polygon = Polygon(ring, [np.array(hole)[:, :2] for hole in face.holes])
    if polygon.is_valid:
        return polygon
    parts = [part for part in shapely.get_parts(shapely.make_valid(polygon)) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def roof_form(own: Sequence[Face]) -> tuple[str, float, float]:
    """What a measured roof is most like: (flat, shed, gabled or hipped; pitch in degrees; eaves, m above datum)."""
    roofs = [face for face in own if face.kind == "roof"]
    normals = np.array([normal(face.ring) for face in roofs]).reshape(-1, 3)
    areas = np.array([plan(face).area for face in roofs])
    heights = [np.array(face.ring)[:, 2] for face in roofs]
    sloped = (normals[:, 2] < LEVEL) & (normals[:, 2] > UPRIGHT) & (areas > 0.5)
    if areas[sloped].sum() < 0.4 * areas.sum() or not sloped.any():
        weights = np.maximum(areas, 1e-6)
        top = float(np.average([z.mean() for z in heights], weights=weights)) if roofs else 0.0
        return "flat", 0.0, top
    pitch = float(np.average(np.degrees(np.arccos(normals[sloped, 2])), weights=areas[sloped]))
    eaves = float(np.average([z.min() for z, s in zip(heights, sloped, strict=True) if s], weights=areas[sloped]))
    facing = np.round(np.degrees(np.arctan2(normals[sloped, 0], normals[sloped, 1])) / 30).astype(int) % 12
    shares = np.bincount(facing, areas[sloped], minlength=12) / areas[sloped].sum()
    directions = int(np.count_nonzero(shares > 0.08))
    return ("shed", "gabled")[directions == 2] if directions < 3 else "hipped", pitch, eaves
