"""Where things lie: a town's plan bent into the world, and right-angled frames standing in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, inf, sin, tau

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene.scene import Line, Ring

Point = tuple[float, float]
DIGITS = 3
"""Decimals of every coordinate: a millimetre, and the same on every machine."""


def ring(points: NDArray[np.float64] | Sequence[Point]) -> Ring:
    """`points` (N, 2) as a counter-clockwise Ring, rounded."""
    array = np.round(np.asarray(points, dtype=float), DIGITS)
    x, y = array.T
    area = float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + x[-1] * y[0] - y[-1] * x[0])
    return line(array if area >= 0 else array[::-1])


def line(points: NDArray[np.float64] | Sequence[Point]) -> Line:
    """`points` (N, 2) as plain pairs, rounded."""
    return tuple((float(x), float(y)) for x, y in np.round(np.asarray(points, dtype=float), DIGITS).tolist())


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A right-angled local frame in the world: `x` runs along a street's edge, `y` away from the street."""

    origin: Point
    x: Point
    """Unit vector; y is x turned left."""

    def world(self, points: Sequence[Point] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Local points (N, 2) -> world points (N, 2)."""
        local = np.asarray(points, dtype=float).reshape(-1, 2)
        axes = np.array([self.x, (-self.x[1], self.x[0])])
        return np.asarray(local @ axes + np.array(self.origin))

    def ring(self, points: Sequence[Point] | NDArray[np.float64]) -> Ring:
        """Local points -> a Ring in the world."""
        return ring(self.world(points))

    def box(self, x0: float, y0: float, x1: float, y1: float) -> Ring:
        """A local rectangle -> a Ring in the world."""
        return self.ring([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """Plan coordinates (u, v), in metres about the scene's centre, turned and softly bent into the world."""

    centre: Point
    turn: float
    """Radians, anticlockwise."""
    bend: float
    """Largest displacement, m."""
    waves: tuple[tuple[float, float, float, float], ...]
    """Each: wave number along u and v (radians per metre), phase for u and v."""
    extent: tuple[float, float, float, float] = (-inf, -inf, inf, inf)
    """What of the world is wanted: west, south, east, north, m."""

    def wants(self, frame: Frame, width: float, depth: float) -> bool:
        """Whether any of a frame's rectangle (0, 0)..(width, depth) lies in the extent."""
        corners = frame.world([(0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)])
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        west, south, east, north = self.extent
        return bool(x1 > west and x0 < east and y1 > south and y0 < north)

    def world(self, points: Sequence[Point] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Plan points (N, 2) -> world points (N, 2)."""
        plan = np.asarray(points, dtype=float).reshape(-1, 2)
        shift = np.zeros_like(plan)
        for ku, kv, pu, pv in self.waves:
            along = plan @ np.array([ku, kv])
            shift += np.stack([np.sin(along + pu), np.sin(along + pv)], axis=1)
        bent = plan + self.bend / max(len(self.waves), 1) * shift
        turned = np.array([[cos(self.turn), sin(self.turn)], [-sin(self.turn), cos(self.turn)]])
        return np.asarray(bent @ turned + np.array(self.centre))

    def frame(self, u: float, v: float, side: int) -> Frame:
        """The frame at a plan point; `side` quarter turns anticlockwise bring plan u to the frame's x."""
        step = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][side % 4])
        middle, ahead = self.world([(u, v), (u + step[0], v + step[1])])
        along = (ahead - middle) / float(np.hypot(*(ahead - middle)))
        return Frame(origin=(float(middle[0]), float(middle[1])), x=(float(along[0]), float(along[1])))


def draw(rng: np.random.Generator, centre: Point, *, turn: float, bend: float) -> Plane:
    """A Plane with two random waves, 350 to 900 m long."""
    waves = []
    for _ in range(2):
        number = tau / rng.uniform(350.0, 900.0)
        heading, pu, pv = rng.uniform(0.0, tau, 3)
        waves.append((number * cos(heading), number * sin(heading), float(pu), float(pv)))
    return Plane(centre=centre, turn=turn, bend=bend, waves=tuple(waves))
