"""Façades: windows and doors on outer walls, for views that lean and for drones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mage_stac.scene import mesh
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Building

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Front:
    """What the walls of one kind of building have in them, m."""

    bay: float = 0.0
    """From one window to the next; 0 for none."""
    window: tuple[float, float] = (1.2, 1.3)
    """Width and height."""
    sill: float = 0.9
    """Above the floor."""
    door: tuple[float, float] = (1.0, 2.1)


FRONTS: dict[str, Front] = {
    "house": Front(bay=2.9),
    "apartment": Front(bay=2.7, window=(1.4, 1.4), door=(1.6, 2.2)),
    "mobile_home": Front(bay=3.4, window=(1.0, 0.8), sill=1.0, door=(0.9, 2.0)),
    "commercial": Front(bay=3.6, window=(2.6, 1.7), sill=0.8, door=(2.4, 2.3)),
    "industrial": Front(bay=6.0, window=(3.6, 0.9), sill=2.4, door=(4.0, 3.8)),
    "school": Front(bay=2.6, window=(1.8, 1.7), door=(1.8, 2.2)),
    "church": Front(bay=4.6, window=(1.1, 3.6), sill=2.0, door=(2.0, 3.0)),
    "garage": Front(door=(2.5, 2.1)),
    "shed": Front(door=(0.9, 1.8)),
}
"""By Building.kind; by eye, after common dimensions."""
LOWEST_STOREY = 2.2
"""Storeys that sources count are merged until none is lower, m."""
ROOM = 0.25
"""Wall left over and beside a window or door at least, m."""
PROUD = 0.04
"""Windows and doors stand this far before their wall: the renderer then never takes one for the other, m."""
GLASS, CURTAIN = (0.055, 0.060, 0.066), (0.300, 0.290, 0.270)
"""Reflectance of panes with dark rooms behind, and of the CURTAINED share of them."""
CURTAINED = 0.18
SKIPPED = 0.15
"""Share of bays without a window."""
DOORS = ((0.12, 0.075, 0.05), (0.42, 0.41, 0.39), (0.07, 0.09, 0.075), (0.22, 0.22, 0.23))


@dataclass(frozen=True, kw_only=True, slots=True)
class Walls:
    """Upright outer walls; z above the building's base."""

    start: Array
    """(N, 2) plan of the left end, seen from outside."""
    along: Array
    """(N, 2) unit vector to the right."""
    length: Array
    low: Array
    high: Array
    shape: NDArray[np.object_] | None = None
    """(N,) polygons in (distance from start, z) of walls that are not rectangles from low to high."""


def build(building: Building, sides: Array, instance: int, without: BaseGeometry | None = None) -> Mesh:
    """Windows and a door on a building's walls; instance and semantic are the building's.

    Args:
        building: as it was built.
        sides: (N, 2, 2) of its plan, the inside to the left.
        instance: its number.
        without: plan in which walls fell; what was in them is gone.
    """
    rings = [np.array(face.ring) for face in building.faces if face.kind == "wall" and len(face.ring) > 2]
    walls = _measured(rings, building.base) if rings else _plain(building, sides)
    panes, colour = _openings(building, walls, np.random.default_rng([building.seed, 6]))
    if without is not None:
        stands = ~shapely.intersects_xy(without.buffer(0.5), *panes[:, :, :2].mean(axis=1).T)
        panes, colour = panes[stands], colour[stands]
    return mesh.faces(panes, colour, semantic="building", instance=instance)


def storey(building: Building) -> float:
    """Height of one storey up to the eaves, m."""
    return building.height / max(1, min(building.storeys, int(building.height / LOWEST_STOREY)))


def _plain(building: Building, sides: Array) -> Walls:
    step = sides[:, 1] - sides[:, 0]
    length = np.hypot(*step.T)
    kept = length > 1e-3
    side, step, length = sides[kept], step[kept], length[kept]
    level = np.zeros(len(length))
    return Walls(start=side[:, 0], along=step / length[:, None], length=length, low=level, high=level + building.height)


def _measured(rings: list[Array], base: float) -> Walls:
    """The upright ones of measured faces (N, 3)."""
    count = np.array([len(ring) for ring in rings], np.intp)
    first = np.cumsum(count) - count
    points, owner = np.concatenate(rings), np.repeat(np.arange(len(rings)), count)
    after = np.arange(len(points)) + 1
    after[first + count - 1] = first
    # Newell's method; with the middle of each ring as origin, large coordinates do not eat the digits.
    own = points - (np.add.reduceat(points, first) / count[:, None])[owner]
    normal = np.add.reduceat(np.cross(own, own[after]), first)
    size = np.linalg.norm(normal, axis=1)
    out = normal[:, :2] / np.maximum(np.hypot(*normal[:, :2].T), 1e-9)[:, None]
    along = np.stack([-out[:, 1], out[:, 0]], axis=1)
    u = np.sum(points[:, :2] * along[owner], axis=1)
    left = np.minimum.reduceat(u, first)
    flat = np.column_stack([u - left[owner], points[:, 2] - base])
    shape = np.asarray(shapely.polygons(shapely.linearrings(flat, indices=owner)), dtype=object)
    start = along * left[:, None] + out * np.sum(points[first, :2] * out, axis=1)[:, None]
    kept = (size > 1e-6) & (np.abs(normal[:, 2]) < 0.1 * size) & shapely.is_valid(shape)
    _, low, right, high = shapely.bounds(shape[kept]).reshape(-1, 4).T
    return Walls(start=start[kept], along=along[kept], length=right, low=low, high=high, shape=shape[kept])


