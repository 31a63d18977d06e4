from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from mage_stac.errors import PlaceError
from mage_stac.scene import sources
from mage_stac.scene.columns import Columns, Raster


def footprints(count: int = 2) -> gpd.GeoDataFrame:
    boxes = [shapely.box(500000 + 20 * i, 5000000, 500010 + 20 * i, 5000008) for i in range(count)]
    return gpd.GeoDataFrame({"height": np.full(count, 6.0)}, geometry=boxes, crs="EPSG:32632")


def grid(path: Path, values: np.ndarray, **profile: object) -> Path:
    options = {"crs": "EPSG:32632", "transform": Affine(2.0, 0.0, 500000.0, 0.0, -2.0, 5000100.0), **profile}
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype, **options
    ) as dataset:
        dataset.write(values, 1)
    return path


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet", ".shp", ".fgb"])
def test_every_table_format_is_known(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"houses{suffix}"
    frame = footprints()
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_crs(4326).to_file(path) if suffix == ".geojson" else frame.to_file(path)
    (source,) = sources.identify([path])
    assert source.driver == ("Parquet" if suffix == ".parquet" else "table")
    assert "height" in {field.lower() for fields in source.layers.values() for field in fields}


def test_archives_and_folders_stand_for_their_files(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    footprints().to_file(inner / "a.shp")
    footprints().to_file(inner / "b.gpkg")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in inner.iterdir():
            archive.write(file, f"deep/{file.name}")
    assert sorted(source.label for source in sources.identify([tmp_path / "all.zip"])) == [
        "all.zip/deep/a.shp",
        "all.zip/deep/b.gpkg",
    ]
    assert len(sources.identify([inner])) == 2


def test_rasters_are_told_by_name_role_and_classes(tmp_path: Path) -> None:
    heights = np.zeros((4, 4), np.float32)
    grid(tmp_path / "my_dsm_2m.tif", heights)
    grid(tmp_path / "x.tif", heights)
    grid(tmp_path / "nlcd_2019.tif", np.full((4, 4), 41, np.uint8))
    found = sources.identify([tmp_path / "my_dsm_2m.tif", f"terrain={tmp_path / 'x.tif'}", tmp_path / "nlcd_2019.tif"])
    assert [source.raster.role for source in found if source.raster] == ["surface", "terrain", "cover"]
    with pytest.raises(PlaceError, match=r"terrain=x\.tif"):
        sources.identify([tmp_path / "x.tif"])
    own = Columns(title="mine", rasters=(Raster(name="x.tif", role="height"),))
    assert sources.identify([tmp_path / "x.tif"], own)[0].raster == own.rasters[0]


def test_classes_that_no_map_names(tmp_path: Path) -> None:
    path = grid(tmp_path / "nlcd.tif", np.full((4, 4), 7 * 31, np.uint8))
    with pytest.raises(PlaceError, match=r"217.*rasters\.classes"):
        sources.identify([path])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("houses.gpkg", b"<!DOCTYPE html><html>", "begins like a web page, not SQLite: download it again"),
        ("dem.tif", b'{"type": "FeatureCollection"}', "begins like JSON, not TIFF: rename it"),
        ("houses.geojson", b"PK\x03\x04....", "begins like zip, not JSON"),
        ("houses.zip", b"not a zip at all", "not zip"),
        ("town.osm.pbf", b"", "it is empty"),
        ("houses.shp", b"\x00\x00\x27\x0a" + b"\x00" * 40, "cannot be read"),
        ("notes.txt", b"hello", "no kind that is read"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PlaceError, match=message) as caught:
        sources.identify([tmp_path / name])
    assert "\n" not in str(caught.value)


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="no file"):
        sources.identify([tmp_path / "none.gpkg"])
    with pytest.raises(PlaceError, match="no file that is read"):
        sources.identify([tmp_path])
    with pytest.raises(PlaceError, match="no files given"):
        sources.identify([])


def test_a_zip_with_stray_leading_bytes(shared: Path) -> None:
    file = shared / "twins/norcia/EMSR190_10NORCIA_GRADING_OVERVIEW-MONIT02_v1_vector.zip"
    assert not file.read_bytes().startswith(b"PK")
    found = sources.identify([file])
    assert len(found) == 8
    assert {source.columns.title for source in found} == {"Copernicus Emergency Management Service, rapid mapping"}
