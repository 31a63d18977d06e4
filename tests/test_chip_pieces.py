"""Windows of stacks against a plain rasterio read, and against odc-stac's own engine where grids differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from layers import geobox, stacked, waves, written
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from mage_stac import chip_pieces
from mage_stac.errors import AssetError
from mage_stac.reader import Reader
from mage_stac.stack import Raster, Stack


def plane(stack: Stack, rows: slice | None = None, columns: slice | None = None) -> tuple[NDArray, NDArray]:
    """Values (C, h, w) in units and where seen (h, w), of the first date."""
    height, width = stack.geobox.shape
    piece = chip_pieces.read(stack, rows or slice(0, height), columns or slice(0, width), Reader())
    (first, *_) = piece.planes
    return first.units(), np.ones(first.values.shape[1:], bool) if first.seen is None else first.seen


def by_gdal(raster: Raster, target: GeoBox, resampling: Resampling = Resampling.bilinear) -> NDArray:
    """What rasterio.warp.reproject makes of it, NaN where not observed."""
    with rasterio.open(raster.path) as source:
        result = np.full((source.count, *target.shape), np.nan, "float32")
        reproject(
            source.read().astype("float32"), result, src_transform=source.transform, src_crs=source.crs,
            src_nodata=source.nodata, dst_transform=target.affine, dst_crs=str(target.crs), dst_nodata=np.nan,
            resampling=resampling, XSCALE=1, YSCALE=1,
        )  # fmt: skip
    return result


@pytest.mark.parametrize(
    ("dtype", "bands"), [("uint8", 1), ("uint8", 3), ("uint16", 13), ("int16", 1), ("float32", 13)]
)
def test_the_same_grid_gives_the_file_s_pixels(tmp_path: Path, dtype: str, bands: int) -> None:
    grid = geobox((90, 70))
    one = written(tmp_path / "a.tif", waves(grid, bands=bands, dtype=dtype), grid)
    values, seen = plane(stacked(one), slice(10, 60), slice(5, 70))
    with rasterio.open(one.path) as source:
        np.testing.assert_array_equal(values, source.read()[:, 10:60, 5:70])
    assert seen.all()


def turned(grid: GeoBox) -> GeoBox:
    return GeoBox(grid.shape, grid.affine @ Affine.rotation(20), grid.crs)


TARGETS = {
    "shifted by half a pixel": GeoBox((120, 130), Affine(10, 0, 600_205, 0, -10, 5_099_795), "EPSG:32631"),
    "the next zone": GeoBox((120, 130), Affine(10, 0, 136_200, 0, -10, 5_109_600), "EPSG:32632"),
    "degrees": GeoBox((120, 130), Affine(1.3e-4, 0, 4.3035, 0, -9e-5, 46.041), "EPSG:4326"),
    "web mercator": GeoBox((120, 130), Affine(14, 0, 479_150, 0, -14, 5_787_900), "EPSG:3857"),
    "rotated": turned(GeoBox((90, 90), Affine(10, 0, 600_500, 0, -10, 5_099_700), "EPSG:32631")),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_another_grid_agrees_with_gdal(tmp_path: Path, target: GeoBox) -> None:
    grid = geobox((200, 200))
    image = waves(grid, bands=2)
    image[:, 60:75, 80:95] = 0
    one = written(tmp_path / "a.tif", image, grid, nodata=0)
    values, seen = plane(stacked(one, grid=target))
    expected = by_gdal(one, target)
    there = ~np.isnan(expected[0])
    assert 0.2 < there.mean() < 1
    assert (there != seen).mean() < 0.004  # rounding on the border of a pixel
    both = there & seen
    assert np.abs(values[:, both] - expected[:, both]).max() < 2


def test_bands_in_files_of_their_own(tmp_path: Path) -> None:
    grid = geobox((200, 200))
    parts = [waves(grid), waves(grid, dtype="float32") / np.float32(7)]
    parts[0][:, 20:40], parts[1][:, :, 150:] = 0, 0
    one, other = (written(tmp_path / f"{n}.tif", part, grid, nodata=0) for n, part in enumerate(parts))
    both = replace(one, beside=(replace(other, scale=(0.5,), offset=(3.0,)),))
    values, seen = plane(stacked(both))
    assert both.count == 2
    np.testing.assert_array_equal(seen, (parts[0][0] > 0) & (parts[1][0] > 0))
    np.testing.assert_array_equal(values[:, seen], np.stack([parts[0][0], parts[1][0] / 2 + 3])[:, seen])
    moved = TARGETS["the next zone"]
    values, seen = plane(stacked(replace(one, beside=(other,)), grid=moved))
    for band, file in zip(values, (one, other), strict=True):
        there = seen & ~np.isnan(by_gdal(file, moved)[0])
        assert there.sum() > 0.99 * seen.sum() > 1000
        assert np.abs(band - by_gdal(file, moved)[0])[there].max() < 2


def test_a_coarser_file_beside_a_finer_one_is_resampled_to_it(tmp_path: Path) -> None:
    fine, coarse = geobox((80, 80)), geobox((40, 40), step=20.0)
    column = np.tile(np.arange(40, dtype="float32"), (1, 40, 1))
    one = written(tmp_path / "a.tif", waves(fine), fine)
    other = written(tmp_path / "b.tif", column, coarse)
    values, _ = plane(stacked(replace(one, beside=(other,))))
    inside = np.arange(1, 79)
    np.testing.assert_allclose(values[1, 40, inside], inside / 2 - 0.25, atol=0.02)  # a ramp stays a ramp


def test_classes_are_taken_from_the_nearest_pixel(tmp_path: Path) -> None:
    grid = geobox((200, 200))
    label = np.random.default_rng(0).choice([1, 4, 9], (1, 200, 200)).astype(np.uint8)
    one = written(tmp_path / "a.tif", label, grid, nodata=255, classes=True)
    target = TARGETS["the next zone"]
    values, seen = plane(stacked(one, grid=target))
    assert set(np.unique(values[:, seen])) == {1, 4, 9}
    expected = by_gdal(one, target, Resampling.nearest)
    both = seen & ~np.isnan(expected[0])
    assert (values[0][both] == expected[0][both]).mean() > 0.99


def test_the_window_makes_no_difference(tmp_path: Path) -> None:
    grid = geobox((200, 200))
    one = written(tmp_path / "a.tif", waves(grid), grid, nodata=0)
    stack = stacked(one, grid=TARGETS["the next zone"])
    whole, seen = plane(stack)
    part, seen_there = plane(stack, slice(40, 90), slice(30, 99))
    np.testing.assert_allclose(part, whole[:, 40:90, 30:99], atol=0.05)
    assert (seen_there == seen[40:90, 30:99]).mean() > 0.998


def test_a_coarser_grid_averages(tmp_path: Path) -> None:
    grid = geobox((256, 256))
    noise = np.random.default_rng(0).integers(0, 200, (1, 256, 256)).astype(np.uint8)
    one = written(tmp_path / "a.tif", noise, grid)
    coarse = GeoBox((64, 64), grid.affine @ Affine.scale(4), grid.crs)
    values, _ = plane(stacked(one, grid=coarse))
    means = noise.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(values[0, 1:-1, 1:-1] - means[1:-1, 1:-1]).max() < 1.5


def test_the_first_of_a_mosaic_that_observed_a_pixel_gives_it(tmp_path: Path) -> None:
    grid, other = geobox((64, 64)), geobox((64, 64), x=600_320)
    first = np.full((1, 64, 64), 50, np.uint8)
    first[:, 20:30] = 0
    a = written(tmp_path / "a.tif", first, grid, nodata=0)
    b = written(tmp_path / "b.tif", np.full((1, 64, 64), 80, np.uint8), other, nodata=0)
    target = geobox((64, 128))
    values, seen = plane(Stack(id="m", event="e", geobox=target, dates=((a, b),)))
    assert (values[0, :20, :64] == 50).all()
    assert (values[0, 20:30, 32:96] == 80).all()
    assert (values[0, :, 64:96] == 80).all()
    assert not seen[20:30, :32].any()
    assert not seen[:, 96:].any()


def test_two_zones_meet_on_one_grid(tmp_path: Path) -> None:
    west = GeoBox((200, 100), Affine(30, 0, 730_000, 0, -30, 5_101_000), "EPSG:32631")
    east = GeoBox((200, 200), Affine(30, 0, 264_700, 0, -30, 5_101_000), "EPSG:32632")
    pictures = [np.full((1, *grid.shape), value, np.uint8) for grid, value in ((west, 100), (east, 200))]
    rasters = [
        written(tmp_path / f"{name}.tif", image, grid)
        for name, image, grid in zip("we", pictures, (west, east), strict=True)
    ]
    middle = GeoBox((60, 120), Affine(6e-4, 0, 5.965, 0, -6e-4, 46.02), "EPSG:4326")
    values, seen = plane(Stack(id="z", event="e", geobox=middle, dates=(tuple(rasters),)))
    assert set(np.unique(values[:, seen].round())) == {100, 200}


def test_across_the_antimeridian(tmp_path: Path) -> None:
    fiji = GeoBox((120, 120), Affine(100, 0, 814_000, 0, -100, 8_119_000), "EPSG:32760")
    one = written(tmp_path / "a.tif", waves(fiji, length=2000.0), fiji)
    for west in (179.95, -180.05):
        target = GeoBox((80, 100), Affine(1e-3, 0, west, 0, -1e-3, -17.0), "EPSG:4326")
        values, seen = plane(stacked(one, grid=target))
        assert seen.mean() > 0.95
        assert 20 <= values[0][seen].min() < values[0][seen].max() <= 180
    lonlat = GeoBox((100, 200), Affine(1e-3, 0, 179.9, 0, -1e-3, -17.0), "EPSG:4326")
    wide = written(tmp_path / "b.tif", np.full((1, 100, 200), 33, np.uint8), lonlat)
    values, seen = plane(stacked(wide, grid=GeoBox((60, 60), fiji.affine, fiji.crs)))
    assert seen.any()
    np.testing.assert_allclose(values[0][seen], 33, atol=1e-4)


def test_at_the_pole(tmp_path: Path) -> None:
    polar = GeoBox((200, 200), Affine(1000, 0, -100_000, 0, -1000, 100_000), "EPSG:3413")
    one = written(tmp_path / "a.tif", waves(polar, length=30_000.0), polar)
    other = GeoBox((100, 100), Affine(1000, 0, 1_950_000, 0, -1000, 2_050_000), "EPSG:32661")
    values, seen = plane(stacked(one, grid=other))
    expected = by_gdal(one, other)
    both = seen & ~np.isnan(expected[0])
    assert both.mean() > 0.9
    assert np.abs(values[:, both] - expected[:, both]).max() < 2


def test_chips_beyond_the_edge_are_not_observed(tmp_path: Path) -> None:
    grid = geobox((50, 60))
    label = written(tmp_path / "l.tif", np.full((1, 50, 60), 3, np.uint8), grid, nodata=255, classes=True)
    stack = stacked(written(tmp_path / "a.tif", np.full((1, 50, 60), 9, np.uint8), grid), mask=label)
    piece = chip_pieces.read(stack, slice(0, 50), slice(0, 60), Reader())
    image, mask, valid = np.ones((1, 1, 64, 64), np.float32), np.ones((64, 64), np.int64), np.ones((64, 64), bool)
    piece.cut(-7, 20, image, mask, valid)
    assert (image[0, 0, 7:57, :40] == 9).all()
    assert (mask[7:57, :40] == 3).all()
    assert valid.sum() == 50 * 40
    assert not image[0, 0, :7].any()
    assert (mask[:, 40:] == 255).all()


def test_an_item_that_contradicts_its_file_is_named(tmp_path: Path) -> None:
    grid = geobox((50, 60))
    one = written(tmp_path / "a.tif", np.full((1, 50, 60), 9, np.uint8), grid)
    moved = GeoBox(grid.shape, Affine.translation(300, 0) @ grid.affine, grid.crs)
    for lie, words in (
        (moved, "proj:transform"),
        (GeoBox((60, 50), grid.affine, grid.crs), "proj:shape is .60, 50., the file's .50, 60."),
        (GeoBox(grid.shape, grid.affine, "EPSG:32632"), "proj:code is EPSG:32632, the file's EPSG:32631"),
    ):
        with pytest.raises(AssetError, match=f"asset 'image' of Item a contradicts its file .*{words}"):
            plane(stacked(replace(one, geobox=lie)))