def _openings(building: Building, walls: Walls, rng: np.random.Generator) -> tuple[Array, Array]:
    """Quads (N, 4, 3) of windows and a door, and their colours (N, 3)."""
    front = FRONTS.get(building.kind, FRONTS["house"])
    wall, box = _windows(building, walls, front)
    kept = rng.random(len(wall)) > SKIPPED
    wall, box = wall[kept], box[kept]
    entrance = _door(walls, front, rng)
    if entrance is not None:
        number, door = entrance
        beside = np.abs(box[:, [0, 2]].mean(axis=1) - (door[0] + door[2]) / 2) > front.window[0] / 2 + front.door[0] / 2
        clear = (wall != number) | beside | (box[:, 1] > door[3])
        wall, box = np.append(wall[clear], number), np.concatenate([box[clear], door[None]])
    inside = _within(walls, wall, box)
    curtained = rng.random((len(wall), 1)) < CURTAINED
    colour = np.where(curtained, CURTAIN, GLASS) * np.exp(0.35 * rng.standard_normal((len(wall), 1)))
    if entrance is not None:
        colour[-1] = DOORS[int(rng.integers(len(DOORS)))]
    return _lifted(walls, wall[inside], box[inside], building.base), colour[inside]


def _windows(building: Building, walls: Walls, front: Front) -> tuple[NDArray[np.intp], Array]:
    """A window in each bay of each storey: (N,) number of its wall and (N, 4) left, bottom, right, top on that."""
    high = storey(building)
    tall = min(front.window[1], high - front.sill - ROOM)
    if not front.bay or tall < 0.4 or not len(walls.length):
        return np.zeros(0, np.intp), np.zeros((0, 4))
    bays = np.maximum(np.round((walls.length - ROOM) / front.bay), 1).astype(np.intp)
    bays[walls.length <= front.window[0] + 2 * ROOM] = 0
    floors = max(1, int(walls.high.max() / high + 0.01))
    wall = np.repeat(np.arange(len(bays)), bays * floors)
    number = np.arange(len(wall)) - np.repeat(np.cumsum(bays * floors) - bays * floors, bays * floors)
    floor, bay = np.divmod(number, bays[wall])
    middle = (bay + 0.5) * walls.length[wall] / bays[wall]
    bottom = floor * high + front.sill
    box = np.stack([middle - front.window[0] / 2, bottom, middle + front.window[0] / 2, bottom + tall], axis=1)
    fits = (bottom > walls.low[wall] + ROOM) & (box[:, 3] < walls.high[wall] - ROOM)
    return wall[fits], box[fits]


def _door(walls: Walls, front: Front, rng: np.random.Generator) -> tuple[int, Array] | None:
    """Wall and place of the one door: anywhere on one of the two longest walls that stand on the ground."""
    width, tall = front.door
    room = (walls.low < 0.5) & (walls.high > tall + 0.1) & (walls.length > width + 2 * ROOM)
    longest = np.flatnonzero(room)[np.argsort(-walls.length[room], kind="stable")[:2]]
    if not len(longest):
        return None
    number = int(rng.choice(longest))
    left = ROOM + rng.random() * (walls.length[number] - width - 2 * ROOM)
    return number, np.array([left, max(walls.low[number], 0.0), left + width, tall])


def _within(walls: Walls, wall: NDArray[np.intp], box: Array) -> NDArray[np.bool_]:
    if walls.shape is None:
        return np.ones(len(wall), bool)
    inside: NDArray[np.bool_] = shapely.covers(walls.shape[wall], shapely.box(*box.T))
    return inside


def _lifted(walls: Walls, wall: NDArray[np.intp], box: Array, base: float) -> Array:
    """(N, 4, 3) corners of rectangles on walls, counter-clockwise from outside."""
    along = walls.along[wall]
    foot = walls.start[wall] + PROUD * np.stack([along[:, 1], -along[:, 0]], axis=1)
    plan = foot[:, None] + box[:, [0, 2, 2, 0], None] * along[:, None]
    return np.concatenate([plan, base + box[:, [1, 1, 3, 3], None]], axis=2)
