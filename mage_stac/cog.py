"""Writing cloud-optimised GeoTIFFs, whole or window by window: either the complete file appears, or none."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import ArrayLike, NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from mage_stac.errors import CatalogueError, GridError
from mage_stac.raster import BROKEN

BLOCK = 512
"""Pixels a side of a tile: GDAL's default for COGs."""

NEARLY_FULL = 1 << 20
"""Bytes free on a disk below which a failed write is put down to the disk being full."""

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system says of places that one may not write to."""

Colours = Mapping[int, tuple[int, int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """Takes the windows of a COG in any order; pixels never written hold the nodata value (0 if there is none)."""

    dataset: Any
    """An open rasterio dataset."""
    path: Path
    """The file that will appear."""

    def write(self, array: ArrayLike, row: int, col: int) -> None:
        """Write an array (y, x) or (bands, y, x) with its first pixel at (row, col).

        Raises:
            GridError: the window leaves the grid, or the number of bands is another.
            CatalogueError: the disk refuses.
        """
        cube = np.asarray(array)
        cube = cube[np.newaxis] if cube.ndim == 2 else cube
        bands, height, width = cube.shape
        rows, columns = self.dataset.shape
        inside = 0 <= row <= rows - height and 0 <= col <= columns - width
        if bands != self.dataset.count or not inside:
            raise GridError(
                f"{self.path}: a window of {bands} bands and {height}x{width} pixels at row {row}, column {col}"
                f" does not fit into {self.dataset.count} bands and {rows}x{columns} pixels"
            )
        with writing(self.path):
            self.dataset.write(cube.astype(self.dataset.dtypes[0], copy=False), window=Window(col, row, width, height))


def write_cog(
    path: str | Path,
    array: NDArray[Any],
    geobox: GeoBox,
    *,
    nodata: float | None = None,
    colours: Colours | None = None,
    descriptions: Sequence[str] | None = None,
) -> None:
    """Write an array (y, x) or (bands, y, x) as a COG: deflate with predictor, tiles of 512, overviews.

    With `colours` (value -> red, green, blue) it is a class raster: one band of uint8 with a colour table, whose
    overviews take the most frequent value; otherwise they average.

    Raises:
        GridError: array and grid differ in size.
        CatalogueError: the disk refuses; nothing is left then.
    """
    cube = array[np.newaxis] if array.ndim == 2 else array
    if cube.shape[1:] != geobox.shape:
        raise GridError(f"{path}: an array of {cube.shape[1:]} pixels does not fit a grid of {tuple(geobox.shape)}")
    with stream_cog(
        path,
        geobox,
        dtype=cube.dtype.name,
        count=len(cube),
        nodata=nodata,
        colours=colours,
        descriptions=descriptions,
    ) as writer:
        writer.write(cube, 0, 0)


@contextmanager
def stream_cog(
    path: str | Path,
    geobox: GeoBox,
    *,
    dtype: str,
    count: int = 1,
    nodata: float | None = None,
    colours: Colours | None = None,
    descriptions: Sequence[str] | None = None,
) -> Iterator[Writer]:
    """A `Writer` for the windows of a COG; see `write_cog`. The file appears on a clean exit, and not on an exception.

    Memory does not grow with the grid: windows go to an uncompressed tiled GeoTIFF beside the final file.

    Raises:
        CatalogueError: the disk refuses; nothing is left then.
    """
    final = Path(path)
    tiled, made = (final.with_name(f".{final.stem}.{part}.partial.tif") for part in ("tiled", "cog"))
    try:
        with writing(final):
            dataset = rasterio.open(tiled, "w", **_profile(geobox, dtype, count, nodata))
        try:
            with writing(final):
                _describe(dataset, colours, descriptions)
            yield Writer(dataset=dataset, path=final)
        finally:
            with writing(final):
                dataset.close()
        with writing(final):
            _check_size(tiled, geobox, np.dtype(dtype).itemsize * count)
            with rasterio.Env(COG_TMP_COMPRESSION="NONE"):  # else GDAL packs and unpacks the overviews once more
                rasterio.shutil.copy(tiled, made, driver="COG", **_options(dtype, categorical=colours is not None))
            _check(made)
            made.replace(final)
    finally:
        for partial in (tiled, made):
            for leftover in partial.parent.glob(f"{escape(partial.name)}*"):  # GDAL's own beside it, too
                leftover.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what GDAL or the disk says while a file is written into one line.

    Raises:
        CatalogueError: instead of an OSError or an error of GDAL.
    """
    try:
        yield
    except BROKEN as error:
        raise CatalogueError(f"{path} cannot be written: {_why(error, path)}") from error


