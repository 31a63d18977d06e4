from __future__ import annotations

from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
import shapely
import unmarked
from affine import Affine
from imagery import box, noise, write_image, write_raster
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from shapely.geometry import shape

from mage_stac import catalogue, cut, grid, publish
from mage_stac.errors import AssetError, GridError


def place(x: float, y: float) -> tuple[float, float]:
    lon, lat = Transformer.from_crs("EPSG:32615", "EPSG:4326", always_xy=True).transform(x, y)
    return lon, lat


@pytest.fixture
def item(tmp_path: Path) -> pystac.Item:
    return write_image(tmp_path / "cat", "i", noise(3, 100, 100), box(100, 100), nodata=0)


AREA = shapely.box(*place(500_012.1, 4_099_970.1), *place(500_030.2, 4_099_981.9))
"""Pixels 20 to 50 east, 30 to 50 down, nearly."""


def test_the_pixels_that_touch_the_area(item: pystac.Item, tmp_path: Path) -> None:
    made = cut.cut(item, AREA, tmp_path)
    assert sorted(made.assets) == ["image"]
    with rasterio.open(tmp_path / "image.tif") as part:
        values, transform, nodata = part.read(), part.transform, part.nodata
    expected = grid.of_raster(tmp_path / "image.tif")
    row = round((4_100_000 - transform.f) / 0.6)
    column = round((transform.c - 500_000) / 0.6)
    assert (values == noise(3, 100, 100)[:, row : row + values.shape[1], column : column + values.shape[2]]).all()
    assert (column, row) == (20, 30)
    assert values.shape == (3, 20, 31)
    assert nodata == 0
    assert made.assets["image"].extra_fields["proj:shape"] == list(values.shape[1:])
    assert shape(made.geometry).buffer(1e-7).covers(shapely.box(*AREA.bounds))
    assert grid.of_asset(_placed(made, tmp_path), "image") == expected


def _placed(item: pystac.Item, folder: Path) -> pystac.Item:
    item.set_self_href(str(folder / "i.json"))
    return item


def test_an_area_that_covers_all(item: pystac.Item, tmp_path: Path) -> None:
    cut.cut(item, shapely.box(-180, -80, 180, 80), tmp_path)
    assert grid.of_raster(tmp_path / "image.tif") == box(100, 100)


def test_an_area_beside(item: pystac.Item, tmp_path: Path) -> None:
    with pytest.raises(GridError, match="Item i has no raster that reaches into the area"):
        cut.cut(item, shapely.box(0, 0, 1, 1), tmp_path)


def test_chosen_assets(item: pystac.Item, tmp_path: Path) -> None:
    assert sorted(cut.cut(item, AREA, tmp_path, keys=["visual"]).assets) == ["visual"]
    with pytest.raises(AssetError, match="no asset 'nir'"):
        cut.cut(item, AREA, tmp_path, keys=["nir"])
    assert cut.raster_keys(item) == ["image"]


def test_a_signature_opens_and_is_forgotten(item: pystac.Item, tmp_path: Path) -> None:
    asked = []

    def sign(href: str) -> str:
        asked.append(href)
        return href

    made = cut.cut(item, AREA, tmp_path, sign=sign)
    assert asked == [catalogue.asset_path(item, "image")]
    assert made.assets["image"].href == "./image.tif"


def test_colours_stay(tmp_path: Path) -> None:
    grades = noise(100, 100) % 5
    table = publish.colour_table(publish.DAMAGE_CLASSES)
    publish.write_cog(tmp_path / "all.tif", grades, box(100, 100), nodata=255, colours=table)
    item = pystac.Item("m", None, None, pystac.utils.str_to_datetime("2020-01-01"), {"proj:shape": [1, 1]})
    asset = publish.class_asset(
        str(tmp_path / "all.tif"), title="D", classes=publish.DAMAGE_CLASSES, geobox=box(100, 100)
    )
    asset.extra_fields["file:size"] = 5
    item.add_asset("damage", asset)
    made = cut.cut(item, AREA, tmp_path)
    with rasterio.open(tmp_path / "damage.tif") as part:
        assert part.colormap(1)[4][:3] == (0xD7, 0x19, 0x1C)
        assert (part.read(1) == grades[30:50, 20:51]).all()
    assert "file:size" not in made.assets["damage"].extra_fields
    assert "proj:shape" not in made.properties
    assert "classification:classes" in made.assets["damage"].extra_fields


def test_a_source_without_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 4, "width": 4, "dtype": "uint8"}
    with rasterio.open(path, "w", transform=box(4, 4).affine, **profile) as target:
        target.write(np.zeros((1, 4, 4), "uint8"))
    item = pystac.Item("m", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    item.add_asset("a", pystac.Asset(str(path)))
    with pytest.raises(GridError, match="no CRS"):
        cut.cut(item, AREA, tmp_path, keys=["a"])


def test_an_alpha_band_becomes_nodata(tmp_path: Path) -> None:
    image = noise(4, 100, 100)
    image[3] = 255
    image[3, 40:] = 0
    path = write_raster(tmp_path / "rgba.tif", image, box(100, 100), photometric="RGB", alpha="YES")
    item = pystac.Item("m", None, None, pystac.utils.str_to_datetime("2020-01-01"), {})
    item.add_asset("a", pystac.Asset(str(path), media_type=pystac.MediaType.COG))
    made = cut.cut(item, AREA, tmp_path)
    with rasterio.open(tmp_path / "a.tif") as part:
        assert (part.count, part.nodata) == (3, 0)
        assert (part.dataset_mask() > 0).tolist() == (image[3, 30:50, 20:51] > 0).tolist()
    assert made.assets["a"].extra_fields["nodata"] == 0


def test_a_copy_states_nodata_that_was_its_item_s_alone(tmp_path: Path) -> None:
    made = unmarked.twice(tmp_path, rows=640, columns=960)  # more than a tile, so that the copy has overviews
    (tmp_path / "copy").mkdir()
    copy = cut.cut(made.item, shapely.box(-180, -80, 180, 80), tmp_path / "copy", keys=["image"])
    assert copy.assets["image"].extra_fields["nodata"] == unmarked.GAP
    expected = made.averaged(2)
    with rasterio.open(tmp_path / "copy" / "image.tif") as source:
        assert source.nodata == unmarked.GAP
        np.testing.assert_array_equal(source.read(), made.pixels)
    with rasterio.open(tmp_path / "copy" / "image.tif", overview_level=0) as source:
        overview = source.read()
    assert overview.shape == expected.shape
    assert (overview[np.isnan(expected)] == unmarked.GAP).all()
    np.testing.assert_allclose(overview[~np.isnan(expected)], expected[~np.isnan(expected)], atol=0.5)  # whole numbers


def test_a_cut_across_the_antimeridian_is_no_belt_round_the_globe(tmp_path: Path) -> None:
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(180.0, -16.8)
    here = GeoBox((100, 100), Affine(0.6, 0, x - 30, 0, -0.6, y + 30), "EPSG:32760")
    image = write_image(tmp_path / "cat", "i", noise(3, 100, 100), here)
    sides = [shapely.box(179.9999, -16.8001, 180, -16.7999), shapely.box(-180, -16.8001, -179.9999, -16.7999)]
    west, _, east, _ = cut.cut(image, shapely.MultiPolygon(sides), tmp_path).bbox or []
    assert 179.999 < west < 180
    assert -180 < east < -179.999
