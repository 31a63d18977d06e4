"""Cutting the rasters of an Item to an area: their own pixels, no resampling, as COGs beside the Item."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pystac
import shapely
from odc.geo import geom
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from mage_stac import band_fields, catalogue, cog, footprint, grid, raster
from mage_stac.errors import GridError
from mage_stac.publish import COG, grid_fields
from mage_stac.raster import opened

RASTERS = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")
"""Media types that are cut, whatever follows the semicolon."""

LEFT_OUT = {"thumbnail", "overview", "metadata"}
"""Roles of assets that are not cut unless asked for by key."""

STRIP = 2048
"""Pixels a side of the pieces read at once."""

_WHOLE_FILE = ("file:size", "file:checksum", "proj:geometry", "proj:centroid", "alternate")
"""Fields that were true of the whole file only."""


def raster_keys(item: pystac.Item) -> list[str]:
    """The assets that hold data as rasters."""
    return [
        key
        for key, asset in item.assets.items()
        if (asset.media_type or "").split(";")[0].strip().lower() in RASTERS and not LEFT_OUT & set(asset.roles or ())
    ]


def cut(
    item: pystac.Item,
    area: BaseGeometry,
    folder: Path,
    *,
    keys: Sequence[str] = (),
    sign: Callable[[str], str] | None = None,
) -> pystac.Item:
    """A copy of an Item whose assets are cut to the box of an area (lon/lat) and lie in a folder as <key>.tif.

    `keys` names the assets; all rasters without. Others are left out, for they still show the whole. `sign` makes a URL
    that may be opened; what it returns is never stored.

    Raises:
        AssetError: an asset is missing, may not be opened, or cannot be read.
        GridError: no asset reaches into the area, or one has no grid.
        CatalogueError: the disk refuses.
    """
    result = item.clone()
    result.assets = {}
    boxes = []
    for key in keys or raster_keys(item):
        path = catalogue.asset_path(item, key)
        name = f"{catalogue.safe_id(key)}.tif"
        with opened(sign(path) if sign else path, f"asset {key!r} of Item {item.id}") as source:
            geobox = part(grid.of_dataset(source), area)
            if geobox is None:
                continue
            nodata = _nodata(source, item.assets[key])
            _copy(source, geobox, folder / name, nodata)
            result.assets[key] = _asset(item.assets[key], geobox, source.dtypes[0], nodata, f"./{name}")
        boxes.append(shape(footprint.of_grid(geobox)[0]))
    if not boxes:
        raise GridError(f"Item {item.id} has no raster that reaches into the area")
    _narrow(result, boxes)
    return result


def part(own: GeoBox, area: BaseGeometry) -> GeoBox | None:
    """The pixels of a grid that touch the box of an area; None if there are none."""
    near = shapely.box(*area.bounds) & shapely.box(*own.geographic_extent.boundingbox.bbox)
    if near.is_empty:
        return None
    edges = grid.pixel_box(own, geom.box(*near.bounds, "EPSG:4326"))
    left, top, right, bottom = (round(edge, 3) for edge in edges)
    rows = slice(max(0, math.floor(top)), min(own.shape[0], math.ceil(bottom)))
    columns = slice(max(0, math.floor(left)), min(own.shape[1], math.ceil(right)))
    return grid.crop(own, rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _nodata(source: Any, asset: pystac.Asset) -> float | None:
    """What marks pixels not observed in the copy of a file: its own word, else its Item's, which the copy then states.

    Without it the copy's overviews would be averaged over such pixels.
    """
    own, stated = raster.marker(source), band_fields.nodata(asset, [1])
    if own is not None or stated is None or not raster.can_hold(source.dtypes[0], stated):
        return own
    return stated


def _copy(source: Any, geobox: GeoBox, target: Path, nodata: float | None) -> None:
    offset = ~grid.of_dataset(source).affine @ geobox.affine
    row, column = round(offset.f), round(offset.c)
    palette = source.count == 1 and source.colorinterp[0] == ColorInterp.palette
    bands = raster.data_bands(source)
    with cog.stream_cog(
        target,
        geobox,
        dtype=source.dtypes[0],
        count=len(bands),
        nodata=nodata,
        colours={value: colour[:3] for value, colour in source.colormap(1).items()} if palette else None,
        descriptions=[source.descriptions[band - 1] or "" for band in bands],
    ) as writer:
        for window in grid.windows(geobox, STRIP):
            rows, columns = window.core
            box = ((row + rows.start, row + rows.stop), (column + columns.start, column + columns.stop))
            writer.write(raster.read_marked(source, bands, box, nodata), rows.start, columns.start)


def _asset(asset: pystac.Asset, geobox: GeoBox, dtype: str, nodata: float | None, href: str) -> pystac.Asset:
    copy = asset.clone()
    copy.href, copy.media_type = href, COG
    for field in _WHOLE_FILE:
        copy.extra_fields.pop(field, None)
    copy.extra_fields.update(grid_fields(geobox), data_type=dtype)
    if nodata is not None:
        copy.extra_fields["nodata"] = "nan" if math.isnan(nodata) else nodata
    return copy


def _narrow(item: pystac.Item, boxes: list[BaseGeometry]) -> None:
    """The Item shows no more than what was cut, and its grids are those of its assets."""
    seen = shapely.unary_union(boxes)
    if item.geometry is not None:
        seen = shape(item.geometry).intersection(seen) or seen
    item.geometry, item.bbox = mapping(shapely.orient_polygons(seen)), footprint.bbox(seen)
    for field in ("proj:shape", "proj:transform", "proj:bbox", *_WHOLE_FILE):
        item.properties.pop(field, None)
