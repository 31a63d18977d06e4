"""Likeness: a real image that renders are made alike: its grid, its light and view, its pixels as reflectance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Proj

from mage_stac import catalogue, cube, dates, grid, imaging, pairs
from mage_stac.errors import GridError, MageStacError, RenderError
from mage_stac.scene import site, sun
from mage_stac.scene.scene import View
from mage_stac.sensors import Sensor

BANDS = ("red", "green", "blue")
SQUARE = 1e-3
"""Relative difference of a pixel's sides up to which it is square."""
STRETCHED = 0.02
"""Relative difference of a CRS's metre from one on the ground from which it is none: UTM's is within 0.01."""
TURNED = 6.0
"""Degrees between up and north from which a CRS is not north up: in UTM three, twice that in a neighbouring zone."""
HOUSE = 6.0
"""Height of a house, m: of two storeys. A lean that moves its eaves by less than half a pixel shows nowhere."""
HALF = 180.0
"""Degrees of longitude that no image spans, unless it crosses the antimeridian."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """Items that make one image of a place at one time."""

    items: tuple[pystac.Item, ...]
    geobox: GeoBox
    """North-up square pixels in a CRS in true metres, its up north: the Items' own grid where it is such a one."""
    datetime: str
    """RFC 3339: of the first Item, the middle of its interval, moved to daylight if the sun was down then."""
    stated: str
    """RFC 3339: as the Items say."""
    sun: tuple[float, float] | None
    """Azimuth and elevation, degrees; None where neither a field nor a time of day tells."""
    view: View

    @property
    def gsd(self) -> float:
        """Metres."""
        return float(self.geobox.resolution.x)


def opened(path: str | Path, gsd: float | None = None) -> Likeness:
    """The image that `path` (an Item, or a folder of Items that make one mosaic) holds.

    `gsd` in metres resamples it.

    Raises:
        CatalogueError: there are no Items.
        RenderError: none has an image, they are of several Collections, and so of several dates, or state a sun or a
            view that cannot be.
        AssetError: an Item lacks an `image` asset, or its bands red, green and blue.
        GridError: its grid cannot be found.
    """
    items = tuple(item for item in catalogue.read_items(path) if pairs.IMAGE in item.assets)
    if not items:
        raise RenderError(f"{path}: no Item with an asset {pairs.IMAGE!r} to be like: {catalogue.IMAGELESS}")
    kinds = sorted({item.collection_id for item in items if item.collection_id})
    if len(kinds) > 1:
        raise RenderError(f"{path}: images of the Collections {', '.join(kinds)}: give that of one date alone")
    pairs.positions(items, BANDS)
    geobox = _grid(items, gsd)
    stated = _when(items[0])
    lon, lat = _middle(geobox)
    return Likeness(
        items=items,
        geobox=geobox,
        stated=stated,
        datetime=_daylight(stated, lon, lat),
        sun=_sun(items[0], lon, lat),
        view=_view(items[0], geobox.resolution.x),
    )


def _grid(items: Sequence[pystac.Item], gsd: float | None) -> GeoBox:
    own = grid.of_items(items, pairs.IMAGE)
    affine = own.affine
    square = affine.b == affine.d == 0 and affine.a > 0 and abs(-affine.e / affine.a - 1) < SQUARE
    if square and _metric(own) and (gsd is None or abs(gsd / affine.a - 1) < SQUARE):
        return own
    if gsd is None:
        stated = items[0].properties.get("gsd")
        gsd = float(stated) if stated else round(grid.ground_resolution(own), 3)
    crs = str(own.crs) if _metric(own) else None
    west, south, east, north = own.geographic_extent.boundingbox.bbox
    if west >= -180 and east <= 180 and east - west < HALF:
        return grid.of_area((west, south, east, north), gsd, crs)
    if crs is None:  # GDAL would read one side of the meridian alone
        raise GridError(
            f"an image in {own.crs} crosses the antimeridian: warp it first (gdalwarp -t_srs"
            f" {grid.utm(*_middle(own))}), and ingest that"
        )
    return GeoBox.from_bbox(own.boundingbox, resolution=gsd, anchor="edge", tol=1e-6)


def _middle(geobox: GeoBox) -> tuple[float, float]:
    """Longitude and latitude, also of a grid across the antimeridian, whose box in degrees goes round the globe."""
    extent = geobox.geographic_extent
    if extent.boundingbox.span_x < HALF:
        lon, lat = extent.centroid.coords[0]
        return float(lon), float(lat)
    rows, columns = geobox.shape
    x, y = geobox.affine @ (columns / 2, rows / 2)
    lon, lat = geobox.crs.transformer_to_crs("EPSG:4326")(x, y)
    return float(lon), float(lat)


def _metric(geobox: GeoBox) -> bool:
    """Whether the CRS is in metres that are some on the ground, and its north is north: suns stand by the true one."""
    try:
        crs = site.metric(str(geobox.crs))
    except MageStacError:
        return False
    if crs.to_epsg() == 3857:  # a metre at the equator alone
        return False
    there = Proj(crs).get_factors(*_middle(geobox))
    stretched = max(abs(there.meridional_scale - 1), abs(there.parallel_scale - 1))
    return stretched < STRETCHED and abs(there.meridian_convergence) < TURNED


