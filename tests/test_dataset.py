from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import predictions
import pytest
import rasterio
import synthetic
import xarray as xr
from affine import Affine
from imagery import box, noise, write_image, write_raster
from odc.geo.geobox import GeoBox

import mage_stac
from mage_stac import catalogue
from mage_stac.classes import DAMAGE_CLASSES
from mage_stac.errors import AssetError, CatalogueError, GridError

HOUSES = [(10, 20, 1), (40, 50, 3), (100, 200, 4)]
HIDDEN = np.s_[150:200, 0:60]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("opened") / "out"
    predictions.write(root, HOUSES, unseen=HIDDEN)
    return root / "predictions" / "map"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write(tmp_path_factory.mktemp("opened") / "pairs", scenes=2, size=64)


def test_importing_the_library_waits_for_nothing() -> None:
    code = "import sys, mage_stac; print([m for m in ('numpy', 'xarray', 'rasterio', 'pystac') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'shut'"):
        mage_stac.shut  # noqa: B018


def test_a_point_of_a_map_has_a_named_class(folder: Path) -> None:
    opened = mage_stac.open(folder)
    assert set(opened.data_vars) == {"damage", "probability"}
    assert opened.damage.attrs["long_name"] == catalogue.read_item(folder).assets["damage"].title
    with rasterio.open(folder / "damage.tif") as source:
        for row, column, grade in HOUSES:
            x, y = source.xy(row + 5, column + 5)
            point = opened.sel(x=x, y=y)  # exact: coordinates are pixel centres
            assert [int(point.damage)] == next(source.sample([(x, y)])).tolist() == [grade]
            assert mage_stac.named(point.damage).values.item() == DAMAGE_CLASSES[grade].name
            assert opened.probability.probability_band.to_numpy()[grade] == DAMAGE_CLASSES[grade].name
            assert float(point.probability[grade]) == pytest.approx(0.9, abs=0.004)
        assert opened.damage.dtype == np.uint8
        np.testing.assert_array_equal(opened.damage, source.read(1))


def test_classes_are_named_as_cf_does(folder: Path) -> None:
    damage = mage_stac.open(folder).damage
    assert damage.flag_values.dtype == damage.dtype
    names = dict(zip(damage.flag_values.tolist(), damage.flag_meanings.split(), strict=True))
    assert names == {entry.value: entry.name for entry in DAMAGE_CLASSES}
    assert damage.attrs["nodata"] == 255


def test_what_was_not_observed_is_255_in_classes_and_nan_elsewhere(folder: Path) -> None:
    opened = mage_stac.open(folder)
    assert (opened.damage[HIDDEN] == 255).all()
    assert set(np.unique(mage_stac.named(opened.damage[HIDDEN]))) == {"not-observed"}
    hidden = np.isnan(opened.probability).all("probability_band")
    expected = np.zeros(hidden.shape, bool)
    expected[HIDDEN] = True
    np.testing.assert_array_equal(hidden, expected)


def test_its_grid_is_found_by_odc_and_written_by_xarray(folder: Path) -> None:
    opened = mage_stac.open(folder)
    assert opened.odc.geobox == predictions.GRID
    assert opened.damage.encoding["grid_mapping"] == "spatial_ref"
    assert "EPSG" in opened.spatial_ref.attrs["crs_wkt"]
    assert opened.attrs["id"] == "map"
    assert str(opened.time.dt.date.item()) == "2011-05-24"


def test_a_file_is_told_of_by_the_item_beside_it(folder: Path, tmp_path: Path) -> None:
    beside = mage_stac.open(folder / "damage.tif")
    assert list(beside.data_vars) == ["damage"]
    assert mage_stac.named(beside.damage[105, 205]).values.item() == "destroyed"
    alone = mage_stac.open(shutil.copyfile(folder / "damage.tif", tmp_path / "alone.tif"))
    np.testing.assert_array_equal(alone.alone, beside.damage)
    assert "flag_values" not in alone.alone.attrs
    with pytest.raises(AssetError, match="alone has no classes"):
        mage_stac.named(alone.alone)


def test_one_asset_alone_and_pictures_only_if_asked_for(folder: Path) -> None:
    assert list(mage_stac.open(folder, assets=["visual"]).data_vars) == ["visual"]
    with pytest.raises(AssetError, match="no asset 'depth'; it has: buildings, damage"):
        mage_stac.open(folder, assets=["depth"])


