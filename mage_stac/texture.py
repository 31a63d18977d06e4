"""Texture: what a picture is like beyond its colours, as numbers. Pure functions of arrays.

Sources: power spectra of natural images fall as a power of frequency (Field 1987, doi:10.1364/JOSAA.4.002379); the
Frechet distance of Gaussians over a network's features (Heusel et al. 2017, arXiv:1706.08500); a network with random
weights as the one that no data set favours (Naeem et al. 2020, arXiv:2002.09797, section 4).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.ndimage import uniform_filter

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

WINDOW = 5
"""Side of the window of local deviations, pixels."""

LOWEST, HIGHEST = 4.0, 0.35
"""Frequencies of the slope: from 4 periods a tile (below, the window's own shape shows) to 0.35 cycles a pixel (above,
resampling and noise)."""

PATCH = 32
"""Side of the patches whose features are taken, pixels."""

FILTERS, FEATURES = 32, 64
"""Of the first and the second layer."""

FIXED = 20170626
"""Seed of the random network: features of different runs must be comparable."""

BATCH = 256


def gradients(tile: Floats) -> Floats:
    """Length of the gradient (bands, y, x) of a tile (bands, y, x), per pixel, by central differences."""
    down, right = np.gradient(tile, axis=(1, 2))
    found: Floats = np.hypot(down, right).astype("float32")
    return found


def deviations(tile: Floats) -> Floats:
    """Standard deviation (bands, y, x) in a window of WINDOW pixels around each pixel of a tile (bands, y, x)."""
    exact = tile.astype("float64")
    size = (1, WINDOW, WINDOW)
    mean = uniform_filter(exact, size, mode="reflect")
    spread = uniform_filter(exact**2, size, mode="reflect") - mean**2
    found: Floats = np.sqrt(np.maximum(spread, 0)).astype("float32")
    return found


def spectrum(tile: Floats) -> Array:
    """Radial power (bands, side // 2) of a square tile (bands, side, side) at the `frequencies` of its side.

    The mean is taken off and a Hann window laid over it; power is averaged over rings one frequency step wide.
    """
    side = tile.shape[-1]
    hann = np.hanning(side)
    windowed = (tile - tile.mean(axis=(1, 2), keepdims=True)) * np.outer(hann, hann)
    power = np.abs(np.fft.fft2(windowed)) ** 2
    step = np.fft.fftfreq(side) * side
    ring = np.rint(np.hypot(step[:, None], step[None, :])).astype(int).ravel()
    counts = np.bincount(ring)[1 : side // 2 + 1]
    sums = np.array([np.bincount(ring, weights=band.ravel())[1 : side // 2 + 1] for band in power])
    found: Array = sums / counts
    return found


def frequencies(side: int) -> Array:
    """Cycles per pixel of the rings of `spectrum`."""
    return np.arange(1, side // 2 + 1) / side


def slope(power: Array) -> float:
    """Exponent of the radial power (side // 2): P ~ f^slope, about -2 for natural scenes.

    Least squares on the logarithms, every octave with the same weight. NaN where there is no power.
    """
    along = frequencies(2 * len(power))
    used = (along >= LOWEST / (2 * len(power))) & (along <= HIGHEST)
    if used.sum() < 2 or (power[used] <= 0).any():
        return float("nan")
    return float(np.polyfit(np.log(along[used]), np.log(power[used]), 1, w=1 / np.sqrt(along[used]))[0])


def patches(tile: Floats, count: int) -> Floats:
    """At most `count` patches (n, bands, PATCH, PATCH) of a tile (bands, y, x), side by side from its corner."""
    bands, height, width = tile.shape
    rows, columns = height // PATCH, width // PATCH
    cut = tile[:, : rows * PATCH, : columns * PATCH].reshape(bands, rows, PATCH, columns, PATCH)
    found: Floats = cut.transpose(1, 3, 0, 2, 4).reshape(-1, bands, PATCH, PATCH)
    return found[np.linspace(0, len(found) - 1, min(count, len(found))).astype(int)] if len(found) else found


def features(cut: Floats) -> Floats:
    """Features (n, FEATURES) of patches (n, bands, PATCH, PATCH) under a network of two layers with fixed weights.

    Filters of 7 x 7 pixels every second pixel, then of 3 x 3 every second, each with a rectifier; averaged over place.
    """
    rng = np.random.default_rng(FIXED)
    first = _weights(rng, (FILTERS, cut.shape[1], 7, 7))
    second = _weights(rng, (FEATURES, FILTERS, 3, 3))
    parts = [_layer(_layer(cut[at : at + BATCH], first), second).mean(axis=(2, 3)) for at in range(0, len(cut), BATCH)]
    found: Floats = np.concatenate([np.zeros((0, FEATURES), "float32"), *parts])
    return found


def _weights(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> Floats:
    """Gaussian, of a size that keeps the signal's variance through a rectifier (He et al. 2015, arXiv:1502.01852)."""
    drawn: Floats = (rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype("float32")
    return drawn


def _layer(signal: Floats, weights: Floats) -> Floats:
    """(n, channels, y, x) -> (n, filters, y', x'), every second place, rectified."""
    side = weights.shape[-1]
    windows = sliding_window_view(signal, (side, side), axis=(2, 3))[:, :, ::2, ::2]
    answer = np.tensordot(windows, weights, axes=((1, 4, 5), (1, 2, 3)))
    rectified: Floats = np.maximum(answer.transpose(0, 3, 1, 2), 0).astype("float32")
    return rectified


def frechet(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Squared Frechet distance of the Gaussians with the means and covariances of two samples (n, k), (m, k); >= 0."""
    first, second = np.asarray(one, "float64"), np.asarray(other, "float64")
    spread, also = (np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (first, second))
    values, vectors = eigh(spread)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    shared = np.sqrt(np.maximum(eigh(root @ also @ root, eigvals_only=True), 0)).sum()
    apart = float(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())
    return max(0.0, apart + float(np.trace(spread) + np.trace(also) - 2 * shared))
