from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from imagery import write_raster
from odc.geo.geobox import GeoBox

from mage_stac.products import report_pictures
from mage_stac.products.report_pictures import COLOURS, LEAST, RIM, SIDE

GRID = GeoBox((60, 80), Affine(1.0, 0, 500_000, 0, -1.0, 4_100_000), "EPSG:32615")


def square(left: float, top: float, size: float) -> shapely.Polygon:
    """Given in pixels of GRID."""
    return shapely.box(500_000 + left, 4_100_000 - top - size, 500_000 + left + size, 4_100_000 - top)


def graded(*houses: tuple[shapely.Geometry, int]) -> gpd.GeoDataFrame:
    shapes, grades = zip(*houses, strict=True) if houses else ((), ())
    return gpd.GeoDataFrame({"grade": np.array(grades, np.int16)}, geometry=list(shapes), crs="EPSG:32615")


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((60, 80), (480, 640)), ((268, 267), (804, 801)), ((700, 600), (700, 600)), ((2560, 1280), (1280, 640))],
)
def test_pictures_are_large_enough_to_be_read(shape: tuple[int, int], wanted: tuple[int, int]) -> None:
    grid = GeoBox(shape, GRID.affine, GRID.crs)
    found = report_pictures.small(grid)
    assert found.shape == wanted
    assert LEAST <= max(found.shape) <= SIDE
    assert found.extent.geom.equals_exact(grid.extent.geom, 1e-6)


def test_a_courtyard_is_no_building() -> None:
    yard = shapely.Polygon(square(10, 10, 20).exterior, [square(15, 15, 10).exterior])
    two = shapely.MultiPolygon([square(40, 10, 8), square(60, 30, 8)])
    sheet = np.asarray(report_pictures.overlay(graded((yard, 4), (two, 2)), np.zeros(GRID.shape, bool), GRID))
    assert tuple(sheet[12, 12, :3]) == COLOURS[4]
    assert sheet[20, 20, 3] == 0
    assert tuple(sheet[14, 44, :3]) == tuple(sheet[34, 64, :3]) == COLOURS[2]
    assert not sheet[50:, :, 3].any()
    outlined = sheet[..., 3] == RIM
    assert all(outlined[row, column] for row, column in ((10, 20), (15, 20), (14, 40), (34, 60), (34, 68)))


def test_the_worse_lies_on_top_and_the_unobserved_keeps_its_stripes() -> None:
    houses = graded((square(10, 10, 20), 4), (square(12, 12, 20), 1), (square(50, 20, 20), 255))
    unseen = np.zeros(GRID.shape, bool)
    unseen[:, 45:] = True
    sheet = np.asarray(report_pictures.overlay(houses, unseen, GRID))
    assert tuple(sheet[20, 20, :3]) == COLOURS[4]
    assert tuple(sheet[31, 31, :3]) == COLOURS[1]
    inside = sheet[25:35, 55:65, 3]
    assert 0.05 < (inside > 0).mean() < 0.3
    assert (sheet[20, 50:71, 3] == RIM).all()
    assert not np.asarray(report_pictures.overlay(graded(), ~unseen & unseen, GRID)).any()


@pytest.mark.parametrize("factor", [1, 4])
def test_a_picture_s_nodata_may_be_its_item_s_alone(tmp_path: Path, factor: int) -> None:
    pixels = np.full((3, 60, 80), 200, np.uint8)
    pixels[:, :, :38] = 0
    path = write_raster(tmp_path / "visual.tif", pixels, GRID)
    with rasterio.open(path, "r+") as source:
        source.build_overviews([2, 4])
    item = pystac.Item("x", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    item.add_asset("visual", pystac.Asset(str(path), extra_fields={"nodata": 0}))
    small = GeoBox((60 // factor, 80 // factor), GRID.affine @ Affine.scale(factor), GRID.crs)
    shown = report_pictures.photograph([item], GRID, small)
    assert shown is not None
    assert (shown[:, : 36 // factor] == 255).all()
    assert (shown[:, -(-38 // factor) :] == 200).all()
    assert set(np.unique(shown)) == {200, 255}
