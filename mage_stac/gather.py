"""Gathering bands into one image: satellites' catalogues have a file a band, the other steps read an asset `image`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np
import pystac
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from mage_stac import cog, cube, cut, dates, grid, pairs, publish, raster, sensors
from mage_stac.band_fields import holds_classes, listed, stated
from mage_stac.errors import AssetError, GridError
from mage_stac.sensors import Band, Sensor

STRIP = 1024
"""Pixels a side of the pieces gathered at once."""
Type = Literal["uint8", "uint16", "int16", "float32"]
"""Pixels that an image has; others become float32."""
AROUND = 0.002
"""Degrees of latitude, some 220 m, by which bands are cut larger: what is interpolated needs the pixels beyond."""
REWRITTEN = ("/raster/", "/eo/")
"""Extensions whose fields an image has in the version of today, whatever the Item declared."""
SHIFTED = 4.0
"""Processing baseline of Sentinel-2 from which DN are moved up by 1000, so that reflectances may be negative."""
OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Of Items of Earth Search: their DN were moved back, whatever their assets state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What an image is gathered of."""

    bands: tuple[str, ...]
    """Names, common names, or keys of assets of one band."""
    hide: str | None = None
    """Asset whose clouds and shadows were not observed, such as SCL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a band lies."""

    key: str
    """Of the asset."""
    position: int
    """In the asset, from 1."""
    band: Band
    """What is known of it; its `index` is where it comes to lie."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """How an image keeps its values: DN * scale + offset."""

    dtype: Type
    scale: float
    offset: float
    nodata: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """An Item with its image, and what the user should know of it."""

    item: pystac.Item
    notices: tuple[str, ...]


def gather(
    item: pystac.Item,
    wanted: Wanted,
    area: BaseGeometry,
    folder: Path,
    *,
    sign: Callable[[str], str] | None = None,
) -> Gathered:
    """A copy of an Item with some bands over the box of an area (lon/lat) as folder/image.tif, and its pictures.

    The image lies on the pixels of the finest band; coarser ones are interpolated to it. It keeps DN, scale and offset
    where all bands share them, else it holds the values themselves (float32). A pixel is observed where every band is,
    and where the mask, if one is wanted, has no cloud or shadow. `sign` makes a URL that may be opened.

    Raises:
        AssetError: the Item lacks a band or the mask, or a file cannot be read.
        GridError: it observed nothing of the area.
        CatalogueError: the disk refuses.
    """
    found, hide = places(item, wanted.bands), wanted.hide
    keys = list(dict.fromkeys([*(place.key for place in found), *([hide] if hide else [])]))
    with TemporaryDirectory(dir=folder, prefix=".bands-") as aside:
        parts = cut.cut(item, _grown(area) if len(keys) > 1 else area, Path(aside), keys=keys, sign=sign)
        hrefs = {key: str(Path(aside, asset.href).absolute()) for key, asset in parts.assets.items()}
        parts.set_self_href(None)  # what was downloaded is ours, wherever the Item came from
        for key, href in hrefs.items():
            parts.assets[key].href = href
        absent = next((key for key in keys if key not in parts.assets), None)
        own = None if absent else _finest(parts, found)
        box = None if own is None else cut.part(own, area)
        if box is None:
            raise GridError(f"Item {item.id} has no band {absent or found[0].key!r} that reaches into the area")
        notices = _in_units(parts, found)
        numbers = _numbers(parts, found, hide)
        if not _write(parts, found, box, numbers, folder / "image.tif", hide):
            raise GridError(f"Item {item.id} observed nothing of the area")
    return Gathered(item=_described(item, found, box, numbers, folder), notices=tuple(notices))


def places(item: pystac.Item, wanted: Sequence[str]) -> tuple[Place, ...]:
    """Where the bands so called (by name, common name or key of an asset) lie: in `image`, else alone, else in any.

    Of several files of one band, the finest is taken; `ASSET.BAND` names one.

    Raises:
        AssetError: the Item lacks a band (names those it has).
    """
    known = [
        (key, position, _bands(item, key)[position - 1]) for key in _candidates(item) for position in _every(item, key)
    ]
    found = []
    for index, name in enumerate(wanted, start=1):
        keyed = (one for one in known if one[0] == name and len(_bands(item, name)) == 1)
        called = (one for one in known if name in (one[2].name, one[2].common_name))
        exact = (one for one in known if name in (f"{one[0]}.{one[2].name}", f"{one[0]}.{one[2].common_name}"))
        at = next(chain(keyed, called, exact), None)
        if at is None:
            have = ", ".join(dict.fromkeys("/".join(filter(None, (b.name, b.common_name))) for _, _, b in known))
            raise AssetError(f"Item {item.id} lacks band {name}; it has {have or 'no named bands'}")
        key, position, band = at
        own = name in (band.name, band.common_name) or name.startswith(f"{key}.")
        found.append(
            Place(key=key, position=position, band=replace(band, name=band.name if own else name, index=index))
        )
    return tuple(found)


def _every(item: pystac.Item, key: str) -> range:
    return range(1, len(_bands(item, key)) + 1)


def _candidates(item: pystac.Item) -> list[str]:
    """The assets that may hold a band, the likeliest first."""
    keys = [key for key in cut.raster_keys(item) if not holds_classes(key, item.assets[key])]

    def order(key: str) -> tuple[int, float, bool, bool]:
        asset = item.assets[key]
        kind = 0 if key == pairs.IMAGE else 1 if len(_bands(item, key)) == 1 else 2
        transform = asset.extra_fields.get("proj:transform")
        size = abs(transform[0]) if transform else asset.extra_fields.get("gsd", item.properties.get("gsd", math.inf))
        return kind, float(size), "visual" in (key, *(asset.roles or ())), "jp2" in (asset.media_type or "")

    return sorted(keys, key=order)


def _bands(item: pystac.Item, key: str) -> list[Band]:
    """The bands of an asset as far as its Item names them; one of the asset's own name where it names none."""
    fields = item.assets[key].extra_fields
    rows = [row for row in fields.get("bands") or fields.get("eo:bands") or [{}] if isinstance(row, dict)]

    def told(row: dict[str, Any], name: str) -> Any:
        return row.get(f"eo:{name}", row.get(name))

    names = [str(row.get("name") or (key if len(rows) == 1 else f"{key}.{at}")) for at, row in enumerate(rows, 1)]
    common = _sentinel_2() if _is_sentinel_2(item) else {}
    return [
        Band(
            name=name,
            common_name=told(row, "common_name") or common.get(name),
            center_wavelength=told(row, "center_wavelength") or None,
            fwhm=told(row, "full_width_half_max") or None,
        )
        for name, row in zip(names, rows, strict=True)
    ]


