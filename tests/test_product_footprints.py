"""Footprints of a file, and those traced from the damage map."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from houses import GRID, HOUSES, box
from odc.geo.geobox import GeoBox

from mage_stac.cog import write_cog
from mage_stac.errors import GridError
from mage_stac.products import buildings, footprints


@pytest.mark.parametrize("affine", [GRID.affine, GRID.affine @ Affine.rotation(20), Affine(0.5, 0, 9, 0, 0.5, 9)])
def test_outlines_join_grades_and_drop_specks(tmp_path: Path, affine: Affine) -> None:
    grid = GeoBox((60, 80), affine, "EPSG:32615")
    damage = np.zeros(grid.shape, np.uint8)
    damage[10:20, 10:22] = 2
    damage[13:16, 13:16] = 4
    damage[40:42, 40:42] = 4  # a speck of 1 square metre
    damage[40:50, 60:70] = 1
    damage[30:, :30] = 255
    write_cog(tmp_path / "damage.tif", damage, grid, nodata=255)
    found = footprints.traced(tmp_path / "damage.tif")
    assert found["footprint_id"].isna().all()
    assert sorted(found.area) == pytest.approx([25, 30])
    centre = shapely.Point(grid.affine @ (65, 45))
    assert found.contains(centre).sum() == 1
    graded = buildings.graded(found, tmp_path / "damage.tif")
    assert sorted(graded["grade"]) == [1, 2]


@pytest.fixture
def geojson(tmp_path: Path) -> Path:
    """Footprints in lon/lat with ids, one of them a bow tie, one far away, one without geometry."""
    tie = shapely.Polygon([GRID.affine @ p for p in ((40, 10), (50, 20), (50, 10), (40, 20))])
    polygons = [*HOUSES[:2], tie, box(5000, 0, 5010, 10), None]
    made = gpd.GeoDataFrame({"osm_id": [7, 8, 9, 10, 11], "name": list("abcde")}, geometry=polygons, crs="EPSG:32615")
    path = tmp_path / "footprints.geojson"
    made.to_crs("EPSG:4326").to_file(path)
    return path


def test_footprints_in_another_crs_land_on_the_grid(geojson: Path) -> None:
    found = footprints.given(geojson, GRID)
    assert found["footprint_id"].tolist() == ["7", "8", "9"]
    assert found.crs == "EPSG:32615"
    assert found.geometry.is_valid.all()
    assert found.geometry[0].symmetric_difference(HOUSES[0]).area < 0.01


def test_footprints_elsewhere_name_both_places(geojson: Path) -> None:
    elsewhere = GeoBox((60, 80), Affine(0.5, 0, 500000, 0, -0.5, 5100000), "EPSG:32632")
    with pytest.raises(GridError, match=r"none of the 4 footprints.*-95\.\d+.*lies on the map.*9\.0"):
        footprints.given(geojson, elsewhere)


def test_points_are_no_footprints(tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs="EPSG:4326").to_file(path)
    with pytest.raises(GridError, match=r"points\.gpkg holds no polygons \(Point\)"):
        footprints.given(path, GRID)
