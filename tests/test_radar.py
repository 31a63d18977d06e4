"""Radar images of simple things, against the geometry and the statistics they must have."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, tan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mage_stac import backscatter, radar, sensors
from mage_stac.errors import RenderError
from mage_stac.imaging import Look
from mage_stac.passes import Labels
from mage_stac.scene.scene import SEMANTIC
from mage_stac.sensors import Sensor

GSD = 0.5
SIZE = 160
VV = (backscatter.of("X", "VV"),)
LOOKS = st.tuples(st.sampled_from([0.0, 90.0, 180.0, 270.0]), st.floats(25.0, 55.0), st.floats(4.0, 15.0))


def block(height: float = 10.0, *, around: str = "grass", what: str = "building", half: int = 20) -> Labels:
    """A box of 2 * half pixels a side in the middle of a level field."""
    inside = np.zeros((SIZE, SIZE), bool)
    middle = slice(SIZE // 2 - half, SIZE // 2 + half)
    inside[middle, middle] = True
    top = np.where(inside, height, 0.0).astype(np.float32)
    return Labels(
        semantic=np.where(inside, SEMANTIC[what], SEMANTIC[around]).astype(np.uint8),
        instance=inside.astype(np.uint32),
        height=top,
        position=np.stack([np.zeros_like(top), np.zeros_like(top), top], axis=-1),
        normal=np.broadcast_to(np.array([0, 0, 1], np.float32), (SIZE, SIZE, 3)),
        depth=np.zeros_like(top),
    )


def turned(array: np.ndarray, azimuth: float) -> np.ndarray:
    """The array turned so that the sensor looks from the left side."""
    return np.rot90(array, {270.0: 0, 0.0: 1, 90.0: 2, 180.0: 3}[azimuth])


@settings(deadline=None, max_examples=6)
@given(LOOKS)
def test_shadow_is_as_long_as_height_times_tangent(case: tuple[float, float, float]) -> None:
    azimuth, incidence, height = case
    found = radar.scan(block(height), VV, gsd=GSD, incidence=incidence, azimuth=azimuth)
    line = turned(found.shadow, azimuth)[SIZE // 2]
    behind = line[SIZE // 2 + 20 :]
    assert behind.sum() * GSD == pytest.approx(height * tan(radians(incidence)), abs=1.3 * GSD)
    assert behind[: behind.sum()].all()
    assert not line[: SIZE // 2 + 20].any()


@settings(deadline=None, max_examples=6)
@given(LOOKS)
def test_layover_is_as_long_as_height_over_tangent(case: tuple[float, float, float]) -> None:
    azimuth, incidence, height = case
    found = radar.scan(block(height), VV, gsd=GSD, incidence=incidence, azimuth=azimuth)
    line = turned(found.layover, azimuth)[SIZE // 2]
    wall = SIZE // 2 - 20
    before = line[:wall]
    wanted = min(height / tan(radians(incidence)), 40 * GSD)  # no more than the roof is deep
    assert before.sum() * GSD == pytest.approx(wanted, abs=1.01 * GSD)
    bright = turned(found.power[0], azimuth)[SIZE // 2, :wall] > 1.2 * found.power[0, 5, 5]
    assert bright.sum() * GSD == pytest.approx(height / tan(radians(incidence)), abs=2.01 * GSD)


def test_a_wall_and_the_ground_return_a_line_at_its_foot() -> None:
    paved, lawn, tilted = (
        turned(radar.scan(block(around=around), VV, gsd=GSD, incidence=38.0, azimuth=azimuth).power[0], 270.0)
        for around, azimuth in (("paved", 270.0), ("grass", 270.0), ("paved", 225.0))
    )
    wall = SIZE // 2 - 20
    assert paved[SIZE // 2].argmax() in (wall - 1, wall)
    assert paved[SIZE // 2].max() > lawn[SIZE // 2].max() > 10 * lawn[5, 5]
    assert paved[SIZE // 2].max() > 3 * tilted[SIZE // 2].max()  # only walls square to the beam


def test_power_is_kept_whatever_it_is_laid_over() -> None:
    seen = block(8.0, what="tree")  # without walls
    found = radar.scan(seen, VV, gsd=GSD, incidence=40.0, azimuth=120.0)
    level = {
        name: 10 ** (VV[0].level[name] / 10) * cos(radians(40.0)) / cos(radians(45.0)) for name in ("tree", "grass")
    }
    roof = seen.height > 0
    expected = level["tree"] * roof.sum() + level["grass"] * (~roof & ~found.shadow).sum()
    assert found.power.sum() == pytest.approx(expected, rel=1e-3)


def test_classes_keep_their_order() -> None:
    mean = {}
    for name in ("water", "road", "grass", "tree", "debris"):
        seen = block(0.0, around=name, what=name)
        mean[name] = float(radar.scan(seen, VV, gsd=GSD, incidence=38.0, azimuth=80.0).power[0, 50, 50])
    assert list(mean) == sorted(mean, key=lambda name: mean[name])
    assert 10 * np.log10(mean["grass"]) == pytest.approx(-11, abs=1.5)


def test_a_slope_that_faces_the_sensor_is_brighter() -> None:
    seen = block(0.0, around="building")
    power = []
    for east in (-0.5, 0.0, 0.5):
        normal = np.array([east, 0, np.sqrt(1 - east**2)], np.float32)
        tilted = replace(seen, normal=np.broadcast_to(normal, seen.normal.shape))
        power.append(float(radar.scan(tilted, VV, gsd=GSD, incidence=38.0, azimuth=270.0).power[0, 50, 50]))
    assert power[0] > power[1] > power[2]


@pytest.mark.parametrize("looks", [1.0, 4.0, 16.0])
def test_speckle_is_gamma_distributed(looks: float) -> None:
    preset = sensors.read("sar-x")
    assert preset.radar is not None
    sensor = replace(preset, dtype="float32", scale=1.0, offset=0.0, nodata=None,
                     radar=replace(preset.radar, looks=looks, noise_floor=-90.0))  # fmt: skip
    power = np.full((1, 400, 400), 0.1, np.float32)
    numbers = radar.expose(power, sensor=sensor, look=Look(psf_fwhm=1.2), oversample=2, rng=np.random.default_rng(0))
    values = 10 ** (numbers.astype(float) / 10)
    assert numbers.shape == (1, 200, 200)
    assert values.mean() == pytest.approx(0.1, rel=0.01)
    assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.05)  # the equivalent number of looks
    skew = ((values - values.mean()) ** 3).mean() / values.std() ** 3
    assert skew == pytest.approx(2 / np.sqrt(looks), rel=0.08)


def test_shadow_shows_the_sensor_s_noise_and_nothing_else() -> None:
    sensor = sensors.read("sar-x")
    assert sensor.radar is not None
    found = radar.scan(block(15.0), VV, gsd=GSD, incidence=sensor.radar.incidence, azimuth=270.0)
    numbers = radar.expose(
        found.power, sensor=sensor, look=Look(psf_fwhm=1.0), oversample=1, rng=np.random.default_rng(1)
    )
    decibels = numbers[0].astype(float) * sensor.scale + sensor.offset
    dark = decibels[SIZE // 2 - 10 : SIZE // 2 + 10, SIZE // 2 + 25 : SIZE // 2 + 35]
    assert 10 * np.log10((10 ** (dark / 10)).mean()) == pytest.approx(sensor.radar.noise_floor, abs=0.6)
    assert (numbers != sensor.nodata).all()


def decibels_themselves(**change: object) -> Sensor:
    """Sentinel-1 in decibels as they are, with fields of its radar changed."""
    preset = sensors.read("sentinel-1")
    assert preset.radar is not None
    beam = replace(preset.radar, **change)  # type: ignore[arg-type]
    return replace(preset, dtype="float32", scale=1.0, offset=0.0, nodata=None, psf_fwhm=0.0, radar=beam)


def exposed(power: tuple[float, float], sensor: Sensor, size: int = 400) -> np.ndarray:
    """(2, size, size) linear values of two even channels."""
    even = np.stack([np.full((size, size), one, np.float32) for one in power])
    numbers = radar.expose(even, sensor=sensor, look=Look(psf_fwhm=0.0), oversample=1, rng=np.random.default_rng(0))
    return 10 ** (numbers.astype(float) / 10)


@pytest.mark.parametrize("power", [(1.0, 0.3), (0.5, 0.2)])
def test_where_the_noise_is_subtracted_its_scatter_stays(power: tuple[float, float]) -> None:
    """E = s and Var = (s + n)^2 / looks, where so little is lost at 0 that these hold."""
    looks, noise = 40.0, 0.1
    sensor = decibels_themselves(
        looks=looks, noise_floor=-10.0, speckle_fwhm=0.0, noise_subtracted=True, regridded=False
    )
    for band, mean in zip(exposed(power, sensor), power, strict=True):
        assert band.mean() == pytest.approx(mean, rel=0.005)  # 160,000 values: five standard errors are 0.003 of it
        assert band.var() == pytest.approx((mean + noise) ** 2 / looks, rel=0.02)
    kept = replace(sensor, radar=replace(sensor.radar, noise_subtracted=False))  # type: ignore[arg-type]
    assert exposed(power, kept)[1].mean() == pytest.approx(power[1] + noise, rel=0.005)


def test_what_is_darker_than_the_noise_falls_to_the_least_number() -> None:
    """As often as gamma noise of mean 1 falls below n / (s + n)."""
    sensor = decibels_themselves(noise_floor=-20.0, speckle_fwhm=0.0, regridded=False, looks=4.0)
    dark = exposed((0.01, 0.0025), sensor)[1] <= 2 * radar.LIT
    assert dark.mean() == pytest.approx(stats.gamma.cdf(0.01 / 0.0125, 4.0, scale=0.25), abs=0.01)


def test_neighbours_share_speckle_by_the_resolution() -> None:
    """Rank correlation of filtered Gaussian noise, which no monotone map changes: 6/pi asin(r/2), r = exp(-d2/4s2)."""
    sensor = decibels_themselves(noise_floor=-90.0, speckle_fwhm=2.1, regridded=False)
    like, cross = exposed((1.0, 0.1), sensor)
    for distance in (1, 2, 4):
        wanted = np.exp(-((distance / (2 * 2.1 / 2.3548)) ** 2))
        found = stats.spearmanr(like[:, :-distance].ravel(), like[:, distance:].ravel()).statistic
        assert found == pytest.approx(6 / np.pi * np.arcsin(wanted / 2), abs=0.02)
    assert like.mean() ** 2 / like.var() == pytest.approx(4.4, rel=0.05)
    assert abs(stats.spearmanr(like.ravel(), cross.ravel()).statistic) < 0.03  # about 20,000 independent values


def test_a_product_that_was_regridded_keeps_its_mean_and_its_place() -> None:
    sensor = decibels_themselves(noise_floor=-90.0, looks=1e6, speckle_fwhm=0.0)
    spot = np.full((2, 41, 41), 1e-3, np.float32)
    spot[:, 20, 20] = 1.0
    numbers = radar.expose(spot, sensor=sensor, look=Look(psf_fwhm=0.0), oversample=1, rng=np.random.default_rng(3))
    values = 10 ** (numbers[0].astype(float) / 10) - 1e-3
    rows, columns = np.mgrid[:41, :41]
    assert values.sum() == pytest.approx(1.0 - 1e-3, rel=0.02)
    assert (values * rows).sum() / values.sum() == pytest.approx(20.0, abs=0.05)
    assert (values * columns).sum() / values.sum() == pytest.approx(20.0, abs=0.05)


def test_an_image_of_another_sensor_is_refused() -> None:
    with pytest.raises(RenderError, match="aerial-rgb is no radar"):
        radar.expose(
            np.ones((1, 8, 8), np.float32),
            sensor=sensors.read("aerial-rgb"),
            look=Look(),
            oversample=1,
            rng=np.random.default_rng(0),
        )
