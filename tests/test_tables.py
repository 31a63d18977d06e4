from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from houses import GRID, HOUSES, frame, probabilities, written

from mage_stac.cog import write_cog
from mage_stac.products import buildings, footprints, tables


def test_a_map_without_buildings_makes_an_empty_file(tmp_path: Path) -> None:
    write_cog(tmp_path / "damage.tif", np.zeros(GRID.shape, np.uint8), GRID, nodata=255)
    found = buildings.graded(footprints.traced(tmp_path / "damage.tif"), tmp_path / "damage.tif")
    tables.write(tmp_path / "buildings.parquet", found)
    back = gpd.read_parquet(tmp_path / "buildings.parquet")
    assert len(back) == 0
    assert back.crs == "EPSG:32615"


def test_geoparquet_keeps_crs_columns_and_nulls(tmp_path: Path) -> None:
    cube = probabilities()
    damage = np.where(cube[0] == 255, 255, np.where(cube[0] < 125, 2, 0)).astype(np.uint8)
    write_cog(tmp_path / "damage.tif", damage, GRID, nodata=255)
    found = buildings.graded(footprints.traced(tmp_path / "damage.tif"), written(tmp_path, cube))
    path = tmp_path / "buildings.parquet"
    tables.write(path, found)
    back = gpd.read_parquet(path)
    assert back["footprint_id"].isna().all()
    assert back["grade"].tolist() == found["grade"].tolist()
    described = buildings.asset(path, found).extra_fields
    assert [column["name"] for column in described["table:columns"]] == list(buildings.COLUMNS)
    assert described["table:row_count"] == len(back) == 3


@pytest.mark.parametrize("suffix", tables.FORMATS)
def test_what_gdal_writes_has_a_layer_and_an_asset(tmp_path: Path, suffix: str) -> None:
    found = frame(*HOUSES)
    tables.write_as(tmp_path / f"houses.{suffix}", found)
    assert gpd.list_layers(tmp_path / f"houses.{suffix}")["name"].tolist() == ["houses"]
    back = gpd.read_file(tmp_path / f"houses.{suffix}").to_crs(GRID.crs.to_wkt()).sort_values("footprint_id")
    assert back["footprint_id"].tolist() == ["f0", "f1", "f2"]
    assert back.geometry.area.tolist() == pytest.approx(found.area.tolist(), rel=1e-4)  # GeoJSON rounds to 1e-7 degrees
    ((key, asset),) = tables.other_assets(tmp_path, "houses").items()
    assert (key, asset.href, asset.media_type) == (f"houses-{suffix}", f"houses.{suffix}", tables.FORMATS[suffix][1])
