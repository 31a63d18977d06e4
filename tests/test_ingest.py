from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import rasterio
from imagery import box, noise, write_raster
from rasterio.enums import ColorInterp

from mage_stac import catalogue, cog, cube, grid, ingest, publish
from mage_stac.errors import AssetError, CatalogueError, RecipeError
from mage_stac.ingest import Plan
from mage_stac.validate import validate


def plan(out: Path, **changes: object) -> Plan:
    return Plan(**{"out": out, "datetime": "2011-05-24", "collection": "post", **changes})  # type: ignore[arg-type]


def test_pixels_and_grid_stay(tmp_path: Path, schemas: Path) -> None:
    image = noise(3, 70, 80)
    source = write_raster(tmp_path / "raw" / "my tile (1).tif", image, box(70, 80), photometric="RGB")
    made = ingest.ingest([source], plan(tmp_path / "out"))
    (path,) = made.items
    assert path == tmp_path / "out" / "post" / "my-tile-1" / "my-tile-1.json"
    item = catalogue.read_item(path)
    with rasterio.open(catalogue.asset_path(item, "image")) as copy:
        assert (copy.read() == image).all()
        assert copy.transform == box(70, 80).affine
        assert copy.nodata is None
    assert [band["name"] for band in item.assets["image"].extra_fields["bands"]] == ["red", "green", "blue"]
    assert item.properties["gsd"] == pytest.approx(0.6, abs=1e-3)
    assert item.properties["title"] == "my tile (1).tif"
    assert validate(tmp_path / "out", schemas).problems == ()


