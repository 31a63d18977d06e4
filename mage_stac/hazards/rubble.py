"""Rubble: where the walls of a collapsed building come to lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians, sqrt, tan

import numpy as np
import shapely
from numpy.typing import NDArray

from mage_stac.hazards import raster
from mage_stac.scene.scene import Building, Scene

Floats = NDArray[np.float64]

ANGLE, VOLUME = 45.0, 0.5
"""Slope of a heap, degrees, and the share of a building's volume that its rubble keeps: Argyroudis et al. (2015,
doi:10.1111/mice.12136), after SYNER-G."""
FLANK = 0.45
"""Share of its full reach that rubble gets on sides where the building still stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fall:
    """A building of which walls have fallen."""

    building: Building
    whole: bool
    """All of it; else one side."""
    bearing: float
    """The side that fell first, degrees clockwise from north."""


def reach(width: float, height: float) -> float:
    """Metres that a collapsed building spreads from its walls: sqrt(W^2 + 2 kv W H / tan c) - W, Argyroudis et al."""
    return sqrt(width**2 + 2 * VOLUME * width * height / tan(radians(ANGLE))) - width


def depth(scene: Scene, falls: Sequence[Fall], cell: float) -> Floats:
    """(rows, columns) m of rubble outside the walls, a wedge against each of them."""
    x, y = raster.centres(scene, cell)
    result = np.zeros(raster.shape(scene, cell))
    for fall in falls:
        _heap(result, fall, x, y)
    result[raster.inside(scene, raster.footprints([fall.building for fall in falls]), cell)] = 0.0
    return result


def _heap(result: Floats, fall: Fall, x: Floats, y: Floats) -> None:
    plan = raster.polygon(fall.building.footprint)
    far = reach(sqrt(max(plan.area, 1.0)), fall.building.height)
    west, south, east, north = shapely.bounds(plan)
    columns = slice(*np.searchsorted(x, (west - far, east + far)))
    rows = slice(*np.searchsorted(-y, (-north - far, -south + far)))
    ax, ay = np.meshgrid(x[columns], y[rows])
    if not ax.size:
        return
    away = shapely.distance(plan, shapely.points(ax, ay))
    middle = plan.centroid
    turn = np.cos(np.arctan2(ax - middle.x, ay - middle.y) - radians(fall.bearing))
    share = 0.75 + 0.25 * turn if fall.whole else np.clip(turn - 0.2, 0.0, 0.8) / 0.8 * (1 - FLANK) + FLANK * (turn > 0)
    heap = np.maximum(far * share - away, 0.0) * tan(radians(ANGLE))
    result[rows, columns] = np.maximum(result[rows, columns], heap)
