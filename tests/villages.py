"""A plain village for hazards: rows of equal houses along straight roads, grass, trees and cars; a river on request."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene.scene import Building, Car, Ring, Scene, Surface, Tree

PLOT, HOUSE, ROAD = 20.0, 10.0, 6.0
"""Side of a plot and of a house, width of a road, m."""


def box(x: float, y: float, width: float, height: float) -> Ring:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def village(rows: int = 4, columns: int = 5, *, river: bool = False, **changes: Any) -> Scene:
    """`rows` of `columns` houses; a road of ROAD metres south of each row, from edge to edge."""
    width, height = columns * PLOT, rows * (PLOT + ROAD) + (20.0 if river else 0.0)
    surfaces = [Surface(ring=box(0, 0, width, height), kind="grass", semantic="grass", seed=1)]
    buildings, trees, cars = [], [], []
    for row in range(rows):
        south = row * (PLOT + ROAD) + (20.0 if river else 0.0)
        middle = south + ROAD / 2
        line = ((0.0, middle), (width, middle))
        surfaces.append(
            Surface(ring=box(0, south, width, ROAD), kind="asphalt", semantic="road", line=line, width=ROAD)
        )
        for column in range(columns):
            x, y = column * PLOT + 5.0, south + ROAD + 5.0
            name = f"h{row}-{column}"
            buildings.append(
                Building(
                    id=name,
                    footprint=box(x, y, HOUSE, HOUSE),
                    height=6.0,
                    storeys=2,
                    wall_material="stone",
                    roof_material="tile_orange",
                    seed=len(buildings),
                )
            )
            trees.append(Tree(x=x - 2.5, y=y + 5.0, height=7.0, radius=2.0, seed=len(trees)))
            cars.append(Car(x=x + 5.0, y=middle, bearing=90.0))
    if river:
        surfaces.append(Surface(ring=box(0, 0, width, 10.0), kind="water", semantic="water", seed=2))
    whole: dict[str, Any] = {
        "id": "village", "seed": 1, "crs": "EPSG:32633", "origin": (350_000.0, 4_740_000.0), "size": (width, height),
        "datetime": "2020-06-10T10:00:00Z", "surfaces": tuple(surfaces), "buildings": tuple(buildings),
        "trees": tuple(trees), "cars": tuple(cars), "ground_seed": 5,
    }  # fmt: skip
    return Scene(**{**whole, **changes})


def slope(scene_size: tuple[float, float], rise: float) -> NDArray[np.float32]:
    """Terrain of 1 m cells that rises northwards by `rise` metres per metre from 100 m."""
    rows, columns = round(scene_size[1]), round(scene_size[0])
    north = rows - 0.5 - np.arange(rows)
    return np.repeat((100.0 + rise * north)[:, None], columns, axis=1).astype(np.float32)
