from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from mage_stac import vectors
from mage_stac.errors import AssetError, GridError


def points(path: Path, crs: str | None = "EPSG:4326", **options: str) -> Path:
    geometry = shapely.Point(3, 4) if path.suffix == ".fgb" else None  # FlatGeobuf has no empty ones
    made = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[shapely.Point(1, 2), geometry], crs=crs)
    made.to_parquet(path) if path.suffix == ".parquet" else made.to_file(path, **options)
    return path


@pytest.mark.parametrize("name", ["v.geojson", "v.gpkg", "v.parquet", "v.fgb"])
def test_formats(tmp_path: Path, name: str) -> None:
    found = vectors.read(points(tmp_path / name))
    assert sorted(found["a"]) == ([1, 2] if name == "v.fgb" else [1])  # the feature without geometry is left out
    assert found.crs == "EPSG:4326"


def test_a_missing_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"none\.geojson does not exist"):
        vectors.read(tmp_path / "none.geojson")
    for name in ("broken.geojson", "broken.parquet"):
        (tmp_path / name).write_text("not a vector file")
        with pytest.raises(AssetError, match=rf"{name} cannot be read as a vector file"):
            vectors.read(tmp_path / name)


def test_a_table_without_geometry_or_crs(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(AssetError, match=r"Missing geo metadata|has no geometries"):
        vectors.read(tmp_path / "table.parquet")
    (tmp_path / "table.csv").write_text("name,length\nA,3\n")
    with pytest.raises(AssetError, match=r"table\.csv has no geometries: give a file of points, lines or polygons$"):
        vectors.read(tmp_path / "table.csv")
    with pytest.raises(GridError, match="does not say its CRS"):
        vectors.read(points(tmp_path / "v.parquet", crs=None))


def test_layers(tmp_path: Path) -> None:
    path = points(tmp_path / "v.gpkg", layer="one")
    points(path, layer="two")
    assert len(vectors.read(path, layer="two")) == 1
    with pytest.raises(AssetError, match="2 layers: choose one of one, two"):
        vectors.read(path)
    with pytest.raises(AssetError, match="no layer 'three'; it has: one, two"):
        vectors.read(path, layer="three")


def test_a_zipped_shapefile_with_layers(shared: Path) -> None:
    path = shared / "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    found = vectors.read(path, layer="EMSR190_10NORCIA_02GRADING_MONIT02_v1_12500_settlements_poly_grading")
    assert len(found) == 2314


def test_endings_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "A.PARQUET"
    gpd.GeoDataFrame(geometry=[shapely.Point(1, 2)], crs="EPSG:4326").to_parquet(path)
    assert len(vectors.read(path)) == 1
