"""Footprints in lon/lat: of a whole grid, or of the valid pixels of a raster."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo import geom
from odc.geo.geobox import GeoBox
from rasterio.features import shapes
from shapely.geometry.base import BaseGeometry

from mage_stac.errors import AssetError
from mage_stac.raster import thinned

MASK_SIZE = 512
"""Pixels along the longer side of the thinned mask whose border becomes the footprint."""

SIDE_POINTS = 32
"""Points a side that are carried to lon/lat."""

PRECISION = 1e-7
"""Degrees, about a centimetre."""

Footprint = tuple[dict[str, Any], list[float]]
"""GeoJSON geometry and bbox (west, south, east, north); west > east where it crosses the antimeridian."""


def of_grid(geobox: GeoBox) -> Footprint:
    """The border of a grid."""
    border = _of_grid(geobox)
    return shapely.geometry.mapping(border), bbox(border)


@lru_cache(16)
def _of_grid(geobox: GeoBox) -> BaseGeometry:
    return _lonlat(geobox.extent, geobox)


def of_valid(dataset: Any, geobox: GeoBox) -> Footprint:
    """The border of the valid pixels of an open rasterio dataset, to the pixel of a mask thinned to 512.

    Raises:
        AssetError: no pixel is valid.
    """
    shape = thinned(geobox.shape, MASK_SIZE)
    mask: NDArray[np.bool_] = dataset.dataset_mask(out_shape=shape) > 0
    if mask.all():
        return of_grid(geobox)
    if not mask.any():
        raise AssetError(f"{dataset.name} has no valid pixel: all are nodata ({dataset.nodata})")
    affine = geobox.affine @ Affine.scale(geobox.shape[1] / shape[1], geobox.shape[0] / shape[0])
    found = shapes(mask.astype("uint8"), mask=mask, transform=affine)
    union = shapely.unary_union([shapely.geometry.shape(polygon) for polygon, _ in found])
    pixel = float(np.hypot(affine.a, affine.d))
    border = _lonlat(geom.Geometry(union.simplify(pixel), geobox.crs), geobox)
    return shapely.geometry.mapping(border), bbox(border)


def _lonlat(border: geom.Geometry, geobox: GeoBox) -> BaseGeometry:
    box = geobox.boundingbox
    step = max(box.span_x, box.span_y) / SIDE_POINTS
    degrees = border.to_crs("EPSG:4326", resolution=step, wrapdateline=True)
    polygon: BaseGeometry = shapely.orient_polygons(shapely.set_precision(degrees.geom.simplify(PRECISION), PRECISION))
    return polygon


def bbox(polygon: BaseGeometry) -> list[float]:
    """West, south, east, north of a geometry in lon/lat; west > east where its parts lie along the antimeridian."""
    west, south, east, north = polygon.bounds
    parts = list(getattr(polygon, "geoms", [polygon]))
    if len(parts) > 1 and west <= -180 + PRECISION and east >= 180 - PRECISION:
        west = min(part.bounds[0] for part in parts if part.bounds[0] > 0)
        east = max(part.bounds[2] for part in parts if part.bounds[2] < 0)
    return [west, south, east, north]
