"""Shadows against the closed form, and the sun against the one that a made image has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from survey import AZIMUTH, ELEVATION, survey

from mage_stac.scene import shade


@given(azimuth=st.sampled_from((0.0, 90.0, 180.0, 270.0)), elevation=st.floats(20, 70), height=st.floats(2, 12))
def test_a_block_throws_a_shadow_of_its_height_over_the_tangent(
    azimuth: float, elevation: float, height: float
) -> None:
    heights = np.zeros((161, 161), np.float32)
    heights[75:86, 75:86] = height
    dark = shade.cast(heights, 0.5, azimuth, elevation)
    assert not dark[heights > 0].any()
    # Turned so that the shadow falls to the south (downwards), in the block's middle column.
    turned = np.rot90(dark, {0.0: 0, 90.0: 1, 180.0: 2, 270.0: 3}[azimuth])
    assert turned[86:, 80].sum() * 0.5 == pytest.approx(height / np.tan(np.radians(elevation)), abs=0.51)
    assert not turned[:75].any()


def test_the_sun_is_found_from_shadows() -> None:
    made = survey()
    azimuth, elevation = shade.sun_of(made.image.mean(axis=-1), made.roofs, np.ones_like(made.roofs), 0.6)
    assert abs((azimuth - AZIMUTH + 180) % 360 - 180) < 20
    assert abs(elevation - ELEVATION) < 15


def test_the_black_beside_an_image_is_no_shadow() -> None:
    made = survey()
    seen = np.zeros_like(made.roofs)
    seen[38:, 30:] = True  # its edge runs along the houses' sunny sides
    light = np.where(seen, made.image.mean(axis=-1), 0)
    roofs = made.roofs & seen
    azimuth, elevation = shade.sun_of(light, roofs, seen, 0.6)
    assert abs((azimuth - AZIMUTH + 180) % 360 - 180) < 20
    assert abs(elevation - ELEVATION) < 15
    assert shade.left_in_shadow(light, roofs, seen, 0.6, AZIMUTH) == pytest.approx(0.25, abs=0.05)


def test_a_black_image_tells_no_sun_and_fails_nothing() -> None:
    made = survey()
    dark = np.zeros(made.roofs.shape, np.float32)
    azimuth, elevation = shade.sun_of(dark, made.roofs, np.ones_like(made.roofs), 0.6)
    assert 0 <= azimuth < 360
    assert 20 <= elevation <= 65
    assert shade.left_in_shadow(dark, made.roofs, np.ones_like(made.roofs), 0.6, azimuth) <= 1


def test_how_dark_shadows_are_is_found() -> None:
    made = survey()
    light, everywhere = made.image.mean(axis=-1), np.ones_like(made.roofs)
    assert shade.left_in_shadow(light, made.roofs, everywhere, 0.6, AZIMUTH) == pytest.approx(0.25, abs=0.05)
    assert shade.left_in_shadow(light, ~everywhere, everywhere, 0.6, AZIMUTH) == 1.0


def test_shadows_are_lifted_to_the_ground_around_them() -> None:
    made = survey()
    lifted = shade.lifted(made.image, made.shaded, ~made.roofs, 0.6)
    error = np.abs(lifted - made.bare)[made.shaded] / made.bare[made.shaded]
    assert np.median(error) < 0.12
    assert np.abs(made.image - made.bare)[made.shaded].mean() > 3 * np.abs(lifted - made.bare)[made.shaded].mean()


def test_ground_that_is_not_dark_is_left_alone() -> None:
    made = survey()
    wrong = np.zeros_like(made.shaded)
    wrong[:8] = True
    wrong &= ~made.shaded
    lifted = shade.lifted(made.bare, wrong, np.ones_like(wrong), 0.6)
    assert np.abs(lifted / made.bare - 1)[wrong].max() < 0.25
    assert np.abs(lifted / made.bare - 1)[wrong].mean() < 0.05


def test_unknown_ground_is_made_up_from_its_surroundings() -> None:
    made = survey()
    known = ~(made.roofs | made.shaded)
    filled = shade.filled(made.image, known, np.random.default_rng(0))
    np.testing.assert_array_equal(filled[known], made.image[known])
    inside = filled[~known].mean(axis=0)
    np.testing.assert_allclose(inside, made.bare[~known].mean(axis=0), rtol=0.08)
    # As rough as the lawn, not a smooth patch.
    assert filled[~known].std() == pytest.approx(made.bare[~known].std(), rel=0.5)


def test_an_image_without_gaps_or_without_anything_stays() -> None:
    made = survey()
    for known in (np.ones_like(made.roofs), np.zeros_like(made.roofs)):
        np.testing.assert_array_equal(shade.filled(made.image, known, np.random.default_rng(0)), made.image)