def _when(item: pystac.Item) -> str:
    start, end = item.common_metadata.start_datetime, item.common_metadata.end_datetime
    moment = item.datetime if item.datetime is not None else start
    if item.datetime is None and start is not None and end is not None:
        moment = start + (end - start) / 2
    if moment is None:
        raise RenderError(f"Item {item.id} has no date")
    return dates.utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _daylight(stated: str, lon: float, lat: float) -> str:
    """The moment itself if the sun was up for a survey, else the noon of its day, else of the next equinox."""
    if sun.position(stated, lon, lat)[1] > sun.LOWEST:
        return stated
    moment = datetime.fromisoformat(stated)
    for month, day in ((moment.month, moment.day), (3, 21)):
        hour = (12 - lon / 15) % 24
        noon = moment.replace(month=month, day=day, hour=int(hour), minute=int(hour % 1 * 60), second=0)
        text = noon.strftime("%Y-%m-%dT%H:%M:%SZ")
        if sun.position(text, lon, lat)[1] > sun.LOWEST:
            return text
    raise RenderError(f"no daylight at latitude {lat:.1f} on {stated}: give Items with view:sun_elevation")


def _sun(item: pystac.Item, lon: float, lat: float) -> tuple[float, float] | None:
    """Of the Item's fields; of its time if it is an instant with the sun up."""
    azimuth, elevation = (item.properties.get(f"view:sun_{angle}") for angle in ("azimuth", "elevation"))
    if azimuth is not None and elevation is not None:
        if not 0 < elevation <= 90:
            raise RenderError(
                f"Item {item.id} has view:sun_elevation {elevation:g}, under which nothing shows: correct it, or take"
                " it out, and the sun is told by the shadows"
            )
        return float(azimuth), float(elevation)
    if item.datetime is None or (item.datetime.hour, item.datetime.minute) == (0, 0):  # a date, not a time
        return None
    found = sun.position(_when(item), lon, lat)
    return found if found[1] > sun.LOWEST else None


def _view(item: pystac.Item, gsd: float) -> View:
    """From where the Item was seen; from above if it does not say from where but houses hardly lean in it."""
    told = (item.properties.get(name) for name in ("view:off_nadir", "view:incidence_angle"))
    lean = abs(next((float(value) for value in told if value is not None), 0.0))
    azimuth = item.properties.get("view:azimuth")
    if azimuth is None and math.tan(math.radians(lean)) * HOUSE < gsd / 2:
        return View()
    if azimuth is None:
        raise RenderError(
            f"Item {item.id} was seen {lean:g} degrees off nadir, but it does not say from where, nor so where roofs"
            " lie: add view:azimuth, degrees from the ground towards the sensor"
        )
    return View(off_nadir=lean, azimuth=float(azimuth))


def reflectance(likeness: Likeness, geobox: GeoBox, sensor: Sensor) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The image on a grid: (rows, columns, 3) reflectance as `sensor` would turn it into the Items' numbers, valid.

    Raises:
        AssetError: a file cannot be read.
        RenderError: the sensor makes pictures of 8 bits, the Items are none.
    """
    _check_kind(likeness.items[0], sensor)
    bands = pairs.positions(likeness.items, BANDS)
    values, valid = cube.read(likeness.items, geobox, asset=pairs.IMAGE, bands=bands)
    return imaging.linear(np.moveaxis(values, 0, -1), sensor), valid


def _check_kind(item: pystac.Item, sensor: Sensor) -> None:
    """A picture's tone curve taken off reflectance would leave a ground as dark as night."""
    dtype = pairs.dtype(item)
    if dtype != "uint8" and sensor.dtype == "uint8" and sensor.gamma != 1:
        raise RenderError(
            f"the image of Item {item.id} is {dtype}, so reflectance, but --sensor {sensor.name} makes tone-mapped"
            " pictures of 8 bits: give a sensor of the image's kind, such as sentinel-2 or pleiades-neo"
        )


def window(likeness: Likeness, rows: slice, columns: slice) -> GeoBox:
    """A part of the image's grid.

    Raises:
        GridError: it leaves the grid.
    """
    height, width = likeness.geobox.shape
    if rows.start < 0 or columns.start < 0 or rows.stop > height or columns.stop > width:
        raise GridError(f"rows {rows.start}-{rows.stop}, columns {columns.start}-{columns.stop} leave {width}x{height}")
    return likeness.geobox[rows, columns]


def observed(likeness: Likeness, geobox: GeoBox) -> float:
    """Share of a part of the image's grid that the Items observed, 0..1, from every tenth pixel."""
    coarse = geobox.zoom_out(10) if min(geobox.shape) >= 40 else geobox
    _, valid = cube.read(likeness.items, coarse, asset=pairs.IMAGE, bands=(1,))
    return float(valid.mean())
