"""Crops in water: which stand out of it, and how much of it they hide."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import cover, crops
from mage_stac.scene.cadastre import survey
from mage_stac.scene.crops import Crops
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC, Flood, Surface

CANVAS = Canvas(size=(600.0, 600.0), texel=2.0, seed=3)
FIELD = np.full(CANVAS.shape, SEMANTIC["field"], np.uint8)


def plain(height: float, hides: float) -> Crops:
    return Crops(height=np.full(CANVAS.shape, height, np.float32), hides=np.full(CANVAS.shape, hides, np.float32))


def strip(kind: str, west: float, seed: int = 0) -> Surface:
    ring = ((west, 0.0), (west + 100, 0.0), (west + 100, 600.0), (west, 600.0))
    return Surface(ring=ring, kind=kind, semantic="field", use="mown", seed=seed)


@pytest.mark.parametrize(("depth", "share"), [(0.25, 0.6), (0.5, 0.4), (1.0, 0.0), (2.0, 0.0)])
def test_what_stands_out_hides_as_much_as_is_above_the_water(depth: float, share: float) -> None:
    shown = crops.emergent(plain(1.0, 0.8), np.full(CANVAS.shape, depth, np.float32), CANVAS)
    # 90,000 texels: a standard deviation of 0.0016
    assert shown.mean() == pytest.approx(share, abs=0.008)


def test_no_crop_stands_in_water_where_there_is_none() -> None:
    assert not crops.emergent(plain(1.0, 1.0), np.zeros(CANVAS.shape, np.float32), CANVAS).any()


def test_parcels_differ_and_bare_soil_has_none() -> None:
    surfaces = (strip("field", 0.0, 1), strip("field", 100.0, 5), strip("crop_soil", 200.0), strip("vegetable", 300.0))
    found = crops.standing(survey(surfaces, CANVAS), CANVAS)
    one, two, soil, vegetable = (found.height[:, 50 * n + 5 : 50 * n + 45] for n in range(4))
    assert soil.max() == 0
    assert abs(np.log(np.median(one) / np.median(two))) > 0.1
    most = crops.TALL["vegetable"][1] * np.exp(4 * crops.UNEVEN[1])
    assert 0 < vegetable.min() < vegetable.max() < most
    assert found.height[:, 225:].max() == 0


def test_a_flood_shows_between_the_crops() -> None:
    ground = np.full((*CANVAS.shape, 3), 0.1, np.float32)

    def dry(depth: float) -> float:
        flood = Flood(depth=np.full((60, 60), depth, np.float32), turbidity=0.5)
        _, semantic, _ = cover.water(ground, FIELD, flood, CANVAS, crops=plain(0.5, 0.8))
        return float((semantic == SEMANTIC["field"]).mean())

    assert dry(0.25) == pytest.approx(0.4, abs=0.05)  # the ground is uneven by stubble
    assert dry(0.25) > dry(0.4) > dry(2.5) == 0
