"""Smoke laid over images: energy, adding layers, colour, and what counts as hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mage_stac import veil


def lay(image: veil.Image, depth: NDArray[np.float64]) -> veil.Image:
    return veil.lay(image, depth, gsd=0.5, sun_azimuth=150.0)


@given(st.floats(0.0, 20.0), st.integers(0, 5))
def test_no_light_is_made(depth: float, band: int) -> None:
    added, through = veil.layer(np.array([depth]), band)
    assert 0 <= added[0] <= 1
    assert 0 <= through[0] <= 1
    assert added[0] + through[0] <= 1 + 1e-12
    assert veil.direct(np.array([depth]), band)[0] <= 1


@given(st.floats(0.0, 4.0), st.floats(0.0, 4.0))
def test_two_layers_are_one_of_both_depths(one: float, two: float) -> None:
    # The adding equations of radiative transfer.
    (a, s), (b, t) = (veil.layer(np.array(depth), 1) for depth in (one, two))
    both, through = veil.layer(np.array(one + two), 1)
    assert both == pytest.approx(a + s * b * s / (1 - a * b), abs=1e-9)
    assert through == pytest.approx(s * t / (1 - a * b), abs=1e-9)


def test_clear_air_changes_nothing_and_thick_smoke_shows_nothing() -> None:
    image = np.random.default_rng(0).uniform(0.02, 0.6, (40, 40, 6)).astype(np.float32)
    assert lay(image, np.zeros((10, 10))) == pytest.approx(image, abs=1e-6)
    thick = lay(image, np.full((10, 10), 40.0))
    assert thick[..., :4].std(axis=(0, 1)).max() < 1e-3
    assert 0.2 < thick[..., 1].mean() < 0.5
    assert veil.hidden((40, 40), np.full((10, 10), 40.0)).all()
    assert not veil.hidden((40, 40), np.full((10, 10), 0.2)).any()


def test_thin_smoke_is_bluish_over_dark_ground_and_infrared_sees_through() -> None:
    dark = np.full((30, 30, 6), 0.03, np.float32)
    red, green, blue, *_, far = lay(dark, np.full((6, 6), 0.6)).mean(axis=(0, 1))
    assert blue > green > red > 0.03
    assert abs(far - 0.03) < 0.02


def test_hidden_is_where_half_of_the_grounds_light_is_lost() -> None:
    depth = np.linspace(0.0, 3.0, 300)[None].repeat(4, axis=0)
    mask = veil.hidden((4, 300), depth)
    kept = np.exp(-depth * (1 - veil.ALBEDO * veil.FORWARD**2))
    np.testing.assert_array_equal(mask, kept < 0.5)


def test_lumps_are_bright_towards_the_sun_and_flat_smoke_is_plain() -> None:
    x = np.linspace(-30.0, 30.0, 121)
    puff = 8.0 * np.exp(-(x[None] ** 2 + x[:, None] ** 2) / 200.0)
    bright = veil.billows(puff, 0.5, 90.0)
    assert bright[60, 75] > 1.02
    assert bright[60, 45] < 0.98
    assert veil.billows(np.full((20, 20), 3.0), 0.5, 10.0) == pytest.approx(np.ones((20, 20)))
