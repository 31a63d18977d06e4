from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import pytest
import synthetic
from imagery import box, noise, write_image

from mage_stac import band_fields, pairs, stack
from mage_stac.errors import AssetError, GridError


def test_items_become_stacks_with_scale_bands_and_event(tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", noise(3, 64, 48), box(64, 48), nodata=0)
    (one,) = stack.of_items([item])
    assert (one.id, one.event, one.bands, one.mask) == ("a", "c", 3, ())
    (raster,) = one.dates[0]
    assert raster.bands == (1, 2, 3)
    assert raster.nodata == 0
    assert raster.scale == pytest.approx((1 / 255,) * 3)
    assert raster.geobox == box(64, 48)
    (two,) = stack.of_items([item], bands=["blue", "red"])
    assert two.dates[0][0].bands == (3, 1)


def test_bands_that_no_item_names_are_counted_in_the_file(tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", noise(3, 64, 48), box(64, 48))
    del item.assets["image"].extra_fields["bands"]
    assert stack.of_items([item])[0].bands == 3


def test_bands_of_several_assets_follow_each_other(tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", noise(3, 64, 48), box(64, 48), nodata=0)
    item.assets["near"] = item.assets["image"].clone()
    (one,) = stack.of_items([item], asset=("near", "image"))
    assert one.bands == 6
    (first,) = one.dates[0]
    assert [file.asset for file in (first, *first.beside)] == ["near", "image"]
    with pytest.raises(AssetError, match="assets near, image of Item a: give several assets or names of bands"):
        stack.of_items([item], asset=("near", "image"), bands=["red"])


def test_a_satellite_s_item_as_its_catalogue_has_it(shared: Path) -> None:
    name = "S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531_raster_ext.json"
    item = pystac.Item.from_file(str(shared / "stac" / "items" / name))
    (one,) = stack.of_items([item], asset=("B04", "B11"), hide="SCL")
    (red,) = one.dates[0]
    assert (one.bands, red.nodata, one.geobox.shape) == (2, 0, (10980, 10980))
    assert [file.geobox.shape for file in red.beside] == [(5490, 5490)]
    assert red.mask is not None
    assert (red.mask.asset, red.mask.classes) == ("SCL", True)


def test_two_dates_on_one_grid(tmp_path: Path) -> None:
    pre, post = (write_image(tmp_path, name, noise(3, 64, 48), box(64, 48)) for name in ("a", "b"))
    both = stack.on_grid([[pre], [post, pre]], box(32, 32))
    assert [len(mosaic) for mosaic in both.dates] == [1, 2]
    assert both.geobox == box(32, 32)
    with pytest.raises(GridError, match="needs Items of each date"):
        stack.on_grid([[pre], []], box(32, 32))


def test_a_pair_is_a_stack_with_its_label(tmp_path: Path) -> None:
    root = synthetic.write(tmp_path, scenes=1, size=64)
    (pair,) = pairs.read([root], bands=("red", "green"), gsd=0.6)
    made = stack.of_pair(pair)
    assert [mosaic[0].path for mosaic in (*made.dates, made.mask)] == [pair.pre.path, pair.post.path, pair.label]
    assert made.mask[0].classes
    assert made.bands == 2


def test_a_band_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", noise(3, 64, 48), box(64, 48))
    with pytest.raises(AssetError, match=r"asset 'image' of Item a lacks band nir; it has .*red"):
        stack.of_items([item], bands=["red", "nir"])
    with pytest.raises(GridError, match="no Items"):
        stack.of_items([])


def test_a_field_is_taken_from_the_band_before_the_asset(tmp_path: Path) -> None:
    asset = write_image(tmp_path, "a", np.ones((3, 64, 48), np.uint8), box(64, 48)).assets["image"]
    asset.extra_fields.update(
        {"nodata": 7, "bands": [{"nodata": 1}, {}], "raster:bands": [{"nodata": 2}, {"nodata": 3}]}
    )
    assert band_fields.stated(asset, "nodata", [1, 2, 3]) == [1, 3, 7]
