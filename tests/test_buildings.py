from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import raster
from mage_stac.cog import write_cog
from mage_stac.errors import GridError
from mage_stac.mosaic import LEVELS
from mage_stac.products import buildings, grading

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


@pytest.fixture
def cube() -> np.ndarray:
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


def test_grades_probabilities_and_shares_of_three_houses(tmp_path: Path, cube: np.ndarray) -> None:
    found = buildings.graded(frame(*HOUSES), written(tmp_path, cube))
    assert list(found.columns) == list(buildings.COLUMNS)
    assert found["grade"].tolist() == [1, 4, 255]
    assert found["damage"].tolist() == ["no-damage", "destroyed", "not-observed"]
    assert found[[f"probability_{k}" for k in range(5)]].iloc[0].tolist() == pytest.approx(
        [0.1, 0.6, 0.2, 0.1, 0], abs=0.002
    )
    assert found["observed"].tolist() == pytest.approx([1, 1, 0.4])
    assert found["fraction"].tolist() == pytest.approx([0, 1, 1])
    assert found["area"].tolist() == pytest.approx([30, 30, 25], rel=2e-3)
    assert found["footprint_id"].tolist() == ["f0", "f1", "f2"]


def test_one_stray_pixel_does_not_decide(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 15, 15] = coded(0, 0, 0, 0, 1)
    found = buildings.graded(frame(HOUSES[0]), written(tmp_path, cube))
    assert found["grade"].tolist() == [1]
    assert found["fraction"].tolist() == pytest.approx([1 / 120], abs=1e-4)


def test_the_rim_does_not_decide_either(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 30:42, [10, 19]] = cube[:, [30, 41], 10:20] = coded(0, 1, 0, 0, 0).reshape(5, 1, 1)
    found = buildings.graded(frame(HOUSES[1]), written(tmp_path, cube))
    assert found["probability_4"].tolist() == pytest.approx([0.4], abs=0.002)


def test_not_even_of_a_house_smaller_than_a_pixel(tmp_path: Path, cube: np.ndarray) -> None:
    cube[:, 15, 15] = coded(0, 0, 0, 0, 1)
    hut = shapely.Point(GRID.affine @ (15.5, 15.5)).buffer(0.1)
    assert buildings.graded(frame(hut), written(tmp_path, cube))["grade"].tolist() == [1]


@pytest.mark.parametrize(("clouded", "grade"), [(4, 1), (6, 1), (7, 255), (12, 255)])
def test_a_house_half_under_cloud_says_so(tmp_path: Path, cube: np.ndarray, clouded: int, grade: int) -> None:
    cube[:, 5:25, 10 : 10 + clouded] = 255
    found = buildings.graded(frame(HOUSES[0]), written(tmp_path, cube))
    assert found["observed"].tolist() == pytest.approx([1 - clouded / 12], abs=1e-3)
    assert found["grade"].tolist() == [grade]


