"""Opening what an Item names: do its assets exist, open, and agree with what the Item says of them?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pystac
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.crs import CRS

from mage_stac import catalogue, grid, hrefs
from mage_stac.band_fields import listed, stated
from mage_stac.errors import MageStacError
from mage_stac.raster import opened


def asset_problems(item: pystac.Item, key: str) -> Iterator[str]:
    """What is wrong with one local asset, a line each. Remote assets are taken on trust: checking them needs a network.

    The last tiles of a raster are read as well, so a truncated file shows.
    """
    name = f"asset {key!r}"
    try:
        path = catalogue.asset_path(item, key)
        if hrefs.is_remote(path):
            return
        if not Path(path).exists():
            yield f"{name} leads to {path}, which does not exist"
            return
        yield from (f"{name}: {problem}" for problem in _content_problems(item, key, Path(path)))
    except (MageStacError, OSError, ValueError, SyntaxError) as error:
        yield f"{name}: {' '.join(str(error).split())}"


def _content_problems(item: pystac.Item, key: str, path: Path) -> Iterator[str]:
    kind = path.suffix.lower()
    if kind in (".tif", ".tiff", ".jp2"):
        yield from _raster_problems({**item.properties, **item.assets[key].extra_fields}, item.assets[key], path)
    elif kind in (".png", ".jpg", ".jpeg", ".webp"):
        with Image.open(path) as picture:
            picture.verify()
    elif kind == ".parquet":
        pyarrow.parquet.read_metadata(path)
    elif kind in (".json", ".geojson"):
        json.loads(path.read_text(encoding="utf-8"))


def _raster_problems(fields: dict[str, Any], asset: pystac.Asset, path: Path) -> Iterator[str]:
    with opened(path) as source:
        shape, transform = fields.get("proj:shape"), fields.get("proj:transform")
        if shape and tuple(shape) != source.shape:
            yield f"proj:shape is {shape}, but {path} has {list(source.shape)}"
        if transform and not _agrees(transform, source):
            yield f"proj:transform is {transform[:6]}, but {path} has {list(source.transform)[:6]}"
        box, own = fields.get("proj:bbox"), GeoBox(source.shape, source.transform, None).boundingbox.bbox
        if isinstance(box, list) and not _around(box, own, source.transform):
            yield f"proj:bbox is {box}, but {path} has {list(own)}"
        code = fields.get("proj:code")
        if code and source.crs != CRS.from_user_input(code):
            yield f"proj:code is {code}, but {path} is in {source.crs.to_string() if source.crs else 'no CRS'}"
        bands = next((rows for rows in (*listed(asset.extra_fields), asset.extra_fields.get("eo:bands")) if rows), [])
        if bands and len(bands) != source.count:
            yield f"names {len(bands)} bands, but {path} has {source.count}"
        dtype, nodata = (stated(asset, field, [1])[0] for field in ("data_type", "nodata"))
        if dtype and dtype != source.dtypes[0]:
            yield f"data_type is {dtype}, but {path} holds {source.dtypes[0]}"
        yield from _nodata_problems(nodata, source, path)
        *_, last = (window for _, window in source.block_windows(1))
        source.read(window=last)


def _agrees(transform: list[float], source: Any) -> bool:
    """Whether a stated geotransform puts the corners of the image where the file's does."""
    told, real = (GeoBox(source.shape, affine, None) for affine in (Affine(*transform[:6]), source.transform))
    return grid.apart(told, real) < grid.AGREE


def _around(told: list[float], real: Sequence[float], affine: Affine) -> bool:
    """Whether a stated box, of two or three dimensions, is the file's to half a pixel: others round theirs."""
    sides = np.array([*told[:2], *told[len(told) // 2 :][:2]], np.float64)
    return len(sides) == len(real) and bool(np.abs(sides - real).max() <= np.hypot(affine.a, affine.d) / 2)


def _nodata_problems(told: Any, source: Any, path: Path) -> Iterator[str]:
    real = source.nodata
    if told is None and real is not None:
        yield f"states no nodata value, but {path} has {real}"
    elif told is not None and real is None:
        yield f"nodata is {told}, but {path} marks none"
    elif told is not None and float(told) != real and not (np.isnan(float(told)) and np.isnan(real)):
        yield f"nodata is {told}, but {path} has {real}"
