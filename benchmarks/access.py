"""Access on a network of 100,000 edges: seconds for each step after the roads are loaded.

python benchmarks/access.py [EDGES]
"""

from __future__ import annotations

import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac.cog import write_cog
from mage_stac.products import isochrones, obstruction, roads, routing

CRS = "EPSG:32615"
BLOCK = 100.0
BUILDINGS = 20_000
SPAN = 3000
"""Metres a side of the damage map, in the middle of the network."""


def streets(side: int) -> object:
    """A grid of streets, `side` crossings a side, each street one bent line as in OSM."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(side) * BLOCK, np.arange(side) * BLOCK)
    points = np.stack([x, y], axis=-1) + rng.uniform(-20, 20, (side, side, 2)) + (400_000, 4_000_000)
    middle = (points[:, :-1] + points[:, 1:]) / 2
    rows = [shapely.LineString(np.insert(points[i], range(1, side), middle[i], axis=0)) for i in range(side)]
    lines = rows + [shapely.LineString(points[:, i]) for i in range(side)]
    size = len(lines)
    columns = {
        "kind": ["residential"] * size, "name": [""] * size, "speed": 30.0, "forward": True, "backward": True,
        "bridge": False, "tunnel": False,
    }  # fmt: skip
    return gpd.GeoDataFrame(columns, geometry=lines, crs=CRS)


def houses(centre: tuple[float, float]) -> object:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-SPAN / 2, SPAN / 2, (2, BUILDINGS)) + np.array(centre)[:, None]
    chances = rng.dirichlet((5, 1, 1, 1), BUILDINGS)
    columns = {"grade": 1 + chances.argmax(axis=1), **{f"probability_{k}": chances[:, k - 1] for k in range(1, 5)}}
    return gpd.GeoDataFrame(columns, geometry=shapely.box(x, y, x + 10, y + 8), crs=CRS)


def main(edges: int) -> None:
    frame = streets(int((edges / 2) ** 0.5) + 1)
    left, bottom, right, top = frame.total_bounds  # type: ignore[attr-defined]
    centre = ((left + right) / 2, (bottom + top) / 2)
    graded = houses(centre)
    grid = GeoBox((SPAN, SPAN), Affine(1, 0, centre[0] - SPAN / 2, 0, -1, centre[1] + SPAN / 2), CRS)
    start = gpd.GeoSeries.from_xy([centre[0], left], [centre[1], bottom], crs=CRS).to_crs("EPSG:4326")
    with TemporaryDirectory() as folder:
        damage = Path(folder) / "damage.tif"
        write_cog(damage, np.ones(grid.shape, np.uint8), grid, nodata=255)
        clock = [("", time.process_time())]

        def lap(what: str) -> None:
            clock.append((what, time.process_time()))

        made, stops = roads.graph(frame, CRS, [(point.x, point.y) for point in start])
        lap("graph")
        condition = obstruction.assess(made, graded, damage)
        lap("obstruction")
        net = routing.network(made, condition.seconds)
        found = routing.reach(net, stops[:1])
        routing.way(net, found, int(stops[1]))
        lap("routes to everywhere")
        closed = ~np.isfinite(condition.seconds)
        plan = routing.repairs(made, closed, stops[:1], {"nodes": np.ones(len(made.nodes))})
        lap("cut off and repairs")
        isochrones.isochrones(made, condition.seconds, found, (5, 10, 15, 30))
        lap("isochrones")
    print(
        f"{len(made.tail):,} edges, {len(made.nodes):,} nodes, {BUILDINGS:,} buildings; {closed.sum()} closed,"
        f" {len(plan)} repairs"
    )
    for (_, before), (what, after) in pairwise(clock):
        print(f"{what:24}{after - before:7.2f} s CPU")
    print(f"{'together':24}{clock[-1][1] - clock[0][1]:7.2f} s CPU")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
