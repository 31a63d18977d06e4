"""Hazus's fragility curves against their own definition, and against USGS's transcription of the tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import lognorm

from mage_stac.errors import HazardError
from mage_stac.hazards import fragility, hazus
from mage_stac.hazards.earthquake import Earthquake
from mage_stac.scene.materials import WALLS
from mage_stac.scene.scene import Building
from tests.villages import box, village

HOUSE = Building(id="h", footprint=box(0, 0, 10, 10), height=6.0, storeys=2, wall_material="stone")
SHAKECAST = {
    ("W1", "high"): (26, 55, 128, 201),
    ("W1", "pre"): (18, 29, 51, 77),
    ("C1M", "moderate"): (13, 21, 49, 89),
    ("C2H", "low"): (11, 19, 38, 65),
    ("C3L", "pre"): (10, 14, 21, 35),
    ("RM1M", "high"): (20, 37, 81, 190),
    ("URML", "low"): (14, 20, 32, 46),
    ("URMM", "pre"): (9, 13, 21, 38),
    ("S3", "moderate"): (13, 19, 33, 60),
    ("MH", "pre"): (8, 11, 18, 34),
}
"""Per cent of g, from the operator's manual of USGS ShakeCast V3, appendix E, tables 1 to 4."""


@pytest.mark.parametrize(("key", "expected"), SHAKECAST.items())
def test_medians_are_those_that_shakecast_uses(key: tuple[str, str], expected: tuple[int, ...]) -> None:
    assert np.array(hazus.MEDIANS[key[0]][key[1]]) * 100 == pytest.approx(expected)


def test_shares_are_lognormal() -> None:
    motion, medians = np.array([0.05, 0.17, 0.4]), np.array([hazus.medians(HOUSE, "masonry", "pre")] * 3)
    shares = hazus.shares(motion, medians)
    beyond = lognorm.cdf(motion[:, None], hazus.BETA, scale=medians)
    assert shares.sum(axis=1) == pytest.approx(np.ones(3))
    assert 1 - np.cumsum(shares[:, :4], axis=1) == pytest.approx(beyond)
    # At the median of moderate damage half of the houses have it or worse.
    assert shares[1, 2:].sum() == pytest.approx(0.5)


def test_drawn_grades_follow_the_shares_and_a_part_of_the_complete_collapses() -> None:
    count = 40_000
    luck = np.random.default_rng(0).random(count)
    drawn = hazus.grades(np.full(count, 0.37), [HOUSE] * count, "masonry", "pre", luck)
    found = np.bincount(drawn, minlength=6) / count
    expected = hazus.shares(np.array([0.37]), np.array([hazus.medians(HOUSE, "masonry", "pre")]))[0]
    assert [*found[:4], found[4] + found[5]] == pytest.approx(expected, abs=0.008)
    assert found[5] / (found[4] + found[5]) == pytest.approx(0.15, abs=0.01)


def test_types_follow_construction_and_height() -> None:
    tower = replace(HOUSE, storeys=9, wall_material="stucco")
    assert hazus.medians(HOUSE, "masonry", "pre") == hazus.MEDIANS["URML"]["pre"]
    assert hazus.medians(replace(HOUSE, storeys=4), "masonry", "pre") == hazus.MEDIANS["URMM"]["pre"]
    assert hazus.medians(tower, "masonry", "pre") == hazus.MEDIANS["C3H"]["pre"]
    assert hazus.medians(tower, "concrete", "high") == hazus.MEDIANS["C1H"]["high"]
    assert hazus.medians(replace(HOUSE, kind="mobile_home"), "timber", "low") == hazus.MEDIANS["MH"]["low"]
    # No code permits plain masonry: its curves end at low.
    assert hazus.medians(HOUSE, "masonry", "high") == hazus.MEDIANS["URML"]["low"]


def test_every_wall_and_height_has_a_curve_everywhere() -> None:
    for way in fragility.STOCKS:
        for wall in WALLS:
            for storeys in (1, 3, 5, 12):
                one = replace(HOUSE, wall_material=wall, storeys=storeys)
                curves = [hazus.medians(one, way, level) for level in hazus.LEVELS]
                assert all(np.all(np.diff(curve) > 0) for curve in curves)
                assert np.all(np.diff(np.array(curves), axis=0) >= 0)


def test_an_earthquake_by_hazus_grades_worse_without_a_code() -> None:
    scene = village(rows=8, columns=8)

    def mean(code: str) -> float:
        quake = Earthquake(curves="hazus", code=code, stock="concrete", residual=0.0, vs30=400.0)
        _, truth = quake.apply(scene, 7.0, np.random.default_rng(0))
        return float(np.mean(list(truth.grades.values())))

    assert mean("pre") > mean("low") > 1.0
    with pytest.raises(HazardError, match="no fragility curves 'gem': choose one of macroseismic, hazus"):
        Earthquake(curves="gem")
    with pytest.raises(HazardError, match="no seismic design 'modern': choose one of pre, low"):
        Earthquake(code="modern")
