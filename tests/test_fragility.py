"""Damage by intensity against the equations of the macroseismic method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mage_stac.hazards import fragility
from mage_stac.scene.scene import Building
from tests.villages import box

HOUSE = Building(id="h", footprint=box(0, 0, 10, 10), height=6.0, storeys=2, wall_material="stone")


def test_the_mean_grade_is_the_published_curve() -> None:
    # Half way up the curve where I + 6.25 V = 13.1; tanh(1) a ductility further.
    assert fragility.mean_grade(13.1 - 6.25 * 0.74, 0.74) == pytest.approx(2.5)
    assert fragility.mean_grade(13.1 - 6.25 * 0.74 + 2.3, 0.74) == pytest.approx(2.5 * (1 + np.tanh(1.0)))


def test_shares_are_binomial_with_that_mean() -> None:
    shares = fragility.shares(np.array([0.0, 1.3, 2.5, 5.0]))
    assert shares.sum(axis=1) == pytest.approx(np.ones(4))
    assert shares @ np.arange(6) == pytest.approx([0.0, 1.3, 2.5, 5.0])
    assert shares[2] == pytest.approx(np.array([1, 5, 10, 10, 5, 1]) / 32)


def test_drawn_grades_follow_the_shares() -> None:
    rng = np.random.default_rng(0)
    count = 40_000
    drawn = fragility.grades(np.full(count, 8.0), np.full(count, 0.74), rng.random(count))
    expected = fragility.shares(fragility.mean_grade(8.0, 0.74))
    assert np.bincount(drawn, minlength=6) / count == pytest.approx(expected, abs=0.008)


def test_construction_follows_walls_height_and_region() -> None:
    assert fragility.construction(HOUSE, "masonry") == "simple_stone"
    assert fragility.construction(replace(HOUSE, wall_material="siding_white"), "masonry") == "timber"
    assert fragility.construction(replace(HOUSE, storeys=7), "masonry") == "concrete_frame"
    assert fragility.index(HOUSE, "masonry") > fragility.index(replace(HOUSE, wall_material="siding_tan"), "timber")


def test_every_wall_has_a_construction_everywhere() -> None:
    from mage_stac.scene.materials import WALLS

    for way in fragility.STOCKS:
        for wall in WALLS:
            assert fragility.construction(replace(HOUSE, wall_material=wall), way) in fragility.INDEX


def test_the_stock_shows_in_the_walls() -> None:
    wooden = replace(HOUSE, wall_material="siding_white")
    assert fragility.stock((wooden, HOUSE)) == "timber"
    assert fragility.stock((HOUSE,) * 9 + (wooden,)) == "masonry"
