"""Mottle: smooth pseudo-random fields that are a pure function of place and seed, for colour and shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def cells(i: ArrayLike, j: ArrayLike, seed: ArrayLike) -> Values:
    """Uniform 0..1 for integer cells; every cell and seed independent.

    The finaliser is that of MurmurHash3 (Appleby, public domain), applied to a sum of odd multiples.
    """
    mixed = np.asarray(i, np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
    mixed = mixed + np.asarray(j, np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
    mixed = mixed ^ (np.asarray(seed, np.int64).astype(np.uint32) * np.uint32(0xC2B2AE3D))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    result: Values = mixed / 2.0**32
    return result


def field(x: ArrayLike, y: ArrayLike, scale: float, seed: ArrayLike) -> Values:
    """Smooth 0..1 field with features of `scale` metres: random values at the corners of a grid, blended."""
    x, y = np.broadcast_arrays(np.asarray(x, np.float64) / scale, np.asarray(y, np.float64) / scale)
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    corners = cells(np.stack([i, i + 1]), np.stack([j, j + 1])[:, None], seed)
    lower, upper = corners[:, 0] * (1 - u) + corners[:, 1] * u
    result: Values = lower * (1 - v) + upper * v
    return result


def rough(x: ArrayLike, y: ArrayLike, scale: float, seed: int) -> Values:
    """Field of three octaves, 0..1, about half of it in the coarsest."""
    return (4 * field(x, y, scale, seed) + 2 * field(x, y, scale / 2, seed + 1) + field(x, y, scale / 4, seed + 2)) / 7


def rough_at(at: Values, scale: float, seed: int) -> Values:
    """The same at points (..., 2)."""
    return rough(at[..., 0], at[..., 1], scale, seed)
