"""Opening rasters: every failure is one line that names the file, and no file may pull in another."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from mage_stac import hrefs
from mage_stac.errors import AssetError

REMOTE_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no listing of the server's folder
    "GDAL_HTTP_MAX_RETRY": "5",
    "GDAL_HTTP_RETRY_DELAY": "1",  # seconds, doubled by GDAL each time
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
}

_QUERY = re.compile(r"\?[^\s,'\"]+")
"""The query of a URL in GDAL's words, which may cut the URL short in front."""

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
    except (RasterioError, CPLE_BaseError, OSError) as error:
        said = _first_line(error)
        raise AssetError(
            f"{name} cannot be read: {_QUERY.sub('', said) if hrefs.is_remote(str(path)) else said}"
        ) from None


def _silently(path: str | Path, driver: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # whoever needs a grid asks for it, and gets an error
        return rasterio.open(path, driver=driver)


def _first_line(error: BaseException) -> str:
    """GDAL's own words: rasterio's outer error only says "see previous exception"."""
    while "previous exception" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0] if str(error) else type(error).__name__
