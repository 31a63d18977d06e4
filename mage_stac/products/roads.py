"""Roads: lines of an OSM extract or any vector file as a graph, cut wherever lines share a point."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray

from mage_stac import vectors
from mage_stac.errors import AccessError, AssetError

DRIVEN: dict[str, tuple[float, float]] = {
    "motorway": (100, 11.5), "trunk": (80, 8.5), "primary": (60, 7.4), "secondary": (55, 6.8), "tertiary": (45, 6.2),
    "unclassified": (40, 5.5), "residential": (30, 5.6), "living_street": (10, 4.8), "service": (15, 4.0),
    "track": (15, 2.8), "road": (30, 5.5), "alley": (10, 3.5), "busway": (40, 6.5),
    **{f"{kind}_link": (40, 5.5) for kind in ("motorway", "trunk", "primary", "secondary", "tertiary")},
}  # fmt: skip
"""OSM's `highway` -> free speed in km/h, where no maxspeed is given, and width of the carriageway in metres.

Widths as in scene/highways.py; speeds are what emergency services may count on, below the usual limits.
"""

OTHER = "unclassified"
"""Taken where a file does not say of what kind a road is."""

OSM = (".pbf", ".osm")
_TAGS = ("highway", "name", "oneway", "junction", "maxspeed", "bridge", "tunnel", "access", "ref")
_CONFIGURATION = f"""closed_ways_are_polygons=area
attribute_name_laundering=no
[points]
osm_id=yes
attributes=place,name,population
other_tags=no
[lines]
osm_id=yes
attributes={",".join(_TAGS)}
other_tags=no
[multipolygons]
osm_id=yes
attributes=type
[multilinestrings]
osm_id=yes
attributes=type
[other_relations]
osm_id=yes
attributes=type
"""
"""GDAL's osmconf.ini: a column of every tag that matters here."""

_KINDS = ("highway", "fclass", "road_type", "class", "type")
"""Columns of other files that may hold OSM's kinds of road (Geofabrik and others)."""

TOLERANCE = 0.05
"""Metres within which two points are one."""

