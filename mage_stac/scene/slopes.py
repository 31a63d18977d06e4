"""Slopes: terrain for invented places, and what stands there put onto it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mage_stac.scene import chance, geometry, pieces
from mage_stac.scene.chance import Range
from mage_stac.scene.scene import Scene

CELL = 5.0
"""Metres along a cell of the terrain."""
LEAST = 0.005
"""Slopes below this are left flat, but on plains: where a style has none steeper."""
WAVES = 6
"""Rolling on top of the plane, and its wavelengths, m."""
LENGTHS = (60.0, 240.0)
ROLL = 0.35
"""Greatest gradient of the rolling, as a share of the plane's."""
LEVELLED = 0.03
"""The same on plains, whatever their slope: parcels lie a few decimetres apart."""


def terrain(size: tuple[float, float], rise: Range, rng: np.random.Generator) -> NDArray[np.float32] | None:
    """A slope with rolls: heights (rows, columns) in m at the middles of cells of about CELL metres, row 0 north.

    `rise` bounds the slope of the whole, metres per metre; the lowest height is 0. None where it comes out flat.
    """
    slope, toward = chance.between(rng, rise), rng.uniform(0, 2 * np.pi)
    plain = 0 < rise[1] < LEAST
    if slope < LEAST and not plain:
        return None
    columns, rows = (max(2, round(side / CELL)) for side in size)
    x = (np.arange(columns) + 0.5) / columns * size[0]
    y = size[1] - (np.arange(rows) + 0.5) / rows * size[1]
    east, north = np.meshgrid(x, y)
    heights = slope * (east * np.cos(toward) + north * np.sin(toward))
    for _ in range(WAVES):
        length, bearing, phase = rng.uniform(*LENGTHS), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        height = (LEVELLED if plain else ROLL * slope) / WAVES * length / (2 * np.pi)
        along = east * np.cos(bearing) + north * np.sin(bearing)
        heights += height * np.sin(2 * np.pi * along / length + phase)
    above: NDArray[np.float32] = (heights - heights.min()).astype(np.float32)
    return above


def placed(scene: Scene, ground: NDArray[np.float32] | None) -> Scene:
    """The scene on a terrain: each building from its lowest corner up, each tree from its trunk. Cars come later."""
    if ground is None:
        return scene
    on = replace(scene, terrain=ground)
    nodes = geometry.ground_heights(on)
    buildings = tuple(
        replace(one, base=round(float(pieces.heights(nodes, scene.size, *np.array(one.footprint).T).min()), 2))
        for one in scene.buildings
    )
    x, y = np.array([(tree.x, tree.y) for tree in scene.trees]).reshape(-1, 2).T
    levels = pieces.heights(nodes, scene.size, x, y)
    trees = tuple(replace(tree, base=round(float(z), 2)) for tree, z in zip(scene.trees, levels, strict=True))
    return replace(on, buildings=buildings, trees=trees)
