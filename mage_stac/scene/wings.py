"""Wings: a plan polygon as overlapping rectangles, the parts that a builder would roof one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

TOLERANCE = 0.3
"""An edge may stray this far from the main axes, m, and still count as parallel to one."""
MOST_STEPS = 14
"""With more distinct offsets along an axis than this, a plan is no longer taken for one of wings."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wing:
    """A rectangle in a frame turned by `angle`; u runs along the ridge, v across it."""

    angle: float
    """Of u, radians counter-clockwise from east."""
    u: tuple[float, float]
    v: tuple[float, float]
    free: tuple[bool, bool] = (True, True)
    """Whether the end at u[0], u[1] is an outer one; else it dies into another wing's roof."""

    @property
    def width(self) -> float:
        return self.v[1] - self.v[0]

    @property
    def axes(self) -> Array:
        """(2, 2) rows u and v as east, north."""
        return rotation(self.angle)

    def rectangle(self) -> Polygon:
        """Plan outline."""
        (u0, u1), (v0, v1) = self.u, self.v
        return Polygon(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]) @ self.axes)


def main_angle(plan: Polygon) -> float:
    """Direction that most of the outline follows or crosses at right angles, radians in [0, pi / 2)."""
    steps = np.diff(shapely.get_coordinates(plan.exterior), axis=0)
    angles, lengths = np.arctan2(steps[:, 1], steps[:, 0]), np.hypot(steps[:, 0], steps[:, 1])
    # Four times the angle: directions a quarter turn apart count as one.
    total = np.sum(lengths * np.exp(4j * angles))
    return float(np.angle(total) / 4 % (np.pi / 2))


def rotation(angle: float) -> Array:
    """(2, 2) rows: the direction at an angle, radians, and that a quarter turn to its left."""
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def box(plan: Polygon) -> Wing:
    """The smallest rectangle around a plan, in its main axes, ridge along the longer side."""
    angle = main_angle(plan)
    turn = rotation(angle)
    points = shapely.get_coordinates(plan.exterior) @ turn.T
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return _along_longer_side(angle, x0, y0, x1, y1)


def of(plan: Polygon) -> list[Wing]:
    """Rectangles that together cover a plan with right angles, widest first; empty when it has none such.

    The rectangles are the largest that fit inside, so those of an L overlap in its corner.
    """
    angle = main_angle(plan)
    turn = rotation(angle)
    rings = [shapely.get_coordinates(ring) @ turn.T for ring in (plan.exterior, *plan.interiors)]
    points = np.concatenate(rings)
    steps = np.abs(np.concatenate([np.diff(ring, axis=0) for ring in rings]))
    if np.any(np.minimum(steps[:, 0], steps[:, 1]) > TOLERANCE):
        return []
    xs, ys = _levels(points[:, 0]), _levels(points[:, 1])
    if min(len(xs), len(ys)) < 2 or max(len(xs), len(ys)) > MOST_STEPS:
        return []
    inside = _inside(plan, xs, ys, turn)
    wings = [_along_longer_side(angle, xs[i], ys[j], xs[k], ys[m]) for i, j, k, m in _cover(inside, xs, ys)]
    return sorted(wings, key=lambda wing: -wing.width)


def _along_longer_side(angle: float, x0: float, y0: float, x1: float, y1: float) -> Wing:
    if x1 - x0 >= y1 - y0:
        return Wing(angle=angle, u=(float(x0), float(x1)), v=(float(y0), float(y1)))
    return Wing(angle=angle + np.pi / 2, u=(float(y0), float(y1)), v=(float(-x1), float(-x0)))


def _levels(values: Array) -> Array:
    """Distinct values, those within the tolerance merged into their mean."""
    values = np.sort(values)
    group = np.concatenate([[0], np.cumsum(np.diff(values) > TOLERANCE)])
    levels: Array = np.bincount(group, values) / np.bincount(group)
    return levels


def _inside(plan: Polygon, xs: Array, ys: Array, turn: Array) -> NDArray[np.bool_]:
    """(len(xs) - 1, len(ys) - 1): whether each cell's middle lies in the plan."""
    x, y = np.meshgrid((xs[1:] + xs[:-1]) / 2, (ys[1:] + ys[:-1]) / 2, indexing="ij")
    middle = np.stack([x, y], axis=-1) @ turn
    found: NDArray[np.bool_] = shapely.contains_xy(plan, middle[..., 0], middle[..., 1])
    return found


def _cover(inside: NDArray[np.bool_], xs: Array, ys: Array) -> list[tuple[int, int, int, int]]:
    """Largest rectangles of cells (i, j, k, m: from, to along both axes) until every inner cell is covered."""
    total = np.pad(inside.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = inside.shape
    found = []
    for i in range(rows):
        for k in range(i + 1, rows + 1):
            for j in range(columns):
                for m in range(j + 1, columns + 1):
                    if total[k, m] - total[i, m] - total[k, j] + total[i, j] < (k - i) * (m - j):
                        break
                    found.append(((xs[k] - xs[i]) * (ys[m] - ys[j]), i, j, k, m))
    left = inside.copy()
    chosen = []
    for _, i, j, k, m in sorted(found, reverse=True):
        if left[i:k, j:m].any():
            left[i:k, j:m] = False
            chosen.append((i, j, k, m))
    return chosen


def trimmed(wings: list[Wing]) -> list[Wing]:
    """The same wings, each ended at the middle line of a wider one that it would cross and stop inside of.

    So a gabled wing dies into the slope of the house instead of showing its gable on the far side.
    """
    done: list[Wing] = []
    for wing in wings:
        shorter = wing
        for other in done:
            shorter = _end_inside(shorter, other)
        done.append(shorter)
    return done


def _end_inside(wing: Wing, other: Wing) -> Wing:
    crossing = abs(np.sin(wing.angle - other.angle)) > 0.5
    if not crossing:
        return wing
    # The other's band and middle on this wing's u axis, and its length on this wing's v axis.
    along = wing.axes @ other.axes.T
    band = sorted(along[0, 1] * np.array(other.v))
    length = sorted(along[1, 0] * np.array(other.u))
    if wing.v[0] < length[0] - TOLERANCE or wing.v[1] > length[1] + TOLERANCE:
        return wing
    ends, free = list(wing.u), list(wing.free)
    for side in (0, 1):
        if band[0] - TOLERANCE <= ends[side] <= band[1] + TOLERANCE:
            ends[side], free[side] = (band[0] + band[1]) / 2, False
    if ends[1] - ends[0] < TOLERANCE:
        return wing
    return replace(wing, u=(float(ends[0]), float(ends[1])), free=(free[0], free[1]))
