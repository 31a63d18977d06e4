"""Tiling: roof faces cut into small cells, so that colour and damage can change within a slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import wings
from mage_stac.scene.plans import Plane

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CELL = 0.7
"""Side of a cell, m: about the finest pixel that scenes are seen at."""
MOST_CELLS = 600
"""Cells on one roof, about; larger roofs get larger cells."""
PHOTO_CELL, PHOTO_CELLS = 0.45, 20_000
"""The same where the cells show an image, whose pixels are not to be lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """Triangles of a roof, several to a cell; a cell is a rectangle with two sides level."""

    corners: Array
    """(T, 3, 3) m, counter-clockwise from above, z above the building's base."""
    face: Index
    """(T,) index of the roof face."""
    cell: Index
    """(T,) number of the cell, the same for all triangles of one."""
    u: Array
    """(T,) middle of the cell along the slope's level direction, m."""
    v: Array
    """(T,) middle of the cell up the slope, m in plan from the face's lowest point."""

    @property
    def xy(self) -> Array:
        """(T, 2) middles of the triangles."""
        middles: Array = middle(self.corners[:, :, :2])
        return middles

    @property
    def uv(self) -> Array:
        """(T, 2) u and v."""
        return np.column_stack([self.u, self.v])

    def where(self, chosen: NDArray[np.bool_]) -> Tiles:
        """The chosen triangles."""
        return self._select(chosen, 0, 0)

    def part(self, rows: slice, first_face: int) -> Tiles:
        """A run of triangles, faces counted from `first_face`, cells from 0."""
        return self._select(rows, first_face, int(self.cell[rows].min(initial=len(self.cell))))

    def _select(self, rows: NDArray[np.bool_] | slice, first_face: int, first_cell: int) -> Tiles:
        return Tiles(
            corners=self.corners[rows],
            face=self.face[rows] - first_face,
            cell=self.cell[rows] - first_cell,
            u=self.u[rows],
            v=self.v[rows],
        )


def middle(corners: Array) -> Array:
    """(T, N) middles of triangles (T, 3, N); a mean over an axis of three takes numpy ten times as long."""
    middles: Array = (corners[:, 0] + corners[:, 1] + corners[:, 2]) / 3
    return middles


def cell_size(area: float, *, photo: bool = False) -> float:
    """Side of the cells for a roof of that area in m2; `photo`: cells take the colours of an image."""
    cell, most = (PHOTO_CELL, PHOTO_CELLS) if photo else (CELL, MOST_CELLS)
    return float(max(cell, np.sqrt(area / most)))


def axes(plane: Plane) -> Array:
    """(2, 2) rows: level direction and upward direction in plan; on a flat face, the main axes of its outline."""
    a, b, _ = plane.slope
    norm = np.hypot(a, b)
    angle = np.arctan2(b, a) - np.pi / 2 if norm > 1e-9 else wings.main_angle(plane.plan)
    return wings.rotation(angle)


def cut(planes: Sequence[Plane], sizes: Sequence[float]) -> Tiles:
    """Cut each face into cells of its size, m; many faces at once, in their order."""
    frame = np.array([axes(plane) for plane in planes]).reshape(-1, 2, 2)
    side = np.asarray(sizes, np.float64).reshape(-1, 1)
    low, high = _extents([plane.plan for plane in planes], frame)
    count = np.maximum(np.ceil((high - low) / side - 1e-6).astype(np.intp), 1)
    first = np.cumsum(count.prod(axis=1)) - count.prod(axis=1)
    groups = [convex_parts(plane.plan) for plane in planes]
    parts = [part for group in groups for part in group]
    face = np.repeat(np.arange(len(planes)), [len(group) for group in groups])
    part, place = _near(_extents(parts, frame[face]), low[face], side[face], count[face])
    owner = face[part]
    corner = low[owner] + side[owner] * place
    boxes = np.concatenate([corner, corner + side[owner]], axis=1)
    flat, entry = convex_clip(_corners(boxes, frame[owner]), _lines(parts), part)
    owner, place, boxes = owner[entry], place[entry], boxes[entry]
    slope = np.array([plane.slope for plane in planes]).reshape(-1, 3)[owner]
    z = flat[..., 0] * slope[:, None, 0] + flat[..., 1] * slope[:, None, 1] + slope[:, None, 2]
    return Tiles(
        corners=np.concatenate([flat, z[..., None]], axis=-1),
        face=owner,
        cell=first[owner] + place[:, 1] * count[owner, 0] + place[:, 0],
        u=(boxes[:, 0] + boxes[:, 2]) / 2,
        v=(boxes[:, 1] + boxes[:, 3]) / 2 - low[owner, 1],
    )


