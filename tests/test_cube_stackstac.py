"""odc-stac and stackstac behind one call: the same pixels on the same grid, and neither believes a lying Item."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pystac
import pytest
from affine import Affine
from imagery import box, noise, smooth, write_image, write_raster
from odc.geo.geobox import GeoBox

from mage_stac import cube, cube_stackstac, footprint, publish
from mage_stac.cube import Engine
from mage_stac.errors import AssetError, GridError

pytest.importorskip("stackstac", reason="needs mage-stac[stackstac]")

pytestmark = pytest.mark.filterwarnings(
    "ignore:Dataset has no geotransform:rasterio.errors.NotGeoreferencedWarning"  # rasterio's own copies in memory
)
ENGINES: tuple[Engine, ...] = ("odc", "stackstac")


def banded(
    folder: Path, name: str, image: np.ndarray, geobox: GeoBox, *, nodata: float | None = None, keys: str = "abc"
) -> pystac.Item:
    """An Item with one asset a band."""
    geometry, bounds = footprint.of_grid(geobox)
    item = pystac.Item(name, geometry, bounds, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="c")
    for key, band in zip(keys, image, strict=False):
        path = write_raster(folder / f"{name}-{key}.tif", band[None], geobox, nodata=nodata, tiled=True)
        asset = publish.raster_asset(str(path), title=key, geobox=geobox, dtype=image.dtype.name, nodata=nodata)
        item.add_asset(key, asset)
    return item


def both(items: list[pystac.Item], geobox: GeoBox, bands: list[str], **options: str) -> list[np.ndarray]:
    found = [cube.load(items, geobox, bands, engine=engine, **options) for engine in ENGINES]
    assert set(found[0].coords) == set(found[1].coords)
    for name, axis in found[0].coords.items():
        np.testing.assert_array_equal(axis.values, found[1].coords[name].values)
    assert found[1].odc.geobox == geobox
    assert all(one.dims == ("time", *geobox.dims) and one.chunks for data in found for one in data.values())
    return [np.stack([data[band].values[0] for band in bands]) for data in found]


def gappy() -> tuple[np.ndarray, np.ndarray]:
    first = noise(3, 90, 70).astype("uint16") * 17
    first[:, 20:50, :30] = 0
    return first, noise(3, 90, 70, seed=1).astype("uint16") * 17


def test_both_give_the_same_pixels_on_the_same_grid(tmp_path: Path) -> None:
    first, second = gappy()
    items = [
        banded(tmp_path, "one", first, box(90, 70), nodata=0),
        banded(tmp_path, "two", second, box(90, 70, x=500_000 + 0.6 * 40, y=4_100_000 - 0.6 * 10), nodata=0),
    ]
    geobox = GeoBox((130, 120), box(1, 1).affine @ Affine.translation(-5, -5), "EPSG:32615")
    ours, theirs = both(items, geobox, ["a", "c"])
    np.testing.assert_array_equal(ours, theirs)
    expected = np.full((2, 130, 120), np.nan)
    expected[:, 15:105, 45:115] = second[[0, 2]]
    seen = first[[0, 2]] != 0
    part = expected[:, 5:95, 5:75]
    part[seen] = first[[0, 2]][seen]
    np.testing.assert_array_equal(ours, expected)


def test_both_know_where_another_grid_lies(tmp_path: Path) -> None:
    item = banded(tmp_path, "one", smooth(90, 70).astype("uint16") * 40, box(90, 70), nodata=0)
    target = box(90, 70).to_crs("EPSG:4326")
    ours, theirs = both([item], target, ["a", "b"])
    seen = ~np.isnan(ours) & ~np.isnan(theirs)
    assert seen.mean() > 0.9
    assert np.abs(ours - theirs)[seen].max() < 120  # 2 % of the range: GDAL's approximate transformer in stackstac


def test_a_code_that_pystac_made_of_an_epsg_number(tmp_path: Path) -> None:
    """stackstac knows `proj:epsg` alone; without it, it places a scene by its lon/lat box, which is never quite it."""
    image = noise(1, 90, 70).astype("uint16")
    written = banded(tmp_path, "one", image, box(90, 70), nodata=0).to_dict(transform_hrefs=False)
    for fields in (written["properties"], *written["assets"].values()):
        if fields.pop("proj:code", None):
            fields["proj:epsg"] = 32615
    written["stac_extensions"] = ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"]
    item = pystac.Item.from_dict(json.loads(json.dumps(written)))
    assert "proj:epsg" not in item.assets["a"].extra_fields
    assert item.assets["a"].extra_fields["proj:code"] == "EPSG:32615"
    for found in both([item], box(90, 70), ["a"]):
        np.testing.assert_array_equal(found, image)


def test_classes_and_bits_are_neither_mixed_nor_scaled(tmp_path: Path) -> None:
    bits = np.where(np.arange(70) < 35, 3, 11)[None, None].repeat(90, 1).astype("uint16")
    item = banded(tmp_path, "one", bits, box(90, 70), keys=("scl",))
    item.assets["scl"].extra_fields["raster:scale"] = 0.1
    for target in (box(90, 70).to_crs("EPSG:4326"), box(90, 70).zoom_out(1.7)):
        for found in both([item], target, ["scl"]):
            assert set(np.unique(found[~np.isnan(found)])) == {3, 11}
        eager, valid = cube.read([item], target, asset="scl")
        assert set(np.unique(eager[0][valid])) == {3, 11}


def test_scale_and_offset_are_applied_once(tmp_path: Path) -> None:
    image = noise(1, 90, 70).astype("int16") - 128
    item = banded(tmp_path, "one", image, box(90, 70), nodata=-999)
    item.assets["a"].extra_fields.update({"raster:scale": 0.5, "raster:offset": -2})
    for found in both([item], box(90, 70), ["a"]):
        np.testing.assert_allclose(found, image * 0.5 - 2)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("proj:shape", [90, 71], r"proj:shape is \[90, 71\], the file's \[90, 70\]"),
        ("proj:code", "EPSG:32616", "proj:code is EPSG:32616, the file's EPSG:32615"),
        ("proj:transform", [0.6, 0, 500_030, 0, -0.6, 4_100_000], "proj:transform is"),
    ],
)
def test_an_item_that_lies_is_named_by_every_way_of_reading(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    item = banded(tmp_path, "liar", noise(1, 90, 70), box(90, 70))
    item.assets["a"].extra_fields[field] = value
    named = f"asset 'a' of Item liar contradicts its file: {said}"
    for engine in ENGINES:
        with pytest.raises(AssetError, match=named):
            cube.load([item], box(90, 70), ["a"], engine=engine)
    with pytest.raises(AssetError, match=named):
        cube.read([item], box(90, 70), asset="a")


def test_what_stackstac_cannot_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = banded(tmp_path, "one", noise(1, 90, 70), box(90, 70))
    several = write_image(tmp_path, "several", noise(3, 40, 40), box(40, 40))
    turned = GeoBox((9, 9), box(9, 9).affine @ Affine.rotation(10), "EPSG:32615")
    with pytest.raises(GridError, match="north-up grids of an EPSG code only: take engine 'odc'"):
        cube.load([item], turned, ["a"], engine="stackstac")
    with pytest.raises(AssetError, match="asset 'image' of Item several has 3 bands, and stackstac reads files of one"):
        cube.load([several], box(40, 40), engine="stackstac")
    item.assets["a"].extra_fields["nodata"] = 7
    with pytest.raises(AssetError, match="nodata 7 by its Item alone"):
        cube.load([item], box(90, 70), ["a"], engine="stackstac")
    monkeypatch.setattr(cube_stackstac.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(AssetError, match="'stackstac' is not installed"):
        cube.load([item], box(90, 70), ["a"], engine="stackstac")


def test_grids_that_do_not_overlap_see_nothing(tmp_path: Path) -> None:
    item = banded(tmp_path, "one", noise(1, 90, 70), box(90, 70))
    for found in both([item], box(10, 10, x=600_000), ["a"]):
        assert np.isnan(found).all()