SNAP = 250.0
"""Metres from the nearest road beyond which a point is not on the network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roads:
    """A road graph of N nodes and E edges, in metres."""

    crs: str
    nodes: NDArray[np.float64]
    """(N, 2)"""
    tail: NDArray[np.int64]
    """(E,) node where each edge's line begins."""
    head: NDArray[np.int64]
    """(E,) where it ends."""
    metres: NDArray[np.float64]
    """(E,)"""
    speed: NDArray[np.float64]
    """(E,) km/h when free."""
    width: NDArray[np.float64]
    """(E,) carriageway, m."""
    forward: NDArray[np.bool_]
    """(E,) open from tail to head."""
    backward: NDArray[np.bool_]
    bridge: NDArray[np.bool_]
    tunnel: NDArray[np.bool_]
    name: NDArray[Any]
    """(E,) text."""
    kind: NDArray[Any]
    """(E,) OSM's `highway`."""
    lines: NDArray[Any]
    """(E,) shapely LineStrings."""

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(E,) to drive each edge when free; never 0, which a sparse matrix would take for no edge."""
        spent: NDArray[np.float64] = np.maximum(self.metres / (self.speed / 3.6), 1e-3)
        return spent


def read(path: Path, *, layer: str | None = None) -> Any:
    """Drivable lines of a file: a GeoDataFrame of kind, name, oneway, speed, bridge and tunnel, in the file's CRS.

    Raises:
        AssetError: the file cannot be read.
        GridError: it does not say its CRS.
        AccessError: it holds no lines, or none that can be driven on.
    """
    frame = _osm(path) if path.suffix.lower() in OSM else vectors.read(path, layer=layer)
    lines = frame[frame.geom_type.isin(("LineString", "MultiLineString"))].explode(ignore_index=True)
    if lines.empty:
        found = ", ".join(sorted(set(frame.geom_type))) or "no features"
        raise AccessError(f"{path} holds no lines ({found}): give roads, e.g. an .osm.pbf extract")
    column = next((lines[key] for key in _KINDS if key in lines), None)
    known = None if column is None else column.isin(DRIVEN.keys())
    if known is not None and known.any():
        lines = lines[known & ~_text(lines, "access").isin(("no", "private"))]
        kinds = column.loc[lines.index].to_numpy()  # type: ignore[union-attr]
    elif path.suffix.lower() in OSM:
        raise AccessError(f"{path} holds no roads that can be driven on, of kinds such as {', '.join([*DRIVEN][:7])}")
    else:
        kinds = np.full(len(lines), OTHER)
    if not len(lines):
        raise AccessError(f"{path}: every road is closed to the public (access=no or private)")
    columns = {"kind": kinds, "name": _names(lines), "speed": _speeds(lines, kinds), **_directions(lines),
               "bridge": _yes(lines, "bridge"), "tunnel": _yes(lines, "tunnel")}  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=lines.geometry.to_numpy(), crs=lines.crs)


def places(path: Path) -> Any:
    """Settlements of an OSM extract: a GeoDataFrame of name, place, population (NaN if not told) and points.

    Empty for other files.
    """
    empty = gpd.GeoDataFrame({"name": [], "place": [], "population": []}, geometry=[], crs="EPSG:4326")
    if path.suffix.lower() not in OSM:
        return empty
    found = _osm(
        path, "points", "place IN ('city','town','village','hamlet','suburb','neighbourhood','isolated_dwelling')"
    )
    people = _text(found, "population").str.replace(r"[^0-9]", "", regex=True)
    counts = people.where(people != "", "nan").astype(float)
    return gpd.GeoDataFrame(
        {"name": _text(found, "name"), "place": found["place"], "population": counts}, geometry=found.geometry,
        crs=found.crs,
    )  # fmt: skip


def _osm(path: Path, layer: str = "lines", where: str = "highway IS NOT NULL") -> Any:
    if not path.exists():
        raise AssetError(f"{path} does not exist: give an OSM extract or a vector file of roads")
    with tempfile.TemporaryDirectory(prefix="mage-stac-") as folder:
        configuration = Path(folder) / "osmconf.ini"
        configuration.write_text(_CONFIGURATION, "utf-8")
        try:
            return pyogrio.read_dataframe(
                path, layer=layer, where=where, use_arrow=True, CONFIG_FILE=str(configuration)
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
            raise AssetError(f"{path} cannot be read as OSM data: {str(error).splitlines()[0]}") from error


def _text(frame: Any, column: str) -> Any:
    """A column as text, "" where there is nothing or no such column; whole numbers as such: 1, not 1.0."""
    if column not in frame:
        return pd.Series("", index=frame.index)
    # A column of whole numbers that has gaps comes as floats.
    return frame[column].astype(object).where(frame[column].notna(), "").astype(str).str.removesuffix(".0")


def _names(lines: Any) -> NDArray[Any]:
    name, ref = _text(lines, "name"), _text(lines, "ref")
    chosen: NDArray[Any] = name.where(name != "", ref).to_numpy(dtype=object)
    return chosen


def _yes(lines: Any, column: str) -> NDArray[np.bool_]:
    said: NDArray[np.bool_] = (~_text(lines, column).isin(("", "no", "F", "0", "false", "False"))).to_numpy(bool)
    return said


def _speeds(lines: Any, kinds: NDArray[Any]) -> NDArray[np.float64]:
    """km/h: the lower of the limit, where one is given as a number, and what the kind of road allows."""
    usual = np.array([DRIVEN[kind][0] for kind in kinds], np.float64)
    parts = _text(lines, "maxspeed").str.extract(r"^\s*(\d{1,3})\s*(mph)?")
    limit = parts[0].astype(float).to_numpy() * np.where(parts[1].notna(), 1.609344, 1)
    return np.where(limit > 0, np.minimum(limit, usual), usual)


def _directions(lines: Any) -> dict[str, NDArray[np.bool_]]:
    """Which ways are open: OSM's `oneway` (yes, -1), Geofabrik's (F, T); roundabouts and motorways run one way."""
    said = _text(lines, "oneway").str.lower()
    against = said.isin(("-1", "t", "reverse"))
    along = said.isin(("yes", "1", "true", "f")) | (
        said.eq("") & (_text(lines, "junction").eq("roundabout") | _text(lines, "highway").eq("motorway"))
    )
    return {"forward": ~against.to_numpy(bool), "backward": ~along.to_numpy(bool)}


def graph(frame: Any, crs: str, stops: Sequence[tuple[float, float]] = ()) -> tuple[Roads, NDArray[np.int64]]:
    """The graph of some lines, with a node on the nearest road for each stop (lon, lat); and the stops' nodes.

    Lines are joined where they share a vertex, as OSM's do at crossings; a bridge that only crosses over shares none.

    Raises:
        AccessError: a stop is farther than SNAP from any road, or the roads have no length.
    """
    lines = shapely.force_2d(frame.geometry.to_crs(crs).to_numpy())
    points = gpd.GeoSeries.from_xy([x for x, _ in stops], [y for _, y in stops], crs="EPSG:4326").to_crs(crs)
    lines, snapped = _with_stops(lines, points.to_numpy(), stops)
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    # Only a vertex in the same place as the one before goes: without one that is merely near, a crossing would be lost.
    moved = np.append(True, (np.diff(owner) != 0) | (np.diff(_key(xy)) != 0))
    xy, owner = xy[moved], owner[moved]
    keys, place = np.unique(_key(np.concatenate([xy, snapped])), return_inverse=True)
    place, own = place[: len(xy)], place[len(xy) :]
    isnode = np.bincount(place, minlength=len(keys)) > 1
    isnode[own] = True
    cut = isnode[place]
    change = np.flatnonzero(np.diff(owner)) + 1
    cut[np.concatenate([[0], change, change - 1, [len(cut) - 1]])] = True
    at = np.flatnonzero(cut)
    first, last = at[:-1], at[1:]
    whole = owner[first] == owner[last]
    first, last = first[whole], last[whole]
    if not len(first):
        raise AccessError("the roads have no length: give lines of at least two points")
    used, ends = np.unique(np.concatenate([place[first], place[last], own]), return_inverse=True)
    nodes = np.zeros((len(used), 2))
    nodes[ends[: 2 * len(first)]] = np.concatenate([xy[first], xy[last]])
    travelled = np.append(0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T)))
    way = owner[first]
    kinds = frame["kind"].to_numpy()[way]
    edges = Roads(
        crs=crs, nodes=nodes, tail=ends[: len(first)], head=ends[len(first) : 2 * len(first)],
        metres=travelled[last] - travelled[first], width=np.array([DRIVEN[kind][1] for kind in kinds]),
        kind=kinds, lines=_pieces(xy, first, last),
        **{key: frame[key].to_numpy()[way] for key in ("speed", "forward", "backward", "bridge", "tunnel", "name")},
    )  # fmt: skip
    return edges, ends[2 * len(first) :]


def _key(xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """One integer a place, the same for points that round to the same TOLERANCE."""
    x, y = np.rint(xy / TOLERANCE).astype(np.int64).T
    keys: NDArray[np.int64] = (x << 31) + y
    return keys


def _pieces(xy: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[Any]:
    """LineStrings of the vertices first..last of each edge."""
    sizes = last - first + 1
    starts = np.repeat(first - np.append(0, np.cumsum(sizes)[:-1]), sizes)
    made: NDArray[Any] = shapely.linestrings(
        xy[starts + np.arange(sizes.sum())], indices=np.repeat(np.arange(len(first)), sizes)
    )
    return made


def _with_stops(
    lines: NDArray[Any], points: NDArray[Any], stops: Sequence[tuple[float, float]]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The lines with a vertex at the point nearest to each stop, and those points (n, 2)."""
    lines, snapped = lines.copy(), np.zeros((len(stops), 2))
    tree = shapely.STRtree(lines)
    for number, (point, (lon, lat)) in enumerate(zip(points, stops, strict=True)):
        nearest = tree.nearest(point) if np.isfinite(shapely.get_coordinates(point)).all() else None
        if nearest is None or shapely.distance(point, lines[nearest]) > SNAP:
            away = "" if nearest is None else f": the nearest is {shapely.distance(point, lines[nearest]):,.0f} m away"
            raise AccessError(f"no road within {SNAP:.0f} m of {lon},{lat}{away}; points are LON,LAT in degrees")
        along = shapely.line_locate_point(lines[nearest], point)
        vertices = shapely.get_coordinates(lines[nearest])
        reached = np.append(0, np.cumsum(np.hypot(*np.diff(vertices, axis=0).T)))
        snapped[number] = shapely.get_coordinates(shapely.line_interpolate_point(lines[nearest], along))[0]
        lines[nearest] = shapely.LineString(
            np.insert(vertices, np.searchsorted(reached, along), snapped[number], axis=0)
        )
    return lines, snapped