def test_again_does_only_what_is_missing_or_changed(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    for number in range(2):
        write_raster(folder / f"t{number}.tif", noise(3, 20, 20, seed=number), box(20, 20))
    ingest.ingest([folder], plan(tmp_path / "out"))
    stamp = (tmp_path / "out" / "post" / "t0" / "image.tif").stat().st_mtime_ns
    write_raster(folder / "t1.tif", noise(3, 20, 20, seed=9), box(20, 20))
    write_raster(folder / "t2.tif", noise(3, 20, 20, seed=2), box(20, 20))
    made = ingest.ingest([folder], plan(tmp_path / "out"))
    assert made.kept == 1
    assert len(made.items) == 3
    assert (tmp_path / "out" / "post" / "t0" / "image.tif").stat().st_mtime_ns == stamp
    assert ingest.ingest([folder], plan(tmp_path / "out", nodata=0.0)).kept == 0


def test_whose_images_they_are_is_kept(tmp_path: Path, schemas: Path) -> None:
    source = write_raster(tmp_path / "a.tif", noise(3, 20, 20), box(20, 20))
    ingest.ingest([source], plan(tmp_path / "out", licence="CC-BY-4.0", provider="Survey & Co"))
    made = ingest.ingest([source], plan(tmp_path / "out"))
    told = catalogue.read_json(made.collection / "collection.json")
    assert told["license"] == "CC-BY-4.0"
    assert told["providers"] == [{"name": "Survey & Co", "roles": ["producer"]}]
    assert validate(tmp_path / "out", schemas).problems == ()
    with pytest.raises(CatalogueError, match="licence 'my own' is no SPDX identifier"):
        ingest.ingest([source], plan(tmp_path / "out", licence="my own"))


def test_a_second_collection_joins_the_catalogue(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", noise(3, 20, 20), box(20, 20))
    ingest.ingest([source], plan(tmp_path / "out"))
    ingest.ingest([source], plan(tmp_path / "out", collection="pre", datetime="2010-01-01/2010-12-31"))
    assert [item.collection_id for item in catalogue.read_items(tmp_path / "out")] == ["post", "pre"]


def test_a_nodata_value_asked_for(tmp_path: Path) -> None:
    image = noise(3, 40, 40)
    image[:, :, :8] = 0
    source = write_raster(tmp_path / "a.tif", image, box(40, 40))
    (notice,) = ingest.ingest([source], plan(tmp_path / "plain")).notices
    assert "20.0% is black at the edge" in notice
    assert "--nodata 0" in notice
    made = ingest.ingest([source], plan(tmp_path / "out", nodata=0.0))
    assert made.notices == ()
    _, valid = cube.read(catalogue.read_items(made.collection), box(40, 40))
    assert valid[:, 8:].all()
    assert not valid[:, :8].any()


def test_dark_places_inside_are_no_collar(tmp_path: Path) -> None:
    image = noise(3, 40, 40)
    image[:, 10:20, 10:20] = 0
    source = write_raster(tmp_path / "a.tif", image, box(40, 40))
    assert ingest.ingest([source], plan(tmp_path / "out")).notices == ()


def test_an_alpha_band_becomes_nodata(tmp_path: Path, schemas: Path) -> None:
    image = noise(4, 20, 20)
    image[3] = 255
    image[3, :5] = 0
    image[:3, 10, 10] = 0  # black, and observed
    source = write_raster(tmp_path / "a.tif", image, box(20, 20), photometric="RGB", alpha="YES")
    made = ingest.ingest([source], plan(tmp_path / "out"))
    item = catalogue.read_item(made.items[0])
    values, valid = cube.read([item], box(20, 20))
    assert len(values) == 3
    assert (valid == (image[3] > 0)).all()
    assert np.rint(values[:, 10, 10] * 255).tolist() == [1, 0, 0]
    assert made.notices == ()
    assert validate(tmp_path / "out", schemas).problems == ()


def test_four_bands_by_the_sensor(tmp_path: Path) -> None:
    source = write_raster(tmp_path / "a.tif", noise(4, 20, 20), box(20, 20), photometric="MINISBLACK")
    with rasterio.open(source, "r+") as target:
        target.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * 3]
    made = ingest.ingest([source], plan(tmp_path / "out", sensor="naip"))
    bands = catalogue.read_item(made.items[0]).assets["image"].extra_fields["bands"]
    assert [band["eo:common_name"] for band in bands] == ["red", "green", "blue", "nir"]


def test_near_infrared_that_gdal_calls_alpha(tmp_path: Path) -> None:
    image = noise(4, 40, 40)
    image[3, :10] = 0  # water is black there
    source = write_raster(tmp_path / "a.tif", image, box(40, 40))
    with rasterio.open(source) as file:
        assert file.colorinterp[3] == ColorInterp.alpha
    made = ingest.ingest([source], plan(tmp_path / "out", sensor="naip"))
    with rasterio.open(tmp_path / "out/post/a/image.tif") as copy:
        assert (copy.read() == image).all()
        assert copy.nodata is None
    assert made.notices == ()
    bare = ingest.ingest([source], plan(tmp_path / "bare"))
    assert "band 4 is marked as alpha but looks like an image" in bare.notices[0]
    assert "--sensor that has it, such as naip" in bare.notices[0]


@pytest.mark.parametrize("count", [3, 4])
def test_bands_are_called_by_the_colours_that_the_file_tells(tmp_path: Path, count: int) -> None:
    image = noise(count, 20, 20).astype("uint16") * 9
    source = write_raster(tmp_path / "a.tif", image, box(20, 20), photometric="RGB", alpha="UNSPECIFIED")
    made = ingest.ingest([source], plan(tmp_path / "out"))
    bands = catalogue.read_item(made.items[0]).assets["image"].extra_fields["bands"]
    assert [band["name"] for band in bands] == ["red", "green", "blue", "b4"][:count]


def test_heights_in_metres_with_their_own_nodata(tmp_path: Path, schemas: Path) -> None:
    height = np.random.default_rng(0).normal(300, 5, (1, 20, 20)).astype("float32")
    height[0, :4] = -9999
    source = write_raster(tmp_path / "dem.tif", height, box(20, 20), nodata=-9999)
    made = ingest.ingest([source], plan(tmp_path / "out", nodata=0.0))
    assert "its own nodata value -9999 is kept" in made.notices[0]
    values, valid = cube.read(catalogue.read_items(made.collection), box(20, 20))
    assert np.abs(values[0, 4:] - height[0, 4:]).max() == 0
    assert not valid[:4].any()
    assert validate(tmp_path / "out", schemas).problems == ()


def test_files_that_fail_do_not_stop_the_others(tmp_path: Path) -> None:
    good = write_raster(tmp_path / "good.tif", noise(3, 300, 300), box(300, 300), compress="deflate", tiled=True)
    broken = tmp_path / "broken.tif"
    broken.write_bytes(good.read_bytes()[:120_000])
    with pytest.raises(AssetError, match=r"1 of 2 files not ingested: .*broken\.tif cannot be read") as caught:
        ingest.ingest([broken, good], plan(tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert [item.id for item in catalogue.read_items(tmp_path / "out")] == ["good"]
    assert not list((tmp_path / "out").rglob("*.partial*"))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"datetime": "in May"}, CatalogueError, "datetime 'in May'"),
        ({"sensor": "hubble"}, RecipeError, "no sensor 'hubble'"),
        ({"sensor": "naip"}, AssetError, "has 3 bands of uint8, but sensor naip has 4"),
        ({"nodata": -9999.0}, AssetError, "--nodata -9999 cannot stand in"),
        ({"collection": "a/b"}, CatalogueError, "cannot be a file name"),
    ],
)
def test_bad_input(tmp_path: Path, changes: dict[str, object], error: type[Exception], said: str) -> None:
    source = write_raster(tmp_path / "a.tif", noise(3, 20, 20), box(20, 20))
    with pytest.raises(error, match=said):
        ingest.ingest([source], plan(tmp_path / "out", **changes))
    assert not list((tmp_path / "out").rglob("*.*"))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogueError, match="holds no raster"):
        ingest.ingest([tmp_path / "empty"], plan(tmp_path / "out"))
    with pytest.raises(CatalogueError, match="no files"):
        ingest.ingest([], plan(tmp_path / "out"))
    with pytest.raises(AssetError, match="No such file"):
        ingest.ingest([tmp_path / "no.tif"], plan(tmp_path / "out"))
    one = write_raster(tmp_path / "x" / "a.tif", noise(3, 20, 20), box(20, 20))
    two = write_raster(tmp_path / "y" / "a.tif", noise(3, 20, 20), box(20, 20))
    with pytest.raises(CatalogueError, match="would both become Item a"):
        ingest.ingest([one, two], plan(tmp_path / "out"))


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_raster(tmp_path / "a.tif", noise(3, 20, 20), box(20, 20))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cog, "_check", full)
    with pytest.raises(CatalogueError, match="no space left"):
        ingest.ingest([source], plan(tmp_path / "out"))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_ctrl_c_keeps_what_was_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        write_raster(tmp_path / "raw" / f"t{number}.tif", noise(3, 20, 20), box(20, 20))
    real = publish.imagery_item

    def stop(**fields: object) -> object:
        if fields["id"] == "t1":
            raise KeyboardInterrupt
        return real(**fields)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "imagery_item", stop)
    with pytest.raises(KeyboardInterrupt):
        ingest.ingest([tmp_path / "raw"], plan(tmp_path / "out"))
    assert [path.name for path in sorted((tmp_path / "out" / "post").iterdir())] == ["t0"]
    monkeypatch.undo()
    assert ingest.ingest([tmp_path / "raw"], plan(tmp_path / "out")).kept == 1
    assert len(catalogue.read_items(tmp_path / "out")) == 3


