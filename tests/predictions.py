"""A small prediction Item without a network: a damage map of given houses, its probabilities and buildings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, prediction
from mage_stac.mosaic import Finished, Strip, finished
from mage_stac.prediction import Facts, Sources
from mage_stac.registration import UNKNOWN

GRID = GeoBox((200, 300), Affine(1.0, 0, 500_000, 0, -1.0, 4_100_000), "EPSG:32615")
"""300 m by 200 m at 1 m."""

House = tuple[int, int, int]
"""First row, first column, grade."""

EDGE = 10
"""Pixels a side of a house."""


def write(
    root: Path, houses: list[House], *, grid: GeoBox = GRID, unseen: tuple[slice, slice] | None = None,
    doubt: float = 0.1, name: str = "map",
) -> pystac.Item:  # fmt: skip
    """Write an Item into root/predictions: square houses whose grade has probability 1 - doubt, the others share it."""
    shares = np.zeros((5, *grid.shape), np.float32)
    shares[0] = 1
    for row, column, grade in houses:
        here = np.s_[row : row + EDGE, column : column + EDGE]
        mixed = np.full(5, doubt / 3)
        mixed[0], mixed[grade] = 0, 1 - doubt
        shares[(slice(None), *here)] = mixed[:, None, None]
    valid = np.ones(grid.shape, bool)
    if unseen:
        valid[unseen] = False
    with catalogue.staged(root, prediction.COLLECTION, name) as folder:
        prediction.write_maps(folder, grid, _strips(shares, valid))
        graded = prediction.write_buildings(folder, _outlines(houses, grid) if unseen else None)
        sources = Sources(model=_item(root, "toy", {"mlm:name": "Toy"}), pre=(_item(root, "pre"),),
                          post=(_item(root, "post"),))  # fmt: skip
        facts = Facts(shift=UNKNOWN, aligned=False, inputs="none", method="houses drawn by hand")
        catalogue.write_item(folder, prediction.item(name, folder, grid, sources, facts, graded))
    collections: Mapping[str, Mapping[str, object]] = {prediction.COLLECTION: prediction.TEMPLATE}
    catalogue.index(root, id="predictions", title="Predictions", collections=collections)
    return catalogue.read_item(root / prediction.COLLECTION / name)


def _strips(shares: np.ndarray, valid: np.ndarray) -> Iterator[Finished]:
    yield finished(Strip(row=0, probabilities=shares, valid=valid))


def _outlines(houses: list[House], grid: GeoBox) -> object:
    import geopandas as gpd
    import shapely

    shapes = [
        shapely.Polygon(
            [grid.affine @ corner for corner in ((c, r), (c + EDGE, r), (c + EDGE, r + EDGE), (c, r + EDGE))]
        )
        for r, c, _ in houses
    ]
    return gpd.GeoDataFrame({"footprint_id": [f"h{i}" for i in range(len(houses))]}, geometry=shapes, crs=str(grid.crs))


def _item(root: Path, name: str, properties: dict[str, object] | None = None) -> pystac.Item:
    made = pystac.Item(name, None, None, datetime(2011, 5, 24, tzinfo=UTC), properties or {})
    path = root.parent / "sources" / "sources" / name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}", "utf-8")
    made.set_self_href(str(path))
    return made
