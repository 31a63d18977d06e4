"""What an Item tells of its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from imagery import box, index, smooth, write_image
from odc.geo import geom
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from mage_stac import catalogue, likeness, sensors
from mage_stac.errors import MageStacError
from mage_stac.scene import sun


def with_fields(root: Path, name: str, **fields: object) -> Path:
    item = write_image(root, name, smooth(60, 80), box(60, 80))
    path = root / "c" / name / f"{name}.json"
    content = catalogue.read_json(path)
    content["properties"] |= {key.replace("__", ":"): value for key, value in fields.items()}
    catalogue.write_json(path, content)
    assert item.id == name
    return path


def test_grid_light_and_view_are_the_items(tmp_path: Path) -> None:
    path = with_fields(
        tmp_path, "a", view__sun_azimuth=160.0, view__sun_elevation=35.5, view__off_nadir=12.0, view__azimuth=80.0
    )
    found = likeness.opened(path)
    assert found.geobox == box(60, 80)
    assert found.sun == (160.0, 35.5)
    assert (found.view.off_nadir, found.view.azimuth) == (12.0, 80.0)
    assert found.gsd == pytest.approx(0.6)


def test_a_time_of_day_gives_the_sun_and_a_mere_date_does_not(tmp_path: Path) -> None:
    path = with_fields(tmp_path, "a", datetime="2020-06-01T18:00:00Z")
    lon, lat = likeness.opened(path).geobox.geographic_extent.centroid.coords[0]
    assert likeness.opened(path).sun == pytest.approx(sun.position("2020-06-01T18:00:00Z", lon, lat))
    dated = likeness.opened(with_fields(tmp_path, "b", datetime="2020-06-01T00:00:00Z"))
    assert dated.sun is None
    assert dated.stated == "2020-06-01T00:00:00Z"
    assert sun.position(dated.datetime, lon, lat)[1] > sun.LOWEST


def test_a_time_of_another_zone_is_told_in_utc() -> None:
    noon = pystac.utils.str_to_datetime("2011-05-24T12:00:00-06:00")
    assert likeness._when(pystac.Item("i", None, None, noon, {})) == "2011-05-24T18:00:00Z"


def test_an_interval_stands_for_its_middle(tmp_path: Path) -> None:
    path = with_fields(
        tmp_path, "a", datetime=None, start_datetime="2020-06-01T00:00:00Z", end_datetime="2020-06-03T00:00:00Z"
    )
    assert likeness.opened(path).stated == "2020-06-02T00:00:00Z"


def test_an_image_in_degrees_or_of_another_gsd_is_put_on_metres(tmp_path: Path) -> None:
    degrees = GeoBox((60, 80), Affine(6e-6, 0, -94.5, 0, -6e-6, 37.06), "EPSG:4326")
    write_image(tmp_path, "a", smooth(60, 80), degrees)
    found = likeness.opened(tmp_path / "c" / "a")
    assert str(found.geobox.crs) == "EPSG:32615"
    assert found.gsd == pytest.approx(0.6, abs=0.02)
    write_image(tmp_path, "b", smooth(60, 80), box(60, 80))
    assert likeness.opened(tmp_path / "c" / "b", 1.2).gsd == pytest.approx(1.2)


def test_several_items_are_one_image(tmp_path: Path) -> None:
    for name, x in (("a", 0), ("b", 80)):
        write_image(tmp_path, name, smooth(60, 80, x=x), box(60, 80, x=500_000 + 0.6 * x))
    index(tmp_path)
    found = likeness.opened(tmp_path)
    assert found.geobox.shape == (60, 160)
    values, valid = likeness.reflectance(found, found.geobox, sensors.read("aerial-rgb"))
    assert valid.all()
    # The tone curve below its shoulder, the other way.
    expected = np.moveaxis((smooth(60, 160) / 255.0) ** 2.2 / 1.8, 0, -1)
    below = expected < 0.6 / 1.8
    np.testing.assert_allclose(values[below], expected[below], rtol=1e-4)
    assert likeness.observed(found, found.geobox) == 1.0


def test_images_of_two_dates_are_not_one(tmp_path: Path) -> None:
    for name in ("pre", "post"):
        write_image(tmp_path, name, smooth(60, 80), box(60, 80), collection=name)
    index(tmp_path, "pre", "post")
    with pytest.raises(MageStacError, match="images of the Collections post, pre: give that of one date alone"):
        likeness.opened(tmp_path)
    assert likeness.opened(tmp_path / "pre").geobox.shape == (60, 80)


def test_an_item_without_colours_is_one_line(tmp_path: Path) -> None:
    path = with_fields(tmp_path, "a")
    content = catalogue.read_json(path)
    for band in content["assets"]["image"]["bands"]:
        band["name"] = band["eo:common_name"] = "pan"
    catalogue.write_json(path, content)
    with pytest.raises(MageStacError, match="lacks band red"):
        likeness.opened(path)


@pytest.mark.parametrize("stated", [True, False])
def test_reflectance_is_no_picture(stated: bool, tmp_path: Path) -> None:
    item = write_image(tmp_path, "a", smooth(60, 80), box(60, 80))
    path = tmp_path / "c" / "a" / "a.json"
    content = catalogue.read_json(path)
    image = content["assets"]["image"]
    with rasterio.open(catalogue.asset_path(item, "image"), "w", **profile(60, 80), dtype="uint16") as target:
        target.write(smooth(60, 80).astype("uint16") * 20 + 1000)
    image |= {"data_type": "uint16", "raster:scale": 1e-4, "raster:offset": -0.1}
    if not stated:
        del image["data_type"]
    catalogue.write_json(path, content)
    found = likeness.opened(path)
    with pytest.raises(
        MageStacError, match="Item a is uint16, so reflectance, but --sensor aerial-rgb makes tone-mapped"
    ):
        likeness.reflectance(found, found.geobox, sensors.read("aerial-rgb"))
    values, valid = likeness.reflectance(found, found.geobox, sensors.read("sentinel-2"))
    assert valid.all()
    assert values == pytest.approx(np.moveaxis(smooth(60, 80), 0, -1) * 20e-4, abs=1e-6)


def profile(rows: int, columns: int) -> dict[str, Any]:
    own = box(rows, columns)
    return {
        "driver": "GTiff", "count": 3, "height": rows, "width": columns, "crs": str(own.crs), "transform": own.affine
    }  # fmt: skip


@pytest.mark.parametrize("gsd", [None, 1.0])
def test_an_image_across_the_antimeridian_has_the_sun_of_its_place(tmp_path: Path, gsd: float | None) -> None:
    x, y = Transformer.from_crs(4326, 32760, always_xy=True).transform(180.0, -16.8)
    write_image(tmp_path, "a", smooth(60, 80), GeoBox((60, 80), Affine(0.6, 0, x - 24, 0, -0.6, y + 18), "EPSG:32760"))
    path = with_fields(tmp_path, "b", datetime="2020-05-05T22:00:00Z")
    item = catalogue.read_json(path)
    there = tmp_path / "c" / "a" / "a.json"
    catalogue.write_json(there, catalogue.read_json(there) | {"properties": item["properties"]})
    found = likeness.opened(there, gsd)
    assert max(found.geobox.shape) <= 80
    assert found.geobox.extent.contains(geom.point(x, y, "EPSG:32760"))
    assert found.sun == pytest.approx(sun.position("2020-05-05T22:00:00Z", 180.0, -16.8), abs=1e-3)
    assert found.datetime == "2020-05-05T22:00:00Z"


def test_an_image_in_degrees_across_the_antimeridian_is_refused(tmp_path: Path) -> None:
    degrees = GeoBox((60, 80), Affine(6e-6, 0, 179.9998, 0, -6e-6, -16.8), "EPSG:4326")
    write_image(tmp_path, "a", smooth(60, 80), degrees)
    with pytest.raises(
        MageStacError, match=r"crosses the antimeridian: warp it first \(gdalwarp -t_srs EPSG:327(60|01)"
    ):
        likeness.opened(tmp_path / "c" / "a")


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [("EPSG:3395", 24.9, 60.2), ("EPSG:3035", -9.1, 38.7), ("EPSG:5070", -121.4, 37.5), ("EPSG:6933", 20.0, 45.0)],
    ids=["longer metre", "Lisbon leans", "California leans", "flattened"],
)
def test_an_image_whose_metre_or_north_is_none_is_put_into_its_utm_zone(
    tmp_path: Path, crs: str, lon: float, lat: float
) -> None:
    """Suns are told from true north, heights and sizes in metres on the ground."""
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    write_image(tmp_path, "a", smooth(60, 80), GeoBox((60, 80), Affine(0.6, 0, x, 0, -0.6, y), crs))
    found = likeness.opened(tmp_path / "c" / "a").geobox
    assert str(found.crs).startswith("EPSG:326")
    low, high = (found.crs.transformer_to_crs("EPSG:4326")(*(found.affine @ (40, row))) for row in (60, 0))
    north, _, metres = Geod(ellps="WGS84").inv(*low, *high)
    assert abs(north) < 3
    assert metres == pytest.approx(60 * found.affine.a, rel=2e-3)


def test_an_incidence_angle_leans_where_no_off_nadir_is_told(tmp_path: Path) -> None:
    view = likeness.opened(with_fields(tmp_path, "a", view__incidence_angle=25.0, view__azimuth=80.0)).view
    assert (view.off_nadir, view.azimuth) == (25.0, 80.0)


def test_a_lean_from_nowhere_that_moves_no_roof_by_half_a_pixel_is_none(tmp_path: Path) -> None:
    item = with_fields(tmp_path, "a", view__off_nadir=4.0)  # 0.42 m at eaves of 6 m
    assert likeness.opened(item, 1.0).view.off_nadir == 0
    with pytest.raises(MageStacError, match="4 degrees off nadir"):
        likeness.opened(item, 0.5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"view__sun_azimuth": 0.0, "view__sun_elevation": 0.0}, "view:sun_elevation 0"),
        ({"view__sun_azimuth": 170.0, "view__sun_elevation": -12.5}, "view:sun_elevation -12.5"),
        ({"view__off_nadir": 25.0}, "25 degrees off nadir, but it does not say from where"),
    ],
    ids=["placeholder", "night", "no azimuth"],
)
def test_a_light_or_view_that_cannot_be_is_one_line(tmp_path: Path, fields: dict[str, float], said: str) -> None:
    with pytest.raises(MageStacError, match=said):
        likeness.opened(with_fields(tmp_path, "a", **fields))