def test_joplin_as_delivered(shared: Path, tmp_path: Path, schemas: Path) -> None:
    raw = shared / "joplin" / "raw"
    ingest.ingest([raw / "pre" / "tile_337-10160.tif"], plan(tmp_path, collection="pre", sensor="aerial-rgb"))
    ingest.ingest([raw / "post" / "tile_31500-5137.tif"], plan(tmp_path))
    pre, post = (catalogue.read_items(tmp_path, collection=name) for name in ("pre", "post"))
    written = catalogue.read_json(tmp_path / "pre" / pre[0].id / f"{pre[0].id}.json")
    assert written["properties"]["proj:epsg"] == 26915
    assert post[0].properties["proj:code"] == "EPSG:4326"
    assert post[0].properties["gsd"] == pytest.approx(0.597, abs=0.01)
    assert grid.of_items(pre, "image") == grid.of_raster(raw / "pre" / "tile_337-10160.tif")
    assert validate(tmp_path, schemas).problems == ()


def test_a_radar_s_floating_point_numbers_are_decibels(tmp_path: Path, schemas: Path) -> None:
    power = np.random.default_rng(0).gamma(4.0, 0.02, (1, 20, 20)).astype(np.float32)
    decibels = (10 * np.log10(power)).astype(np.float32)
    decibels[:, :3] = -9999
    source = write_raster(tmp_path / "sigma0.tif", decibels, box(20, 20), nodata=-9999)
    made = ingest.ingest([source], plan(tmp_path / "out", sensor="sar-x"))
    item = catalogue.read_item(made.items[0])
    assert [band["name"] for band in item.assets["image"].extra_fields["bands"]] == ["VV"]
    values, valid = cube.read([item], box(20, 20))
    np.testing.assert_array_equal(values[:, valid], decibels[:, 3:].reshape(1, -1))
    assert not valid[:3].any()
    assert validate(tmp_path / "out", schemas).problems == ()


