"""The variables of a cube: which band of which asset each is, and in which units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pystac
import xarray as xr

from mage_stac.band_fields import holds_classes, listed, stated
from mage_stac.catalogue import asset_path
from mage_stac.cube_stackstac import File
from mage_stac.errors import AssetError
from mage_stac.raster import EIGHT_BITS

Names = dict[str, tuple[str, int]]
"""Name of a variable -> asset key and position of the band in it from 1; 0 for an asset of one band."""


def names(item: pystac.Item, asset: str, wanted: Sequence[str] | None) -> Names:
    """What is to be loaded of an Item: every band of an asset, or the assets and bands of it that are wanted.

    Raises:
        AssetError: the Item has neither an asset nor a band that is called so.
    """
    fields = item.assets[asset].extra_fields if asset in item.assets else {}
    bands = next((entries for entries in listed(fields) if entries), [])
    single = len(bands) < 2
    inside: Names = {
        band.get("name", f"{asset}.{position}"): (asset, 0 if single else position)
        for position, band in enumerate(bands, start=1)
    }
    if wanted is None:
        asset_path(item, asset)
        return inside or {asset: (asset, 0)}
    unknown = [name for name in wanted if name not in inside and name not in item.assets]
    if unknown:
        raise AssetError(
            f"Item {item.id} has neither asset nor band {unknown[0]!r}; assets: {', '.join(sorted(item.assets))};"
            f" bands of {asset!r}: {', '.join(inside) or 'none'}"
        )
    return {name: inside.get(name, (name, 0)) for name in wanted}


Units = dict[str, tuple[float, float, float | None] | None]
"""Name of a variable -> scale, offset and the nodata value that the Item states; None: classes, kept as they are."""


def units(item: pystac.Item, names: Names, files: Mapping[str, File]) -> Units:
    """In which units an Item has its variables, as it and its files (by asset) say."""
    found: Units = {}
    for name, (key, index) in names.items():
        asset = item.assets[key]
        (scale,), (offset,), (nodata,) = (
            stated(asset, field, [index or 1]) for field in ("raster:scale", "raster:offset", "nodata")
        )
        default = EIGHT_BITS if files[key].dtype == "uint8" else 1.0
        marker = float(nodata) if isinstance(nodata, (int, float)) else None
        told = (float(default if scale is None else scale), float(offset or 0), marker)
        found[name] = None if holds_classes(key, asset) else told
    return found


def in_units(found: xr.Dataset, names: Names, units: Units) -> xr.Dataset:
    """DN to units. A band that holds the nodata value where a sibling in its asset observed the pixel gets it back."""
    result = {}
    for name, (key, index) in names.items():
        values, told = found[name], units[name]
        if told is None:
            result[name] = values
            continue
        scale, offset, nodata = told
        if index and nodata is not None:
            siblings = [other for other, (asset, _) in names.items() if asset == key]
            seen = found[siblings].to_array().notnull().any("variable")
            values = values.where(values.notnull() | ~seen, nodata)
        result[name] = (values * np.float32(scale) + np.float32(offset)).assign_attrs(found[name].attrs)
    return found.assign(result)
