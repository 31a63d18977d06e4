from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from affine import Affine
from mage_stac.cli.score import score as verb
from odc.geo.geobox import GeoBox
from rasterio.warp import calculate_default_transform, reproject

from mage_stac import catalogue, confusion, prediction
from mage_stac.cog import write_cog
from mage_stac.errors import AssetError, CatalogueError, GridError
from mage_stac.mosaic import Strip, finished
from mage_stac.score import score

GRID = GeoBox((120, 160), Affine(0.6, 0, 500000, 0, -0.6, 4100000), "EPSG:32615")
HOUSES = {1: (10, 10), 2: (10, 60), 3: (60, 10), 4: (60, 60)}
"""Grade -> first row and column of a house of 20 x 20 pixels."""


def town() -> np.ndarray:
    damage = np.zeros(GRID.shape, np.uint8)
    for grade, (row, column) in HOUSES.items():
        damage[row : row + 20, column : column + 20] = grade
    return damage


def square(row: int, column: int, side: int = 20) -> shapely.Polygon:
    (x0, y0), (x1, y1) = GRID.affine @ (column, row), GRID.affine @ (column + side, row + side)
    return shapely.box(x0, y1, x1, y0)


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[[np.ndarray], Path]:
    """Makes a prediction Item of a damage map, sure of itself."""

    def make(damage: np.ndarray) -> Path:
        with catalogue.staged(tmp_path / "out", "predictions", "map") as folder:
            shares = (damage == np.arange(5)[:, None, None]).astype(np.float32)
            prediction.write_maps(folder, GRID, [finished(Strip(row=0, probabilities=shares, valid=damage != 255))])
            graded = prediction.write_buildings(folder, None)
            item = pystac.Item("map", None, None, datetime(2011, 5, 24, tzinfo=UTC), {}, collection="predictions")
            for key, asset in prediction.assets(folder, GRID, graded).items():
                item.add_asset(key, asset)
            catalogue.write_item(folder, item)
        return tmp_path / "out/predictions/map"

    return make


def raster(path: Path, values: np.ndarray, grid: GeoBox = GRID, nodata: float | None = None) -> Path:
    write_cog(path, values, grid, nodata=nodata)
    return path


def test_a_raster_on_the_same_grid(tmp_path: Path, mapped: Callable[[np.ndarray], Path]) -> None:
    truth, said = town(), town()
    said[10:20, 10:30] = 2  # half of the undamaged house called minor
    said[100:110, 100:110] = 4  # a house where there is none
    said[60:80, 10:20] = 255  # half of the major one not seen
    found = score(mapped(said), raster(tmp_path / "truth.tif", truth))
    assert found.buildings is None
    assert found.notes == ()
    assert found.pixels.unseen == 200
    known = said != 255
    plain = np.array([[((truth == r) & (said == c) & known).sum() for c in range(5)] for r in range(5)])
    assert np.array_equal(found.pixels.figures.confusion, plain)
    assert found.pixels.compared == truth.size - 200
    assert found.pixels.figures.classes[1].iou == pytest.approx(200 / 400)
    assert found.pixels.figures.classes[4].precision == pytest.approx(400 / 500)


@pytest.mark.parametrize(("unknown", "nodata"), [(255, None), (255, 255), (9, 9)])
def test_what_the_reference_does_not_know_is_not_counted(
    tmp_path: Path, mapped: Callable[[np.ndarray], Path], unknown: int, nodata: int | None
) -> None:
    truth = town()
    truth[:, 80:] = unknown
    found = score(mapped(town()), raster(tmp_path / "truth.tif", truth, nodata=nodata))
    assert found.pixels.compared == 120 * 80
    assert found.pixels.figures.summary.macro_f1 == 1


def test_a_reference_of_a_part_on_the_same_pixels_is_compared_there(
    tmp_path: Path, mapped: Callable[[np.ndarray], Path]
) -> None:
    part = GeoBox((50, 60), GRID.affine @ Affine.translation(-10, 5), GRID.crs)
    found = score(mapped(town()), raster(tmp_path / "part.tif", np.pad(town(), ((0, 0), (10, 0)))[5:55, :60], part))
    assert found.pixels.compared == 50 * 50
    assert found.pixels.figures.summary.macro_f1 == 1
    assert "nearest neighbour from EPSG:32615, 50x60 pixels" in found.notes[0]


