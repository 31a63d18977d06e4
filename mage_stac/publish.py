"""From rasters to Items: imagery with its picture and thumbnail, class rasters with their classes, lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime as Datetime  # noqa: N812 - `datetime` is the word of STAC, and a parameter here
from pathlib import Path
from typing import Any

import pystac
from odc.geo.geobox import GeoBox
from pystac.utils import datetime_to_str

from mage_stac import __version__, catalogue, dates, footprint
from mage_stac.classes import DAMAGE_CLASSES, WATER_CLASSES, Class, Classes, colour_table
from mage_stac.cog import Writer, stream_cog, write_cog
from mage_stac.errors import AssetError, CatalogueError
from mage_stac.quicklook import make_pictures
from mage_stac.raster import opened
from mage_stac.sensors import Band, Sensor

__all__ = [
    "DAMAGE_CLASSES", "WATER_CLASSES", "Class", "Classes", "Writer", "class_asset", "colour_table", "derived_from",
    "grid_fields", "imagery_item", "raster_asset", "stream_cog", "thumbnail", "when", "write_cog",
]  # fmt: skip

COG = pystac.MediaType.COG

SOFTWARE = {"mage-stac": __version__}
"""`processing:software` of all that we make."""


def imagery_item(
    *,
    id: str,  # noqa: A002 - STAC's word
    geobox: GeoBox,
    datetime: str | Datetime,
    sensor: Sensor,
    folder: Path,
    properties: Mapping[str, Any] | None = None,
) -> pystac.Item:
    """An Item for folder/image.tif; makes folder/visual.tif (uint8 RGB COG) and folder/thumbnail.png.

    The geometry is the border of the valid pixels, in lon/lat. `datetime` is RFC 3339, or an interval "A/B". Further
    `properties` (view:*, synthetic:* ...) are taken as they are; the extensions are declared when the Item is written.

    Raises:
        AssetError: image.tif is missing, cannot be read, has no valid pixel, or contradicts the sensor.
        CatalogueError: the datetime is no date, or the disk refuses.
    """
    image = folder / "image.tif"
    with opened(image) as source:
        if source.count != len(sensor.bands) or source.dtypes[0] != sensor.dtype:
            raise AssetError(
                f"{image} has {source.count} bands of {source.dtypes[0]}, but sensor {sensor.name} has"
                f" {len(sensor.bands)} of {sensor.dtype}"
            )
        nodata = source.nodata
        geometry, bbox = footprint.of_valid(source, geobox)
    unseen = make_pictures(image, sensor, folder)
    item = _item(id, geometry, bbox, datetime, {"gsd": sensor.gsd, **_platform(sensor), **(properties or {})})
    item.properties.update(grid_fields(geobox))
    item.add_asset("image", _image_asset(sensor, geobox, nodata))
    item.add_asset(
        "visual",
        raster_asset("./visual.tif", title="Picture", geobox=geobox, dtype="uint8", bands=("red", "green", "blue"),
                     nodata=unseen, roles=("visual", "overview")),
    )  # fmt: skip
    item.add_asset("thumbnail", thumbnail("./thumbnail.png"))
    return item


def _item(name: str, geometry: Any, bbox: Any, date: str | Datetime, properties: dict[str, Any]) -> pystac.Item:
    single, span = when(date)
    return pystac.Item(id=name, geometry=geometry, bbox=bbox, datetime=single, properties={**properties, **span})


def when(date: str | Datetime) -> tuple[Datetime | None, dict[str, str]]:
    """The datetime of an Item and, for an interval "A/B", its `start_datetime` and `end_datetime`. UTC unless it says.

    Raises:
        CatalogueError: it is no date.
    """
    if isinstance(date, Datetime):
        return date, {}
    try:
        times = [dates.parsed(part) for part in date.split("/")]
    except ValueError as error:
        raise CatalogueError(f"datetime {date!r} is not like 2011-05-24T15:00:00Z, 2011-05-24 or A/B") from error
    if len(times) == 1:
        return times[0], {}
    return None, {"start_datetime": datetime_to_str(times[0]), "end_datetime": datetime_to_str(times[-1])}


def _platform(sensor: Sensor) -> dict[str, Any]:
    return {
        **({"platform": sensor.platform} if sensor.platform else {}),
        **({"instruments": list(sensor.instruments)} if sensor.instruments else {}),
    }


def _image_asset(sensor: Sensor, geobox: GeoBox, nodata: float | None) -> pystac.Asset:
    asset = raster_asset(
        "./image.tif", title=sensor.title, geobox=geobox, dtype=sensor.dtype, nodata=nodata, roles=("data",)
    )
    asset.extra_fields["raster:scale"] = sensor.scale
    asset.extra_fields["raster:offset"] = sensor.offset
    asset.extra_fields["bands"] = [_band(band) for band in sorted(sensor.bands, key=lambda band: band.index)]
    return asset


def _band(band: Band) -> dict[str, Any]:
    fields = {
        "name": band.name,
        "eo:common_name": band.common_name,
        "eo:center_wavelength": band.center_wavelength,
        "eo:full_width_half_max": band.fwhm,
        "gsd": band.gsd,
    }
    return {key: value for key, value in fields.items() if value is not None}


def raster_asset(
    href: str,
    *,
    title: str,
    geobox: GeoBox,
    dtype: str,
    nodata: float | None = None,
    unit: str | None = None,
    bands: Sequence[str] = (),
    roles: Sequence[str] = ("data",),
) -> pystac.Asset:
    """A COG asset with its grid (`proj:*`), pixel type and, if `bands` names them, its bands."""
    fields: dict[str, Any] = {"data_type": dtype, **grid_fields(geobox)}
    if nodata is not None:
        fields["nodata"] = "nan" if nodata != nodata else nodata  # noqa: PLR0124 - the one value unequal to itself
    if unit:
        fields["unit"] = unit
    if bands:
        fields["bands"] = [{"name": name} for name in bands]
    return pystac.Asset(href, title=title, media_type=COG, roles=list(roles), extra_fields=fields)


def thumbnail(href: str) -> pystac.Asset:
    """The asset of a small picture (PNG)."""
    return pystac.Asset(href, title="Thumbnail", media_type=pystac.MediaType.PNG, roles=["thumbnail"])


def class_asset(
    href: str, *, title: str, classes: Classes, geobox: GeoBox | None = None, roles: Sequence[str] = ("data",)
) -> pystac.Asset:
    """A COG asset of classes (uint8), with `classification:classes`. Give its `geobox`, so that GIS find its grid."""
    nodata = next((entry.value for entry in classes if entry.nodata), None)
    fields: dict[str, Any] = {
        "data_type": "uint8",
        "classification:classes": [entry.as_dict() for entry in classes],
        **({"nodata": nodata} if nodata is not None else {}),
        **(grid_fields(geobox) if geobox is not None else {}),
    }
    return pystac.Asset(href, title=title, media_type=COG, roles=list(roles), extra_fields=fields)


def grid_fields(geobox: GeoBox) -> dict[str, Any]:
    """`proj:*` of a grid (projection extension 2.0.0): code or WKT, shape, transform, bbox."""
    epsg = geobox.crs.epsg if geobox.crs is not None else None
    crs = {"proj:code": f"EPSG:{epsg}"} if epsg else {"proj:code": None, "proj:wkt2": geobox.crs.to_wkt()}
    return {
        **crs,
        "proj:shape": [int(size) for size in geobox.shape],
        "proj:transform": list(geobox.affine)[:6],
        "proj:bbox": list(geobox.boundingbox.bbox),
    }


def derived_from(item: pystac.Item, sources: Iterable[pystac.Item], rel: str = "derived_from", **fields: Any) -> None:
    """Link an Item to what it was made from; a model source brings its `mlm:name` along. `fields` are of the links.

    Raises:
        CatalogueError: a source has no place yet.
    """
    for source in sources:
        name = source.properties.get("mlm:name")
        catalogue.link_to(item, source, rel, **fields, **({"mlm:name": name} if name else {}))
