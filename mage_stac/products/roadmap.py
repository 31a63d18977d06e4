"""Roadmap: a picture of the roads around a damage map in the colours of their state, with routes and places to go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from PIL import Image, ImageDraw

from mage_stac.classes import DAMAGE_CLASSES, colour_table
from mage_stac.cog import writing
from mage_stac.products.obstruction import Condition
from mage_stac.products.roads import Roads

SIDE = 590
"""Pixels along the longer side; STAC's best practices ask for less than 600."""

DAMAGE = colour_table(DAMAGE_CLASSES)
COLOURS = {"not-observed": (190, 190, 190), "open": (90, 90, 90), "slowed": DAMAGE[3], "closed": DAMAGE[4]}
"""State -> colour, in the order of drawing."""

ROUTE, ORIGIN, TARGET, EXTENT = (33, 102, 172), (0, 90, 50), (84, 39, 143), (120, 120, 120)

MARGIN = 0.05


def draw(
    path: Path, roads: Roads, condition: Condition, shown: tuple[Any, Any], stops: tuple[Sequence[Any], Sequence[Any]]
) -> None:
    """Write a PNG that holds the map's extent, the routes and the stops.

    Args:
        path: the file.
        roads: the graph.
        condition: of its edges.
        shown: the map's extent, and the routes, in the roads' CRS.
        stops: places to start from and to go to, lon, lat.

    Raises:
        CatalogueError: the disk refuses.
    """
    extent, routes = shown
    places = [
        gpd.GeoSeries.from_xy([x for x, _ in each], [y for _, y in each], crs="EPSG:4326").to_crs(roads.crs).to_numpy()
        for each in stops
    ]
    left, bottom, right, top = shapely.total_bounds(np.concatenate([[extent], routes.to_numpy(), *places]))
    grow = MARGIN * max(right - left, top - bottom)
    left, bottom, right, top = left - grow, bottom - grow, right + grow, top + grow
    scale = SIDE / max(right - left, top - bottom)
    size = (max(1, round((right - left) * scale)), max(1, round((top - bottom) * scale)))
    sheet = Image.new("RGB", size, (255, 255, 255))
    pen = ImageDraw.Draw(sheet)

    def pixels(geometry: Any) -> list[tuple[float, float]]:
        xy = (shapely.get_coordinates(geometry) - (left, top)) * (scale, -scale)
        return [(float(x), float(y)) for x, y in xy]

    near = shapely.STRtree(roads.lines).query(shapely.box(left, bottom, right, top))
    pen.line(pixels(extent.exterior if extent.geom_type == "Polygon" else extent.convex_hull.exterior), EXTENT, 1)
    for state, colour in COLOURS.items():
        if state == "slowed":  # what hinders is drawn over the routes, all else below
            for route in routes:
                pen.line(pixels(route), ROUTE, 6, joint="curve")
        for edge in near[condition.state[near] == state]:
            pen.line(pixels(roads.lines[edge]), colour, 2 if state in ("slowed", "closed") else 1)
    for colour, each in zip((ORIGIN, TARGET), places, strict=True):
        for x, y in (point for place in each for point in pixels(place)):
            pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=colour, outline=(255, 255, 255), width=2)
    with writing(path):
        sheet.save(path)
