"""Grids as odc.geo GeoBoxes: of a file, of an area, of the assets of Items; and how a grid is cut into windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
import shapely
from affine import Affine
from odc.geo import geom
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from mage_stac.catalogue import asset_path
from mage_stac.errors import AssetError, GridError
from mage_stac.raster import opened

Slices = tuple[slice, slice]
"""Rows, then columns. `start` may be negative and `stop` beyond the grid: such pixels lie outside of it."""

UTM_LIMIT = 84.0
"""Degrees of latitude beyond which UTM gives way to the polar stereographic grids."""

AGREE = 1e-3
"""Pixels by which the corners of two grids may differ that are called one: coordinates are rounded, nothing shifts."""

BOUNDARY_POINTS = 64
"""Points a side when a border is carried to another CRS: the sagitta of a 10 km side is then below 1 mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A piece of a grid, in its pixels."""

    core: Slices
    """Lies inside the grid; every pixel of the grid is in exactly one core."""
    outer: Slices
    """The core grown to (size + 2 margin) a side, always of that size; may leave the grid."""


def of_raster(path: str | Path) -> GeoBox:
    """The file's own grid, exactly as its geotransform says (north-up, flipped or rotated).

    Raises:
        AssetError: the file cannot be opened.
        GridError: it has no CRS or is placed by ground control points only.
    """
    try:
        with rasterio.open(path) as source:
            return of_dataset(source)
    except RasterioError as error:
        raise AssetError(f"{path} cannot be opened as a raster: {error}") from error


def of_dataset(source: Any) -> GeoBox:
    """The grid of an open rasterio dataset; see `of_raster`."""
    if source.crs is None:
        placed = (
            "ground control points only: warp it first" if source.gcps[0] else "no CRS: set it with gdal_edit.py -a_srs"
        )
        raise GridError(f"{source.name} has {placed}")
    epsg = source.crs.to_epsg(confidence_threshold=100)
    return GeoBox(source.shape, source.transform, f"EPSG:{epsg}" if epsg else source.crs.to_wkt())


def of_area(bbox: tuple[float, float, float, float], resolution: float, crs: str | None = None) -> GeoBox:
    """A north-up grid that covers a lon/lat box (west, south, east, north in degrees) wholly.

    `resolution` is in the units of `crs`, which is the UTM zone of the box's centre (polar stereographic beyond 84
    degrees) unless given. Pixel edges lie on multiples of the resolution, so neighbouring areas share one grid.

    Raises:
        GridError: the box is empty, leaves the globe or crosses the antimeridian; the resolution is not positive.
    """
    west, south, east, north = _checked(bbox)
    if not (math.isfinite(resolution) and resolution > 0):
        raise GridError(f"resolution {resolution} is not a positive number")
    target = crs or utm((west + east) / 2, (south + north) / 2)
    step = max(east - west, north - south) / BOUNDARY_POINTS
    area = geom.box(west, south, east, north, "EPSG:4326").to_crs(target, resolution=step)
    return GeoBox.from_bbox(area.boundingbox, resolution=resolution, anchor="edge", tol=1e-6)


def utm(lon: float, lat: float) -> str:
    """The WGS 84 UTM zone of a place as "EPSG:326xx" (north) or "EPSG:327xx" (south), "EPSG:32661/32761" at the poles.

    Zones are the regular six degrees: the exceptions of Norway and Svalbard are not made.
    """
    if abs(lat) > UTM_LIMIT:
        return "EPSG:32661" if lat > 0 else "EPSG:32761"
    zone = int((lon + 180) // 6) % 60 + 1
    return f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}"


def of_items(items: Sequence[pystac.Item], asset: str, resolution: float | None = None) -> GeoBox:
    """The union of the grids of one asset of several Items, in the CRS of the first, north up where it has south up.

    Without `resolution` the grid continues the first Item's pixels exactly; with it (units of that CRS), pixel edges
    lie on its multiples. Assets in another CRS or resolution are covered wholly.

    Raises:
        GridError: no Items.
        AssetError: an Item lacks the asset, or its grid cannot be found.
    """
    if not items:
        raise GridError(f"no Items to take the grid of asset {asset!r} from")
    grids = [of_asset(item, asset) for item in items]
    first = grids[0]
    left, top, right, bottom = zip(*(pixel_box(first, grid.extent) for grid in grids), strict=True)
    x0, y0 = math.floor(min(left) + AGREE), math.floor(min(top) + AGREE)
    shape = (math.ceil(max(bottom) - AGREE) - y0, math.ceil(max(right) - AGREE) - x0)
    union = GeoBox(shape, first.affine @ Affine.translation(x0, y0), first.crs)
    if resolution is None:
        return upright(union)
    return GeoBox.from_bbox(union.boundingbox, resolution=resolution, anchor="edge", tol=AGREE)


def upright(geobox: GeoBox) -> GeoBox:
    """The same pixels with rows from north to south and columns from west to east; a rotated grid as it is."""
    (rows, columns), affine = geobox.shape, geobox.affine
    if affine.b or affine.d:
        return geobox
    turned = affine
    if affine.e > 0:
        turned = turned @ Affine(1, 0, 0, 0, -1, rows)
    if affine.a < 0:
        turned = turned @ Affine(-1, 0, columns, 0, 1, 0)
    return geobox if turned == affine else GeoBox(geobox.shape, turned, geobox.crs)


def turning(affine: Affine) -> tuple[slice, slice]:
    """How rows and columns of an array on a grid are indexed to be north up, as `upright` has them."""
    straight = not (affine.b or affine.d)
    return slice(None, None, -1 if straight and affine.e > 0 else 1), slice(
        None, None, -1 if straight and affine.a < 0 else 1
    )


def of_asset(item: pystac.Item, key: str) -> GeoBox:
    """The grid of one asset: from `proj:*` of the asset or its Item, else from the file.

    Raises:
        AssetError: the Item lacks the asset, or its file cannot be opened.
        GridError: the file has no grid.
    """
    path = asset_path(item, key)
    fields = {**item.properties, **item.assets[key].extra_fields}
    shape, transform = fields.get("proj:shape"), fields.get("proj:transform")
    epsg = fields.get("proj:epsg")
    crs = fields.get("proj:code") or (f"EPSG:{int(epsg)}" if epsg else None) or fields.get("proj:wkt2")
    if shape and transform and crs:
        return GeoBox(tuple(shape), Affine(*transform[:6]), crs)
    with opened(path, f"asset {key!r} of Item {item.id}") as source:
        return of_dataset(source)


def windows(geobox: GeoBox, size: int, margin: int = 0) -> Iterator[Window]:
    """Cut a grid into windows, row by row: square cores of `size` pixels (less at the far edges) that tile it."""
    rows, columns = geobox.shape
    for row in range(0, rows, size):
        for column in range(0, columns, size):
            yield Window(
                core=(slice(row, min(row + size, rows)), slice(column, min(column + size, columns))),
                outer=(
                    slice(row - margin, row + size + margin),
                    slice(column - margin, column + size + margin),
                ),
            )


def crop(geobox: GeoBox, rows: slice, columns: slice) -> GeoBox:
    """The grid of a window, which may leave the grid on any side (where indexing a GeoBox would count from the end)."""
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return GeoBox(shape, geobox.affine @ Affine.translation(columns.start, rows.start), geobox.crs)


def apart(one: GeoBox, other: GeoBox) -> float:
    """Pixels of the second by which the corners of two grids of one CRS and shape differ at most."""
    rows, columns = one.shape
    corners = np.array([(0, 0, 1), (columns, 0, 1), (0, rows, 1), (columns, rows, 1)]).T
    between = np.reshape(tuple(~other.affine @ one.affine), (3, 3))
    return float(np.abs(between @ corners - corners).max())


def contradiction(stated: GeoBox, file: GeoBox) -> str | None:
    """What an Item says of its file's grid that is not so, in the words of STAC; None if all is."""
    if tuple(stated.shape) != tuple(file.shape):
        return f"proj:shape is {list(stated.shape)}, the file's {list(file.shape)}"
    if stated.crs != file.crs:
        return f"proj:code is {stated.crs}, the file's {file.crs}"
    if apart(stated, file) > AGREE:
        return f"proj:transform is {list(stated.affine)[:6]}, the file's {list(file.affine)[:6]}"
    return None


