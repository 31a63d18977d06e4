"""Reading windows of COGs on web servers with many requests in flight, through async-geotiff and obstore."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from odc.geo.geobox import GeoBox

from mage_stac import hrefs, tile_codec
from mage_stac.chip_pieces import Planes
from mage_stac.errors import AssetError
from mage_stac.plane import Plane
from mage_stac.raster import BROKEN, can_hold, said
from mage_stac.reader import Reader, agreed, decoded, unreadable
from mage_stac.stack import Raster, Stack
from mage_stac.tile_codec import Tiles

THREADS = 32
"""Windows asked for at once: a server answers in tens of milliseconds, so requests in flight are everything."""
RETRIES = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=4), "base": 2},
}
"""Of each request: a server that restarts within seconds goes unnoticed."""
PATIENCE = 60.0
"""Seconds for which a file that failed is not asked for again: a dead server must not stop an epoch."""

Sign = Callable[[str], str]
"""URL -> URL with a token; called when a file is opened and when the server refuses the last one."""


def available() -> bool:
    """Whether async-geotiff is installed (`mage-stac[remote]`)."""
    return importlib.util.find_spec("async_geotiff") is not None


def meant(raster: Raster) -> bool:
    """Whether this module reads a raster: one on a web server."""
    return urlsplit(raster.path).scheme in ("http", "https")


def suited(stacks: Sequence[Stack], sign: Sign | None = None) -> Planes:
    """What reads the files of some stacks best."""
    return RemoteReader(sign) if available() and afar(stacks) else Reader()


def afar(stacks: Sequence[Stack]) -> bool:
    """Whether any of the files lies on a web server."""
    return any(meant(one) for stack in stacks for mosaic in (*stack.dates, stack.mask) for one in mosaic)


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    tiff: Any
    images: tuple[Any, ...]
    """The pixels and, if there is one, the mask: what the file says of them."""
    dtype: str
    nodata: float | None
    alpha: int | None
    """Position of the alpha band, from 0."""


class RemoteReader:
    """Decodes windows of files on web servers; all others, and layouts that it does not know, by rasterio.

    `plane` waits for its own window only: call it from many threads.
    """

    def __init__(self, sign: Sign | None = None) -> None:
        self._sign = sign
        self._plain = Reader()
        self._by_gdal: set[str] = set()
        self._files: dict[str, asyncio.Task[_File]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)  # its own would become this thread's loop
        self._loop = runner.get_loop()
        threading.Thread(target=_kept_running, args=(runner,), name="requests", daemon=True).start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    def plane(self, raster: Raster, rows: slice, columns: slice, shape: tuple[int, int] | None = None) -> Plane:
        """A window inside a raster; see `Reader.plane`.

        Raises:
            AssetError: the server or the file failed, after retries; the file contradicts its Item.
        """
        whole = shape is None or shape == (rows.stop - rows.start, columns.stop - columns.start)
        if not meant(raster) or not whole or raster.path in self._by_gdal:
            return self._plain.plane(raster, rows, columns, shape)
        when, problem = self._failed.get(raster.path, (-PATIENCE, ""))
        if time.monotonic() - when < PATIENCE:
            raise AssetError(problem, asset=raster.what)
        try:
            file, images = asyncio.run_coroutine_threadsafe(self._tiles(raster, rows, columns), self._loop).result()
            return _plane(raster, file, images, (rows, columns))  # by this thread: the loop's has but one core
        except (NotImplementedError, ValueError):  # strips, a codec or a layout that it does not know
            self._by_gdal.add(raster.path)
            return self._plain.plane(raster, rows, columns, shape)
        except AssetError as error:
            self._failed[raster.path] = (time.monotonic(), str(error))
            raise

    async def _tiles(self, raster: Raster, rows: slice, columns: slice) -> tuple[_File, list[Tiles]]:
        try:
            return await self._read(raster, rows, columns)
        except AssetError:
            raise
        except (NotImplementedError, ValueError):
            raise
        except Exception as error:  # noqa: BLE001 - the Rust side raises many types, none of them ours
            if not _refused(error) or self._sign is None:
                raise AssetError(_told(raster, error), asset=raster.what) from None
        self._files.pop(raster.path, None)  # the token's hour is over: sign anew, once
        try:
            return await self._read(raster, rows, columns)
        except Exception as error:
            if isinstance(error, AssetError):
                raise
            raise AssetError(_told(raster, error), asset=raster.what) from None

    async def _read(self, raster: Raster, rows: slice, columns: slice) -> tuple[_File, list[Tiles]]:
        file = await self._opened(raster)
        wanted = (tile_codec.fetched(file.tiff, ifd, rows, columns) for ifd in file.images)
        return file, await asyncio.gather(*wanted)

    async def _opened(self, raster: Raster) -> _File:
        """The file's header, fetched once however many windows wait for it."""
        task = self._files.get(raster.path)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._loop.create_task(self._open(raster))
            self._files[raster.path] = task
        return await asyncio.shield(task)

    async def _open(self, raster: Raster) -> _File:
        from async_geotiff import GeoTIFF
        from async_tiff import TIFF
        from obstore.store import HTTPStore

        url = urlsplit(self._sign(raster.path) if self._sign else raster.path)
        folder, _, name = url.path.rpartition("/")
        store = HTTPStore.from_url(
            urlunsplit(url._replace(path=folder, fragment="")),
            client_options={"allow_http": url.scheme == "http", "timeout": timedelta(seconds=60)},
            retry_config=RETRIES,
        )
        header = await TIFF.open(name, store=store)
        if header.ifds[0].tile_width is None:
            raise NotImplementedError("strips")
        tiff = GeoTIFF(header)
        epsg = tiff.crs.to_epsg()
        grid = GeoBox((tiff.height, tiff.width), tiff.transform, f"EPSG:{epsg}" if epsg else tiff.crs.to_wkt())
        agreed(raster, grid, tiff.count)
        dtype = str(np.dtype(tiff.dtype))
        usable = tiff.nodata is not None and can_hold(dtype, tiff.nodata)
        alpha = next((at for at, kind in enumerate(tiff.colorinterp) if kind.name == "ALPHA"), None)
        images = tuple(ifd for ifd in (tiff.ifd, tiff.mask_ifd) if ifd is not None)
        return _File(tiff=header, images=images, dtype=dtype, nodata=tiff.nodata if usable else None, alpha=alpha)


