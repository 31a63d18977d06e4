"""Access: which roads are still open after a disaster, the ways that remain, who is cut off, what to clear first."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mage_stac import catalogue, grid
from mage_stac.errors import AccessError
from mage_stac.overlap import metric
from mage_stac.products import access_files, areas, derived, isochrones, obstruction, roadmap, roads, routing
from mage_stac.products.access_files import Findings
from mage_stac.products.obstruction import Condition
from mage_stac.products.roads import Roads
from mage_stac.products.routing import Network, Reach, Repair

COLLECTION = "access"
TEMPLATE = {
    "title": "Access by road",
    "description": "Roads that a damage map closes or slows, routes, reach and what is cut off; not checked on site.",
    "license": "other",
    "keywords": ["roads", "routes", "access", "damage"],
    "providers": [{"name": "mage-stac", "roles": ["processor"]}],
}
ODBL = {
    "name": "OpenStreetMap contributors (ODbL 1.0)",
    "roles": ["producer"],
    "url": "https://www.openstreetmap.org/copyright",
}

NEAR = 200.0
"""Metres from a building to the node of the network that serves it; farther ones are not counted."""

WIDE = {"city": 3000.0, "town": 1500.0, "village": 800.0}
"""Metres around the point of a settlement in which its people live, by OSM's `place`. A judgement."""
SMALL = 300.0
"""Metres around any other."""

SMALL_PART = 0.5
"""Share of the network that must be left to the starts; with less, they are what is cut off."""

LOG = logging.getLogger(__name__)

Point = tuple[float, float]
"""Longitude, latitude in degrees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How access is judged."""

    minutes: tuple[float, ...] = (5.0, 10.0, 15.0, 30.0)
    """Bounds of the isochrones."""
    spread: float = obstruction.REACH
    """Metres that debris reaches beyond a collapsed building."""
    ford: float = obstruction.FORD
    """Metres of water that close a road."""
    layer: str | None = None
    """Layer of the roads' file."""
    water: Path | None = None
    """Raster of flood depths in metres."""


def access(
    prediction: Path,
    files: Path,
    origins: Sequence[Point],
    targets: Sequence[Point],
    out: Path | None = None,
    *,
    options: Options | None = None,
) -> Path:
    """Judge the roads by a damage map and write what follows as an Item `<prediction>-access-<digest>`; its folder.

    Args:
        prediction: Item as `predict` writes it.
        files: roads: an OSM extract or any vector file of lines.
        origins: where rescuers start; the nearest by time serves each target.
        targets: where they must go.
        out: catalogue to write to; that of the prediction unless given.
        options: how to judge.

    Raises:
        AccessError: no roads, a point far from them, or a target that even undamaged roads do not reach.
        AssetError, GridError: the roads or the prediction cannot be read.
        CatalogueError: no such Item, it lies in no catalogue, or `out` cannot be written.
    """
    chosen = options or Options()
    _check(origins, targets)
    item = catalogue.read_item(prediction)
    root = out or derived.root_of(item)
    found = findings(item, files, origins, targets, chosen)
    name = f"{item.id}-access-{_digest(files, origins, targets, chosen)}"
    with catalogue.staged(root, COLLECTION, name) as folder:
        access_files.write(folder, found)
        stops = (origins, targets)
        roadmap.draw(folder / "thumbnail.png", found.roads, found.condition, _shown(found, item), stops)
        catalogue.write_item(folder, _item(name, item, files, found, chosen))
    derived.index(root, COLLECTION, TEMPLATE)
    return root / COLLECTION / name


def _check(origins: Sequence[Point], targets: Sequence[Point]) -> None:
    if not origins:
        raise AccessError("no place to start from: give --from LON,LAT")
    for lon, lat in (*origins, *targets):
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise AccessError(f"{lon},{lat} is no place on the globe: points are LON,LAT in degrees")


