"""Where the sun stands, and what season it makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import asin, atan2, cos, degrees, radians, sin, tan

import numpy as np
from pyproj import CRS, Transformer

from mage_stac.errors import RenderError
from mage_stac.scene.scene import SEASONS, Light

LOWEST = 15.0
"""Degrees: under this no survey flies, and shadows are longer than the streets are wide."""
DAYS = 12
"""Days that are drawn before a place is said to be dark in a season."""
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
MONTHS = {12: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 10: 3, 11: 3}
"""Month in the north -> index into SEASONS; leaves are out from May to September."""


def position(when: str, lon: float, lat: float) -> tuple[float, float]:
    """Azimuth (clockwise from north) and elevation of the sun's centre, degrees, without refraction.

    `when` is RFC 3339, lon and lat are degrees. Low-precision formulae of the Astronomical Almanac as given by
    Michalsky (1988, Solar Energy 40(3), 227-235): within 0.01 degrees from 1950 to 2050.
    """
    days = (moment(when) - J2000) / timedelta(days=1)
    anomaly = radians((357.528 + 0.9856003 * days) % 360)
    longitude = radians((280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly)) % 360)
    obliquity = radians(23.439 - 0.0000004 * days)
    ascension = atan2(cos(obliquity) * sin(longitude), cos(longitude))
    declination = asin(sin(obliquity) * sin(longitude))
    sidereal = radians((280.46062 + 360.98564737 * days + lon) % 360)
    hour = sidereal - ascension
    phi = radians(lat)
    elevation = asin(sin(phi) * sin(declination) + cos(phi) * cos(declination) * cos(hour))
    azimuth = atan2(-sin(hour), tan(declination) * cos(phi) - sin(phi) * cos(hour))
    return degrees(azimuth) % 360, degrees(elevation)


def moment(when: str) -> datetime:
    """`when` (RFC 3339) as an aware datetime.

    Raises:
        RenderError: it is no date and time with a zone.
    """
    try:
        parsed = datetime.fromisoformat(when)
    except ValueError as error:
        raise RenderError(f"{when!r} is no RFC 3339 date and time: give one such as 2011-05-24T18:00:00Z") from error
    if parsed.tzinfo is None:
        raise RenderError(f"{when!r} has no time zone: end it with Z or an offset")
    return parsed


def lonlat(crs: str, origin: tuple[float, float]) -> tuple[float, float]:
    """Longitude and latitude of a projected point, degrees."""
    lon, lat = Transformer.from_crs(CRS.from_user_input(crs), "OGC:CRS84", always_xy=True).transform(*origin)
    return float(lon), float(lat)


def season(when: str, lat: float) -> str:
    """One of SEASONS, by the month; turned round south of the equator."""
    month = moment(when).month
    return SEASONS[MONTHS[month if lat >= 0 else (month + 5) % 12 + 1]]


def light(when: str, crs: str, origin: tuple[float, float]) -> Light:
    """The sun of that day and place in clear air.

    Raises:
        RenderError: the sun stands lower than LOWEST there and then.
    """
    azimuth, elevation = position(when, *lonlat(crs, origin))
    if elevation < LOWEST:
        raise RenderError(
            f"at {when} the sun stands at {elevation:.0f} degrees over the scene, under {LOWEST:.0f}: "
            "choose another time of day (times are UTC)"
        )
    return Light(sun_azimuth=round(azimuth, 3), sun_elevation=round(elevation, 3))


def skylight(light: Light) -> float:
    """Share of the light on open level ground that comes from the whole sky, 0..1, mean of the visible bands.

    The same as the renderer's (renderers/light.py: sky_shares), which says where it is from.
    """
    clear = min(0.16 + 0.065 * (1.0 / sin(radians(light.sun_elevation)) - 1.0), 0.7)
    return light.overcast + (1.0 - light.overcast) * clear


def towards(light: Light) -> tuple[float, float, float]:
    """Unit vector to the sun: east, north, up."""
    azimuth, elevation = radians(light.sun_azimuth), radians(light.sun_elevation)
    return cos(elevation) * sin(azimuth), cos(elevation) * cos(azimuth), sin(elevation)


def daytime(
    rng: np.random.Generator, crs: str, origin: tuple[float, float], *, year: int, months: tuple[int, ...]
) -> str:
    """A random moment (RFC 3339, UTC, whole minutes) in one of `months` at which the sun stands high enough there.

    Hours are drawn within three of the local noon, narrowed until the sun is over LOWEST; a day on which it stays under
    is drawn anew.

    Raises:
        RenderError: the sun stays under LOWEST on DAYS days in turn (polar winter).
    """
    lon, lat = lonlat(crs, origin)
    for _ in range(DAYS):
        day = datetime(year, months[int(rng.integers(len(months)))], 1 + int(rng.integers(28)), tzinfo=UTC)
        found = _high(rng, day, lon, lat)
        if found is not None:
            return found
    raise RenderError(f"the sun stays under {LOWEST:.0f} degrees on {day:%Y-%m-%d} at latitude {lat:.1f}: other months")


def _high(rng: np.random.Generator, day: datetime, lon: float, lat: float) -> str | None:
    """A moment of a day at which the sun stands high enough; None if there is none."""
    noon = day + timedelta(hours=12 - lon / 15)
    offset = 3 * (2 * rng.random() - 1)
    for _ in range(8):
        when = (noon + timedelta(minutes=round(60 * offset))).replace(second=0, microsecond=0)
        text = when.strftime("%Y-%m-%dT%H:%M:%SZ")
        if position(text, lon, lat)[1] >= LOWEST + 1:
            return text
        offset /= 2
    return None
