"""Units that a map is summed over: areas of a file, the cells of a grid, or H3 cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from mage_stac import vectors
from mage_stac.catalogue import safe_id
from mage_stac.errors import GridError
from mage_stac.overlap import metric, place

MOST = 1_000_000
"""Cells of a grid or of H3: more are no summary."""

OVERLAP = 0.01
"""Share of a unit's area that others may cover: neighbours drawn apart overlap by slivers."""

STEPS = 64
"""Points a side when the map's border is carried to another CRS."""

IDS = ("shapeID", "GID_4", "GID_3", "GID_2", "GID_1", "adm4_pcode", "adm3_pcode", "adm2_pcode", "id", "osm_id", "fid")
NAMES = ("name", "NAME", "shapeName", "NAME_4", "NAME_3", "NAME_2", "NAME_1", "adm3_en", "adm2_en", "adm1_en", "NAM")
"""Columns taken as a unit's id and name, the first that exists (geoBoundaries, GADM, OCHA, OSM)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Units:
    """Polygons that do not overlap, and touch the map."""

    frame: Any
    """GeoDataFrame of `unit_id` and `name` (text) and polygons, in a CRS of metres."""
    kind: str
    """For ids: "grid-100m", "h3-9", "units-<file>"."""
    title: str
    """For people: "cells of 100 m"."""
    cell: float | None = None
    """Metres, of a grid."""


def extent(geobox: GeoBox, crs: str) -> Any:
    """The map's border, densified, in another CRS: a shapely polygon."""
    outline = geobox.extent.geom
    dense = shapely.segmentize(outline, outline.length / 4 / STEPS)
    return gpd.GeoSeries([dense], crs=str(geobox.crs)).to_crs(crs)[0]


def of_file(path: Path, geobox: GeoBox, *, name: str | None = None, layer: str | None = None) -> Units:
    """The polygons of a vector file that touch the map.

    Args:
        path: administrative areas, districts, search sectors ...
        geobox: grid of the map.
        name: column with their names; else one of NAMES, else the id.
        layer: of a file with several.

    Raises:
        AssetError: the file cannot be read.
        GridError: no polygons, none on the map, no such column, or polygons that overlap.
    """
    polygons = vectors.polygons(path, layer=layer)
    if name is not None and name not in polygons:
        raise GridError(f"{path} has no column {name!r}; it has: {', '.join(map(str, polygons.columns))}")
    crs = metric(geobox)
    ids = vectors.ids(polygons, IDS)
    names = next((polygons[key] for key in (name, *NAMES) if key in polygons), ids).fillna("").astype(str)
    shapes = polygons.geometry.make_valid().to_crs(crs)
    border = extent(geobox, crs)
    touching = (shapes.intersection(border).area > 0).to_numpy()
    if not touching.any():
        raise GridError(
            f"none of the {len(shapes)} units of {path} ({place(shapely.box(*shapes.total_bounds), crs)}) lies on the"
            f" map ({place(border, crs)})"
        )
    columns = {"unit_id": ids.to_numpy()[touching], "name": names.to_numpy()[touching]}
    made = gpd.GeoDataFrame(columns, geometry=shapes.to_numpy()[touching], crs=crs)
    _check_apart(made, path)
    return Units(frame=made, kind=f"units-{safe_id(path.stem)}", title=f"units of {path.name}")


def _check_apart(frame: Any, path: Path) -> None:
    """No building may count twice."""
    shapes = frame.geometry.to_numpy()
    first, second = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
    inner, outer = shapely.STRtree(shapes).query(shapes, predicate="within")
    pairs = np.column_stack((np.append(first, inner), np.append(second, outer)))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    shared = shapely.area(shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]]))
    small = np.minimum(shapely.area(shapes[pairs[:, 0]]), shapely.area(shapes[pairs[:, 1]]))
    clash = np.flatnonzero(shared > OVERLAP * small)
    if len(clash):
        one, other = (frame["name"].iloc[i] or frame["unit_id"].iloc[i] for i in pairs[clash[0]])
        raise GridError(f"{path}: units {one!r} and {other!r} overlap: give one level of areas, each place in one unit")


