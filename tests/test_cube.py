from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import unmarked
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery import box, noise, smooth, write_image, write_raster
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from mage_stac import catalogue, classes, cube, footprint, grid, publish
from mage_stac.errors import AssetError, GridError

pytestmark = pytest.mark.filterwarnings(
    "ignore:Dataset has no geotransform:rasterio.errors.NotGeoreferencedWarning"  # rasterio's own copies in memory
)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> list[pystac.Item]:
    """Two neighbours of 60 x 50 pixels that continue each other."""
    root = tmp_path_factory.mktemp("tiles")
    west = write_image(root, "west", smooth(60, 50), box(60, 50))
    east = write_image(root, "east", smooth(60, 50, x=50), box(60, 50, x=500_030))
    return [west, east]


def loaded(items: list[pystac.Item], geobox: GeoBox) -> np.ndarray:
    found = cube.load(items, geobox)
    return np.stack([found[name].values[0] for name in found.data_vars])


def test_neighbours_make_one_picture_to_the_bit(tiles: list[pystac.Item]) -> None:
    geobox = grid.of_items(tiles, "image")
    values, valid = cube.read(tiles, geobox)
    assert valid.all()
    assert values.dtype == np.float32
    assert np.abs(values * 255 - smooth(60, 100)).max() < 1e-3


def test_lazily_the_same(tiles: list[pystac.Item]) -> None:
    geobox = grid.of_items(tiles, "image")
    found = cube.load(tiles, geobox)
    assert list(found.data_vars) == ["red", "green", "blue"]
    assert found.red.chunks is not None
    assert found.red.dims == ("time", "y", "x")
    assert float(found.x[0]) == pytest.approx(500_000.3)
    assert float(found.y[0]) == pytest.approx(4_099_999.7)
    assert np.abs(loaded(tiles, geobox) - cube.read(tiles, geobox)[0]).max() < 1e-6


@settings(deadline=None, max_examples=20)
@given(row=st.integers(-80, 80), column=st.integers(-120, 120), rows=st.integers(1, 70), columns=st.integers(1, 70))
def test_any_window_is_a_window_of_the_whole(
    tiles: list[pystac.Item], row: int, column: int, rows: int, columns: int
) -> None:
    geobox = grid.crop(box(60, 100), slice(row, row + rows), slice(column, column + columns))
    values, valid = cube.read(tiles, geobox)
    whole = np.pad(smooth(60, 100).astype("float32") / 255, ((0, 0), (200, 200), (200, 200)), constant_values=np.nan)
    expected = whole[:, 200 + row : 200 + row + rows, 200 + column : 200 + column + columns]
    assert (valid == ~np.isnan(expected[0])).all()
    assert np.abs(values - np.nan_to_num(expected)).max() < 1e-5


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:26915"])
def test_another_crs_against_rasterio(tiles: list[pystac.Item], crs: str) -> None:
    target = grid.of_items(tiles[:1], "image").to_crs(crs)
    values, valid = cube.read(tiles[:1], target)
    with (
        rasterio.open(catalogue.asset_path(tiles[0], "image")) as source,
        WarpedVRT(
            source,
            crs=crs,
            transform=target.affine,
            height=target.shape[0],
            width=target.shape[1],
            resampling=Resampling.bilinear,
            add_alpha=True,
            tolerance=0.01,
        ) as oracle,
    ):
        *bands, alpha = oracle.read()
    assert (valid == (alpha > 0)).mean() > 0.995  # an alpha band fades at the border
    inside = valid & (alpha == 255)
    assert inside.sum() > 2000
    assert np.abs(values * 255 - np.stack(bands))[:, inside].max() < 1  # the oracle rounds to whole DN


