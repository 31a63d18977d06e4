"""Clouds laid over images: how many, where their shadows fall, and what they hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mage_stac import clouds, imaging, sensors
from mage_stac.clouds import Clouds
from mage_stac.imaging import Look

SKY = Clouds(share=0.3, seed=1, height=600.0, sun_azimuth=120.0, sun_elevation=40.0)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_the_share_is_that_of_the_sky_in_the_mean(share: float) -> None:
    cover = [replace(SKY, share=share, seed=seed).over((64, 64), 40.0)[0].mean() for seed in range(24)]
    assert np.mean(cover) == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("azimuth", "elevation"), [(120.0, 40.0), (200.0, 25.0), (90.0, 60.0)])
def test_a_shadow_lies_where_the_sun_throws_it(azimuth: float, elevation: float) -> None:
    sky = replace(SKY, sun_azimuth=azimuth, sun_elevation=elevation)
    gsd, size = 12.5, 192  # one period of the field
    opacity, shade = sky.over((size, size), gsd)
    spectrum = np.fft.fft2(shade) * np.conj(np.fft.fft2(opacity))
    rows, columns = np.unravel_index(np.argmax(np.fft.ifft2(spectrum).real), (size, size))
    away = 600.0 / np.tan(np.radians(elevation)) / gsd
    down = away * np.cos(np.radians(azimuth))  # away from the sun: north of it is up, so a southern sun throws upwards
    right = -away * np.sin(np.radians(azimuth))
    assert (rows - down + size / 2) % size - size / 2 == pytest.approx(0, abs=1.0)
    assert (columns - right + size / 2) % size - size / 2 == pytest.approx(0, abs=1.0)


def test_clouds_do_not_depend_on_the_sampling() -> None:
    coarse, fine = SKY.over((50, 50), 8.0)[0], SKY.over((100, 100), 4.0)[0]
    np.testing.assert_allclose(fine.reshape(50, 2, 50, 2).mean((1, 3)), coarse, atol=0.12)


def test_what_they_hide_is_what_the_image_shows() -> None:
    sensor = replace(sensors.read("sentinel-2"), noise=0.0)
    light = np.full((96, 96, 6), 0.2, np.float32)
    look = Look(clouds=SKY, psf_fwhm=0.0)
    cloudy, clear = (
        imaging.expose(light, sensor=sensor, look=one, oversample=1, rng=np.random.default_rng(0)).astype(float)
        for one in (look, replace(look, clouds=None))
    )
    changed = np.abs(cloudy - clear).max(axis=0) * sensor.scale
    hidden = SKY.hidden((96, 96), sensor.gsd)
    opacity, shade = SKY.over((96, 96), sensor.gsd)
    assert 0.05 < hidden.mean() < 0.95
    assert changed[hidden].min() > 0.03
    assert changed[(opacity == 0) & (shade == 0)].max() == 0
    thick, dark = opacity > 0.99, (shade > 0.99) & (opacity == 0)
    assert cloudy[0][thick].mean() > clear[0].mean() > cloudy[0][dark].mean()


def test_clouds_are_greyer_beyond_the_visible() -> None:
    light = np.full((1, 1, 6), 0.1, np.float32)
    one = clouds.lay(light, np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32))[0, 0]
    assert one[5] < one[4] < one[3] < one[:3].min()
