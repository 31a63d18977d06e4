"""Isochrones: the ground within so many minutes by road."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from mage_stac.products.roads import Roads
from mage_stac.products.routing import Reach

CELL = 50.0
"""Metres: roads reached colour the cells they pass through and those beside them."""

SIDE = 4000
"""Cells along the longer side at the most; they grow on larger networks."""


def isochrones(roads: Roads, seconds: NDArray[np.float64], found: Reach, minutes: Sequence[float]) -> Any:
    """Polygons of what is reached within each number of minutes: a GeoDataFrame in the roads' CRS, the smallest first.

    Each holds the smaller ones; a number within which nothing is reached has no row.
    """
    spots, times = _reached(roads, seconds, found)
    most = max(minutes) * 60
    spots, times = spots[times <= most], times[times <= most]
    rows = []
    if len(spots):
        left, bottom = spots.min(axis=0)
        right, top = spots.max(axis=0)
        cell = max(CELL, (right - left) / SIDE, (top - bottom) / SIDE)
        affine = Affine(cell, 0, left - 2 * cell, 0, -cell, top + 2 * cell)
        shape = (int((top - bottom) // cell) + 5, int((right - left) // cell) + 5)
        field = np.full(shape, np.inf)
        column, row = ((spots - (affine.c, affine.f)) / (cell, -cell)).astype(int).T
        np.minimum.at(field, (row, column), times)
        field = minimum_filter(field, size=3)
        for bound in sorted(minutes):
            within = (field <= bound * 60).astype(np.uint8)
            shapes = rasterio.features.shapes(within, mask=within > 0, transform=affine)
            parts = [shapely.geometry.shape(shape) for shape, _ in shapes]
            if parts:
                rows.append((float(bound), shapely.multipolygons(np.array(parts, dtype=object))))
    return gpd.GeoDataFrame(
        {"minutes": [bound for bound, _ in rows]}, geometry=[area for _, area in rows], crs=roads.crs
    )


def _reached(
    roads: Roads, seconds: NDArray[np.float64], found: Reach
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points along all open edges, and the seconds to get there from either end."""
    usable = np.flatnonzero(np.isfinite(seconds))
    count = np.maximum(np.ceil(roads.metres[usable] / CELL).astype(int), 1) + 1
    edge = np.repeat(usable, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    share = step / np.repeat(count - 1, count)
    spent = seconds[edge]
    with np.errstate(invalid="ignore"):
        ahead = np.where(roads.forward[edge], found.seconds[roads.tail[edge]] + share * spent, np.inf)
        back = np.where(roads.backward[edge], found.seconds[roads.head[edge]] + (1 - share) * spent, np.inf)
    times = np.minimum(ahead, back)
    known = np.isfinite(times)
    spots = shapely.line_interpolate_point(roads.lines[edge[known]], share[known], normalized=True)
    return shapely.get_coordinates(spots), times[known]