def test_the_true_place_in_another_crs(tmp_path: Path) -> None:
    """A ramp in easting must read as its easting, wherever the target's pixels lie: to a twentieth of a pixel."""
    source = box(80, 80)
    column = np.arange(80, dtype="float32")
    with catalogue.staged(tmp_path, "c", "ramp") as folder:
        publish.write_cog(folder / "ramp.tif", np.broadcast_to(column, (1, 80, 80)).copy(), source)
        item = pystac.Item("ramp", None, None, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="c")
        item.add_asset("ramp", publish.raster_asset("./ramp.tif", title="r", geobox=source, dtype="float32"))
        catalogue.write_item(folder, item)
    target = source.to_crs("EPSG:4326", resolution=source.to_crs("EPSG:4326").resolution)
    ((values,), valid) = cube.read([catalogue.read_item(tmp_path / "c" / "ramp")], target, asset="ramp")
    from pyproj import Transformer

    rows, columns = np.nonzero(valid)
    lon = target.affine.c + target.affine.a * (columns + 0.5)
    lat = target.affine.f + target.affine.e * (rows + 0.5)
    x, _ = Transformer.from_crs("EPSG:4326", "EPSG:32615", always_xy=True).transform(lon, lat)
    expected = (x - 500_000) / 0.6 - 0.5
    inner = (expected > 1) & (expected < 78) & (rows > 2) & (rows < valid.shape[0] - 3)
    assert np.abs(values[rows, columns] - expected)[inner].max() < 0.05


def test_a_coarser_grid_averages(tiles: list[pystac.Item]) -> None:
    coarse = grid.of_items(tiles[:1], "image").zoom_out(5)
    values, valid = cube.read(tiles[:1], coarse)
    assert valid.all()
    expected = smooth(60, 50).reshape(3, 12, 5, 10, 5).mean(axis=(2, 4)) / 255
    assert np.abs(values - expected)[:, 1:-1, 1:-1].max() < 0.03


def test_what_was_not_observed_stays_so(tmp_path: Path) -> None:
    image = noise(3, 40, 40)
    image[:, :, :10] = 0
    image[0, 20, 20] = 0  # dark in one band only: observed
    item = write_image(tmp_path, "a", image, box(40, 40), nodata=0)
    values, valid = cube.read([item], box(40, 40))
    assert (valid == (image != 0).any(axis=0)).all()
    assert np.abs(values * 255 - image).max() < 1e-3
    lazy = loaded([item], box(40, 40))
    assert (np.isnan(lazy).any(axis=0) == ~valid).all()
    assert np.abs(lazy - values)[:, valid].max() < 1e-6


def test_the_first_that_observed_wins(tmp_path: Path) -> None:
    gappy = np.full((3, 20, 20), 50, "uint8")
    gappy[:, :, 10:] = 0
    first = write_image(tmp_path, "first", gappy, box(20, 20), nodata=0)
    second = write_image(tmp_path, "second", np.full((3, 20, 20), 200, "uint8"), box(20, 20))
    values, valid = cube.read([first, second], box(20, 20))
    assert valid.all()
    assert np.rint(values[0, 0] * 255).tolist() == [50] * 10 + [200] * 10
    assert np.rint(loaded([first, second], box(20, 20))[0, 0] * 255).tolist() == [50] * 10 + [200] * 10
    assert np.rint(cube.read([second, first], box(20, 20))[0] * 255).max() == 200


def test_classes_are_never_mixed(tmp_path: Path) -> None:
    grades = np.where(np.arange(40) < 20, 0, 4)[np.newaxis].repeat(40, 0).astype("uint8")
    grades[:5] = 255
    with catalogue.staged(tmp_path, "c", "m") as folder:
        table = classes.colour_table(classes.DAMAGE_CLASSES)
        publish.write_cog(folder / "damage.tif", grades, box(40, 40), nodata=255, colours=table)
        item = pystac.Item("m", None, None, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="c")
        asset = publish.class_asset("./damage.tif", title="D", classes=classes.DAMAGE_CLASSES, geobox=box(40, 40))
        item.add_asset("damage", asset)
        catalogue.write_item(folder, item)
    item = catalogue.read_item(tmp_path / "c" / "m")
    same, valid = cube.read([item], box(40, 40), asset="damage")
    assert (same[0][valid] == grades[5:].ravel()).all()
    assert (valid == (grades != 255)).all()
    turned, seen = cube.read([item], box(40, 40).to_crs("EPSG:4326"), asset="damage")
    assert set(np.unique(turned[0][seen])) == {0, 4}
    halves, seen = cube.read([item], box(40, 40).zoom_out(2), asset="damage")
    assert set(np.unique(halves[0][seen])) == {0, 4}


