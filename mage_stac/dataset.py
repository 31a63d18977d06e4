"""Items, pairs and rasters as xarray Datasets: lazy, placed on the ground, and with the names of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pystac
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

from mage_stac import band_fields, catalogue, dates, grid
from mage_stac.band_fields import CLASS_FIELDS, listed, stated
from mage_stac.errors import AssetError, CatalogueError, GridError
from mage_stac.raster import can_hold, opened

ENDINGS = (".tif", ".tiff")
PICTURES = {"visual", "overview", "thumbnail"}
"""Roles of assets that are for eyes: opened only if asked for."""

CHUNK = 2048
"""Pixels a side of the lazy pieces."""

SHOWN = 3
"""Pairs named in an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One raster and how its pixels are to be read."""

    key: str
    item: pystac.Item | None
    """None for a file that belongs to no Item."""
    path: str
    geobox: GeoBox
    dtype: np.dtype[Any]
    count: int
    nodata: float | None
    factors: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """Scale and offset of each band, (bands, 1, 1); None where numbers stay as they are in the file."""
    names: tuple[str, ...]
    attrs: dict[str, Any]

    @property
    def what(self) -> str:
        """For errors."""
        return f"asset {self.key!r} of Item {self.item.id}" if self.item else self.path


def open(path: str | Path, *, assets: Sequence[str] | None = None, pair: str | None = None) -> xr.Dataset:  # noqa: A001 - as xarray and rasterio call it
    """An Item, a pair or a raster as one lazy Dataset on one grid, with pixel-centre coordinates and its CRS.

    Each raster is a variable: (y, x), or (<key>_band, y, x) where it has several bands. Classes and other whole numbers
    stay whole: `flag_values` and `flag_meanings` (CF conventions) name the classes, `nodata` is the number that means
    not observed (255 in our maps). Everything else is float, in the unit that its Item states (scale and offset
    applied), and NaN where not observed. Of several Items, such as a rendered pair with its labels, those that hold the
    same asset are stacked along `time`; all must lie on one grid.

    Args:
        path: an Item, or a catalogue or collection that holds those of one place, as folder or JSON file; or a GeoTIFF,
            whose Item tells of it if it lies beside.
        assets: keys of the assets to open; all rasters but pictures for eyes without.
        pair: of a catalogue of rendered pairs, the Items of this one (`synthetic:pair`).

    Returns:
        Dataset backed by dask; `.odc.geobox` (odc-geo) and `.rio` (rioxarray) find its grid.

    Raises:
        CatalogueError: nothing there, no rasters, or Items that do not belong into one Dataset.
        AssetError: an Item lacks an asset, or its file cannot be opened.
        GridError: the rasters lie on several grids.
    """
    file = Path(path)
    if file.suffix.lower() in ENDINGS and file.is_file():
        return _of_file(file)
    items = catalogue.read_items(file)
    chosen = [item for item in items if pair is None or item.properties.get("synthetic:pair") == pair]
    if not chosen:
        raise CatalogueError(f"{path} holds no pair {pair!r}; {_pairs(items)}" if items else f"{path} holds no Items")
    layers = [_layer(item, key) for item in chosen for key in _keys(item, assets, alone=len(chosen) == 1)]
    if not layers:
        raise CatalogueError(f"{path} holds no rasters{' called ' + ', '.join(assets) if assets else ''}")
    _one_place(layers, items)
    return _dataset(layers)


def named(values: xr.DataArray) -> xr.DataArray:
    """The names of classes in place of their numbers: text of the same shape; "unknown" for numbers without a name.

    Raises:
        AssetError: the array has no `flag_values` and `flag_meanings`, so no classes.
    """
    flags, meanings = values.attrs.get("flag_values"), values.attrs.get("flag_meanings")
    if flags is None or meanings is None:
        raise AssetError(f"{values.name or 'the array'} has no classes: it lacks the attribute flag_values")
    names = dict(zip(np.asarray(flags).tolist(), str(meanings).split(), strict=True))
    known = np.array(sorted(names))
    text = np.array([*(names[value] for value in known.tolist()), "unknown"])

    def look_up(numbers: NDArray[Any]) -> NDArray[Any]:
        at = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        found: NDArray[Any] = text[np.where(known[at] == numbers, at, len(known))]
        return found

    result: xr.DataArray = xr.apply_ufunc(look_up, values, dask="parallelized", output_dtypes=[text.dtype])
    return result


def _of_file(file: Path) -> xr.Dataset:
    """One raster; told of by the Item beside it, if that has such an asset."""
    beside = file.parent / f"{file.resolve().parent.name}.json"
    if beside.is_file():
        item = catalogue.read_item(beside)
        for key, asset in item.assets.items():
            if Path(asset.href) == file.absolute() or Path(asset.href).name == file.name:
                return _dataset([_layer(item, key)])
    return _dataset([_facts(file.stem, None, str(file), pystac.Asset(str(file)))])


def _keys(item: pystac.Item, asked: Sequence[str] | None, *, alone: bool) -> list[str]:
    if asked is not None:
        return [key for key in asked if alone or key in item.assets]
    return [
        key
        for key, asset in item.assets.items()
        if asset.href.lower().split("?")[0].endswith(ENDINGS) and not PICTURES & set(asset.roles or ())
    ]


def _layer(item: pystac.Item, key: str) -> Layer:
    return _facts(key, item, catalogue.asset_path(item, key), item.assets[key])


def _facts(key: str, item: pystac.Item | None, path: str, asset: pystac.Asset) -> Layer:
    what = f"asset {key!r} of Item {item.id}" if item else None
    with opened(path, what, trusted=item is None) as source:
        bands = list(range(1, source.count + 1))
        dtype = np.dtype(source.dtypes[0])
        classes = asset.extra_fields.get(CLASS_FIELDS[0], [])
        scales = _numbers(stated(asset, "raster:scale", bands), source.scales)
        offsets = _numbers(stated(asset, "raster:offset", bands), source.offsets)
        whole = bool(classes) or (dtype.kind in "iub" and (scales == 1).all() and (offsets == 0).all())
        nodata = source.nodata if source.nodata is not None else band_fields.nodata(asset, [1])
        nodata = nodata if nodata is not None and can_hold(source.dtypes[0], nodata) else None
        rows = next((rows for rows in listed(asset.extra_fields) if rows), [])
        told = [row.get("name") for row in rows] if len(rows) == source.count else source.descriptions
        return Layer(
            key=key, item=item, path=path, geobox=grid.of_dataset(source), dtype=dtype, count=source.count,
            nodata=nodata, factors=None if whole else (scales, offsets),
            names=tuple(str(name or band) for name, band in zip(told, bands, strict=True)),
            attrs=_attributes(asset, classes, dtype, nodata if whole else None),
        )  # fmt: skip


def _numbers(stated_ones: Iterable[Any], own: Iterable[float]) -> NDArray[np.float64]:
    """What the Item states of each band, else what the file says: (bands, 1, 1)."""
    numbers = [float(mine if told is None else told) for told, mine in zip(stated_ones, own, strict=True)]
    return np.array(numbers)[:, np.newaxis, np.newaxis]


def _attributes(
    asset: pystac.Asset, classes: Sequence[dict[str, Any]], dtype: np.dtype[Any], nodata: float | None
) -> dict[str, Any]:
    attrs: dict[str, Any] = {}
    if asset.title:
        attrs["long_name"] = asset.title
    if asset.extra_fields.get("unit"):
        attrs["units"] = asset.extra_fields["unit"]
    if classes:
        names = [str(entry.get("name") or entry.get("description") or entry["value"]) for entry in classes]
        attrs["flag_values"] = np.array([entry["value"] for entry in classes], dtype)
        attrs["flag_meanings"] = " ".join("_".join(name.split()) for name in names)
    if nodata is not None:
        attrs["nodata"] = dtype.type(nodata).item()
    return attrs


def _one_place(layers: Sequence[Layer], items: Sequence[pystac.Item]) -> None:
    """Refuse what makes no one Dataset: several grids, or truth and map, or two maps' classes, under one name."""
    first = layers[0]
    homes: dict[str, str | None] = {}
    for layer in layers:
        if grid.contradiction(layer.geobox, first.geobox):
            several = len({layer.item.id for layer in layers if layer.item}) > 1
            way = f"open one Item, or one pair: {_pairs(items)}" if several else "open them one by one with assets="
            raise GridError(f"{layer.what} is not on the grid of {first.what} ({_apart(layer, first)}); {way}")
        if "flag_values" in layer.attrs and layer.item:
            home = homes.setdefault(layer.key, layer.item.collection_id)
            if home != layer.item.collection_id:
                raise CatalogueError(
                    f"collections {home} and {layer.item.collection_id} both hold classes called {layer.key!r}:"
                    " open one collection's folder"
                )


