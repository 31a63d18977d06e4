"""Roofs: a building's plan as sloping planes, by shape: flat, shed, gabled, hipped; on any simple polygon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import measured, mesh, wings
from mage_stac.scene.plans import GRID, SLIVER, Plane, polygons
from mage_stac.scene.scene import Building
from mage_stac.scene.wings import Wing

Array = NDArray[np.float64]

STEP = 0.25
"""Height of a layer of the fallback roof of plans without a simpler one, m."""
MOST_LAYERS = 40
REACH = 1e4
"""Half the side of the squares that stand for half-planes, m: more than any building."""


def plan(building: Building) -> Polygon:
    """The footprint less its courtyards, made valid: the largest part of several, a square of 1 m instead of none."""
    shape: BaseGeometry = Polygon()
    if len(building.footprint) > 2:
        shape = Polygon(building.footprint)
        shape = shape if shape.is_valid else shapely.make_valid(shape)
        courts = [shapely.make_valid(Polygon(hole)) for hole in building.holes if len(hole) > 2]
        shape = shape.difference(shapely.union_all(courts)) if courts else shape
    return _largest(shape) or _dot(building)


def eaves(building: Building) -> Polygon:
    """Outline of the roof from above: the plan grown by the overhang, corners kept sharp."""
    return _grown(plan(building), 0.0 if building.roof == "flat" else building.overhang)


def _grown(outline: Polygon, margin: float) -> Polygon:
    if margin < GRID:
        return outline
    return _largest(outline.buffer(margin, join_style="mitre", mitre_limit=2.0)) or outline


def planes(building: Building) -> list[Plane]:
    """Planes that together cover the eaves' outline once. The planes meet the walls' outer side at the eaves' height.

    Gabled and hipped roofs of plans with right angles are those of their wings, the upper one wherever wings overlap
    (for hips of one pitch that is the straight skeleton's roof). Other convex plans get one plane an edge; whatever is
    left is roofed by shrinking its outline step by step.
    """
    if building.overhang < GRID:  # buffers by next to nothing come out empty
        building = replace(building, overhang=0.0)
    outline, slope = plan(building), float(np.tan(np.radians(building.pitch)))
    if building.faces:
        return measured.planes(building) or [Plane(plan=outline, slope=(0.0, 0.0, building.height))]
    if building.roof == "flat" or slope < 1e-3:
        found = [Plane(plan=outline, slope=(0.0, 0.0, building.height))]
    elif building.roof == "shed":
        found = [Plane(plan=eaves(building), slope=_shed(outline, building.height, slope))]
    elif building.roof == "gabled":
        found = _gabled(outline, building, slope)
    else:
        found = _hipped(outline, building, slope)
    return _clipped(found, eaves(building))


def _gabled(outline: Polygon, building: Building, slope: float) -> list[Plane]:
    parts = wings.trimmed(wings.of(outline))
    if not parts:
        around = wings.box(outline)
        if outline.area < 0.75 * around.rectangle().area:
            return _hipped(outline, building, slope)
        parts = [around]
    return _upper([_gable(wing, building, slope) for wing in parts])


def _hipped(outline: Polygon, building: Building, slope: float) -> list[Plane]:
    parts = wings.of(outline)
    if parts:
        return _upper([_hip_wing(wing, building, slope) for wing in parts])
    if _convex(outline):
        return _hip(outline, building, slope)
    return _layered(outline, building, slope)


def _gable(wing: Wing, building: Building, slope: float) -> list[Plane]:
    """Two planes that meet over the wing's middle line."""
    middle, over = (wing.v[0] + wing.v[1]) / 2, building.overhang
    u0, u1 = wing.u[0] - over * wing.free[0], wing.u[1] + over * wing.free[1]
    planes = []
    for sign, edge in ((1.0, wing.v[0] - over), (-1.0, wing.v[1] + over)):
        a, b = sign * slope * wing.axes[1]
        height = building.height + slope * (wing.width / 2 - sign * middle)
        plan = Polygon(np.array([[u0, edge], [u1, edge], [u1, middle], [u0, middle]]) @ wing.axes)
        planes.append(Plane(plan=plan, slope=(float(a), float(b), height)))
    return planes


def _hip_wing(wing: Wing, building: Building, slope: float) -> list[Plane]:
    """Four planes over a rectangle; the ridge is as long as the wing is longer than wide."""
    over, half = building.overhang, wing.width / 2
    (u0, u1), (v0, v1) = wing.u, wing.v
    middle = (v0 + v1) / 2
    outer = np.array([[u0 - over, v0 - over], [u1 + over, v0 - over], [u1 + over, v1 + over], [u0 - over, v1 + over]])
    ridge = np.array([[u0 + half, middle], [u1 - half, middle]])
    rings = (
        (outer[[0, 1]], ridge[[1, 0]], (0.0, 1.0), -v0),
        (outer[[1, 2]], ridge[[1]], (-1.0, 0.0), u1),
        (outer[[2, 3]], ridge, (0.0, -1.0), v1),
        (outer[[3, 0]], ridge[[0]], (1.0, 0.0), -u0),
    )
    planes = []
    for eave, top, inward, offset in rings:
        a, b = slope * (np.array(inward) @ wing.axes)
        plan = Polygon(np.concatenate([eave, top]) @ wing.axes)
        planes.append(Plane(plan=plan, slope=(float(a), float(b), building.height + slope * offset)))
    return planes


def _hip(outline: Polygon, building: Building, slope: float) -> list[Plane]:
    """One plane an edge of a convex plan, each where it is the lowest."""
    planes = _edge_planes(outline, building.height, slope)
    around = outline.buffer(building.overhang, join_style="mitre", mitre_limit=2.0)
    found = []
    for i, one in enumerate(planes):
        piece: BaseGeometry = around
        for j, other in enumerate(planes):
            if i != j and not piece.is_empty:
                piece = _beyond(piece, tuple(o - p for o, p in zip(other, one, strict=True)))
        found += [Plane(plan=part, slope=one) for part in polygons(piece)]
    return found


def _edge_planes(outline: Polygon, height: float, slope: float) -> list[tuple[float, float, float]]:
    """A plane for each side of a plan that rises inwards from `height`, in the order of `_long_sides`."""
    line = _long_sides(outline)
    step = line[:, 1] - line[:, 0]
    inward = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.hypot(step[:, 0], step[:, 1])[:, None]
    offset = -np.sum(inward * line[:, 0], axis=1)
    planes = np.column_stack([slope * inward, height + slope * offset])
    return [(float(a), float(b), float(c)) for a, b, c in planes]


def sides(outline: Polygon) -> Array:
    """(N, 2, 2) sides of a plan and of its courtyards, the inside to the left."""
    rings = shapely.orient_polygons(outline)
    lines = [shapely.get_coordinates(ring) for ring in (rings.exterior, *rings.interiors)]
    return np.concatenate([np.stack([line[:-1], line[1:]], axis=1) for line in lines])


def _long_sides(outline: Polygon) -> Array:
    """(N, 2, 2) sides with points in one line merged and crumbs left out."""
    line = sides(shapely.simplify(outline, 0.02))
    result: Array = line[np.hypot(*(line[:, 1] - line[:, 0]).T) > 0.02]
    return result


def _upper(parts: Sequence[list[Plane]]) -> list[Plane]:
    """The upper one of several roofs wherever they overlap; of equal ones the first."""
    if len(parts) == 1:
        return parts[0]
    found = []
    for i, part in enumerate(parts):
        for face in part:
            left: BaseGeometry = face.plan
            for j, other in enumerate(parts):
                if i != j and not left.is_empty:
                    higher = _above(other, face, or_equal=j < i)
                    left = left if higher.is_empty else left.difference(higher)
            found += [Plane(plan=piece, slope=face.slope) for piece in polygons(left)]
    return found


def _above(roof: list[Plane], face: Plane, *, or_equal: bool) -> BaseGeometry:
    """Where a roof lies higher than a face's plane."""
    pieces: list[BaseGeometry] = []
    for other in roof:
        over = tuple(o - f for o, f in zip(other.slope, face.slope, strict=True))
        corners = shapely.get_coordinates(other.plan)
        rise = corners @ over[:2] + over[2]
        if rise.min() > 1e-6 or (or_equal and np.abs(rise).max() < 1e-6):
            pieces.append(other.plan)
        elif rise.max() > 1e-6:
            pieces.append(_beyond(other.plan, over))
    return shapely.union_all(pieces)


def _layered(outline: Polygon, building: Building, slope: float) -> list[Plane]:
    """Bands between ever smaller offsets of the outline, in triangles: any simple plan, never fails."""
    outer: BaseGeometry = outline.buffer(building.overhang, join_style="mitre", mitre_limit=2.0)
    reach = 2 * outer.area / outer.length + 2 * building.overhang
    step = max(STEP / slope, reach / MOST_LAYERS)
    found: list[Plane] = []
    for layer in range(4 * MOST_LAYERS):
        depth = layer * step - building.overhang
        inner = outline.buffer(-depth - step, join_style="mitre", mitre_limit=2.0)
        low = building.height + slope * depth
        for piece in polygons(outer.difference(inner)):
            found += _band(piece, outer.boundary, (low, low + slope * step))
        if inner.area < SLIVER:
            break
        outer = inner
    return found


def _band(piece: Polygon, foot: BaseGeometry, levels: tuple[float, float]) -> list[Plane]:
    """Triangles of a band that rises from `foot`, at the first level, to the second."""
    flat, _ = mesh.triangulate(np.array([piece], dtype=object))
    low = shapely.distance(shapely.points(flat), foot) < 10 * GRID
    found = []
    for corners, z in zip(flat, np.where(low, *levels), strict=True):
        plane = np.linalg.solve(np.column_stack([corners, np.ones(3)]), z)
        found.append(Plane(plan=Polygon(corners), slope=(float(plane[0]), float(plane[1]), float(plane[2]))))
    return found


def _convex(outline: Polygon) -> bool:
    return bool(outline.convex_hull.area < outline.area + SLIVER)


def _shed(outline: Polygon, height: float, slope: float) -> tuple[float, float, float]:
    """One plane that rises across the shorter side of the plan."""
    around = wings.box(outline)
    across = around.axes[1] * slope
    return float(across[0]), float(across[1]), height - slope * around.v[0]


def _clipped(found: Iterable[Plane], outline: Polygon) -> list[Plane]:
    """Faces cut to the outline; what they leave bare of it is laid to the plane of the nearest face."""
    faces = list(found)
    if _cover(faces, outline):
        return faces
    cut = [Plane(plan=part, slope=face.slope) for face in faces for part in polygons(face.plan.intersection(outline))]
    bare = outline.difference(shapely.union_all([face.plan for face in cut])) if cut else outline
    for part in polygons(bare):
        plane = (0.0, 0.0, 0.0)
        if faces:
            plane = faces[int(np.argmin(shapely.distance([face.plan for face in faces], part.centroid)))].slope
        cut.append(Plane(plan=part, slope=plane))
    return cut


def _cover(faces: Sequence[Plane], outline: Polygon) -> bool:
    """Whether the faces' plans together are the outline, and do not overlap."""
    area = sum(face.plan.area for face in faces)
    if abs(area - outline.area) > 3 * SLIVER:  # more than both differences below may leave: spares the union
        return False
    total = shapely.union_all([face.plan for face in faces])
    return bool(total.symmetric_difference(outline).area < SLIVER and area < total.area + SLIVER)


def _beyond(shape: BaseGeometry, line: Sequence[float]) -> BaseGeometry:
    """The part of a shape where a x + b y + c >= 0."""
    a, b, c = line
    norm = float(np.hypot(a, b))
    if norm < 1e-12:
        return shape if c >= 0 else Polygon()
    normal = np.array([a, b]) / norm
    centre = shapely.get_coordinates(shape.centroid)[0]
    foot = centre - (normal @ centre + c / norm) * normal
    side = np.array([-normal[1], normal[0]]) * REACH
    square = np.array([foot - side, foot + side, foot + side + REACH * normal, foot - side + REACH * normal])
    return shape.intersection(Polygon(square))


def _largest(shape: BaseGeometry) -> Polygon | None:
    if isinstance(shape, Polygon):
        return shape if shape.area > SLIVER else None
    return max(polygons(shape), key=lambda part: part.area, default=None)


def _dot(building: Building) -> Polygon:
    points = np.array(building.footprint, np.float64).reshape(-1, 2)
    x, y = points.mean(axis=0) if len(points) else (0.0, 0.0)
    return Polygon([(x - 0.5, y - 0.5), (x + 0.5, y - 0.5), (x + 0.5, y + 0.5), (x - 0.5, y + 0.5)])
