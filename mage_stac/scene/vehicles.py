"""Vehicles: cars, pickups and vans as boxes with bevelled cabins and dark windows; some on their side or roof."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import mesh
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Car

Array = NDArray[np.float64]

LACQUER, GLASS, DARK = 1.0, 0.07, 0.05
"""Reflectance of parts relative to the lacquer's."""
WIDTH = 1.85
"""Of a car, m; trucks are 2.4 wide."""

Section = tuple[float, float, float, float, float, float]
"""A tapered box: x from, x to as shares of the length, z from, z to in m, share of length and of width at its top."""

BODIES: dict[str, tuple[tuple[Section, ...], float]] = {
    "saloon": (((-0.5, 0.5, 0.25, 0.85, 0.97, 0.95), (-0.36, 0.24, 0.85, 1.42, 0.62, 0.80)), 4.7),
    "hatchback": (((-0.5, 0.5, 0.25, 0.88, 0.97, 0.95), (-0.47, 0.22, 0.88, 1.48, 0.74, 0.80)), 4.2),
    "suv": (((-0.5, 0.5, 0.35, 1.02, 0.97, 0.95), (-0.48, 0.22, 1.02, 1.72, 0.80, 0.84)), 4.8),
    "pickup": (((-0.5, 0.5, 0.40, 1.02, 0.98, 0.97), (-0.10, 0.24, 1.02, 1.78, 0.70, 0.82)), 5.7),
    "van": (((-0.5, 0.5, 0.35, 1.00, 0.98, 0.97), (-0.49, 0.40, 1.00, 2.05, 0.93, 0.90)), 5.3),
    "truck": (((-0.5, 0.28, 0.9, 3.2, 1.0, 1.0), (0.31, 0.5, 0.5, 2.5, 0.9, 0.95)), 8.0),
}
"""Lower and upper box of each shape, and its usual length, m."""


def build(cars: Sequence[Car]) -> Mesh:
    """All cars; the shape follows from the length and from where the car stands, the same on every day there."""
    groups: dict[str, list[Car]] = {}
    for car in cars:
        groups.setdefault(_shape(car), []).append(car)
    parts = []
    for name, members in sorted(groups.items()):
        tint = np.array([car.colour for car in members])
        origin, frame = _places(members)
        parts.append(mesh.copies(_template(name), origin, frame, tint))
    return mesh.join(parts)


def _shape(car: Car) -> str:
    if car.length > 6.5:
        return "truck"
    choice = int(abs(car.x * 13.0 + car.y * 7.0)) % 4
    if car.length > 5.2:
        return ("pickup", "pickup", "van", "suv")[choice]
    return "hatchback" if car.length < 4.3 else ("saloon", "suv", "saloon", "hatchback")[choice]


def _places(cars: Sequence[Car]) -> tuple[Array, Array]:
    """Origins (N, 3) and frames (N, 3, 3): unit length along the bearing; the overturned on a side or the roof."""
    yaw = np.radians([90.0 - car.bearing for car in cars])
    size = np.array([(car.length, 2.4 if car.length > 6.5 else WIDTH, 1.0) for car in cars])
    over = np.array([car.state == "overturned" for car in cars])
    on_side = over & (np.array([int(abs(car.x) * 10) % 2 for car in cars]) == 0)
    roll = np.where(on_side, np.pi / 2, np.where(over, np.pi, 0.0))
    lift = np.where(on_side, size[:, 1] / 2, np.where(over, 1.5, 0.0))
    # The sizes belong to the template's own axes, so they come before the roll.
    frame = mesh.frames(yaw, np.ones((len(cars), 3)), roll=roll) * size[:, None, :]
    origin = np.array([(car.x, car.y, car.base) for car in cars])
    return origin + lift[:, None] * [0.0, 0.0, 1.0], frame


@cache
def _template(name: str) -> Mesh:
    """Shape of unit length along x, its middle at the origin, standing on z = 0; width 1, heights in m."""
    (lower, upper), _ = BODIES[name]
    wheels = [_block((x - 0.07, x + 0.07, 0.0, 0.6, 1.0, 1.0), DARK, DARK, 0.96) for x in (-0.32, 0.32)]
    under = _block((lower[0] + 0.02, lower[1] - 0.02, lower[2] - 0.05, lower[2], 1.0, 1.0), DARK * 2, DARK * 2, 0.9)
    parts = [_block(lower, LACQUER, LACQUER, 1.0), _block(upper, LACQUER, LACQUER if name == "truck" else GLASS, 0.93)]
    if name == "pickup":
        parts.append(_block((-0.47, -0.12, 1.0, 1.03, 1.0, 1.0), 0.3, 0.3, 0.8))
    return mesh.join([*parts, *wheels, under])


def _block(section: Section, top: float, sides: float, width: float) -> Mesh:
    """Tapered box with shares of the lacquer's colour for its top and its sides, closed below."""
    x0, x1, z0, z1, along, across = section
    middle, half = (x0 + x1) / 2, (x1 - x0) / 2
    ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    foot = np.column_stack([middle + ring[:, 0] * half, ring[:, 1] * width / 2, np.full(4, z0)])
    head = np.column_stack([middle + ring[:, 0] * half * along, ring[:, 1] * width * across / 2, np.full(4, z1)])
    faces = [head, foot[::-1]]
    faces += [np.stack([foot[i], foot[(i + 1) % 4], head[(i + 1) % 4], head[i]]) for i in range(4)]
    shade = np.array([top, DARK * 2, sides, sides, sides, sides])
    return mesh.faces(faces, np.repeat(shade[:, None], 3, axis=1), semantic="vehicle")
