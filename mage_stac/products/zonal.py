"""Zonal statistics: a map's probabilities summed over polygons, strip by strip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window

from mage_stac.classes import DAMAGE_CLASSES, NOT_OBSERVED
from mage_stac.mosaic import LEVELS
from mage_stac.raster import strips

CLASSES = tuple(entry.name for entry in DAMAGE_CLASSES if not entry.nodata)
"""Names of the classes 0-4."""

FEWEST = 4
"""Pixels: of fewer, chance decides what they say."""

GROWTH = 1.0
"""Pixels by which a polygon of fewer than FEWEST is grown: then it holds the centres of some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Over the pixels of n polygons."""

    probabilities: NDArray[np.float64]
    """(n, 5) of the classes 0-4, over the observed pixels."""
    damaged: NDArray[np.int64]
    """(n,) observed pixels whose likeliest grade is 2-4."""
    observed: NDArray[np.int64]
    """(n,) observed pixels."""
    pixels: NDArray[np.int64]
    """(n,) pixels on the grid."""


def sums(source: Any, polygons: NDArray[Any]) -> Sums:
    """Sum an open map over each polygon (in pixels: x right, y down).

    A pixel belongs to the polygon that holds its centre, the last of those that overlap; polygons smaller than FEWEST
    pixels look at every pixel within GROWTH of theirs, whosever it is, and so do those of which others leave no more,
    such as the first of two that are the same.

    Args:
        source: five bands as `predict` writes them, or a damage map, whose classes then count as certain.
        polygons: n of them; empty ones get no pixels.
    """
    small = shapely.area(polygons) < FEWEST
    polygons = np.where(small, shapely.buffer(polygons, GROWTH), polygons)
    bounds = shapely.bounds(polygons).reshape(-1, 4)
    total = np.zeros((len(CLASSES) + 3, len(polygons)))
    for strip in strips(source):
        here = reaching(bounds, strip)
        if len(here):
            block = source.read(window=strip)
            for kind in (small, ~small):
                total += _summed(block, owners(polygons, here[kind[here]], strip), len(polygons))
    hidden = ~shapely.is_empty(polygons) & (total[-1] < np.where(small, 1, FEWEST))
    for number in np.flatnonzero(hidden):
        total[:, number] = _alone(source, polygons[number], bounds[number])
    *probabilities, damaged, observed, pixels = total
    return Sums(
        probabilities=np.stack(probabilities, axis=1),
        damaged=damaged.astype(int),
        observed=observed.astype(int),
        pixels=pixels.astype(int),
    )


def reaching(bounds: NDArray[np.float64], strip: Window) -> NDArray[np.int64]:
    """Numbers of those whose bounds (n, 4), in pixels, reach into the rows of a strip."""
    return np.flatnonzero((bounds[:, 1] < strip.row_off + strip.height) & (bounds[:, 3] > strip.row_off))


def owners(polygons: NDArray[Any], numbers: NDArray[np.int64], strip: Window) -> NDArray[np.int32]:
    """Number of the polygon, among some, that holds the centre of each pixel of a strip: the last; -1 for none."""
    owner = np.full((strip.height, strip.width), -1, np.int32)
    burnt = [(polygons[number], number) for number in numbers if not polygons[number].is_empty]
    if burnt:
        rasterio.features.rasterize(burnt, out=owner, transform=Affine.translation(0, strip.row_off))
    return owner


def _alone(source: Any, polygon: Any, bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(8,): what `_summed` gives of a polygon that shares its pixels with others; 0 off the grid."""
    rows, columns = source.shape
    left, top = (max(0, math.floor(edge)) for edge in bounds[:2])
    right, bottom = min(columns, math.ceil(bounds[2])), min(rows, math.ceil(bounds[3]))
    if left >= right or top >= bottom:
        return np.zeros(len(CLASSES) + 3)
    owner = np.full((bottom - top, right - left), -1, np.int32)
    rasterio.features.rasterize([(polygon, 0)], out=owner, transform=Affine.translation(left, top))
    return _summed(source.read(window=Window(left, top, right - left, bottom - top)), owner, 1)[:, 0]


def _summed(block: NDArray[np.uint8], owner: NDArray[np.int32], polygons: int) -> NDArray[np.float64]:
    """(8, n): probabilities of the classes 0-4, damaged, observed and all pixels, of each polygon."""
    owned = owner >= 0
    who, values = owner[owned], block[:, owned]
    seen = values[0] != NOT_OBSERVED
    chances = _probabilities(values)
    damaged = seen & (chances[1:].argmax(axis=0) > 0)
    weights = [*(chances * seen), damaged, seen, np.ones(len(who))]
    return np.stack([np.bincount(who, weights=weight, minlength=polygons) for weight in weights])


def _probabilities(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(5, n) of the classes 0-4, from the bands (5 or 1, n) of n pixels."""
    certain = len(values) == 1
    shares: NDArray[np.float64] = values[0] == np.arange(len(CLASSES))[:, None] if certain else values / LEVELS
    return shares.astype(np.float64, copy=False)