def test_a_reference_in_another_crs_is_put_on_the_maps_grid(
    tmp_path: Path, mapped: Callable[[np.ndarray], Path]
) -> None:
    bounds = rasterio.transform.array_bounds(*GRID.shape, GRID.affine)
    affine, width, height = calculate_default_transform("EPSG:32615", "EPSG:4326", 160, 120, *bounds, resolution=1.5e-6)
    degrees = np.full((height, width), 255, np.uint8)
    reproject(town(), degrees, src_transform=GRID.affine, src_crs="EPSG:32615", dst_transform=affine,
              dst_crs="EPSG:4326", dst_nodata=255, init_dest_nodata=True)  # fmt: skip
    path = raster(tmp_path / "degrees.tif", degrees, GeoBox(degrees.shape, affine, "EPSG:4326"), nodata=255)
    found = score(mapped(town()), path)
    assert found.pixels.compared > 0.98 * 120 * 160
    assert found.pixels.figures.summary.macro_f1 > 0.98
    assert "from EPSG:4326" in found.notes[0]


def test_references_that_cannot_be_used(tmp_path: Path, mapped: Callable[[np.ndarray], Path]) -> None:
    path = mapped(town())
    far = GeoBox((120, 160), Affine(0.6, 0, 700000, 0, -0.6, 4100000), "EPSG:32615")
    with pytest.raises(GridError, match=r"far\.tif \(west,south,east,north -90\.7.*knows nothing of the map.*-93\.0"):
        score(path, raster(tmp_path / "far.tif", town(), far))
    with pytest.raises(AssetError, match=r"odd\.tif has values 7: a reference has the damage classes 0-4"):
        score(path, raster(tmp_path / "odd.tif", np.where(town() == 4, 7, town())))
    with pytest.raises(AssetError, match=r"none\.tif cannot be read"):
        score(path, tmp_path / "none.tif")
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(AssetError, match=r"text\.tif cannot be read"):
        score(path, tmp_path / "text.tif")
    with pytest.raises(CatalogueError, match="does not exist"):
        score(tmp_path / "nowhere", tmp_path / "none.tif")


def test_another_item_as_reference(mapped: Callable[[np.ndarray], Path]) -> None:
    path = mapped(town())
    assert score(path, path).pixels.figures.summary.xview2 == pytest.approx(1, abs=1e-5)
    assert score(path, path / "map.json").reference.endswith("damage.tif")


def vector(path: Path, geometry: list, grades: list, crs: str = "EPSG:4326") -> Path:
    made = gpd.GeoDataFrame({"damage": grades}, geometry=geometry, crs="EPSG:32615").to_crs(crs)
    made.to_file(path)
    return path


WORDS = {1: "no-damage", 2: "minor-damage", 3: "major-damage", 4: "destroyed"}


def test_polygons_are_compared_as_pixels_and_one_by_one(tmp_path: Path, mapped: Callable[[np.ndarray], Path]) -> None:
    said = town()
    said[60:80, 60:80] = 3  # the destroyed house called major
    said[60:80, 10:30] = 0  # the major one not found
    said[30:50, 30:50] = 2  # one where there is none
    said[90:115, 120:150] = 4  # another, outside of the reference's box
    polygons = [square(*corner) for corner in HOUSES.values()]
    path = vector(tmp_path / "truth.geojson", polygons, [WORDS[grade] for grade in HOUSES])
    found = score(mapped(said), path)
    one_by_one = np.zeros((5, 5), int)
    one_by_one[[1, 2, 3, 4, 0], [1, 2, 0, 3, 2]] = 1
    assert np.array_equal(found.buildings.figures.confusion, one_by_one)
    outlined = np.zeros((5, 5), int)
    outlined[[1, 2, 3, 4], [1, 2, 1, 3]] = 1  # nothing speaks for damage where nothing was found
    assert np.array_equal(found.given.figures.confusion, outlined)
    assert found.given.compared == 4
    pixels = np.array(found.pixels.figures.confusion)
    assert pixels.sum() == pytest.approx(70 * 70, rel=0.03)  # the box of the houses
    assert pixels[4, 3] == pytest.approx(400, rel=0.06)
    assert pixels[0, 2] == pytest.approx(400, rel=0.06)
    assert found.notes[0] == "grades from column 'damage'"
    assert "1 outlines of the map touch no reference building" in found.notes


