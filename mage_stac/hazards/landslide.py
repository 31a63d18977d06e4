"""Landslides on slopes that shaking has set loose, and where they come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians, tan

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mage_stac.scene import mottle

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Soil:
    """A slab of soil on a slope, as in Jibson et al. (2000): dry, moderately strong."""

    cohesion: float = 12_000.0
    """Pa."""
    friction: float = 32.0
    """Degrees."""
    thickness: float = 2.4
    """m."""
    weight: float = 15_700.0
    """N/m3."""


SOIL = Soil()
PATCH = 25.0
"""Size of one slide, m."""
REST = tan(radians(18.0))
"""Slope on which sliding soil stops, m per m."""
FARTHEST = 80
"""Cells that soil runs at most."""


def critical(slope: Floats, soil: Soil = SOIL) -> Floats:
    """Acceleration, g, at which a slope (m per m) begins to slide; 0 where it does so at rest.

    (FS - 1) sin(angle), with the factor of safety FS of an infinite slope: Jibson et al. (2000),
    doi:10.1016/S0013-7952(00)00039-9, equations 1 and 2.
    """
    steep = np.maximum(slope, 1e-6)
    sine = steep / np.sqrt(1 + steep**2)
    safety = soil.cohesion / (soil.weight * soil.thickness * sine) + tan(radians(soil.friction)) / steep
    result: Floats = np.maximum(safety - 1.0, 0.0) * sine
    return result


def displacement(acceleration: Floats, critical: Floats, magnitude: float) -> Floats:
    """Newmark displacement, cm: Jibson (2007, doi:10.1016/j.enggeo.2007.01.013), equation 7.

    log10 D = -2.710 + log10((1 - r)^2.335 r^-1.478) + 0.424 M with r = critical acceleration / peak acceleration.
    """
    ratio = np.clip(critical / np.maximum(acceleration, 1e-9), 0.05, 1.0)
    result: Floats = 10 ** (-2.710 + 0.424 * magnitude) * (1 - ratio) ** 2.335 * ratio**-1.478
    return result


def probability(displacement: Floats) -> Floats:
    """Share of slopes that fail after a Newmark displacement in cm: 0.335 (1 - exp(-0.048 D^1.565)), Jibson (2000)."""
    result: Floats = 0.335 * (1 - np.exp(-0.048 * displacement**1.565))
    return result


def slides(ground: Floats, cell: float, acceleration: Floats, magnitude: float, seed: int) -> Mask:
    """(rows, columns) True where soil has slid away or come to rest.

    Args:
        ground: (rows, columns) m.
        cell: side of a cell, m.
        acceleration: (rows, columns) peak, g.
        magnitude: of the earthquake.
        seed: chooses which of the slopes that might fail do.
    """
    # A cell's own roughness is no slope: soil slides in slabs some metres wide.
    smooth = ndimage.gaussian_filter(ground, 4.0 / cell, mode="nearest")
    south, east = np.gradient(smooth, cell) if min(ground.shape) > 1 else (np.zeros_like(ground),) * 2
    steep = np.hypot(south, east)
    likely = probability(displacement(acceleration, critical(steep), magnitude))
    rows, columns = np.indices(ground.shape)
    # A smooth field picks whole patches; its ranks are uniform, so the share that fails is the probability.
    patch = mottle.rough(columns * cell, rows * cell, PATCH, seed)
    rank = np.empty(patch.size)
    rank[np.argsort(patch, axis=None, kind="stable")] = (np.arange(patch.size) + 0.5) / patch.size
    return _run(rank.reshape(patch.shape) < likely, south, east, steep)


def _run(loose: Mask, south: Floats, east: Floats, steep: Floats) -> Mask:
    """`loose` and all that it passes on its way down until the slope is gentle."""
    covered = loose.copy()
    row, column = (axis.astype(float) for axis in np.nonzero(loose))
    for _ in range(FARTHEST):
        i = np.rint(row).astype(np.intp).clip(0, loose.shape[0] - 1)
        j = np.rint(column).astype(np.intp).clip(0, loose.shape[1] - 1)
        covered[i, j] = True
        moving = steep[i, j] > REST
        if not moving.any():
            break
        i, j, row, column = i[moving], j[moving], row[moving], column[moving]
        row, column = row - south[i, j] / steep[i, j], column - east[i, j] / steep[i, j]
    whole: Mask = ndimage.binary_closing(covered, np.ones((3, 3))) | covered
    return whole
