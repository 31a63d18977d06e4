"""Water levels, discharges and losses against their textbook values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mage_stac.hazards import hydraulics

Floats = NDArray[np.float64]


def channel(length: int = 400, width: int = 10, banks: float = 8.0, fall: float = 0.002) -> hydraulics.Reach:
    """A straight rectangular channel with vertical walls, running east, on cells of a metre."""
    along = fall * (length - 0.5 - np.arange(length))
    ground = np.repeat(along[None, :], width + 20, axis=0)
    ground[:10] += banks
    ground[-10:] += banks
    river = np.zeros(ground.shape, bool)
    river[10:-10] = True
    return hydraulics.Reach(ground=ground, river=river, cell=1.0)


def test_the_rating_curve_of_a_wide_channel_is_mannings() -> None:
    reach = channel(width=40)
    for depth in (0.5, 1.5, 3.0):
        area = 40.0 * depth
        # Of the walls the reach sees the cells beside them: their slope counts as wetted bed.
        radius = area / 40.0
        expected = area * radius ** (2 / 3) * np.sqrt(0.002) / hydraulics.ROUGHNESS
        found = hydraulics.discharge(reach, np.array([depth]))[0]
        assert found == pytest.approx(expected, rel=0.25)


def test_stage_inverts_discharge() -> None:
    reach = channel()
    for depth in (0.3, 1.0, 4.0):
        flow = float(hydraulics.discharge(reach, np.array([depth]))[0])
        assert hydraulics.stage(reach, flow) == pytest.approx(depth, abs=0.02)
    assert hydraulics.stage(reach, 1e9) == 20.0


def test_the_surface_keeps_a_rivers_slope_beside_it() -> None:
    reach = channel(fall=0.01)
    level = hydraulics.surface(reach.ground, reach.river)
    assert np.abs(level - np.broadcast_to(reach.ground[15], level.shape)).max() < 0.1


def test_a_lakes_surface_is_level_everywhere() -> None:
    ground = np.random.default_rng(0).uniform(5, 9, (300, 500))
    lake = np.zeros(ground.shape, bool)
    lake[40:60, 40:60] = True
    ground[lake] = 3.0
    assert hydraulics.surface(ground, lake) == pytest.approx(np.full(ground.shape, 3.0), abs=1e-6)


def test_water_stays_behind_a_dyke_and_comes_through_its_gap() -> None:
    ground = np.zeros((20, 40))
    ground[:, 20] = 5.0
    sea = np.zeros(ground.shape, bool)
    sea[:, 0] = True
    depth = hydraulics.inundate(ground, 2.0, sea)
    assert depth[:, :20].min() == 2.0
    assert depth[:, 20:].max() == 0.0
    ground[7, 20] = 1.0
    depth = hydraulics.inundate(ground, 2.0, sea)
    assert (depth[3, 30], depth[7, 20], depth[6, 20]) == (2.0, 1.0, 0.0)


def test_gumbel_growth_has_its_own_mean_and_grows() -> None:
    # The mean annual flood of a Gumbel distribution returns every 2.33 years.
    assert hydraulics.growth(2.3276, 0.5) == pytest.approx(1.0, abs=1e-3)
    # Chow (1951): K = 3.137 at 100 years, 4.936 at 1,000.
    assert hydraulics.growth(np.array([100.0, 1000.0]), 1.0) - 1 == pytest.approx([3.137, 4.936], abs=2e-3)


def test_runoff_follows_the_curve_number() -> None:
    # TR-55, table 2-1, in inches: rain of 5 in. on curve number 80 leaves 2.89 in.
    assert hydraulics.runoff(5 * 25.4, 80.0) == pytest.approx(2.89 * 25.4, abs=0.2)
    assert hydraulics.runoff(5.0, 60.0) == 0.0


def test_mannings_velocity() -> None:
    assert hydraulics.velocity(1.0, 0.0036, 0.06) == pytest.approx(1.0)
    assert hydraulics.velocity(8.0, 0.0036, 0.06) == pytest.approx(4.0)