def of_grid(metres: float, geobox: GeoBox) -> Units:
    """Square cells, in the map's CRS if its metre is one, else in UTM; their edges lie on multiples of the size.

    Raises:
        GridError: the size is not positive, or there would be more than MOST cells.
    """
    if not (math.isfinite(metres) and metres > 0):
        raise GridError(f"a grid of {metres} m is none: give a positive size")
    crs = metric(geobox)
    border = extent(geobox, crs)
    edges = np.array(border.bounds) / metres
    (left, bottom), (right, top) = np.floor(edges[:2] + 1e-9), np.ceil(edges[2:] - 1e-9)
    _check_number((right - left) * (top - bottom), f"cells of {metres:g} m")
    x, y = (values.ravel() for values in np.meshgrid(np.arange(left, right), np.arange(top - 1, bottom - 1, -1)))
    cells = shapely.box(x * metres, y * metres, (x + 1) * metres, (y + 1) * metres)
    ids = np.array([f"{column:.0f}_{row:.0f}" for column, row in zip(x, y, strict=True)])
    return Units(frame=_on_map(ids, cells, border, crs), kind=f"grid-{metres:g}m", title=f"cells of {metres:g} m",
                 cell=metres)  # fmt: skip


def of_h3(resolution: int, geobox: GeoBox) -> Units:
    """H3 cells (0 coarsest, 15 finest) that touch the map; their names are H3's indices.

    Raises:
        GridError: no such resolution, or more than MOST cells.
    """
    if not 0 <= resolution <= 15:
        raise GridError(f"H3 has resolutions 0 (4,000,000 km2 a cell) to 15 (1 m2), not {resolution}")
    crs = metric(geobox)
    border = extent(geobox, crs)
    _check_number(border.area / h3.average_hexagon_area(resolution, unit="m^2"), f"H3 cells of resolution {resolution}")
    degrees = extent(geobox, "EPSG:4326")
    inside = set(h3.geo_to_cells(degrees, resolution))
    # Cells whose middle lies outside the map touch it only along its border, so they neighbour one that holds a
    # border point or lies inside.
    step = h3.average_hexagon_edge_length(resolution, unit="m") / 2
    dense = gpd.GeoSeries([shapely.segmentize(border.exterior, step)], crs=crs).to_crs("EPSG:4326")[0]
    inside |= {h3.latlng_to_cell(lat, lon, resolution) for lon, lat in shapely.get_coordinates(dense)}
    names = np.array(sorted({near for cell in inside for near in h3.grid_disk(cell, 1)}))
    cells = gpd.GeoSeries([shapely.Polygon(_ring(cell)) for cell in names], crs="EPSG:4326").to_crs(crs)
    return Units(frame=_on_map(names, cells.to_numpy(), border, crs), kind=f"h3-{resolution}",
                 title=f"H3 cells of resolution {resolution}")  # fmt: skip


def _ring(cell: str) -> NDArray[np.float64]:
    """Corners of an H3 cell as lon, lat; one that crosses the antimeridian goes on beyond 180 degrees."""
    points = np.array(h3.cell_to_boundary(cell))[:, ::-1]
    if np.ptp(points[:, 0]) > 180:
        points[:, 0] %= 360
    return points


def _on_map(ids: NDArray[np.str_], cells: NDArray[Any], border: Any, crs: str) -> Any:
    shapely.prepare(border)
    touching = shapely.intersects(border, cells) & ~shapely.touches(border, cells)
    columns = {"unit_id": ids[touching], "name": ids[touching]}
    return gpd.GeoDataFrame(columns, geometry=cells[touching], crs=crs)


def _check_number(number: float, what: str) -> None:
    if number > MOST:
        raise GridError(f"the map has about {number:,.0f} {what}: choose larger ones, {MOST:,} at most")