def _sentinel_2() -> dict[str, str | None]:
    return {band.name: band.common_name for band in sensors.read("sentinel-2-l1c").bands}


def _is_sentinel_2(item: pystac.Item) -> bool:
    said = (str(item.properties.get(name, "")) for name in ("platform", "constellation"))
    return any(text.lower().replace(" ", "-").startswith("sentinel-2") for text in said)


def _grown(area: BaseGeometry) -> BaseGeometry:
    west, south, east, north = area.bounds
    aside = AROUND / max(math.cos(math.radians(max(abs(south), abs(north)))), 0.01)
    return shapely.box(
        max(west - aside, -180), max(south - AROUND, -90), min(east + aside, 180), min(north + AROUND, 90)
    )


def _finest(item: pystac.Item, found: Sequence[Place]) -> GeoBox:
    return min((grid.of_asset(item, place.key) for place in found), key=lambda box: abs(box.affine.determinant))


def _in_units(item: pystac.Item, found: Sequence[Place]) -> list[str]:
    """State on the assets what their Item or its makers say of their scale, in place; what the user should know."""
    notices = []
    for key in dict.fromkeys(place.key for place in found):
        asset = item.assets[key]
        scale = stated(asset, "raster:scale", [1])[0]
        offset = stated(asset, "raster:offset", [1])[0]
        whole = asset.extra_fields["data_type"] in ("uint16", "int16")
        if any(item.properties.get(name) is True for name in OFFSET_APPLIED) and offset:
            _state(asset, scale or 1.0, 0.0)
            notices.append(f"Item {item.id}: its offset {offset:g} was applied before (boa_offset_applied): 0 is taken")
        elif whole and scale is None and offset is None and _is_sentinel_2(item):
            shift = -0.1 if _baseline(item) >= SHIFTED else 0.0
            _state(asset, 1e-4, shift)
            notices.append(f"Item {item.id} states no scale: that of Sentinel-2 is taken, 0.0001 and {shift:g}")
        elif whole and scale is None:
            notices.append(f"Item {item.id} states no raster:scale of {key!r}: its values are taken as they are")
    return list(dict.fromkeys(notices))


def _baseline(item: pystac.Item) -> float:
    """Processing baseline of Sentinel-2; by the date where it is not told: 04.00 began on 25 January 2022."""
    try:
        return float(item.properties["s2:processing_baseline"])
    except (KeyError, TypeError, ValueError):
        return SHIFTED if dates.stated(item) >= "2022-01-25" else 0.0


