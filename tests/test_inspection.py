from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pystac
import pytest
from affine import Affine
from imagery import box, noise, write_image
from odc.geo.geobox import GeoBox

from mage_stac import catalogue, publish
from mage_stac.inspection import asset_problems


@pytest.fixture
def item(tmp_path: Path) -> pystac.Item:
    return write_image(tmp_path, "i", noise(3, 600, 520), box(600, 520), nodata=0)


def said(item: pystac.Item, key: str = "image") -> str:
    return "\n".join(asset_problems(item, key))


def test_all_is_well(item: pystac.Item) -> None:
    assert not any(said(item, key) for key in item.assets)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("proj:shape", [600, 521]),
        ("proj:transform", [0.6, 0, 500_000.1, 0, -0.6, 4_100_000]),
        ("proj:transform", [0.6, 0, 500_000, 0, 0.6, 4_100_000]),
        ("proj:code", "EPSG:32616"),
        ("proj:bbox", [500_000, 4_099_640, 500_312.4, 4_100_000]),
        ("data_type", "uint16"),
        ("nodata", 255),
        ("bands", [{"name": "red"}]),
    ],
)
def test_what_the_item_says_and_the_file_does_not(item: pystac.Item, field: str, value: Any) -> None:
    item.assets["image"].extra_fields[field] = value
    problems = said(item)
    assert problems.startswith("asset 'image': ")
    assert field in problems or field == "bands"
    assert "image.tif" in problems


def test_the_box_of_a_grid_may_be_rounded_or_have_heights(item: pystac.Item) -> None:
    fields = item.assets["image"].extra_fields
    west, south, east, north = fields["proj:bbox"]
    assert (west, south, east, north) == pytest.approx((500_000, 4_099_640, 500_312, 4_100_000))
    for told in ([west, south, 0, east, north, 90], [west + 0.2, south, east, north - 0.2]):
        fields["proj:bbox"] = told
        assert not said(item)
    affine = Affine.translation(500_000, 4_100_000) @ Affine.rotation(30) @ Affine.scale(0.6, -0.6)
    turned = GeoBox((600, 520), affine, "EPSG:32615")
    publish.write_cog(Path(catalogue.asset_path(item, "image")), noise(3, 600, 520), turned, nodata=0)
    corners = np.array([affine @ corner for corner in ((0, 0), (520, 0), (0, 600), (520, 600))])
    fields |= publish.grid_fields(turned) | {"proj:bbox": [*corners.min(axis=0), *corners.max(axis=0)]}
    assert not said(item)


def test_a_nodata_value_on_one_side_only(item: pystac.Item) -> None:
    del item.assets["image"].extra_fields["nodata"]
    assert "states no nodata value" in said(item)
    item.assets["visual"].extra_fields["nodata"] = 0
    path = Path(catalogue.asset_path(item, "visual"))
    publish.write_cog(path, noise(3, 600, 520), box(600, 520))
    assert "marks none" in said(item, "visual")


def test_a_truncated_file(item: pystac.Item) -> None:
    path = Path(catalogue.asset_path(item, "image"))
    path.write_bytes(path.read_bytes()[:-50_000])
    assert "cannot be read" in said(item)
    assert "\n" not in said(item)


@pytest.mark.parametrize("name", ["a.png", "a.parquet", "a.geojson", "a.tif"])
def test_a_file_that_is_not_what_it_is_called(item: pystac.Item, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("nonsense")
    item.add_asset("x", pystac.Asset(str(tmp_path / name)))
    assert said(item, "x").startswith("asset 'x'")
    assert "\n" not in said(item, "x")


def test_vectors_that_open(item: pystac.Item, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    for name in ("a.parquet", "a.geojson"):
        item.add_asset("x", pystac.Asset(str(tmp_path / name)))
        assert not said(item, "x")


def test_remote_assets_are_not_opened(item: pystac.Item) -> None:
    item.add_asset("x", pystac.Asset("https://example.com/a.tif"))
    assert not said(item, "x")
    item.add_asset("x", pystac.Asset("/vsicurl/https://example.com/a.tif"))
    assert "no GDAL virtual files" in said(item, "x")
