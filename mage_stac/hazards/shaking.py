"""Shaking: from magnitude and distance to acceleration on the ground, and to macroseismic intensity."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, log10

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Some = float | Floats

GRAVITY = 980.665
"""cm/s2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Coefficients of Bindi et al. (2014) for log10 of peak ground acceleration in cm/s2, named as there."""

    e1: float
    c1: float
    c2: float
    h: float
    c3: float
    b1: float
    b2: float
    b3: float
    gamma: float
    faulting: dict[str, float]


HYPOCENTRAL = Model(
    e1=4.27391, c1=-1.57821, c2=0.108218, h=4.82743, c3=9.63923e-5, b1=0.217109, b2=-0.0682563, b3=0.352976,
    gamma=-0.293242, faulting={"normal": -0.0472145, "reverse": 0.110979, "strike-slip": -0.0637639, "unknown": 0.0},
)  # fmt: skip
"""Their table 4: distance from the hypocentre."""
JOYNER_BOORE = Model(
    e1=3.32819, c1=-1.23980, c2=0.217320, h=5.26486, c3=1.18624e-3, b1=-0.0855045, b2=-0.0925639, b3=0.0,
    gamma=-0.301899, faulting={"normal": -0.0397695, "reverse": 0.0775253, "strike-slip": -0.0377558, "unknown": 0.0},
)  # fmt: skip
"""Their table 2: distance from the rupture's projection to the surface."""
FAULTING = tuple(HYPOCENTRAL.faulting)
"""Styles of faulting."""
BETWEEN, WITHIN = 0.145783, 0.291566
"""Standard deviations of log10 of acceleration: from one earthquake to the next, and from site to site; table 4."""
VS30 = (
    (3.0e-4, 180.0),
    (3.5e-3, 240.0),
    (0.010, 300.0),
    (0.018, 360.0),
    (0.05, 490.0),
    (0.10, 620.0),
    (0.14, 760.0),
)
"""Slope, m per m, and shear wave velocity, m/s, in active regions: Allen and Wald (2009, doi:10.1785/0120080255), after
Wald and Allen (2007); read off the USGS's own grad2vs30.c."""
MCS_SIGMA = 0.35
"""Standard deviation of mcs, intensity units."""


def motion(model: Model, magnitude: float, distance: float, vs30: Some, faulting: str) -> Floats:
    """Median peak ground acceleration, g, by one of the models of Bindi et al. (2014, doi:10.1007/s10518-013-9525-5).

    log10 Y = e1 + FM + FD + gamma log10(vs30 / 800) + FS. Made for magnitudes 4 to 7.6 and distances up to 300 km. The
    tests compare it with the tables that OpenQuake verifies its implementation by.
    """
    beyond = magnitude - 6.75
    size = model.b1 * beyond + model.b2 * beyond**2 if beyond < 0 else model.b3 * beyond
    reach = hypot(distance, model.h)
    decay = (model.c1 + model.c2 * (magnitude - 5.5)) * log10(reach) - model.c3 * (reach - 1.0)
    site = model.gamma * np.log10(np.asarray(vs30) / 800.0)
    result: Floats = 10 ** (model.e1 + size + decay + site + model.faulting[faulting]) / GRAVITY
    return result


def acceleration(magnitude: float, distance: float, depth: float, vs30: Some, faulting: str = "unknown") -> Floats:
    """Median peak ground acceleration, g, at `distance` km from the epicentre of a hypocentre `depth` km deep.

    The hypocentral model takes the source for a point, and so says too much near a large rupture: nowhere is the motion
    taken for stronger than the Joyner-Boore model has it right above the rupture.

    Args:
        magnitude: moment magnitude.
        distance: km.
        depth: km.
        vs30: mean shear wave velocity of the uppermost 30 m, m/s.
        faulting: one of FAULTING.
    """
    near = motion(JOYNER_BOORE, magnitude, 0.0, vs30, faulting)
    return np.minimum(motion(HYPOCENTRAL, magnitude, hypot(distance, depth), vs30, faulting), near)


def vs30(slope: Some) -> Floats:
    """Shear wave velocity of the uppermost 30 m, m/s, by the slope of the ground (m per m over some 300 m); log-log.

    Flatter or steeper ground than the table's takes its ends, 180 and 760 m/s.
    """
    steep, fast = np.log(np.array(VS30)).T
    result: Floats = np.exp(np.interp(np.log(np.maximum(slope, 1e-9)), steep, fast))
    return result


def mcs(acceleration: Some) -> Floats:
    """Macroseismic intensity (MCS, 1 to 12; taken for EMS-98) of a peak ground acceleration in g.

    1.68 + 2.58 log10(cm/s2): Faenza and Michelini (2010, doi:10.1111/j.1365-246X.2009.04467.x), Italian data up to 9.
    """
    result: Floats = np.clip(1.68 + 2.58 * np.log10(np.maximum(acceleration, 1e-9) * GRAVITY), 1.0, 12.0)
    return result