def _state(asset: pystac.Asset, scale: float, offset: float) -> None:
    now, before = listed(asset.extra_fields)
    for rows, names in ((now, ("raster:scale", "raster:offset")), (before, ("scale", "offset"))):
        for row in rows:
            for name in names:
                row.pop(name, None)
    asset.extra_fields |= {"raster:scale": scale, "raster:offset": offset}


def _numbers(item: pystac.Item, found: Sequence[Place], hide: str | None) -> Numbers:
    """Those of the bands where they share them."""
    told = set()
    for place in found:
        asset = item.assets[place.key]
        dtype = asset.extra_fields["data_type"]
        scale, offset = (stated(asset, f"raster:{name}", [place.position])[0] for name in ("scale", "offset"))
        plain = raster.EIGHT_BITS if dtype == "uint8" else 1.0
        told.add((dtype, float(plain if scale is None else scale), float(offset or 0)))
    marks = [item.assets[place.key].extra_fields.get("nodata") for place in found]
    if len(told) > 1 or next(iter(told))[0] not in get_args(Type):
        return Numbers(dtype="float32", scale=1.0, offset=0.0, nodata=math.nan)
    ((dtype, scale, offset),) = told
    if dtype == "float32":
        return Numbers(dtype=dtype, scale=scale, offset=offset, nodata=math.nan)
    whole = len({place.key for place in found}) == 1 and hide is None and marks[0] is None
    return Numbers(dtype=dtype, scale=scale, offset=offset, nodata=None if whole else float(marks[0] or 0))


def _write(
    item: pystac.Item, found: Sequence[Place], box: GeoBox, numbers: Numbers, path: Path, hide: str | None
) -> bool:
    """Write the image; whether it shows anything."""
    observed = False
    names = [place.band.name for place in found]
    with cog.stream_cog(
        path, box, dtype=numbers.dtype, count=len(found), nodata=numbers.nodata, descriptions=names
    ) as writer:
        for window in grid.windows(box, STRIP):
            rows, columns = window.core
            values, seen = _read(item, found, grid.crop(box, rows, columns), hide)
            observed = observed or bool(seen.any())
            writer.write(_encoded(values, seen, numbers), rows.start, columns.start)
    return observed


def _read(
    item: pystac.Item, found: Sequence[Place], box: GeoBox, hide: str | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values (bands, y, x) on a grid, and where every band was observed (y, x)."""
    values, seen = np.zeros((len(found), *box.shape), np.float32), np.ones(box.shape, bool)
    for key in dict.fromkeys(place.key for place in found):
        at = [number for number, place in enumerate(found) if place.key == key]
        positions = [found[number].position for number in at]
        values[at], valid = cube.read([item], box, asset=key, bands=positions, hide=hide)
        seen &= valid
    return values, seen


def _encoded(values: NDArray[np.float32], seen: NDArray[np.bool_], numbers: Numbers) -> NDArray[Any]:
    """DN (bands, y, x), the nodata value where not seen (y, x)."""
    bare = (values.astype(np.float64) - numbers.offset) / numbers.scale
    if np.dtype(numbers.dtype).kind != "f":
        limits = np.iinfo(numbers.dtype)
        bare = np.rint(bare).clip(limits.min, limits.max)
    dn = bare.astype(numbers.dtype)
    return dn if numbers.nodata is None else raster.marked(dn, seen, numbers.nodata)


def _described(item: pystac.Item, found: Sequence[Place], box: GeoBox, numbers: Numbers, folder: Path) -> pystac.Item:
    sensor = Sensor(
        name="gathered",
        title=str(item.properties.get("title") or item.id),
        gsd=round(grid.ground_resolution(box), 3),
        bands=tuple(place.band for place in found),
        dtype=numbers.dtype,
        scale=numbers.scale,
        offset=numbers.offset,
    )  # fmt: skip
    made = publish.imagery_item(id=item.id, geobox=box, datetime=dates.stated(item), sensor=sensor, folder=folder)
    result = item.clone()
    for name in [name for name in result.properties if name.startswith("proj:")]:
        result.properties.pop(name)
    result.properties.update({name: value for name, value in made.properties.items() if "datetime" not in name})
    result.assets, result.geometry, result.bbox = made.assets, made.geometry, made.bbox
    result.stac_extensions = [uri for uri in result.stac_extensions if not any(name in uri for name in REWRITTEN)]
    return result
