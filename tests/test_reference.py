from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from mage_stac import reference
from mage_stac.errors import AssetError, CatalogueError


def points(path: Path, **columns: list) -> Path:
    count = len(next(iter(columns.values())))
    gpd.GeoDataFrame(columns, geometry=[shapely.Point(i, 1) for i in range(count)], crs="EPSG:4326").to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["no-damage", "minor-damage", "major-damage", "destroyed", "un-classified"], [1, 2, 3, 4, 255]),
        (["No visible damage", "Possibly damaged", "Damaged", "Destroyed", "Not analysed"], [1, 2, 3, 4, 255]),
        (["Not Affected", "Moderately Damaged", "Highly Damaged", "Completely Destroyed"], [1, 2, 3, 4]),
        ([1, 2, 3, 4, 255], [1, 2, 3, 4, 255]),
        ([1.0, np.nan, 4.0], [1, 255, 4]),
        (["1", " 4 ", None, "Major_Damage"], [1, 4, 255, 3]),
        ([0, 5, "rubbish"], [-1, -1, -1]),
    ],
)  # fmt: skip
def test_words_and_numbers_of_grades(values: list, wanted: list[int]) -> None:
    assert reference.grades(pd.Series(values, dtype=object)).tolist() == wanted


def test_the_column_is_found_by_its_name_and_its_values(tmp_path: Path) -> None:
    found = reference.find(points(tmp_path / "a.parquet", name=["x", "y"], Damage_Gra=["destroyed", "no damage"]))
    assert (found.column, found.table["grade"].tolist()) == ("Damage_Gra", [4, 1])
    both = reference.find(points(tmp_path / "b.parquet", damage=["shed", "barn"], dmg=[2, 3]))
    assert (both.column, both.table["grade"].tolist()) == ("dmg", [2, 3])


def test_the_column_may_be_named(tmp_path: Path) -> None:
    path = points(tmp_path / "a.parquet", grade=[1, 2], level=["major", "minor"])
    assert reference.find(path, column="LEVEL").table["grade"].tolist() == [3, 2]
    with pytest.raises(AssetError, match="has no column 'size'; it has: grade, level"):
        reference.find(path, column="size")


def test_no_column_and_strange_grades_are_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no column of damage grades; name it with --column, it has: height, name"):
        reference.find(points(tmp_path / "a.parquet", height=[1, 2], name=["x", "y"]))
    with pytest.raises(
        AssetError, match=r"column 'grade' has grades that are not understood: 'gone', '7'; the numbers 1-4"
    ):
        reference.find(
            points(tmp_path / "b.parquet", grade=["gone", "7"]).rename(tmp_path / "c.parquet"), column="grade"
        )


def test_a_strange_number_is_named_as_a_number(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"grades that are not understood: 7; the numbers 1-4"):
        reference.find(points(tmp_path / "a.parquet", grade=[1, 7]))


def test_a_raster_is_left_to_be_opened(tmp_path: Path) -> None:
    assert reference.find(tmp_path / "truth.tif").raster == tmp_path / "truth.tif"


def test_a_vector_whose_ending_is_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "GRADES.GEOJSON"
    frame = gpd.GeoDataFrame({"grade": [3]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4326")
    path.write_text(frame.to_json(), "utf-8")
    assert reference.find(path).table["grade"].tolist() == [3]


def test_json_is_an_item_or_a_vector(tmp_path: Path) -> None:
    (tmp_path / "item.json").write_text('{"stac_version": "1.1.0", "type": "Feature", "id": "broken"}')
    with pytest.raises(CatalogueError, match="broken"):
        reference.find(tmp_path / "item.json")
    (tmp_path / "junk.json").write_text("{")
    with pytest.raises(AssetError, match="cannot be read as JSON"):
        reference.find(tmp_path / "junk.json")


def test_the_polygons_of_joplin(shared: Path) -> None:
    found = reference.find(shared / "joplin/joplin_damage_pseudolabel.geojson")
    assert found.column == "damage"
    assert np.bincount(found.table["grade"]).tolist() == [0, 107, 51, 83, 399]


def test_the_grading_of_norcia(shared: Path) -> None:
    path = shared / "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    with pytest.raises(AssetError, match=r"8 layers: choose one of .*settlements_poly_grading.* with --layer"):
        reference.find(path)
    found = reference.find(path, layer="EMSR190_10NORCIA_02GRADING_MONIT02_v1_12500_settlements_poly_grading")
    assert found.column == "grading"
    assert np.bincount(found.table["grade"]).tolist() == [0, 2290, 9, 7, 8]


def test_certainty_is_that_of_the_state_a_building_is_said_to_be_in() -> None:
    chances = np.array([[0.3, 0.3, 0.2, 0.2], [0.1, 0.1, 0.5, 0.1], [0.0, 0.0, 0.1, 0.3], [np.nan] * 4, [1, 0, 0, 0]])
    found = reference.certainty(chances, np.array([2, 3, 4, 1, 255]))
    np.testing.assert_allclose(found, [0.6, 0.5 / 0.8, 0.75, 0, 0])