def _kept_running(runner: asyncio.Runner) -> None:
    """Run a loop until it is stopped, and close it: each holds three file descriptors."""
    with runner:
        runner.get_loop().run_forever()


def _plane(raster: Raster, file: _File, images: list[Tiles], window: tuple[slice, slice]) -> Plane:
    """A window of the tiles of a file's images."""
    try:
        data, *masks = [tile_codec.decoded(image, *window) for image in images]
    except BROKEN as error:
        raise unreadable(raster.what, raster.path, error) from error
    mask = masks[0][0] > 0 if masks else None
    if file.alpha is not None:
        mask = data[file.alpha] > 0
    wanted = [band - 1 for band in raster.bands]
    values = data if wanted == list(range(len(data))) else data[wanted]
    return decoded(raster, values, file.dtype, raster.nodata if file.nodata is None else file.nodata, mask)


def _refused(error: Exception) -> bool:
    return type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError") or "403" in str(error)


def _told(raster: Raster, error: Exception) -> str:
    """One line for people."""
    name = f"{raster.what} ({hrefs.without_query(raster.path)}) cannot be read"
    if _refused(error):
        return f"{name}: the server refuses it (403): its token has expired or is missing; search anew or give a signer"
    if isinstance(error, FileNotFoundError):
        return f"{name}: the server does not have it (404)"
    return f"{name}: {said(error, raster.path)}"
