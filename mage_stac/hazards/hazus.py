"""Hazus: FEMA's fragility curves by building type and design level, on peak ground acceleration.

Hazus Earthquake Model Technical Manual 6.1 (FEMA 2022), section 5.4.3, tables 5-37 to 5-40, "equivalent-PGA structural
fragility": lognormal curves made for large earthquakes of the western United States on stiff soil. The medians agree
with those of USGS's ShakeCast for all types used here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mage_stac.hazards import fragility
from mage_stac.scene.scene import Building

Floats = NDArray[np.float64]

LEVELS = ("pre", "low", "moderate", "high")
"""Seismic design, from none to that of a code of the 1970s and later."""
BETA = 0.64
"""Standard deviation of ln acceleration of every curve."""
MEDIANS: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "W1": {"pre": (0.18, 0.29, 0.51, 0.77), "low": (0.20, 0.34, 0.61, 0.95),
           "moderate": (0.24, 0.43, 0.91, 1.34), "high": (0.26, 0.55, 1.28, 2.01)},
    "S3": {"pre": (0.08, 0.10, 0.16, 0.30), "low": (0.10, 0.13, 0.20, 0.38),
           "moderate": (0.13, 0.19, 0.33, 0.60), "high": (0.15, 0.26, 0.54, 1.00)},
    "C1L": {"pre": (0.10, 0.12, 0.21, 0.36), "low": (0.12, 0.15, 0.27, 0.45),
            "moderate": (0.16, 0.23, 0.41, 0.77), "high": (0.21, 0.35, 0.70, 1.37)},
    "C1M": {"pre": (0.09, 0.13, 0.26, 0.43), "low": (0.12, 0.17, 0.32, 0.54),
            "moderate": (0.13, 0.21, 0.49, 0.89), "high": (0.15, 0.27, 0.73, 1.61)},
    "C1H": {"pre": (0.08, 0.12, 0.21, 0.35), "low": (0.10, 0.15, 0.27, 0.44),
            "moderate": (0.11, 0.18, 0.41, 0.74), "high": (0.11, 0.22, 0.62, 1.35)},
    "C2L": {"pre": (0.11, 0.15, 0.24, 0.42), "low": (0.14, 0.19, 0.30, 0.52),
            "moderate": (0.18, 0.30, 0.49, 0.87), "high": (0.24, 0.45, 0.90, 1.55)},
    "C2M": {"pre": (0.10, 0.15, 0.30, 0.50), "low": (0.12, 0.19, 0.38, 0.63),
            "moderate": (0.15, 0.26, 0.55, 1.02), "high": (0.17, 0.36, 0.87, 1.95)},
    "C2H": {"pre": (0.09, 0.15, 0.31, 0.52), "low": (0.11, 0.19, 0.38, 0.65),
            "moderate": (0.12, 0.23, 0.57, 1.07), "high": (0.12, 0.29, 0.82, 1.87)},
    "C3L": {"pre": (0.10, 0.14, 0.21, 0.35), "low": (0.12, 0.17, 0.26, 0.44)},
    "C3M": {"pre": (0.09, 0.14, 0.25, 0.41), "low": (0.11, 0.17, 0.32, 0.51)},
    "C3H": {"pre": (0.08, 0.13, 0.27, 0.43), "low": (0.09, 0.16, 0.33, 0.53)},
    "RM1L": {"pre": (0.13, 0.16, 0.24, 0.43), "low": (0.16, 0.20, 0.29, 0.54),
             "moderate": (0.22, 0.30, 0.50, 0.85), "high": (0.30, 0.46, 0.93, 1.57)},
    "RM1M": {"pre": (0.11, 0.15, 0.28, 0.50), "low": (0.14, 0.19, 0.35, 0.63),
             "moderate": (0.18, 0.26, 0.51, 1.03), "high": (0.20, 0.37, 0.81, 1.90)},
    "URML": {"pre": (0.13, 0.17, 0.26, 0.37), "low": (0.14, 0.20, 0.32, 0.46)},
    "URMM": {"pre": (0.09, 0.13, 0.21, 0.38), "low": (0.10, 0.16, 0.27, 0.46)},
    "MH": {"pre": (0.08, 0.11, 0.18, 0.34), "low": (0.11, 0.18, 0.31, 0.60),
           "moderate": (0.11, 0.18, 0.31, 0.60), "high": (0.11, 0.18, 0.31, 0.60)},
}  # fmt: skip
"""Type -> design level -> median acceleration, g, of slight, moderate, extensive and complete damage. Types that codes
no longer permit have no curves beyond low; their low ones are taken there."""
COLLAPSED = {"W1": 0.03, "S3": 0.03, "C1": 0.13, "C2": 0.13, "C3": 0.15, "RM1": 0.13, "URM": 0.15, "MH": 0.03}
"""Type without its height -> share of the completely damaged buildings that have collapsed, low rise: Hazus MH 2.1,
chapter 13 (FEMA 2013)."""
HEIGHTS = {"C1": (3, 7), "C2": (3, 7), "C3": (3, 7), "RM1": (3,), "URM": (2,)}
"""Type -> most storeys of its low, and of its middle rise."""
TYPES = {
    "rubble_stone": "URM", "adobe": "URM", "simple_stone": "URM", "massive_stone": "URM", "old_brick": "URM",
    "brick_concrete_floors": "URM", "confined_masonry": "RM1", "concrete_frame": "C3", "concrete_frame_code": "C1",
    "concrete_walls": "C2", "timber": "W1", "steel": "S3",
}  # fmt: skip
"""Construction, a key of fragility.INDEX -> type. Hazus has no confined masonry: reinforced is its nearest."""


def kind(building: Building, way: str) -> str:
    """The building's type without its height, a key of COLLAPSED, in a region that builds in `way`."""
    return "MH" if building.kind == "mobile_home" else TYPES[fragility.construction(building, way)]