def pixel_metres(geobox: GeoBox) -> tuple[float, float]:
    """Width and height on the ground, in metres, of the pixel in the middle of a grid in any CRS and unit.

    They are measured in its UTM zone, whose metre is one on the ground to 0.1 % (to 0.6 % beyond 84 degrees).
    """
    rows, columns = geobox.shape
    corners = [(columns // 2, rows // 2), (columns // 2 + 1, rows // 2), (columns // 2, rows // 2 + 1)]
    x, y = np.transpose([geobox.affine @ corner for corner in corners])
    lon, lat = geobox.crs.transformer_to_crs("EPSG:4326")(x, y)
    local = utm(float(lon[0]), float(lat[0]))
    if geobox.crs != local:
        x, y = geobox.crs.transformer_to_crs(local)(x, y)
    corner, *ends = shapely.points(x, y)
    width, height = (float(shapely.distance(corner, end)) for end in ends)
    return width, height


def ground_resolution(geobox: GeoBox) -> float:
    """Side in metres of the square that is as large as the pixel in the middle of a grid; see `pixel_metres`."""
    return math.sqrt(math.prod(pixel_metres(geobox)))


def pixel_box(geobox: GeoBox, area: geom.Geometry) -> tuple[float, float, float, float]:
    """The box round an area of any CRS in pixels of a grid: left, top, right, bottom; may leave the grid.

    Raises:
        GridError: the area lies where the grid's CRS does not reach.
    """
    if area.crs != geobox.crs:
        step = max(area.boundingbox.span_x, area.boundingbox.span_y) / BOUNDARY_POINTS
        area = area.to_crs(geobox.crs, resolution=step)
    x, y = shapely.get_coordinates(area.geom).T
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GridError(f"an area does not fit into {geobox.crs}: it lies too far from the grid's zone")
    back = ~geobox.affine
    columns, rows = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
    return float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max())


def _checked(bbox: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, south, east, north = bbox
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise GridError(
            f"bbox {west},{south},{east},{north} is not west,south,east,north in degrees, west < east and south < north"
            " (one that crosses the antimeridian must be given as two)"
        )
    return west, south, east, north