def _extents(shapes: Sequence[Polygon], frame: Array) -> tuple[Array, Array]:
    """(N, 2) least and greatest u, v of plans, each in its own frame (N, 2, 2)."""
    points, owner = shapely.get_coordinates(np.array(shapes, object), return_index=True)
    if not len(points):
        return np.zeros((0, 2)), np.zeros((0, 2))
    turned = frame[owner, :, 0] * points[:, :1] + frame[owner, :, 1] * points[:, 1:]
    first = np.searchsorted(owner, np.arange(len(shapes)))
    return np.minimum.reduceat(turned, first), np.maximum.reduceat(turned, first)


def _near(extents: tuple[Array, Array], low: Array, side: Array, count: Index) -> tuple[Index, Index]:
    """The cells that a part's extents reach: (M,) the part, part by part, and (M, 2) column and row of the cell.

    `low` (N, 2) is where cells count from, `side` (N, 1) how large they are, `count` (N, 2) how many there are.
    """
    first = np.clip(np.floor((extents[0] - low) / side).astype(np.intp), 0, count - 1)
    span = np.clip(np.ceil((extents[1] - low) / side).astype(np.intp), first + 1, count) - first
    cells = span.prod(axis=1)
    part = np.repeat(np.arange(len(span)), cells)
    row, column = np.divmod(np.arange(len(part)) - np.repeat(np.cumsum(cells) - cells, cells), span[part, 0])
    return part, first[part] + np.stack([column, row], axis=1)


def region(planes: Sequence[Plane], tiles: Tiles, size: float) -> BaseGeometry:
    """Plan region under tiles whose cells have that size, by runs of cells: far quicker than uniting triangles."""
    found = []
    for number in np.unique(tiles.face):
        own = tiles.face == number
        _, first = np.unique(tiles.cell[own], return_index=True)
        u, v = tiles.u[own][first], tiles.v[own][first]
        # Cells count along rows: a run ends where the next one is in another row or not next to it.
        breaks = np.flatnonzero((np.diff(v) > 0.5 * size) | (np.diff(u) > 1.5 * size)) + 1
        start, stop = np.array([0, *breaks]), np.array([*breaks, len(u)]) - 1
        plane = planes[number]
        lowest = (shapely.get_coordinates(plane.plan) @ axes(plane)[1]).min() + v[start]
        half = 0.5 * size + 0.01
        runs = np.stack([u[start] - half, lowest - half, u[stop] + half, lowest + half], axis=1)
        strips = shapely.polygons(_corners(runs, np.tile(axes(plane), (len(runs), 1, 1))))
        found.append(shapely.union_all(strips).intersection(plane.plan.buffer(0.01)))
    return shapely.union_all(found)


def convex_parts(plan: Polygon) -> list[Polygon]:
    """The plan itself where it is convex, else its triangles."""
    if plan.convex_hull.area < plan.area * (1 + 1e-6):
        return [plan]
    return [part for part in shapely.get_parts(shapely.constrained_delaunay_triangles(plan)) if part.area > 1e-6]


def convex_clip(cells: Array, lines: Array, part: Index) -> tuple[Array, Index]:
    """Clip convex polygons to convex polygons, all at once (Sutherland & Hodgman 1974, doi:10.1145/360767.360802).

    Args:
        cells: (N, K, 2) corners, counter-clockwise.
        lines: (P, E, 3) a, b, c with a x + b y + c >= 0 inside, rows (0, 0, 0) to fill up.
        part: (N,) row of `lines` for each cell.

    Returns:
        Triangles (T, 3, 2), counter-clockwise, and for each the index of its cell.
    """
    # Corner by corner in memory: sums and tests over a cell's few corners would take numpy ten times as long.
    x, y = (np.ascontiguousarray(cells[..., axis].T) for axis in (0, 1))
    touched, whole = _where(x, y, lines, part)
    clipped = _clip_all(x[:, touched], y[:, touched], lines, part[touched])
    fans = [_fan(x[:, whole], y[:, whole], np.flatnonzero(whole)), clipped]
    corners, cell = np.concatenate([fan[0] for fan in fans]), np.concatenate([fans[0][1], touched[clipped[1]]])
    order = np.argsort(cell, kind="stable")
    return corners[order], cell[order]


