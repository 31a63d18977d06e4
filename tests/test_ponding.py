"""Ponding against closed forms and the laws of water at rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mage_stac.hazards import depressions, ponding

Floats = NDArray[np.float64]
terrains = arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 6).map(float))


def bowl(size: int, centre: tuple[float, float], rim: float, floor: float, radius: float) -> Floats:
    """A cone-shaped hollow in a plane at `rim`."""
    y, x = np.mgrid[:size, :size]
    away = np.hypot(y - centre[0], x - centre[1])
    return np.minimum(rim, floor + (rim - floor) * away / radius)


@given(terrains, st.floats(0.0, 3.0))
@settings(max_examples=150, deadline=None)
def test_water_is_neither_made_nor_lost_and_lies_level(ground: Floats, rain: float) -> None:
    depth, left = ponding.pond(ground, np.full(ground.shape, rain))
    assert depth.sum() + left == pytest.approx(rain * ground.size, abs=1e-9)
    assert depth.min() >= 0.0
    surface = ground + depth
    assert np.all(surface <= depressions.fill(ground) + 1e-9)
    for axis in (0, 1):
        for one, two in ((surface, depth), (np.flip(surface, axis), np.flip(depth, axis))):
            before, after = (
                np.take(one, range(one.shape[axis] - 1), axis),
                np.take(one, range(1, one.shape[axis]), axis),
            )
            wet = np.take(two, range(one.shape[axis] - 1), axis) > 1e-9
            assert np.all(before[wet] <= after[wet] + 1e-9), "water stands above a lower neighbour"


def test_a_cone_takes_rain_to_the_level_of_the_closed_form() -> None:
    ground = bowl(201, (100, 100), rim=10.0, floor=0.0, radius=80.0)
    rain = 0.5
    depth, left = ponding.pond(ground, np.full(ground.shape, rain))
    # Rain on the cone of radius 80 gathers to a cone of the same shape: h^3 * (8 m/m)^2 * pi / 3 = rain * pi * 80^2.
    assert depth[100, 100] == pytest.approx((3 * rain * 80.0**2 / 64.0) ** (1 / 3), rel=0.015)
    # The plain around drains to the edge, but for the ring of cells on the brim.
    assert left == pytest.approx(rain * (ground.size - np.pi * 81.0**2), rel=0.02)


def test_a_full_bowl_spills_into_the_next_and_both_rise_together() -> None:
    size = 41
    ground = np.full((size, 2 * size), 20.0)
    ground[5:36, 5:36] = 2.0
    ground[5:36, 46:77] = 0.0
    ground[20, 36:46] = 6.0
    one, two = np.zeros(ground.shape), np.zeros(ground.shape)
    one[5:36, 5:36] = 7.0
    depth, left = ponding.pond(ground, one)
    assert left == 0.0
    # 7 m arrive in the west, whose pass lies 4 m above its floor: 3 m spill over into the east.
    assert depth[20, 20] == pytest.approx(4.0)
    assert depth[20, 60] == pytest.approx(3.0, rel=1e-9)
    assert depth[20, 40] == 0.0
    two[5:36, 5:36] = 14.0
    depth, _ = ponding.pond(ground, two)
    # 14 m * 961 cells over both floors and the channel of 10 cells: one level above the pass.
    level = (14.0 * 961 + 2.0 * 961 + 6.0 * 10) / (2 * 961 + 10)
    assert ground[20, 20] + depth[20, 20] == pytest.approx(level)
    assert ground[20, 60] + depth[20, 60] == pytest.approx(level)
    assert depth[20, 40] == pytest.approx(level - 6.0)


def test_rivers_let_water_out() -> None:
    ground = bowl(61, (30, 30), rim=5.0, floor=0.0, radius=25.0)
    drain = np.zeros(ground.shape, bool)
    drain[30, 30] = True
    depth, left = ponding.pond(ground, np.ones(ground.shape), drain)
    assert depth.max() == 0.0
    assert left == ground.size


def test_much_rain_fills_every_depression_to_its_brim() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        ground = rng.random((25, 30))
        depth, _ = ponding.pond(ground, np.full(ground.shape, 50.0))
        np.testing.assert_allclose(ground + depth, depressions.fill(ground), atol=1e-12)


def test_no_water_is_lost_on_rough_land() -> None:
    rng = np.random.default_rng(5)
    ground = np.add.outer(np.linspace(3, 0, 300), 20 * np.linspace(-1, 1, 300) ** 2) + 0.05 * rng.random((300, 300))
    depth, left = ponding.pond(ground, np.full(ground.shape, 0.1))
    assert (depth.sum() + left) / (0.1 * ground.size) == pytest.approx(1.0, abs=1e-12)
