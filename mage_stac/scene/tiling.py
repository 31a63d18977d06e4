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
        middles: Array = self.corners[:, :, :2].mean(axis=1)
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


def cell_size(area: float, *, photo: bool = False) -> float:
    """Side of the cells for a roof of that area in m2; `photo`: cells take the colours of an image."""
    cell, most = (PHOTO_CELL, PHOTO_CELLS) if photo else (CELL, MOST_CELLS)
    return float(max(cell, np.sqrt(area / most)))


def axes(plane: Plane) -> Array:
    """(2, 2) rows: level direction and upward direction in plan; on a flat face, the main axes of its outline."""
    a, b, _ = plane.slope
    norm = np.hypot(a, b)
    angle = np.arctan2(b, a) - np.pi / 2 if norm > 1e-9 else wings.main_angle(plane.plan)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def cut(planes: Sequence[Plane], sizes: Sequence[float]) -> Tiles:
    """Cut each face into cells of its size, m; many faces at once, in their order."""
    frame = np.array([axes(plane) for plane in planes]).reshape(-1, 2, 2)
    grids = [_grid(plane, turn, size) for plane, turn, size in zip(planes, frame, sizes, strict=True)]
    parts = [convex_parts(plane.plan) for plane in planes]
    sides = _lines([part for group in parts for part in group])
    # One entry for each cell of a face and each convex part of that face.
    cells_of = np.array([len(grid) for grid in grids], np.intp)
    starts = np.cumsum(cells_of) - cells_of
    face_of_part = np.repeat(np.arange(len(planes)), [len(group) for group in parts])
    part = np.repeat(np.arange(len(face_of_part)), cells_of[face_of_part])
    cell = np.concatenate([np.zeros(0, np.intp), *(starts[f] + np.arange(cells_of[f]) for f in face_of_part)])
    owner = face_of_part[part]
    boxes = np.concatenate([np.zeros((0, 4)), *grids])
    flat, entry = convex_clip(_corners(boxes[cell], frame[owner]), sides, part)
    owner, cell = owner[entry], cell[entry]
    slope = np.array([plane.slope for plane in planes]).reshape(-1, 3)[owner]
    z = flat[..., 0] * slope[:, None, 0] + flat[..., 1] * slope[:, None, 1] + slope[:, None, 2]
    lowest = np.array([grid[0, 1] for grid in grids])
    middle = boxes[cell]
    return Tiles(
        corners=np.concatenate([flat, z[..., None]], axis=-1),
        face=owner,
        cell=cell,
        u=(middle[:, 0] + middle[:, 2]) / 2,
        v=(middle[:, 1] + middle[:, 3]) / 2 - lowest[owner],
    )


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
    kept = np.arange(len(cells))
    for edge in range(lines.shape[1]):
        a, b, c = np.take(lines[:, edge].T, part[kept], axis=1)
        side = x * a + y * b + c
        alive = (side > 0).any(axis=0) | (a == 0) & (b == 0)
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


def _grid(plane: Plane, frame: Array, size: float) -> Array:
    """(N, 4) u0, v0, u1, v1 of the cells over a face's extent, counted from its lowest edge."""
    points = shapely.get_coordinates(plane.plan) @ frame.T
    low, high = points.min(axis=0), points.max(axis=0)
    columns, rows = (max(int(np.ceil(extent / size - 1e-6)), 1) for extent in high - low)
    j, i = np.divmod(np.arange(columns * rows), columns)
    u, v = low[0] + size * i, low[1] + size * j
    return np.stack([u, v, u + size, v + size], axis=1)


def _corners(boxes: Array, frame: Array) -> Array:
    """(N, 4, 2) plan corners, counter-clockwise, of rectangles in turned frames."""
    turned = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], axis=1)
    corners: Array = turned @ frame
    return corners
