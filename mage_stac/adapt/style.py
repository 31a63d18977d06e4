"""Style: give rendered images the look of unlabelled real ones, by their histograms or their lowest frequencies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mage_stac.adapt.chance import Chance
from mage_stac.recipe import Style

QUANTILES = 33
"""Knots of the transfer curve between two histograms."""
LEVELS = 1024
"""Values at which that curve is taken: four for each that eight bits tell apart."""
SAMPLES = 4096
"""Pixels from which quantiles are taken, about."""


def transfer(images: Tensor, looks: Tensor, *, settings: Style, chance: Chance, seen: Tensor | None = None) -> Tensor:
    """Move a random share of images part of the way to the look of others.

    Args:
        images: (N, C, H, W) 0..1.
        looks: (N, C, H, W) 0..1 real images, one for each.
        settings: method and share.
        chance: draws which images and how far each goes.
        seen: (N, H, W) bool: where the images were observed, the rest has no say; everywhere if None.

    Returns:
        (N, C, H, W) 0..1.
    """
    if settings.method == "none":
        return images
    drawn, far = (chance.uniform((len(images), 1, 1, 1)) for _ in range(2))
    picked = drawn.flatten() < settings.share
    if not picked.any():
        return images
    some, theirs, known = images[picked], looks[picked], None if seen is None else seen[picked]
    if settings.method == "histogram":
        restyled = histogram(some, theirs, known)
    else:
        restyled = fourier(some if known is None else _levelled(some, known), theirs, settings.band)
    out = images.clone()
    out[picked] = torch.lerp(some, restyled, far[picked])
    return out


def _levelled(images: Tensor, seen: Tensor) -> Tensor:
    """The images with each band's mean where nothing was observed: without an edge that frequencies would tell of."""
    weight = seen[:, None].to(images.dtype)
    mean = (images * weight).sum(dim=(2, 3), keepdim=True) / weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    return torch.where(seen[:, None], images, mean)


def histogram(images: Tensor, looks: Tensor, seen: Tensor | None = None) -> Tensor:
    """Map each band so that its quantiles, of what was `seen` (N, H, W), become those of the look.

    Monotone and piecewise linear between them.
    """
    source, target = _quantiles(images, seen), _quantiles(looks)
    levels = torch.linspace(0, 1, LEVELS, device=images.device).repeat(len(source), 1)
    right = torch.searchsorted(source, levels).clamp(1, QUANTILES - 1)
    low, high = source.gather(1, right - 1), source.gather(1, right)
    share = ((levels - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    curve = torch.lerp(target.gather(1, right - 1), target.gather(1, right), share)
    nearest = (images.flatten(2).flatten(0, 1) * (LEVELS - 1)).round_().long().clamp_(0, LEVELS - 1)
    return curve.gather(1, nearest).reshape(images.shape)


def _quantiles(images: Tensor, seen: Tensor | None = None) -> Tensor:
    """(N C, QUANTILES) of every n-th pixel of each band; sorted by numpy, on CPUs ten times as fast as by torch."""
    planes = images.flatten(2)
    step = max(1, planes.shape[-1] // SAMPLES)
    values = planes[..., ::step].cpu().numpy()
    if seen is None or seen.all():
        return torch.from_numpy(_ranked(values).reshape(-1, QUANTILES)).to(images.device)
    known = seen.flatten(1)[:, ::step].cpu().numpy()
    known[~known.any(axis=1)] = True  # an image of which nothing was observed has a curve too, that nobody looks at
    found = [_ranked(bands[:, own]) for bands, own in zip(values, known, strict=True)]
    return torch.from_numpy(np.concatenate(found)).to(images.device)


def _ranked(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """QUANTILES values of each row, evenly spaced in its order."""
    ordered = np.sort(values, axis=-1)
    ranks = np.linspace(0, ordered.shape[-1] - 1, QUANTILES).round().astype(int)
    return ordered.take(ranks, axis=-1)


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
