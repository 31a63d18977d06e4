"""Shaking: from magnitude and distance to acceleration on the ground, and to macroseismic intensity."""

from __future__ import annotations

from math import hypot

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Some = float | Floats

GRAVITY = 980.665
"""cm/s2."""
FAULTING = {"normal": -0.0472145, "reverse": 0.110979, "strike-slip": -0.0637639, "unknown": 0.0}
"""Style of faulting -> its term in log10 of acceleration; same source as acceleration's."""
BETWEEN, WITHIN = 0.145783, 0.291566
"""Standard deviations of log10 of acceleration: from one earthquake to the next, and from site to site."""
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


def acceleration(magnitude: float, distance: float, depth: float, vs30: Some, faulting: str = "unknown") -> Floats:
    """Median peak ground acceleration, g: Bindi et al. (2014, doi:10.1007/s10518-013-9525-5), for the hypocentre.

    log10 Y = e1 + FM + FD + gamma log10(vs30 / 800) + FS, table 4, in cm/s2. Made for magnitudes 4 to 7.6, hypocentral
    distances up to 300 km. The tests compare it with the table that OpenQuake verifies its implementation by.

    Args:
        magnitude: moment magnitude.
        distance: from the epicentre, km.
        depth: of the hypocentre, km.
        vs30: mean shear wave velocity of the uppermost 30 m, m/s.
        faulting: a key of FAULTING.
    """
    beyond = magnitude - 6.75
    size = 0.217109 * beyond - 0.0682563 * beyond**2 if beyond < 0 else 0.352976 * beyond
    reach = hypot(hypot(distance, depth), 4.82743)
    decay = (-1.57821 + 0.108218 * (magnitude - 5.5)) * np.log10(reach) - 9.63923e-5 * (reach - 1.0)
    site = -0.293242 * np.log10(np.asarray(vs30) / 800.0)
    result: Floats = 10 ** (4.27391 + size + decay + site + FAULTING[faulting]) / GRAVITY
    return result


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
