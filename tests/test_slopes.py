from __future__ import annotations

import numpy as np
import pytest
from numpy.random import SeedSequence

from mage_stac.scene import geometry, pieces, procedural, slopes

RISE = (0.1, 0.24)


def test_a_slope_rises_as_wished_and_stays_gentle() -> None:
    for seed in range(5):
        ground = slopes.terrain((300.0, 200.0), RISE, np.random.default_rng(seed))
        assert ground is not None
        assert ground.shape == (40, 60)
        assert ground.min() == 0
        down, right = np.gradient(ground.astype(float), slopes.CELL)
        whole = np.hypot(down.mean(), right.mean())
        assert RISE[0] * 0.6 < whole < RISE[1] * 1.4
        assert np.hypot(down, right).max() < RISE[1] * (1 + slopes.ROLL)


def test_flat_styles_have_no_terrain() -> None:
    assert slopes.terrain((300.0, 200.0), (0.0, 0.0), np.random.default_rng(0)) is None


def test_houses_and_trees_of_a_hillside_stand_on_it() -> None:
    place = procedural.town(
        seed=SeedSequence(2), id="x", size=(150.0, 130.0), style="hillside", datetime="2011-06-20T18:00:00Z"
    )
    nodes = geometry.ground_heights(place)
    assert np.ptp(nodes) > 10
    for house in place.buildings:
        corners = pieces.heights(nodes, place.size, *np.array(house.footprint).T)
        assert house.base == pytest.approx(corners.min(), abs=0.01)
    for tree in place.trees:
        assert tree.base == pytest.approx(float(pieces.heights(nodes, place.size, tree.x, tree.y)), abs=0.01)
