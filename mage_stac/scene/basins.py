"""Basins: irrigated parcels that lie level, each behind low banks of earth, and the roads raised above them.

Brouwer et al. (1988), "Irrigation Water Management: Irrigation Methods", FAO Training Manual 5, chapter 2: fields
levelled within their banks, which keep 0.4 to 0.5 m of their height once settled, temporary ones less. They decide
where water comes to, how deep, and where it stays: a flood of such land has the outlines of parcels.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene import chance
from mage_stac.scene.cadastre import burn
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import Ring, Scene

Grid = NDArray[np.float32]
OVER = ("road", "water")
"""What takes the place of a parcel that it crosses."""
REACH = 20.0
"""Beyond a parcel's edge the ground passes to its own height over this length, m."""
ROAD = 4.0
"""Over which a road passes from one parcel's height to the next one's, standard deviation in m."""

CELL = 1.0
"""Metres along a cell of the terrain, where that makes no more than MOST_CELLS along a side: a bank is two wide."""
MOST_CELLS = 1500
BANK = (0.15, 0.5)
"""Height of the banks of a parcel, m."""
STEP = 0.12
"""By which parcels lie higher or lower than the slope has it, standard deviation in m: by eye, a spade's depth."""
RAISED = (0.1, 0.4)
"""Height of a scene's roads above the parcels beside them, m: low embankments of tracks and lanes, by eye."""
MOUND, APRON = 0.4, 3.0
"""Height of the ground that houses stand on, and how far it reaches beyond their walls, m: by eye."""


def levelled(scene: Scene, ground: Grid, rng: np.random.Generator) -> Grid:
    """The ground with parcels (surfaces of use "mown") level behind their banks, and roads and houses raised.

    Args:
        scene: what lies where; how high is not read.
        ground: (rows, columns) m, of any resolution over the scene, row 0 north.
        rng: draws how high parcels, banks and roads lie.

    Returns:
        Heights on cells of about CELL metres, m.
    """
    canvas = Canvas(size=scene.size, texel=max(CELL, max(scene.size) / MOST_CELLS), seed=scene.seed)
    heights = canvas.resampled(ground)
    parcels = [one.ring for one in scene.surfaces if one.use == "mown"]
    steps, banks = STEP * rng.standard_normal(len(parcels)), rng.uniform(*BANK, len(parcels))
    raised = chance.between(rng, RAISED)
    number = _burnt(parcels, canvas)
    number[_burnt([one.ring for one in scene.surfaces if one.semantic in OVER], canvas) > 0] = 0
    held = np.unique(number[number > 0])
    if not len(held):
        return heights
    levels = np.full(len(parcels) + 1, -np.inf)
    levels[held] = ndimage.mean(heights, number, held) + steps[held - 1]
    far, nearest = ndimage.distance_transform_edt(number == 0, sampling=canvas.step, return_indices=True)
    share = np.clip(1 - far / REACH, 0.0, 1.0)
    flat = share * levels[number[tuple(nearest)]] + (1 - share) * heights
    rim = (ndimage.maximum_filter(number, 3) != ndimage.minimum_filter(number, 3)) & (number > 0)
    crests = ndimage.maximum_filter((levels + np.append(0.0, banks))[number], 3)
    road = _burnt([one.ring for one in scene.surfaces if one.semantic == "road"], canvas) > 0
    embanked = ndimage.gaussian_filter(flat, [ROAD / step for step in canvas.step], mode="nearest") + raised
    plots = [shapely.Polygon(one.footprint).buffer(APRON, join_style="mitre") for one in scene.buildings]
    house = burn(zip(plots, repeat(1), strict=False), canvas) > 0
    shaped = np.where(road, embanked, np.where(rim, crests, flat + MOUND * house))
    return np.asarray(shaped - shaped.min(), dtype=np.float32)


def _burnt(rings: Iterable[Ring], canvas: Canvas) -> NDArray[np.int32]:
    """(rows, columns) the number, from 1, of the last ring that holds a cell's middle, 0 where none does."""
    return burn(((shapely.Polygon(ring), number) for number, ring in enumerate(rings, start=1)), canvas)
