from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery import UTM, box, noise, write_image, write_raster
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Geod, Transformer
from rasterio.vrt import WarpedVRT

from mage_stac import catalogue, cube, grid
from mage_stac.errors import AssetError, GridError


def item(name: str, geobox: GeoBox, **changes: object) -> pystac.Item:
    from mage_stac.publish import raster_asset

    made = pystac.Item(name, None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    asset = raster_asset("https://example.com/image.tif", title="x", geobox=geobox, dtype="uint8")
    asset.extra_fields.update(changes)
    made.add_asset("image", asset)
    return made


def test_a_rasters_grid_is_that_of_rasterio(tmp_path: Path) -> None:
    rotated = Affine.translation(500_000, 4_100_000) @ Affine.rotation(20) @ Affine.scale(2, -2)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 7, "height": 5, "crs": UTM}
    with rasterio.open(tmp_path / "a.tif", "w", transform=rotated, **profile) as target:
        target.write(np.zeros((1, 5, 7), "uint8"))
    found = grid.of_raster(tmp_path / "a.tif")
    assert found.affine.almost_equals(rotated)
    assert (found.shape, found.crs) == ((5, 7), UTM)


def test_a_raster_without_crs_says_what_to_do(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 4, "height": 4}
    with rasterio.open(tmp_path / "a.tif", "w", transform=Affine.scale(2, -2), **profile) as target:
        target.write(np.zeros((1, 4, 4), "uint8"))
    with pytest.raises(GridError, match="no CRS"):
        grid.of_raster(tmp_path / "a.tif")
    with pytest.raises(AssetError, match="nothing"):
        grid.of_raster(tmp_path / "nothing.tif")


@settings(deadline=None)  # the machine may be busy
@given(
    lon=st.floats(-179, 179),
    lat=st.floats(-83, 83),
    size=st.floats(0.001, 0.05),
    step=st.sampled_from([0.3, 0.6, 10.0]),
)
def test_an_area_is_covered_and_snapped(lon: float, lat: float, size: float, step: float) -> None:
    bbox = (lon, lat, min(lon + size, 180), lat + size)
    found = grid.of_area(bbox, step)
    left, bottom, right, top = found.boundingbox.bbox
    for edge in (left, bottom, right, top):
        assert edge / step == pytest.approx(round(edge / step), abs=1e-5)
    project = Transformer.from_crs("EPSG:4326", str(found.crs), always_xy=True)
    edge = np.linspace(0, 1, 50)
    x, y = project.transform(bbox[0] + edge * (bbox[2] - bbox[0]), np.full(50, bbox[3]))
    assert left - 1e-3 <= min(x)
    assert max(x) <= right + 1e-3
    assert max(y) <= top + 1e-3


@pytest.mark.parametrize("bbox", [(1, 2, 1, 3), (10, 0, -10, 1), (0, 0, 1, 91), (0, 5, 1, 4), (float("nan"), 0, 1, 1)])
def test_an_impossible_area_is_refused(bbox: tuple[float, float, float, float]) -> None:
    with pytest.raises(GridError, match="bbox"):
        grid.of_area(bbox, 1)
    with pytest.raises(GridError, match="resolution"):
        grid.of_area((0, 0, 1, 1), 0)


@pytest.mark.parametrize(
    ("lon", "lat", "zone"),
    [
        (-94.5, 37, "EPSG:32615"),
        (151, -33, "EPSG:32756"),
        (180, 10, "EPSG:32601"),
        (0, 88, "EPSG:32661"),
        (0, -88, "EPSG:32761"),
    ],
)
def test_utm_zones(lon: float, lat: float, zone: str) -> None:
    assert grid.utm(lon, lat) == zone


def test_the_grid_of_items_continues_the_first() -> None:
    first, east = box(10, 20), box(15, 20, x=500_012, y=4_100_003)
    union = grid.of_items([item("a", first), item("b", east)], "image")
    assert union == box(15, 40, y=4_100_003)
    assert grid.of_items([item("a", first)], "image") == first
    coarse = grid.of_items([item("a", first)], "image", resolution=5)
    assert coarse.resolution.x == 5
    assert coarse.boundingbox.left <= first.boundingbox.left
    with pytest.raises(GridError):
        grid.of_items([], "image")
    with pytest.raises(AssetError, match="image"):
        grid.of_items([item("a", first)], "pixels")


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform:rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(("across", "down"), [(0.6, 0.6), (-0.6, -0.6), (-0.6, 0.6), (0.6, -0.6)])
def test_items_with_south_up_are_mapped_north_up(across: float, down: float, tmp_path: Path) -> None:
    image = noise(3, 30, 20)
    x, y = (500_012 if across < 0 else 500_000), (4_099_982 if down > 0 else 4_100_000)
    turned = image[:, :: 1 if down < 0 else -1, :: 1 if across > 0 else -1]
    odd = GeoBox((30, 20), Affine(across, 0, x, 0, down, y), UTM)
    written = write_image(tmp_path, "odd", turned, odd)
    found = grid.of_items([written], "image")
    assert found.shape == (30, 20)
    assert tuple(found.affine)[:6] == pytest.approx(tuple(box(30, 20).affine)[:6])
    values, valid = cube.read([written], found)
    assert valid.all()
    assert (np.rint(values * 255) == image).all()
    with Image.open(Path(catalogue.asset_path(written, "thumbnail"))) as thumbnail:
        assert (np.asarray(thumbnail) == np.moveaxis(image, 0, -1)).all()


