"""Reading: the features of vector files, lot by lot, so that memory does not grow with the file."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray
from pyarrow import ArrowException
from pyogrio.errors import CRSError, DataLayerError, DataSourceError
from pyproj import CRS

from mage_stac.errors import PlaceError
from mage_stac.scene import cityjson, columns, features, footprints, site
from mage_stac.scene.columns import NUMBERS, WORDS, Layer, Role, Table
from mage_stac.scene.features import Features, Geometries
from mage_stac.scene.site import LONLAT, Bounds, Site
from mage_stac.scene.sources import Source

BATCH = 20_000
"""Features in memory at a time while a file is read."""
OSM_AREAS = (
    "aeroway,amenity,area:highway,boundary,building,building:part,craft,geological,golf,historic,landuse,leisure,"
    "man_made,military,natural,office,place,shop,sport,tourism,highway=platform,public_transport=platform"
)
"""Closed ways with one of these keys are areas: GDAL's own list and a few more."""
NEAR = 200.0
"""Spot heights so far outside a site still tell its relief, m."""
OSM_LAYERS = ("points", "lines", "multipolygons", "multilinestrings", "other_relations")

SHAPES: dict[Role, set[int]] = {
    "building": {3, 6},
    "area": {3, 6},
    "line": {1, 2, 5},
    "tree": {0},
    "contour": {0, 1, 4, 5},
}
"""GEOS types that can be a role: 0 point, 1 line, 2 ring, 3 polygon, 4 to 6 several of them."""

Lot = tuple[pd.DataFrame, Geometries]


def stream(source: Source, at: Site, roles: Sequence[Role]) -> Iterator[Features]:
    """The features of `roles` that touch the site, in its CRS, in lots of at most BATCH.

    Raises:
        PlaceError: the file has no CRS, or coordinates that are none of its CRS; lacks a column that the user's map
            names; or is damaged.
    """
    if source.driver == "CityJSON":
        yield from _city(source, at, roles)
        return
    for name, fields in source.layers.items():
        for layer in source.columns.layer(name, source.layers):
            if layer.role in roles:
                if source.own:
                    columns.require(layer, fields, f"{source.label}, layer {name},")
                yield from _layer(source, name, layer, at)


def _layer(source: Source, name: str, layer: Layer, at: Site) -> Iterator[Features]:
    crs = crs_of(source, name)
    box = site.change_bounds(at.bounds, at.crs, crs)
    try:
        lots = _parquet(source, layer) if source.driver == "Parquet" else _ogr(source, name, layer, box)
        for frame, geometry in lots:
            found = _features(frame, geometry, crs, layer, at)
            if len(found):
                yield found
    except (DataSourceError, DataLayerError, ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise PlaceError(f"{source.label} cannot be read to its end ({first}): it is damaged") from error
    except NotImplementedError as error:  # shapely's of what GEOS has no functions for
        raise PlaceError(
            f"{source.label}, layer {name}, holds curves: make them lines (ogr2ogr -nlt CONVERT_TO_LINEAR)"
        ) from error


def _features(frame: pd.DataFrame, geometry: Geometries, crs: CRS, layer: Layer, at: Site) -> Features:
    if layer.role in {"building", "area"}:
        geometry = footprints.areas(geometry)
    there = ~shapely.is_empty(geometry) & np.isin(shapely.get_type_id(geometry), list(SHAPES[layer.role]))
    frame, geometry = frame[there], geometry[there]
    table = columns.translate(frame, layer)
    bare = table.ids == ""
    table.ids[bare] = [features.of_shape(shape) for shape in geometry[bare]]
    moved = site.project(geometry, crs, at.crs)
    near = table.kept & shapely.intersects(moved, shapely.box(*at.bounds))
    return Features(role=layer.role, geometry=moved, table=table).pick(near)


def crs_of(source: Source, name: str) -> CRS:
    """The CRS of a layer, or the one that the source's map gives to files of its kind.

    Raises:
        PlaceError: the layer has none and its map gives none, or its coordinates are no degrees though it says so.
    """
    if source.driver == "Parquet":
        return _parquet_crs(source)
    if source.driver == "OSM":
        return LONLAT
    try:
        info = pyogrio.read_info(source.path, layer=name)
        crs = CRS.from_user_input(info["crs"] or source.columns.crs) if info["crs"] or source.columns.crs else None
    except CRSError as error:
        raise PlaceError(f"{source.label} has a CRS that PROJ does not know ({error})") from error
    if crs is None:
        raise PlaceError(
            f"{source.label} has no CRS: assign it (ogr2ogr -a_srs EPSG:...), or set crs in a columns map for it"
        )
    bounds = info["total_bounds"]
    if crs.is_geographic and bounds is not None and max(abs(value) for value in bounds) > 361:
        raise PlaceError(
            f"{source.label} says that it is in degrees, but has coordinates such as {bounds[0]:.0f} {bounds[1]:.0f}: "
            "write its true CRS into it (ogr2ogr -a_srs EPSG:...)"
        )
    return crs


def _ogr(source: Source, name: str, layer: Layer, box: Bounds) -> Iterator[Lot]:
    asked = list(layer.columns if source.driver == "OSM" else columns.present(layer, source.layers[name]))
    with _options(source) as options, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's on broken rings: they are mended or left out later
        lots = pyogrio.open_arrow(
            source.path, layer=name, columns=asked, batch_size=BATCH, use_pyarrow=True, **_within(box), **options
        )
        with lots as (meta, reader):
            for lot in reader:
                frame = lot.to_pandas()
                shapes = frame.pop(meta["geometry_name"] or "wkb_geometry").to_numpy(dtype=object)
                yield frame, shapely.from_wkb(shapes, on_invalid="fix")


def _within(box: Bounds) -> dict[str, object]:
    """What pyogrio is told of a box, which is two where it crosses the antimeridian."""
    west, south, east, north = box
    if west <= east:
        return {"bbox": box}
    return {
        "mask": shapely.MultiPolygon([shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north)])
    }