def _apart(layer: Layer, first: Layer) -> str:
    """How two grids differ, in few words."""
    shapes = [f"{rows} x {columns} pixels" for rows, columns in (layer.geobox.shape, first.geobox.shape)]
    return " and ".join(shapes) if shapes[0] != shapes[1] else "of the same size, elsewhere"


def _pairs(items: Sequence[pystac.Item]) -> str:
    pairs = sorted({str(item.properties["synthetic:pair"]) for item in items if "synthetic:pair" in item.properties})
    more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return f"its pairs are {', '.join(pairs[:SHOWN])}{more}" if pairs else "its Items belong to no rendered pair"


def _dataset(layers: Sequence[Layer]) -> xr.Dataset:
    found: dict[str, list[xr.DataArray]] = {}
    for layer in layers:
        found.setdefault(layer.key, []).append(_array(layer))
    variables = {key: arrays[0] if len(arrays) == 1 else _stacked(arrays) for key, arrays in found.items()}
    items = list({layer.item.id: layer.item for layer in layers if layer.item}.values())
    if len(items) > 1:
        variables = {k: a if "time" in a.dims else a.drop_vars("time", errors="ignore") for k, a in variables.items()}
    return xr.Dataset(variables, attrs=_told(items))


def _stacked(arrays: Sequence[xr.DataArray]) -> xr.DataArray:
    return xr.concat(sorted(arrays, key=lambda array: array["time"].item()), "time", combine_attrs="drop_conflicts")


