"""Footprints: the outlines of the buildings to be graded, of a file or traced from the damage map."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from odc.geo.geobox import GeoBox

from mage_stac import vectors
from mage_stac.errors import GridError
from mage_stac.grid import of_dataset, pixel_metres
from mage_stac.overlap import moved, place
from mage_stac.products import squaring
from mage_stac.products.zonal import FEWEST
from mage_stac.raster import opened

SMALLEST = 10.0
"""Square metres: an outline found in the map below this is left out, as no house is that small."""

IDS = ("footprint_id", "id", "osm_id", "building_id", "uid", "gml_id", "fid")
"""Columns taken as a footprint's own id, the first that exists."""


def given(path: Path, geobox: GeoBox, layer: str | None = None) -> Any:
    """Footprints that touch a grid, in its CRS: a GeoDataFrame of `footprint_id` (text) and polygons.

    They come from a file, or from `layer` of one that has several.

    Invalid polygons are repaired; the id is the file's (columns IDS) or the feature's number in the file.

    Raises:
        AssetError: the file cannot be read.
        GridError: it holds no polygons, has no CRS, or no footprint touches the grid.
    """
    polygons = vectors.polygons(path, layer=layer)
    ids = vectors.ids(polygons, IDS)
    there = polygons.geometry.make_valid().to_crs(str(geobox.crs))
    touching = there.intersects(geobox.extent.geom)
    if not touching.any():
        raise GridError(
            f"none of the {len(polygons)} footprints of {path} ({place(shapely.box(*there.total_bounds), there.crs)})"
            f" lies on the map ({place(geobox.extent.geom, there.crs)})"
        )
    columns = {"footprint_id": ids[touching].to_numpy()}
    return gpd.GeoDataFrame(columns, geometry=there[touching].to_numpy(), crs=there.crs)


def traced(damage: Path) -> Any:
    """Outlines of what the damage map shows as buildings, whatever their grades: a GeoDataFrame like `given`.

    A building is a group of pixels of classes 1-4 that touch along an edge; its outline is made straight, with right
    angles (`squaring`). Memory grows with the outlines, not with the map.
    """
    with opened(damage) as source:
        grid = of_dataset(source)
    smallest = max(FEWEST, SMALLEST / math.prod(pixel_metres(grid)))
    with rasterio.open(_building_mask(damage, grid)) as mask:
        shapes = rasterio.features.shapes(rasterio.band(mask, 1))
        found = np.array([shapely.geometry.shape(shape) for shape, value in shapes if value], dtype=object)
    pixels = moved(found, ~grid.affine)
    straight = squaring.squared(pixels[shapely.area(pixels) >= smallest])
    columns = {"footprint_id": [None] * len(straight)}
    return gpd.GeoDataFrame(columns, geometry=moved(straight, grid.affine), crs=str(grid.crs))


def _building_mask(damage: Path, grid: GeoBox) -> str:
    """A GDAL virtual raster of one band: 1 where the damage map says 1-4, else 0."""
    rows, columns = grid.shape
    a, b, c, d, e, f = grid.affine[:6]
    return (
        f'<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}"><GeoTransform>{c},{a},{b},{f},{d},{e}</GeoTransform>'
        f'<VRTRasterBand dataType="Byte" band="1"><ComplexSource>'
        f'<SourceFilename relativeToVRT="0">{escape(str(damage.absolute()))}</SourceFilename><SourceBand>1</SourceBand>'
        f"<LUT>0:0,1:1,4:1,5:0</LUT></ComplexSource></VRTRasterBand></VRTDataset>"
    )