def test_points_are_compared_one_by_one(tmp_path: Path, mapped: Callable[[np.ndarray], Path]) -> None:
    said = town()
    said[60:80, 60:80] = 255
    middles = [shapely.Point(GRID.affine @ (column + 10, row + 10)) for row, column in HOUSES.values()]
    nowhere, beyond = shapely.Point(GRID.affine @ (120, 100)), shapely.Point(GRID.affine @ (900, 900))
    path = vector(tmp_path / "points.gpkg", [*middles, nowhere, beyond], [1, 3, 3, 4, 2, 2], "EPSG:3857")
    found = score(mapped(said), path)
    assert found.pixels is None
    wanted = np.zeros((5, 5), int)
    wanted[[1, 3, 3, 2], [1, 2, 3, 0]] = 1
    assert np.array_equal(found.buildings.figures.confusion, wanted)
    assert found.buildings.unseen == 1
    assert found.buildings.compared == 4
    assert "1 of the reference's 6 features lie off the map and do not count" in found.notes


def test_vectors_that_cannot_be_used(tmp_path: Path, mapped: Callable[[np.ndarray], Path]) -> None:
    path = mapped(town())
    with pytest.raises(GridError, match=r"none of the 1 features of .*far\.geojson .* lies on the map"):
        score(path, vector(tmp_path / "far.geojson", [square(9000, 9000)], [1]))
    with pytest.raises(GridError, match="no polygon of the reference on the map of map has 10 m2"):
        score(path, vector(tmp_path / "sliver.geojson", [square(10, 10, 2)], [1]))
    line = shapely.LineString([GRID.affine @ (0, 0), GRID.affine @ (50, 50)])
    with pytest.raises(AssetError, match="has LineString: a reference has points or polygons"):
        score(path, vector(tmp_path / "lines.geojson", [line], [1]))
    with pytest.raises(AssetError, match="no feature on the map has a grade"):
        score(path, vector(tmp_path / "empty.geojson", [square(10, 10)], ["un-classified"]), column="damage")


def test_the_verb_prints_a_table_or_json(
    tmp_path: Path, mapped: Callable[[np.ndarray], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    said = town()
    said[60:80, 60:80] = 3
    path, truth = mapped(said), raster(tmp_path / "truth.tif", town())
    verb(prediction=path, reference=truth, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["buildings"] is None
    assert told["pixels"]["summary"]["damage_recall"] == 1
    assert told["pixels"]["classes"][4]["recall"] == 0
    verb(prediction=path, reference=truth)
    out = capsys.readouterr().out
    for word in (*confusion.NAMES, "macro-F1", "no damage anywhere", "all background", "0.500"):
        assert word in out


def test_the_pseudo_labels_of_joplin_score_full_marks_against_themselves(
    shared: Path, mapped: Callable[[np.ndarray], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shared / "joplin/joplin_damage_pseudolabel_60cm.tif"
    with rasterio.open(path) as source:
        box = GeoBox(source.shape, source.transform, source.crs)
        damage = source.read(1)
    monkeypatch.setattr(f"{__name__}.GRID", box)
    item = mapped(damage)
    assert score(item, path).pixels.figures.summary.macro_f1 == 1
    found = score(item, path.with_name("joplin_damage_pseudolabel.geojson"))
    assert found.pixels.figures.summary.macro_f1 > 0.95
    assert found.buildings.figures.summary.damage_f1 > 0.95
