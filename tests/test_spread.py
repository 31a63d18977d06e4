"""Arrival times over flat uniform fuel against the rate and the ellipse that they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mage_stac.hazards import fuels, spread

Floats = NDArray[np.float64]
SIZE, CELL = 151, 2.0
BED = fuels.bed(fuels.GRASS, dead=0.06, live=1.0)


def burn(wind: float, bearing: float = 60.0, rise: tuple[float, float] = (0.0, 0.0)) -> tuple[Floats, spread.Front]:
    """Arrival times (SIZE, SIZE) from the middle cell, s."""
    zero = np.zeros((SIZE, SIZE))
    front = spread.front(zero.astype(np.int64), [(BED, wind)], bearing, (zero + rise[0], zero + rise[1]))
    middle = np.array([SIZE * SIZE // 2])
    times = spread.arrival(SIZE * SIZE, spread.ways(front, CELL), middle, np.inf)
    return times.reshape(SIZE, SIZE), front


def polar() -> tuple[Floats, Floats]:
    """Distance, m, and bearing, degrees, from the middle cell."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    east, north = (columns - SIZE // 2) * CELL, (SIZE // 2 - rows) * CELL
    return np.hypot(east, north), np.degrees(np.arctan2(east, north))


@pytest.mark.parametrize("wind", [0.0, 1.0, 2.0, 3.0])
def test_flat_uniform_fuel_burns_as_rothermels_ellipse(wind: float) -> None:
    times, front = burn(wind)
    head, ratio = BED.rate * (1 + BED.factor(wind)), float(spread.length_to_width(np.array(wind)))
    e = np.sqrt(1 - ratio**-2)
    assert front.eccentricity == pytest.approx(np.full(front.head.shape, e), abs=1e-9)
    distance, bearing = polar()
    exact = distance * (1 - e * np.cos(np.radians(bearing - 60.0))) / (head * (1 - e))
    far = distance > 30.0
    error = times[far] / exact[far]
    # 32 directions: never too fast, 1 % slow on the mean.
    assert error.min() > 1 - 1e-9
    assert error.mean() < 1.012
    assert error.max() < 1.10


def test_the_head_runs_at_rothermels_rate() -> None:
    times, _ = burn(2.0, bearing=90.0)
    head = BED.rate * (1 + BED.factor(2.0))
    middle = SIZE // 2
    assert 60 * CELL / times[middle, middle + 60] == pytest.approx(head, rel=1e-6)


def test_the_burnt_shape_is_as_long_and_wide_as_andersons() -> None:
    times, _ = burn(2.0, bearing=0.0)
    ratio = float(spread.length_to_width(np.array(2.0)))
    burnt = times <= times[SIZE // 2 - 60, SIZE // 2]
    rows, columns = np.nonzero(burnt)
    assert rows.min() > 0, "the shape lies inside"
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(ratio, rel=0.07)


def test_length_to_width_is_andersons() -> None:
    # 0.936 exp(0.1147 U) + 0.461 exp(-0.0692 U) with U in mi/h, less 0.397 to begin at 1.
    for miles in (0.0, 2.0, 6.0):
        expected = 0.936 * np.exp(0.1147 * miles) + 0.461 * np.exp(-0.0692 * miles) - 0.397
        assert spread.length_to_width(np.array(miles * 0.44704)) == pytest.approx(expected, rel=2e-3)
    assert spread.length_to_width(np.array(50.0)) == spread.LONGEST


def test_fire_runs_uphill_as_rothermel_says() -> None:
    times, _ = burn(0.0, rise=(0.4, 0.0))
    middle = SIZE // 2
    rate = BED.rate * (1 + BED.slope * 0.4**2)
    assert 60 * CELL / times[middle, middle + 60] == pytest.approx(rate, rel=1e-6)
    assert times[middle, middle - 60] > times[middle, middle + 60]


def test_a_road_stops_it_and_a_gap_lets_it_through() -> None:
    fuel = np.zeros((60, 60), np.int64)
    fuel[:, 30:33] = -1
    zero = np.zeros(fuel.shape)

    def reached() -> Floats:
        front = spread.front(fuel, [(BED, 3.0)], 90.0, (zero, zero))
        return spread.arrival(3600, spread.ways(front, CELL), np.array([30 * 60 + 5]), np.inf).reshape(60, 60)

    assert np.isinf(reached()[:, 30:]).all()
    fuel[10, 30:33] = 0
    assert np.isfinite(reached()[:, 33:]).all()


def test_time_runs_out() -> None:
    zero = np.zeros((SIZE, SIZE))
    front = spread.front(zero.astype(np.int64), [(BED, 0.0)], 0.0, (zero, zero))
    times = spread.arrival(SIZE * SIZE, spread.ways(front, CELL), np.array([SIZE * SIZE // 2]), 600.0)
    distance, _ = polar()
    burnt = np.isfinite(times.reshape(SIZE, SIZE))
    assert distance[burnt].max() == pytest.approx(600.0 * BED.rate, rel=0.1)