def medians(building: Building, way: str, level: str) -> tuple[float, float, float, float]:
    """Median acceleration, g, of slight, moderate, extensive and complete damage at a design level, one of LEVELS."""
    name = kind(building, way)
    rise = sum(building.storeys > most for most in HEIGHTS.get(name, ()))
    curves = MEDIANS[name + "LMH"[rise] if name in HEIGHTS else name]
    return curves.get(level) or curves["low"]


def shares(acceleration: Floats, medians: Floats) -> Floats:
    """(N, 5) probability of none, slight, moderate, extensive and complete damage at `acceleration` (N,) g.

    P(state or worse) = Phi(ln(a / median) / BETA); `medians` (N, 4).
    """
    beyond = ndtr(np.log(np.maximum(acceleration, 1e-9)[:, None] / medians) / BETA)
    result: Floats = -np.diff(beyond, axis=1, prepend=1.0, append=0.0)
    return result


def grades(
    acceleration: Floats, buildings: Sequence[Building], way: str, level: str, luck: Floats
) -> NDArray[np.int64]:
    """(N,) EMS-98 grade 0..5 of buildings with `luck` (N,) in 0..1, larger is worse, at `acceleration` (N,) g.

    None to extensive damage are grades 0 to 3; of the completely damaged the collapsed are 5, the others 4.
    """
    if not buildings:
        return np.zeros(0, np.int64)
    curves = np.array([medians(one, way, level) for one in buildings])
    collapsed = np.array([COLLAPSED[kind(one, way)] for one in buildings])
    share = shares(acceleration, curves)
    state: NDArray[np.int64] = (luck[:, None] >= np.cumsum(share[:, :4], axis=1)).sum(axis=1)
    worst = luck >= 1.0 - share[:, 4] * collapsed
    return np.where(state == 4, np.where(worst, 5, 4), state)
