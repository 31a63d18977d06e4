"""Style: give rendered images the look of unlabelled real ones, by their histograms or their lowest frequencies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mage_stac.adapt.chance import Chance
from mage_stac.recipe import Style

QUANTILES = 33
"""Knots of the transfer curve between two histograms."""
LEVELS = 1024
"""Values at which that curve is taken: four for each that eight bits tell apart."""
SAMPLES = 4096
"""Pixels from which quantiles are taken, about."""


def transfer(images: Tensor, looks: Tensor, *, settings: Style, chance: Chance) -> Tensor:
    """Move a random share of images part of the way to the look of others.

    Args:
        images: (N, C, H, W) 0..1.
        looks: (N, C, H, W) 0..1 real images, one for each.
        settings: method and share.
        chance: draws which images and how far each goes.

    Returns:
        (N, C, H, W) 0..1.
    """
    if settings.method == "none":
        return images
    drawn, far = (chance.uniform((len(images), 1, 1, 1)) for _ in range(2))
    picked = drawn.flatten() < settings.share
    if not picked.any():
        return images
    some, theirs = images[picked], looks[picked]
    restyled = histogram(some, theirs) if settings.method == "histogram" else fourier(some, theirs, settings.band)
    out = images.clone()
    out[picked] = torch.lerp(some, restyled, far[picked])
    return out


def histogram(images: Tensor, looks: Tensor) -> Tensor:
    """Map each band so that its quantiles become those of the look; monotone and piecewise linear between them."""
    source, target = (_quantiles(part) for part in (images, looks))
    levels = torch.linspace(0, 1, LEVELS, device=images.device).repeat(len(source), 1)
    right = torch.searchsorted(source, levels).clamp(1, QUANTILES - 1)
    low, high = source.gather(1, right - 1), source.gather(1, right)
    share = ((levels - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    curve = torch.lerp(target.gather(1, right - 1), target.gather(1, right), share)
    nearest = (images.flatten(2).flatten(0, 1) * (LEVELS - 1)).round_().long().clamp_(0, LEVELS - 1)
    return curve.gather(1, nearest).reshape(images.shape)


def _quantiles(images: Tensor) -> Tensor:
    """(N C, QUANTILES) of every n-th pixel of each band; sorted by numpy, on CPUs ten times as fast as by torch."""
    planes = images.flatten(2).flatten(0, 1)
    ordered = np.sort(planes[:, :: max(1, planes.shape[1] // SAMPLES)].cpu().numpy(), axis=1)
    ranks = np.linspace(0, ordered.shape[1] - 1, QUANTILES).round().astype(int)
    return torch.from_numpy(ordered.take(ranks, axis=1)).to(images.device)


def fourier(images: Tensor, looks: Tensor, band: float) -> Tensor:
    """Exchange the amplitudes of the lowest frequencies, keep the phases (FDA: Yang and Soatto 2020, arXiv 2004.05498).

    Args:
        images: (N, C, H, W).
        looks: the same shape.
        band: half-width of the square of frequencies exchanged, as a share of the edge (beta of the paper).
    """
    ours, theirs = torch.fft.fft2(images), torch.fft.fft2(looks)
    rows, columns = (_lowest(edge, band, images.device) for edge in images.shape[-2:])
    low = rows[:, None] & columns[None, :]
    amplitude = torch.where(low, theirs.abs(), ours.abs())
    back: Tensor = torch.fft.ifft2(torch.polar(amplitude, ours.angle())).real
    return back.clamp(0, 1)


def _lowest(edge: int, band: float, device: torch.device) -> Tensor:
    """Which of the frequencies of an axis, in FFT order, are exchanged; the constant always is."""
    number: Tensor = torch.fft.fftfreq(edge, device=device) * edge
    return number.abs() <= int(band * edge)