def _told(items: Sequence[pystac.Item]) -> dict[str, Any]:
    """What the Dataset says of where it is from."""
    if len(items) != 1:
        return {"items": [item.id for item in items]} if items else {}
    (item,) = items
    fields = {"id": item.id, "collection": item.collection_id, "title": item.properties.get("title")}
    return {key: value for key, value in fields.items() if value}


def _array(layer: Layer) -> xr.DataArray:
    """The lazy pixels of one raster."""
    dims = tuple(layer.geobox.dimensions)
    chunks = tuple(_pieces(size) for size in layer.geobox.shape)
    dtype = layer.dtype if layer.factors is None else np.promote_types(layer.dtype, "float32")
    pixels = dask.array.map_blocks(  # type: ignore[no-untyped-call]
        _block, layer, chunks=((layer.count,), *chunks), dtype=dtype, meta=np.empty((0, 0, 0), dtype), name=None
    )
    if layer.count == 1:
        array = wrap_xr(pixels[0], layer.geobox, dims=dims, axis=0, nodata=None)
    else:
        band = f"{layer.key}_band"
        array = wrap_xr(pixels, layer.geobox, dims=(band, *dims), axis=1, nodata=None)
        array = array.assign_coords({band: list(layer.names)})
    when = layer.item and (layer.item.datetime or layer.item.common_metadata.start_datetime)
    if when:
        array = array.assign_coords(time=np.datetime64(dates.utc(when).replace(tzinfo=None), "ns"))
    result: xr.DataArray = array.rename(layer.key).assign_attrs(layer.attrs)
    return result


def _pieces(size: int) -> tuple[int, ...]:
    return tuple(min(CHUNK, size - start) for start in range(0, size, CHUNK))


def _block(layer: Layer, block_info: Any = None) -> NDArray[Any]:
    """The pixels (bands, rows, columns) of one piece."""
    _, rows, columns = block_info[None]["array-location"]
    with opened(layer.path, layer.what, trusted=layer.item is None) as source:
        raw = source.read(window=(rows, columns), masked=True)
    if layer.factors is None:
        kept: NDArray[Any] = raw.data
        return kept
    scale, offset = layer.factors
    unseen = np.ma.getmaskarray(raw) | (False if layer.nodata is None else raw.data == layer.nodata)
    values: NDArray[Any] = np.where(unseen, np.nan, raw.data * scale + offset)
    return values.astype(np.promote_types(layer.dtype, "float32"))
