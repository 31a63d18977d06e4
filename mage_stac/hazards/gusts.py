"""Gusts: the strongest wind that each place meets while a storm passes, and where it blows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mage_stac.scene import mottle

Floats = NDArray[np.float64]

MPH = 0.44704
"""m/s in a mile per hour."""
EF = (65.0, 86.0, 111.0, 136.0, 166.0, 201.0)
"""Lowest 3 s gust of EF0 .. EF5, mph (McDonald and Mehta 2006, A Recommendation for an Enhanced Fujita Scale)."""
STEPS = 601
"""Positions along the track at which a passing vortex is looked at; odd, so that one is abreast."""


def rating(gust: float) -> str:
    """EF0 .. EF5 of a gust in m/s; EFU below."""
    number = int(np.searchsorted(EF, gust / MPH, side="right")) - 1
    return f"EF{number}" if number >= 0 else "EFU"


@dataclass(frozen=True, kw_only=True, slots=True)
class Vortex:
    """A modified Rankine vortex that moves along a straight track, turning anticlockwise.

    Tangential wind rises linearly to `radius` and falls beyond it as distance to the power of -`decay`; the flow is
    turned inwards by `inflow`. The translation is added as a vector. So in Holland, Riordan and Franklin (2006,
    J. Appl. Meteor. Climatol. 45, 1597-1611) for tree fall; decays of 0.5 to 0.8 measured by radar: Wurman and
    Alexander (2005, Mon. Wea. Rev. 133, 97-119).
    """

    peak: float
    """Strongest gust anywhere, translation included, m/s."""
    radius: float
    """Of the strongest wind, m."""
    decay: float = 0.7
    translation: float = 12.0
    """m/s."""
    inflow: float = 20.0
    """Degrees."""

    def at(self, ahead: ArrayLike, left: ArrayLike) -> tuple[Floats, Floats]:
        """Wind (ahead, left of the track) in m/s at places relative to the centre, m."""
        ahead, left = np.broadcast_arrays(np.asarray(ahead, float), np.asarray(left, float))
        distance = np.maximum(np.hypot(ahead, left), 1e-9)
        ratio = distance / self.radius
        speed = (self.peak - self.translation) * np.where(ratio < 1, ratio, ratio**-self.decay)
        turned = np.arctan2(left, ahead) + np.pi / 2 + np.radians(self.inflow)
        return speed * np.cos(turned) + self.translation, speed * np.sin(turned)

    def swath(self, left: ArrayLike) -> tuple[Floats, Floats]:
        """Strongest wind (N,) at places `left` (N,) of the track, m, while it passes: m/s, and radians from the track.

        The angle is where the wind blows to, anticlockwise from the direction of travel.
        """
        offset = np.asarray(left, float).reshape(-1)
        reach = 3.0 * np.maximum(np.abs(offset), self.radius)
        ahead = np.linspace(-1, 1, STEPS)[:, None] * reach
        along, across = self.at(ahead, offset)
        speed = np.hypot(along, across)
        best = np.argmax(speed, axis=0)
        pick = np.arange(len(offset))
        return speed[best, pick], np.arctan2(across[best, pick], along[best, pick])


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """A storm's way over a scene; a straight wind where there is no vortex."""

    vortex: Vortex | None
    peak: float
    """m/s; of the straight wind where there is no vortex."""
    bearing: float
    """Where it moves to, degrees clockwise from north."""
    point: tuple[float, float]
    """A place on the track, local metres."""
    sway: float
    """How far the track swings to both sides, m."""
    seed: int
    """Of gusts within the storm."""
    gustiness: float = 0.07
    """Standard deviation of ln speed from place to place."""

    def wind(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Strongest gust at places (N,) in m/s, and the bearing it blows to, degrees clockwise from north."""
        x, y = np.asarray(x, float).reshape(-1), np.asarray(y, float).reshape(-1)
        heading = np.radians(90 - self.bearing)
        east, north = x - self.point[0], y - self.point[1]
        along = east * np.cos(heading) + north * np.sin(heading)
        left = north * np.cos(heading) - east * np.sin(heading) + self.sway * np.sin(along / 130.0 + self.seed)
        gust = np.exp(self.gustiness * self._gusts(along, left))
        if self.vortex is None:
            turn = 0.1 * (2 * mottle.field(x, y, 90.0, self.seed + 2) - 1)
            return self.peak * gust, np.degrees(np.pi / 2 - heading - turn) % 360
        reach = float(np.max(np.abs(left), initial=1.0)) + 1
        samples = np.linspace(-reach, reach, max(201, int(2 * reach)))
        speed, angle = self.vortex.swath(samples)
        to = np.interp(left, samples, np.unwrap(angle))
        return np.interp(left, samples, speed) * gust, np.degrees(np.pi / 2 - heading - to) % 360

    def _gusts(self, along: Floats, left: Floats) -> Floats:
        """Streaks along the track of about unit variance, cut at two: seldom stronger than the stated peak."""
        coarse = mottle.field(along / 2.5, left, 45.0, self.seed)
        fine = mottle.field(along / 2, left, 15.0, self.seed + 1)
        result: Floats = np.clip(3.2 * (coarse - 0.5) + 2.2 * (fine - 0.5), -2, 2)
        return result