def findings(
    item: pystac.Item, files: Path, origins: Sequence[Point], targets: Sequence[Point], options: Options
) -> Findings:
    """All that `access` writes; see there."""
    frame = roads.read(files, layer=options.layer)
    damage = areas.damage_of(item)
    crs = metric(grid.of_raster(damage))
    made, stops = roads.graph(frame, crs, [*origins, *targets])
    graded = areas.graded_of(item)
    condition = obstruction.assess(made, graded, damage, options.water, spread=options.spread, ford=options.ford)
    starts, ends = stops[: len(origins)], stops[len(origins) :]
    before = routing.reach(routing.network(made, made.seconds), starts)
    for end, (lon, lat) in zip(ends, targets, strict=True):
        if not np.isfinite(before.seconds[end]):
            raise AccessError(
                f"no road leads from {_words(origins)} to {lon},{lat} even without damage: the two lie on separate"
                f" parts of the network in {files}"
            )
    net = routing.network(made, condition.seconds)
    after = routing.reach(net, starts)
    settled = roads.places(files).to_crs(crs)
    weights = _weights(made, graded, settled)
    closed = ~np.isfinite(condition.seconds)
    _warn_of_starts_cut_off(made, closed, starts, origins)
    return Findings(
        roads=made,
        condition=condition,
        routes=_routes(made, net, (before, after), ends, targets),
        isochrones=isochrones.isochrones(made, condition.seconds, after, options.minutes),
        isolated=_isolated(made, closed, starts, weights, settled),
        repairs=_repairs(made, condition, routing.repairs(made, closed, starts, weights)),
        places=settled,
    )


def _warn_of_starts_cut_off(
    made: Roads, closed: NDArray[np.bool_], starts: NDArray[np.int64], origins: Sequence[Point]
) -> None:
    """Say so where closures leave a start less than half of its network: it is then the start that is cut off."""
    whole, left = (routing.components(made, edges) for edges in (np.ones(len(closed), bool), ~closed))
    reached, before = np.isin(left, left[starts]), np.isin(whole, whole[starts])
    if np.count_nonzero(reached) < SMALL_PART * np.count_nonzero(before):
        LOG.warning(
            "closed roads cut off %s itself: %d of the %d junctions reached before are left, and all else is told as"
            " isolated; start on the other side",
            _words(origins), np.count_nonzero(reached), np.count_nonzero(before),
        )  # fmt: skip


def _words(points: Sequence[Point]) -> str:
    return " or ".join(f"{lon},{lat}" for lon, lat in points)


def _served(made: Roads, points: Any) -> NDArray[np.int64]:
    """Node nearest to each point of a GeoSeries, -1 where none is NEAR."""
    if not len(points):
        return np.zeros(0, np.int64)
    apart, node = cKDTree(made.nodes).query(shapely.get_coordinates(points.to_crs(made.crs).to_numpy()))
    return np.where(apart <= NEAR, node, -1)


def _homes(made: Roads, settled: Any) -> list[NDArray[np.int64]]:
    """Nodes among which the people of each settlement are spread evenly."""
    if not len(settled):
        return []
    radii = settled["place"].map(WIDE).fillna(SMALL).to_numpy(np.float64)
    found = cKDTree(made.nodes).query_ball_point(shapely.get_coordinates(settled.geometry.to_numpy()), radii)
    return [np.array(nodes, np.int64) for nodes in found]


def _weights(made: Roads, graded: Any, settled: Any) -> dict[str, NDArray[np.float64]]:
    """What hangs on each node, the most telling first: inhabitants of places, buildings of the map, nodes."""
    size = len(made.nodes)
    home = _served(made, graded.geometry.representative_point())
    people = np.zeros(size)
    for count, around in zip(settled["population"].fillna(0), _homes(made, settled), strict=True):
        people[around] += count / max(len(around), 1)
    return {
        "people": people,
        "buildings": np.bincount(home[home >= 0], minlength=size).astype(float),
        "nodes": np.ones(size),
    }


def _routes(
    made: Roads, net: Network, reaches: tuple[Reach, Reach], ends: NDArray[np.int64], targets: Sequence[Point]
) -> Any:
    """A row for each target; without a geometry and minutes where it is cut off."""
    before, after = reaches
    rows, lines = [], []
    for end, (lon, lat) in zip(ends, targets, strict=True):
        open_ = bool(np.isfinite(after.seconds[end]))
        edges, nodes = routing.way(net, after, int(end)) if open_ else ([], [])
        lines.append(_line(made, edges, nodes) if open_ else None)
        rows.append({
            "target": f"{lon},{lat}",
            "reachable": open_,
            "minutes": round(float(after.seconds[end]) / 60, 2) if open_ else None,
            "minutes_before": round(float(before.seconds[end]) / 60, 2),
            "km": round(float(made.metres[edges].sum()) / 1000, 3) if open_ else None,
            "roads": " > ".join(name for name, _ in groupby(str(made.name[e]) for e in edges if made.name[e])),
        })  # fmt: skip
    columns = ("target", "reachable", "minutes", "minutes_before", "km", "roads")
    return gpd.GeoDataFrame({key: [row[key] for row in rows] for key in columns}, geometry=lines, crs=made.crs)


