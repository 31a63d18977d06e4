"""Footprints for the tests of roofs, shells and ruins."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from shapely import Polygon
from shapely.affinity import rotate, translate

from mage_stac.scene.scene import LOOKS, Building, Damage, Ring

L_SHAPE = ((0, 0), (20, 0), (20, 8), (7, 8), (7, 15), (0, 15))
T_SHAPE = ((0, 0), (20, 0), (20, 8), (14, 8), (14, 14), (8, 14), (8, 8), (0, 8))
U_SHAPE = ((0, 0), (24, 0), (24, 16), (17, 16), (17, 7), (7, 7), (7, 16), (0, 16))
CROSS = ((6, 0), (12, 0), (12, 6), (18, 6), (18, 12), (12, 12), (12, 18), (6, 18), (6, 12), (0, 12), (0, 6), (6, 6))
RECTANGLE = ((0, 0), (14, 0), (14, 9), (0, 9))
TRIANGLE = ((0, 0), (12, 0), (5, 9))
ARROW = ((0, 0), (12, 1), (13, 9), (7, 5), (1, 8))
NAMED: dict[str, Ring] = {
    "l": L_SHAPE, "t": T_SHAPE, "u": U_SHAPE, "cross": CROSS, "rectangle": RECTANGLE, "triangle": TRIANGLE,
    "arrow": ARROW,
}  # fmt: skip
GRADES = {look: grade for grade, looks in LOOKS.items() for look in looks}


def building(footprint: Ring = RECTANGLE, *, look: str = "intact", fraction: float = 0.4, **fields: Any) -> Building:
    points = tuple((float(x), float(y)) for x, y in footprint)
    damage = Damage(grade=GRADES[look], look=look, fraction=fraction, seed=5)
    return Building(**{"id": "b", "height": 3.0, "seed": 3, "damage": damage, **fields, "footprint": points})


def turned(footprint: Ring, angle: float, x: float = 0.0, y: float = 0.0) -> Ring:
    moved = translate(rotate(Polygon(footprint), angle, origin=(0, 0)), x, y)
    return tuple(moved.exterior.coords[:-1])


@st.composite
def footprints(draw: st.DrawFn) -> Ring:
    """Named shapes of any size, place and turn, and star-shaped polygons that are rarely convex."""
    angle, x, y = draw(st.floats(0, 360)), draw(st.floats(-50, 300)), draw(st.floats(-50, 300))
    if draw(st.booleans()):
        shape = NAMED[draw(st.sampled_from(sorted(NAMED)))]
        scale = draw(st.floats(0.15, 4.0)), draw(st.floats(0.15, 4.0))
        return turned([(px * scale[0], py * scale[1]) for px, py in shape], angle, x, y)
    count = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(1.0, 15.0), min_size=count, max_size=count))
    turns = 2 * np.pi * np.arange(count) / count
    return turned(np.column_stack([radii * np.cos(turns), radii * np.sin(turns)]), angle, x, y)
