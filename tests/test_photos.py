"""Photos as texture: pixels end up where they were taken."""

from __future__ import annotations

import numpy as np
import pytest

from mage_stac.scene import photos
from mage_stac.scene.lattice import Canvas
from mage_stac.scene.scene import Light, Photo

LIGHT = Light(sun_azimuth=180.0, sun_elevation=45.0)


def ramp(lean: tuple[float, float] = (0.0, 0.0)) -> Photo:
    """20 x 20 m in pixels of 1 m: red grows eastwards, green northwards."""
    x = np.broadcast_to(np.arange(20) + 0.5, (20, 20))
    y = x.T[::-1]
    colours = (np.stack([x, y, np.full_like(x, 10)], axis=-1) / 50).astype(np.float32)
    return Photo(ground=colours, roofs=colours, light=LIGHT, lean=lean)


def test_roofs_take_the_pixel_above_which_they_stand() -> None:
    at = np.array([[3.5, 12.25, 6.0], [10.0, 5.0, 0.0]])
    up = np.array([[0.0, 0.0, 1.0]] * 2)
    found = photos.roof_colours(ramp(), (20.0, 20.0), at, up)
    np.testing.assert_allclose(found[:, :2] * 50, at[:, :2], atol=1e-4)


def test_under_a_lean_roofs_are_looked_up_where_they_are_imaged() -> None:
    found = photos.roof_colours(ramp((0.2, -0.1)), (20.0, 20.0), np.array([[10.0, 10.0, 5.0]]), np.array([[0, 0, 1.0]]))
    np.testing.assert_allclose(found[0, :2] * 50, [9.0, 10.5], atol=1e-4)


def test_level_ground_has_light_one_and_slopes_more_or_less() -> None:
    tilt = np.radians(20)
    normals = np.array([[0, 0, 1], [0, -np.sin(tilt), np.cos(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    level, south, north = photos.slope_light(ramp(), normals)
    assert level == pytest.approx(1.0)
    assert south > 1 > north
    # Without skylight a slope turned to a sun at 45 degrees gets cos(25) / cos(45) of level ground's.
    sky = 0.16 + 0.065 * (np.sqrt(2) - 1)
    direct = np.cos(np.radians(25)) / np.cos(np.radians(45))
    assert south == pytest.approx(sky * (1 + np.cos(tilt)) / 2 + (1 - sky) * direct)


@pytest.mark.parametrize("texel", [1.0, 0.5, 0.25])
def test_ground_keeps_its_pixels_at_every_texel(texel: float) -> None:
    photo = ramp()
    laid = photos.over(photo, Canvas(size=(20.0, 20.0), texel=texel, seed=0))
    step = round(1 / texel)
    assert laid.shape == (20 * step, 20 * step, 3)
    np.testing.assert_array_equal(laid, np.repeat(np.repeat(photo.ground, step, 0), step, 1))


def test_only_plants_change_with_the_season() -> None:
    lawn, asphalt = (0.06, 0.10, 0.04), (0.12, 0.12, 0.12)
    colours = np.array([[lawn, asphalt]], np.float32)
    photo = Photo(ground=colours, roofs=colours, light=LIGHT)
    later = photos.tinted(photo, (0.5, 1.0, 0.5))
    np.testing.assert_allclose(later.ground[0, 1], asphalt, atol=1e-6)
    np.testing.assert_allclose(later.ground[0, 0], (0.03, 0.10, 0.02), atol=0.005)
    np.testing.assert_array_equal(later.roofs, photo.roofs)