def _why(error: BaseException, path: Path) -> str:
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    code = getattr(error, "errno", None)  # GDAL's errors have none: there the disk is asked
    if code == errno.ENOSPC or (code is None and _full(parent)):
        return "no space left on the disk: free some, or write elsewhere with --out"
    said = str(getattr(error, "strerror", None) or error).splitlines()[0]
    return f"{said}; write elsewhere with --out" if code in REFUSED else said


def _full(folder: Path) -> bool:
    """Whether a disk that may be written is full; one that may not, or of no size, has nothing free either."""
    usage = shutil.disk_usage(folder)
    return os.access(folder, os.W_OK) and usage.total > 0 and usage.free < NEARLY_FULL


def _profile(geobox: GeoBox, dtype: str, count: int, nodata: float | None) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": geobox.shape[0],
        "width": geobox.shape[1],
        "count": count,
        "dtype": dtype,
        "crs": str(geobox.crs),
        "transform": geobox.affine,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "IF_SAFER",
        # GDAL would take the fourth of four bytes for an alpha channel, and so near infrared for a mask.
        "photometric": "RGB" if count == 3 and dtype == "uint8" else "MINISBLACK",
    }


def _describe(dataset: Any, colours: Colours | None, descriptions: Sequence[str] | None) -> None:
    if colours is not None:
        dataset.write_colormap(1, dict(colours))
    elif dataset.count > 3:
        dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (dataset.count - 1)]
    for band, text in enumerate(descriptions or (), start=1):
        dataset.set_band_description(band, text)


def _options(dtype: str, *, categorical: bool) -> dict[str, Any]:
    return {
        "compress": "DEFLATE",
        "level": 1,  # half the time of GDAL's 6, for an eighth more bytes (probabilities of Joplin)
        "predictor": "NO" if categorical or np.dtype(dtype).itemsize == 8 else "YES",
        "blocksize": BLOCK,
        "overview_resampling": "MODE" if categorical else "AVERAGE",
        "bigtiff": "IF_SAFER",
    }


def _check_size(path: Path, geobox: GeoBox, pixel: int) -> None:
    """See that an uncompressed tiled file holds all its tiles, of `pixel` bytes a pixel.

    GDAL writes what is left in its cache when it closes a file, and says nothing if the disk refuses: the tile is then
    missing and would read as nodata (GDAL 3.10, measured).
    """
    needed = math.prod(-(-size // BLOCK) for size in geobox.shape) * BLOCK**2 * pixel
    there = path.stat().st_size
    if there < needed:
        raise OSError(errno.EIO, f"the disk took {there:,} of {needed:,} bytes")


def _check(path: Path) -> None:
    """Read all of it, overviews too: on a full disk GDAL 3.10 may end a truncated file without an error (measured)."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    with rasterio.open(path) as dataset:
        overviews = len(dataset.overviews(1))
        _read(dataset)
    for level in range(overviews):
        with rasterio.open(path, overview_level=level) as dataset:
            _read(dataset)


def _read(dataset: Any) -> None:
    for _, window in dataset.block_windows(1):
        dataset.read(window=window)