def _where(x: Array, y: Array, lines: Array, part: Index) -> tuple[Index, NDArray[np.bool_]]:
    """Cells (K, N) that a side of their part may cut, by number, and (N,) True for those that lie inside it whole."""
    inside, outside = np.ones(x.shape[1], bool), np.zeros(x.shape[1], bool)
    for edge in range(lines.shape[1]):
        a, b, c = np.take(lines[:, edge].T, part, axis=1)
        side = x * a + y * b + c
        inside &= side.min(axis=0) >= 0
        outside |= (side.max(axis=0) <= 0) & ((a != 0) | (b != 0))
    return np.flatnonzero(~inside & ~outside), inside


def _clip_all(x: Array, y: Array, lines: Array, part: Index) -> tuple[Array, Index]:
    """`convex_clip` of cells given by their corners' x and y, each (K, N)."""
    kept = np.arange(x.shape[1])
    for edge in range(lines.shape[1]):
        a, b, c = np.take(lines[:, edge].T, part[kept], axis=1)
        side = x * a + y * b + c
        alive = (side.max(axis=0, initial=-np.inf) > 0) | (a == 0) & (b == 0)
        if not alive.all():
            x, y, side, kept = x[:, alive], y[:, alive], side[:, alive], kept[alive]
        cut = (side < 0).any(axis=0)
        if cut.any():
            clipped = _clip_once(x[:, cut], y[:, cut], side[:, cut])
            room = max(len(clipped[0]), len(x))
            x, y = _filled(x, room), _filled(y, room)
            x[:, cut], y[:, cut] = (_filled(values, room) for values in clipped)
    return _fan(x, y, kept)


def _clip_once(x: Array, y: Array, side: Array) -> tuple[Array, Array]:
    """Corners (K, N) on the inner side, and the points where the outline crosses the line: x and y, each (M, N)."""
    after = np.roll(side, -1, axis=0)
    crosses = (side >= 0) != (after >= 0)
    share = np.where(crosses, side / np.where(crosses, side - after, 1.0), 0.0)
    used = np.stack([side >= 0, crosses], axis=1).reshape(-1, side.shape[1])
    place = np.cumsum(used, axis=0)
    most, column = int(place[-1].max()), np.nonzero(used)[1]
    clipped = []
    for values in (x, y):
        points = np.stack([values, values + share * (np.roll(values, -1, axis=0) - values)], axis=1)
        points = points.reshape(used.shape)
        first = points[used.argmax(axis=0), np.arange(points.shape[1])]
        found = np.repeat(first[None], most, axis=0)
        found[place[used] - 1, column] = points[used]
        clipped.append(found)
    return clipped[0], clipped[1]


def _filled(values: Array, room: int) -> Array:
    """As many corners as `room`, the first one repeated at the end."""
    return np.concatenate([values, np.repeat(values[:1], room - len(values), axis=0)])


def _fan(x: Array, y: Array, kept: Index) -> tuple[Array, Index]:
    east, north = x - x[:1], y - y[:1]
    solid = east[1:-1] * north[2:] - north[1:-1] * east[2:] > 1e-9
    cell, step = np.nonzero(solid.T)
    corners = [np.stack([x[row, cell], y[row, cell]], axis=1) for row in (np.zeros_like(step), step + 1, step + 2)]
    return np.stack(corners, axis=1), kept[cell]


def _lines(parts: Sequence[Polygon]) -> Array:
    """(P, E, 3) inward half-planes of convex polygons' sides, normals of unit length; zeros to fill up.

    Sides shorter than a millimetre are left out: rounding of earlier cuts may have them point anywhere.
    """
    rings = shapely.get_exterior_ring(shapely.orient_polygons(parts))
    points, owner = shapely.get_coordinates(rings, return_index=True)
    step, start = np.diff(points, axis=0), points[:-1]
    length = np.hypot(step[:, 0], step[:, 1])
    real = (owner[1:] == owner[:-1]) & (length > 1e-3)
    step, start, row = step[real], start[real], owner[:-1][real]
    a, b = -step[:, 1] / length[real], step[:, 0] / length[real]
    sides = np.bincount(row, minlength=len(parts))
    lines = np.zeros((len(parts), int(sides.max(initial=0)), 3))
    place = np.arange(len(row)) - np.repeat(np.cumsum(sides) - sides, sides)
    lines[row, place] = np.stack([a, b, -(a * start[:, 0] + b * start[:, 1])], axis=1)
    return lines


def _corners(boxes: Array, frame: Array) -> Array:
    """(N, 4, 2) plan corners, counter-clockwise, of rectangles in turned frames."""
    turned = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], axis=1)
    corners: Array = turned @ frame
    return corners
