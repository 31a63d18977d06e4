"""Reading vector files of any format that GDAL or GeoParquet knows, with errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from pyarrow import ArrowException

from mage_stac import archives
from mage_stac.errors import AssetError, GridError

PARQUET = (".parquet", ".geoparquet")

SUFFIXES = (*PARQUET, ".geojson", ".geojsonl", ".gpkg", ".shp", ".fgb", ".zip", ".kml", ".gml", ".gdb")
"""Names that end like this are vector files; `.json` may be GeoJSON or STAC."""

NO_GEOMETRIES = "has no geometries: give a file of points, lines or polygons"


def read(path: Path, *, layer: str | None = None) -> Any:
    """A vector file as a GeoDataFrame: features without a geometry are left out, the others keep their order and index.

    `layer` chooses one layer of a file that has several; shapefiles may stay in their zip archive.

    Raises:
        AssetError: no such file, not a vector file, a zip bomb, no such layer, or several and none chosen.
        GridError: the file does not say its CRS.
    """
    if not path.exists():
        raise AssetError(f"{path} does not exist: give a vector file")
    archives.checked(path)
    try:
        if path.suffix.lower() in PARQUET:
            frame = gpd.read_parquet(path)
        else:
            frame = gpd.read_file(path, layer=_layer(path, layer), engine="pyogrio")
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        ArrowException,
        ValueError,
        OSError,
    ) as error:
        why = str(error).splitlines()[0].partition(".;")[0]  # what follows is advice for GDAL's own tools
        raise AssetError(f"{path} cannot be read as a vector file: {why}") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise AssetError(f"{path} {NO_GEOMETRIES}")
    if frame.crs is None:
        raise GridError(f"{path} does not say its CRS: set it, e.g. with ogr2ogr -a_srs EPSG:4326")
    return frame[~(frame.geometry.isna() | frame.geometry.is_empty)]


def polygons(path: Path, *, layer: str | None = None) -> Any:
    """The polygons of a vector file; see `read`.

    Raises:
        AssetError: as `read`.
        GridError: the file does not say its CRS, or holds no polygons.
    """
    frame = read(path, layer=layer)
    found = frame[frame.geom_type.isin(("Polygon", "MultiPolygon"))]
    if found.empty:
        raise GridError(f"{path} holds no polygons ({', '.join(sorted(set(frame.geom_type))) or 'no features'})")
    return found


def ids(frame: Any, columns: Sequence[str]) -> Any:
    """The features' ids as text: of the first of some columns that there is, else their numbers in the file."""
    return next((frame[name] for name in columns if name in frame), frame.index.to_series()).astype(str)


def _layer(path: Path, wanted: str | None) -> str:
    layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if not layers:
        raise AssetError(f"{path} {NO_GEOMETRIES}")
    if wanted in layers or (wanted is None and len(layers) == 1):
        return wanted or layers[0]
    if wanted is not None:
        raise AssetError(f"{path} has no layer {wanted!r}; it has: {', '.join(layers)}")
    raise AssetError(f"{path} has {len(layers)} layers: choose one of {', '.join(layers)} with --layer")
