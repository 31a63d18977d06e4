"""Backscatter against what is published of it, and against physics."""

from __future__ import annotations

from math import cos, log10, radians

import pytest

from mage_stac import backscatter
from mage_stac.errors import RenderError
from mage_stac.scene.scene import SEMANTIC

LIKE, CROSS = backscatter.of("C", "VV"), backscatter.of("C", "VH")


@pytest.mark.parametrize("table", list(backscatter.TABLES.values()))
def test_every_class_has_its_level(table: backscatter.Backscatter) -> None:
    assert set(table.level) == set(SEMANTIC)
    assert set(table.spread) <= set(SEMANTIC)


def test_the_sea_s_model_has_water_s_level_in_a_light_breeze() -> None:
    """CMOD5.N's mean over directions at 3 m/s: -22.0 dB at 38 degrees, -25.1 at 45 (its published coefficients)."""
    for incidence, wanted in ((38.0, -22.0), (45.0, -25.1)):
        fall = backscatter.FALLOFF["water"] * log10(cos(radians(incidence)) / cos(radians(backscatter.REFERENCE)))
        assert LIKE.level["water"] + 10 * fall == pytest.approx(wanted, abs=1.0)


def test_volumes_depolarise_more_than_surfaces() -> None:
    ratio = {name: CROSS.level[name] - LIKE.level[name] for name in SEMANTIC}
    assert all(value < 0 for value in ratio.values())
    assert ratio["tree"] > ratio["field"] > ratio["grass"] > ratio["bare"] > ratio["road"]
    assert min(CROSS.level, key=lambda name: CROSS.level[name]) == "water"
    # Two bounces at right angles keep the polarisation better than one bounce off a wall.
    assert CROSS.wall * CROSS.corner / (LIKE.wall * LIKE.corner) < CROSS.wall / LIKE.wall < 1


def test_bands_without_a_table_take_that_of_x() -> None:
    assert backscatter.of("L", "HH") is backscatter.of("X", "VV")
    with pytest.raises(RenderError, match="no backscatter of VH in X band"):
        backscatter.of("X", "VH")