@contextmanager
def _options(source: Source) -> Iterator[dict[str, str]]:
    """Open options of the source's driver; the file that OSM's needs lives as long as this context."""
    if source.driver != "OSM":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="mage-stac-") as folder:
        file = Path(folder) / "osmconf.ini"
        file.write_text(osm_configuration(source.columns), encoding="utf-8")
        yield {"CONFIG_FILE": str(file)}


def osm_configuration(of: columns.Columns) -> str:
    """GDAL's osmconf.ini that makes a column of every tag that the map asks for."""
    lines = [f"closed_ways_are_polygons={OSM_AREAS}", "attribute_name_laundering=no"]
    for name in OSM_LAYERS:
        tags = {column for layer in of.layer(name) for column in layer.columns} - {"osm_id", "osm_way_id"}
        lines += [f"[{name}]", "osm_id=yes", f"attributes={','.join(sorted(tags or {'type'}))}", "other_tags=no"]
    return "\n".join(lines) + "\n"


def _parquet(source: Source, layer: Layer) -> Iterator[Lot]:
    with pq.ParquetFile(source.path) as file:
        key = str(_geo(source)["primary_column"])
        asked = [*columns.present(layer, file.schema_arrow.names), key]
        for group in range(file.num_row_groups):
            # geopandas reads whole files only: each group of rows is one for it. It knows all geometry encodings.
            buffer = BytesIO()
            pq.write_table(file.read_row_group(group, columns=list(dict.fromkeys(asked))), buffer)
            frame = gpd.read_parquet(buffer)
            for start in range(0, len(frame), BATCH):
                lot = frame.iloc[start : start + BATCH]
                yield pd.DataFrame(lot.drop(columns=key)), lot.geometry.to_numpy()


def _geo(source: Source) -> dict[str, object]:
    meta = pq.read_schema(source.path).metadata or {}
    if b"geo" not in meta:
        raise PlaceError(
            f"{source.label} is Parquet without geometry: give GeoParquet (geopandas' to_parquet writes it)"
        )
    found: dict[str, object] = json.loads(meta[b"geo"])
    return found


def _parquet_crs(source: Source) -> CRS:
    geo = _geo(source)
    described = geo["columns"][str(geo["primary_column"])]  # type: ignore[index]
    if "crs" not in described:
        return LONLAT  # what the GeoParquet specification says of a missing member
    if described["crs"] is None:
        raise PlaceError(f"{source.label} has no CRS: write it anew with one (geopandas' set_crs)")
    return CRS.from_user_input(described["crs"])


