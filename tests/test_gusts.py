from __future__ import annotations

from math import degrees

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage_stac.hazards import gusts
from mage_stac.hazards.gusts import MPH, Track, Vortex


def test_a_standing_vortex_leaves_the_rankine_profile() -> None:
    # Without translation the strongest wind at d is V inside the radius, V (R/d)**decay outside, whatever the inflow.
    vortex = Vortex(peak=80.0, radius=60.0, decay=0.7, translation=0.0, inflow=25.0)
    left = np.array([-400.0, -90.0, -60.0, -20.0, 0.0, 30.0, 61.0, 250.0])
    speed, _ = vortex.swath(left)
    expected = 80.0 * np.maximum(np.abs(left) / 60.0, 1.0) ** -0.7
    assert np.allclose(speed, expected, rtol=4e-3)


def test_a_moving_vortex_is_strongest_where_both_winds_agree() -> None:
    # Anticlockwise and without inflow: at R to the right of the track the rotation blows along the track.
    vortex = Vortex(peak=80.0, radius=60.0, decay=0.7, translation=15.0, inflow=0.0)
    left = np.linspace(-300, 300, 6001)
    speed, angle = vortex.swath(left)
    worst = int(np.argmax(speed))
    assert speed[worst] == pytest.approx(80.0, rel=1e-4)
    assert left[worst] == pytest.approx(-60.0, abs=0.2)
    assert angle[worst] == pytest.approx(0.0, abs=0.02)
    far = np.abs(left) > 150
    assert np.allclose(speed[far & (left > 0)].max(), speed[far & (left > 0)][0])
    right = Vortex(peak=80.0, radius=60.0, decay=0.7, translation=15.0, inflow=0.0).swath([-200.0])[0][0]
    assert right == pytest.approx(65.0 * (60 / 200) ** 0.7 + 15.0, rel=1e-3)


@given(st.floats(30, 120), st.floats(20, 150), st.floats(0.5, 1.0), st.floats(0, 20), st.floats(0, 40))
@settings(max_examples=25, deadline=None)
def test_no_gust_passes_the_peak(peak: float, radius: float, decay: float, move: float, inflow: float) -> None:
    vortex = Vortex(peak=peak, radius=radius, decay=decay, translation=move, inflow=inflow)
    speed, _ = vortex.swath(np.linspace(-3 * radius, 3 * radius, 61))
    assert speed.max() <= peak * (1 + 1e-9)
    assert speed.max() > 0.97 * peak


def test_the_wind_turns_anticlockwise_about_the_centre() -> None:
    vortex = Vortex(peak=50.0, radius=10.0, decay=0.7, translation=0.0, inflow=0.0)
    along, across = vortex.at([0.0, 10.0], [10.0, 0.0])
    assert (along[0], across[1]) == (pytest.approx(-50.0), pytest.approx(50.0))
    assert np.allclose([across[0], along[1]], 0.0, atol=1e-9)


def test_a_track_lays_the_profile_over_the_map() -> None:
    vortex = Vortex(peak=90.0, radius=50.0, decay=0.8, translation=12.0, inflow=0.0)
    calm = {"sway": 0.0, "seed": 3, "gustiness": 0.0, "peak": 90.0, "vortex": vortex, "point": (100.0, 100.0)}
    south_of_eastward, north_of_westward = (
        Track(bearing=bearing, **calm).wind([100.0], [y])[0][0] for bearing, y in ((90.0, 50.0), (270.0, 150.0))
    )
    assert south_of_eastward == pytest.approx(90.0, rel=1e-3)
    assert north_of_westward == pytest.approx(south_of_eastward)
    _, to = Track(bearing=90.0, **calm).wind([100.0], [50.0])
    assert to[0] == pytest.approx(90.0, abs=2.0)


def test_streaks_are_moderate_and_unbiased() -> None:
    track = Track(vortex=None, peak=50.0, bearing=30.0, point=(0.0, 0.0), sway=0.0, seed=1, gustiness=0.07)
    x, y = np.random.default_rng(0).uniform(0, 2000, (2, 5000))
    speed, to = track.wind(x, y)
    assert np.log(speed / 50.0).mean() == pytest.approx(0.0, abs=0.01)
    assert np.log(speed / 50.0).std() == pytest.approx(0.07, rel=0.3)
    assert np.abs(to - 30.0).max() < degrees(0.11)


def test_ratings_change_at_the_published_speeds() -> None:
    assert [gusts.rating(mph * MPH + 1e-6) for mph in (64, 65, 85, 86, 110, 111, 135, 136, 165, 166, 200, 201)] == [
        "EFU", "EF0", "EF0", "EF1", "EF1", "EF2", "EF2", "EF3", "EF3", "EF4", "EF4", "EF5",
    ]  # fmt: skip
