"""Texture against closed forms: 1/f noise of known slope, plain ramps, Gaussians with a known distance."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mage_stac import texture


def coloured(exponent: float, side: int, seed: int) -> NDArray[np.float32]:
    """Noise (1, side, side) whose power falls as f^exponent, a cut from a larger field so that it is not periodic."""
    large = 4 * side
    rng = np.random.default_rng(seed)
    step = np.hypot(*np.meshgrid(np.fft.fftfreq(large), np.fft.fftfreq(large)))
    step[0, 0] = np.inf
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((large, large))) * step ** (exponent / 2)).real
    cut: NDArray[np.float32] = field[None, :side, :side].astype("float32")
    return cut


@pytest.mark.parametrize("exponent", [0.0, -1.0, -2.0, -3.0])
def test_the_slope_of_noise_is_its_exponent(exponent: float) -> None:
    power = np.mean([texture.spectrum(coloured(exponent, 128, seed))[0] for seed in range(12)], axis=0)
    assert texture.slope(power) == pytest.approx(exponent, abs=0.1)


def test_nothing_has_no_slope() -> None:
    assert np.isnan(texture.slope(texture.spectrum(np.zeros((1, 64, 64), "float32"))[0]))


def test_a_ramp_has_one_gradient_and_the_deviation_of_a_uniform() -> None:
    ramp = np.broadcast_to(0.01 * np.arange(32, dtype="float32"), (2, 32, 32))
    assert texture.gradients(ramp) == pytest.approx(0.01, abs=1e-6)
    inner = texture.deviations(ramp)[:, 4:-4, 4:-4]
    assert inner == pytest.approx(0.01 * np.sqrt((texture.WINDOW**2 - 1) / 12), rel=1e-4)


def test_frechet_distance_of_gaussians() -> None:
    rng = np.random.default_rng(0)
    one = rng.standard_normal((20_000, 3))
    assert texture.frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert texture.frechet(one, one + np.array([3.0, 0.0, 4.0])) == pytest.approx(25, rel=1e-6)
    assert texture.frechet(one, 2 * one) == pytest.approx(3, rel=0.03)  # (2 - 1)^2 for each of three variances


def test_frechet_distance_is_that_of_the_full_matrices() -> None:
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((2, 4, 4))
    one, other = (rng.standard_normal((500, 4)) @ part for part in mix)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    values = np.linalg.eigvals(first @ second)
    told = float(((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first + second)) - 2 * np.sqrt(values.real).sum()
    assert texture.frechet(one, other) == pytest.approx(told, rel=1e-6)


def test_patches_lie_side_by_side_and_features_do_not_change() -> None:
    tile = np.random.default_rng(0).random((3, 96, 70), dtype="float32")
    cut = texture.patches(tile, 100)
    assert cut.shape == (6, 3, 32, 32)
    assert (cut[1] == tile[:, :32, 32:64]).all()
    found = texture.features(cut)
    assert found.shape == (6, texture.FEATURES)
    assert (found == texture.features(cut)).all()
    assert texture.features(cut[:0]).shape == (0, texture.FEATURES)
