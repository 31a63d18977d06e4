"""The files of an access Item: every road with its state, what is closed, routes, reach, who is cut off, repairs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import shapely

from mage_stac import publish
from mage_stac.cog import writing
from mage_stac.products import obstruction, tables
from mage_stac.products.obstruction import Condition
from mage_stac.products.roads import Roads


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that goes into the files. Frames are in the roads' CRS."""

    roads: Roads
    condition: Condition
    routes: Any
    isochrones: Any
    isolated: Any
    repairs: Any
    places: Any

    @property
    def told(self) -> dict[str, Any]:
        """The summary of the Item's properties."""
        states, metres = self.condition.state, self.roads.metres
        return {
            "edges": len(metres),
            **{f"{state}_km": round(float(metres[states == state].sum()) / 1000, 2) for state in obstruction.STATES},
            "closed_edges": int((states == "closed").sum()),
            "routes": [
                {key: row[key] for key in ("target", "minutes", "minutes_before", "km")}
                for row in json.loads(self.routes.drop(columns="geometry").to_json(orient="records"))
            ],
            "isolated_buildings": int(self.isolated["buildings"].sum()),
            "isolated_nodes": int(self.isolated["nodes"].sum()),
            "isolated_places": [name for names in self.isolated["places"] for name in names.split("; ") if name],
        }


def edges(found: Findings) -> Any:
    """Every edge with its state: a GeoDataFrame in the roads' CRS."""
    made, now = found.roads, found.condition
    return gpd.GeoDataFrame(
        {
            "name": made.name, "kind": made.kind, "state": now.state, "confidence": now.confidence, "cause": now.cause,
            "closed": now.closed, "depth": now.depth, "observed": now.observed, "metres": made.metres.round(1),
            "seconds": np.where(np.isfinite(now.seconds), now.seconds, np.nan).round(1),
            "seconds_before": made.seconds.round(1),
        },
        geometry=made.lines, crs=made.crs,
    )  # fmt: skip


COLUMNS = {
    "name": "Name or number of the road",
    "kind": "Kind of road, as OSM's highway",
    "state": "open, slowed, closed or not-observed (passable as far as is known, but not seen)",
    "confidence": "Probability that the state is right, 0..1; null where not observed",
    "cause": "debris, water or nothing",
    "closed": "Probability that no vehicle passes, 0..1",
    "depth": "Deepest water on it, m; null where none is known",
    "observed": "Share of it that the damage map observed, 0..1",
    "metres": "Length",
    "seconds": "To drive it now; null where closed",
    "seconds_before": "To drive it undamaged",
    "geometry": "From crossing to crossing",
}
"""Columns of roads.parquet."""


def write(folder: Path, found: Findings) -> None:
    """Write roads.parquet, closures, routes, isochrones, isolated and repairs as GeoJSON, and routes.gpx.

    Raises:
        CatalogueError: the disk refuses.
    """
    table = edges(found)
    tables.write(folder / "roads.parquet", table)
    frames = {
        "closures": table[table["state"].isin(("closed", "slowed"))], "routes": found.routes,
        "isochrones": found.isochrones, "isolated": found.isolated, "repairs": found.repairs,
    }  # fmt: skip
    for name, frame in frames.items():
        path = folder / f"{name}.geojson"
        with writing(path):
            path.write_text(_degrees(frame).to_json(drop_id=True), encoding="utf-8")
    open_ = _degrees(found.routes[found.routes["reachable"].astype(bool)])  # of no route it is a column of numbers
    if len(open_):
        tracks = gpd.GeoDataFrame(
            {"name": [f"to {target}" for target in open_["target"]],
             "desc": [f"{row.minutes} min, {row.km} km: {row.roads}" for row in open_.itertuples()]},
            geometry=[shapely.MultiLineString([line]) for line in open_.geometry], crs="EPSG:4326",
        )  # fmt: skip
        with writing(folder / "routes.gpx"):
            tracks.to_file(folder / "routes.gpx", driver="GPX", layer="tracks", engine="pyogrio")


def _degrees(frame: Any) -> Any:
    """A frame in lon/lat as GeoJSON and GPX want it, to seven digits (1 cm)."""
    there = frame.to_crs("EPSG:4326")
    rounded = shapely.transform(there.geometry.to_numpy(), lambda xy: xy.round(7))
    return there.set_geometry(gpd.GeoSeries(rounded, index=there.index, crs="EPSG:4326"))


TITLES = {
    "closures": "Roads closed or slowed",
    "routes": "Fastest open routes",
    "isochrones": "Reach in minutes",
    "isolated": "Cut off",
    "repairs": "What to clear first",
}


def assets(found: Findings) -> dict[str, pystac.Asset]:
    """Assets of the files that `write` and `roadmap.draw` make, by key."""
    made = {
        "roads": tables.asset("roads.parquet", edges(found), title="Roads and their state", columns=COLUMNS),
        **{
            key: pystac.Asset(f"{key}.geojson", title=title, media_type=pystac.MediaType.GEOJSON, roles=["data"])
            for key, title in TITLES.items()
        },
        "thumbnail": publish.thumbnail("thumbnail.png"),
    }
    if found.routes["reachable"].any():
        made["gpx"] = pystac.Asset(
            "routes.gpx", title="Routes for navigation devices", media_type="application/gpx+xml", roles=["data"]
        )
    return made
