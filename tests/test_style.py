from __future__ import annotations

import numpy as np
import pytest
import torch

from mage_stac.adapt import style
from mage_stac.adapt.chance import Chance
from mage_stac.recipe import Style


def images(seed: int, low: float = 0.1, high: float = 0.9) -> torch.Tensor:
    rows = torch.linspace(low, high, 48)
    noise = torch.rand(3, 2, 48, 48, generator=torch.Generator().manual_seed(seed)) * 0.05
    return (rows[:, None] * 0.9 + noise).clamp(0, 1)


def test_histograms_become_those_of_the_look_and_order_is_kept() -> None:
    ours, looks = images(0), images(1, 0.3, 0.5) ** 2
    out = style.histogram(ours, looks)
    at = np.linspace(0.02, 0.98, 25)
    for one, other in zip(out.flatten(0, 1), looks.flatten(0, 1), strict=True):
        np.testing.assert_allclose(np.quantile(one, at), np.quantile(other, at), atol=0.01)
    flat, mapped = ours[0, 0].flatten(), out[0, 0].flatten()
    assert (mapped[flat.argsort()].diff() >= -1e-6).all()


def test_the_curve_between_two_histograms_is_straight_between_quantiles() -> None:
    ours, looks = images(0), images(1, 0.3, 0.5) ** 2
    out = style.histogram(ours, looks).flatten(0, 1).numpy()
    at = np.linspace(0, 1, style.QUANTILES)
    for one, other, found in zip(ours.flatten(0, 1).numpy(), looks.flatten(0, 1).numpy(), out, strict=True):
        expected = np.interp(one, np.quantile(one, at), np.quantile(other, at))
        np.testing.assert_allclose(found, expected, atol=0.001)


def test_a_constant_image_takes_the_look_without_trouble() -> None:
    out = style.histogram(torch.full((1, 1, 16, 16), 0.4), images(1)[:1, :1, :16, :16])
    assert torch.isfinite(out).all()


def test_its_own_look_changes_nothing() -> None:
    ours = images(0)
    torch.testing.assert_close(style.histogram(ours, ours), ours, atol=0.01, rtol=0)
    torch.testing.assert_close(style.fourier(ours, ours, 0.1), ours, atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["histogram", "fourier"])
def test_what_was_not_observed_does_not_change_the_rest(method: str) -> None:
    ours, looks = images(0, 0.2, 0.6), images(1, 0.3, 0.5)
    seen = torch.ones(3, 48, 48, dtype=torch.bool)
    seen[1, :, 30:], seen[2] = False, False
    settings = Style(method=method, share=1.0)

    def restyled(filling: float) -> torch.Tensor:
        given = torch.where(seen[:, None], ours, filling)
        source = Chance(generator=torch.Generator().manual_seed(0))
        return style.transfer(given, looks, settings=settings, chance=source, seen=seen)

    black, white = restyled(0.0), restyled(1.0)
    torch.testing.assert_close(black[1][:, seen[1]], white[1][:, seen[1]])
    assert torch.isfinite(black).all()


def test_the_histogram_is_that_of_what_was_observed() -> None:
    ours = images(0, 0.2, 0.6)
    seen = torch.ones(3, 48, 48, dtype=torch.bool)
    seen[..., 30:] = False
    out = style.histogram(torch.where(seen[:, None], ours, 0), ours, seen)  # columns are alike: its own look
    torch.testing.assert_close(out[..., :30], ours[..., :30], atol=0.02, rtol=0)


def test_fourier_exchanges_the_lowest_amplitudes_only() -> None:
    ours, looks = images(0) * 0.4 + 0.3, images(1, 0.4, 0.6) * 0.5 + 0.2
    out = style.fourier(ours, looks, 0.05)
    torch.testing.assert_close(out.mean(dim=(2, 3)), looks.mean(dim=(2, 3)), atol=1e-3, rtol=0)
    before, after, theirs = (torch.fft.fft2(part).abs() for part in (ours, out, looks))
    torch.testing.assert_close(after[..., 10:38, 10:38], before[..., 10:38, 10:38], atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(after[..., :3, :3], theirs[..., :3, :3], atol=0.5, rtol=1e-2)


@pytest.mark.parametrize("method", ["histogram", "fourier"])
def test_only_a_share_of_the_images_is_changed(method: str) -> None:
    ours = images(0).repeat(20, 1, 1, 1)
    looks = images(1, 0.5, 0.6).repeat(20, 1, 1, 1)
    settings = Style(method=method, share=0.5)
    out = style.transfer(ours, looks, settings=settings, chance=Chance(generator=torch.Generator().manual_seed(0)))
    moved = (out - ours).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.25 < moved.float().mean() < 0.75
    assert 0 <= out.min() <= out.max() <= 1


def test_no_method_no_change() -> None:
    ours = images(0)
    assert (
        style.transfer(ours, ours * 0, settings=Style(method="none"), chance=Chance(generator=torch.Generator()))
        is ours
    )