def _city(source: Source, at: Site, roles: Sequence[Role]) -> Iterator[Features]:
    city, vertices = _city_in(source, at.crs)
    box = shapely.box(*at.bounds)
    if "contour" in roles:
        points = cityjson.spots(city, vertices)
        shapes = site.points(points[shapely.contains_xy(box.buffer(NEAR), points[:, :2])])
        yield Features(role="contour", geometry=shapes, table=blank(len(shapes)))
    for layer in source.columns.layers:
        if layer.role in roles:
            objects = cityjson.of_type(city, layer.name, vertices)
            if len(objects.outlines):
                if source.own:
                    columns.require(layer, [str(name) for name in objects.attributes], f"{source.label}, {layer.name},")
                table = columns.translate(objects.attributes, layer)
                found = Features(role=layer.role, geometry=objects.outlines, table=table, faces=objects.faces)
                yield found.pick(table.kept & shapely.intersects(objects.outlines, box))


def _city_in(source: Source, crs: CRS) -> tuple[cityjson.City, NDArray[np.float64]]:
    """A city model, and its vertices in another CRS; heights stay."""
    city = cityjson.read(source.path, source.label)
    own = city.crs or (CRS.from_user_input(source.columns.crs) if source.columns.crs else None)
    if own is None:
        raise PlaceError(
            f"{source.label} has no CRS: set metadata.referenceSystem in it, or crs in a columns map for it"
        )
    plan = site.project(site.points(city.vertices), own, crs)
    return city, shapely.get_coordinates(plan, include_z=True)


def blank(count: int) -> Table:
    """Columns of features of which nothing is known."""
    words = {name: np.full(count, "", dtype=object) for name in WORDS}
    return Table(
        ids=np.full(count, "", dtype=object),
        numbers={name: np.full(count, np.nan) for name in NUMBERS},
        words=words,
        kept=np.ones(count, dtype=bool),
    )


def extent(source: Source, role: Role) -> Bounds | None:
    """Longitudes and latitudes within which the source has features of a role; None if it has none.

    Raises:
        PlaceError: as `stream`.
    """
    if source.driver == "CityJSON":
        _, vertices = _city_in(source, LONLAT)
        return _bounds(np.concatenate([vertices[:, :2].min(axis=0), vertices[:, :2].max(axis=0)]))
    found = []
    for name in source.layers:
        if any(layer.role == role for layer in source.columns.layer(name, source.layers)):
            crs = crs_of(source, name)
            bounds = _layer_bounds(source, name)
            if bounds is not None and np.isfinite(bounds).all():
                near = _nearest(source, name, bounds) if crs.is_geographic else bounds
                found.append(site.change_bounds(near, crs, LONLAT))
    return site.joined(found) if found else None


def _bounds(values: NDArray[np.float64]) -> Bounds:
    west, south, east, north = (float(value) for value in values)
    return west, south, east, north


def _nearest(source: Source, name: str, bounds: Bounds) -> Bounds:
    """Bounds in degrees, across the antimeridian where the features lie nearer to one another there."""
    if bounds[2] - bounds[0] <= 180.0:
        return bounds
    if source.driver == "Parquet":
        each = np.concatenate([shapely.bounds(lot) for _, lot in _parquet(source, Layer(role="building"))])
    else:
        each = pyogrio.read_bounds(source.path, layer=name)[1].T
    east, west = each[each[:, 0] >= 0.0, 0], each[each[:, 2] < 0.0, 2]
    if not len(east) or not len(west) or east.min() - west.max() <= 180.0:
        return bounds
    return float(east.min()), bounds[1], float(west.max()), bounds[3]


def _layer_bounds(source: Source, name: str) -> Bounds | None:
    if source.driver == "Parquet":
        geo = _geo(source)
        known = geo["columns"][str(geo["primary_column"])].get("bbox")  # type: ignore[index]
        if known:
            return _bounds(np.array([*known[:2], *known[len(known) // 2 :][:2]]))
        lots = [shapely.total_bounds(shapes) for _, shapes in _parquet(source, Layer(role="building"))]
        corners = np.array(lots).reshape(-1, 4)
        return _bounds(np.concatenate([np.nanmin(corners[:, :2], axis=0), np.nanmax(corners[:, 2:], axis=0)]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # as in _ogr
        bounds = pyogrio.read_info(source.path, layer=name, force_total_bounds=True)["total_bounds"]
    return None if bounds is None else _bounds(np.array(bounds))
