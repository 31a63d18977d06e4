from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import fourier_shift, gaussian_filter

from mage_stac import registration


def ground(side: int, seed: int = 0) -> np.ndarray:
    """Blurred noise and sharp rectangles: texture at several scales, periodic so that a Fourier shift is exact."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=(side, side)), 3, mode="wrap") * 6
    for _ in range(side * side // 400):
        row, column = rng.integers(0, side - 16, 2)
        image[row : row + rng.integers(4, 16), column : column + rng.integers(4, 16)] += rng.normal()
    return gaussian_filter(image, 0.8, mode="wrap").astype(np.float32)


def moved(image: np.ndarray, rows: float, columns: float) -> np.ndarray:
    return np.fft.ifft2(fourier_shift(np.fft.fft2(image), (rows, columns))).real.astype(np.float32)


def grid(rows: int, columns: int) -> GeoBox:
    return GeoBox((rows, columns), Affine(1, 0, 0, 0, -1, 0), "EPSG:32615")


def measured(first: np.ndarray, second: np.ndarray, valid: np.ndarray | None = None) -> registration.Shift:
    seen = np.ones(first.shape, bool) if valid is None else valid
    return registration.measure((first[s], second[s], seen[s]) for s in registration.patches(grid(*first.shape)))


@settings(max_examples=12, deadline=None)
@given(rows=st.floats(-12, 12), columns=st.floats(-12, 12), seed=st.integers(0, 5))
def test_a_shift_is_found_to_a_tenth_of_a_pixel(rows: float, columns: float, seed: int) -> None:
    first = ground(160, seed)
    shift = measured(first, moved(first, rows, columns))
    assert shift.confident
    assert (shift.rows, shift.columns) == pytest.approx((rows, columns), abs=0.1)


def test_the_sign_is_that_of_the_second_image() -> None:
    first = ground(128)
    second = np.roll(first, (3, -2), axis=(0, 1))
    shift = measured(first, second)
    assert (shift.rows, shift.columns) == pytest.approx((3, -2), abs=0.06)
    assert second[53, 48] == first[50, 50]  # second[y + rows, x + columns] = first[y, x]
    assert shift.size == pytest.approx(np.hypot(3, 2), abs=0.1)


def test_haze_exposure_inversion_and_noise_do_not_matter() -> None:
    first = ground(256, 1)
    second = moved(first, 2.3, -1.6)
    noise = np.random.default_rng(2).normal(scale=0.2 * second.std(), size=second.shape).astype(np.float32)
    for disguise in (0.3 * second + 7, -second, np.tanh(second) + noise):
        shift = measured(first, disguise)
        assert shift.confident
        assert (shift.rows, shift.columns) == pytest.approx((2.3, -1.6), abs=0.15)


def test_half_of_the_place_destroyed_is_outvoted() -> None:
    first, other = ground(512, 3), ground(512, 4)
    second = moved(first, -1.4, 0.8)
    second[:, 200:] = other[:, 200:]
    shift = measured(first, second)
    assert (shift.rows, shift.columns) == pytest.approx((-1.4, 0.8), abs=0.2)


def test_two_unlike_images_give_no_confidence() -> None:
    shift = measured(ground(256, 5), ground(256, 6))
    assert not shift.confident


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_flat_images_give_the_unknown_shift(constant: float) -> None:
    flat = np.full((128, 128), constant, np.float32)
    assert measured(flat, flat) == registration.UNKNOWN


def test_missing_pixels_are_not_matched() -> None:
    first = ground(256, 7)
    second = moved(first, 1.5, 2.5)
    valid = np.ones(first.shape, bool)
    valid[:, 90:110] = False  # an edge that stays where it is on both dates
    first = np.where(valid, first, 0)
    second = np.where(valid, second, 0)
    shift = measured(first, second, valid)
    assert (shift.rows, shift.columns) == pytest.approx((1.5, 2.5), abs=0.15)


def test_windows_hardly_observed_are_left_out() -> None:
    first = ground(128)
    assert measured(first, first, np.zeros(first.shape, bool)) == registration.UNKNOWN


@given(rows=st.integers(1, 5000), columns=st.integers(1, 5000))
def test_patches_lie_within_the_grid(rows: int, columns: int) -> None:
    found = registration.patches(grid(rows, columns))
    assert bool(found) == (min(rows, columns) >= registration.SMALLEST)
    assert len(found) <= registration.PATCHES**2
    for down, right in found:
        assert 0 <= down.start < down.stop <= rows
        assert 0 <= right.start < right.stop <= columns
    if found:
        assert max(down.stop for down, _ in found) == rows
        assert max(right.stop for _, right in found) == columns


def test_the_real_pair_of_joplin_agrees_to_a_few_pixels(shared: Path) -> None:
    with (
        rasterio.open(shared / "joplin/joplin_pre_60cm.tif") as pre,
        rasterio.open(shared / "joplin/joplin_post_60cm.tif") as post,
    ):
        first, second = (source.read().mean(axis=0, dtype=np.float32) for source in (pre, post))
        valid = post.read().max(axis=0) > 0
    shift = measured(first, second, valid)
    assert shift.confident
    assert 0.5 < shift.size < 3
    back = measured(second, first, valid)
    assert (back.rows, back.columns) == pytest.approx((-shift.rows, -shift.columns), abs=0.3)
