"""Balconies: on the upper storeys of dwellings, along sides that face nothing but air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, STRtree

from mage_stac.scene import facades, mesh
from mage_stac.scene.materials import material, pick
from mage_stac.scene.mesh import Mesh
from mage_stac.scene.scene import Building

Array = NDArray[np.float64]

PARAPET, SLAB = 1.0, 0.16
"""Height of the parapet over the floor, thickness of the floor, m."""
DEEP = (0.9, 1.5)
"""From the wall to the parapet, m."""
UNDER_ROOF = 0.5
"""They end so far under the lowest point of the roof: by their height, labels tell them from roofs (labelling), m."""
SHORTEST, CLEAR = 4.0, 2.0
"""Length of the sides that carry them, and the air before those, at least, m."""
HOMES = ("house", "apartment")
APARTMENTS = 0.6
"""Share of blocks of flats that have some, wherever they stand."""


def hung(buildings: Sequence[Building], shares: Sequence[float]) -> tuple[Building, ...]:
    """The buildings, with sides for balconies on a share of the storeyed dwellings.

    Args:
        buildings: all of a place, so that no balcony hangs into a neighbour.
        shares: of houses that have balconies, where each building stands, 0..1.
    """
    chosen = [number for number, one in enumerate(buildings) if _has(one, shares[number])]
    fronts = [
        (number, side, _before(buildings[number], side)) for number in chosen for side in _long(buildings[number])
    ]
    tree = STRtree([Polygon(one.footprint) for one in buildings])
    blocked = set(tree.query([front for *_, front in fronts], predicate="intersects")[0].tolist()) if fronts else set()
    free: dict[int, list[int]] = {}
    for index, (number, side, _) in enumerate(fronts):
        if index not in blocked:
            free.setdefault(number, []).append(side)
    made = list(buildings)
    for number, found in free.items():
        most = 1 + buildings[number].seed % 2
        made[number] = replace(buildings[number], balconies=tuple(sorted(found[:most])))
    return tuple(made)


def lowest_roof(building: Building) -> float:
    """The lowest point of the roof above the base, m: the eaves, less what an overhang hangs down."""
    if building.faces:
        tops = [point[2] for face in building.faces if face.kind == "roof" for point in face.ring]
        return min(tops, default=building.base) - building.base
    hangs = 0.0 if building.roof == "flat" else building.overhang * float(np.tan(np.radians(building.pitch)))
    return building.height - hangs


def build(building: Building, instance: int) -> Mesh:
    """Floors and parapets at the bays of the sides that have balconies, storey over storey; the building's own."""
    floors = _floors(building)
    if not building.balconies or not len(floors):
        return mesh.join([])
    rng = np.random.default_rng([building.seed, 7])
    deep, every, through = rng.uniform(*DEEP), int(rng.integers(1, 3)), rng.random() < 0.25
    bay = facades.FRONTS[building.kind].bay
    wide = min(rng.uniform(1.8, 3.4), bay - 0.3)
    ring, parts = np.array(building.footprint), []
    for side in building.balconies:
        start, end = ring[side], ring[(side + 1) % len(ring)]
        length = float(np.hypot(*(end - start)))
        bays = max(1, round(length / bay))
        middles = (np.arange(bays)[::every, None] + 0.5) * length / bays
        spans = np.array([[0.3, length - 0.3]]) if through else middles + np.array([-wide, wide]) / 2
        parts += [_stack(start, (end - start) / length, span, deep, floors) for span in spans]
    quads = np.concatenate(parts) + np.array([0.0, 0.0, building.base])
    wall = pick(material(building.wall_material), building.seed + 1)
    parapet = (wall, (0.62, 0.61, 0.59), (0.16, 0.17, 0.18))[int(rng.integers(3))]
    floor = pick(material("concrete"), building.seed)
    colour = np.tile([floor, parapet, parapet, parapet], (len(quads) // 4, 1))
    return mesh.faces(quads, colour, semantic="building", instance=instance)


def _has(building: Building, share: float) -> bool:
    lot = np.random.default_rng([building.seed, 8]).random() if building.kind in HOMES else 1.0
    wanted = max(share, APARTMENTS) if building.kind == "apartment" else share
    return bool(lot < wanted and len(_floors(building)))


def _floors(building: Building) -> Array:
    """Heights above the base of the upper floors that have room for a balcony under the roof."""
    high = facades.storey(building)
    floors = high * np.arange(1, round(building.height / high), dtype=np.float64)
    low: Array = floors[floors + PARAPET < lowest_roof(building) - UNDER_ROOF]
    return low


def _long(building: Building) -> list[int]:
    """Sides of the footprint that are long enough, the longest first."""
    ring = np.array(building.footprint)
    length = np.hypot(*(np.roll(ring, -1, axis=0) - ring).T)
    return [int(side) for side in np.argsort(-length, kind="stable") if length[side] >= SHORTEST]


def _before(building: Building, side: int) -> Polygon:
    """The air before a side."""
    ring = np.array(building.footprint)
    start, end = ring[side], ring[(side + 1) % len(ring)]
    along = (end - start) / np.hypot(*(end - start))
    out = np.array([along[1], -along[0]])
    near, far = 0.1 * out, CLEAR * out
    return Polygon([start + near, start + far, end + far, end + near])


def _stack(start: Array, along: Array, span: Array, deep: float, floors: Array) -> Array:
    """(4 F, 4, 3) floor and left, front and right parapet of a balcony over each of F floors."""
    out = np.array([along[1], -along[0]])
    inner, outer = (start + span[:, None] * along + away * out for away in (0.0, deep))
    ends = np.stack([inner[0], outer[0], outer[1], inner[1]])
    level, low, high = (np.concatenate([ends, np.full((4, 1), z)], axis=1) for z in (0.0, -SLAB, PARAPET))
    sides = [[low[i], low[i + 1], high[i + 1], high[i]] for i in range(3)]
    one = np.stack([level, *sides])
    stacked: Array = one[None] + np.array([0.0, 0.0, 1.0]) * floors[:, None, None, None]
    return stacked.reshape(-1, 4, 3)