def test_a_rotated_grid_is_left_as_it_is() -> None:
    rotated = GeoBox((10, 20), Affine.translation(5e5, 4e6) @ Affine.rotation(20) @ Affine.scale(1, 1), UTM)
    assert grid.upright(rotated) == rotated
    assert np.arange(6)[grid.turning(rotated.affine)[0]].tolist() == list(range(6))


def test_the_grid_of_a_file_that_only_says_it_is_a_geotiff(tmp_path: Path) -> None:
    other = write_raster(tmp_path / "other.tif", noise(1, 8, 8), box(8, 8))
    with rasterio.open(other) as source, WarpedVRT(source) as virtual:
        rasterio.shutil.copy(virtual, tmp_path / "trick.tif", driver="VRT")
    strange = pystac.Item("i", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    for name, said in (("trick.tif", "not recognized"), ("gone.tif", "No such file")):
        strange.add_asset("image", pystac.Asset(str(tmp_path / name)))
        with pytest.raises(AssetError, match=f"asset 'image' of Item i .*{name}.* cannot be read: .*{said}"):
            grid.of_asset(strange, "image")


def test_an_item_in_another_crs_is_covered() -> None:
    first = box(100, 100)
    lonlat = GeoBox((50, 50), Affine(1e-5, 0, -93.001, 0, -1e-5, 37.05), "EPSG:4326")
    union = grid.of_items([item("a", first), item("b", lonlat)], "image")
    project = Transformer.from_crs("EPSG:4326", UTM, always_xy=True)
    left, bottom, right, top = union.boundingbox.bbox
    for lon, lat in ((-93.001, 37.05), (-93.0005, 37.05), (-93.001, 37.0495)):
        x, y = project.transform(lon, lat)
        assert left <= x <= right
        assert bottom <= y <= top
    offset = (union.boundingbox.left - first.boundingbox.left) / 0.6
    assert offset == pytest.approx(round(offset), abs=1e-6)


def test_an_assets_grid_from_old_fields() -> None:
    first = box(10, 20)
    old = item("a", first)
    for field in ("proj:code", "proj:bbox"):
        del old.assets["image"].extra_fields[field]
    old.properties["proj:epsg"] = 32615.0
    assert grid.of_asset(old, "image") == first


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 9))
def test_windows_tile_the_grid(rows: int, columns: int, size: int, margin: int) -> None:
    count = np.zeros((rows, columns), int)
    for window in grid.windows(box(rows, columns), size, margin):
        count[window.core] += 1
        for core, outer in zip(window.core, window.outer, strict=True):
            assert outer.stop - outer.start == size + 2 * margin
            assert outer.start == core.start - margin
    assert (count == 1).all()


def test_an_area_beyond_a_crs() -> None:
    from odc.geo import geom

    with pytest.raises(GridError, match="too far"):
        grid.pixel_box(box(4, 4), geom.box(0, 0, 1, 1, "EPSG:4326"))


def test_a_crop_may_leave_the_grid() -> None:
    whole = box(10, 10)
    part = grid.crop(whole, slice(-2, 4), slice(8, 12))
    assert part.shape == (6, 4)
    assert part.boundingbox.left == pytest.approx(500_000 + 8 * 0.6)
    assert part.boundingbox.top == pytest.approx(4_100_000 + 2 * 0.6)


@pytest.mark.parametrize(
    ("affine", "crs"),
    [
        (Affine(0.6, 0, 500_000, 0, -0.6, 4_100_000), "EPSG:32615"),
        (Affine(0.6, 0, 170_000, 0, -0.6, 100_000) @ Affine.rotation(30), "EPSG:32615"),  # where a zone ends
        (Affine(2, 0, 985_000, 0, -3, 200_000), "EPSG:2263"),  # US survey feet
        (Affine(1e-5, 0, 10.0, 0, -1e-5, 60.0), "EPSG:4326"),
        (Affine(1.2, 0, 1_113_195, 0, -1.2, 8_399_738), "EPSG:3857"),  # at 60 degrees too: twice its metre
    ],
    ids=["metres", "turned", "feet", "degrees", "web mercator"],
)
def test_pixels_have_their_size_on_the_ellipsoid(affine: Affine, crs: str) -> None:
    geobox = GeoBox((40, 60), affine, crs)
    ends = np.array([affine @ end for end in ((30, 20), (31, 20), (30, 21))])
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*ends.T)
    _, _, expected = Geod(ellps="WGS84").inv(lon[[0, 0]], lat[[0, 0]], lon[1:], lat[1:])
    assert grid.pixel_metres(geobox) == pytest.approx(expected, rel=1e-3)  # UTM's scale: 0.9996 to 1.001
    assert grid.ground_resolution(geobox) == pytest.approx(np.sqrt(expected.prod()), rel=1e-3)


def test_pixels_near_a_pole_have_a_size() -> None:
    geobox = GeoBox((40, 60), Affine(1e-4, 0, 30.0, 0, -1e-5, 86.0), "EPSG:4326")
    _, _, expected = Geod(ellps="WGS84").inv(30.003, 85.9998, 30.0031, 85.9998)
    assert grid.pixel_metres(geobox)[0] == pytest.approx(expected, rel=6e-3)  # the polar grids' scale: 0.994 and more