def test_a_pair_has_two_times_and_one_truth(pairs: Path) -> None:
    opened = mage_stac.open(pairs, pair="blocks-0-00001")
    assert opened.image.dims == ("time", "image_band", "y", "x")
    assert opened.image.time.dt.strftime("%m-%d").to_numpy().tolist() == ["05-01", "05-24"]
    assert opened.damage.dims == ("y", "x")
    home = pairs / synthetic.COLLECTION
    for time, phase in enumerate(("pre", "post")):
        with rasterio.open(home / f"blocks-0-00001-{phase}" / "image.tif") as source:
            np.testing.assert_allclose(opened.image[time], source.read() / 255, rtol=1e-6)
    with rasterio.open(home / "blocks-0-00001-label" / "damage.tif") as source:
        np.testing.assert_array_equal(opened.damage, source.read(1))


def test_several_places_are_told_apart(pairs: Path) -> None:
    with pytest.raises(GridError, match=r"one pair: its pairs are blocks-0-00000, blocks-0-00001"):
        mage_stac.open(pairs)
    with pytest.raises(CatalogueError, match=r"no pair 'x'; its pairs are blocks-0-00000"):
        mage_stac.open(pairs, pair="x")
    with pytest.raises(CatalogueError, match="no rasters called depth"):
        mage_stac.open(pairs, pair="blocks-0-00000", assets=["depth"])


def test_the_maps_and_the_truth_of_a_catalogue_do_not_mix(folder: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folder.parent.parent, tmp_path / "out")
    other = root / "labels" / "map2"
    shutil.copytree(folder, other)
    document = catalogue.read_json(other / "map.json")
    catalogue.write_json(other / "map2.json", {**document, "id": "map2", "collection": "labels"})
    (other / "map.json").unlink()
    catalogue.index(root, id="x", title="x", collections={"labels": {"title": "L", "license": "CC0-1.0"}})
    with pytest.raises(CatalogueError, match="both hold classes called 'damage'"):
        mage_stac.open(root)
    assert len(mage_stac.open(root, assets=["probability"]).time) == 2


def test_scales_masks_and_signed_numbers_of_a_plain_file(tmp_path: Path) -> None:
    geobox = GeoBox((3000, 5), Affine(10, 0, 300_000, 0, -10, 5_000_000), "EPSG:32633")
    numbers = np.arange(2 * 3000 * 5, dtype=np.int16).reshape(2, 3000, 5)
    path = tmp_path / "scene.tif"
    write_raster(path, numbers, geobox, nodata=7, tiled=True)
    whole = mage_stac.open(path).scene
    assert (whole.dtype, whole.attrs["nodata"], whole.dims[0]) == (np.int16, 7, "scene_band")
    assert len(whole.chunks[1]) == 2
    np.testing.assert_array_equal(whole, numbers)
    with rasterio.open(path, "r+") as source:
        source.scales, source.offsets = (0.5, 0.5), (1.0, 2.0)
    scaled = mage_stac.open(path).scene
    assert np.isnan(scaled[0, 1, 2])
    assert float(scaled[1, 2999, 4]) == 29_999 * 0.5 + 2
    assert int(np.isnan(scaled).sum()) == 1


def test_a_nodata_value_that_no_pixel_can_have_and_a_time_of_another_zone(tmp_path: Path) -> None:
    write_image(tmp_path, "i", noise(3, 8, 8), box(8, 8))
    path = tmp_path / "c" / "i" / "i.json"
    document = catalogue.read_json(path)
    document["assets"]["image"] |= {"nodata": "nan", "raster:scale": 1.0}
    document["properties"]["datetime"] = "2020-06-15T14:00:00+02:00"
    catalogue.write_json(path, document)
    image = mage_stac.open(path.parent).image
    assert (image.dtype, image.attrs["nodata"]) == (np.uint8, None)
    assert image.time.item() == np.datetime64("2020-06-15T12:00:00", "ns").item()


def test_a_number_without_a_name_is_unknown() -> None:
    values = xr.DataArray([0, 9, 4], dims="x", attrs={"flag_values": np.array([4, 0]), "flag_meanings": "gone fine"})
    assert mage_stac.named(values).to_numpy().tolist() == ["fine", "unknown", "gone"]
    assert mage_stac.named(values.chunk()).to_numpy().tolist() == ["fine", "unknown", "gone"]


def test_what_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        mage_stac.open(tmp_path / "nothing")
    (tmp_path / "x.tif").write_text("no raster")
    with pytest.raises(AssetError, match=r"x\.tif"):
        mage_stac.open(tmp_path / "x.tif")
