from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pystac
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from mage_stac import grid, overlap, publish
from mage_stac.errors import AssetError, GridError

UTM = Affine(0.6, 0, 366690, 0, -0.6, 4104230)


def item(geobox: GeoBox, name: str = "one") -> pystac.Item:
    """An Item whose grid is known from its metadata alone."""
    made = pystac.Item(name, None, None, datetime(2011, 5, 24, tzinfo=UTC), {})
    made.add_asset("image", publish.raster_asset("image.tif", title="", geobox=geobox, dtype="uint8"))
    made.set_self_href("/nowhere/one.json")
    return made


def utm(rows: int, columns: int, down: float = 0, right: float = 0, crs: str = "EPSG:26915") -> GeoBox:
    return GeoBox((rows, columns), UTM @ Affine.translation(right, down), crs)


def test_the_pre_grid_is_kept_exactly_over_what_both_cover() -> None:
    found = overlap.grid_of_both([item(utm(100, 200))], [item(utm(100, 200, 30, 50))], "image", 0.6)
    assert found == utm(70, 150, 30, 50)


def test_the_post_grid_may_be_off_by_a_part_of_a_pixel_or_rotated() -> None:
    found = overlap.grid_of_both([item(utm(100, 200))], [item(utm(100, 200, 30.5, 50.25))], "image", 0.6)
    assert found == utm(70, 150, 30, 50)
    turned = GeoBox((50, 50), UTM @ Affine.translation(50, 50) @ Affine.rotation(45), "EPSG:26915")
    found = overlap.grid_of_both([item(utm(100, 200))], [item(turned)], "image", 0.6)
    half = 50 / math.sqrt(2)
    assert found == utm(50, 72, 50, math.floor(50 - half))


def test_tiles_are_one_mosaic() -> None:
    pre = [item(utm(50, 50)), item(utm(50, 50, 0, 50)), item(utm(50, 50, 50, 0))]
    assert overlap.grid_of_both(pre, [item(utm(500, 500, -100, -100))], "image", 0.6) == utm(100, 100)


def test_a_post_in_degrees_takes_the_pre_grid() -> None:
    degrees = GeoBox((1024, 1024), Affine(6e-6, 0, -94.4996, 0, -6e-6, 37.0751), "EPSG:4326")
    found = overlap.grid_of_both([item(utm(1500, 1950))], [item(degrees)], "image", 0.6)
    offset = ~UTM @ found.affine
    assert (offset.a, offset.e) == pytest.approx((1, 1))
    assert offset.c == pytest.approx(round(offset.c), abs=1e-6)
    assert 0 < found.shape[0] < 1200


def test_another_resolution_than_the_models_makes_pixels_of_its_gsd() -> None:
    found = overlap.grid_of_both([item(utm(100, 200))], [item(utm(100, 200))], "image", 1.2)
    assert found == GeoBox((50, 100), UTM @ Affine.scale(2), "EPSG:26915")
    nearly = overlap.grid_of_both([item(utm(100, 200))], [item(utm(100, 200))], "image", 0.5)
    assert nearly == utm(100, 200)


def test_images_in_which_no_house_shows_are_refused() -> None:
    sharp, coarse = item(utm(100, 200)), item(GeoBox((20, 20), UTM @ Affine.scale(10 / 0.6), "EPSG:26915"))
    for pre, post, name in ((coarse, sharp, "pre"), (sharp, coarse, "post")):
        with pytest.raises(GridError, match=rf"{name} \(Item .*\) has pixels of 10 m, the model learnt from 0.6 m"):
            overlap.grid_of_both([pre], [post], "image", 0.6)
    assert overlap.grid_of_both([coarse], [coarse], "image", 10).shape == (20, 20)
    assert overlap.grid_of_both([coarse], [coarse], "image", 2.6).shape == (77, 77)


def test_degrees_at_sixty_north_become_square_on_the_ground() -> None:
    degrees = GeoBox((200, 200), Affine(1e-5, 0, 10.0, 0, -1e-5, 60.0), "EPSG:4326")
    found = overlap.grid_of_both([item(degrees)], [item(degrees)], "image", 0.6)
    assert grid.pixel_metres(found) == pytest.approx((0.6, 0.6), rel=2e-3)
    assert (found.affine.c, found.affine.f) == (10.0, 60.0)


@pytest.mark.parametrize(
    "post",
    [
        utm(100, 200, 100, 0),
        utm(100, 200, 0, 10_000),
        utm(100, 200, 0, 0, "EPSG:26916"),
        GeoBox((10, 10), Affine(0.01, 0, 150, 0, -0.01, -30), "EPSG:4326"),
    ],
)  # fmt: skip
def test_no_overlap_names_both_places(post: GeoBox) -> None:
    with pytest.raises(GridError, match=r"do not overlap: pre covers .*-94\.49.*, post west,south,east,north -?\d"):
        overlap.grid_of_both([item(utm(100, 200))], [item(post)], "image", 0.6)


def test_an_item_without_the_asset_is_named() -> None:
    with pytest.raises(AssetError, match="Item one has no asset 'visual'"):
        overlap.grid_of_both([item(utm(10, 10))], [item(utm(10, 10))], "visual", 0.6)


def test_the_real_tiles_of_joplin(shared: Path) -> None:
    def tiles(phase: str) -> list[pystac.Item]:
        made = []
        for path in sorted((shared / "joplin/raw" / phase).glob("*.tif")):
            one = pystac.Item(path.stem, None, None, datetime(2011, 5, 24, tzinfo=UTC), {})
            one.add_asset("image", pystac.Asset(str(path)))
            one.set_self_href(str(path.with_suffix(".json")))
            made.append(one)
        return made

    found = overlap.grid_of_both(tiles("pre"), tiles("post"), "image", 0.6)
    west, south, east, north = found.boundingbox.bbox
    assert (west, north) == pytest.approx((366642.6, 4104350), abs=170)
    assert (east, south) == pytest.approx((367871.4, 4103282.4), abs=170)
    assert abs(found.affine.a) == pytest.approx(0.6)