def _line(made: Roads, edges: Sequence[int], nodes: Sequence[int]) -> Any:
    """One line along edges, each turned so that it starts at its node; of no length where there are no edges."""
    steps = zip(edges, nodes[:-1], strict=True)
    turned = [
        made.lines[edge] if made.tail[edge] == node else shapely.reverse(made.lines[edge]) for edge, node in steps
    ]
    points = np.concatenate([made.nodes[nodes[:1]], *(shapely.get_coordinates(line) for line in turned)])
    apart = np.append(True, np.any(np.diff(points, axis=0) != 0, axis=1))
    points = points[apart]
    return shapely.LineString(points if len(points) > 1 else np.repeat(points, 2, axis=0))


def _isolated(
    made: Roads, closed: NDArray[np.bool_], starts: NDArray[np.int64], weights: dict[str, Any], settled: Any
) -> Any:
    """A row for each part of the network that closures cut off from all starts, the one with most people first."""
    whole = routing.components(made, np.ones(len(closed), bool))
    left = routing.components(made, ~closed)
    cut = np.isin(whole, whole[starts]) & ~np.isin(left, left[starts])
    parts, where = np.unique(left[cut], return_inverse=True)
    sums = {key: np.bincount(where, weights=weight[cut], minlength=len(parts)) for key, weight in weights.items()}
    number = np.full(len(made.nodes), -1)
    number[cut] = where
    town_part = np.array([_mostly(number[around]) for around in _homes(made, settled)], int)
    inside = ~closed & (number[made.tail] >= 0)
    metres = np.bincount(number[made.tail[inside]], weights=made.metres[inside], minlength=len(parts))
    hulls = [
        shapely.MultiPoint(made.nodes[number == part]).convex_hull.buffer(isochrones.CELL) for part in range(len(parts))
    ]
    names = [
        "; ".join(str(name) for name in settled["name"].to_numpy()[town_part == part]) for part in range(len(parts))
    ]
    table = gpd.GeoDataFrame(
        {"nodes": sums["nodes"].astype(int), "buildings": sums["buildings"].astype(int),
         "people": sums["people"].round().astype(int), "km": (metres / 1000).round(3), "places": names},
        geometry=hulls, crs=made.crs,
    )  # fmt: skip
    return table.sort_values(["people", "buildings", "nodes"], ascending=False).reset_index(drop=True)


def _mostly(parts: NDArray[np.int64]) -> int:
    """The part that more than half lie in, -1 for none or what is not cut off."""
    values, counts = np.unique(parts, return_counts=True)
    return int(values[counts.argmax()]) if len(parts) and counts.max() > len(parts) / 2 else -1


def _repairs(made: Roads, condition: Condition, plan: Sequence[Repair]) -> Any:
    edges = [step.edge for step in plan]
    return gpd.GeoDataFrame(
        {
            "order": range(1, len(plan) + 1),
            "name": made.name[edges],
            "cause": condition.cause[edges],
            "closed": condition.closed[edges],
            **{
                f"reconnects_{key}": [round(step.gain[key]) for step in plan]
                for key in ("people", "buildings", "nodes")
            },
        },
        geometry=made.lines[edges],
        crs=made.crs,
    )


def _shown(found: Findings, item: pystac.Item) -> tuple[Any, Any]:
    """What the picture shows besides roads: the map's extent (roads' CRS), and the routes."""
    extent = gpd.GeoSeries([shapely.geometry.shape(item.geometry or {})], crs="EPSG:4326").to_crs(found.roads.crs)[0]
    return extent, found.routes.geometry.dropna()


def _digest(files: Path, origins: Sequence[Point], targets: Sequence[Point], options: Options) -> str:
    """Six hex digits that stand for the question asked."""
    text = json.dumps([files.name, list(origins), list(targets), asdict(options)], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _item(name: str, prediction: pystac.Item, files: Path, found: Findings, options: Options) -> pystac.Item:
    water = f" and water of {options.water.name}" if options.water else ""
    return derived.item(
        name, prediction, COLLECTION,
        words={
            "title": "Access by road",
            "description": f"Roads of {files.name} as damage of {prediction.id}{water} leaves them; not checked.",
            "lineage": (
                f"An edge is closed where debris, {options.spread:g} m around buildings of {prediction.id}, or water of"
                f" {options.ford:g} m closes it with probability {obstruction.SURE} or more; ways by Dijkstra"
            ),
        },
        fields={
            "mage:access": found.told,
            **({"providers": [ODBL]} if files.suffix.lower() in roads.OSM else {}),
        },
        assets=access_files.assets(found),
    )  # fmt: skip
