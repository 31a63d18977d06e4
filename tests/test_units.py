from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import h3
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac.errors import AssetError, GridError
from mage_stac.products import units

GRID = GeoBox((200, 300), Affine(1.0, 0, 500_020, 0, -1.0, 4_100_000), "EPSG:32615")
DEGREES = GeoBox((200, 300), Affine(1e-5, 0, -93.0, 0, -1e-5, 37.0), "EPSG:4326")
TURNED = GeoBox((200, 300), Affine(1.0, 0, 500_020, 0, -1.0, 4_100_000) @ Affine.rotation(20), "EPSG:32615")


def test_cells_of_a_grid_lie_on_its_multiples_and_cover_the_map_once() -> None:
    made = units.of_grid(100, GRID)
    assert len(made.frame) == 4 * 2  # 500020..500320 by 4099800..4100000
    assert made.frame["unit_id"][0] == "5000_40999"
    assert made.frame.area.tolist() == pytest.approx([1e4] * 8)
    assert shapely.union_all(made.frame.geometry).covers(GRID.extent.geom)
    assert made.cell == 100


@pytest.mark.parametrize("geobox", [GRID, DEGREES, TURNED])
def test_cells_touch_the_map_and_cover_it_in_any_crs(geobox: GeoBox) -> None:
    for made in (units.of_grid(50, geobox), units.of_h3(11, geobox)):
        assert made.frame.crs.is_projected
        border = units.extent(geobox, str(made.frame.crs))
        assert (made.frame.intersection(border).area > 0).all()
        assert shapely.union_all(made.frame.geometry).buffer(0.01).covers(border)


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:2263", "EPSG:25832", "EPSG:2154", "EPSG:4326"])
def test_cells_are_as_large_on_the_ground_as_asked(crs: str) -> None:
    lon, lat = {"EPSG:2263": (-73.9, 40.7), "EPSG:2154": (4.0, 45.0)}.get(crs, (11.0, 60.0))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    step = 1e-5 if crs == "EPSG:4326" else 1.0
    made = units.of_grid(50, GeoBox((400, 400), Affine(step, 0, x, 0, -step, y), crs))
    geod = pyproj.Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(cell)[0]) for cell in made.frame.to_crs("EPSG:4326").geometry]
    assert areas == pytest.approx([2500] * len(areas), rel=0.02)


def test_h3_cells_hold_the_points_that_h3_puts_there() -> None:
    made = units.of_h3(12, GRID)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(500_020, 500_320, 200), rng.uniform(4_099_800, 4_100_000, 200)
    points = gpd.GeoSeries.from_xy(x, y, crs="EPSG:32615")
    joined = gpd.GeoDataFrame(geometry=points).sjoin(made.frame, predicate="within")
    wanted = [h3.latlng_to_cell(point.y, point.x, 12) for point in points.to_crs("EPSG:4326")]
    assert joined["unit_id"].sort_index().tolist() == wanted


def test_a_map_within_one_large_cell() -> None:
    assert len(units.of_h3(4, GRID).frame) == 1


def test_a_cell_across_the_antimeridian_is_whole() -> None:
    fiji = GeoBox((100, 100), Affine(10, 0, 830_000, 0, -10, 8_100_000), "EPSG:32760")
    made = units.of_h3(5, fiji)
    assert made.frame.area.max() < 4e8


def test_cells_without_number_or_sense_are_refused() -> None:
    with pytest.raises(GridError, match=r"cells of 0\.01 m: choose larger ones"):
        units.of_grid(0.01, GRID)
    with pytest.raises(GridError, match="positive"):
        units.of_grid(-5, GRID)
    with pytest.raises(GridError, match="positive"):
        units.of_grid(float("nan"), GRID)
    with pytest.raises(GridError, match=r"0 .* to 15"):
        units.of_h3(16, GRID)
    large = GeoBox((100_000, 100_000), Affine(10, 0, 400_000, 0, -10, 4_100_000), "EPSG:32615")
    with pytest.raises(GridError, match="H3 cells of resolution 14"):
        units.of_h3(14, large)


def file(folder: Path, shapes: list[object], crs: str | None = "EPSG:32615", **columns: list[object]) -> Path:
    path = folder / "wards.gpkg"
    gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path)
    return path


WEST, EAST = shapely.box(500_000, 4_099_000, 500_150, 4_101_000), shapely.box(500_150, 4_099_000, 501_000, 4_101_000)
FAR = shapely.box(600_000, 4_099_000, 600_100, 4_101_000)


def test_units_of_a_file_keep_ids_and_names_and_leave_out_what_is_elsewhere(tmp_path: Path) -> None:
    path = file(tmp_path, [WEST, FAR, EAST], id=["w", "f", "e"], name=["West", "Far", None])
    made = units.of_file(path, GRID)
    assert made.frame[["unit_id", "name"]].to_numpy().tolist() == [["w", "West"], ["e", ""]]
    assert made.kind == "units-wards"
    other = units.of_file(path, GRID, name="id")
    assert other.frame["name"].tolist() == ["w", "e"]


def test_units_in_degrees_come_into_metres(tmp_path: Path) -> None:
    path = tmp_path / "wards.geojson"
    gpd.GeoDataFrame(geometry=[WEST], crs="EPSG:32615").to_crs("EPSG:4326").to_file(path)
    made = units.of_file(path, GRID)
    assert made.frame.geometry[0].symmetric_difference(WEST).area < 0.5


def test_files_that_make_no_units_say_why(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not exist"):
        units.of_file(tmp_path / "none.gpkg", GRID)
    with pytest.raises(GridError, match=r"holds no polygons \(Point\)"):
        units.of_file(file(tmp_path, [shapely.Point(0, 0)]), GRID)
    with pytest.raises(GridError, match=r"none of the 1 units.*lies on the map"):
        units.of_file(file(tmp_path, [FAR]), GRID)
    with pytest.raises(GridError, match=r"no column 'ward'; it has: id"):
        units.of_file(file(tmp_path, [WEST], id=["w"]), GRID, name="ward")
    with pytest.raises(GridError, match=r"'West' and 'Town' overlap"):
        units.of_file(file(tmp_path, [WEST, WEST.union(EAST)], name=["West", "Town"]), GRID)
    with pytest.raises(GridError, match="does not say its CRS"):
        units.of_file(_without_crs(tmp_path), GRID)


def _without_crs(folder: Path) -> Path:
    path = folder / "bare.parquet"
    gpd.GeoDataFrame(geometry=[WEST]).to_parquet(path)
    return path
