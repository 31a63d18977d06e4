from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
from imagery import box, index, noise, write_image
from odc.geo.geobox import GeoBox
from shapely.geometry import shape

from mage_stac import catalogue, footprint, publish, sensors
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.validate import validate


def imagery(folder: Path, image: np.ndarray, geobox: GeoBox, **changes: object) -> pystac.Item:
    publish.write_cog(folder / "image.tif", image, geobox)
    fields = {
        "id": "x",
        "geobox": geobox,
        "datetime": "2011-05-24",
        "sensor": sensors.read("aerial-rgb"),
        "folder": folder,
    }
    return publish.imagery_item(**{**fields, **changes})  # type: ignore[arg-type]


def test_an_imagery_item_says_all_of_its_pixels(tmp_path: Path) -> None:
    geobox = box(40, 60)
    item = imagery(tmp_path, noise(3, 40, 60), geobox, properties={"view:sun_elevation": 40.0})
    assert item.properties["view:sun_elevation"] == 40.0
    assert item.properties["gsd"] == 0.6
    assert item.datetime == datetime(2011, 5, 24, tzinfo=UTC)
    image = item.assets["image"].extra_fields
    assert image["proj:shape"] == [40, 60]
    assert image["proj:transform"] == list(geobox.affine)[:6]
    assert [band["eo:common_name"] for band in image["bands"]] == ["red", "green", "blue"]
    assert image["raster:scale"] == pytest.approx(1 / 255)
    assert sorted(item.assets) == ["image", "thumbnail", "visual"]
    assert shape(item.geometry).equals_exact(shape(footprint.of_grid(geobox)[0]), 1e-9)


def test_what_is_written_is_valid(tmp_path: Path, schemas: Path) -> None:
    pre = write_image(tmp_path, "pre", noise(3, 40, 60), box(40, 60))
    gappy = noise(3, 40, 60)
    gappy[:, :, :9] = 0
    write_image(tmp_path, "gappy", gappy, box(40, 60), nodata=0)
    with catalogue.staged(tmp_path, "maps", "m") as folder:
        grades = noise(40, 60) % 5
        table = publish.colour_table(publish.DAMAGE_CLASSES)
        publish.write_cog(folder / "damage.tif", grades, box(40, 60), nodata=255, colours=table)
        publish.write_cog(folder / "depth.tif", noise(40, 60).astype("float32"), box(40, 60), nodata=np.nan)
        item = pystac.Item("m", pre.geometry, pre.bbox, pre.datetime, {}, collection="maps")
        damage = publish.class_asset("./damage.tif", title="D", classes=publish.DAMAGE_CLASSES, geobox=box(40, 60))
        item.add_asset("damage", damage)
        item.add_asset(
            "depth",
            publish.raster_asset(
                "./depth.tif",
                title="Depth",
                geobox=box(40, 60),
                dtype="float32",
                nodata=np.nan,
                unit="m",
                bands=("depth",),
            ),
        )
        publish.derived_from(item, [pre])
        catalogue.write_item(folder, item)
    index(tmp_path, "c", "maps")
    report = validate(tmp_path, schemas)
    assert report.problems == ()
    assert report.checked == 6


def test_a_model_among_the_sources_brings_its_name(tmp_path: Path) -> None:
    model = write_image(tmp_path, "model", noise(3, 8, 8), box(8, 8))
    model.properties["mlm:name"] = "net"
    item = pystac.Item("m", None, None, model.datetime, {})
    publish.derived_from(item, [model])
    (link,) = item.links
    assert (link.rel, link.extra_fields) == ("derived_from", {"mlm:name": "net"})


@pytest.mark.parametrize(
    ("date", "single", "span"),
    [
        ("2011-05-24", datetime(2011, 5, 24, tzinfo=UTC), {}),
        ("2011-05-24T15:00:00+02:00", datetime(2011, 5, 24, 13, tzinfo=UTC), {}),
        (datetime(2011, 5, 24, tzinfo=UTC), datetime(2011, 5, 24, tzinfo=UTC), {}),
        ("2011-05-24/2011-06-01", None,
         {"start_datetime": "2011-05-24T00:00:00Z", "end_datetime": "2011-06-01T00:00:00Z"}),
    ],
)  # fmt: skip
def test_dates(date: str | datetime, single: datetime | None, span: dict[str, str]) -> None:
    assert publish.when(date) == (single, span)


def test_a_date_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="'May'"):
        publish.when("May")
    with pytest.raises(CatalogueError):
        imagery(tmp_path, noise(3, 8, 8), box(8, 8), datetime="yesterday")


def test_an_image_that_contradicts_its_sensor(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"image\.tif has 2 bands of uint8, but sensor aerial-rgb has 3"):
        imagery(tmp_path, noise(2, 8, 8), box(8, 8))
    with pytest.raises(AssetError, match=r"image\.tif cannot be read"):
        publish.imagery_item(
            id="x", geobox=box(8, 8), datetime="2020-01-01", sensor=sensors.read("naip"), folder=tmp_path / "no"
        )


def test_a_crs_without_a_code() -> None:
    crs = "+proj=laea +lat_0=37 +lon_0=-94 +units=m"
    fields = publish.grid_fields(GeoBox((4, 4), box(4, 4).affine, crs))
    assert fields["proj:code"] is None
    assert "Lambert" in fields["proj:wkt2"]
