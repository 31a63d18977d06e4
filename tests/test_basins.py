"""Irrigated parcels: level, closed by their banks, with raised roads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import SeedSequence
from scipy import ndimage

from mage_stac.hazards.flood import Flood
from mage_stac.scene import basins, procedural
from mage_stac.scene.scene import Building, Scene, Surface

SIZE = (120.0, 90.0)
SLOPE = np.repeat(np.linspace(2.0, 0.0, 24, dtype=np.float32)[None], 18, axis=0)
"""Falls to the east by 2 m over 120 m, in cells of 5 m."""
WEST, EAST = (10.5, 10.5, 50.5, 80.5), (52.5, 10.5, 100.5, 80.5)


def surface(box: tuple[float, float, float, float], use: str, semantic: str) -> Surface:
    west, south, east, north = box
    ring = ((west, south), (east, south), (east, north), (west, north))
    return Surface(ring=ring, kind="field" if use == "mown" else "asphalt", semantic=semantic, use=use)


FIELDS = surface(WEST, "mown", "field"), surface(EAST, "mown", "field")
ROAD = surface((104.0, 0.0, 110.0, 90.0), "street", "road")


def scene(*surfaces: Surface, buildings: tuple[Building, ...] = ()) -> Scene:
    return Scene(
        id="x", seed=0, crs="EPSG:32630", origin=(0.0, 0.0), size=SIZE, datetime="2019-09-18T11:00:00Z",
        style="farmland", surfaces=surfaces, buildings=buildings,
    )  # fmt: skip


def cells(ground: np.ndarray, box: tuple[float, float, float, float], inset: float) -> np.ndarray:
    """Cells of a metre at least `inset` inside a box."""
    west, south, east, north = box
    rows = slice(round(SIZE[1] - north + inset), round(SIZE[1] - south - inset))
    return ground[rows, round(west + inset) : round(east - inset)]


@given(seed=st.integers(0, 2**32 - 1))
def test_parcels_are_level_behind_closed_banks(seed: int) -> None:
    ground = basins.levelled(scene(*FIELDS, ROAD), SLOPE, np.random.default_rng(seed))
    assert ground.shape == (90, 120)
    for box in (WEST, EAST):
        inner = cells(ground, box, 2.5)
        level = float(inner.mean())
        assert np.ptp(inner) < 1e-4  # float32 of a few metres
        low, high = basins.BANK
        assert cells(ground, box, 0.0).max() - level > low * 0.99
        # Water that stands lower than the lowest bank does not get out, not even across corners.
        pool, _ = ndimage.label(ground < level + 0.99 * low, np.ones((3, 3)))
        middle = pool[round(SIZE[1] - (box[1] + box[3]) / 2), round((box[0] + box[2]) / 2)]
        rows, columns = np.nonzero(pool == middle)
        assert box[0] - 1 < columns.min()
        assert columns.max() < box[2] + 1
        assert SIZE[1] - box[3] - 1 < rows.min()
        assert rows.max() < SIZE[1] - box[1] + 1
        assert high < 1


def test_a_parcel_lies_about_where_the_slope_has_it() -> None:
    levels = []
    for seed in range(40):
        ground = basins.levelled(scene(FIELDS[0], ROAD), SLOPE, np.random.default_rng(seed))
        levels.append(float(cells(ground, WEST, 2.5).mean() - ground[:, 119].mean()))
    middle = (WEST[0] + WEST[2]) / 2  # the slope is linear: its mean is that of the parcel's middle
    assert np.mean(levels) == pytest.approx(2.0 - 2.0 * (middle - 2.5) / 115, abs=0.08)
    assert np.std(levels) == pytest.approx(basins.STEP, rel=0.4)


def test_roads_and_houses_stand_above_the_land_beside_them() -> None:
    house = Building(id="a", footprint=((60.0, 40.0), (70.0, 40.0), (70.0, 50.0), (60.0, 50.0)), height=6.0)
    ground = basins.levelled(scene(*FIELDS, ROAD, buildings=(house,)), SLOPE, np.random.default_rng(1))
    inside, around = float(ground[45, 65]), float(ground[20, 65])
    assert inside - around == pytest.approx(basins.MOUND, abs=1e-4)
    road = ground[10:80, 106:108].mean() - ground[10:80, 112:114].mean()
    low, high = basins.RAISED
    assert low - 0.1 < road < high + 0.15


def test_without_parcels_the_ground_stays() -> None:
    ground = basins.levelled(scene(ROAD), SLOPE, np.random.default_rng(0))
    slope = 2.0 - (np.arange(120) + 0.5 - 2.5) / 5 * 2.0 / 23  # between the middles of the slope's cells
    assert ground[40, 5:-5] == pytest.approx(slope[5:-5], abs=1e-4)


def test_a_flood_that_has_gone_leaves_water_in_the_parcels() -> None:
    place = procedural.town(
        seed=SeedSequence(0), id="x", size=(400.0, 400.0), style="farmland", datetime="2019-09-18T18:00:00Z"
    )
    level = replace(place, terrain=np.zeros((400, 400), np.float32))
    left = []
    for one in (place, level):
        after, _ = Flood(receded=True).apply(one, 1.5, np.random.default_rng(1))
        assert after.flood is not None
        left.append(float((after.flood.depth > 0.05).mean()))
    assert left[0] > 0.15
    assert left[1] == 0
