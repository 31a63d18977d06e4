"""A small map of probabilities with three houses, for the tests of products."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac.cog import write_cog
from mage_stac.mosaic import LEVELS

GRID = GeoBox((60, 80), Affine(0.5, 0, 300000, 0, -0.5, 4100000), "EPSG:32615")


def coded(*chances: float) -> np.ndarray:
    return np.round(np.array(chances) * LEVELS).astype(np.uint8)


def box(left: int, top: int, right: int, bottom: int, grid: GeoBox = GRID) -> shapely.Polygon:
    """A rectangle given in pixels."""
    (x0, y0), (x1, y1) = grid.affine @ (left, top), grid.affine @ (right, bottom)
    return shapely.box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def frame(*polygons: shapely.Polygon, grid: GeoBox = GRID) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"footprint_id": [f"f{i}" for i in range(len(polygons))]}, geometry=list(polygons), crs=str(grid.crs)
    )


def probabilities() -> np.ndarray:
    """Five bands of code: no building, but for three houses; the third is half unseen."""
    made = np.tile(coded(0.9, 0.1, 0, 0, 0)[:, None, None], (1, *GRID.shape))
    made[:, 10:20, 10:22] = coded(0.1, 0.6, 0.2, 0.1, 0)[:, None, None]
    made[:, 30:42, 10:20] = coded(0, 0.1, 0.2, 0.3, 0.4)[:, None, None]
    made[:, 30:40, 40:50] = coded(0, 0, 0, 1, 0)[:, None, None]
    made[:, 30:40, 44:60] = 255
    return made


def written(folder: Path, cube: np.ndarray, grid: GeoBox = GRID) -> Path:
    path = folder / "probability.tif"
    write_cog(path, cube, grid, nodata=255)
    return path


HOUSES = (box(10, 10, 22, 20), box(10, 30, 20, 42), box(40, 30, 50, 40))
