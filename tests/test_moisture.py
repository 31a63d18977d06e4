"""Soaked soil: where it is, and how dark it is in which band."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import cover, infrared, materials, moisture
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import SEMANTIC, Flood

CANVAS = Canvas(size=(400.0, 300.0), texel=2.0, seed=3)
SOIL = np.full((*CANVAS.shape, 3), (0.25, 0.20, 0.15), np.float32)
FIELD = np.full(CANVAS.shape, SEMANTIC["field"], np.uint8)
DRY = np.zeros(CANVAS.shape, bool)


def share(level: float, *, reflectance: np.ndarray = SOIL, semantic: np.ndarray = FIELD) -> np.ndarray:
    return moisture.soaked(reflectance, semantic, DRY, level, CANVAS)


def test_none_and_all_stay_what_they_are_and_between_them_soil_is_patchy() -> None:
    assert share(0.0).max() == 0
    assert share(1.0).min() == 1
    half = share(0.5)
    assert half.mean() == pytest.approx(0.5, abs=0.15)
    assert half.std() > 0.1


def test_leaves_and_asphalt_hide_no_soil() -> None:
    leaves = np.full((*CANVAS.shape, 3), (0.05, 0.09, 0.04), np.float32)
    assert share(1.0, reflectance=leaves).max() == 0
    assert share(1.0, semantic=np.full_like(FIELD, SEMANTIC["road"])).max() == 0


def test_soil_is_soaked_beside_water_and_less_further_away() -> None:
    wet = DRY.copy()
    wet[:, :50] = True
    seen = moisture.soaked(SOIL, FIELD, wet, 0.0, CANVAS)
    assert seen[:, :50].max() == 0
    distance = 2.0 * np.arange(1, 151)
    assert seen[0, 50:] == pytest.approx(np.exp(-distance / moisture.SEEPAGE), rel=1e-4)


def test_a_film_of_water_takes_the_short_waves() -> None:
    ones = np.ones((1, 1), np.float32)
    visible, beyond = moisture.darkened(ones), moisture.absorbed(ones)[0, 0]
    # Beer and Lambert, down and up through FILM: 2 * 0.3 mm * 0.67 and 1.65 / mm
    assert visible[0, 0] * beyond == pytest.approx([0.5, 0.5 * np.exp(-0.402), 0.5 * np.exp(-0.99)], rel=1e-5)
    assert moisture.absorbed(np.zeros((1, 1), np.float32))[0, 0] == pytest.approx([1, 1, 1])


def test_half_soaked_soil_is_the_mean_of_wet_and_dry() -> None:
    some = np.array([[0.0, 0.5, 1.0]], np.float32)
    level = moisture.darkened(some)[..., None] * moisture.absorbed(some)
    assert level[0, 1] == pytest.approx(level[0, ::2].mean(axis=0))


def test_a_flood_darkens_the_soil_that_stands_out_of_it() -> None:
    depth = np.zeros((30, 40), np.float32)
    depth[:, :10] = 2.0
    dry, _, _ = cover.water(SOIL, FIELD, Flood(depth=depth, soaked=0.0), CANVAS)
    wet, semantic, soaked = cover.water(SOIL, FIELD, Flood(depth=depth, soaked=1.0), CANVAS)
    assert wet[:, 90:].mean() == pytest.approx(0.5 * dry[:, 90:].mean(), rel=0.02)
    assert (semantic[:, 90:] == SEMANTIC["field"]).all()
    assert soaked[semantic == SEMANTIC["water"]].max() == 0
    np.testing.assert_array_equal(wet[:, :40], dry[:, :40])


def test_soaked_soil_has_an_index_between_soil_and_water() -> None:
    """MNDWI (Xu 2006), which soaked soil raises; it stays below that of water."""

    def index(colour: tuple[float, ...], kind: str, soaked: float) -> float:
        seen = np.array([[colour]], np.float32)
        wet = np.full((1, 1), soaked, np.float32)
        short = infrared.of(seen, np.array([[SEMANTIC[kind]]], np.uint8)) * moisture.absorbed(wet)
        green, swir = seen[0, 0, 1], short[0, 0, 1]
        return float((green - swir) / (green + swir))

    soil = materials.material("crop_soil", "summer").variants[0]
    dry, wet = index(soil, "field", 0.0), index(tuple(0.5 * part for part in soil), "field", 1.0)
    assert dry + 0.1 < wet < 0.1 < index(cover.LOADED, "water", 0.0)