def test_chosen_bands_and_stated_units(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(3, 8, 8).astype("uint16"), box(8, 8))
    item = pystac.Item("a", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    bands = [{"name": "x", "raster:scale": 0.1, "nodata": 7}, {"name": "y"}, {"name": "z", "raster:scale": 0.2}]
    item.add_asset("image", pystac.Asset(str(path), extra_fields={"bands": bands, "raster:offset": -1.0}))
    with rasterio.open(path) as source:
        dn = source.read().astype(float)
    values, _ = cube.read([item], box(8, 8), bands=[3, 1])
    assert np.abs(values - (dn[[2, 0]] * np.array([0.2, 0.1])[:, None, None] - 1)).max() < 1e-4
    before = [{"scale": 0.5, "offset": 2, "nodata": 9}] * 3
    item.add_asset("image", pystac.Asset(str(path), extra_fields={"raster:bands": before}))
    assert np.abs(cube.read([item], box(8, 8))[0] - (dn * 0.5 + 2)).max() < 1e-4
    item.add_asset("image", pystac.Asset(str(path)))
    assert np.abs(cube.read([item], box(8, 8))[0] - dn).max() < 1e-4


def test_each_item_of_a_mosaic_has_its_own_units(tiles: list[pystac.Item]) -> None:
    """As Sentinel-2 before and after processing baseline 04.00; and lazily the same."""
    west, east = (item.clone() for item in tiles)
    east.assets["image"].extra_fields |= {"raster:scale": 0.5, "raster:offset": -0.25}
    geobox = grid.of_items([west, east], "image")
    expected = np.concatenate([smooth(60, 50) / 255, smooth(60, 50, x=50) * 0.5 - 0.25], axis=2)
    assert np.abs(cube.read([west, east], geobox)[0] - expected).max() < 1e-4
    assert np.abs(loaded([west, east], geobox) - expected).max() < 1e-4


def test_eight_bits_are_told_by_the_file_where_the_item_does_not(tiles: list[pystac.Item]) -> None:
    bare = [item.clone() for item in tiles]
    for item in bare:
        for field in ("data_type", "raster:scale", "raster:offset"):
            item.assets["image"].extra_fields.pop(field)
    geobox = grid.of_items(bare, "image")
    assert np.abs(loaded(bare, geobox) - smooth(60, 100) / 255).max() < 1e-5


def test_bands_in_another_order_are_found_by_their_names(tiles: list[pystac.Item]) -> None:
    west, east = (item.clone() for item in tiles)
    rows = east.assets["image"].extra_fields["bands"]
    east.assets["image"].extra_fields["bands"] = rows[::-1]  # its file has blue, green, red
    expected = np.concatenate([smooth(60, 50), smooth(60, 50, x=50)[::-1]], axis=2) / 255
    assert np.abs(loaded([west, east], grid.of_items(tiles, "image")) - expected).max() < 1e-5
    east.assets["image"].extra_fields["bands"] = [{"name": name} for name in "abc"]
    with pytest.raises(AssetError, match="Item east has the bands a, b, c, Item west red, green, blue"):
        cube.load([west, east], grid.of_items(tiles, "image"))


def test_nodata_stated_by_the_item_alone(tmp_path: Path) -> None:
    image = noise(2, 8, 8)
    image[:, :3] = 0
    path = write_raster(tmp_path / "a.tif", image, box(8, 8))
    item = pystac.Item("a", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    item.add_asset("image", pystac.Asset(str(path), extra_fields={"nodata": 0}))
    assert (cube.read([item], box(8, 8))[1].sum(axis=1) == [0] * 3 + [8] * 5).all()


def test_grids_that_do_not_overlap_see_nothing(tiles: list[pystac.Item]) -> None:
    values, valid = cube.read(tiles, box(10, 10, x=600_000))
    assert not valid.any()
    assert not values.any()


def test_bad_input(tiles: list[pystac.Item], tmp_path: Path) -> None:
    with pytest.raises(GridError, match="no Items"):
        cube.read([], box(8, 8))
    with pytest.raises(GridError, match="no Items"):
        cube.load([], box(8, 8))
    with pytest.raises(AssetError, match="has no asset 'damage'"):
        cube.read(tiles, box(8, 8), asset="damage")
    with pytest.raises(AssetError, match="has no asset 'damage'"):
        cube.load(tiles, box(8, 8), asset="damage")
    with pytest.raises(AssetError, match=r"bands 1 to 3, not \[4\]"):
        cube.read(tiles, box(8, 8), bands=[4])
    placeless = tiles[0].clone()
    placeless.geometry = None
    with pytest.raises(AssetError, match="no geometry"):
        cube.load([placeless], box(8, 8))
    with pytest.raises(AssetError, match="neither asset nor band 'nir'"):
        cube.load(tiles, box(8, 8), ["nir"])
    one = write_image(tmp_path, "broken", noise(3, 300, 300), box(300, 300))
    path = Path(catalogue.asset_path(one, "image"))
    path.write_bytes(path.read_bytes()[:150_000])
    with pytest.raises(AssetError, match=r"asset 'image' of Item broken .* cannot be read"):
        cube.read([one], box(300, 300))


def test_one_asset_a_band(tmp_path: Path) -> None:
    geometry, bbox = footprint.of_grid(box(8, 8))
    item = pystac.Item("a", geometry, bbox, pystac.utils.str_to_datetime("2020-01-01"), {}, collection="c")
    for name, seed in (("red", 1), ("nir", 2)):
        path = write_raster(tmp_path / f"{name}.tif", noise(1, 8, 8, seed=seed), box(8, 8))
        item.add_asset(name, publish.raster_asset(str(path), title=name, geobox=box(8, 8), dtype="uint8"))
    found = cube.load([item], box(8, 8), ["nir"])
    assert list(found.data_vars) == ["nir"]
    assert np.abs(found.nir.values[0] * 255 - noise(1, 8, 8, seed=2)[0]).max() < 1e-3


def test_a_rotated_grid(tmp_path: Path) -> None:
    turned = GeoBox(
        (50, 50), Affine.translation(500_000, 4_100_000) @ Affine.rotation(30) @ Affine.scale(0.6, -0.6), "EPSG:32615"
    )
    item = write_image(tmp_path, "a", smooth(50, 50), turned)
    values, valid = cube.read([item], turned)
    assert valid.all()
    assert np.abs(values * 255 - smooth(50, 50)).max() < 1e-3


def test_joplin_before_and_after_on_one_grid(shared: Path, tmp_path: Path) -> None:
    from mage_stac.ingest import Plan, ingest

    delivered = shared / "joplin" / "joplin_post_60cm.tif"
    part = grid.of_raster(delivered)[400:520, 0:160]
    raw = shared / "joplin" / "raw" / "post"
    made = ingest([raw / "tile_31500-5137.tif"], Plan(out=tmp_path, datetime="2011-05-24", collection="post"))
    values, valid = cube.read(catalogue.read_items(made.collection), part)
    with rasterio.open(delivered) as source:
        expected = source.read(window=((400, 520), (0, 160))).astype(float)
    assert (valid == (expected != 0).any(axis=0)).all()
    # Delivered by plain bilinear; GDAL widens the kernel where it thins (0.53 m to 0.60 m).
    assert np.abs(values * 255 - expected)[:, valid].mean() < 1.5


def thin(geobox: GeoBox, step: int) -> GeoBox:
    rows, columns = geobox.shape
    return GeoBox((rows // step, columns // step), geobox.affine @ Affine.scale(step), geobox.crs)


def test_thinned_reads_leave_out_nodata_of_the_item(tmp_path: Path) -> None:
    made = unmarked.twice(tmp_path)
    values, valid = cube.read([made.item], thin(made.geobox, 4))
    expected = made.averaged(4)
    with rasterio.open(made.marked) as source:
        np.testing.assert_array_equal(valid, source.dataset_mask(out_shape=(16, 24)) > 0)
    np.testing.assert_allclose(values[:, valid], expected[:, valid], atol=0.5)  # whole numbers


@pytest.mark.parametrize("step", [1, 4])
def test_lazily_nodata_of_the_item_is_as_good_as_the_file_s(tmp_path: Path, step: int) -> None:
    made = unmarked.twice(tmp_path)
    marked = made.item.clone()
    marked.assets["image"].href = str(made.marked)
    del marked.assets["image"].extra_fields["nodata"]
    found, expected = (loaded([item], thin(made.geobox, step)) for item in (made.item, marked))
    assert np.isnan(expected).mean() > 0.3
    np.testing.assert_array_equal(found, expected)
