"""From Items to pixels on a grid: `read` at once as an array, `load` lazily as an xarray Dataset. The same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import reduce
from itertools import repeat
from typing import Any, Literal

import numpy as np
import pystac
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.xr import xr_coords
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from mage_stac import band_fields, cube_bands, cube_odc, cube_stackstac, dates, grid, hiding
from mage_stac.band_fields import holds_classes, stated
from mage_stac.catalogue import asset_path
from mage_stac.cube_bands import Names, in_units
from mage_stac.cube_stackstac import File
from mage_stac.errors import AssetError, GridError
from mage_stac.raster import EIGHT_BITS, float_kind, opened, with_nodata

WARP_TOLERANCE = 0.01
"""Pixels by which GDAL may approximate a reprojection (its default is 0.125)."""

NEAR = 0.1
"""Share of the grid's span by which an Item's bbox may be off."""

PLAIN_KERNEL = {"XSCALE": "1", "YSCALE": "1"}
"""GDAL would widen its kernel by the ratio of the two windows' sizes, so that a pixel depended on the window it is read
in (by up to 7 grey levels on Joplin's pixels of 0.53 x 0.67 m). What shrinks by 2 and more is averaged before."""

Engine = Literal["odc", "stackstac"]

Floats = NDArray[np.floating[Any]]
"""float32, or float64 of classes and bits that float32 would round (`raster.float_kind`)."""

HIDE = "hide"
"""Name of the mask while it is among the variables."""

CHUNK = 2048
"""Pixels a side of the lazy pieces."""

HEADERS = 8
"""Files opened at once when grids are compared."""


def read(
    items: Sequence[pystac.Item],
    geobox: GeoBox,
    *,
    asset: str = "image",
    bands: Sequence[int] | None = None,
    hide: str | None = None,
) -> tuple[Floats, NDArray[np.bool_]]:
    """One asset of several Items as one mosaic on a grid: the first Item that observed a pixel gives it.

    `bands` are positions in the asset, from 1; all without. Pixels are copied where the grids agree, else interpolated:
    bilinear, or nearest for an asset of classes or bits (`band_fields.holds_classes`). Values are `DN * raster:scale +
    raster:offset` as the asset states them (DN / 255 for uint8 that states none), classes as they are. `hide` is an
    asset of the same Items (SCL, QA_PIXEL): what its clouds and shadows hide was not observed (`hiding.rule`).

    Returns:
        values (bands, y, x), 0 where not observed, float32, or float64 of classes and bits in files of more than 16
        bits; valid (y, x), True where observed. A pixel is observed unless all its bands hold the nodata value, a mask
        hides it, or one of them is NaN.

    Raises:
        GridError: no Items.
        AssetError: an Item lacks the asset or band, contradicts its file, or the file cannot be read.
    """
    if not items:
        raise GridError(f"no Items to read asset {asset!r} from")
    values: Floats | None = None
    for item in _near(items, geobox) or items[:1]:
        path = asset_path(item, asset)
        with opened(path, f"asset {asset!r} of Item {item.id}") as source:
            wanted = _checked_bands(item, asset, bands, source.count)
            classes = holds_classes(asset, item.assets[asset])
            kind = float_kind(source.dtypes[0], classes=classes)
            if values is None:
                values = np.full((len(wanted), *geobox.shape), np.nan, kind)
            elif len(wanted) != len(values):
                raise AssetError(
                    f"asset {asset!r} of Item {item.id} has {len(wanted)} bands, those before {len(values)}"
                )
            _checked_grid(item, asset, grid.of_dataset(source))
            values = values.astype(np.promote_types(values.dtype, kind), copy=False)
            clear = _clear(item, geobox, hide) if hide else None
            _fill(values, source, geobox, wanted, item.assets[asset], classes=classes, clear=clear)
        if not np.isnan(values[0]).any():
            break
    filled: Floats = np.zeros((0, *geobox.shape), "float32") if values is None else values
    valid = ~np.isnan(filled[0])
    return np.where(valid, filled, filled.dtype.type(0)), valid


def _near(items: Sequence[pystac.Item], geobox: GeoBox) -> Sequence[pystac.Item]:
    """The Items whose bbox meets the grid, with room to spare: no file need be opened to leave out the others."""
    west, south, east, north = geobox.geographic_extent.boundingbox.bbox
    room = NEAR * max(east - west, north - south)

    def meets(box: Sequence[float] | None) -> bool:
        if not box or box[0] > box[len(box) // 2]:
            return True  # unknown, or across the antimeridian
        left, bottom, right, top = box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1]
        return bool(left <= east + room and right >= west - room and bottom <= north + room and top >= south - room)

    return [item for item in items if meets(item.bbox)]


def _checked_bands(item: pystac.Item, key: str, bands: Sequence[int] | None, count: int) -> list[int]:
    wanted = list(range(1, count + 1)) if bands is None else list(bands)
    if not wanted or min(wanted) < 1 or max(wanted) > count:
        raise AssetError(f"asset {key!r} of Item {item.id} has bands 1 to {count}, not {wanted}")
    return wanted


def _checked_grid(item: pystac.Item, key: str, file: GeoBox) -> None:
    """Refuse an asset whose Item says of its grid what is not so: it would be read in the wrong place."""
    problem = grid.contradiction(grid.of_asset(item, key), file)
    if problem:
        raise AssetError(f"asset {key!r} of Item {item.id} contradicts its file: {problem}; correct the Item")


def _clear(item: pystac.Item, geobox: GeoBox, hide: str) -> NDArray[np.bool_]:
    """Where an Item's mask shows the ground (y, x): not beyond the mask."""
    codes, known = read([item], geobox, asset=hide, bands=[1])
    return known & ~hiding.rule(item, hide).hidden(codes[0])


def _fill(
    values: Floats,
    source: Any,
    geobox: GeoBox,
    bands: list[int],
    asset: pystac.Asset,
    *,
    classes: bool,
    clear: NDArray[np.bool_] | None = None,
) -> None:
    """Put what the dataset observed, where it is `clear` (y, x), into the NaN of `values` (bands, y, x), in place."""
    own = grid.of_dataset(source)
    overlap = compute_reproject_roi(own, geobox, ttol=grid.AGREE, stol=grid.AGREE / max(own.shape), padding=2)
    rows, columns = overlap.roi_dst
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    target = values[:, rows, columns]
    if np.isnan(target[0]).any():
        piece = _warped(source, own, geobox[rows, columns], bands, asset, overlap, nearest=classes)
        if not classes:
            scale, offset = _scale(asset, source, bands)
            piece = piece * scale + offset
        wanted = np.isnan(target[0])
        np.copyto(target, piece, where=wanted if clear is None else wanted & clear[rows, columns])


def _warped(
    source: Any, own: GeoBox, geobox: GeoBox, bands: list[int], asset: pystac.Asset, overlap: Any, *, nearest: bool
) -> Floats:
    """DN on a grid (bands, y, x), NaN where not observed."""
    rows, columns = overlap.roi_src
    if overlap.paste_ok and overlap.read_shrink == 1:
        shift = ~own.affine @ geobox.affine
        rows = slice(round(shift.f), round(shift.f) + geobox.shape[0])
        columns = slice(round(shift.c), round(shift.c) + geobox.shape[1])
        return _observed(source, bands, (rows, columns), geobox.shape, asset, nearest=nearest)
    shape = tuple(max(1, (part.stop - part.start) // overlap.read_shrink) for part in (rows, columns))
    piece = _observed(source, bands, (rows, columns), shape, asset, nearest=nearest)
    shrink = Affine.scale((columns.stop - columns.start) / shape[1], (rows.stop - rows.start) / shape[0])
    placed = GeoBox(shape, own.affine @ Affine.translation(columns.start, rows.start) @ shrink, own.crs)
    return _resampled(piece, placed, geobox, Resampling.nearest if nearest else Resampling.bilinear)


def _resampled(piece: Floats, own: GeoBox, geobox: GeoBox, resampling: Resampling) -> Floats:
    """An array (bands, y, x) carried from one grid to another; NaN is not observed.

    `rasterio.warp.reproject` would do, were it not for its fixed tolerance of 0.125 pixels.
    """
    profile = {
        "driver": "GTiff", "dtype": piece.dtype.name, "count": len(piece), "nodata": np.nan, "crs": str(own.crs),
        "transform": own.affine, "height": own.shape[0], "width": own.shape[1],
    }  # fmt: skip
    with MemoryFile() as memory:
        with memory.open(**profile) as target:
            target.write(piece)
        with (
            memory.open() as source,
            WarpedVRT(
                source,
                crs=str(geobox.crs),
                transform=geobox.affine,
                height=geobox.shape[0],
                width=geobox.shape[1],
                resampling=resampling,
                tolerance=WARP_TOLERANCE,
                **PLAIN_KERNEL,
            ) as warped,
        ):
            result: Floats = warped.read()
    return result


def _observed(
    source: Any,
    bands: list[int],
    window: tuple[slice, slice],
    shape: tuple[int, ...],
    asset: pystac.Asset,
    *,
    nearest: bool,
) -> Floats:
    """DN of a window of the file, thinned to a shape (bands, y, x), NaN where not observed."""
    box = tuple((part.start, part.stop) for part in window)
    averaged = not nearest and tuple(shape) != tuple(part.stop - part.start for part in window)
    nodata = band_fields.nodata(asset, bands) if source.nodata is None else None
    with with_nodata(source, nodata if averaged else None) as there:
        resampling = Resampling.average if averaged else Resampling.nearest
        dn = there.read(bands, window=box, out_shape=(len(bands), *shape), resampling=resampling)
        seen = there.dataset_mask(window=box, out_shape=shape) > 0
    if nodata is not None:
        seen &= (dn != nodata).any(axis=0)
    piece: Floats = dn.astype(float_kind(dn.dtype, classes=nearest))
    seen &= ~np.isnan(piece).any(axis=0)
    piece[:, ~seen] = np.nan
    return piece


def _scale(asset: pystac.Asset, source: Any, bands: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and offset of each band, (bands, 1, 1)."""
    default = EIGHT_BITS if source.dtypes[0] == "uint8" else 1.0
    scales, offsets = (stated(asset, name, bands) for name in ("raster:scale", "raster:offset"))
    scale = [default if value is None else value for value in scales]
    offset = [0.0 if value is None else value for value in offsets]
    return _column(scale), _column(offset)


def _column(numbers: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(numbers, "float32")[:, np.newaxis, np.newaxis]


def load(
    items: Sequence[pystac.Item],
    geobox: GeoBox,
    sensor_bands: Sequence[str] | None = None,
    *,
    asset: str = "image",
    resampling: str = "bilinear",
    engine: Engine = "odc",
    hide: str | None = None,
) -> xr.Dataset:
    """Items as one lazy mosaic on a grid: the first Item that observed a pixel gives it.

    With `sensor_bands` None: every band of `asset`, named as its `bands` say. Else the asset keys (one asset a band) or
    names of bands within `asset` to load. Assets of classes or bits are never interpolated and never scaled. `hide` as
    of `read`. Both engines give the same pixels; stackstac knows only assets of one band and grids that are north-up.

    Returns:
        Dataset (time 1, y, x) with pixel-centre coordinates, backed by dask. Values and types as `read` gives them; NaN
        where not observed.

    Raises:
        GridError: no Items, or stackstac cannot make such a grid.
        AssetError: an Item lacks its geometry, an asset or a band, or contradicts its file; stackstac is not installed
            or cannot read the asset.
    """
    if not items:
        raise GridError("no Items to load")
    named = [cube_bands.names(item, asset, sensor_bands) for item in items]
    names = named[0]
    for item, own in zip(items, named, strict=True):
        if item.geometry is None:
            raise AssetError(f"Item {item.id} has no geometry, without which it cannot be placed")
        if own.keys() != names.keys():
            raise AssetError(f"Item {item.id} has the bands {', '.join(own)}, Item {items[0].id} {', '.join(names)}")
    with ThreadPoolExecutor(HEADERS) as pool:
        keys = dict.fromkeys([*(key for own in named for key, _ in own.values()), *([hide] if hide else [])])
        files = {key: list(pool.map(_header, items, [key] * len(items))) for key in keys}
    units = [
        cube_bands.units(item, own, {key: of[at] for key, of in files.items()})
        for at, (item, own) in enumerate(zip(items, named, strict=True))
    ]

    def some(part: slice, wanted: Names) -> xr.Dataset:
        by = _by_odc if engine == "odc" else _by_stackstac
        return by(items[part], geobox, wanted, {key: of[part] for key, of in files.items()}, resampling)

    if hide is None and named == [names] * len(items) and units == [units[0]] * len(items):
        return in_units(some(slice(None), names), names, units[0])
    extra: Names = {HIDE: (hide, 0)} if hide else {}
    parts = [some(slice(i, i + 1), {**own, **extra}) for i, own in enumerate(named)]
    clear = map(_cleared, parts, items, repeat(hide)) if hide else (part.isel(time=0, drop=True) for part in parts)
    found = reduce(lambda first, other: first.where(first.notnull(), other), map(in_units, clear, named, units))
    return found.expand_dims(time=parts[0].time)


def _cleared(part: xr.Dataset, item: pystac.Item, hide: str) -> xr.Dataset:
    """One Item's bands, NaN where its mask hides the ground."""
    rule, codes = hiding.rule(item, hide), part[HIDE]
    hidden = xr.apply_ufunc(rule.hidden, codes.fillna(0), dask="parallelized", output_dtypes=[bool])
    return part.drop_vars(HIDE).where(codes.notnull() & ~hidden).isel(time=0, drop=True)


def _header(item: pystac.Item, key: str) -> File:
    """What a file says of itself, if its Item agrees."""
    what, path = f"asset {key!r} of Item {item.id}", asset_path(item, key)
    with opened(path, what) as source:
        geobox = grid.of_dataset(source)
        _checked_grid(item, key, geobox)
        return File(
            what=what, path=path, geobox=geobox, bands=source.count, dtype=source.dtypes[0], nodata=source.nodata
        )


def _resampling(item: pystac.Item, key: str, asked: str) -> str:
    return "nearest" if holds_classes(key, item.assets[key]) else asked


def _kind(item: pystac.Item, key: str, files: Sequence[File]) -> np.dtype[Any]:
    """The type in which an asset of some files is loaded."""
    classes = holds_classes(key, item.assets[key])
    return np.result_type(*(float_kind(file.dtype, classes=classes) for file in files))


def _by_odc(
    items: Sequence[pystac.Item], geobox: GeoBox, names: Names, files: dict[str, list[File]], resampling: str
) -> xr.Dataset:
    """DN, NaN where not observed."""
    bands = {name: f"{key}.{index}" if index else key for name, (key, index) in names.items()}
    kinds: dict[np.dtype[Any], Names] = {}
    for name, (key, index) in names.items():
        kinds.setdefault(_kind(items[0], key, files[key]), {})[name] = (key, index)
    parts = [
        cube_odc.mosaic(
            items,
            {key: files[key] for key, _ in some.values()},
            geobox,
            resampling={bands[name]: _resampling(items[0], key, resampling) for name, (key, _) in some.items()},
            dtype=kind,
            chunk=CHUNK,
        )
        for kind, some in kinds.items()
    ]
    return xr.merge(parts, compat="equals", join="exact").rename({band: name for name, band in bands.items()})[
        list(names)
    ]


def _by_stackstac(
    items: Sequence[pystac.Item], geobox: GeoBox, names: Names, files: dict[str, list[File]], resampling: str
) -> xr.Dataset:
    """The same through stackstac."""
    first = items[0]
    moment = first.datetime or first.common_metadata.start_datetime or datetime.fromtimestamp(0, UTC)
    coords = {"time": [np.datetime64(dates.utc(moment).replace(tzinfo=None), "ns")], **xr_coords(geobox)}
    result = {}
    for name, (key, _) in names.items():
        cube_stackstac.checked(files[key], geobox, band_fields.nodata(first.assets[key], [1]))
        way, kind = _resampling(first, key, resampling), _kind(first, key, files[key])
        layer = cube_stackstac.mosaic(files[key], geobox, resampling=way, dtype=kind, chunk=CHUNK)
        result[name] = xr.DataArray(layer.data[np.newaxis], dims=("time", *geobox.dims), coords=coords)
    return xr.Dataset(result)