@pytest.mark.parametrize("wrong", ["power", "amplitude", "whole numbers"])
def test_what_is_no_decibels_is_refused_as_a_radar_s(tmp_path: Path, wrong: str) -> None:
    power = np.random.default_rng(0).gamma(4.0, 0.02, (1, 20, 20)).astype(np.float32)
    image = {"power": power, "amplitude": np.sqrt(power), "whole numbers": (power * 10_000).astype(np.uint16)}[wrong]
    image[:, 0] = 0
    source = write_raster(tmp_path / "sigma0.tif", image, box(20, 20))
    with pytest.raises(AssetError, match="uint16" if wrong == "whole numbers" else "no value below 0.*decibels"):
        ingest.ingest([source], plan(tmp_path / "out", sensor="sar-x"))
    assert ingest.ingest([source], plan(tmp_path / "out")).items


def described(path: Path, names: tuple[str, ...], **changes: object) -> Path:
    """A file of 16 bits that says itself what its bands are."""
    write_raster(path, noise(len(names), 20, 30).astype("uint16") * 40, box(20, 30))
    with rasterio.open(path, "r+") as target:
        target.descriptions = names
        for name, value in changes.items():
            setattr(target, name, value)
    return path


BGRN = ("Blue", "Green", "Red", "NIR")
OWN = """
name = "own"
title = "Own"
gsd = 0.6
dtype = "uint16"
scale = 0.0001
bands = [
  { name = "red", common_name = "red", index = 3 },
  { name = "green", common_name = "green", index = 2 },
  { name = "blue", common_name = "blue", index = 1 },
  { name = "nir", common_name = "nir", index = 4 },
]
"""


def test_bands_in_another_order_are_known_by_what_they_are(tmp_path: Path) -> None:
    source = described(tmp_path / "a.tif", BGRN)
    (path,) = ingest.ingest([source], plan(tmp_path / "out")).items
    bands = catalogue.read_item(path).assets["image"].extra_fields["bands"]
    assert [(band["name"], band["eo:common_name"]) for band in bands] == [(name, name.lower()) for name in BGRN]
    with rasterio.open(source) as image, rasterio.open(path.parent / "visual.tif") as picture:
        for shown, own in zip(picture.read(), image.read([3, 2, 1]), strict=True):
            assert np.corrcoef(shown.ravel(), own.ravel())[0, 1] > 0.9


