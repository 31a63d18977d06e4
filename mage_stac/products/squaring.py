"""Squaring: outlines of buildings as a pixel map shows them, stepped and rounded, made straight with right angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray
from shapely import Polygon

STEP = 0.75
"""Pixels by which an outline may move when the steps of its pixels are smoothed away."""

WALL = 3.0
"""Pixels: a jog of the wall that is shorter is the map's doubt, not the house's shape."""

BLOCKY = 0.75
"""Share of its smallest rectangle from which an outline is taken for that rectangle."""

ALIKE = 0.75
"""Intersection over union of the squared outline with the one found, below which the latter stays."""

ROUND = (0.92, 150.0)
"""An outline that is so alike to a circle (a square is 0.83) and has more pixels than that is a round building; smaller
ones are blurred squares."""

Edge = tuple[float, float, bool]
"""Where a wall runs (y of a horizontal one, else x), its length, and whether it is horizontal."""


def squared(outlines: NDArray[Any]) -> NDArray[Any]:
    """Outlines with right angles, each of the same area as before; an array of polygons in pixels like the one given.

    An outline that fills most of its smallest rectangle becomes one. Of others the walls are turned to the rectangle's
    two directions and jogs below WALL left out. What would not be alike any more, or is round, is only smoothed.
    """
    smooth = shapely.simplify(outlines, STEP)
    made = np.empty(len(outlines), dtype=object)
    made[:] = [_squared(rough, clean) for rough, clean in zip(outlines, smooth, strict=True)]
    return made


def _squared(rough: Any, smooth: Any) -> Any:
    if not isinstance(smooth, Polygon) or smooth.is_empty or _is_round(smooth):
        return smooth
    around = shapely.oriented_envelope(Polygon(smooth.exterior))
    if not isinstance(around, Polygon):
        return smooth
    filled = Polygon(rough.exterior)
    blocky = filled.area >= BLOCKY * around.area
    outer = around if blocky else _cornered(Polygon(smooth.exterior), direction(around))
    if outer is None:
        return smooth
    outer = _of_area(outer, filled.area)
    if _alike(outer, filled) < ALIKE:
        return smooth
    courts = [Polygon(ring) for ring in smooth.interiors]
    found = outer.difference(shapely.union_all(courts)) if courts else outer
    return found if isinstance(found, Polygon) else smooth


def _is_round(outline: Polygon) -> bool:
    share, pixels = ROUND
    circle = outline.centroid.buffer(math.sqrt(outline.area / math.pi))
    return outline.area > pixels and _alike(outline, circle) > share


def _alike(one: Polygon, other: Polygon) -> float:
    """Intersection over union."""
    common = one.intersection(other).area
    return float(common / (one.area + other.area - common))


def direction(rectangle: Polygon) -> float:
    """Angle of the longer side of a rectangle, radians."""
    corners = shapely.get_coordinates(rectangle)[:3]
    sides = np.diff(corners, axis=0)
    dx, dy = sides[int(np.argmax(np.hypot(*sides.T)))]
    return math.atan2(dy, dx)


def _of_area(outline: Polygon, area: float) -> Polygon:
    factor = math.sqrt(area / outline.area)
    return shapely.affinity.scale(outline, factor, factor)


def _cornered(outline: Polygon, angle: float) -> Polygon | None:
    """The outline with every wall along `angle` or across it; None where fewer than four walls remain."""
    turned = shapely.affinity.rotate(outline, -angle, origin=(0, 0), use_radians=True)
    walls = _joined(_walls(shapely.get_coordinates(turned.exterior)))
    while len(walls) > 4:
        shortest = int(np.argmin([_length(walls, place) for place in range(len(walls))]))
        if _length(walls, shortest) >= WALL:
            break
        walls = _without(walls, shortest)
    if len(walls) < 4:
        return None
    corners = [(b[0], a[0]) if a[2] else (a[0], b[0]) for a, b in zip(walls, [*walls[1:], walls[0]], strict=True)]
    made = Polygon(corners)
    if not made.is_valid or made.area == 0:
        return None
    return shapely.affinity.rotate(made, angle, origin=(0, 0), use_radians=True)


def _walls(ring: NDArray[np.float64]) -> list[Edge]:
    """The edges of a closed ring, each taken for horizontal or vertical, whichever is nearer."""
    steps = np.diff(ring, axis=0)
    middles = (ring[1:] + ring[:-1]) / 2
    flat = np.abs(steps[:, 0]) >= np.abs(steps[:, 1])
    return [
        (float(middle[1] if level else middle[0]), float(np.hypot(*step)), bool(level))
        for middle, step, level in zip(middles, steps, flat, strict=True)
    ]


def _joined(walls: list[Edge]) -> list[Edge]:
    """Walls that follow one another in the same direction as one, at the mean of their places by length."""
    start = next((i for i in range(len(walls)) if walls[i][2] != walls[i - 1][2]), 0)
    made: list[Edge] = []
    for place, length, level in [*walls[start:], *walls[:start]]:
        if made and made[-1][2] == level:
            before, run, _ = made.pop()
            total = run + length
            made.append(((before * run + place * length) / max(total, 1e-9), total, level))
        else:
            made.append((place, length, level))
    return made


def _length(walls: list[Edge], place: int) -> float:
    """Length of a wall between the two that it joins."""
    return abs(walls[(place + 1) % len(walls)][0] - walls[place - 1][0])


def _without(walls: list[Edge], place: int) -> list[Edge]:
    """Walls without one: the two that it joined become one wall."""
    turned = [*walls[place:], *walls[:place]]
    return _joined([turned[-1], *turned[1:-1]])
