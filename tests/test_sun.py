from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage_stac.errors import RenderError
from mage_stac.scene import sun

JOPLIN = ("EPSG:32615", (364000.0, 4103000.0))


def test_the_position_agrees_with_the_published_example_of_spa() -> None:
    # Reda and Andreas (2004, Solar Energy 76, 577-589), table A5.1: zenith 50.11162 with 0.016 of refraction.
    azimuth, elevation = sun.position("2003-10-17T12:30:30-07:00", -105.1786, 39.742476)
    assert azimuth == pytest.approx(194.34024, abs=0.01)
    assert elevation == pytest.approx(90 - 50.11162 - 0.016, abs=0.01)


@given(st.floats(-60, 60), st.floats(-180, 180))
@settings(max_examples=20, deadline=None)
def test_at_the_equinox_the_noon_sun_stands_as_high_as_the_latitude_is_low(lat: float, lon: float) -> None:
    times = [f"2015-03-20T{hour:02d}:{minute:02d}:00Z" for hour in range(24) for minute in range(0, 60, 5)]
    highest = max(sun.position(when, lon, lat)[1] for when in times)
    assert highest == pytest.approx(90 - abs(lat), abs=0.8)


def test_seasons_turn_round_with_the_hemisphere() -> None:
    assert [sun.season(f"2015-{month:02d}-10T12:00:00Z", 40.0) for month in (1, 3, 7, 10)] == [
        "winter", "spring", "summer", "autumn",
    ]  # fmt: skip
    assert [sun.season(f"2015-{month:02d}-10T12:00:00Z", -35.0) for month in (1, 4, 7, 10)] == [
        "summer", "autumn", "winter", "spring",
    ]  # fmt: skip


def test_a_drawn_moment_has_daylight() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        when = sun.daytime(rng, *JOPLIN, year=2011, months=tuple(range(1, 13)))
        assert sun.light(when, *JOPLIN).sun_elevation >= sun.LOWEST
        assert sun.moment(when).year == 2011


def test_midwinter_in_the_north_is_left_out() -> None:
    delft = "EPSG:32631", (590000.0, 5764000.0)
    rng = np.random.default_rng(0)
    drawn = [sun.daytime(rng, *delft, year=2015, months=tuple(range(1, 13))) for _ in range(80)]
    assert {sun.moment(when).month for when in drawn} >= set(range(2, 12))
    assert all(sun.light(when, *delft).sun_elevation >= sun.LOWEST for when in drawn)


def test_night_and_nonsense_are_refused() -> None:
    with pytest.raises(RenderError, match="choose another time"):
        sun.light("2011-05-24T06:00:00Z", *JOPLIN)
    with pytest.raises(RenderError, match="RFC 3339"):
        sun.moment("yesterday")
    with pytest.raises(RenderError, match="no time zone"):
        sun.moment("2011-05-24T18:00:00")
    with pytest.raises(RenderError, match="other months"):
        sun.daytime(np.random.default_rng(0), "EPSG:32633", (500000.0, 8700000.0), year=2015, months=(12,))


def test_lonlat_is_that_of_joplin() -> None:
    assert sun.lonlat(*JOPLIN) == pytest.approx((-94.53, 37.06), abs=0.02)