def test_a_sensor_whose_bands_lie_in_another_order_names_them_so_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    source = described(tmp_path / "a.tif", BGRN)
    (path,) = ingest.ingest([source], plan(tmp_path / "out", sensor=str(tmp_path / "own.toml"))).items
    with rasterio.open(path.parent / "image.tif") as copy:
        assert copy.descriptions == ("blue", "green", "red", "nir")


def test_a_corrected_sensor_file_makes_the_item_anew(tmp_path: Path) -> None:
    toml, source = tmp_path / "own.toml", described(tmp_path / "a.tif", BGRN)
    for scale, kept in ((1e-4, 0), (1e-4, 1), (5e-4, 0)):
        toml.write_text(OWN.replace("0.0001", str(scale)), "utf-8")
        made = ingest.ingest([source], plan(tmp_path / "out", sensor=str(toml)))
        assert made.kept == kept
        assert catalogue.read_item(made.items[0]).assets["image"].extra_fields["raster:scale"] == scale


@pytest.mark.parametrize(
    ("changes", "sensor", "said"),
    [
        ({}, "pleiades-neo", "says that its band 1 is blue, but that of sensor pleiades-neo is red"),
        (
            {
                "descriptions": ("",) * 4,
                "colorinterp": [ColorInterp[name] for name in ("blue", "green", "red", "gray")],
            },
            "pleiades-neo",
            "says that its band 1 is blue, but that of sensor pleiades-neo is red",
        ),
        (
            {"descriptions": ("",) * 4, "scales": (2e-4,) * 4, "offsets": (-0.1,) * 4},
            "pleiades-neo",
            "states scale 0.0002 and offset -0.1, but sensor pleiades-neo has 0.0001 and 0",
        ),
        ({"scales": (1e-4, 2e-4, 3e-4, 4e-4)}, None, "differ in scale or offset"),
    ],
    ids=["described", "coloured", "scaled", "each its own scale"],
)
def test_a_file_is_not_contradicted(tmp_path: Path, changes: dict[str, object], sensor: str | None, said: str) -> None:
    source = described(tmp_path / "a.tif", BGRN, **changes)
    with pytest.raises(AssetError, match=said):
        ingest.ingest([source], plan(tmp_path / "out", sensor=sensor))


def test_colours_that_gdal_gives_to_any_three_bands_contradict_nothing(tmp_path: Path) -> None:
    three = OWN.replace("uint16", "uint8").replace('  { name = "nir", common_name = "nir", index = 4 },\n', "")
    (tmp_path / "bgr.toml").write_text(three, "utf-8")
    source = write_raster(tmp_path / "a.tif", noise(3, 20, 30), box(20, 30), photometric="RGB")
    (path,) = ingest.ingest([source], plan(tmp_path / "out", sensor=str(tmp_path / "bgr.toml"))).items
    assert [band["name"] for band in catalogue.read_item(path).assets["image"].extra_fields["bands"]] == [
        "blue", "green", "red",
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["mask", "alpha"])
def test_what_a_mask_hides_beside_a_nodata_value(tmp_path: Path, by: str) -> None:
    """As JPEG leaves it: values beneath the mask are near nodata, not nodata."""
    image, shown = noise(3, 40, 50), np.full((40, 50), 255, np.uint8)
    image[:, 20, 20:30] = 0
    shown[:15] = 0
    path = tmp_path / "a.tif"
    if by == "alpha":
        write_raster(path, np.concatenate([image, shown[np.newaxis]]), box(40, 50), nodata=0, photometric="RGB")
        with rasterio.open(path, "r+") as target:
            target.colorinterp = [ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
    else:
        write_raster(path, image, box(40, 50), nodata=0)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
            target.write_mask(shown)
    (made,) = ingest.ingest([path], plan(tmp_path / "out")).items
    item = catalogue.read_item(made)
    _, seen = cube.read([item], grid.of_asset(item, "image"))
    assert (seen == (shown > 0)).all()