def test_means_agree_with_numpy_for_any_polygon(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cube = rng.integers(0, 251, (5, *GRID.shape), dtype=np.uint8)
    cube[:, rng.random(GRID.shape) < 0.2] = 255
    triangle = shapely.Polygon([GRID.affine @ p for p in ((5.3, 4.1), (70.2, 20.7), (30.9, 55.5))])
    found = buildings.graded(frame(triangle), written(tmp_path, cube))
    columns, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    pixels = shapely.transform(triangle, lambda xy: np.array([~GRID.affine @ tuple(p) for p in xy]))
    inside = shapely.contains_xy(shapely.buffer(pixels, -1), columns, rows) & (cube[0] != 255)
    for k in range(5):
        assert found[f"probability_{k}"][0] == pytest.approx(cube[k][inside].mean() / 250, abs=1e-4)


def test_footprints_over_the_edge_and_smaller_than_a_pixel(tmp_path: Path, cube: np.ndarray) -> None:
    tiny = shapely.Point(GRID.affine @ (15.2, 15.3)).buffer(0.05)
    found = buildings.graded(frame(box(-10, 0, 10, 10), tiny), written(tmp_path, cube))
    assert found["observed"].tolist() == pytest.approx([0.5, 1])
    assert found["grade"].tolist()[1] == 1


def test_a_damage_map_counts_as_certain(tmp_path: Path) -> None:
    damage = np.zeros(GRID.shape, np.uint8)
    damage[10:20, 10:22] = 3
    damage[12, 12] = 255
    write_cog(tmp_path / "damage.tif", damage, GRID, nodata=255)
    found = buildings.graded(frame(HOUSES[0]), tmp_path / "damage.tif")
    assert found["grade"].tolist() == [3]
    assert found["probability_3"].tolist() == [1]
    assert found["observed"].tolist() == pytest.approx([119 / 120], abs=1e-4)


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
    found = buildings.outlines(tmp_path / "damage.tif")
    assert found["footprint_id"].isna().all()
    assert sorted(found.area) == pytest.approx([25, 30])
    centre = shapely.Point(grid.affine @ (65, 45))
    assert found.contains(centre).sum() == 1
    graded = buildings.graded(found, tmp_path / "damage.tif")
    assert sorted(graded["grade"]) == [1, 2]


def test_a_map_without_buildings_makes_an_empty_file(tmp_path: Path) -> None:
    write_cog(tmp_path / "damage.tif", np.zeros(GRID.shape, np.uint8), GRID, nodata=255)
    found = buildings.graded(buildings.outlines(tmp_path / "damage.tif"), tmp_path / "damage.tif")
    buildings.write(tmp_path / "buildings.parquet", found)
    back = gpd.read_parquet(tmp_path / "buildings.parquet")
    assert len(back) == 0
    assert back.crs == "EPSG:32615"


def test_geoparquet_keeps_crs_columns_and_nulls(tmp_path: Path, cube: np.ndarray) -> None:
    damage = np.where(cube[0] == 255, 255, np.where(cube[0] < 125, 2, 0)).astype(np.uint8)
    write_cog(tmp_path / "damage.tif", damage, GRID, nodata=255)
    found = buildings.graded(buildings.outlines(tmp_path / "damage.tif"), written(tmp_path, cube))
    path = tmp_path / "buildings.parquet"
    buildings.write(path, found)
    back = gpd.read_parquet(path)
    assert back["footprint_id"].isna().all()
    assert back["grade"].tolist() == found["grade"].tolist()
    described = buildings.asset(path, found).extra_fields
    assert [column["name"] for column in described["table:columns"]] == list(buildings.COLUMNS)
    assert described["table:row_count"] == len(back) == 3


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
    found = buildings.footprints(geojson, GRID)
    assert found["footprint_id"].tolist() == ["7", "8", "9"]
    assert found.crs == "EPSG:32615"
    assert found.geometry.is_valid.all()
    assert found.geometry[0].symmetric_difference(HOUSES[0]).area < 0.01


def test_footprints_elsewhere_name_both_places(geojson: Path) -> None:
    elsewhere = GeoBox((60, 80), Affine(0.5, 0, 500000, 0, -0.5, 5100000), "EPSG:32632")
    with pytest.raises(GridError, match=r"none of the 4 footprints.*-95\.\d+.*lies on the map.*9\.0"):
        buildings.footprints(geojson, elsewhere)


def test_points_are_no_footprints(tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs="EPSG:4326").to_file(path)
    with pytest.raises(GridError, match=r"points\.gpkg holds no polygons \(Point\)"):
        buildings.footprints(path, GRID)


def test_rows_are_read_in_strips(tmp_path: Path, cube: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, cube)
    whole = buildings.graded(frame(*HOUSES), path)
    monkeypatch.setattr(raster, "ROWS", 7)
    assert buildings.graded(frame(*HOUSES), path).equals(whole)


def test_a_map_of_what_is_lost_gives_buildings_one_grade_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "AROUND", 1.0)  # metres: each house speaks for itself
    cube = np.tile(coded(1, 0, 0, 0, 0)[:, None, None], (1, *GRID.shape))
    cube[:, 10:30, 10:30] = coded(0, 1, 0, 0, 0)[:, None, None]
    cube[:, 10:18, 10:30] = coded(0, 0, 0, 0, 1)[:, None, None]  # two fifths of a roof
    cube[:, 10:30, 45:65] = coded(0, 0, 0, 0, 1)[:, None, None]
    cube[:, 40:50, 10:30] = coded(0, 0.8, 0.2, 0, 0)[:, None, None]
    path, damage = tmp_path / "probability.tif", tmp_path / "damage.tif"
    write_cog(path, cube, GRID, nodata=255, descriptions=("none", "whole", "light", "partly", grading.BAND))
    states = np.where(cube[0] > 125, 0, 1 + cube[1:].argmax(axis=0)).astype(np.uint8)
    states[50:, 70:] = 255
    write_cog(damage, states, GRID, nodata=255)
    houses = (box(10, 10, 30, 30), box(45, 10, 65, 30), box(10, 40, 30, 50))
    assert buildings.graded(frame(*houses), path)["grade"].tolist() == [3, 4, 1]
    found = buildings.graded(buildings.outlines(damage), path)
    ((row, classes),) = buildings.repainted(damage, found)
    expected = np.zeros(GRID.shape, np.uint8)
    expected[10:30, 10:30], expected[10:30, 45:65], expected[40:50, 10:30] = 3, 4, 1
    expected[50:, 70:] = 255
    assert row == 0
    np.testing.assert_array_equal(classes, expected)
