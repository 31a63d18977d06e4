"""Fragility: how much buildings of one kind suffer from an intensity, and the grade that each one gets.

The macroseismic method of Lagomarsino and Giovinazzi (2006, doi:10.1007/s10518-006-9024-z): a vulnerability index per
kind of construction, the mean damage grade by intensity, and a binomial spread over the six EMS-98 grades.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene.scene import Building

Floats = NDArray[np.float64]

DUCTILITY = 2.3
"""Q of the method, for ordinary buildings."""
INDEX = {
    "rubble_stone": 0.873,
    "adobe": 0.840,
    "simple_stone": 0.740,
    "massive_stone": 0.616,
    "old_brick": 0.740,
    "brick_concrete_floors": 0.616,
    "confined_masonry": 0.451,
    "concrete_frame": 0.644,
    "concrete_frame_code": 0.484,
    "concrete_walls": 0.384,
    "timber": 0.447,
    "steel": 0.324,
}
"""Construction -> most probable vulnerability index V, 0 to 1: table 2 of the paper. 0.16 is one EMS-98 class."""
SCATTER = 0.08
"""Standard deviation of V among buildings of one construction: the plausible range of table 2 is about twice that."""
STOREYS = ((2, -0.02), (5, 0.02), (1000, 0.06))
"""Storeys up to -> what they add to V: behaviour modifiers of the RISK-UE handbook, WP4 (Milutinovic, Trendafiloski
2003), for masonry of low, medium and high rise."""
STOCKS: dict[str, dict[str, str]] = {
    "timber": {"brick": "timber", "block": "confined_masonry", "stone": "simple_stone", "siding": "timber",
               "stucco": "timber", "panel": "steel", "tall": "concrete_frame_code"},
    "masonry": {"brick": "old_brick", "block": "brick_concrete_floors", "stone": "simple_stone", "siding": "timber",
                "stucco": "simple_stone", "panel": "steel", "tall": "concrete_frame"},
    "concrete": {"brick": "brick_concrete_floors", "block": "confined_masonry", "stone": "massive_stone",
                 "siding": "timber", "stucco": "confined_masonry", "panel": "steel", "tall": "concrete_frame_code"},
}  # fmt: skip
"""Way of building of a region -> wall (first word of its material, `tall` from TALL storeys on) -> construction."""
TALL = 5
JOINT = (1, 1, 2, 2, 3, 4)
"""EMS-98 grade 0..5 -> Joint Damage Scale: 2 roof elements missing or visible cracks (moderate, and heavy without
structural failure), 3 partial collapse of wall or roof (very heavy), 4 collapsed (destruction)."""
VISIBLE = (1.0, 0.9, 0.1, 0.35, 0.8, 1.0)
"""EMS-98 grade 0..5 -> share of it that a view from the zenith shows: cracks in walls do not, fallen tiles in part."""


def stock(buildings: tuple[Building, ...]) -> str:
    """The way of building that shows: timber where more than a fifth of the buildings show siding, else masonry."""
    siding = sum(building.wall_material.startswith("siding") for building in buildings)
    return "timber" if siding * 5 > len(buildings) else "masonry"


def construction(building: Building, way: str) -> str:
    """What a building is made of, a key of INDEX, in a region that builds in `way`, a key of STOCKS."""
    if building.kind == "mobile_home":
        return "timber"
    walls = STOCKS[way]
    if building.storeys >= TALL:
        return walls["tall"]
    return walls.get(building.wall_material.split("_")[0], walls["brick"])


def index(building: Building, way: str) -> float:
    """Vulnerability index V of a building before its own scatter."""
    rise = next(added for most, added in STOREYS if building.storeys <= most)
    return INDEX[construction(building, way)] + rise


def mean_grade(intensity: float | Floats, index: float | Floats) -> Floats:
    """Mean EMS-98 damage grade, 0..5: 2.5 (1 + tanh((I + 6.25 V - 13.1) / Q)), equation 3 of the paper."""
    result: Floats = 2.5 * (1.0 + np.tanh((np.asarray(intensity) + 6.25 * np.asarray(index) - 13.1) / DUCTILITY))
    return result


def shares(mean: float | Floats) -> Floats:
    """(..., 6) share of each EMS-98 grade 0..5 where the mean grade is `mean`: binomial, equation 4 of the paper."""
    part = np.asarray(mean, float)[..., None] / 5.0
    grade = np.arange(6)
    ways = np.array([comb(5, int(k)) for k in grade], float)
    result: Floats = ways * part**grade * (1.0 - part) ** (5 - grade)
    return result


def grades(intensity: Floats, index: Floats, luck: Floats) -> NDArray[np.int64]:
    """(N,) EMS-98 grade 0..5 of buildings with `luck` (N,) in 0..1, larger is worse."""
    above = np.cumsum(shares(mean_grade(intensity, index)), axis=1)
    result: NDArray[np.int64] = np.minimum((luck[:, None] >= above).sum(axis=1), 5)
    return result
