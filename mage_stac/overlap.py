"""The one grid on which two dates are compared: the pixels of the first, over what both show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pyproj
import pystac
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import grid
from mage_stac.errors import GridError

NOTABLE = 1.25
"""Ratio of pixel sizes up to which a network works on another resolution than its own: training varies the scale by as
much (`augment.scale` of a recipe)."""

COARSEST = 4.0
"""Pixels of the network's along one of an image, beyond which a house is no more than a blur whatever is made of it."""

STRETCHED = 0.01
"""Share by which a CRS's metre may differ from one on the ground: Web Mercator's does from 8 degrees of latitude on."""

ROUNDING = 1e-3
"""Pixels: a border this close to a pixel's edge lies on it."""


def grid_of_both(pre: Sequence[pystac.Item], post: Sequence[pystac.Item], asset: str, gsd: float) -> GeoBox:
    """The grid of a comparison of two mosaics.

    It has the pre mosaic's CRS and pixels, or pixels of `gsd` metres on the ground where the mosaic's differ from that
    by more than NOTABLE along either axis (as degrees do away from the equator). It covers the smallest rectangle of
    pixels around what both dates cover.

    Raises:
        GridError: no Items, pixels more than COARSEST times `gsd`, or the two do not overlap (names both places).
        AssetError: an Item lacks the asset, or its grid cannot be found.
    """
    base = resampled(grid.of_items(pre, asset), gsd)
    crs = str(base.crs)
    first, second = (covered(items, asset, crs) for items in (pre, post))
    left, top, right, bottom = np.nan_to_num(moved(first.intersection(second), ~base.affine).bounds)
    rows, columns = base.shape
    y = slice(max(0, math.floor(top + ROUNDING)), min(rows, math.ceil(bottom - ROUNDING)))
    x = slice(max(0, math.floor(left + ROUNDING)), min(columns, math.ceil(right - ROUNDING)))
    if not (y.start < y.stop and x.start < x.stop):
        raise GridError(f"pre and post do not overlap: pre covers {place(first, crs)}, post {place(second, crs)}")
    for name, items in (("pre", pre), ("post", post)):
        _check_sharp(name, items, asset, gsd)
    return grid.crop(base, y, x)


def _check_sharp(name: str, items: Sequence[pystac.Item], asset: str, gsd: float) -> None:
    found = ((grid.of_asset(item, asset), item) for item in items)
    grids = {(str(own.crs), tuple(own.affine)[:2]): (own, item) for own, item in found}
    for own, item in grids.values():
        size = max(grid.pixel_metres(own))
        if size > COARSEST * gsd:
            raise GridError(
                f"{name} (Item {item.id}) has pixels of {size:.3g} m, the model learnt from {gsd:g} m: no house shows"
                " there; give finer images, or a model of renders with that --gsd"
            )


def resampled(geobox: GeoBox, gsd: float) -> GeoBox:
    """The grid itself if its pixels are about `gsd` metres on the ground, else one of such pixels from its corner."""
    factors = [round(gsd / size, 6) for size in grid.pixel_metres(geobox)]
    if all(1 / NOTABLE <= factor <= NOTABLE for factor in factors):
        return geobox
    rows, columns = geobox.shape
    shape = (max(1, math.ceil(rows / factors[1] - ROUNDING)), max(1, math.ceil(columns / factors[0] - ROUNDING)))
    return GeoBox(shape, geobox.affine @ Affine.scale(*factors), geobox.crs)


def metric(geobox: GeoBox) -> str:
    """The map's CRS if a metre of it is one on the ground, else the UTM zone of the map's middle."""
    crs = pyproj.CRS(str(geobox.crs))
    true = grid.ground_resolution(geobox) / math.sqrt(abs(geobox.affine.determinant))
    if crs.is_projected and abs(true - 1) < STRETCHED:
        return str(geobox.crs)
    return str(gpd.GeoSeries([geobox.extent.geom], crs=crs).estimate_utm_crs())


def covered(items: Sequence[pystac.Item], asset: str, crs: str) -> Any:
    """What the grids of an asset of some Items cover together: a shapely geometry, empty where `crs` cannot show it."""
    borders = []
    for item in items:
        own = grid.of_asset(item, asset)
        outline = shapely.segmentize(
            own.extent.geom, max(own.boundingbox.span_x, own.boundingbox.span_y) / grid.BOUNDARY_POINTS
        )
        border = gpd.GeoSeries([outline], crs=str(own.crs)).to_crs(crs)[0]
        if np.isfinite(shapely.get_coordinates(border)).all():
            borders.append(border)
    return shapely.union_all(borders)


def moved(geometry: Any, affine: Affine) -> Any:
    """A geometry, or an array of them, with an affine applied to its coordinates."""
    a, b, c, d, e, f = affine[:6]

    def apply(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack((points @ (a, b) + c, points @ (d, e) + f))

    return shapely.transform(geometry, apply)


def place(geometry: Any, crs: str) -> str:
    """Where a geometry lies, in words for an error: "west,south,east,north" in degrees."""
    if geometry.is_empty:
        return f"a place that {crs} cannot show"
    bounds = gpd.GeoSeries([geometry], crs=crs).to_crs("EPSG:4326").total_bounds
    return "west,south,east,north " + ",".join(f"{edge:.5f}" for edge in bounds)
