"""Opening rasters: every failure is one line that names the file, and no file may pull in another."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import DTypeLike, NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from mage_stac import hrefs
from mage_stac.errors import AssetError

REMOTE_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no listing of the server's folder
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, doubled by GDAL each time
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
}

QUERY = re.compile(r"\?[^\s,'\"]+")
"""The query of a URL in GDAL's words, which may cut the URL short in front."""

EIGHT_BITS = 1 / 255
"""Scale of uint8 imagery whose Item states none."""

ROWS = 512
"""Rows of a whole raster in memory at a time: those of a block of our COGs."""

BY_BLOCKS = {"GDAL_VRT_WARP_USE_DATASET_RASTERIO": "NO"}
"""Else GDAL 3.10 samples a virtual dataset that is read whole where it was asked to average."""

SOMEWHERE = ("EPSG:3857", Affine.scale(1, -1))
"""CRS and transform of pictures that have none: GDAL carries pixels onto themselves only if they lie somewhere."""

BROKEN = (RasterioError, CPLE_BaseError, OSError)
"""What GDAL raises for a file that is missing, truncated or cannot be written."""

DRIVERS = {".jp2": "JP2OpenJPEG", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""GDAL's driver by a file's ending; everything else is opened as GeoTIFF."""


@contextmanager
def opened(path: str | Path, what: str | None = None, *, trusted: bool = False) -> Iterator[Any]:
    """An open rasterio dataset; errors of GDAL inside the block, such as a truncated tile, are turned too.

    `what` names the file in errors ("asset 'image' of Item x"). Unless the file is `trusted` (the user named it), only
    the plain image format of its ending is tried: a virtual file, which could pull in any other, opens as nothing.

    Raises:
        AssetError: the file is missing, no image, or broken.
    """
    shown = hrefs.without_query(str(path))  # a signature is no one else's business
    name = f"{what} ({shown})" if what else shown
    driver = None if trusted else DRIVERS.get(Path(urlsplit(str(path)).path).suffix.lower(), "GTiff")
    try:
        with rasterio.Env(**REMOTE_OPTIONS), _silently(path, driver) as dataset:
            yield dataset
    except BROKEN as error:
        raise AssetError(f"{name} cannot be read: {said(error, str(path))}") from None


def _silently(path: str | Path, driver: str | None, **options: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # whoever needs a grid asks for it, and gets an error
        return rasterio.open(path, driver=driver, **options)


@contextmanager
def with_nodata(source: Any, nodata: float | None) -> Iterator[Any]:
    """An open dataset as if its file stated the nodata value that only its Item does: GDAL averages without it.

    The file's overviews are passed over, since whoever made them averaged over those pixels: each read decodes all
    pixels of its window. A dataset whose file marks pixels itself, or cannot hold the value, is given as it is.
    """
    if nodata is None or not can_hold(source.dtypes[0], nodata) or marker(source) is not None:
        yield source
        return
    crs, transform = (source.crs, source.transform) if source.crs else SOMEWHERE
    with (
        rasterio.Env(**BY_BLOCKS),
        _silently(source.name, source.driver, OVERVIEW_LEVEL="NONE") as bare,
        WarpedVRT(
            bare, src_crs=crs, src_transform=transform, crs=crs, transform=transform, height=bare.height,
            width=bare.width, src_nodata=nodata, nodata=nodata,
        ) as told,
    ):  # fmt: skip
        yield told


def said(error: BaseException, path: str) -> str:
    """GDAL's own words about a file in one line, without signatures: rasterio's outer error only points to them."""
    while "previous exception" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return QUERY.sub("", line) if hrefs.is_remote(path) else line


def thinned(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Rows and columns of an image made so small that its longer side has `longest` pixels at the most."""
    factor = max(1.0, max(shape) / longest)
    rows, columns = (max(1, round(size / factor)) for size in shape)
    return rows, columns


def strips(source: Any) -> Iterator[Window]:
    """Windows of ROWS rows, over the whole width of an open dataset, from its first row to its last."""
    for row in range(0, source.height, ROWS):
        yield Window(0, row, source.width, min(ROWS, source.height - row))


def data_bands(source: Any) -> list[int]:
    """The bands of an open dataset, from 1, without an alpha band."""
    return [band for band in source.indexes if source.colorinterp[band - 1] != ColorInterp.alpha]


def marker(source: Any, bands: Collection[int] = ()) -> float | None:
    """The value that marks pixels not observed in a copy of an open dataset; None if nothing is marked there.

    It is the dataset's own nodata value, if a pixel can have it; 0 or NaN if a mask or an alpha band marks them. An
    alpha band among the copied `bands` is data, and marks nothing.
    """
    if source.nodata is not None and can_hold(source.dtypes[0], source.nodata):
        return float(source.nodata)
    if not _hides(source, bands):
        return None
    return float("nan") if np.dtype(source.dtypes[0]).kind == "f" else 0.0


def _hides(source: Any, bands: Collection[int]) -> bool:
    """Whether a mask or an alpha band, beside nodata or without, says which pixels of these bands were observed."""
    data = data_bands(source)
    if not set(bands) <= set(data):
        return False
    return len(data) < source.count or any(MaskFlags.per_dataset in flags for flags in source.mask_flag_enums)


def can_hold(dtype: str, value: float) -> bool:
    """Whether a pixel of this type can have the value."""
    if np.dtype(dtype).kind == "f":
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max and value == int(value))


def float_kind(dtype: DTypeLike, *, classes: bool) -> np.dtype[Any]:
    """The type in which pixels leave a reader: float32; float64 for classes and bits of more than 16 bits.

    float32 holds whole numbers up to 2^24 only, float64 up to 2^53.
    """
    return np.result_type(dtype, np.float32) if classes else np.dtype(np.float32)


def read_marked(
    source: Any, bands: list[int], window: tuple[tuple[int, int], tuple[int, int]], nodata: float | None
) -> NDArray[Any]:
    """DN (bands, y, x) of a window ((row, row), (column, column)); the nodata value where a mask or alpha hides."""
    values: NDArray[Any] = source.read(bands, window=window)
    if nodata is None or not _hides(source, bands):
        return values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)  # of nodata beside an alpha band, which it takes
        seen = source.dataset_mask(window=window) > 0
    return marked(values, seen, nodata)


def marked(values: NDArray[Any], valid: NDArray[np.bool_], nodata: float) -> NDArray[Any]:
    """DN (bands, y, x) with the nodata value where not valid (y, x).

    Valid pixels that happen to hold it in every band are moved by one in the first, so that they stay observed.
    """
    result = np.where(valid, values, np.asarray(nodata).astype(values.dtype))
    if not np.isnan(nodata):
        clash = valid & (values == nodata).all(axis=0)
        result[0][clash] = nodata + 1 if nodata < np.iinfo(values.dtype).max else nodata - 1
    return result
